"""All tables but raw_returns anew from raw_returns, without a call; what is bad is set aside.

First every file of the span is verified and what is found is mended or set aside, then polls that a
killed run left are finished, then hours, their days and the table of all time are settled as any
run settles them, which writes only what differs. A poll that is bad is set aside with its record:
the hour is made of the polls that are left, and is to be polled again. An hour without any poll has
no tables. Each step may be done twice and beside a running pipeline, so a run that was killed
anywhere is ended by the same again.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from returns_orchestration import tables
from returns_orchestration.errors import HourBlocked, LakeDamaged, NeverPolled, ZoneChanged
from returns_orchestration.flow.moved import link_moved
from returns_orchestration.lake.aside import copy_aside, move_aside
from returns_orchestration.lake.entries import RECORDS, read_entries
from returns_orchestration.stages.landing import ensure_noted_homes, finish_unrecorded
from returns_orchestration.trust import lateness
from returns_orchestration.trust.verify import Verifier
from returns_orchestration.trust.verify_polls import may_serve
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from returns_orchestration.errors import ReturnsError
    from returns_orchestration.flow.hours import River
    from returns_orchestration.lake import Lake
    from returns_orchestration.trust.findings import Finding
    from returns_orchestration.window import Day

R = TypeVar("R")


@dataclass(slots=True)
class Rebuilt:
    """What a rebuild did.

    ``hours`` and ``days`` were made, of ``files`` tables with other bytes than stood there;
    ``aside`` are the places of what was set aside; ``poll_again`` are hours that have lost a poll;
    ``failed`` are errors of hours and days that could not be made; ``unreadable`` are findings that
    nothing can be done about from here.
    """

    hours: int = 0
    days: int = 0
    files: int = 0
    aside: list[str] = field(default_factory=list)
    poll_again: list[Window] = field(default_factory=list)
    failed: list[ReturnsError] = field(default_factory=list)
    unreadable: list[Finding] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether everything stands as it should."""
        return not (self.poll_again or self.failed or self.unreadable)


class Rebuilder:
    """Rebuilds spans of the lake of ``river``; ``on_finding`` is told what is found, to show it."""

    def __init__(self, river: River, on_finding: Callable[[Finding], None] | None = None) -> None:
        self._river = river
        self._lake: Lake = river.lake
        self._verifier = Verifier(river.lake, river.days.zone)
        self._on_finding = on_finding or (lambda _: None)
        self._rebuilt = Rebuilt()

    def rebuild(self, start: datetime, end: datetime) -> Rebuilt:
        """The hours of ``[start, end)`` and their days.

        Raises LakeError where the lake cannot be listed or written: then run the same again; and
        ZoneChanged, before anything is changed, where a poll was read under another zone.
        """
        self._rebuilt = Rebuilt()
        for window in self._verifier.hours(start, end):
            self._ensure_same_zone(window)
        touched = self._mend(start, end)
        windows = list(self._verifier.hours(start, end))
        edges = {Window(start).previous, Window(end)}
        for window in sorted({*windows, *touched, *edges}):
            self._guarded(lambda w=window: finish_unrecorded(self._lake, self._river.reader, w))  # type: ignore[misc]
        made = [window for window in sorted({*windows, *touched}) if self._make_hour(window)]
        made += self._unite(made)
        days = self._river.days.concerned_by(made)
        for day in sorted({*days, *self._river.days.left_behind(days)}):
            self._make_day(day)
        self._guarded(self._make_lateness)
        self._rebuilt.poll_again = [
            window
            for window in windows
            if self._lake.entry(window).has_lost_a_poll and not self._river.is_waived(window)
        ]
        return self._rebuilt

    def _ensure_same_zone(self, window: Window) -> None:
        """Raise ZoneChanged where a poll of ``window`` was read under another zone."""
        for number in self._lake.entry(window).polls:
            with suppress(LakeDamaged):  # which is mended, or told, later
                ensure_noted_homes(self._lake, self._river.reader, window, number)

    # ---- what is found

    def _mend(self, start: datetime, end: datetime) -> set[Window]:
        """Mend or set aside what is found; the hours that live in what was set aside."""
        touched: set[Window] = set()
        for finding in self._verifier.between(start, end):
            touched |= self._mend_one(finding)
        for window in sorted(touched):  # marks that a poll left there go with it
            for finding in self._verifier.hour(window):
                self._mend_one(finding)
        for finding in self._verifier.rest():
            self._mend_one(finding)
        return touched

    def _mend_one(self, finding: Finding) -> set[Window]:
        self._on_finding(finding)
        store, path = self._lake.store, finding.path
        aside: Iterable[str | None] = ()
        touched: set[Window] = set()
        if finding.remedy == "look":
            self._rebuilt.unreadable.append(finding)
        elif finding.remedy == "poll" and finding.window is not None:
            touched = self._lives_in(finding.window)
            aside = self._lake.set_poll_aside(finding.window, finding.number)
        elif finding.remedy == "aside":
            aside = [self._move_aside(finding)]
        elif finding.kind in ("torn", "altered"):
            aside = [copy_aside(store, path)]
        if finding.remedy == "mark" and finding.window is not None:
            self._lake.note_lost(finding.window, finding.number)
        elif finding.remedy == "mark":
            store.put(path, b"")
        self._rebuilt.aside += [place for place in aside if place]
        return touched

    def _move_aside(self, finding: Finding) -> str | None:
        place = move_aside(self._lake.store, finding.path)
        marks = [finding.path] if finding.path.startswith(f"{RECORDS}/") else []
        for home, entry in read_entries(marks).items():
            for window in entry.strays:
                # A poll that landed meanwhile found the mark there and put none.
                if may_serve(self._lake, window, home):
                    self._lake.store.create(finding.path, b"")
        return place

    def _lives_in(self, window: Window) -> set[Window]:
        """The hours whose tables follow from polls of ``window``; if in doubt its neighbours."""
        near = {window.previous, window, window.next}
        try:
            return near | self._river.settler.affected(window)
        except LakeDamaged:
            return near

    # ---- what is made again

    def _make_hour(self, window: Window) -> bool:
        """Make the tables of ``window``; whether its days may differ now."""
        if not self._lake.entry(window).polls:
            return self._clear(window)
        settled = self._guarded(lambda: self._river.settler.settle(window))
        if settled is None:
            return False
        self._rebuilt.hours += 1
        self._rebuilt.files += len(settled.changed)
        return True

    def _unite(self, made: list[Window]) -> list[Window]:
        """Settle anew the hours that hold one return; see `link_moved`."""
        linked: set[Window] = set()
        while new := link_moved(self._lake, {*made, *linked}, self._river.settler):
            linked |= {window for window in sorted(new) if self._make_hour(window)}
        return sorted(linked.difference(made))

    def _clear(self, period: Window | Day) -> bool:
        """Set aside what was made of a period that nothing is left of; whether there was any."""
        if isinstance(period, Window):
            if self._lake.unrecorded_polls(period):  # damaged, and told
                return False
            made: tuple[tables.Table, ...] = tables.MADE_HOURLY
        else:
            made = tables.MADE_DAILY
        paths = (self._lake.path(table, period) for table in made)
        moved = [
            move_aside(self._lake.store, path) for path in (*paths, self._lake.made_path(period))
        ]
        self._rebuilt.aside += [place for place in moved if place]
        return any(moved)

    def _make_day(self, day: Day) -> None:
        try:
            settled = self._guarded(lambda: self._river.days.settle(day, self._river.clock()))
        except NeverPolled:
            self._clear(day)
            return
        if settled is not None:
            self._rebuilt.days += 1
            self._rebuilt.files += len(settled.changed)

    def _make_lateness(self) -> None:
        lateness.publish(self._lake, lateness.measure(self._lake))

    def _guarded(self, make: Callable[[], R]) -> R | None:
        """What ``make`` gives; None where it failed for what stands there, which is noted."""
        try:
            return make()
        except (LakeDamaged, HourBlocked, ZoneChanged) as error:
            self._rebuilt.failed.append(error)
            return None
