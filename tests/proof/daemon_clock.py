"""A daemon whose machine has a wrong clock for some hours, while the API's goes right.

Schedules and sensors are driven by hand; an outage begins while the clock is wrong, so that pauses
are noted by it. Every poll is compared with the right time: none before an hour's end, one in time
after each age, and none without an age once the clock is right.
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import dagster as dg
from proof.corruption import findings
from proof.truth import wrong_with_tables
from support.unattended import START, Unattended
from support.world import KEY, USER_NAME, World

from returns_orchestration.alerts.state import read_state
from returns_orchestration.defs.instance import open_instance
from returns_orchestration.flow.from_settings import build_pipeline
from returns_orchestration.flow.outcomes import Failed, Stopped
from returns_orchestration.simulator import Simulator, SimulatorOptions
from returns_orchestration.window import Window, last_settled, windows_between

TICK = timedelta(minutes=10)
HOUR = timedelta(hours=1)
STEPS = [timedelta(minutes=m) for m in (330, -330, 20, 60, -20, 1_200)]
"""How far a clock is ahead: whole ticks, so that schedules reach their minutes."""

AGES = 1, 2
PATIENCE = HOUR + 2 * TICK
"""The longest pause of an hour that fails, and the ticks at its ends."""

MOST_IN_VAIN = 5
"""Polls of an hour before an age while the clock stays wrong: pauses double."""


@dataclass(frozen=True)
class Tick:
    """A moment of the right time: how far the clock was ahead, and whether the API was up."""

    at: datetime
    ahead: timedelta
    is_well: bool

    @property
    def is_right(self) -> bool:
        return not self.ahead


@dataclass
class Polls:
    """Every hour's good polls, and the ticks at which they could be made, by the right time."""

    ticks: list[Tick]
    of: dict[Window, list[datetime]] = field(default_factory=dict)

    @classmethod
    def seen_by(cls, simulator: Simulator, ticks: list[Tick]) -> Polls:
        found = cls(ticks)
        for request in simulator.requests:
            if request.fault is None and request.refusal is None:
                start = datetime.fromisoformat(f"{request.start_time}+00:00")
                found.of.setdefault(Window(start), []).append(request.time)
        return found

    def wrong(self, window: Window, settle: timedelta) -> Iterator[str]:
        """The faults of the polls of ``window``."""
        right = {tick.at for tick in self.ticks if tick.is_right}
        polls = self.of.get(window, [])
        # A request before the end, by a clock that was ahead, was refused, and is no poll.
        good = [at for at in polls if at >= window.end]
        said = f"{window.text} was polled at {[f'{at:%H:%M}' for at in polls]}"
        yield from (f"{said}: before its end" for at in polls if at < window.end and at in right)
        for age in (timedelta(0), *(age * HOUR for age in AGES)):
            due = window.end + (age or settle)
            latest = self._latest(due)
            if latest and not any(window.end + age <= at <= latest for at in good):
                yield f"{said}: none from its age of {age} on until {latest:%H:%M}"
        reached = [window.end + age * HOUR for age in AGES]
        # A clock that is behind notes a poll too early, so an age may cause one more poll.
        behind = {tick.at: min(tick.ahead, timedelta(0)) for tick in self.ticks}
        vain = [
            at
            for before, at in itertools.pairwise(good)
            if not any(before + behind[before] < moment <= at for moment in reached)
        ]
        if len(vain) > MOST_IN_VAIN or right & set(vain):
            yield f"{said}: in vain at {[f'{at:%H:%M}' for at in vain]}"

    def _latest(self, due: datetime) -> datetime | None:
        """The latest time to poll an hour that was ``due``; None: the life ended before.

        Normally the next tick; after a wrong clock or an outage, a pause may last longer.
        """
        spoilt = [tick.at for tick in self.ticks if not (tick.is_right and tick.is_well)]
        latest = due + TICK
        if latest >= spoilt[0]:
            latest = max(latest, spoilt[-1] + PATIENCE)
        return latest if latest <= self.ticks[-1].at else None


class Machine(Unattended):
    """The daemon by hand, on a machine whose clock can be ahead of the API's."""

    def __init__(self, world: World, instance: dg.DagsterInstance, home: str) -> None:
        super().__init__(world, instance, home)
        self.right = START
        self.ticks: list[Tick] = []
        world.set_clock(lambda: self.right)

    def live(self, ticks: int, ahead: timedelta = timedelta(0)) -> datetime:
        """Tick that many times with a clock that is ``ahead``; gives the right time at the end."""
        for _ in range(ticks):
            self.right += TICK
            self.now = self.right + ahead
            is_well = not self.world.simulator.faults
            self.ticks.append(Tick(self.right, ahead, is_well))
            self.tick()
        return self.right


def lives(folder: Path, dice: random.Random, ahead: timedelta) -> Iterator[str]:
    """Hours by the right clock, then by a wrong one, with an outage, and by the right one again."""
    options = SimulatorOptions(
        key=KEY,
        user_name=USER_NAME,
        seed=dice.randrange(1_000_000),
        returns_per_hour=3,
        rhythm=False,
        oddities=0,
        awb_slow_share=0,
        late_share=0.3,
        late_by=(timedelta(minutes=10), timedelta(minutes=110)),
    )
    simulator = Simulator(options)
    home = folder / "home"
    variables = {
        "RETURNS_START": START.isoformat(),
        "RETURNS_REPOLL_AFTER_HOURS": ",".join(map(str, AGES)),
    }
    with simulator.running() as base_url, patch.dict(os.environ, DAGSTER_HOME=str(home)):
        world = World(folder, simulator, base_url, variables)
        with open_instance(world.settings) as instance:
            machine = Machine(world, instance, str(home))
            machine.live(dice.randrange(8, 10))
            machine.live(dice.randrange(1, 3), ahead)
            # The second hour ends at two: requested before by a wrong clock, then without success.
            simulator.faults = ["meta-400-repr:*"]
            machine.live(dice.randrange(14, 17) - len(machine.ticks), ahead)
            machine.live(dice.randrange(0, 2))
            simulator.faults = []
            machine.live(dice.randrange(0, 2), ahead)
            last = machine.live(dice.randrange(14, 17))
        found = [*_wrong_polls(world, machine.ticks), *_wrong(world, last)]
        yield from (f"{ahead} ahead: {wrong}" for wrong in found)


def _wrong_polls(world: World, ticks: list[Tick]) -> Iterator[str]:
    """The faults in the times of polls."""
    polls = Polls.seen_by(world.simulator, ticks)
    settle = world.settings.settle
    over = set(windows_between(START, last_settled(ticks[-1].at, settle).end))
    for window in sorted(over | polls.of.keys()):
        yield from polls.wrong(window, settle)


def _wrong(world: World, last: datetime) -> Iterator[str]:
    """The faults when the clock has been right for some hours."""
    windows = list(windows_between(START, last_settled(last, world.settings.settle).end))
    # The newest hours, whose last age is still to come, are polled once more.
    young = [w for w in windows if w.end > last - AGES[-1] * HOUR - TICK]
    pipeline = build_pipeline(world.settings, clock=lambda: last)
    yield from (str(o.error) for o in pipeline.run(young) if isinstance(o, Failed | Stopped))
    yield from wrong_with_tables(world, windows, last)
    state = read_state(pipeline.lake)
    # Polls by a wrong clock stay news for a day.
    still = [
        incident.kind
        for incident in (state.incidents if state else [])
        if incident.is_open and not incident.subject.endswith("the_clock_is_right")
    ]
    if state is None or still:
        yield f"still open: {still}"
    yield from (finding.text for finding in findings(world))
