"""The tables of webhooks as Dagster shows them: reports of hours and days, and the sensor.

``webhook_assets`` defines the assets and their run. An hour is reported once it is over, where
Dagster does not show its newest tables.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from returns_orchestration import tables
from returns_orchestration.defs import checks, history, metadata
from returns_orchestration.defs.event_batches import stored_together
from returns_orchestration.defs.events import StepEvents
from returns_orchestration.defs.instance import IN_PROGRESS
from returns_orchestration.defs.registry import RAW_WEBHOOKS, WEBHOOKS_ARRIVED, WEBHOOKS_HOURLY
from returns_orchestration.errors import ReturnsError
from returns_orchestration.flow.outcomes import Made as MadeHour
from returns_orchestration.lake.journal import JOURNAL
from returns_orchestration.lake.names import dates_in
from returns_orchestration.state import claims
from returns_orchestration.state.budget import TICK_SECONDS, portions, within
from returns_orchestration.window import Day, Window, days_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from zoneinfo import ZoneInfo

    from returns_orchestration.defs.keys import Keys
    from returns_orchestration.flow.hours import HourPipeline
    from returns_orchestration.flow.webhooks.pipeline import WebhookPipeline
    from returns_orchestration.lake import Lake, Made, Names
    from returns_orchestration.state.claims import Claim

JOB: Final = "webhooks"
SENSOR: Final = "webhooks_arrived"
LOOK_EVERY: Final = timedelta(minutes=5)
"""How often the sensor looks, and so how far apart two runs are; a run takes 4 seconds to start."""

PATROLLED: Final = 30
"""Older dates that one tick looks at, so that a year is looked at within an hour, once a day.

Fewer where the store is so slow that they take too long."""

PATROLLED_AT_ONCE: Final = 5
"""Dates of one portion of these: with webhooks in each hour some 400 requests, 16 at once."""

MADE_HOURLY: Final = tuple(table.name for table in tables.MADE_HOURLY)
MADE_DAILY: Final = tuple(table.name for table in tables.MADE_DAILY)
OF_RECEIPT: Final = tuple(table.name for table in tables.WEBHOOKS_RECEIVED)
OF_REQUEST: Final = tuple(table.name for table in tables.WEBHOOKS_MATCHED)
DAILY: Final = tuple(table.name for table in tables.WEBHOOKS_DAILY)


class Reports:
    """Reports the tables of webhooks, and of hours that they changed, that Dagster does not know.

    ``webhooks`` are those of ``pipeline``.
    """

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        pipeline: HourPipeline,
        webhooks: WebhookPipeline,
        keys: Keys,
    ) -> None:
        self._context = context
        self._pipeline = pipeline
        self._lake = pipeline.lake
        self._webhooks = webhooks
        self._keys = keys

    def report(
        self, dates: Collection[date], now: datetime, built: Collection[Window] = ()
    ) -> None:
        """The hours that are over, and the days, on ``dates`` and on the newest ones.

        ``built`` are hours of returns that this run has made, with a webhook of their own or not.
        """
        looked_at = self._webhooks.recent(now) | set(dates)
        names = self._webhooks.look(looked_at)
        if names is None:
            return
        hours = over(names, looked_at, now)
        keys = [window.key for window in hours]
        assets = [RAW_WEBHOOKS, *WEBHOOKS_HOURLY]
        known = history.newest_versions(self._context.instance, assets, keys, self._keys)
        for window in hours:
            with stored_together(self._context.instance):
                self._report_hour(names, window, known)
        days = sorted(day for day in looked_at if names.day(day, "matched"))
        known = history.newest_versions(
            self._context.instance, DAILY, [day.isoformat() for day in days], self._keys
        )
        for day in days:
            period = Day(day, self._webhooks.zone)
            entry = self._lake.made_or_none(period, names, "matched")
            if entry is not None:
                with stored_together(self._context.instance):
                    self._report_tables(period, entry, DAILY, known, claims.of_matched(entry.facts))
        self._report_returns(names, looked_at, now, built)

    def _report_returns(
        self, names: Names, dates: Collection[date], now: datetime, built: Collection[Window]
    ) -> None:
        """The hours with returns of webhooks, and their days, that are over; judged once more.

        What a poll changes its own run reports.
        """
        for made, periods in with_copies(names, dates, self._webhooks.zone, now, built).items():
            keys = [period.key for period in periods]
            known = history.newest_versions(self._context.instance, made, keys, self._keys)
            for period, entry in _entries(self._lake, names, periods).items():
                stale = _stale(entry, made, period, known)
                if stale:
                    events = StepEvents(self._context, self._pipeline, stale, set(), self._keys)
                    self._report_period(events, names, period, now)

    def _report_period(
        self, events: StepEvents, names: Names, period: Window | Day, now: datetime
    ) -> None:
        try:
            with stored_together(self._context.instance):
                if isinstance(period, Day):
                    events.log_day(self._pipeline.days.build(names, period, now))
                elif made := self._pipeline.builder.build(names, period):
                    events.add(MadeHour(period, made, asked=True))
        except ReturnsError as error:  # the run of that hour says it, too
            self._context.log.warning(self._pipeline.wording(str(error)))

    def _report_hour(self, names: Names, window: Window, known: dict[tuple[str, str], str]) -> None:
        files = sorted(entry.arguments for entry in names.hour(window).received)
        version = hashlib.sha256("\n".join(files).encode()).hexdigest()[:16]
        if files and known.get((RAW_WEBHOOKS, window.key)) != version:
            entries = names.hour(window).received
            shown = metadata.of_file(
                sum(entry.size for entry in entries),
                sum(entry.rows for entry in entries),
                self._lake.uri(tables.RAW_WEBHOOKS, window),
            )
            self._log(RAW_WEBHOOKS, window.key, shown, version)
        for kind, made, judge in (
            ("events", OF_RECEIPT, claims.of_received),
            ("matched", OF_REQUEST, claims.of_matched),
        ):
            entry = self._lake.made_or_none(window, names, kind)
            if entry is not None:
                self._report_tables(window, entry, made, known, judge(entry.facts))

    def _report_tables(
        self,
        period: Window | Day,
        entry: Made,
        made: Iterable[str],
        known: dict[tuple[str, str], str],
        judged: list[Claim],
    ) -> None:
        for name in made:
            file = entry.files[name]
            if known.get((name, period.key)) == file.sha256[:16]:
                continue
            uri = self._lake.uri(tables.BY_NAME[name], period)
            shown = metadata.of_file(file.size, file.rows, uri)
            shown |= {fact: dg.MetadataValue.int(value) for fact, value in entry.facts.items()}
            self._log(name, period.key, shown, file.sha256[:16])
            targets = history.newest_materializations(
                self._context.instance, self._context.run.run_id, [name], period.key, self._keys
            )
            for evaluation in checks.evaluations(
                self._keys.of(name),
                period.key,
                _about(name, judged),
                targets.get(name),
                self._pipeline.wording,
            ):
                self._context.log_event(evaluation)

    def _log(
        self, name: str, partition: str, shown: dict[str, dg.MetadataValue], version: str
    ) -> None:
        self._context.log_event(
            dg.AssetMaterialization(
                self._keys.of(name),
                partition=partition,
                metadata=shown,
                tags={"dagster/data_version": version},
            )
        )


def with_copies(
    names: Names,
    dates: Collection[date],
    zone: ZoneInfo,
    now: datetime,
    built: Collection[Window] = (),
) -> dict[tuple[str, ...], list[Window] | list[Day]]:
    """The hours of ``dates`` that are over and have copies in webhooks, and their days that are.

    By their tables; with the hours ``built``.
    """
    hours = [
        window
        for window in sorted({*names.hours(), *built})
        if window.start.date() in dates
        and window.end <= now
        and (window in built or names.hour(window).placed)
    ]
    days = {day for window in hours for day in days_of(window, zone) if day.end <= now}
    return {MADE_HOURLY: hours, MADE_DAILY: sorted(days)}


def _entries(
    lake: Lake, names: Names, periods: list[Window] | list[Day]
) -> dict[Window | Day, Made]:
    """What was made of each of ``periods``; those of hours are read side by side."""
    hours = [period for period in periods if isinstance(period, Window)]
    days = [period for period in periods if isinstance(period, Day)]
    found: dict[Window | Day, Made] = {}
    found.update(_made_of_hours(lake, names, hours, "made").items())
    of_days = ((day, lake.made_or_none(day, names)) for day in days)
    return found | {day: entry for day, entry in of_days if entry is not None}


def _made_of_hours(
    lake: Lake, names: Names, hours: Iterable[Window], kind: str
) -> dict[Window, Made]:
    one = {w: of[0] for w in hours if len(of := lake.made_names(w, names, kind)) == 1}
    return lake.read_all_made(one, kind)


def _stale(
    entry: Made, made: Iterable[str], period: Window | Day, known: dict[tuple[str, str], str]
) -> set[str]:
    """The tables of a period of which Dagster does not show the newest version."""
    files = {name: entry.files[name].sha256[:16] for name in made if name in entry.files}
    return {name for name, version in files.items() if known.get((name, period.key)) != version}


def _about(name: str, judged: list[Claim]) -> list[Claim]:
    """The claims that an asset's check is about."""
    if name == tables.REJECTED_WEBHOOKS.name:
        return judged[1:2]
    if name == tables.WEBHOOK_MATCHES.name:
        return judged
    return judged[:1]


def over(names: Names, dates: Collection[date], now: datetime) -> list[Window]:
    """The hours of ``dates`` that are over and have tables of webhooks, in order."""
    return [
        window
        for window in names.hours()
        if window.start.date() in dates
        and window.end <= now
        and (names.hour(window).events or names.hour(window).matched)
    ]


# ---- the sensor


def webhooks_sensor(
    pipeline: HourPipeline, clock: Callable[[], datetime], keys: Keys, jobs: Sequence[Any]
) -> dg.SensorDefinition:
    """A run where webhooks came, verdicts became final, or Dagster lacks an hour.

    ``jobs`` are those of `webhook_assets`.
    """

    @dg.sensor(
        name=keys.named(SENSOR),
        jobs=jobs,
        minimum_interval_seconds=int(LOOK_EVERY.total_seconds()),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Makes the tables of webhooks once some came, at most every 5 minutes.",
    )
    def webhooks_arrived(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        now, webhooks, may_go_on = clock(), pipeline.webhooks, within(TICK_SECONDS)
        cursor = _Cursor(context.cursor)
        if webhooks is None:
            return dg.SkipReason("This pipeline has no webhooks.")
        recent = webhooks.recent(now)
        names = webhooks.look(recent)
        if names is None:
            return dg.SkipReason("No receiver has written into this lake.")
        event = history.newest_event(context.instance)
        due = webhooks.due(names, recent)
        compared = cursor.to_compare(names, recent, event, now)
        due |= _unreported(context, pipeline, names, compared, now, keys)
        turn, looked_at = cursor.patrol(pipeline.lake, recent, now), 0
        for some in portions(turn[:PATROLLED], PATROLLED_AT_ONCE, may_go_on):
            older = webhooks.look(some)
            if older is not None:
                due |= webhooks.due(older, some)
                due |= _unreported(context, pipeline, older, some, now, keys)
            looked_at += len(some)
        cursor.leave(turn[looked_at:])
        if due and _is_under_way(context.instance, keys):
            return dg.SensorResult(skip_reason="A run is under way.", cursor=context.cursor)
        if not due:
            cursor.note_compared(names, recent, event, now)
            return dg.SensorResult(skip_reason="Nothing has come since.", cursor=cursor.write())
        config = {"dates": [day.isoformat() for day in sorted(due)]}
        return dg.SensorResult(
            run_requests=[
                dg.RunRequest(
                    run_key=f"webhooks:{now:%Y%m%dT%H%M%S}",
                    job_name=keys.named(JOB),
                    run_config={"ops": {keys.named(WEBHOOKS_ARRIVED.name): {"config": config}}},
                )
            ],
            cursor=cursor.write(),
        )

    return webhooks_arrived


def _unreported(  # noqa: PLR0913, PLR0917 - what it compares
    context: dg.SensorEvaluationContext,
    pipeline: HourPipeline,
    names: Names,
    dates: Collection[date],
    now: datetime,
    keys: Keys,
) -> set[date]:
    """The dates with an hour or day of which Dagster does not show the newest tables."""
    hours = over(names, dates, now)
    assets = {"events": OF_RECEIPT[0], "matched": OF_REQUEST[0]}
    known = history.newest_versions(
        context.instance, list(assets.values()), [window.key for window in hours], keys
    )
    found = {
        window.start.date()
        for kind, asset in assets.items()
        for window, made in _made_of_hours(pipeline.lake, names, hours, kind).items()
        if known.get((asset, window.key)) != made.files[asset].sha256[:16]
    }
    for made, periods in with_copies(names, dates, pipeline.days.zone, now).items():
        every = [period.key for period in periods]
        known = history.newest_versions(context.instance, made, every, keys)
        for period, entry in _entries(pipeline.lake, names, periods).items():
            if _stale(entry, made, period, known):
                windows = period.windows if isinstance(period, Day) else (period,)
                found |= {window.start.date() for window in windows}
    return found


def _is_under_way(instance: dg.DagsterInstance, keys: Keys) -> bool:
    runs = instance.get_runs(dg.RunsFilter(job_name=keys.named(JOB), statuses=IN_PROGRESS))
    return any(keys.is_run(run, (JOB,), (WEBHOOKS_ARRIVED.name,)) for run in runs)


class _Cursor:
    """Which older dates come next, and what was last found to be in Dagster's log as in the lake.

    Comparing reads an entry of each hour of four days, so it is done again only after a change.
    """

    def __init__(self, text: str | None) -> None:
        plain: dict[str, Any] = json.loads(text) if text else {}
        self._next: str = plain.get("next", "")
        self._patrolled: str = plain.get("patrolled", "")
        self._compared: str = plain.get("compared", "")
        self._hour: str = plain.get("hour", "")

    def to_compare(
        self, names: Names, recent: Collection[date], event: int, now: datetime
    ) -> set[date]:
        """Those of the ``recent`` dates that may not be in Dagster's log as in the lake.

        All where an entry or an event is new; else that of the hour that ended since, as only hours
        that are over are reported.
        """
        if self._compared != _digest_of(names, recent, event):
            return set(recent)
        hour = Window.of(now)
        return {hour.previous.start.date()} if self._hour != hour.key else set()

    def note_compared(
        self, names: Names, recent: Collection[date], event: int, now: datetime
    ) -> None:
        """Nothing is due: what was compared is the same in both."""
        self._compared, self._hour = _digest_of(names, recent, event), Window.of(now).key

    def patrol(self, lake: Lake, recent: Collection[date], now: datetime) -> list[date]:
        """The older dates that are yet to be looked at: all of them once a day."""
        today = now.astimezone(UTC).date().isoformat()
        if not self._next and self._patrolled == today:
            return []
        self._patrolled = today
        older = [day for day in dates_in(lake.store, JOURNAL) if day not in recent]
        return [day for day in older if day.isoformat() >= self._next]

    def leave(self, left: Sequence[date]) -> None:
        """Leave these of them to the next tick."""
        self._next = left[0].isoformat() if left else ""

    def write(self) -> str:
        return json.dumps(
            {
                "next": self._next,
                "patrolled": self._patrolled,
                "compared": self._compared,
                "hour": self._hour,
            }
        )


def _digest_of(names: Names, dates: Collection[date], event: int) -> str:
    """A digest of all entries of ``dates`` and of the newest event."""
    entries = {day.isoformat(): names.of(day) for day in sorted(dates)}
    return hashlib.sha256(json.dumps([event, entries]).encode()).hexdigest()[:16]
