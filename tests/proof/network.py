"""Network faults: replies late, sliced, cut, stalled and reset, over real sockets.

Each hour of a run has a plan: some attempts are spoiled, then one passes, or none.
"""

from __future__ import annotations

import logging
import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from proof.corruption import findings
from proof.result import Result
from proof.truth import wrong_with_tables
from support.proxy import BAD, GOOD, TOXICS, Proxy
from support.world import BRIEF, HASTY, World

from returns_orchestration.errors import TransientApiError
from returns_orchestration.flow.from_settings import build_pipeline
from returns_orchestration.flow.outcomes import Failed, Outcome, Stopped
from returns_orchestration.simulator import Simulator, SimulatorOptions
from returns_orchestration.state.status import states
from returns_orchestration.window import Window

FIRST = datetime.fromisoformat("2026-11-06T12:00+00:00")
MOMENT = FIRST + timedelta(days=2)
HOURS = 16
ATTEMPTS = 5
RETRY = replace(HASTY, attempts=ATTEMPTS)
TIMEOUTS = replace(BRIEF, read=0.6, total=3.0)


def hostile_network(cases: int, seed: int) -> Result:
    """At least ``cases`` hours, in runs of `HOURS`, each run followed by one without any fault."""
    dice, result, used = random.Random(seed), Result(seed), Counter[str]()
    logging.getLogger("returns_orchestration").setLevel(logging.ERROR)
    while result.tried < cases:
        options = SimulatorOptions(
            seed=dice.randrange(1_000_000), returns_per_hour=4, oddities=0, unusable=0.02
        )
        simulator = Simulator(options)
        with tempfile.TemporaryDirectory() as name, simulator.running() as base_url:
            proxy = Proxy(base_url)
            with proxy.running() as through:
                world = World(Path(name), simulator, through)
                world.set_clock(lambda: MOMENT)
                wrong = list(_run(world, proxy, dice, used))
        result.faults += [f"hours from {result.tried}: {fault}" for fault in wrong]
        result.tried += HOURS
    if cases >= len(TOXICS) * HOURS:
        result.faults += [f"never used: {toxic}" for toxic in sorted(TOXICS.keys() - used)]
    result.notes = ", ".join(f"{count} {toxic}" for toxic, count in sorted(used.items()))
    return result


def _run(world: World, proxy: Proxy, dice: random.Random, used: Counter[str]) -> Iterator[str]:
    windows = [Window(FIRST + timedelta(hours=n)) for n in range(HOURS)]
    plans = _plans(dice, [f"{window.text}:00" for window in windows])

    def befalls(hour: str, attempt: int) -> str:
        toxic = plans[hour][min(attempt, ATTEMPTS) - 1]
        used[toxic] += 1
        return toxic

    proxy.forget(befalls)
    outcomes = _outcomes(world, windows)
    lost = {w for w in windows if set(plans[f"{w.text}:00"]) <= BAD.keys()}
    failed = {o.window: o.error for o in outcomes if isinstance(o, Failed)}
    if failed.keys() != lost or any(isinstance(o, Stopped) for o in outcomes):
        told = {w.text: str(error) for w, error in failed.items()}
        yield f"failed: {told}, and not {sorted(w.text for w in lost)}"
    for window, error in failed.items():
        said = str(error)
        if not isinstance(error, TransientApiError) or window.key not in said:
            yield f"{window.text} failed without a name: {type(error).__name__} {said}"
        if any(secret in said for secret in world.settings.credentials()):
            yield f"{window.text} failed with a secret"
    if too_often := {hour: n for hour, n in proxy.asked.items() if n > ATTEMPTS}:
        yield f"asked too often: {too_often}"
    lake, zone = build_pipeline(world.settings).lake, world.settings.report_time_zone
    told = {line.hour: line.state for line in states(lake, windows, zone)}
    if {hour for hour, state in told.items() if state == "missing"} != {w.text for w in failed}:
        yield f"states {told}"
    proxy.forget(lambda *_: "none")
    outcomes = _outcomes(world, windows, missing_only=True)
    if proxy.asked != {f"{window.text}:00": 1 for window in failed}:
        yield f"asked for {dict(proxy.asked)} when the network was good again"
    yield from wrong_with_tables(world, windows, MOMENT)
    yield from (finding.text for finding in findings(world))


def _plans(dice: random.Random, hours: list[str]) -> dict[str, list[str]]:
    """The fault of each attempt at each hour: some are spoiled, or all.

    A connection that dies at the next request spoils an attempt of another hour, which the proxy
    never sees: these are too few to use up the attempts of an hour.
    """
    plans, deaths = {}, 2
    for hour in hours:
        spoiled = dice.choice([0, 1, 1, 2, ATTEMPTS])
        good = dice.choice(sorted(GOOD.keys() - (set() if deaths else {"death after"})))
        deaths -= good == "death after" and spoiled < ATTEMPTS
        bad = [dice.choice(sorted(BAD)) for _ in range(spoiled)]
        plans[hour] = bad + [good] * (ATTEMPTS - spoiled)
    return plans


def _outcomes(world: World, windows: list[Window], *, missing_only: bool = False) -> list[Outcome]:
    pipeline = build_pipeline(world.settings, clock=lambda: MOMENT, retry=RETRY, timeouts=TIMEOUTS)
    return list(pipeline.run(windows, missing_only=missing_only))
