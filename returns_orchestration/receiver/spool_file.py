"""The file of the spool: how it is locked, opened, recovered and read.

It is one SQLite file in WAL mode with ``synchronous=FULL``, so every commit waits for an fsync. It
must be on a local disk, as WAL does not work over NFS. Whenever it is opened, what its WAL holds is
copied and synced into the database. A file that is no database any more is moved away, and so is
the log of a file that was replaced while it was open. Changes are made by ``spool_writer`` alone.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, Final

from returns_orchestration.errors import SettingsError, SpoolUnwritable
from returns_orchestration.receiver.spool_tables import FORMAT, SCHEMA

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from pathlib import Path

BUSY_SECONDS: Final = 5.0
REPLACED_BEFORE: Final = ".replaced-"
"""Stands in the name of the log of a spool that was replaced, before the time."""

UNREADABLE: Final = ".unreadable-"
"""Stands in the name of a spool that was set aside, before the time in milliseconds."""


class SpoolFile:
    """The file at ``path``. One process at a time has it, from ``take`` to ``release``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.instance = ""
        """Eight digits of this spool; with a number they name a delivery for good."""
        self.began = 0
        """When this spool was made, in microseconds since 1970."""
        self.size = 0
        """Bytes of deliveries and their pages, when they were last measured."""
        self._inode = 0
        self._lock: int | None = None

    def take(self) -> sqlite3.Connection:
        """Lock the file, and open it, made where there is none.

        One that is no database any more is moved away first. Raises SettingsError or
        SpoolUnwritable.
        """
        self._take_lock()
        try:
            return self._open_or_set_aside()
        except (sqlite3.Error, OSError) as error:
            self.release()
            raise SpoolUnwritable(self.path, reason_of(error), at_start=True) from None
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Give the lock back; connections are closed by those who have them."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def open(self) -> sqlite3.Connection:
        """A connection for changes, with all that the WAL held synced into the database."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self.path.exists():
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        connection = _connect(self.path)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        self._inode = self.path.stat().st_ino
        self.measure(connection)
        return connection

    def read(self, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
        """The rows of a query, from a connection of its own. Raises SpoolUnwritable."""
        try:
            with closing(_connect(self.path)) as connection:
                return connection.execute(sql, arguments).fetchall()
        except sqlite3.Error as error:
            raise SpoolUnwritable(self.path, reason_of(error)) from None

    def measure(self, connection: sqlite3.Connection) -> None:
        """Take the size anew, after a commit."""
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
        (of_one,) = connection.execute("PRAGMA page_size").fetchone()
        self.size = int(pages - free) * int(of_one)

    # ---- when it is replaced or cannot be read

    @property
    def set_aside(self) -> Path | None:
        """What lies beside this spool of one that could not be read or was replaced: a file."""
        name = self.path.name
        patterns = f"{name}{UNREADABLE}*[0-9]", f"{name}-wal{REPLACED_BEFORE}*"
        found = (path for pattern in patterns for path in self.path.parent.glob(pattern))
        return max(found, default=None)

    def is_in_place(self) -> bool:
        """Whether the open file is still the one at the path: nobody finds a deleted one again."""
        try:
            return self.path.stat().st_ino == self._inode
        except FileNotFoundError:
            return False

    def move_log_away(self) -> None:
        """Move the log of the spool that was replaced: SQLite would read it into the new one."""
        for suffix in ("-wal", "-shm"):
            beside = self.path.with_name(f"{self.path.name}{suffix}")
            with suppress(OSError):
                beside.replace(beside.with_name(f"{beside.name}{REPLACED_BEFORE}{time.time_ns()}"))

    def _open_or_set_aside(self) -> sqlite3.Connection:
        """Open the spool; one that is no database any more is moved away, and a new one made."""
        try:
            connection = self.open()
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
        return self.open()

    # ---- opening

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
            connection.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version = {FORMAT}; COMMIT;")
        connection.execute("BEGIN IMMEDIATE")
        new = {"instance": secrets.token_hex(4), "began": str(time.time_ns() // 1_000)}
        connection.executemany("INSERT OR IGNORE INTO facts VALUES (?, ?)", new.items())
        connection.execute("COMMIT")
        facts = dict(connection.execute("SELECT name, value FROM facts"))
        self.instance, self.began = facts["instance"], int(facts["began"])

    def _take_lock(self) -> None:
        path = self.path.with_name(f"{self.path.name}.lock")
        try:
            if self.path.is_dir():
                raise SettingsError(
                    f"The spool {self.path} is a folder.",
                    next_step="Remove the folder, or set RETURNS_WEBHOOK_SPOOL to a file.",
                )
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
            if fcntl is not None:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise SettingsError(
                f"Another receiver uses the spool {self.path}.",
                next_step="Stop it first, or set RETURNS_WEBHOOK_SPOOL to another path.",
            ) from None
        except OSError as error:
            self.release()
            raise SpoolUnwritable(self.path, reason_of(error), at_start=True) from None


def reason_of(error: Exception) -> str:
    """Why something could not be stored, in the words of the system or of SQLite."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error) or type(error).__name__


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
