"""What gives the room of removed runs and events back to the disk, for the command `prune`."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME

from returns_orchestration.defs.event_log import PAGE_BYTES

if TYPE_CHECKING:
    from pathlib import Path

WORTH_COMPACTING: Final = 0.2
"""A database is rewritten if a larger part of it is free."""

BUSY_SECONDS: Final = 60


def compact(home: Path) -> str:
    """Rewrite each of Dagster's databases that has much free room. Gives "", or what failed.

    Removed rows leave room that new ones take; only this gives it back to the disk. Other processes
    wait meanwhile, so it is done on demand.
    """
    faults = []
    for name in ("history/runs/index.db", "history/runs.db", "schedules/schedules.db"):
        path = home / name
        if not path.is_file():
            continue
        try:
            with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as database:
                free = database.execute("PRAGMA freelist_count").fetchone()[0]
                pages = database.execute("PRAGMA page_count").fetchone()[0]
                has_new_pages = path.name == f"{INDEX_SHARD_NAME}.db" and _set_page_size(database)
                try:
                    if has_new_pages or free > WORTH_COMPACTING * pages:
                        database.execute("VACUUM")
                finally:
                    database.execute("PRAGMA journal_mode=WAL")  # as Dagster has it
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            faults.append(f"{name}: {error}")
    return "; ".join(faults)


def _set_page_size(database: sqlite3.Connection) -> bool:
    """Whether the next VACUUM gives the index of an earlier release larger pages.

    It cannot while another process has the index open.
    """
    if database.execute("PRAGMA page_size").fetchone()[0] == PAGE_BYTES:
        return False
    try:
        database.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.OperationalError:
        return False
    database.execute(f"PRAGMA page_size={PAGE_BYTES}")
    return True
