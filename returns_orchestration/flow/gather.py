"""The returns that concern one hour: every copy that it and the windows beside it served, folded.

A return has one home, the hour that its newest copy says it was requested in, however often that
changed; which window had the last word is told over all that serve it. It lives there if that hour
has been polled, and if not in the earliest of the windows whose own last word names that hour.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from returns_orchestration.stages import ownership
from returns_orchestration.stages.landing import ensure_same_homes
from returns_orchestration.stages.ownership import Copy, Return
from returns_orchestration.stages.typing import Refused, decode
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from returns_orchestration.lake import Lake, PollRecord
    from returns_orchestration.stages.typing import RecordReader, Typed


@dataclass(frozen=True, slots=True)
class Housed:
    """A return, its home, and the windows whose own newest poll of it names that home."""

    found: Return
    home: Window
    named_by: frozenset[Window]


@dataclass(frozen=True, slots=True)
class _Served:
    """One poll of a source with its records, and the reader for its zone."""

    at: datetime
    source: Window
    poll: PollRecord
    records: Sequence[str]
    reader: RecordReader

    def copy(self, position: int, typed: Typed) -> Copy:
        return Copy(self.source, self.at, self.poll.number, position, typed)


class _Homes:
    """The latest hour that the newest poll of each return says it was requested in.

    The latest, since pieces of one return may be requested on both sides of an hour, and two
    windows that share an edge then agree.
    """

    def __init__(self) -> None:
        self.newest: dict[str, Window] = {}
        self.of_window: dict[Window, dict[str, Window]] = {}

    def learn(self, source: Window, heads: Iterable[tuple[str, datetime]]) -> None:
        """What the next newer poll says."""
        said: dict[str, Window] = {}
        for reference, requested_at in heads:
            home = Window.of(requested_at)
            said[reference] = max(home, said.get(reference, home))
        self.newest |= said
        self.of_window[source] = self.of_window.get(source, {}) | said

    def naming(self, reference: str) -> frozenset[Window]:
        """The windows that agree with the newest word on ``reference``."""
        home = self.newest[reference]
        return frozenset(w for w, said in self.of_window.items() if said.get(reference) == home)


def gather(
    lake: Lake,
    reader: RecordReader,
    window: Window,
    sources: Mapping[Window, Sequence[PollRecord]],
) -> list[Housed]:
    """Every return that ``window`` served or that has its home there, of all polls of ``sources``.

    Raises LakeDamaged where a poll is not as it was noted, ZoneChanged where its records were read
    under another zone: the hours that were pointed to then are not those of today, so a record
    could be left in none.
    """
    served = [
        _Served(at, source, poll, lake.served(poll), reader.of_poll(poll.zone))
        for source, polls in sources.items()
        for at, poll in ownership.in_order(polls)
    ]
    served.sort(key=lambda of: (of.at, of.source, of.poll.number))
    homes = _Homes()
    copies: dict[str, list[Copy]] = {}
    for of in served:
        said: list[tuple[str, datetime]] = []
        for position, content, head in _usable(of):
            said.append(head)
            if of.source == window:
                copy = of.copy(position, of.reader.typed(content, *head))
                copies.setdefault(head[0], []).append(copy)
        ensure_same_homes(reader, of.poll, Counter(Window.of(at) for _, at in said))
        homes.learn(of.source, said)
    mine = set(copies)
    for of in served:
        for position, content, head in _usable(of) if of.source != window else ():
            if head[0] in mine or homes.newest[head[0]] == window:
                copy = of.copy(position, of.reader.typed(content, *head))
                copies.setdefault(head[0], []).append(copy)
    return [
        Housed(ownership.fold(of_one), homes.newest[reference], homes.naming(reference))
        for reference, of_one in copies.items()
    ]


def _usable(of: _Served) -> Iterator[tuple[int, object, tuple[str, datetime]]]:
    """Position, content, and head of each record of a poll that has one."""
    for position, record in enumerate(of.records):
        content = decode(record)
        head = of.reader.head(content)
        if not isinstance(head, Refused):
            yield position, content, head
