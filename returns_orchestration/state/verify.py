"""Every file of the lake against its record in the journal; the files are not changed here.

One pass, date by date, so memory stays flat. It checks the seal and the place of every entry, size
and sha256 of every file that an entry names, the seal of every poll without one, and that there are
no other files. Empty folders and the temporary files of killed writers, which are not read, and
files in ``_quarantine/`` are no findings. A date with findings is looked at again, and only a
finding of both looks counts, since a pipeline may be running. Damage is noted in the journal, so
that the hour counts as damaged until it is mended.

``hours`` decides whether an hour's tables were made of all its polls.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from returns_orchestration import tables
from returns_orchestration.errors import LakeDamaged, LakeError
from returns_orchestration.lake import journal
from returns_orchestration.lake.entry_kinds import (
    MADE,
    Entry,
    FileRecord,
    From,
    Made,
    MadeName,
    Poll,
    To,
    decode,
    made_path,
)
from returns_orchestration.lake.entry_names import (
    Name,
    came_of,
    entry_named,
    name_of_hour,
    read_name,
)
from returns_orchestration.lake.lake import DAILY_BY, HOURLY_BY
from returns_orchestration.lake.parquet import is_whole
from returns_orchestration.lake.polls import is_file_of, poll_name
from returns_orchestration.lake.webhooks import entry_path, is_whole_file
from returns_orchestration.state import findings
from returns_orchestration.state.findings import SELF_NAMED, Finding
from returns_orchestration.window import Day, Ever, Window, days_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import date, datetime
    from zoneinfo import ZoneInfo

    from returns_orchestration.lake import Lake, Names
    from returns_orchestration.state.findings import Kind, Remedy
    from returns_orchestration.tables import Table

_RAW: Final = re.compile(r"poll-([0-9]{4,})\.parquet")
_REMEDIES: Final[dict[str, Remedy]] = {
    **dict.fromkeys((*MADE, "placed"), "make"),
    "again": "poll",  # a new poll then shows the hour's newest records
    "waived": "quarantine",
    "damaged": "quarantine",
}
"""The remedy of a damaged entry whose name does not hold all of it, by its kind."""

HOURLY: Final = (tables.RAW_RETURNS, *tables.MADE_HOURLY)


class Verifier:
    """Looks at one lake, whose days are those of ``zone``; ``files`` counts the files looked at."""

    def __init__(self, lake: Lake, zone: ZoneInfo) -> None:
        self._lake = lake
        self._zone = zone
        self.files = 0

    def everything(self) -> Iterator[Finding]:
        """The findings of the whole lake. Raises LakeError where it cannot be looked at."""
        for day in self.dates():
            yield from self._confirmed(lambda day=day: self._date(day))  # type: ignore[misc]
        yield from self.rest()

    def rest(self) -> Iterator[Finding]:
        """The findings about files that belong to no date."""
        yield from self._confirmed(self._rest)

    def between(self, start: datetime, end: datetime) -> Iterator[Finding]:
        """The findings in the hours of ``[start, end)`` and in the days that they overlap."""
        first, last = Window(start), Window(end).previous
        days = days_of(first, self._zone)[0].date, days_of(last, self._zone)[-1].date
        for day in self.dates():
            if min(days[0], start.date()) <= day <= max(days[1], last.start.date()):
                for finding in self._confirmed(lambda day=day: self._date(day)):  # type: ignore[misc]
                    window = Window.from_path(finding.path) or finding.window
                    is_of_a_day = window is None and days[0] <= day <= days[1]
                    if is_of_a_day or (window is not None and first <= window <= last):
                        yield finding

    def dates(self) -> list[date]:
        """Every date that has files. Raises LakeOlder or LakeNewer."""
        self._lake.format.ensure()
        return findings.dates(self._lake.store)

    def _confirmed(self, look: Callable[[], list[Finding]]) -> Iterator[Finding]:
        """The findings of both a first and a second look."""
        files = self.files
        first = look()
        files, again = self.files, look() if first else []
        self.files = files
        confirmed = set(again)
        for finding in dict.fromkeys(first):
            if finding in confirmed:
                self._note(finding)
                yield finding

    def _note(self, finding: Finding) -> None:
        """Note in the journal that a file of an hour or day, or its entry, is damaged."""
        is_ours = finding.remedy == "make" or finding.path.partition("/")[0] in tables.BY_NAME
        if is_ours and finding.kind in {"torn", "altered", "missing"}:
            with suppress(LakeError):  # a lake that cannot be written is still looked at
                self._lake.entries.note_damaged(self._lake.names(), finding.path)

    # ---- a date

    def _date(self, day: date) -> list[Finding]:
        """The findings of one date: its journal, its hours, its day."""
        names = self._lake.names()
        names.load(day, day)
        entries, found = self._entries(day, names)
        listed: dict[str, str] = {}
        for table in (*HOURLY, *tables.OF_WEBHOOKS, *tables.MADE_DAILY):
            names.load_files(table.name, day, day)
            listed |= dict.fromkeys(names.files(table.name, day) or (), table.name)
        made = {
            kind: {entry.period: entry for entry in entries if type(entry) is of_kind}
            for kind, of_kind in MADE.items()
        }
        for hour in range(24):
            window = Window.from_path(f"date={day.isoformat()}/hour={hour:02d}")
            if window is not None:
                here = {path for path in listed if f"/{window.path}/" in path}
                found += self._hour(window, names, made, here)
                for path in here:
                    del listed[path]
        of_day = Day(day, self._zone)
        for kind, expected in DAILY_BY.items():
            of_kind = {path for path in listed if _is_of(path, expected)}
            found += self._tables(of_day, expected, made[kind], of_kind, names)
            for path in of_kind:
                del listed[path]
        found += [Finding(path, "foreign", "quarantine") for path in sorted(listed)]
        found += self._self_named(day)
        return found

    def _entries(self, day: date, names: Names) -> tuple[list[Entry], list[Finding]]:
        """The good entries of a date, and the findings about the others."""
        folder = journal.date_folder(day)
        paths = [f"{folder}/{name}" for name in names.of(day)]
        good: list[Entry] = []
        found: list[Finding] = []
        for path, content in self._contents(paths, found):
            name = read_name(path.removeprefix(f"{folder}/"))
            window = _hour_of(day, name)
            number = int(name.arguments.get("number", 0)) if name else 0
            if name is None:
                found.append(Finding(path, "foreign", "quarantine"))
            elif content is None:
                continue  # it was removed meanwhile
            else:
                try:
                    good.append(decode(content, path))
                except LakeDamaged:
                    kind: Kind = "torn" if journal.is_torn(content) else "altered"
                    remedy = _REMEDIES.get(name.kind, "entry")
                    found.append(Finding(path, kind, remedy, window, number))
        return good, found

    def _hour(
        self,
        window: Window,
        names: Names,
        made_by: dict[str, dict[str, Made]],
        listed: set[str],
    ) -> list[Finding]:
        raw = {path for path in listed if _is_of(path, (tables.RAW_RETURNS,))}
        webhooks = {path for path in listed if _is_of(path, (tables.RAW_WEBHOOKS,))}
        found = self._polls(window, names, raw) + self._marks(window, names)
        found += self._webhooks(window, names, webhooks)
        for kind, expected in HOURLY_BY.items():
            of_kind = {path for path in listed if _is_of(path, expected)}
            found += self._tables(window, expected, made_by[kind], of_kind, names)
        made = made_by["made"].get(window.key)
        hour = names.hour(window)
        known = {poll.number for poll in hour.polls} | {number for number, _, _ in hour.lost}
        known |= set(names.unnoted(window))
        for name in made.made_of if made else ():
            key, _, number = name.partition("/poll-")
            if key == window.key and int(number) not in known:
                path = self._lake.polls.path(window, int(number))
                found.append(Finding(path, "missing", "poll", window, int(number)))
        for path in self._lake.entries.absent(names, window, made.made_of if made else ()):
            remedy: Remedy = "make" if came_of(path) else "poll"
            remedy = "entry" if entry_named(path) else remedy
            found.append(Finding(path, "missing", remedy, window))
        return found

    def _webhooks(self, window: Window, names: Names, there: set[str]) -> list[Finding]:
        """The webhooks received in an hour: every file against its entry, and the reverse."""
        entries = {entry_path(entry): entry for entry in names.hour(window).received}
        found: list[Finding] = []
        found += [
            Finding(path, "missing", "webhooks", window)
            for path in sorted(entries.keys() - there)
            if self._lake.store.get(path) is None  # it may have come since the listing
        ]
        for path, content in self._contents(sorted(there), found):
            if content is None:
                continue
            is_whole = is_whole_file(path, content)
            if is_whole is None:
                found.append(Finding(path, "foreign", "quarantine", window))
            elif path not in entries:
                kind: Kind = "unfinished" if is_whole else "torn"
                found.append(Finding(path, kind, "finish" if is_whole else "quarantine", window))
            elif not is_whole:
                kind = "altered" if len(content) == entries[path].size else "torn"
                found.append(Finding(path, kind, "webhooks", window))
        return found

    @staticmethod
    def _marks(window: Window, names: Names) -> list[Finding]:
        """Absent marks of other hours that the marks of ``window`` require."""
        hour, name = names.hour(window), name_of_hour(window)
        if names.unnoted(window):  # a run was killed while it put them
            return []
        absent: list[tuple[Window, Entry]] = [
            (home, From(period=home.key, hour=name))
            for home in sorted(hour.went_to)
            if window not in names.hour(home).came_from
        ]
        absent += [
            (source, To(period=source.key, hour=name))
            for source in sorted(hour.came_from)
            if window not in names.hour(source).went_to and not names.unnoted(source)
        ]
        return [Finding(entry.path, "missing", "entry", of) for of, entry in absent]

    def _polls(self, window: Window, names: Names, raw: set[str]) -> list[Finding]:
        """The polls of an hour: every file against its entry, every entry against its file."""
        hour = names.hour(window)
        polls = {self._lake.polls.path(window, poll.number): poll for poll in hour.polls}
        lost = {self._lake.polls.path(window, number) for number, _, _ in hour.lost}
        found: list[Finding] = []
        found += [
            Finding(path, "missing", "poll", window, polls[path].number)
            for path in sorted(polls.keys() - raw)
            if self._lake.store.get(path) is None  # it may have come since the listing
        ]
        for path, content in self._contents(sorted(raw), found):
            numbered = _RAW.fullmatch(path.rpartition("/")[2])
            number = int(numbered[1]) if numbered else 0
            if content is None:
                continue
            if numbered is None:
                found.append(Finding(path, "foreign", "quarantine", window))
            elif path in lost:  # killed while it was quarantined
                found.append(Finding(path, "unfinished", "quarantine", window, number))
            elif path in polls:
                kind = _differs(content, polls[path])
                if kind:
                    remedy: Remedy = "finish" if is_file_of(content, polls[path]) else "poll"
                    found.append(Finding(path, kind, remedy, window, number))
            elif is_whole(content, poll_name(window, number)):
                found.append(Finding(path, "unfinished", "finish", window, number))
            else:
                kind = "altered" if content.endswith(b"PAR1") else "torn"
                found.append(Finding(path, kind, "poll", window, number))
        return found

    def _tables(
        self,
        period: Window | Day,
        expected: Sequence[Table],
        made: dict[str, Made],
        listed: set[str],
        names: Names,
    ) -> list[Finding]:
        """The tables of an hour or a day against their entry, and files without one."""
        found: list[Finding] = []
        window = period if isinstance(period, Window) else None
        entry = made.get(period.key)
        files = {file.path: file for file in entry.files.values()} if entry else {}
        for path, content in self._contents(sorted(files), found):
            if content is None:
                found.append(Finding(path, "missing", "make", window))
            elif len(content) != files[path].size:
                found.append(Finding(path, "torn", "make", window))
            elif FileRecord.of(path, content, files[path].rows) != files[path]:
                found.append(Finding(path, "altered", "make", window))
        ours = {self._lake.path(table, period) for table in expected}
        # Without an entry they are about to be made again, if there is anything to make them of.
        is_made_of = window is None or bool(names.unnoted(window))
        if window is not None:
            hour = names.hour(window)
            is_made_of |= bool(hour.has_copies or hour.received or hour.webhooks)
        for path in sorted(listed - files.keys()):
            if path in ours and not entry and is_made_of:
                found.append(Finding(path, "unfinished", "make", window))
            else:
                found.append(Finding(path, "foreign", "quarantine", window))
        return found

    def _self_named(self, day: date) -> list[Finding]:
        found: list[Finding] = []
        for folder, pattern in SELF_NAMED.items():
            paths = sorted(self._lake.store.list(f"{folder}/date={day.isoformat()}"))
            for path, content in self._contents(paths, found):
                named = pattern.fullmatch(path.removeprefix(f"{folder}/date={day.isoformat()}/"))
                if named is None:
                    found.append(Finding(path, "foreign", "quarantine"))
                elif content is not None and not _sha(content).startswith(named["sha256"]):
                    found.append(Finding(path, "altered", "quarantine"))
        return found

    def _rest(self) -> list[Finding]:
        """The findings without a date: the tables of all time, and foreign files."""
        found = [
            Finding(path, "foreign", "quarantine") for path in findings.strangers(self._lake.store)
        ]
        found += self._receipts()
        made = self._lake.made_names(Ever(), self._lake.names())
        for name in made:
            found += self._of_all_time(name)
        for table in () if made else tables.OF_ALL_TIME:
            path = self._lake.path(table, Ever())
            if self._lake.store.get(path) is not None:
                found.append(Finding(path, "unfinished", "make"))
        return found

    def _of_all_time(self, name: MadeName) -> list[Finding]:
        """The findings about the tables of all time, by the entry of that name."""
        try:
            files = self._lake.read_made(Ever(), name).files.values()
        except LakeDamaged:
            return [Finding(made_path(Ever(), name), "altered", "make")]
        contents = self._lake.store.get_many([file.path for file in files])
        return [
            Finding(file.path, "altered" if content else "missing", "make")
            for file, content in zip(files, contents, strict=True)
            if content is None or FileRecord.of(file.path, content, file.rows) != file
        ]

    def _receipts(self) -> list[Finding]:
        """The findings about receipts of `forget`."""
        receipts = self._lake.receipts
        found: list[Finding] = []
        for path, kind in receipts.faults():
            remedy: Remedy = "quarantine" if kind == "foreign" else "restore"
            found.append(Finding(path, kind, remedy))
        if not found:
            found += [Finding(one.path, "unfinished", "forget") for one in receipts.open()]
        return found

    def _contents(
        self, paths: Sequence[str], found: list[Finding]
    ) -> Iterable[tuple[str, bytes | None]]:
        """Path and content of each file that can be read, side by side; the others are noted."""
        self.files += len(paths)
        for at in range(0, len(paths), 8):
            some = paths[at : at + 8]
            try:
                yield from zip(some, self._lake.store.get_many(some), strict=True)
            except LakeDamaged:
                for path in some:
                    try:
                        yield path, self._lake.store.get(path)
                    except LakeDamaged:
                        found.append(Finding(path, "unreadable", "look", Window.from_path(path)))


def _is_of(path: str, some: Sequence[Table]) -> bool:
    """Whether a file is one of these tables."""
    return path.partition("/")[0] in {table.name for table in some}


def _hour_of(day: date, name: Name | None) -> Window | None:
    if name is None or not name.at.isdigit():
        return None
    return Window.from_path(f"date={day.isoformat()}/hour={name.at}")


def _differs(content: bytes, poll: Poll) -> Kind | None:
    size, sha = poll.file
    if len(content) == size and _sha(content).startswith(sha):
        return None
    if is_file_of(content, poll):
        # An erasure was killed before its entry; or a file from before it was put back.
        return "unfinished" if (len(content), _sha(content)[:16]) not in poll.files else "altered"
    return "torn" if len(content) != size else "altered"


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
