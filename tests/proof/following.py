"""A copy of the lake that only follows `changes` equals the lake, file for file.

Each life has one lake in memory and one loader. Polls, kills, rebuilds, other rules and zones,
older copies, two writers at once, quarantine, files that are altered, deleted or foreign, and
upgrades of a lake of format 1 come in any order. The loader lists, copies at once or later, while
others write, or dies half way; whenever it has finished, its copy equals the lake.
"""

from __future__ import annotations

import random
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from proof.model import Api, Said, name, records_of
from proof.mortal_store import Killed, Mortal
from proof.result import Result

from returns_orchestration import tables
from returns_orchestration.clickpost import Poll
from returns_orchestration.errors import LakeError
from returns_orchestration.flow.days import DayBuilder
from returns_orchestration.flow.hours import HourPipeline
from returns_orchestration.flow.rebuild import Rebuilder
from returns_orchestration.flow.upgrade import Upgrader, undo
from returns_orchestration.lake import Lake
from returns_orchestration.lake.many import Version
from returns_orchestration.stages import rules
from returns_orchestration.stages.typing import RecordReader
from returns_orchestration.state import changes
from returns_orchestration.state.changes import Changes, Cursor, changes_since
from returns_orchestration.window import Window

ARCHIVE = Path(__file__).parents[1] / "data" / "lake-format-1.tar.xz"
HOUR = timedelta(hours=1)
BEGIN = datetime(2026, 11, 5, 17, tzinfo=UTC)
HOURS = [BEGIN + timedelta(days=day) + HOUR * n for day in range(4) for n in range(3)]
"""Three hours around the end of a day in India, on each of four days."""

NOW = HOURS[-1] + timedelta(days=3)
STEPS = 14
UPGRADES = 10
"""Every life of that number has a lake of format 1."""


class Shared(Mortal):
    """A lake in which ``other`` writes, once, after ``countdown`` more steps or listings."""

    def __init__(self) -> None:
        super().__init__()
        self.countdown = 0
        self.other: Callable[[], None] | None = None

    def _step(self) -> None:
        super()._step()
        self._pass()

    def versions(self, prefix: str, start: str) -> Sequence[Version]:
        """A table is listed; another writer may be at work before."""
        self._pass()
        return super().versions(prefix, start)

    def _pass(self) -> None:
        other = self.other
        if other is None:
            return
        self.countdown -= 1
        if self.countdown < 0:
            self.other = None
            left, self.left = self.left, None
            with suppress(LakeError):  # it reports a foreign file, or format 1
                other()
            self.left = left


class Loader:
    """A copy of the tables by folder, and the cursors of which it has all, or some of the last."""

    def __init__(self) -> None:
        self.copy: dict[str, dict[str, bytes]] = {}
        self.cursors = [Cursor().text]

    def list(self, store: Shared, first: str = "") -> Changes:
        """The changes since its cursors."""
        return changes_since(store, *map(Cursor.read, self.cursors), first=first)

    def load(self, store: Shared, found: Changes, dice: random.Random, share: float = 1.0) -> None:
        """Copy the listed files, in any order; with a smaller ``share`` it dies before the end."""
        self.cursors.append(found.cursor.text)
        listed = dice.sample(found.changes, len(found.changes))
        for change in listed[: int(len(listed) * share)]:
            contents = {file.path: store.get(file.path) for file in change.files}
            self.copy[change.folder] = {p: c for p, c in contents.items() if c is not None}
        if share == 1.0:
            self.cursors = self.cursors[-1:]

    @property
    def files(self) -> dict[str, bytes]:
        """Every file of the copy."""
        return {path: c for files in self.copy.values() for path, c in files.items()}


class FollowedLife:
    """One lake, its writers and its loader; ``dice`` decide what happens."""

    def __init__(self, dice: random.Random, files: dict[str, bytes] | None = None) -> None:
        self.dice = dice
        self.store = Shared()
        self.store.dice = random.Random(dice.random())
        self.is_of_format_1 = files is not None
        self.store.restore(files or {})
        self.zone, self.client_zone = "UTC", "UTC"
        self.api = Api(edge=dice.choice(["[)", "[]", "(]"]))
        self.number = 0
        self.older: dict[str, bytes] | None = None
        self.loader = Loader()
        self.listed: Changes | None = None
        self.happened: list[str] = []

    # ---- the API, in place of the client

    def poll(self, window: Window) -> Poll:
        """Its reply for an hour now."""
        self.number += 1
        returns, unusable = self.api.answer(window.start, self.client_zone)
        records = [text for key, said in returns.items() for text in records_of(key, said)]
        served = (*records, *sorted(unusable))
        polled_at = NOW + timedelta(minutes=self.number)
        return Poll(window, polled_at, served, 1, 1, 0, 0.1, null_result=False, damaged_text=0)

    def pipeline(self) -> HourPipeline:
        """A pipeline with the current settings."""
        # Two writers' clocks differ, and neither equals the API's.
        clock = NOW + timedelta(seconds=self.dice.uniform(-1e6, 1e6))
        lake = Lake(self.store, lambda: clock)
        days = DayBuilder(lake, ZoneInfo(self.zone), wait=lambda _: None)
        reader = RecordReader(ZoneInfo(self.client_zone))
        client: Any = nullcontext(self)
        return HourPipeline(lake, reader, lambda *_: client, 1, days=days, clock=lambda: clock)

    # ---- the writers

    def polls(self) -> None:
        """Some hours are polled, after something has changed."""
        for _ in range(self.dice.randrange(3)):
            self.api_changes()
        some = self.dice.sample(HOURS, self.dice.randint(1, 4))
        list(self.pipeline().run([Window(hour) for hour in some]))

    def api_changes(self) -> None:
        """A return appears, changes, moves or is hidden, or a record becomes unusable."""
        dice, known = self.dice, sorted(self.api.returns)
        moment = dice.choice(HOURS) + timedelta(minutes=dice.choice([0, 30]))
        status = f"S-{self.number}-{dice.randrange(1_000)}"
        if not known or dice.random() < 0.4:
            pieces = frozenset(range(1, dice.randint(2, 3)))
            said = Said(moment, False, status, dice.choice(["UPI", None]), False, pieces)  # noqa: FBT003
            self.api.becomes(name(len(known)), said)
        elif dice.random() < 0.7:
            reference = dice.choice(known)
            said = self.api.returns[reference]._replace(status=status)
            self.api.becomes(reference, dice.choice([said, said._replace(requested=moment)]))
        elif dice.random() < 0.5:
            self.api.hidden ^= {dice.choice(known)}
        else:
            text = f'{{"return_reference_number": null, "n": {dice.randrange(1_000)}}}'
            self.api.unusable.setdefault(dice.choice(HOURS), set()).add(text)

    def rebuilds(self) -> None:
        """All tables again."""
        Rebuilder(self.pipeline()).rebuild(HOURS[0], HOURS[-1] + HOUR)

    def makes(self) -> None:
        """Make unfinished and outdated hours."""
        list(self.pipeline().run([Window(h) for h in HOURS], poll=False, missing_only=True))

    def two_write(self) -> None:
        """A second writer does its work somewhere during the first one's."""
        self.store.countdown = self.dice.randrange(40)
        self.store.other = self.dice.choice([self.polls, self.rebuilds, self.makes])
        self.polls()

    def is_killed(self) -> None:
        """A writer dies at some step."""
        self.store.left = self.dice.randrange(60)
        with suppress(Killed):
            self.dice.choice([self.polls, self.rebuilds, self.makes, self.upgrades])()

    def otherwise(self) -> None:
        """Rules or zones change."""
        what = self.dice.randrange(4)
        if what == 0:
            rules.VERSION += 1  # type: ignore[misc]
        elif what == 1:
            self.zone = self.dice.choice(["UTC", "Asia/Kolkata"])
        elif what == 2:
            self.client_zone = self.dice.choice(["UTC", "Asia/Kolkata"])
        else:
            lake = self.pipeline().lake
            lake.polls.rezone(lake.names(), Window(self.dice.choice(HOURS)), "Africa/Lagos")
        self.makes()

    def is_quarantined(self) -> None:
        """A poll is found bad."""
        lake = self.pipeline().lake
        names = lake.names()
        polled = [window for hour in HOURS if names.hour(window := Window(hour)).polls]
        if polled:
            window = self.dice.choice(polled)
            number = self.dice.choice(names.hour(window).polls).number
            lake.polls.quarantine(names, window, number)

    def is_waived(self) -> None:
        """An hour need not be polled."""
        self.pipeline().lake.waive(Window(self.dice.choice(HOURS)), "nobody was there")

    def a_copy_is_put_back(self) -> None:
        """The lake is restored from an older copy."""
        if self.older is None or self.dice.random() < 0.5:
            self.older = self.store.copied()
        else:
            self.store.restore(self.older)

    def a_stranger_writes(self) -> None:
        """A file is altered, with the same size, or deleted, or a foreign one appears."""
        files = [path for table in tables.TABLES for path in self.store.list(table.name)]
        what = self.dice.randrange(3)
        if what == 0 or not files:
            table, hour = self.dice.choice(tables.TABLES), self.dice.choice(HOURS)
            date = f"date={hour:%Y-%m-%d}"
            folder = self.dice.choice(["", f"/{date}", f"/{date}/hour={hour:%H}", f"/{date}/odd"])
            self.store.put(f"{table.name}{folder}/x.parquet", self.dice.randbytes(9))
        elif what == 1:
            self.store.delete(self.dice.choice(files))
        else:
            path = self.dice.choice(files)
            content = bytearray(self.store.get(path) or b"?")
            content[self.dice.randrange(len(content))] ^= 1
            self.store.put(path, bytes(content))

    def of_all_time(self) -> None:
        """The table of all time is made, or an alert is noted."""
        if self.dice.random() < 0.5:
            self.pipeline().all_time.build()
        else:
            day = f"date={self.dice.choice(HOURS):%Y-%m-%d}"
            self.store.put(f"alerts/{day}/{self.number:08d}.parquet", self.dice.randbytes(9))

    def upgrades(self) -> None:
        """A lake of format 1 is upgraded, or the upgrade is undone."""
        if not self.is_of_format_1:
            self.polls()
        elif self.dice.random() < 0.7:
            Upgrader(self.pipeline(), "UTC").upgrade()
        else:
            undo(self.pipeline().lake)

    # ---- the loader

    def follows(self) -> None:
        """The loader finishes while no writer works: its copy equals the lake."""
        self.loader.load(self.store, self.loader.list(self.store), self.dice)
        self.holds()

    def holds(self) -> None:
        """The copy equals the lake, file for file; and a second look finds no change."""
        there = {
            path: content
            for path, content in self.store.copied().items()
            if path.partition("/")[0] in tables.BY_NAME
        }
        copy = self.loader.files
        odd = {path for path in there.keys() | copy.keys() if there.get(path) != copy.get(path)}
        assert not odd, f"{sorted(odd)[:3]} after {self.happened}"
        again = self.loader.list(self.store)
        assert not again.changes, f"{again.changes[:3]} twice after {self.happened}"
        assert [again.cursor.text] == self.loader.cursors, self.happened

    def follows_while_others_write(self) -> None:
        """A writer works between the listings of two tables."""
        self.store.countdown = self.dice.randrange(len(tables.TABLES))
        self.store.other = self.dice.choice([self.polls, self.rebuilds])
        found = self.loader.list(self.store)
        self.store.other = None
        self.loader.load(self.store, found, self.dice)

    def follows_late(self) -> None:
        """It lists, others write meanwhile, and it copies the files that exist then."""
        found = self.loader.list(self.store)
        self.something_happens()
        self.loader.load(self.store, found, self.dice)

    def dies_following(self) -> None:
        """A killed loader has some of the old and some of the new files."""
        self.loader.load(self.store, self.loader.list(self.store), self.dice, self.dice.random())

    def looks_at_the_newest(self) -> None:
        """It looks at the newest dates only; older ones wait for a whole look."""
        first = f"{self.dice.choice(HOURS):%Y-%m-%d}"
        self.loader.load(self.store, self.loader.list(self.store, first), self.dice)

    def something_happens(self) -> None:
        """A writer of any kind; its complaints do not matter here."""
        writers = (
            *[self.polls] * 4,
            *[self.is_killed] * 3,
            *[self.two_write] * 3,
            self.rebuilds,
            self.makes,
            self.otherwise,
            self.is_quarantined,
            self.is_waived,
            self.a_copy_is_put_back,
            *[self.a_stranger_writes] * 2,
            self.of_all_time,
            *[self.upgrades] * (4 if self.is_of_format_1 else 0),
        )
        writer = self.dice.choice(writers)
        self.happened.append(writer.__name__)
        with suppress(LakeError):
            writer()
        self.store.left, self.store.other = None, None

    def lives(self) -> None:
        """Some steps, each followed in one of the ways, or not at all; then to the end."""
        for _ in range(STEPS if not self.is_of_format_1 else STEPS // 3):
            self.something_happens()
            ways = (
                *[self.follows] * 3,
                self.follows_while_others_write,
                self.follows_late,
                self.dies_following,
                self.looks_at_the_newest,
                None,
            )
            way = self.dice.choice(ways)
            if way is not None:
                self.happened.append(way.__name__)
                way()
        self.follows()


@contextmanager
def few_dates() -> Iterator[None]:
    """A cursor keeps one date by table and two by hour, so that a life of four days folds dates."""
    of_cursors: Any = changes
    of_rules: Any = rules
    before = of_cursors.BY_TABLE, of_cursors.BY_HOUR, of_rules.VERSION
    of_cursors.BY_TABLE, of_cursors.BY_HOUR = 1, 2
    try:
        yield
    finally:
        of_cursors.BY_TABLE, of_cursors.BY_HOUR, of_rules.VERSION = before


def lake_of_format_1() -> dict[str, bytes]:
    """The files of the lake of an earlier release, by path."""
    files: dict[str, bytes] = {}
    with tarfile.open(ARCHIVE) as archive:
        for member in archive:
            _, is_in_lake, path = member.name.rpartition("lake/")
            file = archive.extractfile(member) if member.isfile() and is_in_lake else None
            if file is not None:
                files[path] = file.read()
    return files


def followed(cases: int, seed: int) -> Result:
    """``cases`` lives; one in ten is of a lake of format 1."""
    result, old = Result(seed), lake_of_format_1()
    steps = 0
    for number in range(cases):
        dice = random.Random(f"{seed} {number}")
        files = old if number % UPGRADES == UPGRADES // 2 else None
        with few_dates():
            life = FollowedLife(dice, files)
            try:
                life.lives()
            except AssertionError as fault:
                result.faults.append(f"life {number}: {fault}"[:2_000])
        steps += len(life.happened)
        result.tried += 1
    result.notes = f"{steps:,} steps of writers and loaders"
    return result
