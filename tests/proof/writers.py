"""Many processes that back-fill the same hours at once: drivers for the tests and `make prove`.

As a script this file is one such writer: it reads lakes from its standard input, one a line, fills
each, and answers with a line.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from proof.corruption import findings
from proof.mending import tables_of
from proof.result import Result
from support.lakes import files_of
from support.world import World, hours

from returns_orchestration.flow.from_settings import build_pipeline
from returns_orchestration.flow.outcomes import Failed, Stopped
from returns_orchestration.flow.rebuild import Rebuilder
from returns_orchestration.settings import load_settings
from returns_orchestration.simulator import Simulator, SimulatorOptions
from returns_orchestration.window import read_hour

FROM, TO = "2026-11-07T00:00", "2026-11-08T00:00"
MOMENT = datetime.fromisoformat("2026-11-09T00:00:00+00:00")
STEP = timedelta(minutes=20)
"""How far the API's clock moves with each request of a round in which time passes."""
WRITERS = 8


@contextmanager
def simulated(folder: Path) -> Iterator[World]:
    """A simulator with a fixed clock, so that every poll of an hour gets the same records."""
    options = SimulatorOptions(
        returns_per_hour=5,
        edge_rule="[]",
        edges=True,
        unusable=0.02,
        late_share=0.3,
        late_by=(timedelta(minutes=15), timedelta(hours=60)),
    )
    simulator = Simulator(options)
    with simulator.running() as base_url:
        world = World(folder, simulator, base_url)
        world.set_clock(lambda: MOMENT)
        yield world


def by_pipeline(rounds: int, seed: int) -> Result:
    """Pipelines in eight lasting processes; each round has a new lake, in random orders.

    In every other round the API sends the same to all, and the lake ends with exactly the files of
    a single writer. In the others late and changed returns come between any two requests, so that
    the writers bring polls that differ: each served return is in the lake, once.
    """
    dice, result = random.Random(seed), Result(seed)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        world = stack.enter_context(simulated(folder))
        writers = [stack.enter_context(_writer(world)) for _ in range(WRITERS)]
        (expected,) = _filled(writers[:1], folder / "alone", dice)
        assert not expected, expected
        alone = files_of(folder / "alone")
        for number in range(rounds):
            result.tried += 1
            here = World(folder / f"{number}", world.simulator, world.base_url)
            time_passes = number % 2 == 0
            ticks = itertools.count()
            world.simulator.forget()
            world.set_clock(
                (lambda t=ticks: read_hour(TO) + STEP * next(t)) if time_passes else lambda: MOMENT
            )
            # In one order all reach an hour at once; in many, one finds the files of others.
            order = None if number % 4 < 2 else dice.randrange(1_000_000)
            faults = [said for said in _filled(writers, here.lake, dice, order) if said]
            if time_passes:
                faults += wrong_with(here)
            elif files_of(here.lake) != alone:
                faults.append("other files than a lone writer's")
            result.faults += [f"{number}: {fault}" for fault in faults]
    return result


def by_command(rounds: int, seed: int) -> Result:
    """The command itself, eight times at once, with one lake and one DAGSTER_HOME."""
    result = Result(seed)
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as name, simulated(Path(name)) as world:
            result.tried += 1
            result.faults += [f"{number}: {fault}" for fault in _commands(world)]
    return result


def _commands(world: World) -> Iterator[str]:
    with ThreadPoolExecutor(WRITERS) as pool:
        ended = list(pool.map(lambda _: world.run("backfill", FROM, TO), range(WRITERS)))
    for done in ended:
        said = done.stdout + done.stderr
        if done.returncode or not ("24 of 24 hours" in said or "none missing" in said):
            yield f"exit {done.returncode}: {said}"
        if "Traceback" in said or "Error" in said:
            yield said
    yield from wrong_with(world)


def wrong_with(world: World) -> list[str]:
    """The faults of a lake that many writers have filled."""
    wrong = [finding.text for finding in findings(world)]
    before = world.files()
    Rebuilder(build_pipeline(world.settings)).rebuild(read_hour(FROM), read_hour(TO))
    if {**tables_of(world.files()), **tables_of(before)} != tables_of(world.files()):
        wrong.append("the tables are not what the polls give")
    kept = sorted(world.scan("returns").get_column("return_reference_number"))
    if kept != served(world):
        wrong.append(f"{len(kept)} returns, {len(served(world))} were served")
    return wrong


def served(world: World) -> list[str]:
    """The references of all usable returns that any request so far was served."""
    dataset, found = world.simulator.dataset, set()
    for request in world.simulator.requests:
        # A window also serves returns requested exactly at its end.
        start = datetime.fromisoformat(f"{request.start_time}+00:00")
        end = start + timedelta(hours=1, microseconds=1)
        found |= {
            true.reference
            for true in dataset.returns_between(start, end, request.time)
            if true.usable
        }
    return sorted(found)


def _filled(
    writers: list[subprocess.Popen[str]],
    lake: Path,
    dice: random.Random,
    order: int | None = None,
) -> list[str]:
    """Let ``writers`` fill ``lake`` at once, each in a different order or all in the same.

    Gives the errors of each.
    """
    for writer in writers:
        assert writer.stdin
        seed = dice.randrange(1_000_000) if order is None else order
        asked = {"lake": str(lake), "seed": seed}
        writer.stdin.write(json.dumps(asked) + "\n")
        writer.stdin.flush()
    answers = []
    for writer in writers:
        assert writer.stdout
        answers.append(writer.stdout.readline().strip() or "the writer died")
    return [json.loads(answer) if answer.startswith('"') else answer for answer in answers]


@contextmanager
def _writer(world: World) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, __file__],
        env=world.environment_of_processes | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def main() -> None:
    """Fill lakes until there are no more."""
    for line in sys.stdin:
        asked = json.loads(line)
        settings = load_settings(Path("none"), RETURNS_LAKE=asked["lake"])
        windows = hours(FROM, TO)
        random.Random(asked["seed"]).shuffle(windows)
        pipeline = build_pipeline(settings, clock=lambda: MOMENT)
        bad = [o for o in pipeline.run(windows) if isinstance(o, Failed | Stopped)]
        sys.stdout.write(json.dumps("; ".join(str(o.error) for o in bad)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
