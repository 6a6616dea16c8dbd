"""Alerts in Dagster: the sensor that looks, decides and delivers, and the asset that shows it.

The sensor hands over the evaluations that the event log gained since its cursor; all else, the open
incidents and the messages yet to be sent, is kept in the lake. The cursor moves when the tick is
done, so a killed tick is repeated, and repeats have no further effect.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from returns_orchestration import tables
from returns_orchestration.alerts import delivery, listing
from returns_orchestration.alerts.tick import Alerts
from returns_orchestration.defs import history
from returns_orchestration.defs.health import measure
from returns_orchestration.defs.registry import OPERATIONS
from returns_orchestration.errors import LakeContended, LakeError, SettingsError
from returns_orchestration.words import be, count

if TYPE_CHECKING:
    from collections.abc import Callable

    from returns_orchestration.alerts.tick import Outcome
    from returns_orchestration.defs.keys import Keys
    from returns_orchestration.defs.pages import Pages
    from returns_orchestration.flow.hours import HourPipeline
    from returns_orchestration.settings import Settings

ALERTS: Final = tables.ALERTS.name
LOOK_EVERY: Final = timedelta(seconds=50)
"""How often the lake is looked at where Dagster has no new event: every second tick."""

MEASURE_EVERY: Final = timedelta(minutes=10)
"""How often disks and DAGSTER_HOME are measured: a walk through its thousands of files."""

MOST_EVALUATIONS: Final = 1_000
"""Evaluations taken in by one tick, half a second's worth; the rest comes with the next."""

FIRST_EVENTS: Final = 3_000
"""Events of an established instance that the very first tick looks back over: about two days."""


def alerts_asset(pages: Pages) -> dg.AssetSpec:
    """The table of alerts; the sensor writes it and reports it, with the open incidents."""
    return pages.spec(tables.ALERTS, group=OPERATIONS, kinds=("parquet",))


def incident_sensor(
    settings: Settings, pipeline: HourPipeline, clock: Callable[[], datetime], keys: Keys
) -> dg.SensorDefinition:
    """One message when something is wrong, one when it is over."""
    channels = delivery.Channels(settings.alert_urls)
    rules = settings.digest()
    alerts = Alerts(
        settings=settings,
        lake=pipeline.lake,
        channels=channels.names,
        post=channels.post,
    )

    @dg.sensor(
        name=keys.named("incidents"),
        asset_selection=dg.AssetSelection.assets(keys.of(ALERTS)),
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Sends one message when something is wrong, and one when it is over.",
    )
    def incidents(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        now = clock()
        cursor = _Cursor(context.cursor)
        if cursor.rules == rules:
            pipeline.lake.format.skip_check()
        cursor.rules = rules
        event = cursor.event
        if event is None:
            event = max(0, history.newest_event(context.instance) - FIRST_EVENTS)
        evaluations, newest = history.evaluations(context.instance, event, MOST_EVALUATIONS, keys)
        if newest == cursor.event and cursor.has_just_looked(now):
            return dg.SensorResult(cursor=cursor.write(), skip_reason="Nothing has happened since.")
        storage = None
        if cursor.is_measuring_due(now):
            storage, _ = measure(settings)
            cursor.measured_at = now
        try:
            outcome = alerts.tick(
                evaluations,
                now,
                absent=_absent(settings),
                last_tick=cursor.ticked_at,
                known=lambda windows: history.newest_polls(context.instance, windows, keys),
                storage=storage,
            )
        except LakeContended as error:  # the next tick does the same again
            error.reword(settings.wording)
            return dg.SensorResult(cursor=context.cursor, skip_reason=str(error))
        except LakeError as error:
            error.reword(settings.wording)
            # The lake can keep nothing, so the channels notified of this are in the cursor.
            cursor.notified += alerts.report_lake_failure(str(error), cursor.notified)
            # No hour could be kept meanwhile: all get a new grace period, as after any pause.
            cursor.ticked_at = None
            context.log.error(str(error))  # noqa: TRY400 - it gives the cause, a trace would not
            return dg.SensorResult(cursor=cursor.write(), skip_reason=str(error))
        cursor.notified = alerts.report_lake_works(cursor.notified)
        for message in outcome.messages:
            context.log.warning("%s\n%s", message.title, message.text)
        for fault in outcome.faults:
            context.log.warning(fault)
        delivery.beat(settings.heartbeat_url)
        cursor.event, cursor.ticked_at = newest, now
        return dg.SensorResult(
            asset_events=[_shown(outcome, pipeline, keys)] if outcome.rows else [],
            cursor=cursor.write(),
            skip_reason=None if outcome.rows else _how_many(outcome),
        )

    return incidents


class _Cursor:
    """The last event taken in, the time, and the channels notified that the lake fails.

    ``rules`` is the digest of the settings and the package that wrote it.
    """

    def __init__(self, text: str | None) -> None:
        plain: dict[str, Any] = json.loads(text) if text else {}
        self.event: int | None = plain.get("event")
        ticked_at = plain.get("ticked_at")
        self.ticked_at = datetime.fromisoformat(ticked_at) if ticked_at else None
        self.notified: list[str] = plain.get("notified", plain.get("cried", []))
        measured_at = plain.get("measured_at")
        self.measured_at = datetime.fromisoformat(measured_at) if measured_at else None
        self.rules: str = plain.get("rules", "")

    def is_measuring_due(self, now: datetime) -> bool:
        """Whether to look how full the disks are; also where the clock was ahead."""
        at = self.measured_at
        return at is None or not timedelta(0) <= now - at < MEASURE_EVERY

    def has_just_looked(self, now: datetime) -> bool:
        """Whether the last look is so recent that, without an event, no other is needed."""
        at = self.ticked_at
        return at is not None and not self.notified and timedelta(0) <= now - at < LOOK_EVERY

    def write(self) -> str:
        ticked_at = self.ticked_at.isoformat() if self.ticked_at else None
        return json.dumps(
            {
                "event": self.event,
                "ticked_at": ticked_at,
                "notified": self.notified,
                "measured_at": self.measured_at.isoformat() if self.measured_at else None,
                "rules": self.rules,
            }
        )


def _absent(settings: Settings) -> str:
    try:
        settings.credentials()
    except SettingsError as error:
        return error.cause.rstrip(".")
    return ""


def _how_many(outcome: Outcome) -> str:
    return f"{count(len(outcome.open), 'incident')} {be(len(outcome.open))} open."


def _shown(outcome: Outcome, pipeline: HourPipeline, keys: Keys) -> dg.AssetMaterialization:
    return dg.AssetMaterialization(
        keys.of(ALERTS),
        description=_how_many(outcome),
        metadata={
            "open": dg.MetadataValue.int(len(outcome.open)),
            "incidents": dg.MetadataValue.md(listing.as_markdown(outcome.open, pipeline.wording)),
            "rows_added": dg.MetadataValue.int(outcome.rows),
            "dagster/uri": dg.MetadataValue.text(pipeline.lake.store.uri(ALERTS)),
        },
    )
