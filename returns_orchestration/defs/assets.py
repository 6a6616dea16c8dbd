"""The definitions of the assets, top to bottom as the data flows; ``registry`` declares each.

One step makes all hourly assets. Dagster skips every step downstream of a failed one for the whole
range of a run; in one step a bad hour fails alone, each hour is reported as it is done, and
re-executing a backfill from failure asks for the failed hours only.
"""

from collections.abc import Iterable, Iterator

import dagster as dg

from returns_orchestration import tables
from returns_orchestration.defs import checks, metadata
from returns_orchestration.defs.keys import Keys
from returns_orchestration.defs.pages import Pages
from returns_orchestration.defs.registry import ALL_TIME, DAILY, HOURLY, Asset
from returns_orchestration.defs.step import run_days, run_partitions
from returns_orchestration.flow.hours import HourPipeline
from returns_orchestration.settings import Settings
from returns_orchestration.state import lateness, open_returns
from returns_orchestration.window import CHUNK_HOURS, Ever

HOURLY_STEP = "hourly_tables"
POOL = "clickpost_api"
"""The pool of all steps that send requests; dagster.yaml limits it to one run at a time."""

CHUNK_DAYS = 90
"""Days in one run of a backfill of days: each reads some 50 small files."""


class StepConfig(dg.Config):
    """The configuration of a run in the launchpad."""

    missing_only: bool = False
    """Ask only for hours that have no poll in the lake yet; False polls every hour of the run."""


def hourly_partitions(settings: Settings) -> dg.HourlyPartitionsDefinition:
    """The hours there are: from RETURNS_START to the last that has ended, UTC."""
    return dg.HourlyPartitionsDefinition(start_date=settings.start, timezone="UTC")


def daily_partitions(settings: Settings) -> dg.DailyPartitionsDefinition:
    """The days of the report's zone, from that of RETURNS_START to today's."""
    zone = settings.report_time_zone
    first = settings.start.astimezone(zone).strftime("%Y-%m-%d")
    return dg.DailyPartitionsDefinition(start_date=first, timezone=zone.key, end_offset=1)


def hourly_assets(
    settings: Settings, pipeline: HourPipeline, keys: Keys, pages: Pages
) -> dg.AssetsDefinition:
    """The hourly assets with their checks, as one definition that can be subset."""
    hours = hourly_partitions(settings)
    specs = [_spec(pages, asset, keys.all_of(asset.inputs)) for asset in HOURLY.values()]

    @dg.multi_asset(
        name=keys.named(HOURLY_STEP),
        specs=specs,
        check_specs=[*checks.specs(HOURLY.values(), hours, keys), checks.new_names(keys)],
        partitions_def=hours,
        backfill_policy=dg.BackfillPolicy.multi_run(CHUNK_HOURS),
        can_subset=True,
        pool=keys.named(POOL),
    )
    def hourly_tables(
        context: dg.AssetExecutionContext, config: StepConfig
    ) -> Iterator[dg.MaterializeResult[None]]:
        """Poll each hour, keep what is new, make its tables, judge them, publish them."""
        with pipeline.in_its_words():
            run_partitions(context, pipeline, settings, keys, missing_only=config.missing_only)
        yield from ()  # each hour was reported when it was done; nothing is left to return

    return hourly_tables


def daily_assets(
    settings: Settings, pipeline: HourPipeline, keys: Keys, pages: Pages
) -> dg.AssetsDefinition:
    """The daily assets; a run of hours makes the days it touches, and any day can be made alone."""
    days = daily_partitions(settings)
    rows = [
        keys.all_partitions_of(name)
        for name in dict.fromkeys(name for asset in DAILY.values() for name in asset.inputs)
    ]

    @dg.multi_asset(
        name=keys.named("daily_tables"),
        specs=[_spec(pages, asset, rows) for asset in DAILY.values()],
        check_specs=checks.specs(DAILY.values(), days, keys),
        partitions_def=days,
        backfill_policy=dg.BackfillPolicy.multi_run(CHUNK_DAYS),
        can_subset=True,
    )
    def daily_tables(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        """Count each day's returns and items again."""
        with pipeline.in_its_words():
            run_days(context, pipeline, keys)
        yield from ()  # each day was reported when it was done

    return daily_tables


def all_time_assets(
    settings: Settings, pipeline: HourPipeline, keys: Keys, pages: Pages
) -> dg.AssetsDefinition:
    """The assets of all time: how late returns appear, and which returns are open."""
    specs = [
        _spec(pages, asset, [keys.all_partitions_of(name) for name in asset.inputs])
        for asset in ALL_TIME.values()
    ]

    @dg.multi_asset(
        name=keys.named("all_time_tables"),
        specs=specs,
        check_specs=checks.specs(ALL_TIME.values(), None, keys),
    )
    def all_time_tables() -> Iterator[dg.MaterializeResult[None]]:
        """Made together over the whole lake, after the log of polls is folded, a file a date."""
        lake = pipeline.lake
        with pipeline.in_its_words():
            for day in lake.poll_log.dates():
                lake.poll_log.fold(day)
            built = pipeline.all_time.build()
        frames = built.frames
        ages = settings.repoll_after_hours
        late, opened = frames[tables.LATENESS.name], frames[tables.OPEN_RETURNS.name]
        shown = {
            tables.LATENESS.name: metadata.of_lateness(late, ages),
            tables.OPEN_RETURNS.name: metadata.of_open_returns(opened),
        }
        claims = {
            tables.LATENESS.name: lateness.seen_by_the_last_age(late, ages),
            tables.OPEN_RETURNS.name: open_returns.looked_at_when_due(opened, built.absent),
        }
        for asset in ALL_TIME.values():
            file = metadata.of_table(frames[asset.name].height, lake.uri(asset.table, Ever()))
            yield dg.MaterializeResult(
                asset_key=keys.of(asset.name),
                metadata={**file, **shown[asset.name]},
                check_results=[
                    checks.result(keys.of(asset.name), [claims[asset.name]], pipeline.wording)
                ],
            )

    return all_time_tables


def _spec(pages: Pages, asset: Asset, deps: Iterable[dg.AssetKey | dg.AssetDep]) -> dg.AssetSpec:
    return pages.spec(asset.table, group=asset.group, deps=deps, kinds=asset.kinds, skippable=True)
