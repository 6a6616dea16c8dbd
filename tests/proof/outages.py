"""Outages of the API at every start minute: each hour is recovered within 70 minutes of its end.

The daemon's loops are run by hand under a clock that the proof sets, in steps of five minutes, and
the definitions are loaded again at each step, as the real daemon does each minute.
"""

from __future__ import annotations

import itertools
import logging
import os
import random
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

from proof.result import Result
from support.unattended import START, Unattended
from support.world import KEY, USER_NAME, World

from returns_orchestration.defs.instance import open_instance
from returns_orchestration.simulator import Simulator, SimulatorOptions
from returns_orchestration.window import last_settled, windows_between

STEP = timedelta(minutes=5)
BACK_WITHIN = timedelta(minutes=70)
LENGTHS = (30, 180, 60, 120, 90, 150)
"""Minutes that an outage lasts, the shortest and the longest first."""

STARTS = (0, 30, 15, 45, 5, 35, 20, 50, 10, 40, 25, 55)
"""Minutes of the hour at which an outage begins."""

FAULTS = ("503", "meta-400-repr", "reset")


def back_after_outages(cases: int, seed: int) -> Result:
    """``cases`` outages: every start minute with every length in turn."""
    dice, result = random.Random(seed), Result(seed)
    logging.getLogger("returns_orchestration").setLevel(logging.CRITICAL)
    # Ordered so that a few cases have different minutes and different lengths.
    scenes = [
        (s, LENGTHS[(n + at) % len(LENGTHS)]) for n in range(6) for at, s in enumerate(STARTS)
    ]
    for start, length in itertools.islice(itertools.cycle(scenes), cases):
        with tempfile.TemporaryDirectory() as folder:
            wrong = list(_outage(Path(folder), dice, start, length))
        told = f"an outage of {length} minutes that began at minute {start}"
        result.faults += [f"{told}: {fault}" for fault in wrong]
        result.tried += 1
    result.notes = f"{len(set(scenes[:cases]))} pairs of a start minute and a length"
    return result


def _outage(folder: Path, dice: random.Random, start: int, length: int) -> Iterator[str]:
    """The faults after one outage."""
    options = SimulatorOptions(
        key=KEY, user_name=USER_NAME, seed=dice.randrange(1_000_000), returns_per_hour=1
    )
    simulator, home = Simulator(options), folder / "home"
    variables = {"RETURNS_START": START.isoformat()}
    with simulator.running() as base_url, patch.dict(os.environ, DAGSTER_HOME=str(home)):
        world = World(folder, simulator, base_url, variables)
        with open_instance(world.settings) as instance:
            daemon = Unattended(world, instance, str(home))
            daemon.only = {"missing_hours"}
            daemon.live_to(START + timedelta(hours=2, minutes=start), step=STEP)
            simulator.faults = [f"{dice.choice(FAULTS)}:*"]
            daemon.live_to(daemon.now + timedelta(minutes=length), step=STEP)
            simulator.faults = []
            over = daemon.now
            daemon.live_to(over + BACK_WITHIN, step=STEP)
            due = list(windows_between(START, last_settled(over, world.settings.settle).end))
            missing = sorted(set(due) - set(daemon.landed(due)))
    yield from (f"{window.text} is not back after {BACK_WITHIN}" for window in missing)
