"""The state of every hour: complete, empty because the API said so, missing, or waived.

Told from the lake alone. An hour whose polls are there and whose tables are not, or not yet of all
its polls, is missing, and says so.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from returns_orchestration import tables
from returns_orchestration.errors import LakeDamaged
from returns_orchestration.lake.entries import HourEntry, polls_of, sources_of
from returns_orchestration.window import Window, days_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from returns_orchestration.lake import Lake, MadeRecord
    from returns_orchestration.lake.poll_log import Answer
    from returns_orchestration.window import Day

State = Literal["complete", "empty", "missing", "waived"]

READERS: Final = 8
"""Records read at once: an object store takes its time for each."""

NOT_MADE = (
    "Polled, but its tables are not made of all its polls; run `returns-orchestration backfill`."
)
LOST_A_POLL = (
    "A poll was found damaged and set aside; ask again with `returns-orchestration backfill`."
)


@dataclass(frozen=True, slots=True)
class HourState:
    """One line of `status`; times are aware UTC, ``error`` is the last one of a missing hour."""

    hour: str
    state: State
    returns: int = 0
    items: int = 0
    rejected: int = 0
    polls: int = 0
    first_polled_at: datetime | None = None
    last_polled_at: datetime | None = None
    late: int = 0
    error: str | None = None


def states(lake: Lake, windows: Sequence[Window]) -> Iterator[HourState]:
    """The state of each of ``windows``."""
    entries = lake.entries()
    serves = _serves(entries)
    log = lake.poll_log.of_all(windows)
    for window in windows:
        answers = log.get(window.key, [])
        entry = entries.get(window)
        if entry is None or not entry.polls:
            waiver = lake.waiver(window) if entry and entry.waived else None
            if waiver is None:
                lost = entry is not None and entry.has_lost_a_poll
                yield HourState(window.text, "missing", error=_why(answers, lost=lost))
            else:
                yield HourState(window.text, "waived", error=f"waived: {waiver.why}")
            continue
        found = _polled(lake, window, entries, serves, answers)
        waiver = lake.waiver(window) if entry.waived else None
        if waiver is not None and found.error is None:  # it was polled in spite of that
            found = replace(found, error=f"had been waived: {waiver.why}")
        yield found


def _why(answers: Sequence[Answer], *, lost: bool) -> str | None:
    """Why an hour is missing: a poll that was lost, and the last error if it was not read since."""
    last = answers[-1].error if answers else ""
    return " ".join(filter(None, [LOST_A_POLL if lost else "", last])) or None


def last_polled(lake: Lake, windows: Sequence[Window]) -> dict[Window, datetime]:
    """When each of ``windows`` was last polled, as far as it was.

    By the earlier of the poll's time, which may be by ClickPost's clock, and of when it was noted,
    by this machine's: of the two, the one that is ahead would have an age of the hour passed over.
    """
    log = lake.poll_log.of_all(windows)

    def of_one(window: Window) -> list[datetime]:
        found = [answer.at for answer in log.get(window.key, ()) if not answer.error]
        with suppress(LakeDamaged):  # `verify` names it; the hour is asked for once more
            made = lake.made(window)
            found += [min(at, made.written_at) for at in made.polled_at] if made else []
        return found

    with ThreadPoolExecutor(READERS) as readers:
        times = zip(windows, readers.map(of_one, windows), strict=True)
        return {window: max(found) for window, found in times if found}


def made_of_hour(made: MadeRecord) -> str:
    """How a day's record names an hour it was made of: its key, and its rows by content."""
    shas = (made.files[table.name].sha256[:16] for table in (tables.RETURNS, tables.RETURN_ITEMS))
    return " ".join((made.period, *shas))


def made_of_zone(zone: ZoneInfo) -> str:
    """How a day's record names the zone whose day it is."""
    return f"zone {zone.key}"


def days_concerned(lake: Lake, made: MadeRecord, zone: ZoneInfo) -> list[Day]:
    """The days that count rows of a made hour: those it overlaps, and others that stand already.

    A return requested in an hour that was never polled lives in another, maybe on another day. A
    day that is still to be made will find it.
    """
    days = days_of(Window.from_key(made.period), zone)
    for home in map(Window.from_key, made.homes):
        if not lake.entry(home).polls:
            with suppress(OverflowError):  # no day is made at the ends of the calendar
                more = [day for day in days_of(home, zone) if day not in days]
                days += [d for d in more if lake.store.get(lake.made_path(d)) is not None]
    return days


def missing(
    lake: Lake, windows: Iterable[Window], is_followed: Callable[[Window], bool]
) -> tuple[list[Window], list[Window]]:
    """Of ``windows``: those to be polled and not waived, and those polled and not made of it.

    ``is_followed`` tells of a made hour whether its days were made of it.
    """
    entries = lake.entries()
    serves = _serves(entries)
    unpolled, unmade = [], []
    for window in windows:
        entry = entries.get(window)
        if entry is None or not entry.polls:
            if entry is None or not entry.waived:
                unpolled.append(window)
        elif entry.has_lost_a_poll:
            unpolled.append(window)
        elif not (_made(lake, window, entries, serves) and is_followed(window)):
            unmade.append(window)
    return unpolled, unmade


def _serves(entries: Mapping[Window, HourEntry]) -> dict[Window, list[Window]]:
    """For each window the other hours whose returns it served: the pointers, turned round."""
    serves: dict[Window, list[Window]] = {}
    for home, entry in entries.items():
        for window in entry.strays:
            serves.setdefault(window, []).append(home)
    return serves


def _expected_polls(
    window: Window, entries: Mapping[Window, HourEntry], serves: Mapping[Window, list[Window]]
) -> list[str]:
    """The polls the tables of ``window`` should be made of, from one listing of all records."""

    def entry_of(hour: Window) -> HourEntry:
        return entries.get(hour, HourEntry())

    return polls_of(sources_of(window, serves.get(window, ()), entry_of), entry_of)


def _made(
    lake: Lake,
    window: Window,
    entries: Mapping[Window, HourEntry],
    serves: Mapping[Window, list[Window]],
) -> MadeRecord | None:
    """The record of the tables of ``window``, if they were made of all its polls."""
    made = lake.made(window) if entries[window].made else None
    if made is None or made.made_of != _expected_polls(window, entries, serves):
        return None
    return made


def _polled(
    lake: Lake,
    window: Window,
    entries: Mapping[Window, HourEntry],
    serves: Mapping[Window, list[Window]],
    answers: Sequence[Answer],
) -> HourState:
    lost = entries[window].has_lost_a_poll
    made = None if lost else _made(lake, window, entries, serves)
    # What the tables were made of tells when it was polled; each poll's own record does, too.
    polled_at = made.polled_at if made else [poll.polled_at for poll in lake.polls(window)]
    nothing_new = [answer.at for answer in answers if not answer.error]
    polls, last_polled_at = len(polled_at) + len(nothing_new), max([*polled_at, *nothing_new])
    if made is None:
        later = [answer for answer in answers if answer.at >= max(polled_at)]
        return HourState(
            window.text,
            "missing",
            polls=polls,
            first_polled_at=min(polled_at),
            last_polled_at=last_polled_at,
            error=_why(later, lost=lost) or NOT_MADE,
        )
    facts = made.facts
    rows = facts.get("returns", 0) + facts.get("rejected", 0)
    return HourState(
        window.text,
        "complete" if rows else "empty",
        returns=facts.get("returns", 0),
        items=facts.get("items", 0),
        rejected=facts.get("rejected", 0),
        polls=polls,
        first_polled_at=min(polled_at),
        last_polled_at=last_polled_at,
        late=facts.get("late", 0),
    )
