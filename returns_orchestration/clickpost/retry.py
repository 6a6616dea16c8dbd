"""When to ask again: a policy as data, and the meaning of Retry-After.

What lives here: arithmetic on seconds; no request is sent here. Clock, sleep and chance come
from outside. What does not live here: which failures are worth another try (that is the error's
type) and the loop that tries (``client.py``, which calls both).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from returns_orchestration.clickpost.clocks import read_http_date
from returns_orchestration.clickpost.rate_limit import SLOWEST

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

MOST_SECONDS = 1e9
"""A longer wait counts as this one."""

_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")
_DOUBLINGS = 60  # more would overflow a float and change nothing: the cap holds long before


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long one page of a window is asked for; all times in seconds.

    ``attempts`` counts the first one. ``total_seconds`` bounds the waiting: an attempt that could
    only start later than that after the first one is not made. ``longest_wait_seconds`` bounds
    the wait that the API may ask for: where it asks for more, the run does not ask again.
    ``slowest_seconds`` bounds the space between two requests to which 429s may slow down (see
    ``rate_limit.py``).
    """

    attempts: int = 5
    total_seconds: float = 120.0
    base_seconds: float = 0.5
    cap_seconds: float = 20.0
    longest_wait_seconds: float = 60.0
    slowest_seconds: float = SLOWEST

    def __post_init__(self) -> None:
        """Raise ValueError for invalid values."""
        if self.attempts < 1:
            message = f"At least one attempt is needed, not {self.attempts}."
            raise ValueError(message)
        times = (
            self.total_seconds,
            self.base_seconds,
            self.cap_seconds,
            self.longest_wait_seconds,
            self.slowest_seconds,
        )
        if not all(0 <= seconds < float("inf") for seconds in times):
            message = f"Times are finite and not negative, unlike one of {times}."
            raise ValueError(message)

    def wait(
        self,
        attempt: int,
        *,
        elapsed: float,
        retry_after: float | None,
        uniform: Callable[[float, float], float],
    ) -> float | None:
        """Seconds to wait after failed attempt number ``attempt`` (from 1); None: give up.

        Full jitter between 0 and a doubling, capped ceiling, so that threads which failed together
        do not come back together; never shorter than what the API asked for.
        """
        if attempt >= self.attempts or self.is_too_long(retry_after):
            return None
        ceiling = min(self.cap_seconds, self.base_seconds * 2.0 ** min(attempt - 1, _DOUBLINGS))
        seconds = uniform(0.0, ceiling)
        seconds = max(seconds, self.granted(retry_after))
        return None if elapsed + seconds > self.total_seconds else seconds

    def granted(self, retry_after: float | None) -> float:
        """The wait that the API asks for, as far as a run waits; 0 where it asks for none."""
        return min(retry_after or 0.0, self.longest_wait_seconds)

    def is_too_long(self, retry_after: float | None) -> bool:
        """Whether the API asks for a longer wait than a run waits."""
        return retry_after is not None and retry_after > self.longest_wait_seconds


def read_retry_after(text: str | None, now: datetime) -> float | None:
    """Seconds asked for by a Retry-After header: a number of seconds, or an HTTP date.

    Of several numbers, as in a repeated header, the largest counts. None for an absent, negative,
    past or unreadable one. ``now`` is aware, and by the clock of the API where it is known: a date
    is by that clock, and ours may be wrong.
    """
    value = (text or "").strip().strip("\"'")
    moment = read_http_date(value)
    if moment is not None:
        seconds = (moment - now).total_seconds()
        return seconds if seconds >= 0 else None
    numbers = [part.strip().removeprefix("+") for part in value.split(",")]
    if not all(_SECONDS.fullmatch(number) for number in numbers):
        return None
    return min(max(map(float, numbers)), MOST_SECONDS)
