"""A lake that was damaged, rebuilt: drivers for the tests and for `make prove`."""

from __future__ import annotations

import random
import tempfile
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

from proof.corruption import (
    FROM,
    TO,
    Corruption,
    corruption,
    findings,
    lived_lake,
    nth,
    pipeline_at,
    restore,
    run,
    sort_of,
)
from proof.result import Result
from support.lakes import tables_of
from support.world import World, hours

from returns_orchestration.flow.rebuild import Rebuilder, Rebuilt
from returns_orchestration.state.hours import FAULTS
from returns_orchestration.state.status import states

LAST = hours(FROM, TO)[-1].end + timedelta(hours=30)
"""The time of the lake's last poll: the API sends the same again."""

ONLY_SAID_THERE = ".again.json", ".rezoned.json"
"""Entries without a second record: `status` finds a lost one, and its facts are lost."""


def rebuild(world: World) -> Rebuilt:
    """The work of the command, without Dagster's instance.

    Over whole dates, from that of the waived hour: a foreign file may name any hour of a date. An
    hour of those that was never polled is none that a later look asks for.
    """
    first, last = (moment.date() for moment in (hours(FROM, TO)[0].previous.start, LAST))
    start, end = (datetime.combine(day, time(), UTC) for day in (first, last + timedelta(days=1)))
    rebuilt = Rebuilder(pipeline_at(world, LAST)).rebuild(start, end)
    there = hours(FROM, TO)
    rebuilt.poll_again = [window for window in rebuilt.poll_again if window in there]
    return rebuilt


def missing(world: World) -> list[str]:
    pipeline = pipeline_at(world, LAST)
    lines = states(pipeline.lake, hours(FROM, TO), pipeline.days.zone)
    return [line.hour for line in lines if line.state in FAULTS]


def references(world: World) -> list[str]:
    return sorted(world.scan("returns").get_column("return_reference_number"))


def damaged_and_mended(world: World, rounds: int, seed: int) -> Result:
    """``rounds`` corruptions, each alone, each followed by a rebuild that must repair it."""
    dice, mended, files = random.Random(seed), Result(seed), world.files()
    polled, expected = 0, references(world)
    for number in range(rounds):
        done = nth(number, files, dice)
        while done.kind == "delete" and sort_of(done.path).endswith(ONLY_SAID_THERE):
            done = corruption(done.kind, files, dice)
        done.write(world.lake, done.after)
        mended.tried += 1
        try:
            rebuilt = rebuilt_well(world, done)
            if rebuilt.poll_again:
                polled_well(world, rebuilt)
                polled += 1
            else:
                assert tables_of(world.files()) == tables_of(files), "other bytes than before"
            assert references(world) == expected, "other returns than before"
            assert not missing(world), "hours are missing"
        except AssertionError as fault:
            mended.faults.append(f"{number}: {done.kind} {done.path}: {fault}")
        restore(world, files)
    mended.notes = f"{polled} of them by polling an hour again"
    return mended


def rebuilt_well(world: World, done: Corruption) -> Rebuilt:
    """Rebuild: no request is sent, all old files are kept, and `verify` is clean."""
    world.simulator.forget()
    rebuilt = rebuild(world)
    assert not world.asked(), "the API was asked"
    assert not rebuilt.failed, rebuilt.failed
    assert not rebuilt.unreadable, rebuilt.unreadable
    after = world.files()
    kept = {content for path, content in after.items() if path.startswith("_quarantine/")}
    kept.add(after.get(done.path, b""))
    assert done.after is None or done.after in kept, "what stood there is gone"
    assert not findings(world), [finding.text for finding in findings(world)]
    assert missing(world) == [window.text for window in rebuilt.poll_again], "status is silent"
    return rebuilt


def polled_well(world: World, rebuilt: Rebuilt) -> None:
    """A run for missing hours polls the hours that lost a poll, once, and no other."""
    run(pipeline_at(world, LAST), missing_only=True)
    assert world.asked() == [f"{window.text}:00" for window in rebuilt.poll_again]
    assert not findings(world), [finding.text for finding in findings(world)]


def mendings(rounds: int, seed: int) -> Result:
    """In a separate lake."""
    with tempfile.TemporaryDirectory() as folder, lived_lake(Path(folder)) as world:
        return damaged_and_mended(world, rounds, seed)
