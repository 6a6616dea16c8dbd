"""Hours whose attempts failed: how long each waits, and what ends the wait early.

The pause of an hour doubles from 5 minutes to an hour; after a day of failures the hour is asked
for once a day. Two things end a pause early. A change of settings or of the package, since the
fault may be corrected (`Attempt.awake`). And a success of another hour, since the API is back
(`learn`): it wakes each hour once. An hour that fails again after that has a fault of its own, and
no success wakes it until another hour has begun to fail, too. Waking never shortens later pauses.

Pure decisions over plain values: no function here reads a clock, the lake or Dagster. Called by
``due.py`` and ``memory.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from returns_orchestration.window import Window

FIRST_PAUSE: Final = timedelta(minutes=5)
LONGEST_PAUSE: Final = timedelta(hours=1)
PATIENCE: Final = timedelta(days=1)
"""Time of failures after which an hour counts as stubborn."""

STUBBORN_PAUSE: Final = timedelta(days=1)


def pause_after(tries: int, first: timedelta, longest: timedelta) -> timedelta:
    """The pause after ``tries`` failed attempts: ``first``, then twice as long each time."""
    return min(first * (1 << min(tries - 1, 10)), longest)


@dataclass(frozen=True, slots=True)
class Attempt:
    """An hour that was asked for ``tries`` times since ``since``, and when it may be again.

    ``has_failed``: the last attempt is known to have failed, and is not still under way.
    ``was_woken``: a success has ended a pause of this hour early.
    """

    tries: int
    since: datetime
    again_at: datetime
    has_failed: bool = False
    was_woken: bool = False

    @classmethod
    def after(cls, earlier: Attempt | None, now: datetime) -> Attempt:
        """One more attempt, made ``now``."""
        if earlier is None:
            return cls(1, now, now + FIRST_PAUSE)
        tries, since = earlier.tries + 1, earlier.since
        stubborn = now - since >= PATIENCE
        pause = STUBBORN_PAUSE if stubborn else pause_after(tries, FIRST_PAUSE, LONGEST_PAUSE)
        return cls(tries, since, now + pause, was_woken=earlier.was_woken)

    def is_stubborn(self, now: datetime) -> bool:
        """Whether it has failed for a day, so that others should not wait for it."""
        return now - self.since >= PATIENCE

    def may_be_made(self, now: datetime) -> bool:
        """Whether its pause is over, or was set by a clock that was ahead."""
        longest = STUBBORN_PAUSE if self.is_stubborn(now) else LONGEST_PAUSE
        return not now < self.again_at <= now + longest

    def awake(self, now: datetime) -> Attempt:
        """The same, to be repeated at once."""
        return replace(self, again_at=min(self.again_at, now))


def learn(
    attempts: Mapping[Window, Attempt],
    due: Collection[Window],
    busy: Collection[Window],
    now: datetime,
    *,
    succeeded: bool,
) -> dict[Window, Attempt]:
    """The attempts after a look: which hours failed, and which wake.

    Hours in ``due`` are still to be asked for, and ``busy`` ones are under way. ``succeeded``: an
    hour was read since the last look. It wakes hours that had failed by the last look, once each:
    an hour that failed in the same run waits for the next success.
    """
    found = dict(attempts)
    if succeeded:
        for window, attempt in attempts.items():
            if attempt.has_failed and not attempt.was_woken:
                found[window] = replace(attempt.awake(now), was_woken=True)
    failed = [w for w in found if w in due and w not in busy and not found[w].has_failed]
    for window in failed:
        found[window] = replace(found[window], has_failed=True)
    if any(found[window].tries == 1 for window in failed):
        # The API fails, and not one hour alone: the next success concerns all of them.
        found = {window: replace(attempt, was_woken=False) for window, attempt in found.items()}
    return found
