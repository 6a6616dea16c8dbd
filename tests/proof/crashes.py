"""Every crash point in every state: die there, start again, and the tables are right.

A dry run of each state's work notes the points that it passes. Then a process dies at each, in a
copy of the state: at its first passing or at a later one, by chance. Points of the lake need no
Dagster; for those of events the command itself dies.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import polars as pl
from proof.crash_points import LOG, die_at
from proof.kills import doubled, is_made, unknown_to_dagster
from proof.relocated import land_moved
from proof.result import Result
from proof.said_by_lake import wrong_by_the_lake
from proof.truth import wrong_with_tables
from proof.warm import TOO_LONG, Warm
from support.world import World, hours

from returns_orchestration import tables
from returns_orchestration.flow.forget import Forgetter
from returns_orchestration.flow.from_settings import build_pipeline
from returns_orchestration.flow.outcomes import Failed, Stopped
from returns_orchestration.flow.rebuild import Rebuilder
from returns_orchestration.lake import Lake, open_store
from returns_orchestration.lake.forgotten import Receipt
from returns_orchestration.lake.quarantine import copy_to_quarantine
from returns_orchestration.settings import load_settings
from returns_orchestration.simulator import Simulator, SimulatorOptions
from returns_orchestration.stages.erasure import blanked, hashed, people_in, reference

WINDOWS = hours("2026-11-06T17:00", "2026-11-06T20:00")
"""Three hours around the end of a day in India."""

SPAN = WINDOWS[0].text, WINDOWS[-1].next.text
FIRST = datetime.fromisoformat("2026-11-06T21:00+00:00")
LATER = FIRST + timedelta(hours=30)
MINUTE = timedelta(minutes=1)

EXPECTED = {
    f"{step} {sort}"
    for step in ("unsynced", "synced", "put")
    for sort in (
        "raw_returns 3 poll-#.parquet",
        "returns 3 part-#.parquet",
        "return_items 3 part-#.parquet",
        "refund_modes_hourly 3 part-#.parquet",
        "return_reasons_hourly 3 part-#.parquet",
        "rejected_returns 3 part-#.parquet",
        "refund_modes_daily 2 part-#.parquet",
        "return_reasons_daily 2 part-#.parquet",
        "_journal 1 format-#.json",
        "_journal 2 #.poll.json",
        "_journal 2 #.made.json",
        "_journal 2 #.from.json",
        "_journal 2 #.to.json",
        "_journal 2 #.again.json",
        "_journal 2 #.lost.json",
        "_journal 2 #.damaged.json",
        "_journal 2 #.erased.json",
        "_forgotten 1 #.ended",
        "_quarantine 4 poll-#.parquet",
        "_journal 2 day.made.json",
    )
} | {
    "linked raw_returns 3 poll-#.parquet",
    "renamed raw_returns 3 poll-#.parquet",
    "deleted _quarantine 4 poll-#.parquet",
    "renamed returns 3 part-#.parquet",
    "renamed _journal 2 #.to.json",
    "linked _journal 2 #.poll.json",
    "linked _journal 2 #.made.json",
    "deleting raw_returns 3 poll-#.parquet",
    "deleted _journal 2 #.poll.json",
    "deleted _journal 2 #.damaged.json",
    "deleted _journal 2 #.made.json",
    "deleted _journal 2 day.made.json",
    "about to read raw_returns 3 poll-#.parquet",
    "reading _journal 2 #.made.json",
    "read _journal 2 #.made.json",
    "telling ASSET_MATERIALIZATION raw_returns",
    "telling ASSET_MATERIALIZATION return_reasons_hourly",
    "telling ASSET_CHECK_EVALUATION raw_returns",
    "telling ASSET_MATERIALIZATION refund_modes_daily",
    "telling PIPELINE_SUCCESS",
    "telling the database of a run",
    "telling the index",
}
"""Points that must have been passed: the loss of a point must be noticed."""


@dataclass(frozen=True)
class State:
    """The lake before the work, the work, and the API's time then."""

    name: str
    before: Callable[[World, random.Random], None]
    work: str
    moment: datetime
    has_events: bool = False


def nothing(_: World, __: random.Random) -> None:
    """An empty lake."""


def filled(world: World, _: random.Random) -> None:
    """Every hour was polled once, by the command."""
    world.set_clock(lambda: FIRST)
    done = world.run("backfill", *SPAN)
    assert done.returncode == 0, done.stdout + done.stderr


def with_a_gap(world: World, _: random.Random) -> None:
    """The hour in the middle is missing, so adjacent hours hold the returns they share with it.

    Only this hour is polled then: a killed command that is repeated never names adjacent hours.
    """
    world.set_clock(lambda: LATER)
    with patch.dict(os.environ, world.environment):
        do("around")


def with_a_moved_return(world: World, _: random.Random) -> None:
    """The last hour was polled, and once served a return of the first hour, which is polled now."""
    world.set_clock(lambda: LATER)
    with patch.dict(os.environ, world.environment):
        do("last")
        pipeline = build_pipeline(load_settings(Path("none")))
        land_moved(pipeline, WINDOWS[0], WINDOWS[-1], LATER - MINUTE)


def with_a_word_to_repeat(world: World, _: random.Random) -> None:
    """The last hour was the newest to claim a moved return; the first hour still serves it."""
    world.set_clock(lambda: LATER)
    with patch.dict(os.environ, world.environment):
        earlier = build_pipeline(load_settings(Path("none")), clock=lambda: LATER - 2 * MINUTE)
        assert not [o for o in earlier.run(WINDOWS) if isinstance(o, Failed | Stopped)]
        pipeline = build_pipeline(load_settings(Path("none")))
        land_moved(pipeline, WINDOWS[0], WINDOWS[-1], LATER - MINUTE)
        do("made")


def half_done(world: World, dice: random.Random) -> None:
    """A first run was killed somewhere, and no command has run since."""
    nothing(world, dice)
    world.set_clock(lambda: LATER)
    commands = Warm()
    _die(world, commands, "missing", "put _journal 2 #.made.json", dice.randrange(1, 3))


def without_tables(world: World, dice: random.Random) -> None:
    """Only the polls are left."""
    filled(world, dice)
    for path in world.lake.rglob("*"):
        if is_made(path):
            path.unlink()


def with_a_bad_poll(world: World, dice: random.Random) -> None:
    """A bit of a poll has flipped, and a table is lost."""
    filled(world, dice)
    poll = dice.choice(sorted(world.lake.glob("raw_returns/*/*/*")))
    content = bytearray(poll.read_bytes())
    content[dice.randrange(len(content))] ^= 1
    poll.write_bytes(content)
    dice.choice(sorted(world.lake.glob("returns/*/*/*"))).unlink()


def people(world: World) -> set[str]:
    """All references, addresses and numbers in all records."""
    records = world.scan("raw_returns").get_column("record").to_list()
    found = {reference(str(json.loads(record).get(tables.REFERENCE.key))) for record in records}
    return found.union(*map(people_in, records))


def with_somebody_to_forget(world: World, dice: random.Random) -> None:
    """The receipt is there, and nothing of it is carried out."""
    filled(world, dice)
    lake = Lake(open_store(str(world.lake)), lambda: FIRST)
    hashes = sorted(hashed(person, b"salt") for person in people(world))
    lake.receipts.add(Receipt(at=FIRST, salt=b"salt".hex(), hashes=hashes))
    poll = dice.choice(sorted(world.lake.glob("raw_returns/*/*/*")))
    copy_to_quarantine(lake.store, str(poll.relative_to(world.lake)))


STATES = (
    State("first poll", nothing, "missing", LATER, has_events=True),
    State("new content", filled, "repoll", LATER, has_events=True),
    State("nothing new", filled, "repoll", FIRST, has_events=True),
    State("an hour between", with_a_gap, "between", LATER),
    State("a moved return", with_a_moved_return, "missing", LATER),
    State("a word repeated", with_a_word_to_repeat, "repoll", LATER),
    State("a killed run", half_done, "missing", LATER),
    State("no tables", without_tables, "rebuild", FIRST),
    State("a bad poll", with_a_bad_poll, "rebuild", FIRST),
    State("somebody to forget", with_somebody_to_forget, "forget", FIRST),
)


HOURS = {"around": WINDOWS[::2], "between": WINDOWS[1:2], "last": WINDOWS[-1:]}
"""Works that are not about all hours."""


def do(work: str) -> None:
    """The work itself, on the lake of this process's environment."""
    pipeline = build_pipeline(load_settings(Path("none")))
    if work == "forget":
        assert not Forgetter(pipeline).carry_out().errors
        return
    if work == "rebuild":
        Rebuilder(pipeline).rebuild(WINDOWS[0].start, WINDOWS[-1].end)
    bad = [
        outcome
        for outcome in pipeline.run(
            HOURS.get(work, WINDOWS), poll=work != "made", missing_only=work != "repoll"
        )
        if isinstance(outcome, Failed | Stopped)
    ]
    assert not bad, bad


def crash_points(cases: int, seed: int) -> Result:
    """Up to ``cases`` of all points: one death at each, in each state that passes it."""
    dice, result = random.Random(seed), Result(seed)
    commands = Warm()
    with tempfile.TemporaryDirectory() as name:
        simulator = Simulator(options())
        with simulator.running() as base_url:
            states = {}
            for state in STATES:
                folder = Path(name) / state.name.replace(" ", "-")
                folder.mkdir()
                states[state] = World(folder, simulator, base_url)
                state.before(states[state], dice)
            every = [case for state in STATES for case in _passed(state, states, commands, dice)]
            lacking = EXPECTED - {point for _, _, point, _ in every}
            result.faults += [f"nothing passed {point!r}" for point in sorted(lacking)]
            for state, told, point, nth in dice.sample(every, min(cases, len(every))):
                result.tried += 1
                here = _copied(states[state], Path(name) / "case")
                wrong = list(_wrong(here, commands, state, told, point, nth))
                result.faults += [f"{state.name}, {point!r}, time {nth}: {w}" for w in wrong]
                shutil.rmtree(here.folder)
    points = len({point for _, _, point, _ in every})
    result.notes = f"{len(every)} in all: {points} points, {len(STATES)} states"
    return result


def options() -> SimulatorOptions:
    """Returns at every edge and late ones, so that each work touches each sort of file."""
    return SimulatorOptions(
        returns_per_hour=3,
        edges=True,
        edge_rule="[]",
        oddities=0,
        unusable=0.05,
        late_share=0.3,
        late_by=(timedelta(hours=1), timedelta(hours=20)),
    )


def _copied(world: World, folder: Path) -> World:
    shutil.copytree(world.folder, folder)
    return World(folder, world.simulator, world.base_url)


def _passed(
    state: State, states: dict[State, World], commands: Warm, dice: random.Random
) -> Iterator[tuple[State, bool, str, int]]:
    """The points that the work of ``state`` passes, by a dry run; which passing to die at."""
    for told in (False, True) if state.has_events else (False,):
        here = _copied(states[state], states[state].folder.with_name("dry"))
        here.set_clock(lambda: state.moment)
        exit_code = _die(here, commands, state.work, "", 1, told=told)
        assert exit_code == 0, (state, exit_code)
        passed = Counter((here.folder / LOG).read_text().splitlines())
        for point, times in sorted(passed.items()):
            if point.startswith("telling") == told:
                yield state, told, point, dice.randrange(times) + 1
        shutil.rmtree(here.folder)


def _die(
    world: World, commands: Warm, work: str, point: str, nth: int, *, told: bool = False
) -> int | None:
    """Do the work in a process that dies at a point; how it ended."""
    before = (die_at, (str(world.folder / LOG), point, nth))
    if told:
        more = ("--repoll",) if work == "repoll" else ()
        process = commands.start(world, "backfill", *SPAN, *more, before=before)
    else:
        process = commands.call(world, do, work, before=before)
    process.join(TOO_LONG)
    return process.exitcode


def _wrong(  # noqa: PLR0917 - the case
    world: World, commands: Warm, state: State, told: bool, point: str, nth: int
) -> Iterator[str]:
    """Die there, do the same again, and look."""
    world.set_clock(lambda: state.moment)
    ended = _die(world, commands, state.work, point, nth, told=told)
    if ended != -signal.SIGKILL:
        yield f"it was not died at: exit {ended}"
        return
    again = _die(world, commands, state.work, "", 1, told=told)
    if again != 0:
        yield f"started again it ended with {again}"
        return
    yield from wrong_with_tables(world, WINDOWS, state.moment)
    yield from wrong_by_the_lake(world, WINDOWS)
    yield from doubled(world)
    if state.work == "forget":
        yield from (f"{path} shows a person" for path in _unblanked(world))
    if told:
        yield from unknown_to_dagster(world, WINDOWS)


def _unblanked(world: World) -> Iterator[str]:
    """The files of records, in quarantine, too, that show a person; or an open receipt."""
    for path in world.lake.glob("**/poll-*.parquet*"):
        records = pl.read_parquet(path).get_column("record")
        yield from (str(path) for record in records if blanked(record) != record)
    yield from (receipt.name for receipt in Lake(open_store(str(world.lake))).receipts.open())
