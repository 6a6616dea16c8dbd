"""Which hours are due to be asked for, and when again: pure decisions over plain values.

An hour that keeps failing is asked for again after a pause that doubles, so that a dead window
costs little and a mended one comes back by itself. Nothing here reads a clock, the lake or Dagster.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from returns_orchestration.window import Window

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

FIRST_PAUSE: Final = timedelta(minutes=5)
LONGEST_PAUSE: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Attempt:
    """How often an hour was asked for in vain, and when it may be asked for again."""

    tries: int
    again_at: datetime

    @classmethod
    def after(cls, earlier: Attempt | None, now: datetime) -> Attempt:
        """One more attempt, made ``now``: the pause doubles from 5 minutes up to an hour."""
        tries = 1 if earlier is None else earlier.tries + 1
        pause = min(FIRST_PAUSE * 2 ** min(tries - 1, 10), LONGEST_PAUSE)
        return cls(tries, now + pause)


@dataclass(frozen=True, slots=True)
class Choice:
    """The hours to ask for now, oldest first, and what to remember of those still failing."""

    hours: list[Window]
    attempts: dict[Window, Attempt]


def choose(
    due: Iterable[Window],
    attempts: Mapping[Window, Attempt],
    busy: Collection[Window],
    now: datetime,
    limit: int,
) -> Choice:
    """Of the hours that are ``due``, those to ask for ``now``, newest first.

    No more than ``limit`` hours are asked for and not yet mended at a time, so where nothing
    succeeds, as with refused credentials, no further hours are drawn in. ``busy`` hours are being
    asked for already. ``attempts`` of hours no longer due are forgotten, since they are mended.
    """
    candidates = set(due)
    kept = {window: attempt for window, attempt in attempts.items() if window in candidates}
    ready = [
        window
        for window in sorted(candidates - set(busy), reverse=True)
        if window not in kept or kept[window].again_at <= now
    ]
    again = [window for window in ready if window in kept]
    new = [window for window in ready if window not in kept]
    chosen = sorted([*again, *new[: max(0, limit - len(kept))]])
    kept.update({window: Attempt.after(kept.get(window), now) for window in chosen})
    return Choice(chosen, kept)


def is_due_again(
    window: Window, last_polled_at: datetime, ages: Sequence[int], now: datetime
) -> bool:
    """Whether ``window`` has reached an age, in hours after its end, since its last poll.

    One poll serves all ages reached meanwhile, so an outage is not followed by a poll for each.
    """
    reached = [window.end + timedelta(hours=age) for age in ages]
    return any(last_polled_at < moment <= now for moment in reached)


def is_done(window: Window, last_polled_at: datetime, ages: Sequence[int]) -> bool:
    """Whether ``window`` will never be due again: it was polled at its last age or later."""
    return not ages or last_polled_at >= window.end + timedelta(hours=max(ages))


class Spans:
    """A set of hours as half-open spans: a year of complete hours is one pair of keys."""

    def __init__(self, pairs: Iterable[Sequence[str]] = ()) -> None:
        """``pairs`` are partition keys, first hour and first hour no longer inside."""
        self._spans = sorted((Window.from_key(a), Window.from_key(b)) for a, b in pairs)

    def add(self, windows: Iterable[Window]) -> None:
        """Put hours in; spans that touch become one."""
        joined: list[tuple[Window, Window]] = []
        for start, end in sorted([*self._spans, *((w, w.next) for w in windows)]):
            if joined and start <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(joined[-1][1], end))
            else:
                joined.append((start, end))
        self._spans = joined

    def pairs(self) -> list[list[str]]:
        """The spans as partition keys, as the constructor takes them."""
        return [[start.key, end.key] for start, end in self._spans]

    def newest_outside(self, first: Window, last: Window, limit: int) -> list[Window]:
        """Up to ``limit`` hours of ``first`` to ``last`` that are not in the set, newest first."""
        found: list[Window] = []
        spans = list(self._spans)
        window = last
        while window >= first and len(found) < limit:
            while spans and spans[-1][0] > window:
                spans.pop()
            if spans and window < spans[-1][1]:
                window = spans.pop()[0].previous
                continue
            found.append(window)
            window = window.previous
        return found
