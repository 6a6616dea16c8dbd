"""The writer of the spool: one thread makes every change, and waiting deliveries share a commit.

A delivery counts as received once its transaction is durable. Deliveries that arrive during a
commit share the next one.

After a failed commit nothing is written to the same handle again: Linux may drop the pages of a
failed fsync, and the next fsync then succeeds without them. The file is opened anew before the next
delivery is accepted.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from returns_orchestration.errors import SpoolUnwritable
from returns_orchestration.receiver.spool_file import reason_of

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from asyncio import Future as LoopFuture
    from collections.abc import Callable

    from returns_orchestration.receiver.spool_file import SpoolFile
    from returns_orchestration.receiver.spool_tables import Delivery

MOST_WAITING: Final = 4_096
"""Deliveries that may wait for their commit; more are refused."""

AT_ONCE: Final = 512
"""Deliveries in one commit, so that the first of them does not wait long."""

RETRY_SECONDS: Final = 1.0
"""How soon a spool that failed is opened again, once the next delivery asks for it."""

END_SECONDS: Final = 2.0
"""How long the last commit may take when the receiver is stopped."""

FULL: Final = "it has reached RETURNS_WEBHOOK_SPOOL_MB"
REPLACED: Final = "it was deleted or replaced while it was open"

_INSERT: Final = (
    "INSERT INTO deliveries (received_at, content_type, redelivered, body) VALUES (?, ?, ?, ?)"
)


class SpoolWriter:
    """Writes to ``file`` in a thread of its own, between ``start`` and ``stop``."""

    def __init__(self, file: SpoolFile, cap_bytes: int, *, shares_commits: bool) -> None:
        """``cap_bytes``: a larger spool takes no more; ``shares_commits`` is off in a benchmark."""
        self._file = file
        self._cap = cap_bytes
        self._at_once = AT_ONCE if shares_commits else 1
        self._waiting: deque[_Waiting] = deque()
        self._calls: deque[tuple[Callable[[sqlite3.Connection], object], Future[Any]]] = deque()
        self._changed = threading.Condition()
        self._is_open = True
        self._connection: sqlite3.Connection | None = None
        self._failed_at: float | None = None
        self._thread = threading.Thread(target=self._write, name="spool", daemon=True)
        self.problem = ""
        """Why nothing can be stored now; "" where all is well."""
        self.failures = 0
        """How often something could not be stored so far, refused deliveries included."""

    def start(self, connection: sqlite3.Connection) -> None:
        """Begin to write, by the connection with which the file was taken."""
        self._connection = connection
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, and close the connection."""
        with self._changed:
            self._is_open = False
            self._changed.notify()
        self._thread.join(END_SECONDS)
        if not self._thread.is_alive():  # else the disk hangs, and so would closing the file
            self._disconnect()

    @property
    def is_full(self) -> bool:
        """Whether the spool has reached its cap."""
        return self._file.size >= self._cap

    def put(self, delivery: Delivery, loop: AbstractEventLoop) -> LoopFuture[bool]:
        """Store ``delivery``; the future of ``loop`` is True once that is durable, else False.

        Raises SpoolUnwritable where nothing can be stored now: too many wait, the spool has reached
        its cap, or the last commit failed a moment ago.
        """
        future: LoopFuture[bool] = loop.create_future()
        with self._changed:
            refusal = self._refusal()
            if refusal:
                self.failures += 1
                raise SpoolUnwritable(self._file.path, refusal)
            self._waiting.append(_Waiting(delivery, loop, future))
            self._changed.notify()
        return future

    def call(self, change: Callable[[sqlite3.Connection], object]) -> Any:  # noqa: ANN401 - what it returns
        """Run ``change`` in a transaction of the writer, and wait. Raises SpoolUnwritable."""
        future: Future[Any] = Future()
        with self._changed:
            if not self._is_open:
                raise SpoolUnwritable(self._file.path, "the receiver is stopping")
            self._calls.append((change, future))
            self._changed.notify()
        return future.result()

    def _refusal(self) -> str:
        """Why no delivery can be taken now; "" where one can."""
        if not self._is_open:
            return "the receiver is stopping"
        if len(self._waiting) >= MOST_WAITING:
            return f"{MOST_WAITING} deliveries wait to be stored"
        if self.is_full:
            return FULL
        is_fresh = (
            self._failed_at is not None and time.monotonic() < self._failed_at + RETRY_SECONDS
        )
        return self.problem if is_fresh else ""

    # ---- the thread

    def _write(self) -> None:
        while True:
            with self._changed:
                while not (self._waiting or self._calls) and self._is_open:
                    self._changed.wait()
                if not (self._waiting or self._calls):
                    return
                some = [
                    self._waiting.popleft() for _ in range(min(len(self._waiting), self._at_once))
                ]
                call = self._calls.popleft() if self._calls else None
            if some:
                is_stored, _ = self._try(partial(_insert, some))
                _tell(some, is_stored=is_stored)
            if call is not None:
                change, future = call
                is_done, result = self._try(change)
                if is_done:
                    future.set_result(result)
                else:
                    future.set_exception(SpoolUnwritable(self._file.path, self.problem))

    def _try(self, change: Callable[[sqlite3.Connection], object]) -> tuple[bool, object]:
        """Whether ``change`` is durable, and what it gave."""
        try:
            if self._connection is None:
                self._connection = self._file.open()
            connection = self._connection
            connection.execute("BEGIN IMMEDIATE")
            result = change(connection)
            if not self._file.is_in_place():
                raise sqlite3.OperationalError(REPLACED)  # noqa: TRY301 - rolled back as every other failure
            if connection.in_transaction:
                connection.execute("COMMIT")
            self._file.measure(connection)
        except Exception as error:  # noqa: BLE001 - the one writer must not end, whatever happens
            self._disconnect()
            if str(error) == REPLACED:
                self._file.move_log_away()
            self.problem = reason_of(error)
            self.failures += 1
            self._failed_at = time.monotonic()
            return False, None
        self.problem, self._failed_at = "", None
        return True, result

    def _disconnect(self) -> None:
        """Close the writer's connection; what was not committed is rolled back by that."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A delivery on its way into the spool, and who waits for it."""

    delivery: Delivery
    loop: AbstractEventLoop
    future: LoopFuture[bool]


def _insert(some: list[_Waiting], connection: sqlite3.Connection) -> None:
    connection.executemany(_INSERT, [one.delivery for one in some])


def _tell(some: list[_Waiting], *, is_stored: bool) -> None:
    """Wake up those who wait, with one call of their loop."""
    with suppress(RuntimeError):  # the loop has ended: nobody waits any more
        some[0].loop.call_soon_threadsafe(_resolve, [one.future for one in some], is_stored)


def _resolve(futures: list[LoopFuture[bool]], is_stored: bool) -> None:  # noqa: FBT001 - a callback
    for future in futures:
        if not future.done():
            future.set_result(is_stored)
