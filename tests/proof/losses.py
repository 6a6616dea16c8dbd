"""Normal traffic of webhooks raises no alert, and a loss of 5 % raises one within a day.

400 returns a day: polls, webhooks of which 1 in 1,000 is lost, the tables of both, and a look of
the alerts each hour. After so many days the loss is 5 %.
"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from flow.conftest import FakeApi
from obstore.store import MemoryStore
from proof.result import Result
from support.webhooks import pipeline, received, receiver_note

from returns_orchestration.alerts.outbox import Message
from returns_orchestration.alerts.tick import Alerts
from returns_orchestration.lake import Lake
from returns_orchestration.lake.store import ObjectStore
from returns_orchestration.settings import load_settings
from returns_orchestration.simulator import (
    Dataset,
    SentWebhook,
    SimulatorOptions,
    WebhookOptions,
    Webhooks,
)
from returns_orchestration.window import Window, windows_between

START = datetime(2026, 11, 1, tzinfo=UTC)
RETURNS_A_DAY = 400
NORMAL, BAD = 0.001, 0.05
WITHIN = timedelta(hours=24)
LISTENED_BEFORE = START - timedelta(hours=2)


class Traffic:
    """A lake that grows hour by hour, and the alerts that look at it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._objects = MemoryStore()
        self._dataset = Dataset(
            SimulatorOptions(
                seed=seed, returns_per_hour=RETURNS_A_DAY / 24, oddities=0.0, late_share=0.0
            )
        )
        self._settings = load_settings(
            env_file=folder / "none",
            RETURNS_LAKE=str(folder),
            RETURNS_START=START.isoformat(),
            RETURNS_ALERT_QUIET_HOURS="none",
        )
        self._waiting: list[tuple[datetime, SentWebhook]] = []
        self._delivered = 0
        self._last_tick: datetime | None = None
        self.told: list[tuple[datetime, Message]] = []
        self.lost: list[datetime] = []
        """When the returns were requested whose webhook was lost."""
        lake = self.lake(START)
        received(lake, (LISTENED_BEFORE, b"{}"), instance="00000000")

    def lake(self, now: datetime) -> Lake:
        """The lake, seen by a process that starts now."""
        return Lake(ObjectStore(self._objects, "memory://lake"), lambda: now)

    def live(self, window: Window, loss: float) -> None:
        """One hour, until 12 minutes after its end."""
        now = window.end + timedelta(minutes=12)
        lake = self.lake(now)
        options = WebhookOptions(loss=loss, twice=0.01, shuffle=True)
        for event in Webhooks(self._dataset, options).of_returns(window.start, window.end):
            self._waiting += [(at, event) for at in event.sent_at]
            if event.is_placed and event.is_lost:
                self.lost.append(event.requested_at)
        self._deliver(lake, window.end)
        lake.webhooks.listened("00000000", window.start, window.end)
        served = self._dataset.served(window.start, window.end, now)
        texts = [record.json.decode() for record in served]
        many = FakeApi(lambda _: texts, always_at=now).pipeline(lake)
        many.clock = lambda: now
        list(many.run([window]))
        pipeline(self.lake(now), now, start=START).run()
        self._look(now)

    def _deliver(self, lake: Lake, until: datetime) -> None:
        due = sorted((one for one in self._waiting if one[0] < until), key=lambda one: one[0])
        self._waiting = [one for one in self._waiting if one[0] >= until]
        bodies = [(at, event.body) for at, event in due]
        received(lake, *bodies, first=self._delivered + 1)
        self._delivered += len(bodies)

    def _look(self, now: datetime) -> None:
        lake = self.lake(now)
        lake.webhooks.note(receiver_note(at=now, began=LISTENED_BEFORE, since=LISTENED_BEFORE))

        def post(_: str, message: Message) -> str:
            self.told.append((now, message))
            return ""

        Alerts(settings=self._settings, lake=lake, channels=["mail 1"], post=post).tick(
            [], now, absent="", last_tick=self._last_tick, known=lambda _: {}
        )
        self._last_tick = now


def told_of_losses(days: int, seed: int) -> Result:
    """So many normal days, then one with 5 % loss."""
    result = Result(seed)
    with tempfile.TemporaryDirectory() as folder:
        traffic = Traffic(Path(folder), seed)
        end = START + timedelta(days=days)
        for window in windows_between(START, end):
            traffic.live(window, NORMAL)
        lost = len(traffic.lost)
        result.faults += [f"told in normal traffic: {m.title}" for _, m in traffic.told]
        result.tried = days
        found, since = _told_after(traffic, end)
        result.faults += found
    hours = "" if since is None else f"; told {since / timedelta(hours=1):.1f} h after the first"
    result.notes = f"{lost} of about {RETURNS_A_DAY * days:,} lost without an alert{hours} of 5 %"
    return result


def _told_after(traffic: Traffic, end: datetime) -> tuple[list[str], timedelta | None]:
    """What is wrong after ``end`` with a loss of 5 %, and the time from the first to the alert."""
    traffic.told.clear()
    traffic.lost.clear()
    window = Window.of(end)
    while not traffic.told and window.start < end + 2 * WITHIN:
        traffic.live(window, BAD)
        window = window.next
    if not traffic.told:
        return ["a loss of 5 % was not told"], None
    at, message = traffic.told[0]
    since = at - traffic.lost[0]
    faults = [] if "were lost" in message.title else [f"told instead: {message.title}"]
    return faults + ([f"told only after {since}"] if since > WITHIN else []), since
