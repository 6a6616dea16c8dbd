"""The pipeline that settings describe, for runs of Dagster and for commands that need none.

Credentials are read when a run is about to send a request. Making it opens no socket and no folder.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from returns_orchestration.clickpost import ClickPostClient, RetryPolicy, Timeouts
from returns_orchestration.flow.days import DayBuilder
from returns_orchestration.flow.hours import HourPipeline
from returns_orchestration.flow.webhooks.matches import LACKING_AFTER
from returns_orchestration.flow.webhooks.pipeline import WebhookPipeline
from returns_orchestration.flow.webhooks.rules import WebhookRules
from returns_orchestration.lake import Lake, open_store
from returns_orchestration.stages.typing import RecordReader
from returns_orchestration.state.open_returns import StuckAfter

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from returns_orchestration.clickpost import SharedState
    from returns_orchestration.flow.outcomes import Outcome
    from returns_orchestration.settings import Settings


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
        wording=settings.wording,
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
