"""Alerts without Dagster: a lake, hours made by hand, a clock, and a channel that remembers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from support.receiver import Receiver, receiving

from returns_orchestration.alerts.outbox import Message
from returns_orchestration.alerts.state import WATCH, State, read_state
from returns_orchestration.alerts.tick import Alerts, Outcome
from returns_orchestration.alerts.watch import Situation, Watch
from returns_orchestration.lake import Lake
from returns_orchestration.lake.entry_kinds import Poll
from returns_orchestration.lake.journal import JOURNAL, folder_of
from returns_orchestration.lake.names import date_of, inputs_of
from returns_orchestration.lake.store import FolderStore, Listed
from returns_orchestration.settings import Settings, load_settings
from returns_orchestration.stages.rules import Rules
from returns_orchestration.state.days import inputs_of_day
from returns_orchestration.state.failing_claims import Evaluation, FailedClaim
from returns_orchestration.state.health import Storage
from returns_orchestration.state.hour_index import decode
from returns_orchestration.window import Day, Window, days_of, windows_between

START = datetime(2026, 11, 1, tzinfo=UTC)


class Hours(FolderStore):
    """A lake of any age: its journal shows every hour as complete, except those ``gone``.

    Each was waived, the cheapest entry; the tables that a test published are also there.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.gone: Collection[Window] = ()
        self.dates = 0
        """How many dates of the journal were listed."""

    def between(self, prefix: str, start: str, stop: str) -> Iterator[Listed]:
        found = [*super().between(prefix, start, stop)]
        if prefix == JOURNAL:
            first, last = (date_of(f"{place[:24]}/") for place in (start, stop))
            assert first
            assert last
            begin = datetime.combine(first, time(), UTC)
            span = begin, begin + (last - first) + timedelta(days=1)
            self.dates += (last - first).days + 1
            found += [
                Listed(f"{folder_of(window.key)}waived.json", 1)
                for window in windows_between(*span)
                if window not in self.gone
            ]
        yield from sorted(found)


@dataclass
class Desk:
    """One lake whose hours exist or not, as the test decides, and the alerts about them."""

    settings: Settings
    store: Hours
    channels: list[str] = field(default_factory=lambda: ["mail 1"])
    now: datetime = START
    gone: set[Window] = field(default_factory=set)
    sent: list[tuple[str, Message]] = field(default_factory=list)
    down: dict[str, str] = field(default_factory=dict)
    last_tick: datetime | None = None
    known: dict[Window, str] = field(default_factory=dict)
    """The newest polls in Dagster's log."""

    def __post_init__(self) -> None:
        self.lake = Lake(self.store, lambda: START)

    def alerts(self, post: Callable[[str, Message], str] | None = None) -> Alerts:
        return Alerts(
            settings=self.settings,
            lake=self.lake,
            channels=self.channels,
            post=post or self.post,
            monotonic=lambda: 0.0,
        )

    def publish(self, returns: Mapping[Window, int]) -> None:
        """Hours that were polled and hold that many returns, and days that count them."""
        names = self.lake.names()
        for window, count in returns.items():
            poll = Poll(
                period=window.key,
                number=1,
                polled_at=window.end + timedelta(minutes=10),
                noted_at=window.end + timedelta(minutes=10),
                rows=count,
                size=1,
                sha256="0" * 16,
                zone="UTC",
            )
            self.lake.entries.put(names, poll)
            self.lake.publish(
                names,
                window,
                {},
                inputs=inputs_of(window, names),
                rules=Rules.of_today().hours,
                made_of=[],
                facts={"returns": count, "rejected": 0},
            )
        zone = self.settings.report_time_zone
        for day in sorted({day for window in returns for day in days_of(window, zone)}):
            self.publish_day(day, {}, sum(returns.values()))

    def publish_day(self, day: Day, frames: Mapping[str, pl.DataFrame], returns: int) -> None:
        names = self.lake.names()
        self.lake.publish(
            names,
            day,
            frames,
            inputs=inputs_of_day(day, names),
            rules=Rules.of_today().days,
            made_of=[],
            facts={"returns": returns, "hours": 24},
        )

    def post(self, name: str, message: Message) -> str:
        if name in self.down:
            return self.down[name]
        self.sent.append((name, message))
        return ""

    def tick(
        self,
        *evaluations: Evaluation,
        absent: str = "",
        storage: Storage | None = None,
        **seams: Any,
    ) -> Outcome:
        self.store.gone, self.store.dates = self.gone, 0
        outcome = self.alerts(**seams).tick(
            evaluations,
            self.now,
            absent=absent,
            last_tick=self.last_tick,
            known=lambda windows: {w: sha for w, sha in self.known.items() if w in windows},
            storage=storage,
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
    def watch(self) -> Watch:
        content = self.lake.store.get(WATCH)
        assert content is not None
        return decode(content, Watch)

    @property
    def kinds(self) -> list[str]:
        return [incident.kind for incident in self.state.incidents if incident.is_open]


def situation_of(watch: Watch, now: datetime, **more: Any) -> Situation:
    """The situation for detectors on a lake without open incidents, with the usual settings."""
    settings = load_settings(RETURNS_START=START.isoformat())
    given = {
        "watch": watch,
        "opened": {},
        "outboxes": {},
        "found": None,
        "newest": Window.of(now).previous,
        "absent": "",
        "settings": settings,
        "now": now,
    }
    return Situation(**given | more)


def hour(number: float) -> Window:
    """The hour that begins that many hours after the start."""
    return Window.of(START + timedelta(hours=number))


def evaluated(
    window: Window, at: datetime, *failed: str, asset: str = "returns", **facts: str
) -> Evaluation:
    """An evaluation of one hour, with the claims that failed."""
    more = {"weight": "error", "verdict": "fails", "figures": "2 of 9", **facts}
    claims = tuple(FailedClaim(name=n, **more) for n in failed)
    return Evaluation(asset, window.key, at, claims, f"check_of_{asset}")


def unread(window: Window, at: datetime, cause: str) -> Evaluation:
    """The evaluation of an hour that could not be read, with its error."""
    return evaluated(window, at, "the_hour_was_read", asset="raw_returns", cause=cause)


@pytest.fixture
def desk(folder: Path) -> Desk:
    settings = load_settings(
        env_file=folder / "none",
        RETURNS_LAKE=str(folder),
        RETURNS_START=START.isoformat(),
        RETURNS_ALERT_QUIET_HOURS="none",
    )
    return Desk(settings, Hours(folder))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found
