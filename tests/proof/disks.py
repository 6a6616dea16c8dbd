"""A disk that refuses: full, read-only, forbidden or broken, at any step of any write.

From its n-th step on, for a while or for one step, each file operation below the lake ends in an
error of the system. The work reports it in words; existing files stay readable; and the same work
again, once the disk is well, gives the right tables.
"""

from __future__ import annotations

import errno
import logging
import os
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import polars as pl
from proof.crashes import FIRST, LATER, WINDOWS, options
from proof.kills import doubled, is_made
from proof.reader import TABLES, look
from proof.result import Result
from proof.said_by_lake import wrong_by_the_lake
from proof.truth import wrong_with_tables
from support.world import BRIEF, HASTY, World

from returns_orchestration.errors import LakeUnwritable
from returns_orchestration.flow.from_settings import build_pipeline
from returns_orchestration.flow.outcomes import Failed, Stopped
from returns_orchestration.flow.rebuild import Rebuilder
from returns_orchestration.lake.entries import Entries
from returns_orchestration.simulator import Simulator

ERRORS = (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT, errno.EIO)
STEPS = {
    "open": (Path, "open"),
    "mkdir": (Path, "mkdir"),
    "sync": (os, "fsync"),
    "rename": (Path, "replace"),
    "link": (Path, "hardlink_to"),
    "unlink": (Path, "unlink"),
}
WORKS = ("first poll", "new content", "rebuild")
TORN = b"torn"
NOTE = "a note of damage"
"""A read of a lake notes damage if that is possible, and reports it in any case."""


class Disk:
    """Counts the steps of writes below ``lake``; refuses some of them with ``number``."""

    def __init__(self, lake: Path, number: int = 0, *, first: int = 0, most: int = 0) -> None:
        self._lake = str(lake)
        self._number = number
        self._refused = range(first, first + most)
        self.steps = 0
        self.hit: list[str] = []
        self._is_noting = False

    def step(self, name: str, path: object) -> None:
        """One step is about to be taken; a descriptor is of a file or folder of the lake."""
        if isinstance(path, Path) and not str(path).startswith(self._lake):
            return
        number, self.steps = self.steps, self.steps + 1
        if number in self._refused:
            self.hit.append(NOTE if self._is_noting else name)
            raise OSError(self._number, os.strerror(self._number))

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Intercept the file operations of this process."""
        with ExitStack() as stack:
            for name, (where, attribute) in STEPS.items():
                through = self._through(name, getattr(where, attribute))
                stack.enter_context(patch.object(where, attribute, through))
            noting = self._noting(Entries.note_damaged)
            stack.enter_context(patch.object(Entries, "note_damaged", noting))
            yield

    def _through(self, name: str, done: Callable[..., Any]) -> Callable[..., Any]:
        def stepping(path: object, *arguments: Any, **named: Any) -> Any:
            if name != "open" or "xb" in arguments:
                self.step(name, path)
            return done(path, *arguments, **named)

        return stepping

    def _noting(self, note: Callable[..., None]) -> Callable[..., None]:
        def noting(*arguments: Any) -> None:
            self._is_noting = True
            try:
                note(*arguments)
            finally:
                self._is_noting = False

        return noting


def refusing_disk(cases: int, seed: int) -> Result:
    """``cases`` refusals, each in a lake as it was before the interrupted work."""
    dice, result, hit = random.Random(seed), Result(seed), Counter[str]()
    logging.getLogger("returns_orchestration").setLevel(logging.CRITICAL)
    simulator = Simulator(options())
    with tempfile.TemporaryDirectory() as name, simulator.running() as base_url:
        before, steps = {}, {}
        for work in WORKS:
            before[work] = _before(World(Path(name) / work, simulator, base_url), work)
            with _copied(before[work], "dry") as world:
                disk = Disk(world.lake)
                with disk.in_force():
                    _do(world, work)
            steps[work] = disk.steps
        for number in range(cases):
            work = dice.choice(WORKS)
            first, most = dice.randrange(steps[work]), dice.choice([1, 1_000_000])
            with _copied(before[work], "case") as world:
                disk = Disk(world.lake, dice.choice(ERRORS), first=first, most=most)
                wrong = list(_wrong(world, work, disk))
            hit.update(disk.hit[:1])
            result.faults += [f"{number}, {work}, step {first} of {most}: {w}" for w in wrong]
            result.tried += 1
    result.notes = ", ".join(f"{count} at {step}" for step, count in sorted(hit.items()))
    return result


def _before(world: World, work: str) -> World:
    """A lake just before ``work``."""
    world.lake.mkdir(parents=True)
    if work != "first poll":
        _do(world, "first poll")
    if work == "rebuild":
        for path in world.lake.rglob("*"):
            if is_made(path):
                path.write_bytes(TORN)
    return world


@contextmanager
def _copied(world: World, name: str) -> Iterator[World]:
    folder = world.folder.with_name(name)
    shutil.copytree(world.folder, folder)
    yield World(folder, world.simulator, world.base_url)
    shutil.rmtree(folder)


def _do(world: World, work: str) -> list[Exception]:
    """Do the work; gives the errors it ended in."""
    moment = FIRST if work == "first poll" else LATER
    world.set_clock(lambda: moment)
    pipeline = build_pipeline(world.settings, clock=lambda: moment, retry=HASTY, timeouts=BRIEF)
    if work == "rebuild":
        world.set_clock(lambda: FIRST)
        try:
            Rebuilder(pipeline).rebuild(WINDOWS[0].start, WINDOWS[-1].end)
        except LakeUnwritable as error:
            return [error]
        return []
    outcomes = list(pipeline.run(WINDOWS))
    return [outcome.error for outcome in outcomes if isinstance(outcome, Failed | Stopped)]


def _wrong(world: World, work: str, disk: Disk) -> Iterator[str]:
    """Work until the refusal, look, repeat the work on a good disk, and look again."""
    before = _returns(world)
    with disk.in_force():
        errors = _do(world, work)
    for error in errors:
        words = str(error)
        if not isinstance(error, LakeUnwritable) or not words.endswith(LakeUnwritable.next_step):
            yield f"{type(error).__name__}: {words}"
    if not errors and set(disk.hit) - {"unlink", NOTE}:
        yield f"nobody was told of a refused {disk.hit}"
    if work != "rebuild":  # before which all tables are torn
        for table in TABLES:
            yield from look(world.lake, table)
        if lost := before - _returns(world):
            yield f"{len(lost)} returns are gone"
    yield from (str(error) for error in _do(world, work))
    moment = LATER if work == "new content" else FIRST
    yield from wrong_with_tables(world, WINDOWS, moment)
    yield from doubled(world)
    yield from wrong_by_the_lake(world, WINDOWS)


def _returns(world: World) -> set[str]:
    """The references that a reader finds in whole files."""
    files = [path for path in world.lake.glob("returns/*/*/*") if path.read_bytes() != TORN]
    return {
        reference
        for file in files
        for reference in pl.read_parquet(file).get_column("return_reference_number")
    }
