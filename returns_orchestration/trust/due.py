"""Which hours are due to be asked for, and when again: pure decisions over plain values.

An hour that keeps failing is asked for again after a pause that doubles, so that a dead window
costs little and a mended one comes back by itself. After a day in vain it is asked for once a day,
or within the hour once another hour is mended: then the API is back. Nothing here reads a clock,
the lake or Dagster.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from returns_orchestration.window import Window

FIRST_PAUSE: Final = timedelta(minutes=5)
LONGEST_PAUSE: Final = timedelta(hours=1)
PATIENCE: Final = 24
"""Attempts, about a day of them, after which an hour counts as stubborn."""

STUBBORN_PAUSE: Final = timedelta(days=1)


def pause_after(tries: int, first: timedelta, longest: timedelta) -> timedelta:
    """The pause after so many attempts in vain: ``first``, then twice as long each time."""
    return min(first * (1 << min(tries - 1, 10)), longest)


@dataclass(frozen=True, slots=True)
class Attempt:
    """How often an hour was asked for in vain, and when it may be asked for again."""

    tries: int
    again_at: datetime

    @classmethod
    def after(cls, earlier: Attempt | None, now: datetime) -> Attempt:
        """One more attempt, made ``now``: the pause doubles from 5 minutes up to an hour.

        A stubborn hour is asked for once a day.
        """
        tries = 1 if earlier is None else earlier.tries + 1
        pause = pause_after(tries, FIRST_PAUSE, LONGEST_PAUSE)
        return cls(tries, now + (STUBBORN_PAUSE if tries >= PATIENCE else pause))

    def may_be_made(self, now: datetime) -> bool:
        """Whether its pause is over, or was set by a clock that was ahead."""
        longest = STUBBORN_PAUSE if self.is_stubborn else LONGEST_PAUSE
        return not now < self.again_at <= now + longest

    @property
    def is_stubborn(self) -> bool:
        """Whether it has failed for about a day, so that others should not wait for it."""
        return self.tries >= PATIENCE

    def awake(self, now: datetime) -> Attempt:
        """The same, to be repeated at once."""
        return Attempt(self.tries, min(self.again_at, now))

    def sooner(self, now: datetime) -> Attempt:
        """The same, to be repeated within the hour, since another hour was mended."""
        return Attempt(self.tries, min(self.again_at, now + LONGEST_PAUSE))


@dataclass(frozen=True, slots=True)
class Choice:
    """The hours to ask for now, oldest first, and what to remember of those still failing."""

    hours: list[Window]
    attempts: dict[Window, Attempt]


def choose(  # noqa: PLR0913, PLR0917 - what a decision is made of
    looked_at: Iterable[Window],
    due: Iterable[Window],
    attempts: Mapping[Window, Attempt],
    busy: Collection[Window],
    now: datetime,
    limit: int,
) -> Choice:
    """Of the hours that are ``due``, those to ask for ``now``, newest first.

    A new hour is drawn in while fewer than ``limit`` newer ones are asked for and not yet mended.
    So where nothing succeeds, as with refused credentials, no further hours are drawn in; the
    newest hours never wait for older ones that fail; and stubborn hours keep nobody waiting.
    ``busy`` hours are being asked for already. ``attempts`` of hours that were ``looked_at`` and
    are not due are forgotten, since they are mended, which lets the stubborn try sooner.
    """
    candidates = set(due)
    mended = attempts.keys() & set(looked_at) - candidates
    kept = {
        window: attempt.sooner(now) if mended else attempt
        for window, attempt in attempts.items()
        if window not in mended
    }
    ready = [
        window
        for window in sorted(candidates - set(busy), reverse=True)
        if window not in kept or kept[window].may_be_made(now)
    ]
    chosen = [window for window in ready if window in kept]
    failing = sorted(window for window, attempt in kept.items() if not attempt.is_stubborn)
    for drawn, window in enumerate(window for window in ready if window not in kept):
        newer = len(failing) - bisect_right(failing, window)
        if newer + drawn >= limit:
            break
        chosen.append(window)
    kept.update({window: Attempt.after(kept.get(window), now) for window in chosen})
    return Choice(sorted(chosen), kept)


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
