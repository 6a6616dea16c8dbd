"""Many hours: polled concurrently, each kept as it lands, each built once its neighbours are in.

Memory stays flat: no more replies are held than there are requests in flight, and an hour is
built and forgotten while later ones are still being asked for.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from returns_orchestration.errors import ApiError, LakeError, ReturnsError
from returns_orchestration.flow.all_time import AllTimeBuilder
from returns_orchestration.flow.build import HourBuilder
from returns_orchestration.flow.outcomes import Failed, Polled, Stopped
from returns_orchestration.flow.polling import poll_all
from returns_orchestration.flow.run import Run
from returns_orchestration.lake.poll_log import Answer
from returns_orchestration.settings.wording import SINGLE
from returns_orchestration.stages.erasure import Blanking, blanked
from returns_orchestration.stages.landing import Landed, land
from returns_orchestration.state.hours import States
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
    from returns_orchestration.window import Window


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
        outcomes = Run(
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
