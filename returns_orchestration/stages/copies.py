"""The copies of returns that kept polls hold, in the order in which the polls count.

``served_by`` reads the polls of some windows; ``landing`` compares a new reply with them.
``copies_of_hour`` folds the copies that concern one hour into returns, for ``flow/build``. A return
has one home: the hour of its request by its newest copy, whichever window served that copy. It
lives there if that hour has been polled, else in the earliest of the windows whose own newest copy
names that hour.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from returns_orchestration.stages.ownership import Copy, Source, fold, in_order
from returns_orchestration.stages.typing import Refused, decode
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from returns_orchestration.lake import Lake, Names, Poll
    from returns_orchestration.stages.ownership import Return
    from returns_orchestration.stages.typing import RecordReader, Typed

Head = tuple[str, "datetime"]
"""Reference and request time."""


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
                at, at, source, poll, lake.served(poll), reader.of_poll(hour.zone_of(poll)), first
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
    for again in lake.again(names, source):
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
class Located:
    """A return, its home, and the windows whose own newest poll of it names that home."""

    found: Return
    home: Window
    named_by: frozenset[Window]


@dataclass(frozen=True, slots=True)
class HourCopies:
    """The copies that an hour is made of.

    ``returns`` is every return that the window served, or that the newest copy of any window places
    there; ``homes`` are the hours in which its own polls' records were requested; ``rejected`` are
    its unusable records, each once, as rows of the table.
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


def copies_of_hour(
    lake: Lake, names: Names, reader: RecordReader, window: Window, sources: Iterable[Window]
) -> HourCopies:
    """The copies for ``window`` in all polls of ``sources``. Raises LakeDamaged."""
    served = served_by(lake, names, reader, sources)
    homes = _Homes()
    own: set[Window] = set()
    of_return: dict[str, list[Copy]] = {}
    rejected: list[tuple[datetime, int, str, str]] = []
    rejected_before: Counter[str] = Counter()
    for of in served:
        if of.source != window:
            homes.learn(of.source, (head for _, _, head in of.usable()))
            continue
        heads: list[Head] = []
        in_poll: Counter[str] = Counter()
        for position, record in enumerate(of.records):
            content = decode(record)
            head = of.reader.head(content)
            if isinstance(head, Refused):
                in_poll[record] += 1
                if in_poll[record] > rejected_before[record]:
                    rejected.append((of.poll.polled_at, position, head.reason, record))
                continue
            heads.append(head)
            of_return.setdefault(head[0], []).append(
                of.copy(position, of.reader.typed(content, *head))
            )
        rejected_before |= in_poll
        own.update(Window.of(requested_at) for _, requested_at in heads)
        homes.learn(window, heads)
    # Also returns that one window places here and a newer copy of another window moved on: the two
    # windows need marks for each other, though the return does not live in this hour.
    mine = set(of_return) | homes.named(window)
    for of in served:
        for position, content, head in () if of.source == window else of.usable():
            if head[0] in mine:
                copy = of.copy(position, of.reader.typed(content, *head))
                of_return.setdefault(head[0], []).append(copy)
    returns = [
        Located(fold(of_one), homes.newest[reference], homes.naming(reference))
        for reference, of_one in of_return.items()
    ]
    return HourCopies(returns, frozenset(own), rejected)
