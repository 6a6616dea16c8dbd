"""The spool, one SQLite file: deliveries that were answered with 200 and are not in the lake yet.

A delivery counts as received once its transaction is durable: WAL mode with ``synchronous=FULL``,
so every commit waits for an fsync. One thread writes; deliveries that arrive during a commit share
the next one. The file must be on a local disk, as WAL does not work over NFS.

After a failed commit nothing is written to the same handle again: Linux may drop the pages of a
failed fsync, and the next fsync then succeeds without them. The spool is opened anew, and what its
WAL holds is copied and synced into the database before the next delivery is accepted.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
import time
from collections import deque
from concurrent.futures import Future
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from returns_orchestration.errors import SettingsError, SpoolUnwritable

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from asyncio import Future as LoopFuture
    from collections.abc import Callable
    from pathlib import Path

FORMAT: Final = 1
MOST_WAITING: Final = 4_096
"""Deliveries that may wait for their commit; more are refused."""

AT_ONCE: Final = 512
"""Deliveries in one commit, so that the first of them does not wait long."""

RETRY_SECONDS: Final = 1.0
"""How soon a spool that failed is opened again, once the next delivery asks for it."""

BUSY_SECONDS: Final = 5.0
END_SECONDS: Final = 2.0
"""How long the last commit may take when the receiver is stopped."""

LOOKED_AT: Final = 20_000
"""Deliveries that are looked at to form the next batches."""

DELETED_AT_ONCE: Final = 500
"""Rows removed in one transaction, so that deliveries wait no longer than a few milliseconds."""

FREED_AT_ONCE: Final = 2_500
"""Pages of 4 kB that are given back to the disk at once, for the same reason."""

REPLACED_BEFORE: Final = ".replaced-"
"""Stands in the name of the log of a spool that was replaced, before the time."""

UNREADABLE: Final = ".unreadable-"
"""Stands in the name of a spool that was set aside, before the time in milliseconds."""

_SCHEMA: Final = """
CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    received_at INTEGER NOT NULL,
    content_type TEXT NOT NULL,
    redelivered INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE TABLE batches (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, is_put INTEGER NOT NULL);
CREATE TABLE listened (begin INTEGER PRIMARY KEY, until INTEGER NOT NULL);
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_INSERT: Final = (
    "INSERT INTO deliveries (received_at, content_type, redelivered, body) VALUES (?, ?, ?, ?)"
)


class Delivery(NamedTuple):
    """One delivery: when its body was complete, in microseconds since 1970 UTC, and the body."""

    received_at: int
    content_type: str
    redelivered: bool
    body: bytes


class Stored(NamedTuple):
    """A delivery of the spool and its number there, which is never given twice."""

    id: int
    delivery: Delivery


class Batch(NamedTuple):
    """The numbers of the deliveries that go into one file of the lake, noted before it is put.

    ``is_put``: the file is in the lake, and some of the deliveries may be removed already.
    """

    first: int
    last: int
    is_put: bool = False


class Spool:
    """The spool at ``path``. Use it in a ``with`` block: one process at a time has it."""

    def __init__(self, path: Path, cap_bytes: int, *, shares_commits: bool = True) -> None:
        """``cap_bytes``: a larger spool takes no more; ``shares_commits`` is off in a benchmark."""
        self.path = path
        self._cap = cap_bytes
        self._at_once = AT_ONCE if shares_commits else 1
        self._waiting: deque[_Waiting] = deque()
        self._calls: deque[tuple[Callable[[sqlite3.Connection], object], Future[Any]]] = deque()
        self._changed = threading.Condition()
        self._is_open = True
        self._connection: sqlite3.Connection | None = None
        self._failed_at: float | None = None
        self._size = 0
        self._file = 0
        self._lock: int | None = None
        self._writer = threading.Thread(target=self._write, name="spool", daemon=True)
        self.instance = ""
        """Eight digits of this spool; with a number they name a delivery for good."""
        self.began = 0
        """When this spool was made, in microseconds since 1970."""
        self.problem = ""
        """Why nothing can be stored now; "" where all is well."""
        self.failures = 0
        """How often something could not be stored so far, refused deliveries included."""

    def __enter__(self) -> Self:
        """Open the spool, made where there is none. Raises SettingsError or SpoolUnwritable."""
        self._take_lock()
        try:
            self._connection = self._open_or_set_aside()
        except (sqlite3.Error, OSError) as error:
            self._release_lock()
            raise SpoolUnwritable(self.path, _reason(error)) from None
        except BaseException:
            self._release_lock()
            raise
        self._writer.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Write what waits, and close."""
        with self._changed:
            self._is_open = False
            self._changed.notify()
        self._writer.join(END_SECONDS)
        if not self._writer.is_alive():  # else the disk hangs, and so would closing the file
            self._disconnect()
        self._release_lock()

    @property
    def set_aside(self) -> Path | None:
        """What lies beside this spool of one that could not be read or was replaced: a file."""
        name = self.path.name
        patterns = f"{name}{UNREADABLE}*[0-9]", f"{name}-wal{REPLACED_BEFORE}*"
        found = (path for pattern in patterns for path in self.path.parent.glob(pattern))
        return max(found, default=None)

    # ---- for the application

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
                raise SpoolUnwritable(self.path, refusal)
            self._waiting.append(_Waiting(delivery, loop, future))
            self._changed.notify()
        return future

    def _refusal(self) -> str:
        """Why no delivery can be taken now; "" where one can."""
        if not self._is_open:
            return "the receiver is stopping"
        if len(self._waiting) >= MOST_WAITING:
            return f"{MOST_WAITING} deliveries wait to be stored"
        if self._size >= self._cap:
            return FULL
        is_fresh = (
            self._failed_at is not None and time.monotonic() < self._failed_at + RETRY_SECONDS
        )
        return self.problem if is_fresh else ""

    @property
    def is_full(self) -> bool:
        """Whether the spool has reached its cap."""
        return self._size >= self._cap

    @property
    def size(self) -> int:
        """Bytes of deliveries and their pages, by the last commit."""
        return self._size

    # ---- for the drain

    def call(self, change: Callable[[sqlite3.Connection], object]) -> Any:  # noqa: ANN401 - what it returns
        """Run ``change`` in a transaction of the writer, and wait. Raises SpoolUnwritable."""
        future: Future[Any] = Future()
        with self._changed:
            if not self._is_open:
                raise SpoolUnwritable(self.path, "the receiver is stopping")
            self._calls.append((change, future))
            self._changed.notify()
        return future.result()

    def read(self, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
        """The rows of a query, from a connection of its own. Raises SpoolUnwritable."""
        try:
            with closing(_connect(self.path)) as connection:
                return connection.execute(sql, arguments).fetchall()
        except sqlite3.Error as error:
            raise SpoolUnwritable(self.path, _reason(error)) from None

    def batches(self) -> list[Batch]:
        """The batches that were noted and not removed, oldest first."""
        rows = self.read("SELECT first, last, is_put FROM batches ORDER BY first")
        return [Batch(first, last, bool(is_put)) for first, last, is_put in rows]

    def waiting(self) -> int:
        """How many deliveries the spool holds."""
        return int(self.read("SELECT count(*) FROM deliveries")[0][0])

    def of(self, batch: Batch) -> list[Stored]:
        """The deliveries of a batch, in order."""
        rows = self.read(
            "SELECT id, received_at, content_type, redelivered, body FROM deliveries "
            "WHERE id BETWEEN ? AND ? ORDER BY id",
            batch.first,
            batch.last,
        )
        return [
            Stored(number, Delivery(received_at, content_type, bool(redelivered), body))
            for number, received_at, content_type, redelivered, body in rows
        ]

    def newest(self) -> int:
        """The number of the newest delivery; 0 where there is none."""
        return int(self.read("SELECT coalesce(max(id), 0) FROM deliveries")[0][0])

    def unbatched(self, last: int) -> list[tuple[int, int, int]]:
        """Number, time of receipt and bytes of the first deliveries up to ``last`` in no batch."""
        return self.read(
            "SELECT id, received_at, length(body) FROM deliveries WHERE id <= ? AND "
            "id > (SELECT coalesce(max(last), 0) FROM batches) ORDER BY id LIMIT ?",
            last,
            LOOKED_AT,
        )

    def note(self, batch: Batch) -> None:
        """Note which deliveries go into the next file."""
        self.call(lambda c: c.execute("INSERT INTO batches VALUES (?, ?, ?)", batch))

    def remove(self, batch: Batch) -> None:
        """Remove the deliveries of a batch that is in the lake, and then its note."""
        of_batch = (batch.first,)
        self.call(lambda c: c.execute("UPDATE batches SET is_put = 1 WHERE first = ?", of_batch))
        for first in range(batch.first, batch.last + 1, DELETED_AT_ONCE):
            some = first, min(first + DELETED_AT_ONCE - 1, batch.last)
            self.call(partial(_delete, some))
        self.call(lambda c: c.execute("DELETE FROM batches WHERE first = ?", of_batch))

    def spans(self) -> list[tuple[int, int]]:
        """The times in which deliveries could be stored, in microseconds since 1970, in order."""
        return self.read("SELECT begin, until FROM listened ORDER BY begin")

    def set_span(self, begin: int, until: int) -> None:
        """Note that deliveries could be stored from ``begin`` to ``until``."""
        self.call(
            lambda c: c.execute("INSERT OR REPLACE INTO listened VALUES (?, ?)", (begin, until))
        )

    def try_again(self) -> None:
        """Write what is there already. Raises SpoolUnwritable while nothing can be written."""
        self.call(lambda c: c.execute("UPDATE facts SET value = value"))

    def cut_span(self, begin: int, rest: tuple[int, int] | None = None) -> None:
        """Remove a span that is in the lake, all but ``rest``."""

        def cut(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM listened WHERE begin = ?", (begin,))
            if rest is not None:
                connection.execute("INSERT OR REPLACE INTO listened VALUES (?, ?)", rest)

        self.call(cut)

    def compact(self) -> None:
        """Give free pages and the WAL back to the disk, so that what was removed is in no file."""
        self.call(_compact)

    def rename(self) -> None:
        """Take another instance: another spool has used these numbers under this one."""
        instance = secrets.token_hex(4)
        self.call(
            lambda c: c.execute("UPDATE facts SET value = ? WHERE name = 'instance'", (instance,))
        )
        self.instance = instance

    # ---- the writer

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
                    future.set_exception(SpoolUnwritable(self.path, self.problem))

    def _try(self, change: Callable[[sqlite3.Connection], object]) -> tuple[bool, object]:
        """Whether ``change`` is durable, and what it gave."""
        try:
            if self._connection is None:
                self._connection = self._open()
            connection = self._connection
            connection.execute("BEGIN IMMEDIATE")
            result = change(connection)
            if not self._is_in_place():
                raise sqlite3.OperationalError(REPLACED)  # noqa: TRY301 - rolled back as every other failure
            if connection.in_transaction:
                connection.execute("COMMIT")
            self._size = _size(connection)
        except Exception as error:  # noqa: BLE001 - the one writer must not end, whatever happens
            self._disconnect()
            if str(error) == REPLACED:
                self._move_log_away()
            self.problem = _reason(error)
            self.failures += 1
            self._failed_at = time.monotonic()
            return False, None
        self.problem, self._failed_at = "", None
        return True, result

    def _is_in_place(self) -> bool:
        """Whether the open file is still the one at the path: nobody finds a deleted one again."""
        try:
            return self.path.stat().st_ino == self._file
        except FileNotFoundError:
            return False

    def _move_log_away(self) -> None:
        """Move the log of the spool that was replaced: SQLite would read it into the new one."""
        for suffix in ("-wal", "-shm"):
            beside = self.path.with_name(f"{self.path.name}{suffix}")
            with suppress(OSError):
                beside.replace(beside.with_name(f"{beside.name}{REPLACED_BEFORE}{time.time_ns()}"))

    def _disconnect(self) -> None:
        """Close the writer's connection; what was not committed is rolled back by that."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    # ---- opening

    def _open_or_set_aside(self) -> sqlite3.Connection:
        """Open the spool; one that is no database any more is moved away, and a new one made."""
        try:
            connection = self._open()
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if found == "ok":
                return connection
            connection.close()
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorname", "") not in {"SQLITE_CORRUPT", "SQLITE_NOTADB"}:
                raise
        at = time.time_ns() // 1_000_000
        place = self.path.with_name(f"{self.path.name}{UNREADABLE}{at}")
        for suffix in ("-wal", "-shm"):
            beside = self.path.with_name(f"{self.path.name}{suffix}")
            if beside.exists():
                beside.replace(place.with_name(f"{place.name}{suffix}"))
        self.path.replace(place)
        return self._open()

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self.path.exists():
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        connection = _connect(self.path)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        self._file = self.path.stat().st_ino
        self._size = _size(connection)
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > FORMAT:
            raise SettingsError(
                f"The spool {self.path} was made by a later release.",
                next_step="Install that release, or set RETURNS_WEBHOOK_SPOOL to another path.",
            )
        if not version:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        # What the WAL holds becomes part of the database, with an fsync of its own.
        if connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            raise sqlite3.OperationalError("database is locked")
        if not version:
            connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {FORMAT}; COMMIT;")
        connection.execute("BEGIN IMMEDIATE")
        new = {"instance": secrets.token_hex(4), "began": str(time.time_ns() // 1_000)}
        connection.executemany("INSERT OR IGNORE INTO facts VALUES (?, ?)", new.items())
        connection.execute("COMMIT")
        facts = dict(connection.execute("SELECT name, value FROM facts"))
        self.instance, self.began = facts["instance"], int(facts["began"])

    def _take_lock(self) -> None:
        path = self.path.with_name(f"{self.path.name}.lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
            if fcntl is not None:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._release_lock()
            raise SettingsError(
                f"Another receiver uses the spool {self.path}.",
                next_step="Stop it first, or set RETURNS_WEBHOOK_SPOOL to another path.",
            ) from None
        except OSError as error:
            self._release_lock()
            raise SpoolUnwritable(self.path, _reason(error)) from None

    def _release_lock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def waiting_in(path: Path, before: int) -> int:
    """Deliveries in a spool that another process has, received ``before`` then (microseconds).

    Raises SpoolUnwritable where it cannot be read.
    """
    try:
        with closing(_connect(path)) as connection:
            query = "SELECT count(*) FROM deliveries WHERE received_at < ?"
            return int(connection.execute(query, (before,)).fetchone()[0])
    except sqlite3.Error as error:
        raise SpoolUnwritable(path, _reason(error)) from None


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A delivery on its way into the spool, and who waits for it."""

    delivery: Delivery
    loop: AbstractEventLoop
    future: LoopFuture[bool]


FULL: Final = "it has reached RETURNS_WEBHOOK_SPOOL_MB"
REPLACED: Final = "it was deleted or replaced while it was open"


def _insert(some: list[_Waiting], connection: sqlite3.Connection) -> None:
    connection.executemany(_INSERT, [one.delivery for one in some])


def _delete(some: tuple[int, int], connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM deliveries WHERE id BETWEEN ? AND ?", some)


def _tell(some: list[_Waiting], *, is_stored: bool) -> None:
    """Wake up those who wait, with one call of their loop."""
    with suppress(RuntimeError):  # the loop has ended: nobody waits any more
        some[0].loop.call_soon_threadsafe(_resolve, [one.future for one in some], is_stored)


def _resolve(futures: list[LoopFuture[bool]], is_stored: bool) -> None:  # noqa: FBT001 - a callback
    for future in futures:
        if not future.done():
            future.set_result(is_stored)


def _connect(path: Path) -> sqlite3.Connection:
    # Opened by name and never made here: a spool that was deleted under us is a fault.
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")
    return connection


def _size(connection: sqlite3.Connection) -> int:
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    (of_one,) = connection.execute("PRAGMA page_size").fetchone()
    return int(pages - free) * int(of_one)


def _compact(connection: sqlite3.Connection) -> None:
    connection.execute("COMMIT")
    # As a script: a statement without columns is else ended after its first page.
    connection.executescript(
        f"PRAGMA incremental_vacuum({FREED_AT_ONCE}); PRAGMA wal_checkpoint(TRUNCATE);"
    )


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error) or type(error).__name__
