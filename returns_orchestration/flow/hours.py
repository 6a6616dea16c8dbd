"""Many hours: polled concurrently, each kept as it lands, each built once its neighbours are in.

Memory stays flat: no more replies are held than there are requests in flight, and an hour is
built and forgotten while later ones are still being asked for.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from returns_orchestration.errors import (
    ApiError,
    HourBlocked,
    Interrupted,
    LakeDamaged,
    LakeError,
    NeverPolled,
    ReturnsError,
)
from returns_orchestration.flow.all_time import AllTimeBuilder
from returns_orchestration.flow.build import HourBuilder
from returns_orchestration.flow.mend import mend_hour
from returns_orchestration.flow.outcomes import Failed, Made, MadeDay, Polled, Stopped
from returns_orchestration.flow.polling import poll_all
from returns_orchestration.flow.relocated import link_relocated
from returns_orchestration.lake.poll_log import Answer
from returns_orchestration.settings.wording import SINGLE
from returns_orchestration.stages.erasure import Blanking, blanked
from returns_orchestration.stages.landing import Landed, finish_unnoted, land
from returns_orchestration.state.days import sources_of_day
from returns_orchestration.state.hours import LOST, States, is_made
from returns_orchestration.state.open_returns import StuckAfter
from returns_orchestration.state.status import look_at

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from returns_orchestration.clickpost import Poll, SharedState
    from returns_orchestration.flow.days import DayBuilder
    from returns_orchestration.flow.outcomes import Outcome
    from returns_orchestration.flow.polling import OpenClient
    from returns_orchestration.flow.webhooks.pipeline import WebhookPipeline
    from returns_orchestration.lake import Lake, Names
    from returns_orchestration.lake.forgotten import Receipt
    from returns_orchestration.lake.poll_log import PollLog
    from returns_orchestration.settings.wording import Wording
    from returns_orchestration.stages.typing import RecordReader
    from returns_orchestration.window import Day, Window


NOTED_AT_ONCE: Final = 200
"""Lines that wait to be noted: a killed run loses no more, and asks for those hours once more."""


class HourPipeline:
    """Runs hours from the API into the lake. Opens nothing until ``run`` is iterated."""

    def __init__(  # noqa: PLR0913 - the parts of a pipeline, and a seam
        self,
        lake: Lake,
        reader: RecordReader,
        open_client: OpenClient,
        max_concurrency: int,
        *,
        days: DayBuilder,
        clock: Callable[[], datetime],
        acknowledged: Collection[str] = (),
        keep_raw: timedelta | None = None,
        ages: Sequence[int] = (),
        stuck_after: StuckAfter | None = None,
        on_outcome: Callable[[Outcome], None] | None = None,
        interruption: threading.Event | None = None,
        wording: Wording = SINGLE,
    ) -> None:
        """``on_outcome`` is called with each outcome before it is yielded, to show progress.

        Once ``interruption`` is set, no more is polled, and the run ends with a Stopped.
        ``acknowledged`` are new names that the settings acknowledge; ``keep_raw`` is how long
        personal data stays in raw records; ``ages`` and ``stuck_after`` are those of tables of all
        time. Messages about this lake are in the words of ``wording``. ``webhooks``, which is set
        later, makes the tables of webhooks, and by this pipeline the returns that only they
        brought.
        """
        self.webhooks: WebhookPipeline | None = None
        self.acknowledged = frozenset(acknowledged)
        self.wording = wording
        self._keep_raw = keep_raw
        self.lake = lake
        self.reader = reader
        self._open_client = open_client
        self._max_concurrency = max_concurrency
        self._on_outcome = on_outcome or (lambda _: None)
        self.interruption = interruption or threading.Event()
        self.builder = HourBuilder(lake, reader)
        self.days = days
        self.all_time = AllTimeBuilder(lake, days.zone, ages, stuck_after or StuckAfter(), clock)
        self.clock = clock

    def states(
        self, windows: Sequence[Window], known: Mapping[Window, str] | None = None
    ) -> States:
        """The rule for the states of ``windows``, after one look at the lake; see States."""
        return States(self.lake, look_at(self.lake, windows), self.days.zone, known)

    @contextmanager
    def in_its_words(self) -> Iterator[None]:
        """Raise errors in the words of this account: what a run raises, Dagster shows."""
        try:
            yield
        except ReturnsError as error:
            error.reword(self.wording)
            raise

    def poll_all(
        self,
        windows: Sequence[Window],
        rate_limit_in: SharedState | None = None,
        is_interrupted: Callable[[], bool] | None = None,
    ) -> Iterator[tuple[Window, Poll | ApiError]]:
        """Poll ``windows`` concurrently; see `polling.poll_all`."""
        return poll_all(
            windows,
            self._open_client,
            self._max_concurrency,
            is_interrupted or self.interruption.is_set,
            rate_limit_in,
        )

    def blanking(self, receipts: Sequence[Receipt] | None = None) -> Blanking:
        """Which records are to be blanked, by the lake's receipts or those given.

        Raises LakeDamaged where a receipt cannot be read: then nothing may land.
        """
        old = None if self._keep_raw is None else self.clock() - self._keep_raw
        return Blanking(self.lake.receipts.all() if receipts is None else receipts, old)

    def land(self, names: Names, poll: Poll, blanking: Blanking | None = None) -> Landed:
        """Keep what ``poll`` brought, blanked where it has to be; see `landing.land`."""
        blanking = blanking or self.blanking()
        records = blanking.of(poll.window, poll.records, self.reader)
        if any(kept.is_blank for kept in names.hour(poll.window).polls):
            records = [blanked(record) for record in records]  # as RETURNS_RAW_DAYS was set before
        if blanking.found:  # first, so that what is blanked here is blanked in other polls, too
            self.lake.receipts.add(self.lake.receipts.of(blanking.take_found(), self.clock()))
        return land(self.lake, names, self.reader, poll.window, poll.polled_at, tuple(records))

    def run(  # noqa: PLR0913 - the options of a run
        self,
        windows: Sequence[Window],
        *,
        poll: bool = True,
        make: bool = True,
        missing_only: bool = False,
        polled_since: datetime | None = None,
        remake: Collection[Window] = (),
        known: Mapping[Window, str] | None = None,
        check_files: bool = False,
        rate_limit_in: SharedState | None = None,
        interruption: threading.Event | None = None,
    ) -> Iterator[Outcome]:
        """Poll ``windows`` and make their tables, and those of other hours that change by it.

        With ``missing_only`` a window that is not missing is not asked for again, and an hour that
        is complete is passed over unless it is in ``remake``; with ``polled_since`` one that was
        polled since then, before a killed run was started again, is not asked for again. ``known``
        is for States; with ``check_files`` an existing file is read before it is left unchanged.
        Requests share one rate limit with all others by ``rate_limit_in``; None: they have their
        own. ``interruption`` is that of this run alone, beside that of all runs.
        An error of one hour ends in a Failed, and the others go on. An error that concerns every
        window alike ends the run with a Stopped (credentials, no connection, an unwritable lake);
        hours that had landed by then are made where that is possible.
        """
        outcomes = _Run(
            self,
            windows,
            poll=poll,
            make=make,
            missing_only=missing_only,
            polled_since=polled_since,
            remake=set(remake) if missing_only else set(windows),
            known=known,
            check_files=check_files,
            rate_limit_in=rate_limit_in,
            interruption=interruption,
        ).outcomes()
        noted = _Noted(self.lake.poll_log, self.clock)
        while True:
            try:
                outcome: Outcome | None = next(outcomes, None)
                noted.add(outcome)
            except ReturnsError as error:
                outcome = Stopped(error)
                with suppress(LakeError):  # the lake may have stopped the run
                    noted.add(outcome)
            if outcome is None:
                return
            self._on_outcome(outcome)
            is_last = isinstance(outcome, Stopped)
            yield outcome
            if is_last:
                return
            del outcome  # its tables, before the next ones are made


class _Noted:
    """The requests of a run that leave no kept poll: collected, and put into the lake."""

    def __init__(self, log: PollLog, clock: Callable[[], datetime]) -> None:
        self._log = log
        self._clock = clock
        self._answers: list[Answer] = []

    def add(self, outcome: Outcome | None) -> None:
        """Take note of an outcome; None and a Stopped end the run. Raises LakeUnwritable."""
        now = self._clock()
        if isinstance(outcome, Polled) and not outcome.landed.kept:
            at = min(outcome.poll.polled_at, now)
            self._answers.append(Answer(hour=outcome.window.key, at=at))
        elif isinstance(outcome, Failed):
            error = str(outcome.error)
            self._answers.append(Answer(hour=outcome.window.key, at=now, error=error))
        elif isinstance(outcome, Stopped) and (hour := getattr(outcome.error, "window", "")):
            self._answers.append(Answer(hour=hour, at=now, error=str(outcome.error)))
        ends = outcome is None or isinstance(outcome, Stopped)
        if self._answers and (ends or len(self._answers) >= NOTED_AT_ONCE):
            answers, self._answers = self._answers, []
            self._log.add(answers)


class _Run:
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
        """Quarantine the damaged files of the windows, so that these are polled or made again."""
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

        In this order an hour has its tables only when all other hours have theirs that follow from
        its polls, so a run that is killed in between leaves an hour that is known to be unfinished.
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
