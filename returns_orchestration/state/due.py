"""Which hours are due to be asked for: pure decisions over plain values.

``attempts`` decides how long a failed hour waits. No function here reads a clock, the lake or
Dagster.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from returns_orchestration.state.attempts import Attempt, learn

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    from returns_orchestration.window import Window

    Since = Mapping[int, datetime | None]
    """Each age of RETURNS_REPOLL_AFTER_HOURS, in hours, and since when it is in force."""


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
    *,
    succeeded: bool = False,
) -> Choice:
    """Of the hours that are ``due``, those to ask for ``now``, newest first.

    A new hour is drawn in while fewer than ``limit`` newer ones are asked for and not yet mended.
    So where all polls fail, as with refused credentials, no further hours are drawn in; the newest
    hours never wait for older ones that fail; and no hour waits for stubborn ones.
    ``busy`` hours are being asked for already. ``attempts`` of hours that were ``looked_at`` and
    are not due are forgotten, since they are mended. That counts as a success; ``succeeded``: there
    was another one.
    """
    candidates = set(due)
    mended = attempts.keys() & set(looked_at) - candidates
    left = {window: attempt for window, attempt in attempts.items() if window not in mended}
    kept = learn(left, candidates, busy, now, succeeded=succeeded or bool(mended))
    ready = [
        window
        for window in sorted(candidates - set(busy), reverse=True)
        if window not in kept or kept[window].may_be_made(now)
    ]
    chosen = [window for window in ready if window in kept]
    failing = sorted(window for window, attempt in kept.items() if not attempt.is_stubborn(now))
    for drawn, window in enumerate(window for window in ready if window not in kept):
        newer = len(failing) - bisect_right(failing, window)
        if newer + drawn >= limit:
            break
        chosen.append(window)
    kept.update({window: Attempt.after(kept.get(window), now) for window in chosen})
    return Choice(sorted(chosen), kept)


def is_due_again(window: Window, last_polled_at: datetime, ages: Since, now: datetime) -> bool:
    """Whether ``window`` has reached an age, in hours after its end, since its last poll.

    One poll serves all ages reached meanwhile, so an outage is not followed by a poll for each.
    """
    return any(last_polled_at < moment <= now for moment in _moments(window, ages))


def is_done(window: Window, last_polled_at: datetime, ages: Since) -> bool:
    """Whether ``window`` will never be due again: it was polled at its last age or later."""
    return all(last_polled_at >= moment for moment in _moments(window, ages))


def _moments(window: Window, ages: Since) -> list[datetime]:
    """When ``window`` reaches each age that is in force by then."""
    moments = ((window.end + timedelta(hours=age), since) for age, since in ages.items())
    return [moment for moment, since in moments if since is None or since <= moment]
