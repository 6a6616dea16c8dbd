"""The spool: deliveries that were answered with 200 and are not in the lake yet.

The application puts deliveries in; the drain reads them in batches, notes each batch, and removes
it once it is in the lake. All of it is in one file (``spool_file``), which one thread changes
(``spool_writer``).
"""

from __future__ import annotations

import secrets
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

from returns_orchestration.receiver.spool_file import SpoolFile
from returns_orchestration.receiver.spool_tables import Batch, Delivery, Stored
from returns_orchestration.receiver.spool_writer import SpoolWriter

if TYPE_CHECKING:
    import sqlite3
    from asyncio import AbstractEventLoop
    from asyncio import Future as LoopFuture
    from collections.abc import Callable, Iterator
    from pathlib import Path

LOOKED_AT: Final = 20_000
"""Deliveries that are looked at to form the next batches."""

DELETED_AT_ONCE: Final = 500
"""Rows removed in one transaction, so that deliveries wait no longer than a few milliseconds."""

READ_AT_ONCE: Final = 50
"""Bodies that a search of the spool holds at once."""

FREED_AT_ONCE: Final = 2_500
"""Pages of 4 kB that are given back to the disk at once, for the same reason."""


class Spool:
    """The spool at ``path``. Use it in a ``with`` block: one process at a time has it."""

    def __init__(self, path: Path, cap_bytes: int, *, shares_commits: bool = True) -> None:
        """``cap_bytes``: a larger spool takes no more; ``shares_commits`` is off in a benchmark."""
        self.path = path
        self._file = SpoolFile(path)
        self._writer = SpoolWriter(self._file, cap_bytes, shares_commits=shares_commits)

    def __enter__(self) -> Self:
        """Open the spool, made where there is none. Raises SettingsError or SpoolUnwritable."""
        self._writer.start(self._file.take())
        return self

    def __exit__(self, *_: object) -> None:
        """Write what waits, and close."""
        self._writer.stop()
        self._file.release()

    # ---- its condition

    @property
    def instance(self) -> str:
        """Eight digits of this spool; with a number they name a delivery for good."""
        return self._file.instance

    @property
    def began(self) -> int:
        """When this spool was made, in microseconds since 1970."""
        return self._file.began

    @property
    def size(self) -> int:
        """Bytes of deliveries and their pages, by the last commit."""
        return self._file.size

    @property
    def is_full(self) -> bool:
        """Whether the spool has reached its cap."""
        return self._writer.is_full

    @property
    def problem(self) -> str:
        """Why nothing can be stored now; "" where all is well."""
        return self._writer.problem

    @property
    def is_refusing(self) -> bool:
        """Whether a delivery would be refused now."""
        return bool(self.problem) or self.is_full

    @property
    def failures(self) -> int:
        """How often something could not be stored so far, refused deliveries included."""
        return self._writer.failures

    @property
    def set_aside(self) -> Path | None:
        """What lies beside this spool of one that could not be read or was replaced: a file."""
        return self._file.set_aside

    # ---- for the application

    def put(self, delivery: Delivery, loop: AbstractEventLoop) -> LoopFuture[bool]:
        """Store ``delivery``; the future of ``loop`` is True once that is durable, else False.

        Raises SpoolUnwritable where nothing can be stored now.
        """
        return self._writer.put(delivery, loop)

    # ---- for the drain

    def call(self, change: Callable[[sqlite3.Connection], object]) -> Any:  # noqa: ANN401 - what it returns
        """Run ``change`` in a transaction of the writer, and wait. Raises SpoolUnwritable."""
        return self._writer.call(change)

    def batches(self) -> list[Batch]:
        """The batches that were noted and not removed, oldest first."""
        rows = self._file.read("SELECT first, last, is_put FROM batches ORDER BY first")
        return [Batch(first, last, bool(is_put)) for first, last, is_put in rows]

    def waiting(self) -> int:
        """How many deliveries the spool holds."""
        return int(self._file.read("SELECT count(*) FROM deliveries")[0][0])

    def of(self, batch: Batch) -> list[Stored]:
        """The deliveries of a batch, in order."""
        rows = self._file.read(
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
        return int(self._file.read("SELECT coalesce(max(id), 0) FROM deliveries")[0][0])

    def unbatched(self, last: int) -> list[tuple[int, int, int]]:
        """Number, time of receipt and bytes of the first deliveries up to ``last`` in no batch."""
        return self._file.read(
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
        return self._file.read("SELECT begin, until FROM listened ORDER BY begin")

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
        self._file.instance = instance


def waiting_in(path: Path, before: int) -> int:
    """Deliveries in a spool that another process has, received ``before`` then (microseconds).

    Raises SpoolUnwritable where it cannot be read.
    """
    query = "SELECT count(*) FROM deliveries WHERE received_at < ?"
    return int(SpoolFile(path).read(query, before)[0][0])


def bodies_in(path: Path) -> Iterator[bytes]:
    """The bodies in a spool that another process may have; none where there is no spool.

    Raises SpoolUnwritable where it cannot be read.
    """
    if not path.is_file():
        return
    last, query = 0, "SELECT id, body FROM deliveries WHERE id > ? ORDER BY id LIMIT ?"
    while rows := SpoolFile(path).read(query, last, READ_AT_ONCE):
        last = rows[-1][0]
        yield from (body for _, body in rows)


def _delete(some: tuple[int, int], connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM deliveries WHERE id BETWEEN ? AND ?", some)


def _compact(connection: sqlite3.Connection) -> None:
    connection.execute("COMMIT")
    # As a script: a statement without columns is else ended after its first page.
    connection.executescript(
        f"PRAGMA incremental_vacuum({FREED_AT_ONCE}); PRAGMA wal_checkpoint(TRUNCATE);"
    )
