"""The server's memory between requests: polls of each window, and the rate of all requests.

A poll is one request for a window's first page and the requests for its further pages. Its
number decides which faults strike and how a shuffled reply is ordered; its moment is kept so that
all pages show one state.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from returns_orchestration.simulator.moments import Micros

_PAGED_POLLS_KEPT = 4


@dataclass(slots=True)
class Poll:
    """The latest poll of a window: its number, from 1, and the moment it shows."""

    call: int
    at: Micros
    requests: Counter[int] = field(default_factory=Counter)  # how often each page was asked for


class Polls:
    """Counts the polls of every window; keeps the records of the latest ones that have pages."""

    def __init__(self) -> None:
        """Start without polls."""
        self._latest: dict[tuple[Micros, Micros], Poll] = {}
        self._records: OrderedDict[tuple[Micros, Micros, int], list[bytes]] = OrderedDict()

    def register(self, start: Micros, end: Micros, page: int, now: Micros) -> tuple[Poll, int]:
        """The poll of a request, and the number of requests for its page so far, with this one.

        A request for page 1 begins a new poll; any other page belongs to the latest one.
        """
        poll = self._latest.get((start, end))
        if poll is None:
            poll = self._latest[start, end] = Poll(1, now)
        elif page == 1:
            poll.call, poll.at = poll.call + 1, now
        poll.requests[page] += 1
        return poll, poll.requests[page]

    def records(
        self, start: Micros, end: Micros, call: int, make: Callable[[], list[bytes]]
    ) -> list[bytes]:
        """The records of a paged poll, made once for all of its pages while it is recent."""
        key = (start, end, call)
        if key not in self._records:
            self._records[key] = make()
            if len(self._records) > _PAGED_POLLS_KEPT:
                self._records.popitem(last=False)
        return self._records[key]

    def clear(self) -> None:
        """Begin counting again."""
        self._latest.clear()
        self._records.clear()


class RateLimit:
    """At most `ceiling` requests in any second; None lets all pass. Refused ones do not count."""

    def __init__(self, ceiling: int | None, monotonic: Callable[[], float]) -> None:
        """`monotonic` is a clock in seconds that never goes back."""
        self._ceiling = ceiling
        self._monotonic = monotonic
        self._accepted: deque[float] = deque()

    def accepts(self) -> bool:
        """Whether a request may pass now; if so it is counted."""
        if self._ceiling is None:
            return True
        now = self._monotonic()
        while self._accepted and self._accepted[0] <= now - 1:
            self._accepted.popleft()
        if len(self._accepted) >= self._ceiling:
            return False
        self._accepted.append(now)
        return True
