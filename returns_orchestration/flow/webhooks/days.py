"""The matches of a day of the report's zone: those of its hours, counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from returns_orchestration import tables
from returns_orchestration.errors import LakeDamaged
from returns_orchestration.flow.webhooks.matches import facts_of
from returns_orchestration.flow.webhooks.rules import follows, publish
from returns_orchestration.stages import matches
from returns_orchestration.window import days_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta
    from zoneinfo import ZoneInfo

    from returns_orchestration.errors import ReturnsError
    from returns_orchestration.lake import Lake, Made, Names
    from returns_orchestration.window import Day, Window


class MatchedDayBuilder:
    """Builds the days of ``zone``; a webhook counts as lost from the age ``lost_after``."""

    def __init__(self, lake: Lake, zone: ZoneInfo, lost_after: timedelta) -> None:
        self._lake = lake
        self._zone = zone
        self._lost_after = lost_after

    def of(self, names: Names, windows: Iterable[Window]) -> list[Day]:
        """The days that have matches of ``windows``."""
        compared = (window for window in windows if names.hour(window).matched)
        return sorted({day for window in compared for day in days_of(window, self._zone)})

    def is_stale(self, names: Names, day: Day) -> bool:
        """Whether the tables of a day do not follow from the matches of its hours."""
        return not follows(names.day(day.date, "matched"), self._made_of(names, day))

    def build(self, names: Names, day: Day, failed: dict[Window, ReturnsError]) -> Made | None:
        """Build a day; None where matches cannot be read, which ``failed`` gets for its first hour.

        Raises LakeError.
        """
        windows = [window for window in day.windows if names.hour(window).matched]
        made_of = self._made_of(names, day)
        try:
            read = self._lake.read_many(tables.WEBHOOK_MATCHES, windows, names)
        except LakeDamaged as error:
            failed[windows[0]] = error
            return None
        inside = pl.col("requested_at").is_between(day.start, day.end, closed="left")
        rows = pl.concat([tables.WEBHOOK_MATCHES.empty(), *read.values()]).filter(inside)
        delivery = matches.delivery_of_day(
            day.date, rows, _listened_in(names, day), self._lost_after
        )
        frames = {tables.WEBHOOK_DELIVERY_DAILY.name: delivery}
        facts = {"returns": rows.height, **facts_of(delivery, rows)}
        return publish(self._lake, names, day, frames, made_of, facts)

    def _made_of(self, names: Names, day: Day) -> list[str]:
        made_of = [f"zone {day.zone.key}", f"lost after {self._lost_after}"]
        return made_of + [
            f"{window.key} {made.text}"
            for window in day.windows
            for made in names.hour(window).matched
        ]


def _listened_in(names: Names, day: Day) -> int:
    """Seconds of a day in which a receiver could take webhooks."""
    total = 0
    for window in day.windows:
        first = max(0, round((day.start - window.start).total_seconds()))
        last = min(3600, round((day.end - window.start).total_seconds()))
        spans = [
            (max(entry.begin, first), min(entry.until, last))
            for entry in names.hour(window).listened
        ]
        total += matches.listened(span for span in spans if span[0] < span[1])
    return total
