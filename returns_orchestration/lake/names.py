"""The names in the journal, as far as they were listed, and the facts in them of hours and days.

A run lists the dates of its hours once and notes its own writes; the writes of another process
show when the dates are listed again (``refresh``). No file is opened here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from returns_orchestration import tables
from returns_orchestration.lake import journal
from returns_orchestration.lake.entry_kinds import (
    INPUTS,
    MADE,
    MARKS,
    Erased,
    Listened,
    MadeName,
    Poll,
    Received,
)
from returns_orchestration.lake.entry_names import (
    Name,
    PlacedName,
    hour_named,
    read_erased,
    read_listened,
    read_name,
    read_placed,
    read_poll,
    read_received,
)
from returns_orchestration.lake.journal import JOURNAL
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from returns_orchestration.lake.store import Store

    Sizes = dict[str, int]

_RAW: Final = re.compile(r"poll-([0-9]{4,})\.parquet")
_DATE: Final = re.compile(r"date=([0-9]{4}-[0-9]{2}-[0-9]{2})")
_ONE_DAY: Final = timedelta(days=1)

DAYS_AT_ONCE: Final = 31
"""Days whose names, and whose rows of one table, are held at once by those who read years."""


@dataclass(slots=True)
class HourNames:
    """The facts in the names of one hour's entries.

    ``polls`` are those that were not quarantined; ``lost`` has, of each that was, its number, the
    beginning of its sha256 and the first number of a poll that replaces it. ``came_from`` are the
    windows that served returns of this hour, ``went_to`` the hours of returns that it served.
    ``rezoned`` has the zone of polls whose zone was corrected, ``erased`` the polls in which
    personal data was blanked. ``received`` are the files of webhooks that came in this hour,
    ``listened`` the times in which they could come; ``webhooks`` are the hours in which webhooks
    about returns of this one came, ``placed`` those that say that one was placed. ``made``,
    ``events`` and ``matched`` are the entries of its tables; ``inputs`` are the names that decide
    what the first of these hold.
    """

    polls: list[Poll] = field(default_factory=list)
    lost: list[tuple[int, str, int]] = field(default_factory=list)
    came_from: set[Window] = field(default_factory=set)
    went_to: set[Window] = field(default_factory=set)
    again: list[str] = field(default_factory=list)
    rezoned: dict[int, tuple[int, str]] = field(default_factory=dict)
    erased: list[Erased] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    listened: list[Listened] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    waived: bool = False
    made: list[MadeName] = field(default_factory=list)
    events: list[MadeName] = field(default_factory=list)
    matched: list[MadeName] = field(default_factory=list)
    webhooks: set[Window] = field(default_factory=set)
    placed: list[PlacedName] = field(default_factory=list)
    blanked: list[str] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)

    @property
    def has_copies(self) -> bool:
        """Whether a source of its returns is kept: a poll, or webhooks.

        After a poll was lost webhooks alone do not count: what is left of its tables stays.
        """
        return bool(self.polls or (self.placed and not self.lost))

    @property
    def files_of_webhooks(self) -> str:
        """A digest of its files of webhooks."""
        return journal.digest_of_inputs(entry.arguments for entry in self.received)

    @property
    def next_number(self) -> int:
        """The number of the next poll that is kept."""
        newest = max((poll.number for poll in self.polls), default=0)
        return max([newest + 1, *(following for _, _, following in self.lost)])

    @property
    def has_lost_a_poll(self) -> bool:
        """Whether a poll was quarantined and not replaced since: the hour is to be polled again."""
        newest = max((poll.number for poll in self.polls), default=0)
        return any(newest < following for _, _, following in self.lost)

    def zone_of(self, poll: Poll) -> str:
        """The zone of the naive times of ``poll``."""
        return self.rezoned.get(poll.number, (0, poll.zone))[1]

    def last_polled(self) -> datetime | None:
        """When the newest kept poll was sent; by the earlier clock, where two disagree."""
        return max((min(poll.polled_at, poll.noted_at) for poll in self.polls), default=None)


class Names:
    """The names of the journal, and of the tables' files, of the dates that were listed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._listed: dict[date, dict[str, None]] = {}
        self._read: dict[Window, HourNames] = {}
        self._days: dict[date, dict[str, list[MadeName]]] = {}
        self._files: dict[tuple[str, date], dict[str, int]] = {}

    # ---- the journal

    def load(self, first: date, last: date) -> None:
        """List all dates from ``first`` to ``last`` again, in one call. Raises LakeDamaged."""
        found: dict[date, dict[str, None]] = {day: {} for day in _dates(first, last)}
        for listed in self._store.between(
            JOURNAL, journal.date_folder(first), f"{journal.date_folder(last)}0"
        ):
            read, name = _split(listed.path)
            if read in found:
                found[read][name] = None
        for day, names in found.items():
            self._take(day, names)

    def load_hours(self, windows: Iterable[Window]) -> None:
        """List the dates of ``windows`` and the dates beside them, which their days reach into."""
        for first, last in _stretches(sorted({window.start.date() for window in windows})):
            self.load(_earlier(first), _later(last))

    def refresh(self, windows: Iterable[Window]) -> None:
        """List the dates of ``windows`` again."""
        for day in sorted({window.start.date() for window in windows}):
            self.load(day, day)

    def hour(self, window: Window) -> HourNames:
        """The facts in the names of ``window``; its date is listed if it was not."""
        day = window.start.date()
        if day not in self._listed:
            self.load(day, day)
        return self._read.get(window) or HourNames()

    def hours(self) -> list[Window]:
        """Every hour of the listed dates that has an entry, in order."""
        return sorted(self._read)

    def day(self, day: date, kind: str = "made") -> list[MadeName]:
        """The names of the made entries of a day of the report's zone."""
        if day not in self._listed:
            self.load(day, day)
        return self._days[day].get(kind, [])

    def of(self, day: date) -> list[str]:
        """All names in the folder of a date, foreign files and files in subfolders included."""
        if day not in self._listed:
            self.load(day, day)
        return sorted(self._listed[day])

    def add(self, path: str) -> None:
        """Take note of an entry that this process has put."""
        self._change(path, there=True)

    def discard(self, path: str) -> None:
        """Take note of an entry that this process has removed."""
        self._change(path, there=False)

    def _change(self, path: str, *, there: bool) -> None:
        day, name = _split(path)
        if day is None or day not in self._listed:
            return
        if there:
            self._listed[day][name] = None
        else:
            self._listed[day].pop(name, None)
        at = name.partition(".")[0]
        known = read_name(name) if there else None
        if known is not None and known.kind in MARKS and at.isdigit():
            # There may be thousands of these, and one does not change the facts of another.
            window = _window(day, int(at))
            _put(self._read.setdefault(window, HourNames()), window, name, known)
            return
        self._read_names(day, at, [n for n in self._listed[day] if n.startswith(f"{at}.")])

    def _take(self, day: date, names: dict[str, None]) -> None:
        self._listed[day] = names
        found: dict[str, list[str]] = {f"{hour:02d}": [] for hour in range(24)}
        found[journal.DAY] = []
        for name in names:
            if (at := name.partition(".")[0]) in found:
                found[at].append(name)
        for at, of_one in found.items():
            self._read_names(day, at, of_one)

    def _read_names(self, day: date, at: str, names: Iterable[str]) -> None:
        read = [(name, known) for name in sorted(names) if (known := read_name(name))]
        if at == journal.DAY:
            self._days[day] = {}
            for _, entry in read:
                if entry.kind in MADE:
                    of_kind = self._days[day].setdefault(entry.kind, [])
                    of_kind.append(MadeName.of(entry.arguments))
            return
        if not at.isdigit():
            return
        window = _window(day, int(at))
        if read:
            hour = HourNames()
            for name, known in read:
                _put(hour, window, name, known)
            _complete(hour)
            self._read[window] = hour
        else:
            self._read.pop(window, None)

    # ---- the files of the tables

    def load_files(self, table: str, first: date, last: date) -> None:
        """List the files of a table of all dates from ``first`` to ``last``, with their sizes."""
        self._files |= {(table, day): {} for day in _dates(first, last)}
        for listed in self._store.between(
            table, f"{table}/date={first.isoformat()}", f"{table}/date={last.isoformat()}0"
        ):
            read = date_of(listed.path)
            if read is not None and (table, read) in self._files:
                self._files[table, read][listed.path] = listed.size

    def files(self, table: str, day: date) -> dict[str, int] | None:
        """Path and size of each file of a table on a UTC date; None for a date not listed."""
        return self._files.get((table, day))

    def forget_files(self) -> None:
        """List files again from now on."""
        self._files.clear()

    def unnoted(self, window: Window) -> list[int]:
        """Numbers of polls that have a file and no entry: a run was killed.

        The remains of a quarantined poll do not count.
        """
        table, day = tables.RAW_RETURNS.name, window.start.date()
        if (table, day) not in self._files:
            self.load_files(table, day, day)
        hour = self.hour(window)
        known = {poll.number for poll in hour.polls} | {number for number, _, _ in hour.lost}
        folder = f"{table}/{window.path}/"
        found = (
            _RAW.fullmatch(path.removeprefix(folder))
            for path in self._files[table, day]
            if path.startswith(folder)
        )
        return sorted({int(poll[1]) for poll in found if poll} - known)

    def add_file(self, table: str, path: str, size: int) -> None:
        """Take note of a table's file that this process has put."""
        day = date_of(path)
        if day is not None and (table, day) in self._files:
            self._files[table, day][path] = size


def sources_of(window: Window, names: Names) -> list[Window]:
    """The windows whose polls and webhooks the tables of ``window`` are made of, in order.

    All windows that served returns of ``window``, or of an hour that ``window`` served, decide
    together which of these returns live here.
    """
    homes = {window, *names.hour(window).went_to}
    return sorted(homes.union(*(names.hour(home).came_from for home in homes)))


def inputs_of(window: Window, names: Names) -> str:
    """The digest of all inputs of the tables of ``window``."""
    return journal.digest_of_inputs(
        f"{source.key} {name}"
        for source in sources_of(window, names)
        for name in names.hour(source).inputs
    )


_READ: Final[dict[str, Callable[[Window, dict[str, str]], object]]] = {
    "erased": read_erased,
    "received": read_received,
    "listened": read_listened,
    "placed": read_placed,
    "blanked": lambda _, arguments: arguments["files"],
}
"""Kinds of which an hour may have several, each a list of HourNames, to the reader of a name."""

_MARKED: Final = {"from": "came_from", "to": "went_to", "webhooks": "webhooks"}
"""Marks to the set of HourNames that they fill."""


def _put(hour: HourNames, window: Window, name: str, read: Name) -> None:  # noqa: C901 - a kind each
    arguments = read.arguments
    if read.kind == "poll":
        poll = read_poll(window, arguments)
        if poll is None:  # no time: a foreign file
            return
        hour.polls.append(poll)
    elif read.kind == "lost":
        following = int(arguments["next"])
        hour.lost.append((int(arguments["number"]), arguments["sha"], following))
    elif read.kind in _MARKED:
        other = hour_named(arguments["hour"])
        if other is not None:
            getattr(hour, _MARKED[read.kind]).add(other)
    elif read.kind == "rezoned":
        number, change = int(arguments["number"]), int(arguments["change"])
        zone = arguments["zone"].replace("~", "/")
        hour.rezoned[number] = max(hour.rezoned.get(number, (0, "")), (change, zone))
    elif read.kind in _READ:
        found = _READ[read.kind](window, arguments)
        if found is None:
            return
        getattr(hour, read.kind).append(found)
    elif read.kind in {"again", "damaged"}:
        getattr(hour, read.kind).append(name)
    elif read.kind == "waived":
        hour.waived = True
    elif read.kind in MADE:
        getattr(hour, read.kind).append(MadeName.of(arguments))
    if read.kind in INPUTS:
        hour.inputs.append(name)


def _complete(hour: HourNames) -> None:
    """Leave out lost polls; of the others, take in what was erased."""
    # A file that was replaced before its receiver had noted it has two entries, and counts once.
    hour.received = list({(one.instance, one.first): one for one in hour.received}.values())
    lost = {number for number, _, _ in hour.lost}
    hour.polls = [poll for poll in hour.polls if poll.number not in lost]
    for at, poll in enumerate(hour.polls if hour.erased else ()):
        of_poll = [entry for entry in hour.erased if entry.number == poll.number]
        of_poll.sort(key=lambda entry: (entry.change, entry.arguments))
        hour.polls[at] = msgspec.structs.replace(poll, erased=tuple(of_poll))


def date_of(path: str) -> date | None:
    """The date that the second part of ``path`` names, as ``_journal/date=YYYY-MM-DD/...``."""
    part = path.split("/", 2)[1:2]
    return date_of_folder(part[0]) if part else None


def date_of_folder(folder: str) -> date | None:
    """The date in a folder's name, ``date=YYYY-MM-DD``; None where it has none."""
    named = _DATE.fullmatch(folder)
    try:
        return date.fromisoformat(named[1]) if named else None
    except ValueError:
        return None


def dates_in(store: Store, folder: str) -> list[date]:
    """The dates that have a folder in ``folder``, oldest first."""
    return sorted(filter(None, map(date_of_folder, store.children(folder)[0])))


def _split(path: str) -> tuple[date | None, str]:
    """The date of an entry's folder, None without a date, and its name there.

    The name of a file in a foreign subfolder includes that folder, so that it is no entry.
    """
    name = path.split("/", 2)[2:]
    return (date_of(path), name[0]) if name else (None, "")


def _window(day: date, hour: int) -> Window:
    found = Window.from_path(f"date={day.isoformat()}/hour={hour:02d}")
    if found is None:
        message = f"{day} has no hour {hour}."
        raise ValueError(message)
    return found


def _dates(first: date, last: date) -> list[date]:
    """Every date from ``first`` to ``last``, the last of the calendar included."""
    return [date.fromordinal(n) for n in range(first.toordinal(), last.toordinal() + 1)]


def _earlier(day: date) -> date:
    return day if day == date.min else day - _ONE_DAY


def _later(day: date) -> date:
    return day if day >= date.max - _ONE_DAY else day + _ONE_DAY


def _stretches(days: list[date]) -> list[tuple[date, date]]:
    """First and last of each stretch of ``days`` without a gap of a week."""
    found: list[tuple[date, date]] = []
    for day in days:
        if found and day - found[-1][1] <= timedelta(days=7):
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found
