"""Many hours: polled concurrently, each kept as it lands, each settled once its neighbours are in.

Memory stays flat: no more replies are held than there are requests in flight, and an hour is
settled and forgotten while later ones are still being asked for.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from returns_orchestration.errors import (
    ApiError,
    HourBlocked,
    LakeDamaged,
    LakeError,
    NeverPolled,
    ReturnsError,
    ZoneChanged,
)
from returns_orchestration.flow.moved import link_moved
from returns_orchestration.flow.polling import poll_all
from returns_orchestration.flow.settle import Settled, Settler
from returns_orchestration.lake.poll_log import Answer
from returns_orchestration.stages.landing import Landed, finish_unrecorded, land

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from returns_orchestration.clickpost import Poll
    from returns_orchestration.flow.days import DaySettler, SettledDay
    from returns_orchestration.flow.polling import OpenClient
    from returns_orchestration.lake import Lake
    from returns_orchestration.lake.poll_log import PollLog
    from returns_orchestration.stages.typing import RecordReader
    from returns_orchestration.window import Window


@dataclass(frozen=True, slots=True)
class Polled:
    """A window was read and its reply kept, or found to be known already.

    ``poll`` tells what it took; its records are in the lake and no longer in it.
    """

    window: Window
    landed: Landed
    poll: Poll


@dataclass(frozen=True, slots=True)
class Made:
    """The tables of an hour stand; ``asked`` is False where a neighbour's poll made it due."""

    window: Window
    settled: Settled
    asked: bool


@dataclass(frozen=True, slots=True)
class MadeDay:
    """The tables of a day follow its hours."""

    settled: SettledDay


@dataclass(frozen=True, slots=True)
class Failed:
    """An hour was not read or not made; what stood there before still does."""

    window: Window
    error: ReturnsError


@dataclass(frozen=True, slots=True)
class Stopped:
    """The run ends here, for a cause that concerns every window alike; always the last outcome."""

    error: ReturnsError


NOTED_AT_ONCE: Final = 200
"""Lines that wait to be noted: a killed run loses no more, and asks for those hours once more."""

Outcome = Polled | Made | MadeDay | Failed | Stopped


class River:
    """Runs hours from the API into the lake. Opens nothing until ``run`` is iterated."""

    def __init__(  # noqa: PLR0913 - the parts of a river, and a seam
        self,
        lake: Lake,
        reader: RecordReader,
        open_client: OpenClient,
        max_concurrency: int,
        *,
        days: DaySettler,
        clock: Callable[[], datetime],
        on_outcome: Callable[[Outcome], None] | None = None,
    ) -> None:
        """``on_outcome`` is told each outcome before it is yielded, to show progress."""
        self.lake = lake
        self.reader = reader
        self._open_client = open_client
        self._max_concurrency = max_concurrency
        self._on_outcome = on_outcome or (lambda _: None)
        self.settler = Settler(lake, reader)
        self.days = days
        self.clock = clock

    def is_complete(self, window: Window) -> bool:
        """Whether ``window`` was polled, its tables made of its polls, and its days of those.

        Not where a poll was found bad and set aside and none was kept since, nor where a run that
        was killed left one without its record.
        """
        if self.lake.entry(window).has_lost_a_poll or self.lake.unrecorded_polls(window):
            return False
        return self.settler.is_settled(window) and self.days.follow(window)

    def is_waived(self, window: Window) -> bool:
        """Whether ``window`` was never polled and need not be."""
        entry = self.lake.entry(window)
        return entry.waived and not entry.polls

    def poll_all(self, windows: Sequence[Window]) -> Iterator[tuple[Window, Poll | ApiError]]:
        """Poll ``windows`` concurrently; see `polling.poll_all`."""
        return poll_all(windows, self._open_client, self._max_concurrency)

    def land(self, poll: Poll) -> Landed:
        """Keep what ``poll`` brought; see `landing.land`."""
        return land(self.lake, self.reader, poll.window, poll.polled_at, poll.records)

    def run(  # noqa: PLR0913 - what a run may be told
        self,
        windows: Sequence[Window],
        *,
        poll: bool = True,
        make: bool = True,
        missing_only: bool = False,
        polled_since: datetime | None = None,
        remake: Collection[Window] = (),
    ) -> Iterator[Outcome]:
        """Poll ``windows`` and make their tables, and those of hours which that changes.

        With ``missing_only`` a window that has a poll in the lake is not asked for again, and an
        hour that is complete is passed over unless it is in ``remake``; with ``polled_since`` one
        that was polled since then, before a killed run was started again, is not asked for again.
        An error of one hour ends in a Failed, and the others go on. What concerns every window
        alike ends the run with a Stopped (credentials, nobody answers, an unwritable lake); what
        had landed by then is made where that is possible.
        """
        known_since = datetime.min.replace(tzinfo=UTC) if missing_only else polled_since
        outcomes = _Run(
            self,
            windows,
            poll=poll,
            make=make,
            remake=set(remake) if missing_only else set(windows),
            known_since=known_since,
        ).outcomes()
        noted = _Noted(self.lake.poll_log, self.clock)
        while True:
            try:
                outcome: Outcome | None = next(outcomes, None)
                noted.add(outcome)
            except ReturnsError as error:
                outcome = Stopped(error)
                with suppress(LakeError):  # which may be what stopped the run
                    noted.add(outcome)
            if outcome is None:
                return
            self._on_outcome(outcome)
            yield outcome
            if isinstance(outcome, Stopped):
                return


class _Noted:
    """What a run asks for and leaves no poll of: collected, and put into the lake."""

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

    def __init__(  # noqa: PLR0913 - what River.run was told
        self,
        river: River,
        windows: Sequence[Window],
        *,
        poll: bool,
        make: bool,
        remake: Collection[Window],
        known_since: datetime | None,
    ) -> None:
        self._river = river
        self._windows = windows
        self._poll = poll
        self._make = make
        self._remake = remake
        self._known_since = known_since
        self._pending: set[Window] = set()
        self._waiting: dict[Window, Landed | None] = {}
        self._made: set[Window] = set()
        self._changed: set[Window] = set()

    def outcomes(self) -> Iterator[Outcome]:
        """What becomes of each window, as it happens; see River.run."""
        due = [window for window in self._windows if self._is_due(window)]
        self._pending = set(due)
        if self._make:
            self._waiting = {w: None for w in self._windows if self._waits(w)}
        stopped_by: ApiError | None = None
        try:
            for window, result in self._river.poll_all(due):
                self._pending.discard(window)
                yield self._landed(window, result)
                del result
                for hour in self._ready():
                    yield from self._settle(hour)
        except ApiError as error:
            stopped_by = error
        for hour in sorted(self._waiting):
            yield from self._settle(hour)
        yield from self._unite()
        yield from self._settle_days()
        if stopped_by is not None:
            raise stopped_by

    def _is_due(self, window: Window) -> bool:
        if not self._poll or self._known_since is None:
            return self._poll
        lake = self._river.lake
        entry = lake.entry(window)
        if not entry.polls or entry.has_lost_a_poll:
            return True
        return max(poll.polled_at for poll in lake.polls(window, entry)) < self._known_since

    def _waits(self, window: Window) -> bool:
        if window in self._pending:
            return False
        return window in self._remake or not self._river.is_complete(window)

    def _landed(self, window: Window, result: Poll | ApiError) -> Polled | Failed:
        if isinstance(result, ApiError):
            return Failed(window, result)
        try:
            landed = self._river.land(result)
        except (LakeDamaged, ZoneChanged) as error:
            return Failed(window, error)
        if self._make:
            self._waiting[window] = landed
        return Polled(window, landed, replace(result, records=()))

    def _ready(self) -> list[Window]:
        """The waiting hours with no neighbour still to be polled, oldest first."""
        return sorted(w for w in self._waiting if not self._pending & {w.previous, w, w.next})

    def _settle(self, window: Window) -> Iterator[Made | Failed]:
        """Settle ``window``, which waits, after the other hours that its polls change.

        In this order the tables of an hour stand only when all that follows from its polls does, so
        a run that is killed in between leaves an hour that is known to be unfinished.
        """
        landed = self._waiting.pop(window)
        try:
            finish_unrecorded(self._river.lake, self._river.reader, window)
            others = self._river.settler.affected(window) - self._waiting.keys() - self._pending
        except LakeDamaged as error:
            yield Failed(window, error)
            return
        for hour in (*sorted(others), window):
            yield self._settle_one(hour, landed if hour == window else None, asked=hour == window)

    def _settle_one(self, hour: Window, landed: Landed | None, *, asked: bool) -> Made | Failed:
        try:
            settled = self._river.settler.settle(hour, landed)
        except (LakeDamaged, HourBlocked, ZoneChanged) as error:
            return Failed(hour, error)
        if settled is None:
            return Failed(hour, NeverPolled(hour.key))
        self._made.add(hour)
        if settled.changed:
            self._changed.add(hour)
        return Made(hour, settled, asked=asked)

    def _unite(self) -> Iterator[Made | Failed]:
        """Settle anew the hours that hold one return, which was requested in another hour before.

        Looked at are all hours of the days to be made: another run may have been killed there.
        """
        days = self._river.days
        late = {window for window in self._made if not days.follow(window)} | self._changed
        touched = days.concerned_by(late)
        hours = late.union(*(day.windows for day in touched))
        while hours:
            linked = link_moved(self._river.lake, hours, self._river.settler)
            for hour in sorted(linked):
                yield self._settle_one(hour, None, asked=False)
            hours = linked

    def _settle_days(self) -> Iterator[MadeDay | Failed]:
        """The days whose hours this run made and that do not follow them yet."""
        days = self._river.days
        late = [window for window in sorted(self._made) if not days.follow(window)]
        touched = days.concerned_by(late)
        for day in sorted(touched):
            try:
                yield MadeDay(days.settle(day, self._river.clock()))
            except (LakeDamaged, HourBlocked) as error:
                yield Failed(touched[day], error)
        for day in days.left_behind(touched):
            days.withdraw(day)
