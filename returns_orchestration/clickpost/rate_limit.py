"""One rate limit for all requests of a deployment: slower after a 429, then faster again.

Every request takes a turn here, repeats and further pages included. Turns are evenly spaced and
never closer than the configured ceiling allows. A 429 widens the space for all requests at once,
and every further run of good replies reduces it by a fifth again, so an API with an unpublished
limit is asked about as fast as it allows, without a setting.

A 429 that asks for a longer wait than a run waits silences the whole deployment: until then, no run
and no command sends anything.

The rules are in `RateLimit`. Its state, which holds no secret, is where all that share the limit
reach it: in the memory of a process, in a file of a machine, or in the database of a deployment
(``defs/rate_limits.py``). A turn is taken when its request is sent and not before, so a process
that is killed or stopped while it waits holds up no other one.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeVar

import msgspec

from returns_orchestration.errors import LakeUnwritable

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows: each process keeps a limit of its own there
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")

SLOWEST: Final = 2.0
"""Seconds between two requests beyond which no 429 slows down further; Retry-After still does."""

SLOWER: Final = 1.5
FASTER: Final = 0.8
FASTER_AFTER: Final = 10
"""Good replies in a row after which the space between turns shrinks. Against a fixed limit, about
one request in twenty then gets a 429."""

STALE: Final = 120.0
"""Seconds: a next turn further ahead than this and a space is by a clock before a restart of the
machine, or before it was set back."""

LONGEST_SILENCE: Final = timedelta(days=1)
"""A longer wait is not granted."""


PATIENCE: Final = 60.0
"""Seconds that a request waits for a state that cannot be reached. Without it nothing is sent."""

PAUSE: Final = 2.0
"""Seconds between two looks for a state that cannot be reached."""

SKEW: Final = timedelta(minutes=5)
"""How far the clock of another machine may be ahead."""


class State(msgspec.Struct):
    """The next turn and the last slowdown, the space between turns, good replies in a row.

    These are seconds of the clock of the place that the state is kept in. A silence was asked for
    at ``silent_from``, until ``silent_until``: times of day, in seconds since 1970.
    """

    due: float = 0.0
    slowed_at: float = 0.0
    gap: float = 0.0
    good: int = 0
    silent_from: float = 0.0
    silent_until: float = 0.0

    @classmethod
    def read(cls, text: bytes | str) -> State:
        """The state that was written; a new one where ``text`` is empty or torn."""
        try:
            return msgspec.json.decode(text or b"{}", type=cls)
        except msgspec.DecodeError:  # killed while it wrote these few bytes
            return cls()

    def written(self) -> bytes:
        """What ``read`` reads."""
        return msgspec.json.encode(self)


class SharedState(Protocol):
    """Where all that share one rate limit keep its state."""

    def change(self, rule: Callable[[State, float], T]) -> T:
        """Apply ``rule`` to the state, and give its result; no other one changes it meanwhile.

        ``rule`` gets the time, too, in seconds of this place's clock; it may be called again if
        its change could not be stored. Raises LakeUnwritable where the state cannot be reached.
        """
        ...


class Silence(NamedTuple):
    """A silence that the API asked for, in seconds since 1970; 0 where there was none."""

    begun: float
    until: float

    def end(self, now: datetime) -> datetime | None:
        """Its end, UTC, while it lasts.

        None for one that begins in the future or is too long: a clock was wrong, or the state is.
        """
        longest = self.begun + LONGEST_SILENCE.total_seconds()
        begun = self.begun - SKEW.total_seconds()
        if begun <= now.timestamp() < self.until <= longest:
            return datetime.fromtimestamp(self.until, UTC)
        return None


class Turn(NamedTuple):
    """When a request may be sent, by the state's clock, and the last silence asked for."""

    at: float
    silence: Silence


class InMemory:
    """A state that one process keeps to itself."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Use the clock ``monotonic``, in seconds."""
        self._state = State()
        self._monotonic = monotonic

    def change(self, rule: Callable[[State, float], T]) -> T:
        """See SharedState."""
        return rule(self._state, self._monotonic())


@dataclass(frozen=True, slots=True)
class InFile:
    """A state in a file that the processes of a machine share; a killed one releases it."""

    path: Path
    monotonic: Callable[[], float] = time.monotonic

    def change(self, rule: Callable[[State, float], T]) -> T:
        """See SharedState."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            state = State.read(file.read())
            result = rule(state, self.monotonic())
            file.seek(0)
            file.truncate()
            file.write(state.written())
        return result


class RateLimit:
    """At most ``per_second`` turns a second, over all threads, and all that share ``kept``."""

    def __init__(
        self,
        per_second: float,
        *,
        sleep: Callable[[float], None],
        kept: SharedState,
        slowest: float = SLOWEST,
    ) -> None:
        """Give the first turn at once. Raises ValueError for an invalid rate."""
        if not 0 < per_second < float("inf"):
            message = f"A rate is a positive number of requests a second, not {per_second}."
            raise ValueError(message)
        self._shortest = 1.0 / per_second
        self._slowest = slowest
        self._sleep = sleep
        self._kept = kept
        self._turns = threading.Lock()
        self._lock = threading.Lock()
        self._is_slowed = False
        """Whether the space was wider than the ceiling asks for when it was last looked at."""

    def wait_turn(self) -> Turn:
        """Return when the next request may be sent. Raises LakeUnwritable, see PATIENCE."""
        # Threads queue for their turns, and only for them: the result of a reply that comes
        # meanwhile need not wait until the sleeper wakes.
        with self._turns:
            slept_until = None
            while True:
                turn, wait, due = self._change(partial(self._take, slept_until))
                if wait == 0:
                    return turn
                self._sleep(wait)
                slept_until = due

    def _take(
        self, slept_until: float | None, state: State, now: float
    ) -> tuple[Turn, float, float]:
        """The turn, how long it is until then, and the time of the next one.

        The turn is taken where it need not wait, or where the next one is still the one that was
        ``slept_until``, whatever the clock shows by now.
        """
        self._is_slowed = state.gap > self._shortest
        wait = state.due - now
        if 0 < wait <= STALE + self._gap(state) and state.due != slept_until:
            return Turn(now, _NO_SILENCE), wait, state.due
        state.due = now + self._gap(state)
        return Turn(now, Silence(state.silent_from, state.silent_until)), 0, state.due

    def be_silent(self, now: datetime, seconds: float) -> datetime:
        """Stop all requests for ``seconds``, a day at most; returns the end, UTC.

        A silence that lasts longer stays as it is.
        """
        until = now + min(timedelta(seconds=min(seconds, 1e6)), LONGEST_SILENCE)

        def silence(state: State, _now: float) -> None:
            known = Silence(state.silent_from, state.silent_until).end(now)
            if known is None or known < until:
                state.silent_from, state.silent_until = now.timestamp(), until.timestamp()

        self._change(silence)
        return until.astimezone(UTC)

    def slow_down(self, sent_at: float, wait: float | None) -> None:
        """The request of the turn at ``sent_at`` got a 429 that asks for ``wait`` seconds."""

        def slower(state: State, now: float) -> None:
            state.good = 0
            if not state.slowed_at <= now or sent_at >= state.slowed_at:
                # The others in flight were sent at the old rate: one slowdown for all of them.
                state.gap = min(SLOWER * self._gap(state), max(self._slowest, self._shortest))
                state.slowed_at = now
            state.due = max(state.due, now + (wait or state.gap))
            self._is_slowed = True

        self._change(slower)

    def went_well(self) -> None:
        """A request was answered."""

        def faster(state: State, _now: float) -> None:
            state.good += 1
            if state.good >= FASTER_AFTER:
                state.good = 0
                state.gap = max(FASTER * state.gap, self._shortest)

        if self._is_slowed:  # else there is nothing to gain
            with suppress(LakeUnwritable):  # the answer is good all the same
                self._change(faster)

    def _change(self, rule: Callable[[State, float], T]) -> T:
        """The result of ``rule``, once the state can be reached."""
        waited = 0.0
        while True:
            try:
                with self._lock:
                    return self._kept.change(rule)
            except LakeUnwritable:
                if waited >= PATIENCE:
                    raise
            self._sleep(PAUSE)
            waited += PAUSE

    def _gap(self, state: State) -> float:
        return max(state.gap, self._shortest)


_NO_SILENCE: Final = Silence(0.0, 0.0)
