"""Years of history without years of work: records of hours and days, and Dagster's events of them.

The records go through the lake's own calls and say what those of a real hour say; the data files
they name do not exist, so this serves only what reads records. What is written is not synced, or
making five years would take longer than looking at them. The events are copies of one that Dagster
itself stored, put into its table in bulk.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable

from returns_orchestration import tables
from returns_orchestration.defs import metadata
from returns_orchestration.defs.instance import open_instance
from returns_orchestration.flow.settle import Accounting
from returns_orchestration.lake import Lake, MadeRecord
from returns_orchestration.lake.entries import MADE, RECORDS
from returns_orchestration.lake.records import FileRecord, encode
from returns_orchestration.lake.store import FolderStore
from returns_orchestration.state.hours import made_of_hour
from returns_orchestration.window import HOUR, Window, days_of, windows_between

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from benchmarks.site import Site
    from returns_orchestration.lake import PollRecord
    from returns_orchestration.tables import Table
    from returns_orchestration.window import Day

RETURNS_AN_HOUR = 20
STRAY_EVERY = 24
"""Each so many hours a window served a return of the hour before: an edge shared by two windows."""

AGES = (0, 1, 6, 24, 72)
"""Hours after its end at which an hour is polled unattended; up to so many polls an hour."""

ROWS_OF_EVENTS = 2_000
"""Rows of one INSERT."""


class UnsyncedStore(FolderStore):
    """A folder in which a put is a plain write."""

    def put(self, path: str, content: bytes) -> None:
        """See Store; a crash may lose it."""
        file = self.root / path
        if not file.parent.is_dir():
            file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def create(self, path: str, content: bytes) -> bool:
        """See Store; not meant for two writers."""
        if (self.root / path).exists():
            return False
        self.put(path, content)
        return True


def hours_from(start: datetime, hours: int) -> list[Window]:
    """``hours`` windows from ``start`` on."""
    return list(windows_between(start, start + hours * HOUR))


def make_history(site: Site, hours: int, polls_an_hour: int = 1) -> list[Window]:
    """Records and events of ``hours`` hours from RETURNS_START on, each polled and made.

    Every hour is complete and followed by its days, and was last polled at its last age.
    """
    settings = site.settings
    windows = hours_from(settings.start, hours)
    lake = Lake(UnsyncedStore(site.lake), lambda: windows[-1].end)
    made = {
        window: _make_hour(lake, window, windows[0], windows[-1], polls_an_hour)
        for window in windows
    }
    of_day: dict[Day, list[MadeRecord]] = {}
    for window, record in made.items():
        for day in days_of(window, settings.report_time_zone):
            of_day.setdefault(day, []).append(record)
    for day, records in of_day.items():
        _make_day(lake, day, records, settings.report_time_zone)
    with site.entered(), open_instance(settings) as instance:
        _make_events(instance, lake, windows, polls_an_hour)
    return windows


def _polled_at(window: Window, polls: int) -> list[datetime]:
    """When each of ``polls`` polls was, oldest first: a little after the last of AGES."""
    return [window.end + timedelta(hours=age, minutes=11) for age in AGES[-polls:]]


def _is_stray(window: Window, first: Window) -> bool:
    return window != first and window.start.hour % STRAY_EVERY == 0


def _make_hour(lake: Lake, window: Window, first: Window, last: Window, polls: int) -> MadeRecord:
    names: list[str] = []
    sources = [window]
    if _is_stray(window, first):
        sources.append(window.previous)
    if _is_stray(window.next, first) and window != last:
        sources.append(window.next)
    for number, polled_at in enumerate(_polled_at(window, polls), start=1):
        homes = {window: RETURNS_AN_HOUR}
        if _is_stray(window, first):
            homes[window.previous] = 1
        lake.record_poll(
            window,
            number,
            polled_at,
            _file(tables.RAW_RETURNS, window, f"poll-{number:04d}.parquet", 9_000),
            homes,
            0,
        )
        names += [f"{source.key}/poll-{number:04d}" for source in sources]
    record = MadeRecord(
        period=window.key,
        written_at=last.end,
        made_of=sorted(names),
        files={t.name: _file(t, window, "part-0.parquet", 4_000) for t in tables.MADE_HOURLY},
        facts={"returns": RETURNS_AN_HOUR, "items": 31, "rejected": 0, "late": 0},
        polled_at=_polled_at(window, polls),
        first_seen={AGES[-polls]: (RETURNS_AN_HOUR, 0)},
    )
    return _note(lake, window, record)


def _make_day(lake: Lake, day: Day, records: Sequence[MadeRecord], zone: ZoneInfo) -> None:
    rows = RETURNS_AN_HOUR * len(records)
    record = MadeRecord(
        period=day.key,
        written_at=records[-1].written_at,
        made_of=[f"zone {zone.key}", *map(made_of_hour, records)],
        files={t.name: _file(t, day, "part-0.parquet", 2_000) for t in tables.MADE_DAILY},
        facts={"returns": rows, "items": rows * 3 // 2, "hours": len(records)},
    )
    _note(lake, day, record)


def _note(lake: Lake, period: Window | Day, record: MadeRecord) -> MadeRecord:
    lake.store.put(f"{RECORDS}/{period.path}/{MADE}", encode(record))
    return record


def _file(table: Table, period: Window | Day, name: str, size: int) -> FileRecord:
    path = f"{table.name}/{period.path}/{name}"
    digest = hashlib.sha256(path.encode()).hexdigest()
    return FileRecord(path=path, size=size, rows=RETURNS_AN_HOUR, sha256=digest)


def _make_events(
    instance: dg.DagsterInstance, lake: Lake, windows: Sequence[Window], polls: int
) -> None:
    """A materialization of raw_returns for each poll of each hour."""
    (*_, poll) = lake.polls(windows[0])
    instance.report_runless_asset_event(_materialization(lake, windows[0], poll))
    storage: Any = instance.event_log_storage
    events = SqlEventLogStorageTable
    with storage.index_connection() as connection:
        newest = sa.select(events).order_by(events.c.id.desc()).limit(1)
        stored = dict(connection.execute(newest).mappings().one())
        connection.execute(sa.delete(events).where(events.c.id == stored.pop("id")))
        rows: list[dict[str, object]] = []
        for row in _rows_of_events(stored, windows, polls):
            rows.append(row)
            if len(rows) == ROWS_OF_EVENTS:
                connection.execute(sa.insert(events), rows)
                rows = []
        if rows:
            connection.execute(sa.insert(events), rows)


def _rows_of_events(
    stored: dict[str, Any], windows: Sequence[Window], polls: int
) -> Iterator[dict[str, object]]:
    for window in windows:
        event = stored["event"].replace(stored["partition"], window.key)
        for at in _polled_at(window, polls):
            stamp = at.replace(tzinfo=None)  # as Dagster stores it
            yield stored | {"event": event, "partition": window.key, "timestamp": stamp}


def _materialization(lake: Lake, window: Window, poll: PollRecord) -> dg.AssetMaterialization:
    accounting = Accounting(
        served=RETURNS_AN_HOUR, kept=RETURNS_AN_HOUR, duplicate=0, rejected=0, lost=0
    )
    shown = metadata.of_file(9_000, RETURNS_AN_HOUR, lake.uri(tables.RAW_RETURNS, window))
    return dg.AssetMaterialization(
        tables.RAW_RETURNS.name,
        partition=window.key,
        metadata=shown | metadata.of_polls([poll]) | metadata.of_accounting(accounting),
        tags={"dagster/data_version": poll.file.sha256[:16]},
    )
