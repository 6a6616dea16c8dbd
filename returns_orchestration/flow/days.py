"""One day of the report's zone: its rows, wherever their hours lie, counted.

A day is made of the rows of `returns` and `return_items` and not of the hourly aggregates, since a
day of Asia/Kolkata begins inside a UTC hour. Its record names every hour it was made of, by
content, so whether it follows all that has changed since is seen without making it anew.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import polars as pl

from returns_orchestration import tables
from returns_orchestration.errors import HourBlocked, LakeDamaged, NeverPolled
from returns_orchestration.stages import aggregates
from returns_orchestration.trust import claims
from returns_orchestration.trust.hours import days_concerned, made_of_hour, made_of_zone
from returns_orchestration.window import Day, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from returns_orchestration.lake import Lake, MadeRecord
    from returns_orchestration.trust.claims import Claim


PAUSES: Final = (0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds to wait for an hour whose files are not what its record says, before it is damaged.

Another process may be publishing it: its files stand and its record does not yet."""


@dataclass(frozen=True, slots=True)
class SettledDay:
    """What was made of one day; ``changed`` names the tables whose bytes are new."""

    day: Day
    frames: dict[str, pl.DataFrame]
    record: MadeRecord
    changed: set[str]
    claims: dict[str, list[Claim]]


class DaySettler:
    """Makes the days of one lake in one zone."""

    def __init__(
        self,
        lake: Lake,
        zone: ZoneInfo,
        first: datetime | None = None,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """``first`` is the first hour there is: those of a day before it are not missing."""
        self._lake = lake
        self.zone = zone
        self._first = first
        self._wait = wait

    def follow(self, window: Window) -> bool:
        """Whether every day that counts rows of ``window`` was made of its tables as they stand.

        Not while a day beside them is left behind: it counts what is in these, too.
        """
        try:
            made = self._lake.made(window)
            if made is None:
                return False
            days = days_concerned(self._lake, made, self.zone)
            records = [self._lake.made(day) for day in days]
        except LakeDamaged:  # settling mends it, or says why it cannot
            return False
        entry = made_of_hour(made)
        return not self.left_behind(days) and all(
            record is not None and {entry, made_of_zone(self.zone)} <= set(record.made_of)
            for record in records
        )

    def settle(self, day: Day, now: datetime) -> SettledDay:
        """Make and publish the tables of ``day``; ``now`` tells which hours could be there.

        Raises LakeError, NeverPolled for a day without a made hour, and HourBlocked where a
        blocking claim fails; the files that stand there then stay.
        """
        pauses = iter(PAUSES)
        while True:
            sources = self._sources(day)
            if not sources:  # a day without an hour is missing, and an empty file would hide it
                raise NeverPolled(day.key)
            try:
                settled = self._make(day, sources, now)
            except LakeDamaged:
                pause = next(pauses, None)
                if pause is None:
                    raise
                self._wait(pause)
                continue
            # Another process may have published an hour meanwhile.
            if self._sources(day) == sources:
                return settled

    def concerned_by(self, windows: Iterable[Window]) -> dict[Day, Window]:
        """The days that count rows of ``windows``, each with the first of these.

        Of an hour whose record is damaged, nobody can tell; `verify` names it.
        """
        found: dict[Day, Window] = {}
        for window in sorted(windows):
            with suppress(LakeDamaged):
                made = self._lake.made(window)
                for day in days_concerned(self._lake, made, self.zone) if made else ():
                    found.setdefault(day, window)
        return found

    def left_behind(self, days: Collection[Day]) -> list[Day]:
        """The neighbours of ``days`` that were made for another zone and have no hour in this one.

        A change of the zone moves the edges of all days; the first or the last one may end up
        without an hour, and nothing would make it again.
        """
        edges = {Day(day.date + timedelta(days=n), self.zone) for day in days for n in (-1, 1)}
        return [day for day in sorted(edges - set(days)) if self._is_left_behind(day)]

    def _is_left_behind(self, day: Day) -> bool:
        try:
            record = self._lake.made(day)
            of_another = record is not None and made_of_zone(self.zone) not in record.made_of
            return of_another and not self._sources(day)
        except LakeDamaged:  # whose zone it was nobody can tell; `verify` names it
            return False

    def withdraw(self, day: Day) -> None:
        """Take the tables of ``day`` away, its record last. Raises LakeError."""
        record = self._lake.made(day)
        for file in record.files.values() if record else ():
            self._lake.store.delete(file.path)
        self._lake.store.delete(self._lake.made_path(day))

    def _sources(self, day: Day) -> dict[Window, MadeRecord]:
        """The made hours that may hold rows of ``day``.

        Its own, and for each that was never polled those that served returns requested in it.
        """
        windows: set[Window] = set()
        for window in day.windows:
            entry = self._lake.entry(window)
            windows |= {window} if entry.polls else set(entry.strays)
        found = {window: self._lake.made(window) for window in sorted(windows)}
        return {window: made for window, made in found.items() if made is not None}

    def _make(self, day: Day, sources: dict[Window, MadeRecord], now: datetime) -> SettledDay:
        inside = pl.col("requested_at").is_between(day.start, day.end, closed="left")
        returns, items = (
            pl.concat([table.empty(), *(self._rows(table, window) for window in sources)]).filter(
                inside
            )
            for table in (tables.RETURNS, tables.RETURN_ITEMS)
        )
        modes, reasons = tables.MADE_DAILY
        frames = {
            modes.name: aggregates.refund_modes(modes, day.date, returns, items),
            reasons.name: aggregates.return_reasons(reasons, day.date, items),
        }
        absent = [
            window.text
            for window in day.windows
            if window not in sources
            and window.end <= now
            and (self._first is None or window.start >= self._first)
        ]
        judged = claims.of_day(frames, returns, items, absent)
        blocking = [claim.sentence for made in judged.values() for claim in made if claim.blocks]
        if blocking:
            raise HourBlocked(day.key, judged, "; ".join(blocking))
        made_of = [made_of_zone(self.zone), *(made_of_hour(made) for made in sources.values())]
        facts = {"returns": returns.height, "items": items.height, "hours": len(sources)}
        record, changed = self._lake.publish(day, frames, made_of, facts)
        return SettledDay(day, frames, record, changed, judged)

    def _rows(self, table: tables.Table, window: Window) -> pl.DataFrame:
        frame = self._lake.read(table, window)
        if frame is None:
            return table.empty()
        own = "return_reference_number"
        # Where two hours hold one reference, each row is counted with the items of its own hour.
        return frame.with_columns(pl.format("{} {}", pl.lit(window.key), own).alias(own))
