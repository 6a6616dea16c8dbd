"""All definitions of a deployment, made of its settings: what Dagster calls a code location.

Importing this module makes none: ``definitions`` does, for Dagster, and each command for itself.
Making opens no socket, no folder and no secret.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

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
from returns_orchestration.flow.from_settings import build_pipeline, now

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from returns_orchestration.settings import Settings


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
