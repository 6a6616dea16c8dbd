"""All tables again from raw_returns and raw_webhooks, without a call; bad files are quarantined.

First every file of the span is verified and the findings are mended or quarantined, then polls a
killed run left are finished, then hours, their days and the table of all time are built as any
run builds them, which writes only differing files. A poll that is bad is quarantined with its
entry: the hour is made of the polls that are left, and is to be polled again. An hour without a
poll and without webhooks has no tables. Each step may be done twice and beside a running pipeline,
so a second run completes one that was killed anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, TypeVar

from returns_orchestration import tables
from returns_orchestration.errors import HourBlocked, LakeDamaged, NeverPolled
from returns_orchestration.flow.mend import mend_hour, read_again
from returns_orchestration.flow.relocated import link_relocated
from returns_orchestration.lake.entry_names import entry_named
from returns_orchestration.lake.journal import JOURNAL
from returns_orchestration.lake.quarantine import copy_to_quarantine, move_to_quarantine
from returns_orchestration.stages.erasure import blanked
from returns_orchestration.stages.landing import finish_unnoted
from returns_orchestration.state.hours import States
from returns_orchestration.state.status import look_at
from returns_orchestration.state.verify import Verifier
from returns_orchestration.window import Day, Window

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from returns_orchestration.errors import ReturnsError
    from returns_orchestration.flow.hours import HourPipeline
    from returns_orchestration.lake import Lake, Names
    from returns_orchestration.state.findings import Finding

R = TypeVar("R")


@dataclass(slots=True)
class Rebuilt:
    """The result of a rebuild.

    ``hours`` and ``days`` were made, with ``files`` tables whose bytes changed; ``quarantined`` are
    the new paths of bad files; ``poll_again`` are hours that have lost a poll; ``failed`` are
    errors of hours and days that could not be made; ``unreadable`` are findings that a rebuild
    cannot mend.
    """

    hours: int = 0
    days: int = 0
    files: int = 0
    quarantined: list[str] = field(default_factory=list)
    poll_again: list[Window] = field(default_factory=list)
    failed: list[ReturnsError] = field(default_factory=list)
    unreadable: list[Finding] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether no fault is left."""
        return not (self.poll_again or self.failed or self.unreadable)


class Rebuilder:
    """Rebuilds spans of the lake of ``pipeline``; ``on_finding`` shows each finding."""

    def __init__(
        self, pipeline: HourPipeline, on_finding: Callable[[Finding], None] | None = None
    ) -> None:
        self._pipeline = pipeline
        self._lake: Lake = pipeline.lake
        self._verifier = Verifier(pipeline.lake, pipeline.days.zone)
        self._on_finding = on_finding or (lambda _: None)
        self._rebuilt = Rebuilt()

    def rebuild(self, start: datetime, end: datetime) -> Rebuilt:
        """The hours of ``[start, end)`` and their days.

        Raises LakeError where the lake cannot be listed or written: then run the same again.
        """
        self._rebuilt = Rebuilt()
        self._lake.drop_cache()
        windows = self._windows(start, end)
        bad = self._mend(start, end)
        if not windows and not bad:
            return self._rebuilt
        here = sorted({*windows, *bad})
        names = look_at(self._lake, here)
        for window in here:
            if window in bad or names.hour(window).damaged:
                self._mend_hour(names, window)
        names = look_at(self._lake, here)
        for window in (Window(start).previous, *here, Window(end)):
            self._finish(names, window)
        touched = set(bad).union(*(self._near(names, window) for window in bad))
        made = [w for w in sorted({*windows, *touched}) if self._make_hour(names, w)]
        made += self._make_stale(names, made)
        made += self._unite(names, made)
        days = self._pipeline.days.concerned_by(names, made)
        for day in sorted({*days, *self._pipeline.days.left_behind(names, days)}):
            self._make_day(names, day)
        self._make_webhooks(start, end)
        self._guarded(self._pipeline.all_time.build)
        states = States(self._lake, names, self._pipeline.days.zone)
        self._rebuilt.poll_again = [
            w for w in here if names.hour(w).has_lost_a_poll and states.of(w).needs_poll
        ]
        return self._rebuilt

    def _mend_hour(self, names: Names, window: Window) -> None:
        self._rebuilt.quarantined += (
            self._guarded(lambda: mend_hour(self._lake, names, window)) or []
        )

    def _finish(self, names: Names, window: Window) -> None:
        """Note the polls of ``window`` that a killed run has left."""
        reader = self._pipeline.reader
        self._guarded(lambda: finish_unnoted(self._lake, names, reader, window))

    def _windows(self, start: datetime, end: datetime) -> list[Window]:
        """The hours of the span that have files or entries, oldest first."""
        found: set[Window] = set()
        for day in self._verifier.dates():
            if not start.date() <= day <= end.date():
                continue
            names = self._lake.names()
            names.load(day, day)
            found |= set(names.hours())
            for table in (tables.RAW_RETURNS, *tables.MADE_HOURLY, *tables.OF_WEBHOOKS):
                paths = self._lake.store.list(f"{table.name}/date={day.isoformat()}")
                found |= {window for path in paths if (window := Window.from_path(path))}
        return sorted(window for window in found if start <= window.start < end)

    # ---- findings

    def _mend(self, start: datetime, end: datetime) -> list[Window]:
        """Mend or quarantine the findings; returns the hours of the polls that are bad."""
        bad: set[Window] = set()
        for finding in [*self._verifier.between(start, end), *self._verifier.rest()]:
            self._on_finding(finding)
            if finding.remedy in {"look", "restore"}:
                self._rebuilt.unreadable.append(finding)
            elif finding.remedy == "finish" and finding.window is not None:
                self._lake.webhooks.finish(finding.path)
                self._note_erasures(finding.window)
            elif finding.remedy == "webhooks" and finding.window is not None:
                bad.add(finding.window)  # as a restored file would be found sound by then
            elif finding.window is not None and finding.is_of_a_poll:
                names = self._lake.names()
                self._rebuilt.quarantined += self._lake.polls.quarantine(
                    names, finding.window, finding.number
                )
                if finding.path.startswith(JOURNAL):  # of a reply that was noted and not kept
                    self._quarantine(finding)
                bad.add(finding.window)
            elif finding.remedy == "quarantine":
                self._quarantine(finding)
            elif finding.remedy == "entry":
                self._write_again(finding)
            elif finding.remedy == "make" and finding.kind in {"torn", "altered"}:
                read_again(self._lake, self._lake.names(), finding.path)
                self._quarantine(finding, stays=not finding.path.startswith(JOURNAL))
        return sorted(bad)

    def _note_erasures(self, window: Window) -> None:
        """Note the erasures in polls of ``window`` that a killed run has left without an entry."""
        names = self._lake.names()
        for poll in names.hour(window).polls:
            self._guarded(lambda poll=poll: self._lake.polls.keep_sound(names, poll, blanked))  # type: ignore[misc]

    def _quarantine(self, finding: Finding, *, stays: bool = False) -> None:
        """Move a file out of the way, or copy one that ``stays`` until another takes its place."""
        put = copy_to_quarantine if stays else move_to_quarantine
        place = put(self._lake.store, finding.path)
        self._rebuilt.quarantined += [place] if place else []

    def _write_again(self, finding: Finding) -> None:
        """An entry whose name holds all of it."""
        self._quarantine(finding)
        entry = entry_named(finding.path)
        if entry is not None:
            self._lake.entries.put(self._lake.names(), entry)

    def _near(self, names: Names, window: Window) -> set[Window]:
        """The hours whose tables follow from polls of ``window``, and its neighbours."""
        return {window.previous, window.next} | self._pipeline.builder.affected(names, window)

    # ---- hours and days

    def _make_hour(self, names: Names, window: Window) -> bool:
        """Make the tables of ``window``; whether its days may differ now."""
        if not names.hour(window).has_copies:
            return self._clear(names, window)
        built = self._guarded(lambda: self._pipeline.builder.build(names, window, check_files=True))
        if built is None:
            return False
        self._rebuilt.hours += 1
        self._rebuilt.files += len(built.changed)
        return True

    def _make_stale(self, names: Names, made: list[Window]) -> list[Window]:
        """Make the hours that records of those ``made`` turned out to live in."""
        found: set[Window] = set()
        tried: set[Window] = set()
        while stale := self._pipeline.builder.stale(names, {*made, *found}) - tried:
            found |= {window for window in sorted(stale) if self._make_hour(names, window)}
            tried |= stale - found
        return sorted(found.difference(made))

    def _unite(self, names: Names, made: list[Window]) -> list[Window]:
        """Build again the hours that hold one return; see `link_relocated`."""
        linked: set[Window] = set()
        while new := link_relocated(self._lake, names, {*made, *linked}, self._pipeline.builder):
            linked |= {window for window in sorted(new) if self._make_hour(names, window)}
            linked |= set(self._make_stale(names, [*made, *linked]))
        return sorted(linked.difference(made))

    def _clear(self, names: Names, period: Window | Day) -> bool:
        """Quarantine the tables of a period that has no poll left; returns whether it had any."""
        if isinstance(period, Window):
            if names.unnoted(period):  # damaged, and reported
                return False
            made: tuple[tables.Table, ...] = tables.MADE_HOURLY
        else:
            made = tables.MADE_DAILY
        self._lake.invalidate(names, period)
        paths = (self._lake.path(table, period) for table in made)
        moved = [place for path in paths if (place := move_to_quarantine(self._lake.store, path))]
        self._rebuilt.quarantined += moved
        return bool(moved)

    def _make_day(self, names: Names, day: Day) -> None:
        try:
            built = self._guarded(
                lambda: self._pipeline.days.build(
                    names, day, self._pipeline.clock(), check_files=True
                )
            )
        except NeverPolled:
            self._clear(names, day)
            return
        if built is not None:
            self._rebuilt.days += 1
            self._rebuilt.files += len(built.changed)

    def _make_webhooks(self, start: datetime, end: datetime) -> None:
        if self._pipeline.webhooks is None:
            return
        days = range(start.toordinal(), end.toordinal() + 1)
        dates = {date.fromordinal(day) for day in days}.intersection(self._verifier.dates())
        names = self._lake.names()
        names.load(start.date(), end.date())
        # Also where the webhooks of these hours came, which may be later.
        dates |= {one.came.start.date() for w in names.hours() for one in names.hour(w).placed}
        done = self._pipeline.webhooks.run(dates)
        self._rebuilt.failed += done.failed.values()
        self._rebuilt.files += sum(
            len(made.files) for built in (done.received, done.matched) for made in built.values()
        )

    def _guarded(self, make: Callable[[], R]) -> R | None:
        """The result of ``make``; None where files or claims made it fail, which is noted."""
        try:
            return make()
        except (LakeDamaged, HourBlocked) as error:
            self._rebuilt.failed.append(error)
            return None
