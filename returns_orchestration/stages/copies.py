"""The copies of returns that kept polls hold, in the order in which the polls count.

``served_by`` reads the polls of some windows; ``landing`` compares a new reply with them.
``copies_of_hour`` folds the copies that concern one hour into returns, for ``flow/build``. A return
has one home: the hour in which it was requested by its newest copy, whichever window served that.
It lives there if that hour has been polled, and if not in the earliest of the windows whose own
newest copy names that hour.
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

    ``at`` is the time by which it is ordered, ``polled_at`` when it was sent: a later reply that
    repeated it has it count as served then. ``first`` is the number of the window's first poll that
    is kept: one that stands for a lost first poll brings nothing late.
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
        """Whether these are words of an earlier poll that a later reply repeated."""
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
    """The last words of ``source`` on returns that a later reply repeated, as served then."""
    for again in lake.again(names, source):
        wanted = set(again.references)
        newest: dict[str, tuple[Served, list[str]]] = {}
        for served in polls:
            if served.at > again.at:
                continue
            said: dict[str, list[str]] = {}
            for position, _, (reference, _) in served.usable():
                if reference in wanted:
                    said.setdefault(reference, []).append(served.records[position])
            newest |= {reference: (served, records) for reference, records in said.items()}
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
    """What an hour is made of.

    ``returns`` is every return that the window served, or that the last word of any window says
    lives there; ``homes`` are the hours that its own polls' records were requested in; ``rejected``
    are its unusable records, each once, as rows of the table.
    """

    returns: list[Located]
    homes: frozenset[Window]
    rejected: list[tuple[datetime, int, str, str]]


class _Homes:
    """The latest hour that the newest poll of each return says it was requested in.

    The latest, since pieces of one return may be requested on both sides of an hour, and two
    windows that share an edge then agree.
    """

    def __init__(self) -> None:
        self.newest: dict[str, Window] = {}
        self.of_window: dict[Window, dict[str, Window]] = {}

    def learn(self, source: Window, heads: Iterable[Head]) -> None:
        """What the next newer poll says."""
        said: dict[str, Window] = {}
        for reference, requested_at in heads:
            home = Window.of(requested_at)
            said[reference] = max(home, said.get(reference, home))
        self.newest |= said
        self.of_window[source] = self.of_window.get(source, {}) | said

    def named(self, home: Window) -> set[str]:
        """The returns of which the last word of any window is that ``home`` is their hour."""
        return {
            reference
            for said in self.of_window.values()
            for reference, of_one in said.items()
            if of_one == home
        }

    def naming(self, reference: str) -> frozenset[Window]:
        """The windows that agree with the newest word on ``reference``."""
        home = self.newest[reference]
        return frozenset(w for w, said in self.of_window.items() if said.get(reference) == home)


def copies_of_hour(
    lake: Lake, names: Names, reader: RecordReader, window: Window, sources: Iterable[Window]
) -> HourCopies:
    """What all polls of ``sources`` say of ``window``. Raises LakeDamaged."""
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
        said: list[Head] = []
        in_poll: Counter[str] = Counter()
        for position, record in enumerate(of.records):
            content = decode(record)
            head = of.reader.head(content)
            if isinstance(head, Refused):
                in_poll[record] += 1
                if in_poll[record] > rejected_before[record]:
                    rejected.append((of.poll.polled_at, position, head.reason, record))
                continue
            said.append(head)
            of_return.setdefault(head[0], []).append(
                of.copy(position, of.reader.typed(content, *head))
            )
        rejected_before |= in_poll
        own.update(Window.of(requested_at) for _, requested_at in said)
        homes.learn(window, said)
    # Also what a window says lives here and a newer word of another window moved on: the two are
    # to know of each other, though neither has a return in this hour.
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
