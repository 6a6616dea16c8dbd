"""A lake of the simulator's shop: weeks of returns, polled again at each age, and webhooks."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Self
from zoneinfo import ZoneInfo

from returns_orchestration.clickpost import Poll
from returns_orchestration.flow.days import DayBuilder
from returns_orchestration.flow.hours import HourPipeline
from returns_orchestration.flow.imports import import_webhooks
from returns_orchestration.flow.outcomes import Failed, Stopped
from returns_orchestration.flow.webhooks.pipeline import WebhookPipeline
from returns_orchestration.flow.webhooks.rules import WebhookRules
from returns_orchestration.lake import Lake
from returns_orchestration.simulator import Dataset, SimulatorOptions, WebhookOptions, Webhooks
from returns_orchestration.stages.typing import RecordReader
from returns_orchestration.state.open_returns import StuckAfter
from returns_orchestration.window import Window, windows_between

if TYPE_CHECKING:
    from collections.abc import Sequence

    from returns_orchestration.lake.store import Store

UTC = ZoneInfo("UTC")
INDIA = ZoneInfo("Asia/Kolkata")
AGES = (1, 6, 24, 72, 168, 336, 720)
FIRST = timedelta(minutes=10)


@dataclass
class Shop:
    """A shop whose lake ends at ``now``; ``ages`` are hours after an hour's end, as polled."""

    options: SimulatorOptions
    begin: datetime
    now: datetime
    ages: Sequence[int] = AGES

    def __post_init__(self) -> None:
        self.dataset = Dataset(self.options)
        self._age = timedelta(0)

    @property
    def windows(self) -> list[Window]:
        """The hours that were polled by ``now``."""
        return list(windows_between(self.begin, Window.of(self.now - FIRST).start))

    # ---- as a client of the API

    def poll(self, window: Window) -> Poll:
        """What the API serves when the hour has its age."""
        at = window.end + self._age
        served = tuple(
            record.json.decode() for record in self.dataset.served(window.start, window.end, at)
        )
        return Poll(window, at, served, 1, 1, sum(map(len, served)), 0.1, False, 0)  # noqa: FBT003

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    # ---- the lake

    def pipeline(self, store: Store) -> HourPipeline:
        """The pipeline of its lake, at ``now``."""
        lake = Lake(store, lambda: self.now)
        pipeline = HourPipeline(
            lake,
            RecordReader(UTC),
            lambda *_: self,
            1,
            days=DayBuilder(lake, INDIA, self.begin, wait=lambda _: None),
            clock=lambda: self.now,
            ages=self.ages,
            stuck_after=StuckAfter(),
        )  # type: ignore[arg-type, return-value]
        rules = WebhookRules(timedelta(hours=6), polls_late=True, start=self.begin)
        pipeline.webhooks = WebhookPipeline(pipeline, RecordReader(UTC), rules)
        return pipeline

    def fill(self, store: Store, without: Sequence[Window] = ()) -> HourPipeline:
        """Poll each hour at each age that it has reached; those ``without`` are missing."""
        pipeline = self.pipeline(store)
        for age in (FIRST, *(timedelta(hours=hours) for hours in self.ages)):
            self._age = age
            due = [w for w in self.windows if w.end + age <= self.now and w not in without]
            for outcome in pipeline.run(due, make=False):
                assert not isinstance(outcome, Failed | Stopped), outcome
        made = [window for window in self.windows if window not in without]
        for outcome in pipeline.run(made, poll=False):
            assert not isinstance(outcome, Failed | Stopped), outcome
        return pipeline

    def deliver(
        self,
        pipeline: HourPipeline,
        options: WebhookOptions,
        worse: WebhookOptions,
        since: datetime,
    ) -> None:
        """Bring in the webhooks of all hours; from ``since`` they have the fate of ``worse``."""
        sent: list[tuple[datetime, bytes]] = []
        for window in self.windows:
            fate = worse if window.start >= since else options
            of_hour = Webhooks(self.dataset, replace(fate, states=False))
            events = of_hour.of_returns(window.start, window.end)
            sent += [(at, event.body) for event in events for at in event.sent_at if at < self.now]
        lines = (
            json.dumps({"received_at": at.isoformat(), "body": body.decode()})
            for at, body in sorted(sent)
        )
        with tempfile.NamedTemporaryFile("w", suffix=".ndjson") as file:
            file.writelines(f"{line}\n" for line in lines)
            file.flush()
            import_webhooks(
                pipeline.lake, Path(file.name), start=self.windows[0].start, now=self.now
            )
        assert pipeline.webhooks
        dates = {window.start.date() for window in self.windows}
        assert not pipeline.webhooks.run(dates).failed
