"""Many processes that back-fill the same hours at once: drivers for the tests and `make prove`.

As a script this file is one such writer: it reads lakes from its standard input, one a line, fills
each, and answers with a line.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from proof.corruption import findings
from proof.mending import tables_of
from proof.result import Result
from world import World, hours

from returns_orchestration.definitions import build_river
from returns_orchestration.flow.hours import Failed, Stopped
from returns_orchestration.flow.rebuild import Rebuilder
from returns_orchestration.settings import load_settings
from returns_orchestration.simulator import Simulator, SimulatorOptions
from returns_orchestration.window import read_hour

FROM, TO = "2026-11-07T00:00", "2026-11-08T00:00"
MOMENT = datetime.fromisoformat("2026-11-09T00:00:00+00:00")
WRITERS = 8


@contextmanager
def simulated(folder: Path) -> Iterator[World]:
    """A simulator that lives at one moment, so that every poll of an hour is served the same."""
    options = SimulatorOptions(returns_per_hour=5, edge_rule="[]", edges=True, unusable=0.02)
    simulator = Simulator(options)
    with simulator.running() as base_url:
        world = World(folder, simulator, base_url)
        world.set_clock(lambda: MOMENT)
        yield world


def by_river(rounds: int, seed: int) -> Result:
    """Rivers in eight processes that stay; each round a lake of its own, filled in random orders.

    Every lake ends with the very files that a lone writer leaves.
    """
    dice, result = random.Random(seed), Result(seed)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        world = stack.enter_context(simulated(folder))
        writers = [stack.enter_context(_writer(world)) for _ in range(WRITERS)]
        (expected,) = _filled(writers[:1], folder / "alone", dice)
        assert not expected, expected
        alone = _files(folder / "alone")
        for number in range(rounds):
            result.tried += 1
            lake = folder / f"lake-{number}"
            faults = [said for said in _filled(writers, lake, dice) if said]
            if _files(lake) != alone:
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
    script = str(Path(sys.executable).with_name("returns-orchestration"))
    started = [
        subprocess.Popen(  # noqa: S603 - our own command
            [script, "backfill", FROM, TO],
            cwd=world.folder,
            env=world.environment_of_processes,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(WRITERS)
    ]
    for process in started:
        said, _ = process.communicate(timeout=600)
        if process.returncode or not ("24 of 24 hours" in said or "none is missing" in said):
            yield f"exit {process.returncode}: {said}"
        if "Traceback" in said or "Error" in said:
            yield said
    yield from (finding.text for finding in findings(world))
    before = world.files()
    river = build_river(world.settings)
    Rebuilder(river).rebuild(read_hour(FROM), read_hour(TO), {})
    if {**tables_of(world.files()), **tables_of(before)} != tables_of(world.files()):
        yield "the tables are not what the polls give"
    # The last window serves what was requested at its very end, too.
    start, end = read_hour(FROM), read_hour(TO) + timedelta(microseconds=1)
    truths = world.simulator.dataset.returns_between(start, end, MOMENT)
    truth = sorted(true.reference for true in truths if true.usable)
    kept = sorted(world.scan("returns").get_column("return_reference_number"))
    if kept != truth:
        yield f"{len(kept)} returns, {len(truth)} in truth"


def _files(lake: Path) -> dict[str, bytes]:
    return {str(p.relative_to(lake)): p.read_bytes() for p in lake.rglob("*") if p.is_file()}


def _filled(writers: list[subprocess.Popen[str]], lake: Path, dice: random.Random) -> list[str]:
    """Let ``writers`` fill ``lake`` at once; what each has to complain of."""
    for writer in writers:
        assert writer.stdin
        asked = {"lake": str(lake), "seed": dice.randrange(1_000_000)}
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
        river = build_river(settings, clock=lambda: MOMENT)
        bad = [o for o in river.run(windows) if isinstance(o, Failed | Stopped)]
        sys.stdout.write(json.dumps("; ".join(str(o.error) for o in bad)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
