"""What a poll brought: kept as received if anything in it is new, before it is made into anything.

New is judged return by return: a poll is kept if for any return it serves other text than the
newest kept poll that served that return, or the same text with another request time, as it was sent
under another zone. A different order of the same records, or fewer returns,
is nothing new. Only the two values that say which return a record is about are looked at here.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from returns_orchestration.errors import ZoneChanged
from returns_orchestration.stages.ownership import in_order
from returns_orchestration.stages.typing import Refused, decode
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from returns_orchestration.lake import Lake, PollRecord
    from returns_orchestration.stages.typing import RecordReader


@dataclass(frozen=True, slots=True)
class Landed:
    """What became of one poll.

    ``kept`` says whether it brought something new; ``served`` counts its records, ``distinct`` its
    usable returns, ``rejected`` its unusable records, ``vanished`` the returns that earlier polls
    of this window served and this one did not. ``homes`` counts its usable records by the hour they
    were requested in. ``first`` says whether the window had never been polled before.
    """

    window: Window
    polled_at: datetime
    kept: bool
    first: bool
    served: int
    distinct: frozenset[str]
    rejected: int
    vanished: int
    homes: dict[Window, int]


def land(
    lake: Lake,
    reader: RecordReader,
    window: Window,
    polled_at: datetime,
    served: tuple[str, ...],
) -> Landed:
    """Keep the records of a poll if they bring something new. Raises LakeError, and ZoneChanged.

    Several writers may land the same window at once: the number of a poll is taken by creating its
    file, and who comes second compares with what the first one brought.
    """
    finish_unrecorded(lake, reader, window)
    by_reference, homes, rejected = _summary(reader, served)
    first = True
    while True:
        entry = lake.entry(window)
        polls = lake.polls(window, entry)
        known = _newest_text(lake, reader, polls)
        new = any(known.get(key) != said for key, said in by_reference.items())
        # After a poll that was found bad and set aside the next one is kept whatever it brings.
        kept = new or not polls or entry.has_lost_a_poll
        if not kept:
            break
        first = not polls
        created = lake.create_poll(window, entry.next_number, polled_at, served, reader.zone.key)
        finish_unrecorded(lake, reader, window)
        if created:
            break
    distinct = frozenset(key for key in by_reference if not key.startswith(_UNUSABLE))
    gone = {key for key in known if not key.startswith(_UNUSABLE)} - distinct
    return Landed(
        window=window,
        polled_at=polled_at,
        kept=kept,
        first=kept and first,
        served=len(served),
        distinct=distinct,
        rejected=rejected,
        vanished=len(gone),
        homes=homes,
    )


def ensure_same_homes(reader: RecordReader, poll: PollRecord, homes: Mapping[Window, int]) -> None:
    """Raise ZoneChanged where the records of ``poll`` are of other hours than when it was noted.

    It can only be so for a poll of an earlier release, which did not note its zone.
    ``homes`` counts its usable records by the hour requested, as read now. The hours that they were
    read as of then were told of the poll; those of now were not, so a record could be in none.
    """
    now = Counter({home.key: count for home, count in homes.items()})
    noted = Counter(poll.homes)
    if now != noted:
        moved = max((noted - now).total(), (now - noted).total())
        raise ZoneChanged(poll.window, reader.zone.key, moved)


def ensure_noted_homes(lake: Lake, reader: RecordReader, window: Window, number: int) -> None:
    """The same for a poll in the lake. Raises LakeDamaged where it is not as it was noted."""
    poll = lake.poll(window, number)
    if not poll.zone:
        ensure_same_homes(reader, poll, _summary(reader, lake.served(poll))[1])


def finish_unrecorded(lake: Lake, reader: RecordReader, window: Window) -> None:
    """Note the polls whose data stands in the lake without a record."""
    for number in lake.unrecorded_polls(window):
        new = lake.read_new_poll(window, number)
        _, homes, rejected = _summary(reader.of_poll(new.zone), new.frame.get_column("record"))
        lake.record_poll(window, number, new.polled_at, new.file, homes, rejected, new.zone)


_UNUSABLE = "\0"
"""Begins the key of a record that has no usable reference: its own text then stands for it."""


Said = dict[str, list[tuple[str, "datetime | None"]]]
"""By reference, the texts of its records, each with its request time as it is read."""


def _summary(reader: RecordReader, served: Iterable[str]) -> tuple[Said, dict[Window, int], int]:
    """What is said by reference, usable records by the hour requested, number of unusable ones."""
    found: Said = {}
    homes: Counter[Window] = Counter()
    rejected = 0
    for record in served:
        head = reader.head(decode(record))
        if isinstance(head, Refused):
            rejected += 1
            found.setdefault(_UNUSABLE + record, []).append((record, None))
        else:
            reference, requested_at = head
            homes[Window.of(requested_at)] += 1
            found.setdefault(reference, []).append((record, requested_at))
    for of_one in found.values():
        of_one.sort()  # the pieces of a return in another order are nothing new either
    return found, dict(homes), rejected


def _newest_text(lake: Lake, reader: RecordReader, polls: list[PollRecord]) -> Said:
    """For every reference ever kept for the window, what the newest poll that served it said.

    Raises ZoneChanged: no further poll is kept beside one that was read under another zone.
    """
    known: Said = {}
    for _, poll in in_order(polls):
        said, homes, _ = _summary(reader.of_poll(poll.zone), lake.served(poll))
        ensure_same_homes(reader, poll, homes)
        known.update(said)
    return known
