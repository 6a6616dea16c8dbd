"""Named points at every durable step of the lake and of Dagster's events, to die at.

A point is a step and the sort of what it is done to: ``renamed returns part-#.parquet``, ``telling
ASSET_MATERIALIZATION returns``. They are put around the calls from outside, in the process that is
to die; the product knows nothing of them.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from proof.corruption import sort_of

from returns_orchestration.defs.event_log import PooledSqliteEventLogStorage
from returns_orchestration.lake import store as room
from returns_orchestration.lake.poll_log import POLL_LOG
from returns_orchestration.lake.store import FolderStore

LOG = "points.txt"


class Points:
    """Notes every point that is passed in ``log``; dies at the ``nth`` passing of ``fatal``."""

    def __init__(self, log: Path, fatal: str = "", nth: int = 1) -> None:
        self._log = log
        self._fatal = fatal
        self._nth = nth
        self._passed: Counter[str] = Counter()
        self._path = ""

    def passed(self, step: str, what: str) -> None:
        """One step is done, or about to be."""
        name = f"{step} {what}"
        self._passed[name] += 1
        if name == self._fatal and self._passed[name] == self._nth:
            os.kill(os.getpid(), signal.SIGKILL)
        with self._log.open("a") as log:
            log.write(name + "\n")

    def about(self, path: str) -> str:
        """The sort of a file, numbers and random names left out."""
        if path.startswith("_aside/"):
            path = path.rpartition(".")[0]
        if path.startswith(f"{POLL_LOG}/"):
            path = path.rpartition("/")[0]
        return "a probe" if "/.writable-" in path else sort_of(path)

    @contextmanager
    def writing(self, path: str) -> Iterator[None]:
        """A file is being put, created or deleted: its steps are about it."""
        self._path = path
        yield
        self.passed("put", self.about(path))
        self._path = ""

    def at_file(self, step: str) -> None:
        """A step of the file that is being written."""
        if self._path:
            self.passed(step, self.about(self._path))


def die_at(log: str, fatal: str, nth: int) -> None:
    """Put the points around what is durable in this process; ``fatal`` may be "" for none."""
    Path(log).write_text("")
    points = Points(Path(log), fatal, nth)
    _around_the_lake(points)
    _around_events(points)


def _around_the_lake(points: Points) -> None:
    put, create, delete, fsync = (
        FolderStore.put,
        FolderStore.create,
        FolderStore.delete,
        os.fsync,
    )
    replace, link = Path.replace, Path.hardlink_to

    def noting(write: Callable[..., Any]) -> Callable[..., Any]:
        def writes(self: FolderStore, path: str, content: bytes) -> Any:
            with points.writing(path):
                return write(self, path, content)

        return writes

    def syncs(descriptor: int) -> None:
        points.at_file("unsynced")
        fsync(descriptor)

    def replaces(self: Path, target: Path) -> Any:
        points.at_file("synced")
        replaced = replace(self, target)
        points.at_file("renamed")
        return replaced

    def links(self: Path, target: Path) -> None:
        points.at_file("synced")
        link(self, target)
        points.at_file("linked")

    def deletes(self: FolderStore, path: str) -> None:
        points.passed("deleting", points.about(path))
        delete(self, path)
        points.passed("deleted", points.about(path))

    FolderStore.put = noting(put)  # type: ignore[method-assign]
    FolderStore.create = noting(create)  # type: ignore[method-assign]
    FolderStore.delete = deletes  # type: ignore[method-assign]
    room.os.fsync = syncs
    Path.replace = replaces  # type: ignore[method-assign,assignment]
    Path.hardlink_to = links  # type: ignore[method-assign,assignment]


def _around_events(points: Points) -> None:
    """Where an event is told, which may wait for the others of its hour, and at each commit."""
    store = PooledSqliteEventLogStorage.store_event

    def stores(self: PooledSqliteEventLogStorage, event: Any) -> None:
        told = event.dagster_event
        if told is not None:
            asset = told.asset_key or getattr(told.event_specific_data, "asset_key", None)
            name = asset.to_user_string() if asset else ""
            points.passed("telling", f"{told.event_type_value} {name}".strip())
        store(self, event)

    def commits(connection: sa.Connection) -> None:
        path = Path(str(connection.engine.url.database))
        driver: Any = connection.connection.dbapi_connection
        if path.parent.name == "runs" and driver.in_transaction:
            points.passed("telling", "the index" if path.stem == "index" else "the run's database")

    PooledSqliteEventLogStorage.store_event = stores  # type: ignore[method-assign]
    sa.event.listen(sa.Engine, "commit", commits)
