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
from returns_orchestration.stages.copies import served_by
from returns_orchestration.stages.typing import Refused, decode
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from returns_orchestration.lake import Lake, Names
    from returns_orchestration.stages.copies import Head
    from returns_orchestration.stages.ownership import Copy, Return
    from returns_orchestration.stages.typing import RecordReader


@dataclass(frozen=True, slots=True)
class Housed:
    """A return, its home, and the windows whose own newest poll of it names that home."""

    found: Return
    home: Window
    named_by: frozenset[Window]


@dataclass(frozen=True, slots=True)
class Gathered:
    """What an hour is made of.

    ``housed`` is every return that the window served or that has its home there; ``homes`` are the
    hours that its own polls' records were requested in; ``rejected`` are its unusable records, each
    once, as rows of the table.
    """

    housed: list[Housed]
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

    def naming(self, reference: str) -> frozenset[Window]:
        """The windows that agree with the newest word on ``reference``."""
        home = self.newest[reference]
        return frozenset(w for w, said in self.of_window.items() if said.get(reference) == home)


def gather(
    lake: Lake, names: Names, reader: RecordReader, window: Window, sources: Iterable[Window]
) -> Gathered:
    """What all polls of ``sources`` say of ``window``. Raises LakeDamaged."""
    served = served_by(lake, names, reader, sources)
    homes = _Homes()
    own: set[Window] = set()
    copies: dict[str, list[Copy]] = {}
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
            copies.setdefault(head[0], []).append(
                of.copy(position, of.reader.typed(content, *head))
            )
        rejected_before |= in_poll
        own.update(Window.of(requested_at) for _, requested_at in said)
        homes.learn(window, said)
    mine = set(copies)
    for of in served:
        for position, content, head in () if of.source == window else of.usable():
            if head[0] in mine or homes.newest[head[0]] == window:
                copy = of.copy(position, of.reader.typed(content, *head))
                copies.setdefault(head[0], []).append(copy)
    housed = [
        Housed(ownership.fold(of_one), homes.newest[reference], homes.naming(reference))
        for reference, of_one in copies.items()
    ]
    return Gathered(housed, frozenset(own), rejected)
