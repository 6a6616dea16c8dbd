"""One run over many hours: which are still to be polled, which wait to be made, which were made.

What lives here: the order of the steps of a run, and what becomes of each hour. What does not: the
parts that do them, and the errors that end a run (``hours.py``, the only caller).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from returns_orchestration.errors import (
    ApiError,
    HourBlocked,
    Interrupted,
    LakeDamaged,
    NeverPolled,
    ReturnsError,
)
from returns_orchestration.flow.mend import mend_hour
from returns_orchestration.flow.outcomes import Failed, Made, MadeDay, Polled
from returns_orchestration.flow.relocated import link_relocated
from returns_orchestration.stages.landing import Landed, finish_unnoted
from returns_orchestration.state.days import sources_of_day
from returns_orchestration.state.hours import LOST, States, is_made
from returns_orchestration.state.status import look_at

if TYPE_CHECKING:
    import threading
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from returns_orchestration.clickpost import Poll, SharedState
    from returns_orchestration.flow.hours import HourPipeline
    from returns_orchestration.flow.outcomes import Outcome
    from returns_orchestration.stages.erasure import Blanking
    from returns_orchestration.window import Day, Window


class Run:
    """One run: which windows are still to be polled, which wait to be made, which were made."""

    def __init__(  # noqa: PLR0913 - the options of HourPipeline.run
        self,
        pipeline: HourPipeline,
        windows: Sequence[Window],
        *,
        poll: bool,
        make: bool,
        missing_only: bool,
        polled_since: datetime | None,
        remake: Collection[Window],
        known: Mapping[Window, str] | None,
        check_files: bool,
        rate_limit_in: SharedState | None,
        interruption: threading.Event | None,
    ) -> None:
        self._pipeline = pipeline
        self._windows = windows
        self._poll = poll
        self._make = make
        self._missing_only = missing_only
        self._polled_since = polled_since
        self._remake = remake
        self._known = known
        self._check_files = check_files
        self._rate_limit_in = rate_limit_in
        self._interruptions = [e for e in (pipeline.interruption, interruption) if e is not None]
        self._blanking: Blanking | None = None
        self._pending: set[Window] = set()
        self._waiting: dict[Window, Landed | None] = {}
        self._mended: set[Window] = set()
        self._made: set[Window] = set()
        self._changed: set[Window] = set()

    def outcomes(self) -> Iterator[Outcome]:
        """The outcomes of the windows, as they happen; see HourPipeline.run."""
        if not self._windows:
            return
        self._names = look_at(self._pipeline.lake, self._windows)
        yield from self._mend()
        due, waiting = self._sort_out()
        self._pending = set(due)
        self._waiting = {window: None for window in waiting if self._make}
        stopped_by: ReturnsError | None = None
        try:
            for window, result in self._pipeline.poll_all(
                due, self._rate_limit_in, self._is_interrupted
            ):
                self._pending.discard(window)
                yield self._landed(window, result)
                del result
                for hour in self._ready():
                    yield from self._build(hour)
        except (ApiError, Interrupted) as error:
            stopped_by = error
            for window in self._pending:
                self._make_of_what_is_there(window)
        for hour in sorted(self._waiting):
            if self._waiting[hour] is None and self._is_interrupted():
                stopped_by = stopped_by or Interrupted("Interrupted.")
                continue  # only hours that have just landed are still made
            yield from self._build(hour)
        yield from self._build_stale()
        yield from self._unite()
        yield from self._build_days()
        if stopped_by is not None:
            raise stopped_by

    def _is_interrupted(self) -> bool:
        return any(event.is_set() for event in self._interruptions)

    def _states(self) -> States:
        return States(self._pipeline.lake, self._names, self._pipeline.days.zone, self._known)

    def _mend(self) -> Iterator[Failed]:
        """Quarantine the damaged files of the windows; the run then polls or makes these again."""
        states = self._states()
        failed: set[Window] = set()
        for window in sorted(self._windows):
            verdict = states.of(window)
            # One that only waits to be polled again was mended before.
            is_mended = verdict.why == LOST and not self._names.hour(window).damaged
            if verdict.state != "damaged" or is_mended:
                continue
            try:
                mend_hour(self._pipeline.lake, self._names, window)
            except LakeDamaged as error:
                failed.add(window)
                yield Failed(window, error)
            else:
                self._mended.add(window)
        self._windows = [window for window in self._windows if window not in failed]
        if self._mended:
            self._names = look_at(self._pipeline.lake, self._windows)

    def _sort_out(self) -> tuple[list[Window], list[Window]]:
        """The windows to be polled, and those of the others that are to be made."""
        states = self._states()
        due, waiting = [], []
        for window in self._windows:
            verdict = states.of(window)
            if self._is_due(window, needs_poll=verdict.needs_poll):
                due.append(window)
            elif window in self._remake or window in self._mended or verdict.needs_making:
                waiting.append(window)
                if verdict.state == "outdated":  # sizes do not show whether its files are whole
                    self._mended.add(window)
        return due, waiting

    def _is_due(self, window: Window, *, needs_poll: bool) -> bool:
        if not self._poll:
            return False
        if self._missing_only or needs_poll:
            return needs_poll
        polls = self._names.hour(window).polls
        newest = max((poll.polled_at for poll in polls), default=None)
        return self._polled_since is None or newest is None or newest < self._polled_since

    def _landed(self, window: Window, result: Poll | ApiError) -> Polled | Failed:
        if isinstance(result, ApiError):
            self._make_of_what_is_there(window)
            return Failed(window, result)
        try:
            self._blanking = self._blanking or self._pipeline.blanking()
            landed = self._pipeline.land(self._names, result, self._blanking)
        except LakeDamaged as error:
            return Failed(window, error)
        if self._make:
            self._waiting[window] = landed
        kept = self._names.hour(window).polls
        return Polled(window, landed, replace(result, records=()), kept)

    def _make_of_what_is_there(self, window: Window) -> None:
        """Let an hour that is not polled now, and is unfinished, be made of the polls it has."""
        if self._make and self._names.hour(window).has_copies and not is_made(window, self._names):
            self._waiting[window] = None

    def _ready(self) -> list[Window]:
        """The waiting hours with no neighbour still to be polled, oldest first."""
        return sorted(w for w in self._waiting if not self._pending & {w.previous, w, w.next})

    def _build(self, window: Window) -> Iterator[Made | Failed]:
        """Build ``window``, which waits, after the other hours that its polls change.

        The hour itself comes last. So a run that is killed in between leaves an hour without
        tables, which is known to be unfinished.
        """
        landed = self._waiting.pop(window)
        names = self._names
        try:
            finish_unnoted(self._pipeline.lake, names, self._pipeline.reader, window)
            affected = self._pipeline.builder.affected(names, window)
        except LakeDamaged as error:
            yield Failed(window, error)
            return
        others = affected - self._waiting.keys() - self._pending
        for hour in (*sorted(w for w in others if not is_made(w, names)), window):
            yield self._build_one(hour, landed if hour == window else None, asked=hour == window)

    def _build_one(self, hour: Window, landed: Landed | None, *, asked: bool) -> Made | Failed:
        check_files = self._check_files or hour in self._mended
        try:
            built = self._pipeline.builder.build(self._names, hour, landed, check_files=check_files)
        except (LakeDamaged, HourBlocked) as error:
            return Failed(hour, error)
        if built is None:
            return Failed(hour, NeverPolled(hour.key))
        self._made.add(hour)
        if built.changed:
            self._changed.add(hour)
        return Made(hour, built, asked=asked)

    def _build_stale(self) -> Iterator[Made | Failed]:
        """Build the hours that records of this run's hours turned out to live in."""
        failed: set[Window] = set()
        while stale := self._pipeline.builder.stale(self._names, self._made) - failed:
            for hour in sorted(stale):
                outcome = self._build_one(hour, None, asked=False)
                if isinstance(outcome, Failed):
                    failed.add(hour)
                yield outcome

    def _unite(self) -> Iterator[Made | Failed]:
        """Build again the hours that hold one return, which was requested in another hour before.

        It looks at all hours of the days to be made: another run may have been killed there.
        """
        pipeline = self._pipeline
        hours = self._changed.union(*(day.windows for day in self._due_days()))
        while hours:
            linked = link_relocated(pipeline.lake, self._names, hours, pipeline.builder)
            before = set(self._changed)
            for hour in sorted(linked):
                yield self._build_one(hour, None, asked=False)
            yield from self._build_stale()
            hours = linked | (self._changed - before)

    def _due_days(self) -> dict[Day, Window]:
        """The days that do not follow the hours made yet, each with the first of these."""
        found, states = self._pipeline.days.concerned_by(self._names, self._made), self._states()
        return {day: window for day, window in found.items() if states.is_due(day)}

    def _build_days(self) -> Iterator[MadeDay | Failed]:
        """The days whose hours this run made and that do not follow them yet."""
        days, names = self._pipeline.days, self._names
        due = self._due_days()
        for day in sorted(due):
            if not sources_of_day(day, names):  # all that webhooks had brought of it moved away
                days.withdraw(names, day)
                continue
            try:
                yield MadeDay(days.build(names, day, self._pipeline.clock(), check_files=True))
            except (LakeDamaged, HourBlocked) as error:
                yield Failed(due[day], error)
        for day in days.left_behind(names, days.concerned_by(names, self._made)):
            days.withdraw(names, day)
