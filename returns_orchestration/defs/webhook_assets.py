"""The assets of webhooks, and their run.

`raw_webhooks` is written by the receiver. The run of `webhooks_arrived` makes all other tables,
whatever hours they concern, and reports each hour once it is over: an hour is touched by every
webhook that comes, and a run for each would be hundreds a day. Any hour or day can be made by
itself in the UI, too, which does the same for its date.
"""

from collections.abc import Collection, Iterable, Iterator
from datetime import date
from typing import Any

import dagster as dg

from returns_orchestration import tables
from returns_orchestration.defs import checks, metadata
from returns_orchestration.defs.keys import Keys
from returns_orchestration.defs.registry import (
    OWNER,
    RAW_WEBHOOKS,
    WEBHOOKS_ARRIVED,
    WEBHOOKS_DAILY,
    WEBHOOKS_HOURLY,
    Asset,
)
from returns_orchestration.defs.webhooks import JOB, Reports
from returns_orchestration.flow.hours import HourPipeline
from returns_orchestration.flow.webhooks import WebhookRun
from returns_orchestration.stages.webhooks import FATES
from returns_orchestration.window import Day, Window
from returns_orchestration.words import count


def raw_webhooks_asset(hours: dg.HourlyPartitionsDefinition, keys: Keys) -> dg.AssetSpec:
    """What the receiver writes."""
    return dg.AssetSpec(
        keys.of(RAW_WEBHOOKS),
        description=metadata.description(tables.RAW_WEBHOOKS),
        group_name="webhooks",
        kinds={"parquet"},
        owners=[OWNER],
        metadata=metadata.of_definition(tables.RAW_WEBHOOKS),
        partitions_def=hours,
    )


def arrived_asset(keys: Keys) -> dg.AssetsDefinition:
    """The asset whose run makes all tables of webhooks."""

    @dg.multi_asset(
        name=WEBHOOKS_ARRIVED.name,
        specs=[
            dg.AssetSpec(
                keys.of(WEBHOOKS_ARRIVED.name),
                deps=[_over_all_hours(keys, name) for name in WEBHOOKS_ARRIVED.inputs],
                description=WEBHOOKS_ARRIVED.meaning,
                group_name=WEBHOOKS_ARRIVED.group,
                owners=[OWNER],
            )
        ],
        required_resource_keys={"pipeline"},
        config_schema={
            "dates": dg.Field(
                [str], default_value=[], description="UTC dates beside the newest, as 2026-11-09."
            )
        },
    )
    def arrived(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        """Make what does not follow from webhooks and polls, and report it."""
        pipeline: HourPipeline = context.resources.pipeline
        dates = {date.fromisoformat(day) for day in context.op_execution_context.op_config["dates"]}
        done = _run(context, pipeline, dates, keys)
        hours = sorted({*done.received, *done.matched})
        shown: dict[str, Any] = {
            "hours": dg.MetadataValue.int(len(hours)),
            **{
                name: dg.MetadataValue.int(sum(made.facts[name] for made in done.received.values()))
                for name in ("deliveries", *FATES)
            },
        }
        if hours:
            shown["first"] = dg.MetadataValue.text(hours[0].key)
            shown["last"] = dg.MetadataValue.text(hours[-1].key)
        yield dg.MaterializeResult(metadata=shown)

    return arrived


def webhook_assets(
    hours: dg.HourlyPartitionsDefinition, days: dg.DailyPartitionsDefinition, keys: Keys
) -> list[dg.AssetsDefinition]:
    """The tables of webhooks by hour and by day, each of which can be made by itself."""
    return [
        _tables("webhook_tables", WEBHOOKS_HOURLY.values(), hours, keys),
        _tables("webhook_days", WEBHOOKS_DAILY.values(), days, keys),
    ]


def _tables(
    name: str, assets: Iterable[Asset], partitions: dg.PartitionsDefinition, keys: Keys
) -> dg.AssetsDefinition:
    assets = list(assets)
    of_days = isinstance(partitions, dg.DailyPartitionsDefinition)
    specs = [
        dg.AssetSpec(
            keys.of(asset.name),
            deps=[
                # An event belongs to the hour of its request and to that of its receipt.
                _over_all_hours(keys, upstream)
                for upstream in asset.inputs
            ],
            description=metadata.description(asset.table),
            group_name=asset.group,
            kinds=set(asset.kinds),
            owners=[OWNER],
            metadata=metadata.of_definition(asset.table),
            skippable=True,
        )
        for asset in assets
    ]

    @dg.multi_asset(
        name=name,
        specs=specs,
        check_specs=checks.specs(assets, partitions, keys),
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        can_subset=True,
        required_resource_keys={"pipeline"},
    )
    def made(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        """Make the tables of these dates again where they do not follow, and report them."""
        pipeline: HourPipeline = context.resources.pipeline
        dates: set[date] = set()
        for key in context.partition_keys:
            if of_days:
                day = Day(date.fromisoformat(key), pipeline.days.zone)
                dates |= {window.start.date() for window in day.windows}
            else:
                dates.add(Window.from_key(key).start.date())
        _run(context, pipeline, dates, keys)
        yield from ()  # each hour was reported when it was made

    return made


def _over_all_hours(keys: Keys, name: str) -> dg.AssetDep:
    return dg.AssetDep(keys.of(name), partition_mapping=dg.AllPartitionMapping())


def webhooks_job(keys: Keys) -> Any:  # noqa: ANN401 - Dagster's class is not public
    """The run of webhooks."""
    return dg.define_asset_job(
        JOB,
        selection=dg.AssetSelection.assets(keys.of(WEBHOOKS_ARRIVED.name)),
        description="Makes the tables of webhooks.",
        tags=keys.tags_of(JOB),
    )


def _run(
    context: dg.AssetExecutionContext, pipeline: HourPipeline, dates: Collection[date], keys: Keys
) -> WebhookRun:
    """Make and report. Raises dg.Failure naming the hours whose files cannot be read."""
    webhooks = pipeline.webhooks
    if webhooks is None:
        message = "This pipeline has no webhooks."
        raise dg.Failure(message)
    done = webhooks.run(dates)
    touched = {window.start.date() for window in (*done.received, *done.matched)}
    touched |= {day.date for day in done.days} | {window.start.date() for window in done.built}
    reports = Reports(context, pipeline, webhooks, keys)
    reports.report(touched.union(dates), pipeline.clock(), done.built)
    if done.failed:
        faults = "\n".join(f"- {window.text}: {e}" for window, e in sorted(done.failed.items()))
        raise dg.Failure(f"{count(len(done.failed), 'hour')} failed.\n{faults}")
    return done
