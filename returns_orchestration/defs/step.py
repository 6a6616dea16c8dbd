"""The one step: it runs the pipeline over its hours or days, and fails naming those that did."""

from __future__ import annotations

import threading
from datetime import date
from typing import TYPE_CHECKING

import dagster as dg

from returns_orchestration.defs import history
from returns_orchestration.defs.events import StepEvents
from returns_orchestration.defs.rate_limits import shared_rate_limit
from returns_orchestration.defs.repeats import failing_since
from returns_orchestration.errors import HourBlocked, LakeUnwritable, ReturnsError
from returns_orchestration.flow.ahead import one_ahead
from returns_orchestration.window import Day, Window

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from returns_orchestration.defs.keys import Keys
    from returns_orchestration.flow.hours import HourPipeline
    from returns_orchestration.settings import Settings


def run_partitions(
    context: dg.AssetExecutionContext,
    pipeline: HourPipeline,
    settings: Settings,
    keys: Keys,
    *,
    missing_only: bool,
) -> None:
    """Run the partitions and the selection of this step. Raises dg.Failure, see `run_hours`."""
    windows = [Window.from_key(key) for key in context.partition_keys]
    of_checks = {key.asset_key for key in context.selected_asset_check_keys}
    selected = keys.names(context.selected_asset_keys)
    # A check executed alone makes the tables again, which changes nothing, and judges them.
    events = StepEvents(context, pipeline, selected, keys.names(of_checks), keys)
    run_hours(
        events,
        pipeline,
        settings,
        windows,
        missing_only=missing_only,
        polled_since=failing_since(context.instance, context.run),
        remake=history.unreported(context.instance, windows, keys),
        known=history.newest_polls(context.instance, windows, keys),
    )


def run_days(context: dg.AssetExecutionContext, pipeline: HourPipeline, keys: Keys) -> None:
    """Make the days of this step. Raises dg.Failure naming the days that failed, and why."""
    selected = keys.names(context.selected_asset_keys)
    events = StepEvents(context, pipeline, selected, set(), keys)
    faults: list[str] = []
    for key in context.partition_keys:
        day = Day(date.fromisoformat(key), pipeline.days.zone)
        try:
            built = pipeline.days.build(
                pipeline.lake.names(), day, pipeline.clock(), check_files=True
            )
            with events.together():
                events.log_day(built)
        except ReturnsError as error:
            error.reword(pipeline.wording)
            faults.append(str(error))
            if isinstance(error, HourBlocked):
                events.block_day(error)
            if isinstance(error, LakeUnwritable):  # so are all other days
                break
    if faults:
        raise dg.Failure("\n".join(faults))


def run_hours(  # noqa: PLR0913 - the options of HourPipeline.run
    events: StepEvents,
    pipeline: HourPipeline,
    settings: Settings,
    windows: Sequence[Window],
    *,
    missing_only: bool,
    polled_since: datetime | None = None,
    remake: Collection[Window] = (),
    known: Mapping[Window, str] | None = None,
) -> None:
    """Run ``windows``. Raises dg.Failure naming the hours that failed, and why."""
    interruption = threading.Event()
    with shared_rate_limit(events.instance, settings, events.keys) as rate_limit_in:
        outcomes = pipeline.run(
            windows,
            poll=events.polls,
            make=events.makes,
            missing_only=missing_only,
            polled_since=polled_since,
            remake=remake,
            known=known,
            rate_limit_in=rate_limit_in,
            interruption=interruption,
        )
        for outcome in one_ahead(outcomes, stop=interruption.set):
            with events.together():
                events.add(outcome)
            del outcome  # its tables, before the next ones are made
    with events.together():
        failure = events.finish()
    if failure is not None:
        raise failure
