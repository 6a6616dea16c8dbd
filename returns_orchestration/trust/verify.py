"""Every file of the lake against what was recorded when it was written; nothing is changed here.

One pass, date by date, a file at a time, so memory stays flat. Looked at are: size and sha256 of
every recorded file, the seal of every record and of every poll without one, whether an hour's
tables were made of all its polls and its days of those, the marks of records that another window
served, and that nothing else stands there. No findings are empty folders and the temporary files
of killed writers, which nobody reads, and what stands in ``_aside/``. A waiver that was deleted
cannot be told from one that was never given. An hour with findings is looked at a second time, and
only what is found twice is told, since a pipeline may be running.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from returns_orchestration import tables
from returns_orchestration.errors import LakeDamaged
from returns_orchestration.lake.entries import (
    MADE,
    RECORDS,
    HourEntry,
    link_path,
    polls_of,
    read_entries,
    sources_of,
)
from returns_orchestration.lake.records import decode_made
from returns_orchestration.trust import findings
from returns_orchestration.trust.evidence import Evidence
from returns_orchestration.trust.findings import PART, SELF_NAMED, Finding
from returns_orchestration.trust.hours import days_concerned, made_of_hour, made_of_zone
from returns_orchestration.trust.verify_polls import check_marks, check_polls, follows_link
from returns_orchestration.window import Day, Ever, Window, days_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import date, datetime
    from zoneinfo import ZoneInfo

    from returns_orchestration.lake import Lake, MadeRecord
    from returns_orchestration.tables import Table
    from returns_orchestration.trust.verify_polls import PollsSeen

    Names = dict[str, set[str]]


MOST_TOLD: Final = 10_000
"""Findings remembered, so that what concerns several hours is told once."""


class Verifier:
    """Looks at one lake, whose days are those of ``zone``; ``files`` counts what it looked at."""

    def __init__(self, lake: Lake, zone: ZoneInfo) -> None:
        self._lake = lake
        self._zone = zone
        self._evidence = Evidence(lake)
        self._days: dict[Day, MadeRecord | None] = {}
        self._told: set[Finding] = set()

    @property
    def files(self) -> int:
        """How many files were looked at so far."""
        return self._evidence.files

    def everything(self) -> Iterator[Finding]:
        """What is wrong anywhere in the lake. Raises LakeDamaged where it cannot be listed."""
        for date in findings.dates(self._lake.store):
            yield from self._date(date, lambda _: True)
            yield from self._confirmed(lambda date=date: self._check_day(date))  # type: ignore[misc]
        yield from self.rest()

    def rest(self) -> Iterator[Finding]:
        """What is wrong with what belongs to no date."""
        yield from self._confirmed(self._check_rest)

    def between(self, start: datetime, end: datetime) -> Iterator[Finding]:
        """What is wrong in the hours of ``[start, end)`` and in the days that they overlap."""
        first, last = Window(start), Window(end).previous
        days = days_of(first, self._zone)[0].date, days_of(last, self._zone)[-1].date
        for date in findings.dates(self._lake.store):
            if first.start.date() <= date <= last.start.date():
                yield from self._date(date, lambda window: first <= window <= last)
            if days[0] <= date <= days[1]:
                yield from self._confirmed(lambda date=date: self._check_day(date))  # type: ignore[misc]

    def hour(self, window: Window) -> Iterator[Finding]:
        """What is wrong in one hour."""
        yield from self._confirmed(lambda: self._check_hour(window))

    def hours(self, start: datetime, end: datetime) -> Iterator[Window]:
        """The hours of ``[start, end)`` in which anything stands, oldest first."""
        for date in findings.dates(self._lake.store):
            if start.date() <= date <= end.date():
                found = findings.listed(self._lake.store, date).hours
                yield from sorted(window for window in found if start <= window.start < end)

    def _date(self, date: date, wanted: Callable[[Window], bool]) -> Iterator[Finding]:
        found = findings.listed(self._lake.store, date)
        entries = {
            window: read_entries(_records(window, names)).get(window, HourEntry())
            for window, names in found.hours.items()
        }
        self._evidence.forget(entries)
        self._days.clear()
        for window in sorted(filter(wanted, found.hours)):
            names = found.hours[window]
            yield from self._confirmed(
                lambda w=window, n=names: self._check_hour(w, n),  # type: ignore[misc]
                lambda w=window: self._check_hour(w),  # type: ignore[misc]
            )
        yield from (Finding(path, "foreign", "aside") for path in found.strangers)

    def _confirmed(
        self, look: Callable[[], None], again: Callable[[], None] | None = None
    ) -> Iterator[Finding]:
        """What both ``look`` and a second look find, and was not told before."""
        evidence = self._evidence
        evidence.found = []
        look()
        first, files = evidence.found, evidence.files
        if not first:
            return
        evidence.forget()
        self._days.clear()
        evidence.found = []
        (again or look)()
        confirmed, evidence.files = set(evidence.found), files
        if len(self._told) > MOST_TOLD:
            self._told.clear()
        for finding in first:
            if finding in confirmed and finding not in self._told:
                self._told.add(finding)
                yield finding

    # ---- what is looked at

    def _check_hour(self, window: Window, names: Names | None = None) -> None:
        found = findings.of_hour(self._lake.store, window) if names is None else names
        polls = check_polls(self._evidence, window, found)
        check_marks(self._evidence, window, found)
        standing = [table for table in tables.MADE_HOURLY if PART in found[table.name]]
        for table in tables.MADE_HOURLY:
            self._check_names(table.name, window.path, found[table.name] - {PART})
        path = self._lake.made_path(window)
        if MADE in found[RECORDS]:
            made = self._check_made(window, tables.MADE_HOURLY)
            if made is not None:
                self._check_sources(window, polls, made)
                self._check_days(made)
        elif polls.any and standing:
            self._evidence.note(path, "missing", "make")
            self._check_unvouched(window, tables.MADE_HOURLY)
        elif polls.any:
            self._evidence.note(path, "unfinished", "make")
        else:  # made of nothing that is there
            for table in standing:
                self._evidence.note(self._lake.path(table, window), "foreign", "aside", window)

    def _check_made(self, period: Window | Day | Ever, made: Sequence[Table]) -> MadeRecord | None:
        """The tables that were made of ``period`` and their record; None where that is bad."""
        path = self._lake.made_path(period)
        record = self._evidence.read_record(
            path, decode_made, lambda record: record.period == period.key, "make"
        )
        if record is None:
            self._check_unvouched(period, made)
            return None
        for table in made:
            file = record.files.get(table.name)
            if file is None or file.path != self._lake.path(table, period):
                self._evidence.note(path, "altered", "make")
                return None
            self._evidence.check_file(file, "make")
        return record

    def _check_unvouched(self, period: Window | Day | Ever, made: Sequence[Table]) -> None:
        """Tables that no record vouches for: whatever they are, they are made again."""
        for table in made:
            path = self._lake.path(table, period)
            there = PART in self._lake.store.children(path.rpartition("/")[0])[1]
            self._evidence.note(path, "unfinished" if there else "missing", "make")

    def _check_sources(self, window: Window, polls: PollsSeen, made: MadeRecord) -> None:
        """Whether the tables of ``window`` were made of the polls that there are."""
        if polls.homes is None:  # told already; whose records it served nobody knows
            return
        entry = self._evidence.entry
        expected = set(polls_of(sources_of(window, polls.homes, entry), entry))
        for name in sorted(set(made.made_of) - expected):
            self._check_lost(name)
        gone = {name for name in made.made_of if self._is_set_aside(name)}
        if expected - set(made.made_of) or gone:
            self._evidence.note(self._lake.made_path(window), "unfinished", "make")
        if gone:  # whose records may have explained the other polls
            return
        for other, number in sorted(_poll_named(name) for name in set(made.made_of) - expected):
            if number in entry(other).polls and follows_link(self._lake, window, other):
                self._evidence.note(link_path(window, other), "missing", "mark")

    def _check_lost(self, name: str) -> None:
        """Whether a poll that tables were made of is still there, or was set aside."""
        window, number = _poll_named(name)
        entry = self._evidence.entry(window)
        if number in {*entry.polls, *dict(entry.lost)}:
            return
        record, data = (
            self._lake.poll_record_path(window, number),
            self._lake.poll_path(window, number),
        )
        if self._lake.store.get(data) is None:
            self._evidence.note(record, "missing", "poll", window, number)
            self._evidence.note(data, "missing", "poll", window, number)
        else:
            self._evidence.note(record, "missing", "finish", window, number)

    def _is_set_aside(self, name: str) -> bool:
        window, number = _poll_named(name)
        return number in dict(self._evidence.entry(window).lost)

    def _check_days(self, made: MadeRecord) -> None:
        """Whether the days that count rows of a made hour were made of them as they stand."""
        for day in days_concerned(self._lake, made, self._zone):
            path = self._lake.made_path(day)
            if day not in self._days:
                try:
                    self._days[day] = self._lake.made(day)
                except LakeDamaged:  # told where the day is looked at
                    continue
            record = self._days[day]
            if record is None:
                self._evidence.note(path, "missing", "make")
            elif not {made_of_zone(self._zone), made_of_hour(made)} <= set(record.made_of):
                self._evidence.note(path, "unfinished", "make")

    def _check_day(self, date: date) -> None:
        """The tables of one day, and files that stand in no hour."""
        day = Day(date, self._zone)
        names = findings.of_day(self._lake.store, date)
        for table in tables.MADE_DAILY:
            self._check_names(table.name, day.path, names[table.name] - {PART})
        if MADE in names[RECORDS]:
            made = self._check_made(day, tables.MADE_DAILY)
            if made and made_of_zone(self._zone) not in made.made_of:
                self._evidence.note(self._lake.made_path(day), "unfinished", "make")
        elif any(PART in names[table.name] for table in tables.MADE_DAILY):
            self._evidence.note(self._lake.made_path(day), "missing", "make")
            self._check_unvouched(day, tables.MADE_DAILY)
        for table_name, pattern in SELF_NAMED.items():
            for name in sorted(names[table_name]):
                named = pattern.fullmatch(name)
                path = f"{table_name}/{day.path}/{name}"
                if named is None:
                    self._evidence.note(path, "foreign", "aside")
                else:
                    self._evidence.check_named_by_content(path, named["sha256"])

    def _check_rest(self) -> None:
        """What belongs to no date: the table of all time, and strangers."""
        store, ever = self._lake.store, Ever()
        for path in findings.strangers(store):
            self._evidence.note(path, "foreign", "aside")
        if MADE in store.children(RECORDS)[1]:
            self._check_made(ever, (tables.LATENESS,))
        elif PART in store.children(tables.LATENESS.name)[1]:
            self._evidence.note(self._lake.made_path(ever), "missing", "make")

    def _check_names(self, folder: str, period: str, foreign: set[str]) -> None:
        for name in sorted(foreign):
            self._evidence.note(f"{folder}/{period}/{name}", "foreign", "aside")


def _poll_named(name: str) -> tuple[Window, int]:
    """Window and number of a poll, as a sealed record names it, ``2026-11-09-11:00/poll-0001``."""
    key, _, poll = name.partition("/poll-")
    return Window.from_key(key), int(poll)


def _records(window: Window, names: Names) -> Iterator[str]:
    return (f"{RECORDS}/{window.path}/{name}" for name in names[RECORDS])
