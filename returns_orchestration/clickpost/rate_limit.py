"""One rate limit for all requests of a deployment: slower after a 429, then faster again.

Every request takes a turn here, repeats and further pages included. Turns are evenly spaced and
never closer than the configured ceiling allows. A 429 widens the space for all requests at once,
and every further run of good replies reduces it by a fifth again, so an API with an unpublished
limit is asked about as fast as it allows, without a setting.

A 429 that asks for a longer wait than a run waits silences the whole deployment: until then, no run
and no command sends anything.

Threads share a limit through its lock; processes of one machine share it through a small file that
holds the next turn, the space between turns and the end of a silence, and no secret.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows: each process keeps a limit of its own there
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import BinaryIO

SLOWEST: Final = 2.0
"""Seconds between two requests beyond which no 429 slows down further; Retry-After still does."""

SLOWER: Final = 1.5
FASTER: Final = 0.8
FASTER_AFTER: Final = 10
"""Good replies in a row after which the space between turns shrinks. Against a fixed limit, about
one request in twenty then gets a 429."""

STALE: Final = 120.0
"""Seconds: a next turn further ahead than this is by a clock before a restart of the machine."""


LONGEST_SILENCE: Final = timedelta(days=1)
"""A longer wait is not granted."""


class _State(msgspec.Struct):
    """The next turn and the last slowdown (monotonic seconds), the space, good replies in a row.

    A silence was asked for at ``silent_from``, until ``silent_until``: times of day, in seconds
    since 1970, as they outlive a restart.
    """

    due: float = 0.0
    slowed_at: float = 0.0
    gap: float = 0.0
    good: int = 0
    silent_from: float = 0.0
    silent_until: float = 0.0


class Silence(NamedTuple):
    """A silence that the API asked for, in seconds since 1970; 0 where there was none."""

    begun: float
    until: float

    def end(self, now: datetime) -> datetime | None:
        """Its end, UTC, while it lasts.

        None for one that begins in the future or is too long: a clock was wrong, or the file is.
        """
        longest = self.begun + LONGEST_SILENCE.total_seconds()
        if self.begun <= now.timestamp() < self.until <= longest:
            return datetime.fromtimestamp(self.until, UTC)
        return None


@dataclass(frozen=True, slots=True)
class _InMemory:
    """A state that one process keeps to itself."""

    state: _State

    @contextmanager
    def held(self) -> Iterator[_State]:
        yield self.state


@dataclass(frozen=True, slots=True)
class _InFile:
    """A state in a file that the processes of a machine share; a killed one releases it."""

    path: Path

    @contextmanager
    def held(self) -> Iterator[_State]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            state = _read(file)
            yield state
            file.seek(0)
            file.truncate()
            file.write(msgspec.json.encode(state))


def _read(file: BinaryIO) -> _State:
    file.seek(0)
    try:
        return msgspec.json.decode(file.read() or b"{}", type=_State)
    except msgspec.DecodeError:  # killed while it wrote these few bytes
        return _State()


class RateLimit:
    """At most ``per_second`` turns a second, over all threads, and all processes with ``file``."""

    def __init__(
        self,
        per_second: float,
        *,
        sleep: Callable[[float], None],
        monotonic: Callable[[], float],
        file: Path | None = None,
        slowest: float = SLOWEST,
    ) -> None:
        """Give the first turn at once. Raises ValueError for an invalid rate."""
        if not 0 < per_second < float("inf"):
            message = f"A rate is a positive number of requests a second, not {per_second}."
            raise ValueError(message)
        self._shortest = 1.0 / per_second
        self._slowest = slowest
        self._sleep = sleep
        self._monotonic = monotonic
        self._turns = threading.Lock()
        self._lock = threading.Lock()
        shared = file is not None and fcntl is not None
        self._kept = _InFile(file) if shared and file is not None else _InMemory(_State())

    def wait_turn(self) -> Silence:
        """Return when the next request may be sent, with the last silence that was asked for."""
        # Threads queue for their turns, and only for them: the result of a reply that comes
        # meanwhile need not wait until the sleeper wakes.
        with self._turns:
            with self._lock, self._kept.held() as state:
                now = self._monotonic()
                turn = state.due if now < state.due <= now + STALE else now
                state.due = turn + self._gap(state)
                silence = Silence(state.silent_from, state.silent_until)
            if turn > now:
                self._sleep(turn - now)
                with self._lock, self._kept.held() as state:
                    # A thread that wakes late does not bring two requests close together.
                    state.due = max(state.due, self._monotonic() + self._gap(state))
                    silence = Silence(state.silent_from, state.silent_until)
        return silence

    def be_silent(self, now: datetime, seconds: float) -> datetime:
        """Stop all requests for ``seconds``, a day at most; returns the end, UTC.

        A silence that lasts longer stays as it is.
        """
        until = now + min(timedelta(seconds=min(seconds, 1e6)), LONGEST_SILENCE)
        with self._lock, self._kept.held() as state:
            known = Silence(state.silent_from, state.silent_until).end(now)
            if known is None or known < until:
                state.silent_from, state.silent_until = now.timestamp(), until.timestamp()
        return until.astimezone(UTC)

    def slow_down(self, sent_at: float, wait: float | None) -> None:
        """A request sent at ``sent_at`` (monotonic) got a 429 that asks for ``wait`` seconds."""
        with self._lock, self._kept.held() as state:
            now = self._monotonic()
            state.good = 0
            if not state.slowed_at <= now or sent_at >= state.slowed_at:
                # The others in flight were sent at the old rate: one slowdown for all of them.
                state.gap = min(SLOWER * self._gap(state), max(self._slowest, self._shortest))
                state.slowed_at = now
            state.due = max(state.due, now + (wait or state.gap))

    def went_well(self) -> None:
        """A request was answered."""
        with self._lock, self._kept.held() as state:
            state.good += 1
            if state.good >= FASTER_AFTER:
                state.good = 0
                state.gap = max(FASTER * state.gap, self._shortest)

    def _gap(self, state: _State) -> float:
        return max(state.gap, self._shortest)
