"""The contents page: every asset, top to bottom as the data flows.

All hourly assets are made by one step. Dagster skips every step downstream of a failed one for the
whole range of a run; in one step a bad hour takes nothing but itself along, each hour is reported
as it is done, and re-executing a backfill from failure asks for the failed hours only.
"""

from collections.abc import Iterator

import dagster as dg

from returns_orchestration import tables
from returns_orchestration.defs import checks, metadata
from returns_orchestration.defs.river import run_partitions
from returns_orchestration.settings import Settings

CHUNK_HOURS = 168
"""Hours in one run of a backfill: a week is minutes of work, so that progress shows and a killed
run repeats little, and long enough that starting the run (about 4 s) is small beside it."""

OWNERS = ("team:returns",)

DEPENDS_ON: dict[str, tuple[str, ...]] = {
    "raw_returns": (),
    "returns": ("raw_returns",),
    "rejected_returns": ("raw_returns",),
    "return_items": ("returns",),
    "refund_modes_hourly": ("returns", "return_items"),
    "return_reasons_hourly": ("return_items",),
}
"""Asset to the assets it is made of, in flow order."""

GROUPS = {
    "raw_returns": "clickpost",
    "returns": "returns",
    "rejected_returns": "returns",
    "return_items": "returns",
    "refund_modes_hourly": "aggregates",
    "return_reasons_hourly": "aggregates",
}

KINDS = {"raw_returns": {"python", "rest", "parquet"}}


class RiverConfig(dg.Config):
    """What a run may be told in the launchpad."""

    missing_only: bool = False
    """Ask only for hours that have no poll in the lake yet; False polls every hour of the run."""


def hourly_partitions(settings: Settings) -> dg.HourlyPartitionsDefinition:
    """The hours there are: from RETURNS_START to the last that has ended, UTC."""
    return dg.HourlyPartitionsDefinition(start_date=settings.start, timezone="UTC")


def hourly_assets(settings: Settings) -> dg.AssetsDefinition:
    """The hourly assets with their checks, as one definition that can be subset."""
    hours = hourly_partitions(settings)
    specs = [
        dg.AssetSpec(
            name,
            deps=list(deps),
            description=metadata.description(tables.BY_NAME[name]),
            group_name=GROUPS[name],
            kinds=KINDS.get(name, {"polars", "parquet"}),
            owners=list(OWNERS),
            metadata=metadata.of_definition(tables.BY_NAME[name]),
            skippable=True,
        )
        for name, deps in DEPENDS_ON.items()
    ]

    @dg.multi_asset(
        name="hourly_river",
        specs=specs,
        check_specs=checks.specs(hours),
        partitions_def=hours,
        backfill_policy=dg.BackfillPolicy.multi_run(CHUNK_HOURS),
        can_subset=True,
        pool="clickpost_api",
        required_resource_keys={"river"},
    )
    def hourly_river(
        context: dg.AssetExecutionContext, config: RiverConfig
    ) -> Iterator[dg.MaterializeResult[None]]:
        """Poll each hour, keep what is new, make its tables, judge them, publish them."""
        run_partitions(context, context.resources.river, missing_only=config.missing_only)
        yield from ()  # every hour has been reported when it was done; nothing is left to return

    return hourly_river
