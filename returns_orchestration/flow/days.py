"""One day of the report's zone: its rows, wherever their hours lie, counted.

A day is made of the rows of `returns` and `return_items` and not of the hourly aggregates, since a
day of Asia/Kolkata begins inside a UTC hour. Its entry names every made hour it was made of, so the
entry shows whether the day follows all later changes, without making it again.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import polars as pl

from returns_orchestration import tables
from returns_orchestration.errors import HourBlocked, LakeDamaged, NeverPolled
from returns_orchestration.stages.days import HOME, Rows
from returns_orchestration.stages.frames import frames_of_day
from returns_orchestration.stages.rules import Rules
from returns_orchestration.state import claims
from returns_orchestration.state.days import (
    days_concerned,
    inputs_of_day,
    is_left_behind,
    made_of_day,
    sources_of_day,
)
from returns_orchestration.state.hours import is_waived
from returns_orchestration.window import Day, Window
from returns_orchestration.words import count

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from returns_orchestration.lake import Lake, Made, Names
    from returns_orchestration.state.claims import Claim


PAUSES: Final = (0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds to wait for an hour whose files do not match its entry, before it counts as damaged.

Another process may be publishing it: its files are there and its entry is not yet."""


@dataclass(frozen=True, slots=True)
class BuiltDay:
    """The tables made of one day; ``changed`` names those whose bytes are new."""

    day: Day
    frames: dict[str, pl.DataFrame]
    record: Made
    changed: set[str]
    claims: dict[str, list[Claim]]


class DayBuilder:
    """Makes the days of one lake in one zone."""

    def __init__(
        self,
        lake: Lake,
        zone: ZoneInfo,
        first: datetime | None = None,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """``first`` is the first hour there is: earlier hours of a day are not missing."""
        self._lake = lake
        self.zone = zone
        self._first = first
        self._wait = wait

    def build(
        self, names: Names, day: Day, now: datetime, *, check_files: bool = False
    ) -> BuiltDay:
        """Make and publish the tables of ``day``; ``now`` decides which hours are over.

        Raises LakeError, NeverPolled for a day without a made hour, and HourBlocked where a
        blocking claim fails; the existing files then stay.
        """
        pauses = deque(PAUSES)
        while True:
            inputs = inputs_of_day(day, names)
            if not sources_of_day(day, names):  # an empty file would hide that it is missing
                raise NeverPolled(day.key)
            if self._is_waited_for(names, day) and pauses:
                self._wait(pauses.popleft())
                names.refresh(day.windows)
                continue
            try:
                built = self._make(
                    names, day, inputs, now, check_files=check_files, note=not pauses
                )
            except LakeDamaged:
                if not pauses:
                    raise
                self._wait(pauses.popleft())
                names.refresh(day.windows)
                continue
            # Another process may have published an hour meanwhile.
            names.refresh(day.windows)
            if inputs_of_day(day, names) == inputs:
                return built

    def _is_waited_for(self, names: Names, day: Day) -> bool:
        """Whether an hour that ``day`` was made of before is about to be published again.

        Its entry is absent for that moment, and the day would lose its rows.
        """
        made = self._lake.made_or_none(day, names)
        before = {name.partition(" ")[0] for name in made.made_of} if made else set()
        hours = [names.hour(window) for window in day.windows if window.key in before]
        return any(hour.has_copies and not hour.made for hour in hours)

    def concerned_by(self, names: Names, windows: Iterable[Window]) -> dict[Day, Window]:
        """The days that count rows of ``windows``, each with the first of these."""
        found: dict[Day, Window] = {}
        for window in sorted(windows):
            if names.hour(window).made:
                for day in days_concerned(window, names, self.zone):
                    found.setdefault(day, window)
        return found

    def left_behind(self, names: Names, days: Collection[Day]) -> list[Day]:
        """The neighbours of ``days`` that were made for another zone and have no hour in this one.

        A change of the zone moves the edges of all days; the first or the last one may end up
        without an hour, and no run would make it again.
        """
        edges = {Day(day.date + timedelta(days=n), self.zone) for day in days for n in (-1, 1)}
        others = sorted(edges - set(days))
        return [day for day in others if is_left_behind(day, self._lake, names)]

    def withdraw(self, names: Names, day: Day) -> None:
        """Remove the tables of ``day``, its entry first. Raises LakeError."""
        self._lake.withdraw(names, day)

    def _make(  # noqa: PLR0913 - what a day is made of
        self,
        names: Names,
        day: Day,
        inputs: str,
        now: datetime,
        *,
        check_files: bool,
        note: bool,
    ) -> BuiltDay:
        sources = sources_of_day(day, names)
        inside = pl.col("requested_at").is_between(day.start, day.end, closed="left")
        returns, items, states = (
            pl.concat(self._rows(table, sources, names, note=note)).filter(inside)
            for table in (tables.RETURNS, tables.RETURN_ITEMS, tables.RETURN_STATES)
        )
        rows = Rows(returns, items, states)
        frames = frames_of_day(day, rows)
        due = [w for w in day.windows if w.end <= now and (self._first or w.start) <= w.start]
        polled = {window for window in sources if names.hour(window).polls}
        missing = [w for w in due if w not in polled and not is_waived(w, names)]
        absent = [window.text for window in missing]
        judged = claims.of_day(frames, rows, absent, _part(day, len(due), now))
        blocking = [claim.figures for made in judged.values() for claim in made if claim.blocks]
        if blocking:
            raise HourBlocked(day.key, judged, "; ".join(blocking))
        facts = {"returns": returns.height, "items": items.height, "hours": len(sources)}
        record, changed = self._lake.publish(
            names,
            day,
            frames,
            inputs=inputs,
            rules=Rules.of_today().days,
            made_of=made_of_day(day, names),
            facts=facts,
            check_files=check_files,
        )
        return BuiltDay(day, frames, record, changed, judged)

    def _rows(
        self, table: tables.Table, windows: Sequence[Window], names: Names, *, note: bool
    ) -> list[pl.DataFrame]:
        """The rows of each of ``windows``, read side by side; for ``note`` see Lake.read_many."""
        found, empty = self._lake.read_many(table, windows, names, note=note), table.empty()
        # Where two hours hold one reference, each row is counted with the items of its own hour.
        return [
            found.get(window, empty).with_columns(pl.lit(window.key, pl.String).alias(HOME))
            for window in windows
        ]


def _part(day: Day, due: int, now: datetime) -> str:
    """Why only ``due`` hours of ``day`` are due; "" where all are."""
    if due == len(day.windows):
        return ""
    why = "the day is not over" if day.end > now else "the lake begins in this day"
    return f"{why}, {due} of {count(len(day.windows), 'hour')} so far"
