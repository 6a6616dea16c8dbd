"""All that the lake knows of one return: each poll and webhook that brought it, and its row.

For the first question of support, and as the proof in a dispute. Where a return is, is sought in
the made entries of the journal, which hold a hash of each return of their hour; hours whose tables
are not made of all their polls are read. From there the marks lead to every window that served it:
so only polls of these few windows are read. A return whose request time changed is found wherever
it was served.

Which source each value of the row is from is decided in ``origins``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import polars as pl

from returns_orchestration import tables
from returns_orchestration.errors import LakeDamaged
from returns_orchestration.lake.names import sources_of
from returns_orchestration.stages.copies import placed_in, served_by
from returns_orchestration.stages.landing import is_good
from returns_orchestration.stages.ownership import (
    Source,
    fold,
    hash_of,
    items_frame,
    returns_frame,
)
from returns_orchestration.stages.typing import Refused, decode
from returns_orchestration.state.hours import is_made
from returns_orchestration.state.origins import Origin, origins_of
from returns_orchestration.window import Day, Window, windows_between

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from returns_orchestration.lake import Lake, Made, Names
    from returns_orchestration.stages.copies import Served, Told
    from returns_orchestration.stages.ownership import Copy, Return
    from returns_orchestration.stages.typing import RecordReader

    Row = dict[str, Any]

AT_ONCE: Final = timedelta(days=31)
"""How much of the journal is looked through at once."""

OWN: Final = ("sources", "first_polled_at", "last_polled_at")
"""Columns about the sources, which no record says."""

OF_POLLS: Final = frozenset(
    column.name for column in tables.RETURNS.columns if column.place == tables.RECORD
) - {tables.REFERENCE.name, tables.REQUESTED_AT.name} | {"awbs"}
"""Columns that webhooks cannot give: they have not lost them."""


@dataclass(frozen=True, slots=True)
class ServedCopy:
    """What one poll or webhook said of the return, and how that differs from the one before.

    ``row`` and ``items`` are what the tables would hold by this one alone; ``row`` is None where
    its records were rejected. ``changed`` has, by column, the value before and now; None before is
    the first one, in which nothing changed. ``repeated_at`` is when a later reply of this window
    said the same once more while another window said otherwise. ``records`` are as received,
    ``received_at`` is when a webhook came.
    """

    source: Source
    row: Row | None
    items: list[Row]
    changed: dict[str, tuple[object, object]]
    items_changed: bool
    records: list[str]
    rejected: list[str]
    repeated_at: datetime | None = None
    received_at: datetime | None = None

    @property
    def at(self) -> datetime:
        """By what it is ordered: when it was sent, or repeated; as of when a webhook speaks."""
        return self.repeated_at or self.source.at


@dataclass(frozen=True, slots=True)
class Place:
    """A row of `returns`, where it stands, and its rows in `return_items`.

    ``origins`` says of each column which source its value is from, ``merges`` which rules applied.
    ``as_served`` says whether it is what all sources say together: not while its hour waits to
    be made.
    """

    window: Window
    day: Day
    row: Row
    items: list[Row]
    why: str
    origins: dict[str, Origin]
    merges: list[str]
    as_served: bool


@dataclass(frozen=True, slots=True)
class RejectedRecord:
    """A row of `rejected_returns` with this reference, and the hour in whose table it stands."""

    window: Window
    row: Row


@dataclass(frozen=True, slots=True)
class Answered:
    """How often ClickPost answered for a window, the last time, and how many polls were kept.

    An answer that brings nothing new for its window is not kept.
    """

    window: Window
    times: int
    last_at: datetime
    kept: int


@dataclass(slots=True)
class Provenance:
    """What is known of one return.

    ``copies`` is in time order. ``places`` is one row, but for a reference that was used again for
    another return, or while hours wait to be made. ``silent`` are kept polls of the same windows
    that did not serve it, later than one that did. ``answered`` counts all answers for the windows
    that served it. ``quarantined`` are polls, by hour and number,
    that were found damaged and may have served it. ``missing`` are hours of the search without a
    good poll, ``waived`` those that need none; ``unread`` says what could not be read.
    """

    reference: str
    copies: list[ServedCopy] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    rejected: list[RejectedRecord] = field(default_factory=list)
    silent: list[Source] = field(default_factory=list)
    answered: list[Answered] = field(default_factory=list)
    quarantined: list[tuple[Window, int]] = field(default_factory=list)
    missing: list[Window] = field(default_factory=list)
    waived: list[Window] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    @property
    def is_known(self) -> bool:
        """Whether anything was ever served of it."""
        return bool(self.copies or self.places or self.rejected)


def find(
    lake: Lake,
    reader: RecordReader,
    reference: str,
    span: tuple[Window, Window],
    zone: ZoneInfo,
) -> Provenance:
    """All that is known of ``reference``, sought in the hours of ``span``, both included.

    A return that is found there is followed to hours outside of it. ``zone`` is that of the days.
    Raises LakeError where the lake cannot be listed.
    """
    found = Provenance(reference)
    search = _Search(lake, reader, reference, found)
    search.look_through(*span)
    search.follow()
    search.place(zone)
    return found


class ServedAt(NamedTuple):
    """A source, and when it was repeated, or received."""

    source: Source
    repeated_at: datetime | None
    received_at: datetime | None


class _Search:
    """One search: the windows that may have served the return, and its copies."""

    def __init__(self, lake: Lake, reader: RecordReader, reference: str, found: Provenance) -> None:
        self._lake = lake
        self._reader = reader
        self._reference = reference
        self._found = found
        self._names = lake.names()
        self._starts: set[Window] = set()
        self._tables: set[Window] = set()
        self._serving: list[tuple[Served, list[int]]] = []
        self._told: list[Told] = []
        self._served: dict[Window, list[Served]] = {}
        self._refusals: list[tuple[Served, list[tuple[int, str]]]] = []
        self._copies: list[Copy] = []
        self._read_from: set[Window] = set()

    # ---- where it is

    def look_through(self, first: Window, last: Window) -> None:
        """Find the hours that hold it, and those that must be read to tell."""
        begin = first.start
        linked: set[Window] = set()
        while begin < last.end:
            end = min(begin + AT_ONCE, last.end)
            windows = list(windows_between(begin, end))
            names = self._lake.names()
            names.load_hours(windows)
            self._look_at(names, windows)
            self._note_gaps(names, windows)
            linked |= {home for window in windows for home in names.hour(window).went_to}
            begin = end
        # What these hours served may live in an hour outside of them.
        self._look_at(self._names, sorted(w for w in linked if not first <= w <= last))

    def _look_at(self, names: Names, windows: Sequence[Window]) -> None:
        made = {
            window: of_one[0]
            for window in windows
            if len(of_one := names.hour(window).made) == 1 and is_made(window, names)
        }
        entries = self._lake.read_all_made(made)
        wanted = hash_of(self._reference)
        for window in windows:
            hour = names.hour(window)
            entry = entries.get(window)
            if entry is None:
                if hour.has_copies or hour.made:
                    self._starts.add(window)
                    self._tables |= {window} if hour.made else set()
            elif not _has_hashes(entry) or _holds(entry.references, wanted):
                self._starts.add(window)
                self._tables.add(window)
            elif entry.facts.get("rejected"):
                self._look_at_rejected(names, window)

    def _note_gaps(self, names: Names, windows: Sequence[Window]) -> None:
        """The hours of which nothing is known, and polls that are known no more."""
        for window in windows:
            hour = names.hour(window)
            if not any(is_good(poll, window) for poll in hour.polls):
                (self._found.waived if hour.waived else self._found.missing).append(window)
            self._found.quarantined += [(window, number) for number, _, _ in hour.lost if number]

    def _look_at_rejected(self, names: Names, window: Window) -> None:
        """Whether a record that cannot be used is of this return: then its hour is read."""
        if self._rejected_rows(names, window):
            self._starts.add(window)
            self._tables.add(window)

    def _rejected_rows(self, names: Names, window: Window) -> list[Row]:
        frame = self._read(tables.REJECTED_RETURNS, window, names)
        rows = [] if frame is None else frame.rows(named=True)
        return [row for row in rows if self._is_of(row["record"])]

    def _is_of(self, record: str) -> bool:
        """Whether a record that cannot be used names this return all the same."""
        head = self._reader.head(decode(record))
        reference = head.reference if isinstance(head, Refused) else head[0]
        return reference == self._reference

    def _read(self, table: tables.Table, window: Window, names: Names) -> pl.DataFrame | None:
        try:
            return self._lake.read(table, window, names)
        except LakeDamaged as error:
            self._note(error)
            return None

    def _note(self, error: LakeDamaged) -> None:
        if str(error) not in self._found.unread:
            self._found.unread.append(str(error))

    # ---- what was said

    def follow(self) -> None:
        """Read the polls of each window that may have served it, until there is none left."""
        waiting, seen = set(self._starts), self._read_from
        while waiting:
            window = min(waiting)
            waiting.discard(window)
            seen.add(window)
            homes = self._read_polls(window)
            if homes is None and window not in self._tables:
                continue
            near = {*sources_of(window, self._names), *(homes or ())}
            waiting |= near - seen
        self._serving.sort(key=lambda pair: pair[0].order)
        self._refusals.sort(key=lambda pair: pair[0].order)
        self._take()
        self._note_silent_polls()
        self._note_answers()
        self._keep_quarantined()

    def _read_polls(self, window: Window) -> set[Window] | None:
        """Keep what ``window`` served or was told of it.

        The hours it was requested in; None if it did not.
        """
        try:
            served = served_by(self._lake, self._names, self._reader, [window])
            told = placed_in(self._lake, self._names, self._reader, [window])
        except LakeDamaged as error:
            self._note(error)
            return None
        self._served[window] = served
        mine = [one for one in told if one.copy.typed.reference == self._reference]
        self._told += mine
        homes: set[Window] = {window} if mine else set()
        is_there = bool(mine)
        for of in served:
            positions, refused = [], []
            for position, record in enumerate(of.records):
                head = of.reader.head(decode(record))
                if isinstance(head, Refused):
                    if self._is_of(record):
                        refused.append((position, head.reason))
                elif head[0] == self._reference:
                    positions.append(position)
                    homes.add(Window.of(head[1]))
            if positions:
                self._serving.append((of, positions))
            if refused:
                self._refusals.append((of, refused))
            is_there = is_there or bool(positions or refused)
        return homes if is_there else None

    def _take(self) -> None:
        """The copies, and what each source said, in order."""
        said: list[tuple[list[Copy], list[str], ServedAt]] = []
        for of, positions in self._serving:
            copies = [self._copy(of, position) for position in positions]
            repeated_at = of.at if of.is_repeated else None
            records = [of.records[position] for position in positions]
            said.append((copies, records, ServedAt(_source_of(of), repeated_at, None)))
        for told in self._told:
            source = ServedAt(told.copy.source, None, told.received_at)
            said.append(([told.copy], [told.body.decode(errors="replace")], source))
        said.sort(key=lambda one: one[0][0].of_source)
        before: tuple[Row, list[Row]] | None = None
        found: list[ServedCopy] = []
        for copies, records, served in said:
            self._copies += copies
            row, items = _as_rows(fold(copies))
            old = before or (row, items)
            changed = {
                name: (old[0][name], value)
                for name, value in row.items()
                if name not in OWN
                and old[0][name] != value
                and not (served.source.kind == "webhook" and name in OF_POLLS)
            }
            copy = ServedCopy(
                source=served.source,
                row=row,
                items=items,
                changed=changed,
                items_changed=_contents(old[1]) != _contents(items),
                records=records,
                rejected=[],
                repeated_at=served.repeated_at,
                received_at=served.received_at,
            )
            before = row, items
            found.append(copy)
        self._add_refused(found)
        self._found.copies = sorted(found, key=lambda copy: (copy.at, copy.source.window))

    def _add_refused(self, found: list[ServedCopy]) -> None:
        """The records that were rejected, with the copy of the same poll where there is one."""
        for of, refused in self._refusals:
            poll = _source_of(of)
            records = [of.records[position] for position, _ in refused]
            reasons = [reason for _, reason in refused]
            same = [n for n, copy in enumerate(found) if copy.source == poll and not of.is_repeated]
            if same:
                at = same[0]
                both = [*found[at].records, *records]
                found[at] = replace(found[at], records=both, rejected=reasons)
            else:
                found.append(
                    ServedCopy(
                        poll,
                        row=None,
                        items=[],
                        changed={},
                        items_changed=False,
                        records=records,
                        rejected=reasons,
                    )
                )

    @staticmethod
    def _copy(of: Served, position: int) -> Copy:
        content = decode(of.records[position])
        head = of.reader.head(content)
        if isinstance(head, Refused):
            message = "only a record with a head is a copy"
            raise TypeError(message)
        return of.copy(position, of.reader.typed(content, *head))

    def _note_silent_polls(self) -> None:
        serving = {(of.source, of.poll.number) for of, _ in (*self._serving, *self._refusals)}
        for window in {window for window, _ in serving}:
            since = min(number for of, number in serving if of == window)
            self._found.silent += [
                _source_of(of)
                for of in self._served[window]
                if not of.is_repeated
                and of.poll.number > since
                and (window, of.poll.number) not in serving
            ]
        self._found.silent.sort(key=lambda poll: (poll.at, poll.window))

    def _note_answers(self) -> None:
        """How often each window was polled that served it."""
        windows = sorted({copy.source.window for copy in self._found.copies})
        log = self._lake.poll_log.of_all(windows)
        for window in windows:
            kept = [poll.polled_at for poll in self._names.hour(window).polls]
            times = [*kept, *(a.at for a in log.get(window.key, ()) if not a.error)]
            if times:
                self._found.answered.append(Answered(window, len(times), max(times), len(kept)))

    def _keep_quarantined(self) -> None:
        """Of a return that was found, only quarantined polls of its windows are of interest."""
        if self._serving or self._refusals:
            self._found.quarantined = sorted(
                (window, number)
                for window in self._read_from
                for number, _, _ in self._names.hour(window).lost
                if number
            )

    # ---- what follows

    def place(self, zone: ZoneInfo) -> None:
        """The rows that stand in the tables of the hours that were read."""
        for window in sorted(self._read_from):
            for row in self._rows(tables.RETURNS, window):
                items = self._rows(tables.RETURN_ITEMS, window)
                # As the hour is made: of the polls of these windows.
                sources = sources_of(window, self._names)
                copies = [copy for copy in self._copies if copy.source.window in sources]
                origins, merges = origins_of(copies) if copies else ({}, [])
                self._found.places.append(
                    Place(
                        window=window,
                        day=Day.of(row[tables.REQUESTED_AT.name], zone),
                        row=row,
                        items=items,
                        why=_why(window, row[tables.REQUESTED_AT.name]),
                        origins=origins,
                        merges=merges,
                        as_served=bool(copies) and (row, items) == _as_rows(fold(copies)),
                    )
                )
            if any(of.source == window for of, _ in self._refusals):
                self._found.rejected += [
                    RejectedRecord(window, row) for row in self._rejected_rows(self._names, window)
                ]

    def _rows(self, table: tables.Table, window: Window) -> list[Row]:
        frame = self._read(table, window, self._names)
        if frame is None:
            return []
        return frame.filter(pl.col(tables.REFERENCE.name) == self._reference).rows(named=True)


def _why(window: Window, requested_at: datetime) -> str:
    home = Window.of(requested_at)
    if home == window:
        return "its newest copy was requested in this hour"
    return (
        f"its newest copy was requested in {home.text}, which was never polled; this is the "
        "earliest hour that served it so"
    )


def _as_rows(found: Return) -> tuple[Row, list[Row]]:
    """The row of `returns` and the rows of `return_items` of a return."""
    return returns_frame([found]).row(0, named=True), items_frame([found]).rows(named=True)


def _contents(items: list[Row]) -> list[Row]:
    """Items without the request time of their return."""
    return [
        {name: v for name, v in item.items() if name != tables.REQUESTED_AT.name} for item in items
    ]


def _source_of(of: Served) -> Source:
    return Source("poll", of.source, of.poll.number, of.polled_at, of.first)


def _has_hashes(entry: Made) -> bool:
    """Whether an entry names all its returns; those of earlier releases may not."""
    return len(entry.references) == 8 * entry.facts.get("returns", 0)


def _holds(references: bytes, wanted: bytes) -> bool:
    at = references.find(wanted)
    while at >= 0:
        if at % 8 == 0:
            return True
        at = references.find(wanted, at + 1)
    return False
