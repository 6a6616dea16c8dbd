"""Named points at every durable step of the lake and of Dagster's events, to die at.

A point is a step and the sort of its object: ``renamed returns part-#.parquet``, ``telling
ASSET_MATERIALIZATION returns``. They are put around the calls from outside, in the process that is
to die; the product's code does not contain them.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from proof.corruption import sort_of

from returns_orchestration.defs.event_log import PooledSqliteEventLogStorage
from returns_orchestration.lake import store as room
from returns_orchestration.lake.poll_log import POLL_LOG
from returns_orchestration.lake.store import TEMPORARY, FolderStore
from returns_orchestration.lake.trial import TRIAL

LOG = "points.txt"


class Points:
    """Notes every point that is passed in ``log``; dies at the ``nth`` passing of ``fatal``.

    Files are put and read side by side: any thread may pass a point, one at a time.
    """

    def __init__(self, log: Path, lake: Path, fatal: str = "", nth: int = 1) -> None:
        self._log = log
        self._lake = str(lake)
        self._fatal = fatal
        self._nth = nth
        self._passed: Counter[str] = Counter()
        self._one_at_a_time = threading.Lock()

    def passed(self, step: str, what: str) -> None:
        """One step is done, or about to be."""
        name = f"{step} {what}"
        with self._one_at_a_time:
            self._passed[name] += 1
            if name == self._fatal and self._passed[name] == self._nth:
                os.kill(os.getpid(), signal.SIGKILL)
            with self._log.open("a") as log:
                log.write(name + "\n")

    def at(self, step: str, file: Path) -> None:
        """A step of a file of the lake by its full path; temporary ones are not noted."""
        path = str(file).removeprefix(f"{self._lake}/")
        if path != str(file) and not path.startswith(f"{TEMPORARY}/"):
            self.passed(step, about(path))


def about(path: str) -> str:
    """The sort of a file, numbers and random names left out."""
    if path.startswith("_quarantine/"):
        path = path.rpartition(".")[0]
    if path.startswith(f"{POLL_LOG}/"):
        path = path.rpartition("/")[0]
    return "a probe" if f"/{TRIAL}" in path else sort_of(path)


def die_at(log: str, fatal: str, nth: int) -> None:
    """Put the points around the durable calls of this process; ``fatal`` may be "" for none."""
    Path(log).write_text("")
    points = Points(Path(log), Path(os.environ["RETURNS_LAKE"]), fatal, nth)
    _around_the_lake(points)
    _around_each_file(points)
    _around_events(points)


class _Content(bytes):
    """The content of a file with its path, so that any thread may write it."""

    path: str

    @classmethod
    def of(cls, path: str, content: bytes) -> _Content:
        named = cls(content)
        named.path = path
        return named


_here = threading.local()


def _around_the_lake(points: Points) -> None:
    """The calls of the store: one file, or many at once."""
    put_many, create, get_many, get, durable = (
        FolderStore.put_many,
        FolderStore.create,
        FolderStore.get_many,
        FolderStore.get,
        FolderStore._durable,
    )

    def puts(self: FolderStore, contents: Mapping[str, bytes]) -> None:
        put_many(self, {path: _Content.of(path, contents[path]) for path in contents})
        for path in contents:
            points.passed("put", about(path))

    def creates(self: FolderStore, path: str, content: bytes) -> bool:
        created = create(self, path, _Content.of(path, content))
        points.passed("put", about(path))
        return created

    def gets_many(self: FolderStore, paths: Sequence[str]) -> list[bytes | None]:
        for path in paths:
            points.passed("about to read", about(path))
        found = get_many(self, paths)
        for path in paths:
            points.passed("read", about(path))
        return found

    def gets(self: FolderStore, path: str) -> bytes | None:
        points.passed("reading", about(path))
        return get(self, path)

    @contextmanager
    def writes(self: FolderStore, content: bytes) -> Iterator[Path]:
        _here.path = getattr(content, "path", "")
        with durable(self, content) as temporary:
            _here.path = ""
            yield temporary

    FolderStore.put_many = puts  # type: ignore[method-assign]
    FolderStore.create = creates  # type: ignore[method-assign]
    FolderStore.get_many = gets_many  # type: ignore[method-assign]
    FolderStore.get = gets  # type: ignore[method-assign]
    FolderStore._durable = writes  # type: ignore[method-assign]


def _around_each_file(points: Points) -> None:
    """The steps of a single file, also of one of many: written, placed, removed."""
    fsync, replace, link, unlink = os.fsync, Path.replace, Path.hardlink_to, Path.unlink

    def syncs(descriptor: int) -> None:
        if path := getattr(_here, "path", ""):
            points.passed("unsynced", about(path))
        fsync(descriptor)

    def replaces(self: Path, target: Path) -> Any:
        points.at("synced", target)
        replaced = replace(self, target)
        points.at("renamed", target)
        return replaced

    def links(self: Path, target: Path) -> None:
        points.at("synced", self)
        link(self, target)
        points.at("linked", self)

    def unlinks(self: Path, **how: Any) -> None:
        points.at("deleting", self)
        unlink(self, **how)
        points.at("deleted", self)

    room.os.fsync = syncs
    Path.replace = replaces  # type: ignore[method-assign,assignment]
    Path.hardlink_to = links  # type: ignore[method-assign,assignment]
    Path.unlink = unlinks  # type: ignore[method-assign]


def _around_events(points: Points) -> None:
    """Each event that is logged; and each transaction, as several are stored in one.

    The run's own database commits before the index.
    """
    store = PooledSqliteEventLogStorage.store_event

    def stores(self: PooledSqliteEventLogStorage, event: Any) -> None:
        told = event.dagster_event
        if told is not None:
            asset = told.asset_key or getattr(told.event_specific_data, "asset_key", None)
            name = asset.to_user_string() if asset else ""
            points.passed("telling", f"{told.event_type_value} {name}".strip())
        store(self, event)

    def commits(connection: sa.Connection) -> None:
        database = Path(str(connection.engine.url.database))
        driver: Any = connection.connection.dbapi_connection
        if database.parent.name == "runs" and driver.in_transaction:
            is_index = database.stem == INDEX_SHARD_NAME
            points.passed("telling", "the index" if is_index else "the database of a run")

    PooledSqliteEventLogStorage.store_event = stores  # type: ignore[method-assign]
    sa.event.listen(sa.Engine, "commit", commits)
