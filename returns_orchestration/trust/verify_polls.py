"""The polls of one hour, and the marks that other windows left in it, against what stands there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from returns_orchestration import tables
from returns_orchestration.errors import LakeDamaged
from returns_orchestration.lake.entries import (
    MADE,
    RECORDS,
    WAIVER,
    HourEntry,
    link_path,
    lost_path,
    pointer_path,
    read_entries,
)
from returns_orchestration.lake.records import (
    LostPoll,
    PollRecord,
    decode_lost,
    decode_poll,
    decode_waiver,
)
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from returns_orchestration.lake import Lake
    from returns_orchestration.trust.evidence import Evidence

_DATA: Final = re.compile(r"poll-([0-9]{4,})\.parquet")
RAW: Final = tables.RAW_RETURNS.name


@dataclass(frozen=True, slots=True)
class PollsSeen:
    """What there is of one hour's polls.

    ``homes`` are the hours that its records live in, None where a record could not be read;
    ``unrecorded`` are polls whose data stands without a record.
    """

    entry: HourEntry
    unrecorded: frozenset[int]
    homes: frozenset[Window] | None

    @property
    def any(self) -> bool:
        """Whether the hour was polled at all."""
        return bool(self.entry.polls or self.unrecorded)


def check_polls(evidence: Evidence, window: Window, names: dict[str, set[str]]) -> PollsSeen:
    """Every poll of ``window``: its record, its data, and the marks that it left elsewhere."""
    below = f"{RECORDS}/{window.path}/"
    entry = read_entries(below + name for name in names[RECORDS]).get(window, HourEntry())
    data = {int(named[1]) for name in names[RAW] if (named := _DATA.fullmatch(name))}
    unrecorded = data - {*entry.polls, *dict(entry.lost)}
    homes: set[Window] | None = {window}
    for number in entry.polls:
        record = _check_poll(evidence, window, number)
        if record is None:
            homes = None
            continue
        for home in {Window.from_key(key) for key in record.homes} - {window}:
            if homes is not None:
                homes.add(home)
            if window not in evidence.entry(home).strays:
                evidence.note(pointer_path(home, window), "missing", "mark")
    for number in sorted(unrecorded):
        if evidence.is_whole_poll(window, number):
            path = evidence.lake.poll_path(window, number)
            evidence.note(path, "unfinished", "finish", window, number)
    _check_aside(evidence, window, entry, names)
    known = {f"poll-{number:04d}.parquet" for number in data}
    for name in sorted(names[RAW] - known):
        evidence.note(f"{RAW}/{window.path}/{name}", "foreign", "aside")
    seen = None if homes is None else frozenset(homes)
    return PollsSeen(entry, frozenset(unrecorded), seen)


def _check_poll(evidence: Evidence, window: Window, number: int) -> PollRecord | None:
    lake = evidence.lake
    expected = (window.key, number, lake.poll_path(window, number))

    def is_of_its_place(record: PollRecord) -> bool:
        return (record.window, record.number, record.file.path) == expected

    record = evidence.read_record(
        lake.poll_record_path(window, number), decode_poll, is_of_its_place, "aside"
    )
    if record is None:
        evidence.is_whole_poll(window, number)
    else:
        evidence.check_file(record.file, "poll", window, number)
    return record


def _check_aside(
    evidence: Evidence, window: Window, entry: HourEntry, names: dict[str, set[str]]
) -> None:
    """Polls that were set aside: only the note of each is left, or else a kill came between."""
    lake = evidence.lake
    for number, until in entry.lost:
        _check_lost(evidence, window, number, until)
        record, data = lake.poll_record_path(window, number), lake.poll_path(window, number)
        for path, folder in ((record, RECORDS), (data, RAW)):
            if path.rsplit("/", 1)[-1] in names[folder]:  # killed while it was set aside
                evidence.note(path, "unfinished", "poll", window, number)


def _check_lost(evidence: Evidence, window: Window, number: int, until: int) -> None:
    def is_of_its_place(lost: LostPoll) -> bool:
        return (lost.window, lost.number) == (window.key, number)

    path = lost_path(window, number, until)
    evidence.read_record(path, decode_lost, is_of_its_place, "mark", window, number)


def check_marks(evidence: Evidence, window: Window, names: dict[str, set[str]]) -> None:
    """What other windows left in ``window``, its waiver, and that no record is a stranger."""
    below = f"{RECORDS}/{window.path}"
    entry = read_entries(f"{below}/{name}" for name in names[RECORDS]).get(window, HourEntry())
    ours = {f"poll-{number:04d}.json" for number in entry.polls}
    ours |= {
        path.rsplit("/", 1)[-1]
        for number, until in entry.lost
        for path in (
            evidence.lake.poll_record_path(window, number),
            lost_path(window, number, until),
        )
    }
    marks = [pointer_path(window, stray) for stray in entry.strays]
    marks += [link_path(window, other) for other in entry.links]
    ours |= {path.rsplit("/", 1)[-1] for path in marks}
    ours |= {MADE} if entry.made else set()
    _check_links(evidence, window, entry)
    for stray in entry.strays:
        path = pointer_path(window, stray)
        if may_serve(evidence.lake, stray, window):
            evidence.check_mark(path)
        else:
            evidence.note(path, "foreign", "aside")
    if entry.waived:
        ours.add(WAIVER)
        evidence.read_record(
            f"{below}/{WAIVER}", decode_waiver, lambda said: said.window == window.key, "aside"
        )
    for name in sorted(names[RECORDS] - ours):
        evidence.note(f"{below}/{name}", "foreign", "aside")


def _check_links(evidence: Evidence, window: Window, entry: HourEntry) -> None:
    """The marks of linked hours stand on both sides, or else one was lost or put by a stranger."""
    for other in entry.links:
        path, mirror = link_path(window, other), link_path(other, window)
        if window in evidence.entry(other).links:
            evidence.check_mark(path)
        elif follows_link(evidence.lake, window, other) or follows_link(
            evidence.lake, other, window
        ):
            evidence.note(mirror, "missing", "mark")
        else:
            evidence.note(path, "foreign", "aside")


def follows_link(lake: Lake, window: Window, other: Window) -> bool:
    """Whether the tables of ``window`` were made of polls of ``other`` that only a link explains.

    Also if nobody can tell.
    """
    try:
        made = lake.made(window)
        if made is None or not any(name.startswith(f"{other.key}/") for name in made.made_of):
            return False
        homes = {Window.from_key(key) for poll in lake.polls(window) for key in poll.homes}
    except LakeDamaged:
        return True
    return not any(may_serve(lake, other, home) for home in {window, *homes})


def may_serve(lake: Lake, window: Window, home: Window) -> bool:
    """Whether a poll of ``window`` served a record requested in ``home``; also if nobody can tell.

    The mark is put before the record of its poll and after its data.
    """
    try:
        entry = lake.entry(window)
        served = any(home.key in poll.homes for poll in lake.polls(window, entry))
        return served or bool(lake.unrecorded_polls(window))
    except LakeDamaged:
        return True
