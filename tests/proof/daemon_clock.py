"""A daemon whose machine has a wrong clock for some hours, while the API's goes right.

Schedules and sensors are driven by hand. When the clock is right again nothing may be lost: every
hour is there, polled again at its last age, and nobody is told of what is over.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import dagster as dg
from proof.corruption import findings
from proof.truth import wrong_with_tables
from unattended import START, Unattended
from world import KEY, USER_NAME, World

from returns_orchestration.alerts.state import read_state
from returns_orchestration.definitions import build_river
from returns_orchestration.defs.instance import open_instance
from returns_orchestration.flow.hours import Failed, Stopped
from returns_orchestration.simulator import Simulator, SimulatorOptions
from returns_orchestration.window import Window, last_settled, windows_between

TICK = timedelta(minutes=10)
HOUR = timedelta(hours=1)
STEPS = [timedelta(minutes=m) for m in (20, -20, 60, 330, -330, 1_200, 20_000)]
"""How far a clock is ahead: whole ticks, so that schedules come to their minutes."""

AGES = 1, 2


class Machine(Unattended):
    """The daemon by hand, on a machine whose clock can be ahead of the API's."""

    def __init__(self, world: World, instance: dg.DagsterInstance, home: str) -> None:
        super().__init__(world, instance, home)
        self.right = START
        world.set_clock(lambda: self.right)

    def live(self, span: timedelta, ahead: timedelta = timedelta(0)) -> datetime:
        """Tick for so long with a clock that is ``ahead``; the right time at the end."""
        end = self.right + span
        while self.right < end:
            self.right += TICK
            self.now = self.right + ahead
            self.tick()
        return self.right


def lives(folder: Path, dice: random.Random) -> Iterator[str]:
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
            machine.live(dice.randrange(6, 18) * TICK)
            ahead = dice.choice(STEPS)
            machine.live(dice.randrange(1, 6) * TICK, ahead)
            simulator.faults = ["meta-400-repr:*"]
            machine.live(dice.randrange(0, 4) * TICK, ahead)
            machine.live(dice.randrange(0, 4) * TICK)
            simulator.faults = []
            machine.live(dice.randrange(0, 4) * TICK, ahead)
            last = machine.live(6 * HOUR)
        yield from (f"{ahead} ahead: {wrong}" for wrong in _wrong(world, last))


def _wrong(world: World, last: datetime) -> Iterator[str]:
    """What is wrong when the clock has been right for some hours."""
    old = list(windows_between(START, Window.of(last).start - (AGES[-1] + 1) * HOUR))
    for window in old:
        ages = [
            request.time - window.end
            for request in world.simulator.requests
            if request.start_time == f"{window.text}:00" and request.fault is None
        ]
        if not ages or max(ages) < AGES[-1] * HOUR:
            yield f"{window.text} was polled at the ages {[str(age) for age in ages]}"
    # The newest hours, whose last age is still to come, are asked for once more.
    young = list(windows_between(old[-1].end, last_settled(last, world.settings.settle).end))
    river = build_river(world.settings, clock=lambda: last)
    yield from (str(o.error) for o in river.run(young) if isinstance(o, Failed | Stopped))
    yield from wrong_with_tables(world, [*old, *young], last)
    state = read_state(river.lake)
    # That hours were polled by a wrong clock stays news for a day.
    still = [
        incident.kind
        for incident in (state.incidents if state else [])
        if incident.is_open and not incident.subject.endswith("the_clock_is_right")
    ]
    if state is None or still:
        yield f"still open: {still}"
    yield from (finding.text for finding in findings(world))
