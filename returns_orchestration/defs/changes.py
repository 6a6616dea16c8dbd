"""The asset `changed_hours`: materialized when tables of the lake were written.

Assets that load the lake elsewhere depend on it, and ask `changes` for the files that are new to
them. It has no partitions and no run: a sensor compares the lake with the cursor that it reported
last, and reports the differences. That cursor is kept in the lake, and Dagster keeps its name: a
tick that was killed is done again, and reports the same once more.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from returns_orchestration.defs import history
from returns_orchestration.defs.registry import CHANGED_HOURS
from returns_orchestration.errors import LakeError
from returns_orchestration.state.changes import changes_since, report, reported
from returns_orchestration.window import Ever
from returns_orchestration.words import count

if TYPE_CHECKING:
    from collections.abc import Callable

    from returns_orchestration.defs.keys import Keys
    from returns_orchestration.defs.pages import Pages
    from returns_orchestration.flow.hours import HourPipeline
    from returns_orchestration.state.changes import Changes

LOOK_EVERY: Final = timedelta(minutes=5)

WHOLE_EVERY: Final = timedelta(days=1)
"""How often old dates are looked at, too; a look at five years of them takes seconds."""


def changed_hours_asset(pages: Pages) -> dg.AssetSpec:
    """The asset that loaders depend on; its sensor reports it."""
    return pages.signal(CHANGED_HOURS)


def changes_sensor(
    pipeline: HourPipeline, clock: Callable[[], datetime], keys: Keys
) -> dg.SensorDefinition:
    """Looks at the lake when Dagster has a new event, and once a day at old dates, too."""

    @dg.sensor(
        name=keys.named(CHANGED_HOURS.name),
        asset_selection=dg.AssetSelection.assets(keys.of(CHANGED_HOURS.name)),
        minimum_interval_seconds=int(LOOK_EVERY.total_seconds()),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Reports which hours and days of which tables were written.",
    )
    def changed_hours(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        now = clock()
        cursor = _Cursor(context.cursor)
        event = history.newest_event(context.instance)
        is_whole = cursor.is_whole_due(now)
        if event == cursor.event and not is_whole:
            return dg.SensorResult(cursor=cursor.write(), skip_reason="Nothing has happened since.")
        store = pipeline.lake.store
        try:
            pipeline.lake.format.ensure()
            since = reported(store, cursor.name)
            found = (
                changes_since(store)
                if since is None
                else changes_since(store, since, first="" if is_whole else since.by_hour)
            )
            if found.cursor.name != cursor.name:
                report(store, found.cursor, cursor.name)
        except LakeError as error:
            error.reword(pipeline.wording)
            context.log.error(str(error))  # noqa: TRY400 - it gives the cause, a trace would not
            return dg.SensorResult(cursor=cursor.write(), skip_reason=str(error))
        cursor.name, cursor.event = found.cursor.name, event
        cursor.whole_at = now if is_whole or since is None else cursor.whole_at
        return dg.SensorResult(
            asset_events=[_shown(found, keys)] if found.changes else [],
            cursor=cursor.write(),
            skip_reason=None if found.changes else "No table was written since.",
        )

    return changed_hours


class _Cursor:
    """The name of the cursor reported last, the newest event by then, and the last whole look."""

    def __init__(self, text: str | None) -> None:
        plain: dict[str, Any] = json.loads(text) if text else {}
        self.name: str = plain.get("name", "")
        self.event: int | None = plain.get("event")
        whole_at = plain.get("whole_at")
        self.whole_at = datetime.fromisoformat(whole_at) if whole_at else None

    def is_whole_due(self, now: datetime) -> bool:
        """Whether old dates are to be looked at; also where the clock was ahead."""
        at = self.whole_at
        return at is None or not timedelta(0) <= now - at < WHOLE_EVERY

    def write(self) -> str:
        whole_at = self.whole_at.isoformat() if self.whole_at else None
        return json.dumps({"name": self.name, "event": self.event, "whole_at": whole_at})


def _shown(found: Changes, keys: Keys) -> dg.AssetMaterialization:
    by_table = found.by_table()
    periods = sorted({change.period for change in found.changes})
    dated = [period for period in periods if period != Ever().key] or periods
    hours = sum("T" in period for period in periods)
    lines = ["| table | written | first | last |", "|---|---|---|---|"]
    lines += [
        f"| {table} | {len(listed)} | {listed[0].period} | {listed[-1].period} |"
        for table, listed in by_table.items()
    ]
    return dg.AssetMaterialization(
        keys.of(CHANGED_HOURS.name),
        description=f"{count(hours, 'hour')} written.",
        metadata={
            "hours": dg.MetadataValue.int(hours),
            "days": dg.MetadataValue.int(sum(len(p) == len("2026-11-09") for p in periods)),
            "tables": dg.MetadataValue.md("\n".join(lines)),
            "first": dg.MetadataValue.text(dated[0]),
            "last": dg.MetadataValue.text(dated[-1]),
            "cursor": dg.MetadataValue.text(found.cursor.name),
        },
    )
