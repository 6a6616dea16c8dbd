"""Alerts without Dagster: a lake, hours made by hand, a clock, and a channel that remembers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from receiver import Receiver, receiving

from returns_orchestration.alerts.facts import Evaluation, FailedClaim
from returns_orchestration.alerts.outbox import Message
from returns_orchestration.alerts.state import State, read_state
from returns_orchestration.alerts.tick import Alerts, Outcome
from returns_orchestration.lake import Lake
from returns_orchestration.settings import Settings, load_settings
from returns_orchestration.window import Window

START = datetime(2026, 11, 1, tzinfo=UTC)


@dataclass
class Desk:
    """One lake whose hours are there or not, as the test says, and the alerts about them."""

    settings: Settings
    lake: Lake
    channels: list[str] = field(default_factory=lambda: ["mail 1"])
    now: datetime = START
    gone: set[Window] = field(default_factory=set)
    sent: list[tuple[str, Message]] = field(default_factory=list)
    down: dict[str, str] = field(default_factory=dict)
    looked_at: int = 0
    last_tick: datetime | None = None

    def alerts(self, post: Callable[[str, Message], str] | None = None) -> Alerts:
        return Alerts(
            self.settings,
            self.lake,
            self.needs_nothing,
            channels=self.channels,
            post=post or self.post,
            monotonic=lambda: 0.0,
        )

    def needs_nothing(self, window: Window) -> bool:
        self.looked_at += 1
        return window not in self.gone

    def post(self, name: str, message: Message) -> str:
        if name in self.down:
            return self.down[name]
        self.sent.append((name, message))
        return ""

    def tick(self, *evaluations: Evaluation, absent: str = "", **seams: Any) -> Outcome:
        outcome = self.alerts(**seams).tick(
            evaluations, self.now, absent=absent, last_tick=self.last_tick
        )
        self.last_tick = self.now
        return outcome

    def live(self, hours: float, each: Callable[[], list[Evaluation]] = list) -> None:
        """Ten minutes a step."""
        end = self.now + timedelta(hours=hours)
        while self.now < end:
            self.now += timedelta(minutes=10)
            self.tick(*each())

    @property
    def titles(self) -> list[str]:
        return [message.title for _, message in self.sent]

    @property
    def state(self) -> State:
        state = read_state(self.lake)
        assert state is not None
        return state

    @property
    def kinds(self) -> list[str]:
        return [incident.kind for incident in self.state.incidents if incident.is_open]


def hour(number: float) -> Window:
    """The hour that begins so many hours after the start."""
    return Window.of(START + timedelta(hours=number))


def said(
    window: Window, at: datetime, *failed: str, asset: str = "returns", **facts: str
) -> Evaluation:
    """What a check said of one hour: the claims that failed."""
    more = {"weight": "error", "verdict": "fails", "figures": "2 of 9", **facts}
    return Evaluation(asset, window.key, at, tuple(FailedClaim(name=n, **more) for n in failed))


def unread(window: Window, at: datetime, cause: str) -> Evaluation:
    """That an hour could not be read, and which error it was."""
    return said(window, at, "the_hour_was_read", asset="raw_returns", cause=cause)


@pytest.fixture
def desk(lake: Lake, folder: Path) -> Desk:
    settings = load_settings(
        env_file=folder / "none",
        RETURNS_LAKE=str(folder),
        RETURNS_START=START.isoformat(),
        RETURNS_ALERT_QUIET_HOURS="none",
    )
    return Desk(settings, lake)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found
