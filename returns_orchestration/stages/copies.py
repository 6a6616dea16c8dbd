"""What the polls of some windows served, poll by poll in the order in which they count.

``landing`` holds a new reply against it, and ``flow/gather`` folds it into returns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from returns_orchestration.stages.ownership import Copy, Source, in_order
from returns_orchestration.stages.typing import Refused, decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from returns_orchestration.lake import Lake, Names, Poll
    from returns_orchestration.stages.typing import RecordReader, Typed
    from returns_orchestration.window import Window

Head = tuple[str, "datetime"]
"""Reference and request time."""


@dataclass(frozen=True, slots=True)
class Served:
    """Records of one poll of ``source``, and the reader for its zone.

    ``at`` is the time by which it is ordered, ``polled_at`` when it was sent: a later reply that
    repeated it has it count as served then.
    """

    at: datetime
    polled_at: datetime
    source: Window
    poll: Poll
    records: Sequence[str]
    reader: RecordReader

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
        source = Source("poll", self.source, self.poll.number, self.polled_at)
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
        of_source = [
            Served(at, at, source, poll, lake.served(poll), reader.of_poll(hour.zone_of(poll)))
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
            yield Served(again.at, served.polled_at, source, served.poll, records, served.reader)
