"""Many hours: polled concurrently, each kept as it lands, each settled once its neighbours are in.

Memory stays flat: no more replies are held than there are requests in flight, and an hour is
settled and forgotten while later ones are still being asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from returns_orchestration.errors import (
    ApiError,
    HourBlocked,
    LakeDamaged,
    NeverPolled,
    ReturnsError,
)
from returns_orchestration.flow.polling import poll_all
from returns_orchestration.flow.settle import Settled, Settler
from returns_orchestration.stages.landing import Landed, land

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from returns_orchestration.clickpost import Poll
    from returns_orchestration.flow.polling import OpenClient
    from returns_orchestration.lake import Lake
    from returns_orchestration.stages.typing import RecordReader
    from returns_orchestration.window import Window


@dataclass(frozen=True, slots=True)
class Polled:
    """A window was read and its reply kept, or found to be known already."""

    window: Window
    landed: Landed
    requests: int
    pages: int
    bytes: int
    seconds: float
    null_result: bool
    damaged_text: int


@dataclass(frozen=True, slots=True)
class Made:
    """The tables of an hour stand; ``asked`` is False where a neighbour's poll made it due."""

    window: Window
    settled: Settled
    asked: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """An hour was not read or not made; what stood there before still does."""

    window: Window
    error: ReturnsError


@dataclass(frozen=True, slots=True)
class Stopped:
    """The run ends here, for a cause that concerns every window alike; always the last outcome."""

    error: ReturnsError


Outcome = Polled | Made | Failed | Stopped


class River:
    """Runs hours from the API into the lake. Opens nothing until ``run`` is iterated."""

    def __init__(
        self,
        lake: Lake,
        reader: RecordReader,
        open_client: OpenClient,
        max_concurrency: int,
        on_outcome: Callable[[Outcome], None] | None = None,
    ) -> None:
        """``on_outcome`` is told each outcome before it is yielded, to show progress."""
        self.lake = lake
        self._reader = reader
        self._open_client = open_client
        self._max_concurrency = max_concurrency
        self._on_outcome = on_outcome or (lambda _: None)
        self._settler = Settler(lake, reader)

    def is_complete(self, window: Window) -> bool:
        """Whether ``window`` was polled and its tables are made of all its polls."""
        return self._settler.is_settled(window)

    def run(
        self,
        windows: Sequence[Window],
        *,
        poll: bool = True,
        make: bool = True,
        missing_only: bool = False,
    ) -> Iterator[Outcome]:
        """Poll ``windows`` and make their tables, and those of hours which that changes.

        With ``missing_only`` a window that has a poll in the lake is not asked for again. An error
        of one hour ends in a Failed, and the others go on. What concerns every window alike ends
        the run with a Stopped: absent or refused credentials, nobody answering, an unwritable lake;
        what had landed by then is made all the same where that is possible.
        """
        outcomes = self._outcomes(windows, poll=poll, make=make, missing_only=missing_only)
        while True:
            try:
                outcome: Outcome | None = next(outcomes, None)
            except ReturnsError as error:
                outcome = Stopped(error)
            if outcome is None:
                return
            self._on_outcome(outcome)
            yield outcome
            if isinstance(outcome, Stopped):
                return

    def _outcomes(
        self, windows: Sequence[Window], *, poll: bool, make: bool, missing_only: bool
    ) -> Iterator[Outcome]:
        due = self._due(windows, poll=poll, missing_only=missing_only)
        pending = set(due)
        waiting: dict[Window, Landed | None] = {
            window: None
            for window in windows
            if make
            and window not in pending
            and not (missing_only and self._settler.is_settled(window))
        }
        stopped_by: ApiError | None = None
        try:
            for window, result in poll_all(due, self._open_client, self._max_concurrency):
                pending.discard(window)
                if isinstance(result, ApiError):
                    outcome: Outcome = Failed(window, result)
                else:
                    outcome = self._land(result)
                yield outcome
                if make and isinstance(outcome, Polled):
                    waiting[window] = outcome.landed
                del result, outcome
                for hour in _without(pending, waiting):
                    yield from self._settle(hour, waiting, pending)
        except ApiError as error:
            stopped_by = error
        for hour in sorted(waiting):
            yield from self._settle(hour, waiting, set())
        if stopped_by is not None:
            raise stopped_by

    def _due(self, windows: Sequence[Window], *, poll: bool, missing_only: bool) -> list[Window]:
        if not poll:
            return []
        return [w for w in windows if not (missing_only and self.lake.entry(w).polls)]

    def _land(self, poll: Poll) -> Polled | Failed:
        try:
            landed = land(self.lake, self._reader, poll.window, poll.polled_at, poll.records)
        except LakeDamaged as error:
            return Failed(poll.window, error)
        return Polled(
            poll.window,
            landed,
            poll.requests,
            poll.pages,
            poll.bytes,
            poll.seconds,
            poll.null_result,
            poll.damaged_text,
        )

    def _settle(
        self, window: Window, waiting: dict[Window, Landed | None], pending: set[Window]
    ) -> Iterator[Made | Failed]:
        """Settle ``window``, which waits, after the other hours that its polls change.

        In this order the tables of an hour stand only when all that follows from its polls does, so
        a run that is killed in between leaves an hour that is known to be unfinished.
        """
        landed = waiting.pop(window)
        others = self._settler.affected(window) - waiting.keys() - pending
        for hour in (*sorted(others), window):
            try:
                settled = self._settler.settle(hour, landed if hour == window else None)
            except (LakeDamaged, HourBlocked) as error:
                yield Failed(hour, error)
                continue
            if settled is None:
                yield Failed(hour, NeverPolled(hour.key))
            else:
                yield Made(hour, settled, asked=hour == window)


def _without(pending: set[Window], waiting: Iterable[Window]) -> list[Window]:
    """The hours of ``waiting`` with no neighbour still to be polled, oldest first."""
    return sorted(w for w in waiting if not pending & {w.previous, w, w.next})
