"""A realistic lake, and corruptions of its files: drivers for the tests and for `make prove`.

Everything follows from a seed, which every message names.
"""

from __future__ import annotations

import random
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from proof.relocated import land_moved
from proof.result import Result
from support.world import World, hours

from returns_orchestration import tables
from returns_orchestration.flow.from_settings import build_pipeline
from returns_orchestration.flow.hours import HourPipeline
from returns_orchestration.flow.outcomes import Failed, Stopped
from returns_orchestration.lake import Lake, open_store
from returns_orchestration.lake.forgotten import FORGOTTEN
from returns_orchestration.lake.format import MARKER
from returns_orchestration.lake.journal import JOURNAL
from returns_orchestration.simulator import Simulator, SimulatorOptions
from returns_orchestration.stages.erasure import blanked
from returns_orchestration.state.findings import Finding
from returns_orchestration.state.status import states
from returns_orchestration.state.verify import Verifier
from returns_orchestration.window import Window

FROM, TO = "2026-11-06T14:00", "2026-11-07T02:00"
"""Twelve hours of an evening and a night, in two days of the report's zone."""

KINDS = ("flip", "truncate", "delete", "foreign", "swap")

ENTRY = re.compile(r"(?P<at>[0-9]{2}|day|ever)\.(?P<kind>[a-z]+)(-[^/]*)?\.json")
"""The name of a journal entry."""

STRANGERS = (
    "part-0.parquet.tmp",
    "part-1.parquet",
    "poll-0009.parquet",
    "15.poll-0009-20261106T161003000000-20261106T161004-2-4711-0123456789abcdef-UTC.json",
    "15.lost-0001-0123456789abcdef-0009.json",
    "15.from-2026-11-06T17.json",
    "15.to-2026-11-06T17.json",
    "15.rezoned-0001-0001-Asia~Kolkata.json",
    "15.made-0123456789ab-01234567-01234567-9.json",
    "15.again-20261106T161003000000-0123456789abcdef.json",
    "15.waived.json",
    "15.made-0123456789ab-01234567-01234567-9.json.bak",
    "ever.json",
    "format-9.json.bak",
    ".hidden",
)


@contextmanager
def lived_lake(folder: Path, **options: object) -> Iterator[World]:
    """A lake of twelve hours, each polled three times, with returns at edges, late and unusable.

    Also with one that its newest poll puts into another hour, one of which the hour before repeated
    its earlier values, and a poll in which personal data was blanked.
    """
    chosen = {"returns_per_hour": 6, "edge_rule": "[]", "edges": True, "late_share": 0.2}
    simulator = Simulator(SimulatorOptions(**(chosen | {"unusable": 0.03} | options)))  # type: ignore[arg-type]
    with simulator.running() as base_url:
        world = World(folder, simulator, base_url)
        windows = hours(FROM, TO)
        for age in (0.2, 3, 30):
            moment = windows[-1].end + timedelta(hours=age)
            world.set_clock(lambda moment=moment: moment)  # type: ignore[misc]
            run(pipeline_at(world, moment))
        land_moved(pipeline_at(world, moment), windows[2], windows[9], moment)
        land_moved(pipeline_at(world, moment), windows[4], windows[7], moment)
        lake = Lake(open_store(str(world.lake)), lambda: moment)
        lake.polls.rezone(lake.names(), windows[5], "Etc/UTC")  # the same under another name
        erase(lake, windows[6])
        run(pipeline_at(world, moment), poll=False)
        run(pipeline_at(world, moment + timedelta(minutes=1)), windows[4:5])
        pipeline_at(world, moment).all_time.build()
        lake.waive(windows[0].previous, "nobody was there")
        yield world


def erase(lake: Lake, window: Window) -> None:
    """Blank all personal data in the first poll of ``window``."""
    names = lake.names()
    poll = names.hour(window).polls[0]
    lake.polls.erase(
        names, poll, [blanked(record) for record in lake.polls.served(poll)], is_blank=True
    )


def pipeline_at(world: World, moment: datetime) -> HourPipeline:
    """The pipeline of ``world`` with a fixed clock."""
    return build_pipeline(world.settings, clock=lambda: moment)


def run(pipeline: HourPipeline, windows: list[Window] | None = None, **how: object) -> None:
    """All hours, or some; an hour that fails is an error here."""
    for outcome in pipeline.run(windows or hours(FROM, TO), **how):  # type: ignore[arg-type]
        assert not isinstance(outcome, Failed | Stopped), outcome.error


def findings(world: World) -> list[Finding]:
    """The findings of `verify` in the whole lake."""
    settings = world.settings
    lake = Lake(open_store(settings.lake))
    return list(Verifier(lake, settings.report_time_zone).everything())


def named(found: list[Finding]) -> set[str]:
    return {finding.path for finding in found}


@dataclass
class Corruption:
    """One corruption of one file; ``path`` is the path that must be named."""

    kind: str
    path: str
    before: bytes | None
    after: bytes | None

    def write(self, lake: Path, content: bytes | None) -> None:
        file = lake / self.path
        if content is None:
            file.unlink(missing_ok=True)
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)


def sorts(files: dict[str, bytes]) -> list[str]:
    """Every sort of file: table or records, and its name without numbers."""
    return sorted({sort_of(path) for path in files})


def sort_of(path: str) -> str:
    """Its table or folder, how deep it lies, and its name without numbers and digests."""
    folder, name = path.split("/", 1)[0], path.rsplit("/", 1)[-1]
    name = name if folder != FORGOTTEN else f"#{Path(name).suffix}"
    entry = ENTRY.fullmatch(name)
    name = f"{entry['at']}.{entry['kind']}.json" if entry else name
    return f"{folder} {path.count('/')} {re.sub('[0-9]+', '#', name)}"


def nth(number: int, files: dict[str, bytes], dice: random.Random) -> Corruption:
    """The ``number``-th of a row in which every kind happens to every sort of file in turn."""
    kinds, all_sorts = len(KINDS), sorts(files)
    return corruption(
        KINDS[number % kinds], files, dice, all_sorts[number // kinds % len(all_sorts)]
    )


def corruption(
    kind: str, files: dict[str, bytes], dice: random.Random, sort: str = ""
) -> Corruption:
    """The corruption ``kind`` of a random file, of that ``sort`` if that is possible."""
    possible = [path for path in sorted(files) if _is_possible(kind, path, files[path])]
    paths = [path for path in possible if sort_of(path) == sort] or possible
    while True:
        path = dice.choice(paths)
        content = files[path]
        if kind == "flip":
            place = dice.randrange(max(1, len(content)))
            bit = bytes([(content[place] if content else 0) ^ 1 << dice.randrange(8)])
            return Corruption(kind, path, content, content[:place] + bit + content[place + 1 :])
        if kind == "truncate":
            return Corruption(kind, path, content, content[: dice.randrange(len(content))])
        if kind == "delete":
            return Corruption(kind, path, content, None)
        if kind == "foreign":
            folder = path.split("/")[: dice.randrange(len(path.split("/")) + 1)]
            folder = folder[:-1] if "/".join(folder) == path else folder
            stranger = "/".join([*folder, dice.choice(STRANGERS)])
            if stranger not in files and not any(p.startswith(stranger + "/") for p in files):
                return Corruption(kind, stranger, None, dice.choice([content, b"", b"PAR1"]))
        if kind == "swap":
            other = files[dice.choice(possible)]
            if other != content:
                return Corruption(kind, path, content, other)


def _is_possible(kind: str, path: str, content: bytes) -> bool:
    if path == MARKER:  # which is put again; it holds nothing
        return kind == "foreign"
    if kind == "truncate":
        return bool(content)
    # Only the waiver itself records a waiver: its absence is no damage.
    return kind != "delete" or not path.endswith("waived.json")


def is_unnoticed(done: Corruption, world: World) -> bool:
    """Whether `verify` names neither the file nor, for a lost entry, the files that it described.

    `status` reports an hour without the entry of its tables' inputs.
    """
    found = named(findings(world))
    entry = ENTRY.fullmatch(done.path.rpartition("/")[2])
    if done.path in found:
        return False
    if done.kind != "delete" or entry is None:
        return True
    date = done.path.split("/")[1]
    if entry["at"] == "ever":
        return f"{tables.LATENESS.name}/part-0.parquet" not in found
    if entry["at"] == "day" or entry["kind"] in ("poll", "made"):
        place = f"{date}/" if entry["at"] == "day" else f"{date}/hour={entry['at']}/"
        return not any(place in path for path in found)
    pipeline = build_pipeline(world.settings)
    window = Window.from_path(f"{date}/hour={entry['at']}")
    assert window is not None
    (line,) = states(pipeline.lake, [window], pipeline.days.zone)
    return line.state in ("complete", "empty")


def one_by_one(world: World, rounds: int, seed: int) -> Result:
    """``rounds`` corruptions, each alone in the lake, found by `verify` and undone."""
    dice, tally, files = random.Random(seed), Result(seed), world.files()
    assert not findings(world), findings(world)
    for number in range(rounds):
        done = nth(number, files, dice)
        done.write(world.lake, done.after)
        tally.tried += 1
        if is_unnoticed(done, world):
            tally.faults.append(f"{number}: {done.kind} {done.path}")
        restore(world, files)
    assert not findings(world)
    return tally


def all_at_once(world: World, seed: int) -> Result:
    """A corruption in every hour and every day at the same time; undone at the end.

    One in each, since a lost record loses its facts about the files beside it.
    """
    dice, tally, files = random.Random(seed), Result(seed), world.files()
    chosen: dict[str, Corruption] = {}
    folders = {path.partition("date=")[2].rpartition("/")[0] for path in files}
    told_of = set[str]()
    """Hours whose journal entry is damaged: its facts about their files are not known."""
    for folder in sorted(folders):
        while folder not in chosen and folder not in told_of:
            done = corruption(dice.choice(KINDS), files, dice)
            # The same folder's entry may no longer show which file belonged to a lost entry.
            is_entry = done.kind == "delete" and done.path.startswith(JOURNAL)
            if not is_entry and done.path.partition("date=")[2].rpartition("/")[0] == folder:
                chosen[folder] = done
                entry = ENTRY.fullmatch(done.path.rpartition("/")[2])
                told_of |= {f"{folder}/hour={entry['at']}"} if entry else set()
    for done in chosen.values():
        done.write(world.lake, done.after)
    found = named(findings(world))
    tally.tried = len(chosen)
    tally.faults = [f"{d.kind} {d.path}" for d in chosen.values() if d.path not in found]
    restore(world, files)
    return tally


def restore(world: World, files: dict[str, bytes]) -> None:
    """Replace all files, except the log of polls, by ``files``."""
    there = world.files()
    for path in there.keys() - files.keys():
        (world.lake / path).unlink()
    for path, content in files.items():
        if there.get(path) != content:
            (world.lake / path).parent.mkdir(parents=True, exist_ok=True)
            (world.lake / path).write_bytes(content)
    assert world.files() == files


def corruptions(rounds: int, seed: int) -> Result:
    """``rounds`` corruptions one by one, then many at once ten times, in a separate lake."""
    with tempfile.TemporaryDirectory() as folder, lived_lake(Path(folder)) as world:
        tallies = [one_by_one(world, rounds, seed)]
        tallies += [all_at_once(world, seed + number) for number in range(10)]
    tried = sum(tally.tried for tally in tallies)
    return Result(seed, tried, [missed for tally in tallies for missed in tally.faults])
