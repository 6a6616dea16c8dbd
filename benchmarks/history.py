"""Years of history without years of work: the journal of hours and days, and Dagster's events.

The entries go through the lake's own calls and equal those of a real hour; the files of hours that
they name have the recorded size and no content, so this serves only code that reads the journal and
the days, and lists files. Writes are not synced, or making five years would take longer than
looking at them. The events are copies of one that Dagster itself stored, put into its tables in
bulk.
"""

from __future__ import annotations

import hashlib
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.storage.event_log.schema import AssetEventTagsTable, SqlEventLogStorageTable

from returns_orchestration import tables
from returns_orchestration.defs import metadata
from returns_orchestration.defs.instance import open_instance
from returns_orchestration.flow.build import Accounting
from returns_orchestration.lake import Lake
from returns_orchestration.lake.entry_kinds import FileRecord, Made, Poll
from returns_orchestration.lake.names import inputs_of, sources_of
from returns_orchestration.lake.polls import poll_name
from returns_orchestration.lake.store import FolderStore
from returns_orchestration.stages.rules import Rules
from returns_orchestration.state.days import inputs_of_day, made_of_day, sources_of_day
from returns_orchestration.window import HOUR, Window, days_of, windows_between

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from benchmarks.site import Site
    from returns_orchestration.lake import Names
    from returns_orchestration.tables import Table
    from returns_orchestration.window import Day

RETURNS_AN_HOUR = 20
STRAY_EVERY = 24
"""Every that many hours a window served a return of the hour before: an edge of two windows."""

AGES = (0, 1, 6, 24, 72)
"""Hours after its end at which an hour is polled unattended; at most one poll at each."""

ROWS_OF_EVENTS = 2_000
"""Rows of one INSERT."""


class UnsyncedStore(FolderStore):
    """A folder in which a put is a plain write."""

    def put(self, path: str, content: bytes) -> None:
        """See Store; a crash may lose it."""
        self._file(path).write_bytes(content)

    def put_many(self, contents: Mapping[str, bytes]) -> None:
        """See Store; one after another."""
        for path, content in contents.items():
            self.put(path, content)

    def create(self, path: str, content: bytes) -> bool:
        """See Store; not meant for two writers."""
        if (self.root / path).exists():
            return False
        self.put(path, content)
        return True

    def put_empty(self, path: str, size: int) -> None:
        """A file of ``size`` without content."""
        with self._file(path).open("wb") as file:
            os.truncate(file.fileno(), size)

    def _file(self, path: str) -> Path:
        file = self.root / path
        if not file.parent.is_dir():
            file.parent.mkdir(parents=True, exist_ok=True)
        return file


def hours_from(start: datetime, hours: int) -> list[Window]:
    """``hours`` windows from ``start`` on."""
    return list(windows_between(start, start + hours * HOUR))


def make_history(site: Site, hours: int, polls_an_hour: int = 1) -> list[Window]:
    """Entries, files and events of ``hours`` hours from RETURNS_START on, each polled and made.

    Every hour is complete and followed by its days, and was last polled at its last age.
    """
    settings = site.settings
    windows = hours_from(settings.start, hours)
    history = _History(UnsyncedStore(site.lake), windows)
    newest = {window: history.poll(window, polls_an_hour) for window in windows}
    for window in windows:
        history.make(window, polls_an_hour)
    for day in sorted({d for w in windows for d in days_of(w, settings.report_time_zone)}):
        history.make_day(day)
    with site.entered(), open_instance(settings) as instance:
        _make_events(instance, history.lake, newest, polls_an_hour)
    return windows


def _polled_at(window: Window, polls: int) -> list[datetime]:
    """The times of ``polls`` polls, oldest first: a little after the last of AGES."""
    return [window.end + timedelta(hours=age, minutes=11) for age in AGES[-polls:]]


class _History:
    """The journal and the files of ``windows``, in ``store``."""

    def __init__(self, store: UnsyncedStore, windows: Sequence[Window]) -> None:
        self.lake = Lake(store, lambda: windows[-1].end)
        self.lake.format.ensure(begin=True)
        self._store = store
        self._first, self._last = windows[0], windows[-1]
        self._names: Names = self.lake.names()
        self._names.load_hours(windows)

    def poll(self, window: Window, polls: int) -> Poll:
        """The polls of an hour, and the marks of the returns they served; the newest one."""
        if window != self._first and window.start.hour % STRAY_EVERY == 0:
            self.lake.entries.mark(self._names, window, [window.previous])
        for number, polled_at in enumerate(_polled_at(window, polls), start=1):
            path, size = self.lake.polls.path(window, number), 9_000
            self._store.put_empty(path, size)
            poll = Poll(
                period=window.key,
                number=number,
                polled_at=polled_at,
                noted_at=polled_at,
                rows=RETURNS_AN_HOUR,
                size=size,
                sha256=_digest(path)[:16],
                zone="UTC",
            )
            self.lake.entries.put(self._names, poll)
        return poll

    def make(self, window: Window, polls: int) -> None:
        """The tables of an hour."""
        made = Made(
            period=window.key,
            inputs=inputs_of(window, self._names),
            rules=Rules.of_today().hours,
            written_at=self._last.end,
            made_of=sorted(
                poll_name(source, poll.number)
                for source in sources_of(window, self._names)
                for poll in self._names.hour(source).polls
            ),
            files={t.name: self._file(t, window, 4_000) for t in tables.MADE_HOURLY},
            facts={"returns": RETURNS_AN_HOUR, "items": 31, "rejected": 0, "late": 0},
            first_seen={AGES[-polls]: (RETURNS_AN_HOUR, 0)},
            references=bytes.fromhex(_digest(window.key))[:8] * RETURNS_AN_HOUR,
        )
        self.lake.entries.put(self._names, made)

    def make_day(self, day: Day) -> None:
        """The tables of a day."""
        hours = len(sources_of_day(day, self._names))
        rows = RETURNS_AN_HOUR * hours
        counts: dict[str, list[object]] = {
            "returns": [rows],
            "items": [rows * 3 // 2],
            "quantity": [rows * 2],
        }
        counted = {
            of.daily.name: of.daily.frame({"day": [day.date], of.by.name: ["Other"], **counts})
            for of in tables.AGGREGATES
        }
        self.lake.publish(
            self._names,
            day,
            counted | {table.name: table.empty() for table in tables.OF_DAYS},
            inputs=inputs_of_day(day, self._names),
            rules=Rules.of_today().days,
            made_of=made_of_day(day, self._names),
            facts={"returns": rows, "items": rows * 3 // 2, "hours": hours},
        )

    def _file(self, table: Table, period: Window, size: int) -> FileRecord:
        path = self.lake.path(table, period)
        self._store.put_empty(path, size)
        return FileRecord(path=path, size=size, rows=RETURNS_AN_HOUR, sha256=_digest(path))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _make_events(
    instance: dg.DagsterInstance, lake: Lake, newest: Mapping[Window, Poll], polls: int
) -> None:
    """A materialization of raw_returns for each poll of each hour."""
    window, poll = next(iter(newest.items()))
    instance.report_runless_asset_event(_materialization(lake, window, poll))
    storage: Any = instance.event_log_storage
    events, tags = SqlEventLogStorageTable, AssetEventTagsTable
    with storage.index_connection() as connection:
        last = sa.select(events).order_by(events.c.id.desc()).limit(1)
        stored = dict(connection.execute(last).mappings().one())
        of_it = sa.select(tags).where(tags.c.event_id == stored["id"])
        (tag,) = map(dict, connection.execute(of_it).mappings())
        connection.execute(sa.delete(events).where(events.c.id == stored["id"]))
        connection.execute(sa.delete(tags).where(tags.c.id == tag.pop("id")))
        rows: list[dict[str, object]] = []
        versions: list[dict[str, object]] = []
        for number, row in enumerate(_rows_of_events(stored, newest, polls), start=stored["id"]):
            sha = newest[Window.from_key(str(row["partition"]))].sha256
            rows.append(row | {"id": number})
            versions.append(tag | {"event_id": number, "value": sha})
            if len(rows) == ROWS_OF_EVENTS:
                connection.execute(sa.insert(events), rows)
                connection.execute(sa.insert(tags), versions)
                rows, versions = [], []
        if rows:
            connection.execute(sa.insert(events), rows)
            connection.execute(sa.insert(tags), versions)


def _rows_of_events(
    stored: dict[str, Any], windows: Iterable[Window], polls: int
) -> Iterator[dict[str, object]]:
    for window in windows:
        event = stored["event"].replace(stored["partition"], window.key)
        for at in _polled_at(window, polls):
            stamp = at.replace(tzinfo=None)  # as Dagster stores it
            yield stored | {"event": event, "partition": window.key, "timestamp": stamp}


def _materialization(lake: Lake, window: Window, poll: Poll) -> dg.AssetMaterialization:
    accounting = Accounting(
        served=RETURNS_AN_HOUR, kept=RETURNS_AN_HOUR, duplicate=0, rejected=0, lost=0
    )
    shown = metadata.of_file(9_000, RETURNS_AN_HOUR, lake.uri(tables.RAW_RETURNS, window))
    return dg.AssetMaterialization(
        tables.RAW_RETURNS.name,
        partition=window.key,
        metadata=shown | metadata.of_polls([poll]) | metadata.of_accounting(accounting),
        tags={"dagster/data_version": poll.sha256},
    )
