"""The report as an asset, and the sensor that makes it once a day with the tables of all time."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import dagster as dg

from returns_orchestration import tables
from returns_orchestration.alerts.digest import Digest, hand_over
from returns_orchestration.defs.keys import Keys
from returns_orchestration.defs.pages import Pages
from returns_orchestration.defs.registry import ALL_TIME, RETURNS_REPORT
from returns_orchestration.flow.hours import HourPipeline
from returns_orchestration.lake.names import dates_in
from returns_orchestration.report import files, standouts, summary
from returns_orchestration.report.figures import Figures, Options, gather
from returns_orchestration.settings import Settings
from returns_orchestration.window import Day

JOB: Final = "report"
SENSOR: Final = "report_by_day"
AFTER: Final = timedelta(hours=2)
"""How long after the end of a day its report is made: all hours were polled twice by then."""

TRIES: Final = 3
"""Runs for one day where they fail, five minutes apart; the next day has its own."""

LOOKED_AT: Final = 20
"""Newest runs of the job, some of which may be of another deployment."""

SUNDAY: Final = 6


def options_of(settings: Settings, days: int | None = None) -> Options:
    """The settings of the report; ``days`` in the place of RETURNS_REPORT_DAYS."""
    return Options(
        days=days or settings.report_days,
        style_pattern=settings.style_pattern,
        kept_modes=settings.kept_modes,
        stuck_hours=settings.stuck_hours,
        start=settings.start,
        account=settings.account,
    )


def report_asset(
    settings: Settings, pipeline: HourPipeline, keys: Keys, pages: Pages
) -> dg.AssetsDefinition:
    """The page of the newest whole days."""

    @dg.multi_asset(
        name=keys.named(RETURNS_REPORT.name),
        specs=[pages.signal(RETURNS_REPORT, kinds=("html",))],
    )
    def returns_report() -> dg.MaterializeResult[None]:
        """Put the page into the lake, and leave the digest of the week for the alerts."""
        lake = pipeline.lake
        with pipeline.in_its_words():
            figures = gather(lake, settings.report_time_zone, options_of(settings))
            place = dg.MetadataValue.text(lake.store.uri(files.put(lake, figures)))
        if figures is None:
            return dg.MaterializeResult(metadata={"dagster/uri": place, "returns": 0})
        if settings.weekly_digest:
            hand_over(lake, digest_of(figures, str(place.value)))
        return dg.MaterializeResult(
            metadata={
                "dagster/uri": place,
                "what stands out": dg.MetadataValue.md(_listed(figures)),
                **summary.numbers(figures),
            },
        )

    return returns_report


def digest_of(figures: Figures, place: str) -> Digest:
    """The digest of the week that ended last before the end of the report."""
    last = figures.now.last
    sunday = last - timedelta(days=(last.weekday() - SUNDAY) % 7)
    lines = summary.digest(figures, place)
    return Digest(week=sunday.isoformat(), title=summary.title(figures), lines=lines)


def report_sensor(
    settings: Settings, pipeline: HourPipeline, clock: Callable[[], datetime], keys: Keys
) -> dg.SensorDefinition:
    """Once a day what is made of the whole lake, and at once where it was never made."""
    zone = settings.report_time_zone
    assets = (*ALL_TIME, RETURNS_REPORT.name)

    @dg.sensor(
        name=keys.named(SENSOR),
        job=dg.define_asset_job(
            keys.named(JOB),
            selection=dg.AssetSelection.assets(*keys.all_of(assets)),
            description="The tables of all time, and the report.",
            tags=keys.tags_of(JOB),
        ),
        minimum_interval_seconds=300,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Makes the report and the tables of all time, two hours after each day.",
    )
    def report_by_day(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        over = Day.of(clock() - AFTER - settings.settle, zone).date - timedelta(days=1)
        day, _, tries = (context.cursor or "").partition(" ")
        number = int(tries or 0) + 1 if day == over.isoformat() else 1
        if number > 1 and not _has_failed(context.instance, keys):
            return dg.SkipReason(f"Made since {over} was over.")
        if number > TRIES:
            return dg.SkipReason(f"It failed {TRIES} times since {over} was over.")
        if not dates_in(pipeline.lake.store, tables.RETURNS.name):
            return dg.SkipReason("No hour is made yet.")
        return dg.SensorResult(
            run_requests=[dg.RunRequest(run_key=f"report:{over}:{number}")],
            cursor=f"{over} {number}",
        )

    return report_by_day


def _has_failed(instance: dg.DagsterInstance, keys: Keys) -> bool:
    """Whether the newest run of the job has failed; one that is under way has not."""
    runs = instance.get_runs(dg.RunsFilter(job_name=keys.named(JOB)), limit=LOOKED_AT)
    newest = next((run for run in runs if keys.is_tagged(run)), None)
    return newest is not None and newest.status is dg.DagsterRunStatus.FAILURE


def _listed(figures: Figures) -> str:
    found = standouts.find(figures)
    return "\n".join(f"- {one.text}" for one in found) or "Nothing stands out."
