"""The Dagster definitions: ``build_defs`` makes new ones, and Dagster loads ``defs``.

Settings are read once, when this module is loaded; credentials are read when a run is about to send
a request. Loading opens no socket, no folder and no secret. Warnings about the settings go to the
log. Dagster's telemetry is switched off.
"""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from returns_orchestration.clickpost import ClickPostClient, RetryPolicy, Timeouts
from returns_orchestration.defs import (
    alerting,
    automation,
    changes,
    lost_runs,
    prune,
    reports,
    webhook_assets,
    webhooks,
)
from returns_orchestration.defs.assets import (
    all_time_assets,
    daily_assets,
    daily_partitions,
    hourly_assets,
    hourly_partitions,
)
from returns_orchestration.defs.keys import Keys
from returns_orchestration.defs.pages import Pages, with_code
from returns_orchestration.flow.days import DayBuilder
from returns_orchestration.flow.hours import HourPipeline
from returns_orchestration.flow.webhooks.matches import LACKING_AFTER
from returns_orchestration.flow.webhooks.pipeline import WebhookPipeline
from returns_orchestration.flow.webhooks.rules import WebhookRules
from returns_orchestration.lake import Lake, open_store
from returns_orchestration.settings import load_accounts
from returns_orchestration.settings.sources import warnings
from returns_orchestration.stages.typing import RecordReader
from returns_orchestration.state.open_returns import StuckAfter

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from returns_orchestration.clickpost import SharedState
    from returns_orchestration.flow.outcomes import Outcome
    from returns_orchestration.settings import Settings


_log = logging.getLogger(__name__)


def now() -> datetime:
    """The time of day, UTC."""
    return datetime.now(UTC)


def build_pipeline(  # noqa: PLR0913 - its seams
    settings: Settings,
    *,
    clock: Callable[[], datetime] = now,
    retry: RetryPolicy | None = None,
    timeouts: Timeouts | None = None,
    on_outcome: Callable[[Outcome], None] | None = None,
    interruption: threading.Event | None = None,
) -> HourPipeline:
    """The pipeline of ``settings``, with the seams that tests and the command line use."""

    def open_client(
        sleep: Callable[[float], None], rate_limit_in: SharedState | None
    ) -> ClickPostClient:
        settings.credentials()  # absent ones end a run before anything is sent
        return ClickPostClient(
            settings.base_url,
            settings.credentials,
            zone=settings.time_zone,
            max_concurrency=settings.max_concurrency,
            max_requests_per_second=settings.max_requests_per_second,
            retry=retry or RetryPolicy(),
            timeouts=timeouts or Timeouts(),
            clock=clock,
            sleep=sleep,
            rate_limit_in=rate_limit_in,
        )

    lake = Lake(open_store(settings.lake), clock)
    secrets = [secret.get_secret_value() for secret in (settings.key, settings.user_name) if secret]
    pipeline = HourPipeline(
        lake,
        RecordReader(settings.time_zone, secrets),
        open_client,
        settings.max_concurrency,
        days=DayBuilder(lake, settings.report_time_zone, settings.start),
        clock=clock,
        acknowledged=settings.acknowledged,
        keep_raw=settings.keep_raw,
        ages=settings.repoll_after_hours,
        stuck_after=StuckAfter(*(timedelta(hours=hours) for hours in settings.stuck_hours)),
        on_outcome=on_outcome,
        interruption=interruption,
    )
    pipeline.webhooks = _webhooks(settings, pipeline)
    return pipeline


def _webhooks(settings: Settings, pipeline: HourPipeline) -> WebhookPipeline:
    """What makes the tables of webhooks in the lake of ``pipeline``."""
    rules = WebhookRules(
        lost_after=timedelta(hours=settings.webhook_lost_after_hours),
        polls_late=any(
            timedelta(hours=age) >= LACKING_AFTER for age in settings.repoll_after_hours
        ),
        start=settings.start,
    )
    return WebhookPipeline(pipeline, RecordReader(settings.zone_of_webhooks), rules)


def build_all_defs(
    accounts: Sequence[Settings],
    **overrides: Any,  # noqa: ANN401 - passed on as they are
) -> dg.Definitions:
    """Fresh definitions of all ``accounts`` together, each as ``build_defs`` makes it."""
    return dg.Definitions.merge(*(build_defs(settings, **overrides) for settings in accounts))


def build_defs(
    settings: Settings,
    key_prefix: Sequence[str] | None = None,
    **overrides: Any,  # noqa: ANN401 - passed on as they are
) -> dg.Definitions:
    """Fresh definitions for ``settings``; ``overrides`` are those of ``build_pipeline``.

    All asset keys begin with ``key_prefix``, by default RETURNS_KEY_PREFIX, so that one Dagster can
    hold two deployments, each with a lake of its own. Those of an account begin with its name, and
    so do the names of its jobs, sensors, schedules and steps.
    """
    keys = Keys.of_settings(settings)
    if key_prefix is not None:
        keys = keys._replace(prefix=tuple(key_prefix))
    pipeline = build_pipeline(settings, **overrides)
    clock: Callable[[], datetime] = overrides.get("clock", now)
    of_hours_and_days = [automation.hourly_job(keys), automation.days_job(keys)]
    of_webhooks = webhook_assets.webhooks_jobs(keys)
    sensors: list[dg.SensorDefinition] = [
        automation.healing_sensor(settings, pipeline, clock, keys, of_hours_and_days),
        automation.repoll_sensor(settings, pipeline, clock, keys),
        reports.report_sensor(settings, pipeline, clock, keys),
        lost_runs.lost_runs_sensor(clock, keys),
        alerting.incident_sensor(settings, pipeline, clock, keys),
        changes.changes_sensor(pipeline, clock, keys),
        webhooks.webhooks_sensor(pipeline, clock, keys, of_webhooks),
    ]
    hours, days = hourly_partitions(settings), daily_partitions(settings)
    pages = Pages(keys, settings.lake, settings.owners)
    schedules = [automation.live_schedule(settings, keys)]
    names = [sensor.name for sensor in sensors] + [schedule.name for schedule in schedules]
    prune_job = prune.prune_job(settings, pipeline, clock, keys, names)
    return dg.Definitions(
        assets=with_code(
            [
                pages.clickpost(),
                hourly_assets(settings, pipeline, keys, pages),
                daily_assets(settings, pipeline, keys, pages),
                all_time_assets(settings, pipeline, keys, pages),
                reports.report_asset(settings, pipeline, keys, pages),
                alerting.alerts_asset(pages),
                webhook_assets.raw_webhooks_asset(hours, keys, pages),
                webhook_assets.arrived_asset(pipeline, keys, pages),
                *webhook_assets.webhook_assets(pipeline, hours, days, keys, pages),
                changes.changed_hours_asset(pages),
            ]
        ),
        jobs=[
            *of_hours_and_days,
            automation.repoll_job(settings, pipeline, keys),
            *of_webhooks,
            prune_job,
        ],
        schedules=[*schedules, prune.prune_schedule(prune_job, keys)],
        sensors=sensors,
        executor=dg.in_process_executor,
    )


os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "yes")
defs = build_all_defs(load_accounts())
for _warning in warnings():
    _log.warning("%s", _warning)
