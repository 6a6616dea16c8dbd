"""SIGKILL at random moments of a live backfill, which is then started again.

A lake is filled, polled again when late and changed returns exist, and rebuilt; each of these is
killed until it finishes between two kills. Then the tables must be right. A reader scans meanwhile.
"""

from __future__ import annotations

import os
import random
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import polars as pl
from dagster import AssetKey
from proof.corruption import sort_of
from proof.reader import reading
from proof.result import Result
from proof.said_by_lake import wrong_by_the_lake
from proof.truth import wrong_with_tables
from proof.warm import Warm, said
from support.world import World

from returns_orchestration.defs.instance import open_instance
from returns_orchestration.simulator import Simulator, SimulatorOptions
from returns_orchestration.window import Window

FIRST = datetime.fromisoformat("2026-11-06T14:00+00:00")
HOURLY = (
    "raw_returns",
    "returns",
    "return_items",
    "refund_modes_hourly",
    "return_reasons_hourly",
)


@contextmanager
def simulated(folder: Path, dice: random.Random) -> Iterator[World]:
    """A random simulator, with returns at every edge, late ones and unusable ones."""
    options = SimulatorOptions(
        seed=dice.randrange(1_000_000),
        returns_per_hour=dice.choice([2, 6, 15]),
        edge_rule=dice.choice(["[)", "[]", "[]"]),  # type: ignore[arg-type]
        edges=True,
        oddities=0,
        unusable=0.03,
        late_share=0.3,
        late_by=(timedelta(hours=1), timedelta(hours=40)),
    )
    simulator = Simulator(options)
    with simulator.running() as base_url:
        yield World(folder, simulator, base_url)


def random_kills(cases: int, seed: int) -> Result:
    """At least ``cases`` kills, each of a process that was at work."""
    dice, result, where = random.Random(seed), Result(seed), Counter[str]()
    lakes = looks = 0
    commands = Warm()
    while result.tried < cases:
        with tempfile.TemporaryDirectory() as name, simulated(Path(name), dice) as world:
            for stage in _lived(world, dice):
                with reading(world.lake) as seen:
                    kills = _killed_until_done(world, commands, stage, dice)
                    wrong = list(_wrong(world, stage, commands))
                wrong += [f"a reader: {fault}" for fault in seen.faults]
                result.faults += [f"lake {lakes}, {stage.name}: {fault}" for fault in wrong]
                result.tried += kills
                where[stage.name] += kills
                looks += seen.looks
        lakes += 1
    result.faults += [] if looks else ["the reader read nothing"]
    at = ", ".join(f"{count} of a {stage}" for stage, count in sorted(where.items()))
    result.notes = f"{at}, in {lakes} lakes; {looks:,} looks at a table meanwhile"
    return result


@dataclass(frozen=True)
class Stage:
    """A command that is killed, its work, and about how many seconds it takes."""

    name: str
    arguments: tuple[str, ...]
    windows: list[Window]
    moment: datetime
    seconds: float


def _lived(world: World, dice: random.Random) -> Iterator[Stage]:
    """Fill a lake, poll again when there is more, rebuild the lost tables."""
    windows = _span(dice)
    span = windows[0].text, windows[-1].next.text
    moment = windows[-1].end + timedelta(hours=dice.randrange(1, 12))
    later = moment + timedelta(hours=30)
    world.set_clock(lambda: moment)
    yield Stage("backfill", ("backfill", *span), windows, moment, 1.2)
    world.set_clock(lambda: later)
    yield Stage("repoll", ("backfill", *span, "--repoll"), windows, later, 1.4)
    _damage(world, dice)
    yield Stage("rebuild", ("rebuild", *span), windows, later, 0.5)


def _span(dice: random.Random) -> list[Window]:
    first = Window(FIRST + timedelta(hours=dice.randrange(12)))
    windows = [first]
    while len(windows) < dice.randrange(3, 9):
        windows.append(windows[-1].next)
    return windows


def _damage(world: World, dice: random.Random) -> None:
    """Work for a rebuild: tables and entries are lost; readers skip a torn table."""
    for path in sorted(world.lake.rglob("*")):
        if is_made(path) and dice.random() < 0.5:
            path.unlink()


def is_made(path: Path) -> bool:
    """Whether it is a file of a table that is made of polls, or the entry of one."""
    return path.name == "part-0.parquet" or sort_of(path.name).endswith(".made.json")


def _killed_until_done(world: World, commands: Warm, stage: Stage, dice: random.Random) -> int:
    """Start the command and kill it, again and again; how often it was at work when killed."""
    wanted, kills, ended = dice.randrange(3, 10), 0, 0
    while kills < wanted and ended < 2:
        process = commands.start(world, *stage.arguments)
        process.join(dice.uniform(0, stage.seconds))
        process.kill()
        process.join()
        kills += process.exitcode == -signal.SIGKILL
        ended += process.exitcode == 0
    return kills


def _wrong(world: World, stage: Stage, commands: Warm) -> Iterator[str]:
    """Let it finish; gives the faults then."""
    if fault := commands.run(world, *stage.arguments):
        yield fault
        return
    yield from wrong_with_tables(world, stage.windows, stage.moment)
    yield from wrong_by_the_lake(world, stage.windows)
    yield from doubled(world)
    yield from unknown_to_dagster(world, stage.windows)
    world.simulator.forget()
    span = stage.windows[0].text, stage.windows[-1].next.text
    if fault := commands.run(world, "backfill", *span):
        yield fault
    if world.asked():
        yield f"a backfill of what is complete asked for {world.asked()}: {said(world)}"


def doubled(world: World) -> Iterator[str]:
    """Polls of one hour that hold the same records: the second brought nothing."""
    for folder in world.lake.glob("raw_returns/*/*"):
        polls = Counter(
            tuple(pl.read_parquet(path).get_column("record")) for path in folder.iterdir()
        )
        yield from (f"{count} polls say the same" for count in polls.values() if count > 1)


def unknown_to_dagster(world: World, windows: list[Window]) -> Iterator[str]:
    """Hours that the UI does not show as materialized in every hourly asset."""
    home = patch.dict(os.environ, DAGSTER_HOME=str(world.folder / "dagster_home"))
    with home, open_instance(world.settings) as instance:
        for asset in HOURLY:
            known = instance.get_materialized_partitions(AssetKey(asset))
            yield from (f"{asset} {w.key} is not known" for w in windows if w.key not in known)
