"""The records of a poll: kept as received if anything in them is new, before any conversion.

New is judged return by return: a poll is kept if for any return it serves other text than the
newest kept poll of the window that served that return, or the same text with another request time,
as it was sent under another zone. A different order of the same records, or fewer returns, is not
new. Where another window served other text meanwhile, a reply that brings nothing new is still
noted: it makes this window's copy the newest one again. Only the two values that identify the
return of a record are read here.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from returns_orchestration.lake.entry_kinds import Again
from returns_orchestration.lake.names import sources_of
from returns_orchestration.stages.copies import placed_in, served_by
from returns_orchestration.stages.ownership import in_order
from returns_orchestration.stages.typing import Refused, decode
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from returns_orchestration.lake import Lake, Names, Poll
    from returns_orchestration.stages.ownership import Copy
    from returns_orchestration.stages.typing import RecordReader

Words = list[tuple[str, "datetime | None"]]
"""The texts of the records of one return in one poll, each with its request time as it is read."""

Key = tuple[bool, str]
"""Whether a record is usable, and its reference; for an unusable one its own text."""


@dataclass(frozen=True, slots=True)
class Landed:
    """The outcome of one poll.

    ``kept``: whether it brought something new; ``served`` counts its records, ``distinct`` its
    usable returns, ``rejected`` its unusable records, ``vanished`` the returns that earlier polls
    of this window served and this one did not. ``homes`` counts its usable records by the hour of
    their request. ``first``: whether the window had never been polled before.
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


@dataclass(frozen=True, slots=True)
class _Reply:
    """A reply: texts by reference, usable records by the hour requested, and unusable ones."""

    words: dict[Key, Words]
    homes: dict[Window, int]
    rejected: int


def is_good(poll: Poll, window: Window) -> bool:
    """Whether ``poll`` was sent after the end of its window, so that it can hold all of it."""
    return poll.polled_at >= window.end


def land(  # noqa: PLR0913, PLR0917 - what a poll is
    lake: Lake,
    names: Names,
    reader: RecordReader,
    window: Window,
    polled_at: datetime,
    served: tuple[str, ...],
) -> Landed:
    """Keep the records of a poll if they bring something new. Raises LakeError.

    Several writers may land the same window at once: a writer takes the number of a poll by
    creating its file, and the second one compares with the poll of the first.
    """
    reply = _read(reader, served)
    while True:
        finish_unnoted(lake, names, reader, window)
        hour = names.hour(window)
        known = _newest_words(lake, names, reader, window)
        # After a poll that was found bad and quarantined the next one is kept whatever it brings.
        is_asked_for = hour.has_lost_a_poll or not any(is_good(p, window) for p in hour.polls)
        kept = is_asked_for or any(known.get(key) != words for key, words in reply.words.items())
        first = kept and not hour.polls
        if not kept:
            _note_again(lake, names, reader, window, polled_at, reply.words)
            break
        poll = lake.polls.create(
            names, window, hour.next_number, polled_at, served, reader.zone.key
        )
        if poll is not None:
            _note(lake, names, window, poll, reply.homes)
            break
        names.refresh([window])
        names.forget_files()
    distinct = _references(reply.words)
    gone = _references(known) - distinct
    return Landed(
        window=window,
        polled_at=polled_at,
        kept=kept,
        first=first,
        served=len(served),
        distinct=distinct,
        rejected=reply.rejected,
        vanished=len(gone),
        homes=reply.homes,
    )


def finish_unnoted(
    lake: Lake, names: Names, reader: RecordReader, window: Window, zone: str = ""
) -> None:
    """Note the polls of ``window`` that have a file and no entry: a run was killed.

    ``zone`` is that of a file that does not record its own, as in releases before 0.2.
    """
    for number in names.unnoted(window):
        poll, records = lake.polls.read_unnoted(window, number)
        if not poll.zone:
            poll = poll.under(zone or reader.zone.key)
        _note(lake, names, window, poll, _read(reader.of_poll(poll.zone), records).homes)


def _note(lake: Lake, names: Names, window: Window, poll: Poll, homes: Iterable[Window]) -> None:
    """Note a poll whose file exists; the marks in other hours first, so that none is missed."""
    lake.entries.mark(names, window, homes)
    lake.entries.put(names, poll)


def _note_again(  # noqa: PLR0913, PLR0917 - what a reply is
    lake: Lake,
    names: Names,
    reader: RecordReader,
    window: Window,
    at: datetime,
    repeated: dict[Key, Words],
) -> None:
    """Note a reply that repeats records which a newer poll of another window contradicts.

    Or a webhook that speaks as of later.

    A note refers to the records that this window had served by then. Where a clock went back and
    the poll that the reply repeats has a later time, no note is needed: that poll holds them.
    """
    sources = sources_of(window, names)
    since = min(polled_at for polled_at, _ in in_order(names.hour(window).polls))
    is_told = any(one.newest > since for of in sources for one in names.hour(of).placed)
    if sources == [window] and not is_told:
        return
    newest: dict[Key, tuple[Window | None, Words]] = {}
    own: dict[Key, Words] = {}
    told = [one.copy for one in placed_in(lake, names, reader, sources)] if is_told else []
    for served in served_by(lake, names, reader, sources):
        if served.at <= at:
            newest |= _told(told, before=served.at)
            words = _read(served.reader, served.records).words
            newest |= {key: (served.source, of_one) for key, of_one in words.items()}
            own |= words if served.source == window else {}
    newest |= _told(told, before=at)
    contradicted = sorted(
        key[1]
        for key, words in repeated.items()
        if key[0] and own.get(key) == words and newest[key][0] != window and newest[key][1] != words
    )
    if contradicted:
        entry = Again(period=window.key, at=at, references=contradicted)
        lake.entries.put(names, entry)


def _told(copies: list[Copy], before: datetime) -> dict[Key, tuple[Window | None, Words]]:
    """The returns of the webhooks that speak as of a time ``before``; these are then taken out."""
    found: dict[Key, tuple[Window | None, Words]] = {}
    while copies and copies[0].served_at < before:
        found[True, copies.pop(0).typed.reference] = None, []
    return found


def _references(words: Iterable[Key]) -> frozenset[str]:
    return frozenset(key for is_usable, key in words if is_usable)


def _read(reader: RecordReader, records: Iterable[str]) -> _Reply:
    words: dict[Key, Words] = {}
    homes: Counter[Window] = Counter()
    rejected = 0
    for record in records:
        head = reader.head(decode(record))
        if isinstance(head, Refused):
            rejected += 1
            words.setdefault((False, record), []).append((record, None))
        else:
            reference, requested_at = head
            homes[Window.of(requested_at)] += 1
            words.setdefault((True, reference), []).append((record, requested_at))
    for of_one in words.values():
        of_one.sort()  # another order of a return's pieces is not new either
    return _Reply(words, dict(homes), rejected)


def _newest_words(
    lake: Lake, names: Names, reader: RecordReader, window: Window
) -> dict[Key, Words]:
    """For every reference ever kept for the window, its texts in the newest poll that served it."""
    known: dict[Key, Words] = {}
    for served in served_by(lake, names, reader, [window]):
        if not served.is_repeated:
            known |= _read(served.reader, served.records).words
    return known
