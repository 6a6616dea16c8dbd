"""One line an hour, as `status` prints it: the state, and the figures of what was made."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Final

from returns_orchestration import tables
from returns_orchestration.errors import LakeDamaged
from returns_orchestration.state.hours import READABLE, States
from returns_orchestration.window import Day

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import date, datetime
    from zoneinfo import ZoneInfo

    from returns_orchestration.lake import Lake, Made, Names
    from returns_orchestration.lake.poll_log import Answer
    from returns_orchestration.state.hours import State, Verdict
    from returns_orchestration.window import Window

NEWEST_DATES: Final = 40
"""The dates in which the newest readable hour is looked for."""

AT_ONCE: Final = 24 * 31
"""Hours whose entries are held at once."""


@dataclass(frozen=True, slots=True)
class HourState:
    """One line of `status`; times are aware UTC.

    ``error`` is why an hour is missing, damaged or unfinished; ``provisional`` counts rows that
    only a webhook brought.
    """

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
    provisional: int = 0


def states(
    lake: Lake,
    windows: Sequence[Window],
    zone: ZoneInfo,
    known: Mapping[Window, str] | None = None,
) -> Iterator[HourState]:
    """The state of each of ``windows``; see States for ``known``. Raises LakeError."""
    for at in range(0, len(windows), AT_ONCE):
        some = windows[at : at + AT_ONCE]
        names = look_at(lake, some)
        judge = States(lake, names, zone, known)
        verdicts = {window: judge.of(window) for window in some}
        again = {
            second.window: second for second in looked_twice(lake, names, verdicts, zone, known)
        }
        of_hour = {w: again[w].names if w in again else names for w in some}
        made = lake.read_all_made(
            {w: of_one[0] for w in some if len(of_one := of_hour[w].hour(w).made) == 1}
        )
        log = lake.poll_log.of_all(some)
        for window in some:
            verdict = again[window].verdict if window in again else verdicts[window]
            yield _line(lake, of_hour[window], window, verdict, made.get(window), log)


@dataclass(frozen=True, slots=True)
class Second:
    """The result of a second look at an hour; ``files`` are those that differ from the records."""

    window: Window
    verdict: Verdict
    names: Names
    files: list[str]


def looked_twice(
    lake: Lake,
    names: Names,
    verdicts: Mapping[Window, Verdict],
    zone: ZoneInfo,
    known: Mapping[Window, str] | None = None,
) -> Iterator[Second]:
    """The hours that a listing alone shows damaged, looked at again: a run may be writing them.

    The names and the files are not listed at one moment, so an hour that is published in between
    has sizes that its entry does not name.
    """
    doubtful = [
        window
        for window, verdict in verdicts.items()
        if verdict.state == "damaged" and not (verdict.needs_poll or names.hour(window).damaged)
    ]
    for _, of_date in groupby(sorted(doubtful), key=lambda window: window.start.date()):
        windows = list(of_date)
        found = look_at(lake, windows)
        judge = States(lake, found, zone, known)
        for window in windows:
            verdict = judge.of(window)
            files = judge.other_files(window) if verdict.state == "damaged" else []
            yield Second(window, verdict, found, files)


def look_at(lake: Lake, windows: Collection[Window]) -> Names:
    """The names of the journal and of the tables' files around ``windows``."""
    names = lake.names()
    names.load_hours(windows)
    list_files(names, windows)
    return names


def list_files(names: Names, windows: Collection[Window]) -> None:
    """List the tables' files of the dates of ``windows`` and beside them, side by side."""
    if not windows:
        return
    first, last = min(windows).previous.start.date(), max(windows).next.start.date()
    every = (tables.RAW_RETURNS, *tables.MADE_HOURLY, *tables.MADE_DAILY)
    with ThreadPoolExecutor(len(every)) as readers:
        for _ in readers.map(lambda table: names.load_files(table.name, first, last), every):
            pass


def newest_complete(lake: Lake, days: Sequence[date], zone: ZoneInfo) -> datetime | None:
    """The end of the newest hour of ``days`` that is complete, empty or outdated; None for none."""
    for day in days[: -NEWEST_DATES - 1 : -1]:
        windows = Day(day, tables.UTC_DAYS).windows
        states = States(lake, look_at(lake, windows), zone)
        for window in reversed(windows):
            if states.of(window).state in READABLE:
                return window.end
    return None


def last_polled(lake: Lake, names: Names, windows: Sequence[Window]) -> dict[Window, datetime]:
    """When each of ``windows`` was last polled, as far as it was.

    The time is the earlier of the poll's, which may be by ClickPost's clock, and its note's, by
    this machine's: by the later one, a repeated poll of the hour could be skipped.
    """
    log = lake.poll_log.of_all(windows)
    found: dict[Window, datetime] = {}
    for window in windows:
        times = [answer.at for answer in log.get(window.key, ()) if not answer.error]
        kept = names.hour(window).last_polled()
        times += [kept] if kept else []
        if times:
            found[window] = max(times)
    return found


def _line(  # noqa: PLR0913, PLR0917 - what is known of an hour
    lake: Lake,
    names: Names,
    window: Window,
    verdict: Verdict,
    made: Made | None,
    log: Mapping[str, Sequence[Answer]],
) -> HourState:
    hour = names.hour(window)
    answers = log.get(window.key, [])
    nothing_new = [answer.at for answer in answers if not answer.error]
    polled_at = sorted(poll.polled_at for poll in hour.polls)
    times = [*polled_at, *nothing_new]
    line = HourState(
        window.text,
        verdict.state,
        polls=len(times),
        first_polled_at=min(times, default=None),
        last_polled_at=max(times, default=None),
        error=_why(verdict, answers, polled_at),
    )
    if hour.waived:
        line = replace(line, error=_waiver(lake, window, line))
    # The tables stay once they were made, whether or not they are complete.
    facts = made.facts if made else {}
    if verdict.state == "waived" and not facts.get("provisional"):
        facts = {}
    return replace(
        line,
        returns=facts.get("returns", 0),
        items=facts.get("items", 0),
        rejected=facts.get("rejected", 0),
        late=facts.get("late", 0),
        provisional=facts.get("provisional", 0),
    )


def _why(verdict: Verdict, answers: Sequence[Answer], polled_at: Sequence[datetime]) -> str | None:
    """The cause, and the last error if the hour was not read since."""
    if verdict.state not in {"missing", "damaged", "unfinished"}:
        return None
    last = answers[-1] if answers else None
    words = [verdict.why]
    if last and last.error and (verdict.needs_poll or last.at >= max(polled_at, default=last.at)):
        words.append(last.error)
    if verdict.needs_poll and not (last and last.error) and verdict.why:
        words.append("Ask again with `returns-orchestration backfill`.")
    elif verdict.state == "damaged" and not verdict.needs_poll:
        words.append("Mend it with `returns-orchestration backfill`.")
    elif verdict.state == "unfinished":
        words.append("The sensor `missing_hours` makes them, or run `backfill`.")
    return " ".join(filter(None, words)) or None


def _waiver(lake: Lake, window: Window, line: HourState) -> str | None:
    """The text about an hour that was waived, also where it was polled in spite of that."""
    with suppress(LakeDamaged):  # `verify` names it
        why = lake.waiver(window).why
        if line.state == "waived":
            return f"waived: {why}"
        return line.error or f"had been waived: {why}"
    return line.error
