"""The copies of returns that kept polls and webhooks hold, in the order in which they count.

``served_by`` reads the polls of some windows; ``landing`` compares a new reply with them.
``placed_in`` reads the webhooks that say that returns requested in some windows were placed.
``copies_of_hour`` folds the copies that concern one hour into returns, for ``flow/build``. A return
has one home: the hour of its request by its newest copy, whichever window served that copy. It
lives there if that hour has been polled, else in the earliest of the windows whose own newest copy
names that hour. An hour of which only webhooks are kept counts as polled here.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from returns_orchestration.lake.many import side_by_side
from returns_orchestration.lake.webhooks import body_of, files_of
from returns_orchestration.stages.ownership import Copy, Source, fold, in_order
from returns_orchestration.stages.states import states_of
from returns_orchestration.stages.typing import Refused, decode
from returns_orchestration.stages.webhooks import Event, read_body
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from datetime import datetime

    from returns_orchestration.lake import Lake, Names, Poll
    from returns_orchestration.lake.entry_kinds import Placed
    from returns_orchestration.stages.ownership import Return
    from returns_orchestration.stages.typing import RecordReader, Typed

Head = tuple[str, "datetime"]
"""Reference and request time."""


_READ: Final = ("received_at", "body", "encoding")


@dataclass(frozen=True, slots=True)
class Served:
    """Records of one poll of ``source``, and the reader for its zone.

    ``at`` is the time that orders it, ``polled_at`` when it was sent: a poll that a later reply
    repeated counts as served then. ``first`` is the number of the window's first poll that is kept:
    a poll that replaces a lost first one brings no late returns.
    """

    at: datetime
    polled_at: datetime
    source: Window
    poll: Poll
    records: Sequence[str]
    reader: RecordReader
    first: int = 1

    @property
    def order(self) -> tuple[datetime, Window, int]:
        """Oldest first; two windows polled at one moment in their own order."""
        return self.at, self.source, self.poll.number

    @property
    def is_repeated(self) -> bool:
        """Whether these are records of an earlier poll that a later reply repeated."""
        return self.at != self.polled_at

    def copy(self, position: int, typed: Typed) -> Copy:
        """One of its records, typed."""
        source = Source("poll", self.source, self.poll.number, self.polled_at, self.first)
        return Copy(source, self.at, position, typed)

    def usable(self) -> Iterator[tuple[int, object, Head]]:
        """Position, content and head of each record that has a head."""
        for position, record in enumerate(self.records):
            content = decode(record)
            head = self.reader.head(content)
            if not isinstance(head, Refused):
                yield position, content, head


def served_by(
    lake: Lake, names: Names, reader: RecordReader, sources: Iterable[Window]
) -> list[Served]:
    """Every kept poll of ``sources``, oldest first. Raises LakeDamaged."""
    found: list[Served] = []
    for source in sources:
        hour = names.hour(source)
        first = min((poll.number for poll in hour.polls), default=1)
        of_source = [
            Served(
                at,
                at,
                source,
                poll,
                lake.polls.served(poll),
                reader.of_poll(hour.zone_of(poll)),
                first,
            )
            for at, poll in in_order(hour.polls)
        ]
        found += of_source
        if hour.again:
            found += _repeated(lake, names, source, of_source)
    return sorted(found, key=lambda served: served.order)


def _repeated(
    lake: Lake, names: Names, source: Window, polls: Sequence[Served]
) -> Iterator[Served]:
    """The newest records of ``source`` for returns that a later reply repeated, as served then."""
    for again in lake.entries.again(names, source):
        wanted = set(again.references)
        newest: dict[str, tuple[Served, list[str]]] = {}
        for served in polls:
            if served.at > again.at:
                continue
            found: dict[str, list[str]] = {}
            for position, _, (reference, _) in served.usable():
                if reference in wanted:
                    found.setdefault(reference, []).append(served.records[position])
            newest |= {reference: (served, records) for reference, records in found.items()}
        for served, records in newest.values():
            yield replace(served, at=again.at, records=records)


@dataclass(frozen=True, slots=True)
class Told:
    """A webhook that is a copy of a return: when it was received, and its body."""

    copy: Copy
    received_at: datetime
    body: bytes


def placed_in(
    lake: Lake, names: Names, reader: RecordReader, sources: Iterable[Window]
) -> list[Told]:
    """The webhooks about returns requested in ``sources``, oldest first. Raises LakeDamaged."""
    found: list[Told] = []
    for window in sources:
        # In whatever order they came, and however often: of one event the first word counts.
        first: dict[str, tuple[datetime, bytes, datetime, Event]] = {}
        for entry in lake.entries.placed(names, window):
            of_zone = reader.of_poll(entry.zone)
            for received_at, body in _bodies(lake, names, entry):
                event = read_body(of_zone, body, received_at)
                if isinstance(event, Event) and event.is_placed:
                    said = event.as_of(received_at), body, received_at, event
                    first[event.id] = min(said, first.get(event.id, said), key=lambda s: s[:3])
        ordered = sorted(first.items(), key=lambda one: (one[1][0], one[0]))
        found += [
            Told(Copy(Source("webhook", window, 0, at), at, position, event.typed), received, body)
            for position, (_, (at, body, received, event)) in enumerate(ordered)
            if window.holds(event.requested_at)
        ]
    return sorted(found, key=lambda told: told.copy.order)


def _bodies(lake: Lake, names: Names, entry: Placed) -> Iterator[tuple[datetime, bytes]]:
    """Time of receipt and body of each delivery of ``entry``."""
    files = files_of(names, entry)
    # Side by side: there may be a file for each minute.
    for rows, (_, numbers) in zip(
        side_by_side(lambda file: lake.received(names, file[0]), files), files, strict=True
    ):
        mine = rows.filter(rows.get_column("position").is_in(numbers))
        for received_at, body, encoding in mine.select(_READ).iter_rows():
            yield received_at, body_of(body, encoding)


@dataclass(frozen=True, slots=True)
class Located:
    """A return, its home, and the windows whose own newest poll of it names that home."""

    found: Return
    home: Window
    named_by: frozenset[Window]


@dataclass(frozen=True, slots=True)
class HourCopies:
    """The copies that an hour is made of.

    ``returns`` is every return that the window served, or that the newest copy of any window places
    there, by webhooks, too; ``homes`` are the hours in which its own polls' records were requested;
    ``rejected`` are its unusable records, each once, as rows of the table.
    """

    returns: list[Located]
    homes: frozenset[Window]
    rejected: list[tuple[datetime, int, str, str]]


class _Homes:
    """The latest hour of request in the newest poll of each return.

    The latest, since pieces of one return may be requested on both sides of an hour's edge; two
    windows that share an edge then agree.
    """

    def __init__(self) -> None:
        self.newest: dict[str, Window] = {}
        self.of_window: dict[Window, dict[str, Window]] = {}

    def learn(self, source: Window, heads: Iterable[Head]) -> None:
        """Take in the next newer poll."""
        homes: dict[str, Window] = {}
        for reference, requested_at in heads:
            home = Window.of(requested_at)
            homes[reference] = max(home, homes.get(reference, home))
        self.newest |= homes
        self.of_window[source] = self.of_window.get(source, {}) | homes

    def named(self, home: Window) -> set[str]:
        """The returns that the newest copy of any window places in ``home``."""
        return {
            reference
            for homes in self.of_window.values()
            for reference, of_one in homes.items()
            if of_one == home
        }

    def naming(self, reference: str) -> frozenset[Window]:
        """The windows that agree with the newest copy on the home of ``reference``."""
        home = self.newest[reference]
        return frozenset(w for w, homes in self.of_window.items() if homes.get(reference) == home)


class _Own:
    """What the polls of the hour itself served: copies by reference, and unusable records."""

    def __init__(self) -> None:
        self.copies: dict[str, list[Copy]] = {}
        self.homes: set[Window] = set()
        self.rejected: list[tuple[datetime, int, str, str]] = []
        self._rejected_before: Counter[str] = Counter()

    def take(self, of: Served) -> list[Head]:
        """Take in the next newer poll; gives the heads of its records."""
        heads: list[Head] = []
        in_poll: Counter[str] = Counter()
        for position, record in enumerate(of.records):
            content = decode(record)
            head = of.reader.head(content)
            if isinstance(head, Refused):
                in_poll[record] += 1
                if in_poll[record] > self._rejected_before[record]:
                    self.rejected.append((of.poll.polled_at, position, head.reason, record))
                continue
            heads.append(head)
            copy = of.copy(position, of.reader.typed(content, *head))
            self.copies.setdefault(head[0], []).append(copy)
        self._rejected_before |= in_poll
        self.homes.update(Window.of(requested_at) for _, requested_at in heads)
        return heads


def copies_of_hour(
    lake: Lake, names: Names, reader: RecordReader, window: Window, sources: Collection[Window]
) -> HourCopies:
    """The copies for ``window`` in all polls and webhooks of ``sources``. Raises LakeDamaged."""
    served = served_by(lake, names, reader, sources)
    placed = [told.copy for told in placed_in(lake, names, reader, sources)]
    homes, own = _Homes(), _Own()
    for copy in placed:  # before all polls, whose request time wins
        homes.learn(copy.source.window, [(copy.typed.reference, copy.typed.requested_at)])
    for of in served:
        heads = own.take(of) if of.source == window else (head for _, _, head in of.usable())
        homes.learn(of.source, heads)
    # Also returns that one window places here and a newer copy of another window moved on: the two
    # windows need marks for each other, though the return does not live in this hour.
    mine = set(own.copies) | homes.named(window)
    others = (of for of in served if of.source != window)
    for copy in (*_copies_of(mine, others), *placed):
        if copy.typed.reference in mine:
            own.copies.setdefault(copy.typed.reference, []).append(copy)
    returns = [
        Located(
            replace(fold(of_one), states=states_of(of_one)),
            homes.newest[reference],
            homes.naming(reference),
        )
        for reference, of_one in own.copies.items()
    ]
    return HourCopies(returns, frozenset(own.homes), own.rejected)


def _copies_of(references: set[str], served: Iterable[Served]) -> Iterator[Copy]:
    """The records of ``references``; no others are typed."""
    for of in served:
        for position, content, head in of.usable():
            if head[0] in references:
                yield of.copy(position, of.reader.typed(content, *head))
