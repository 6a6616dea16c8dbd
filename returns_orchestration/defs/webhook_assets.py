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
from returns_orchestration.defs import checks
from returns_orchestration.defs.keys import Keys
from returns_orchestration.defs.pages import Pages
from returns_orchestration.defs.registry import (
    CLICKPOST,
    SOURCE,
    WEBHOOKS_ARRIVED,
    WEBHOOKS_DAILY,
    WEBHOOKS_HOURLY,
    Asset,
)
from returns_orchestration.defs.webhooks import JOB, Reports
from returns_orchestration.flow.hours import HourPipeline
from returns_orchestration.flow.webhooks.pipeline import WebhookRun
from returns_orchestration.stages.webhooks import FATES
from returns_orchestration.window import Day, Window
from returns_orchestration.words import count


def raw_webhooks_asset(
    hours: dg.HourlyPartitionsDefinition, keys: Keys, pages: Pages
) -> dg.AssetSpec:
    """What the receiver writes."""
    spec = pages.spec(
        tables.RAW_WEBHOOKS, group=SOURCE, deps=[keys.of(CLICKPOST)], kinds=("parquet",)
    )
    return spec.replace_attributes(partitions_def=hours)


def arrived_asset(pipeline: HourPipeline, keys: Keys, pages: Pages) -> dg.AssetsDefinition:
    """The asset whose run makes all tables of webhooks."""

    @dg.multi_asset(
        name=keys.named(WEBHOOKS_ARRIVED.name),
        specs=[pages.signal(WEBHOOKS_ARRIVED)],
        config_schema={
            "dates": dg.Field(
                [str], default_value=[], description="UTC dates beside the newest, as 2026-11-09."
            )
        },
    )
    def arrived(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        """Make what does not follow from webhooks and polls, and report it."""
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
    pipeline: HourPipeline,
    hours: dg.HourlyPartitionsDefinition,
    days: dg.DailyPartitionsDefinition,
    keys: Keys,
    pages: Pages,
) -> list[dg.AssetsDefinition]:
    """The tables of webhooks by hour and by day, each of which can be made by itself."""
    return [
        _tables("webhook_tables_of_hours", WEBHOOKS_HOURLY.values(), pipeline, hours, keys, pages),
        _tables("webhook_tables_of_days", WEBHOOKS_DAILY.values(), pipeline, days, keys, pages),
    ]


def _tables(  # noqa: PLR0913, PLR0917 - what it is made of
    name: str,
    assets: Iterable[Asset],
    pipeline: HourPipeline,
    partitions: dg.PartitionsDefinition,
    keys: Keys,
    pages: Pages,
) -> dg.AssetsDefinition:
    assets = list(assets)
    of_days = isinstance(partitions, dg.DailyPartitionsDefinition)
    specs = [
        pages.spec(
            asset.table,
            group=asset.group,
            # An event belongs to the hour of its request and to that of its receipt.
            deps=[keys.all_partitions_of(upstream) for upstream in asset.inputs],
            kinds=asset.kinds,
            skippable=True,
        )
        for asset in assets
    ]

    @dg.multi_asset(
        name=keys.named(name),
        specs=specs,
        check_specs=checks.specs(assets, partitions, keys),
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        can_subset=True,
    )
    def made(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        """Make the tables of these dates again where they do not follow, and report them."""
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


def webhooks_jobs(keys: Keys) -> list[Any]:
    """The run of webhooks, and the tables of one hour or day of them.

    By these Dagster shows on the pages of the tables which sensor they follow.
    """
    assets = {
        JOB: (WEBHOOKS_ARRIVED.name,),
        "webhook_hours": WEBHOOKS_HOURLY,
        "webhook_days": WEBHOOKS_DAILY,
    }
    return [
        dg.define_asset_job(
            keys.named(name),
            selection=dg.AssetSelection.assets(*keys.all_of(of_job)),
            description=f"Makes {', '.join(of_job)}.",
            tags=keys.tags_of(name),
        )
        for name, of_job in assets.items()
    ]


def _run(
    context: dg.AssetExecutionContext, pipeline: HourPipeline, dates: Collection[date], keys: Keys
) -> WebhookRun:
    """Make and report. Raises dg.Failure naming the hours whose files cannot be read."""
    webhooks = pipeline.webhooks
    if webhooks is None:
        message = "This pipeline has no webhooks."
        raise dg.Failure(message)
    with pipeline.in_its_words():
        done = webhooks.run(dates)
    touched = {window.start.date() for window in (*done.received, *done.matched)}
    touched |= {day.date for day in done.days} | {window.start.date() for window in done.built}
    reports = Reports(context, pipeline, webhooks, keys)
    reports.report(touched.union(dates), pipeline.clock(), done.built)
    if done.failed:
        faults = "\n".join(f"- {window.text}: {e}" for window, e in sorted(done.failed.items()))
        faults = pipeline.wording(faults)
        raise dg.Failure(f"{count(len(done.failed), 'hour')} failed.\n{faults}")
    return done
