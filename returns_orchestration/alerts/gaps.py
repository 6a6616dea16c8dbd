"""Missing and damaged hours: since when, for which reason, and the kind of their incident.

An hour counts a grace period after it was due. Hours that were due before the watch began, or began
again after a pause, or that appear later, as RETURNS_START was set to an earlier hour, are left to
the sensor `missing_hours`, and count only once it has recovered none of them for a grace period;
those older than a week by then are only listed. An hour that is
no longer complete gets a grace period from then, as a run may be at work on it. Of several kinds
that are found at once, one inhibits the others; see ``kinds``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from returns_orchestration.alerts.kinds import (
    HISTORY,
    CredentialsRefused,
    HoursDamaged,
    HoursMissing,
    Key,
    NewestHourTooOld,
    NothingPolled,
    Reason,
)
from returns_orchestration.state.spans import Spans
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from datetime import datetime

    from returns_orchestration.alerts.life_cycle import Detected
    from returns_orchestration.alerts.watch import Situation, Watch

HISTORY_AGE: Final = timedelta(days=7)
"""Hours that were due that long before the watch began are history: listed, not sent."""

MOMENT: Final = timedelta(minutes=15)
"""An hour that is due for less than that is being polled, and is not listed."""

TOO_OLD: Final = timedelta(hours=1)
"""On top of an hour's grace: how old the newest complete hour may be."""

REFUSED: Final = Key(CredentialsRefused.name, "")
NOT_POLLED: Final = Key(NothingPolled.name, "")
MISSING: Final = Key(HoursMissing.name, "")
OLD_MISSING: Final = Key(HoursMissing.name, HISTORY)
TOO_OLD_HOUR: Final = Key(NewestHourTooOld.name, "")


def gaps(at: Situation, detected: Detected) -> None:
    """The gaps as they are now."""
    watch, now, policy = at.watch, at.now, at.settings.alert_policy
    fresh = [Window.from_key(key) for key, lost in watch.lost.items() if now - lost < policy.grace]
    missing = watch.missing.without(fresh)
    limit = min(Window.of(now - policy.settle - MOMENT), at.newest.next)
    edge = Window.of(watch.began_at - HISTORY_AGE - policy.settle)
    due, recent = missing.before(limit), missing.before(limit).since(edge)
    if watch.damaged:
        since, spans = min(watch.damaged.values()), Spans.of(watch.damaged_hours).pairs()
        detected.add(HoursDamaged(since=since, size=len(watch.damaged), spans=spans))
    appeared_at = watch.appeared_at or watch.began_at
    moved_at = max(watch.resumed_at, watch.progress_at, watch.relieved_at, appeared_at)
    stalled = now - moved_at >= policy.grace
    overdue = _overdue(at, recent, stalled=stalled)
    dead = bool(overdue) and _is_dead(at, overdue, now)
    if watch.refused is not None or (at.absent and due):
        since = watch.resumed_at if watch.refused is None else watch.refused.at
        spans, size = missing.pairs(), len(missing)
        detected.add(CredentialsRefused(since=since, size=size, spans=spans, absent=at.absent))
    elif REFUSED in at.opened or (NOT_POLLED in at.opened and not dead):
        # The cause of missing hours is over: `missing_hours` gets its time to recover them.
        watch.relieved_at = now
        overdue = overdue if MISSING in at.opened else Spans()
    old = _missing(due.before(edge), watch, HISTORY)
    detected.add(old, None if OLD_MISSING in at.opened or stalled else Reason.RECOVERING)
    if not overdue:
        detected.add(_too_old(at, due))
        late = recent.before(Window.of(now - policy.settle - policy.grace))
        waiting = _missing(watch.missing.before(limit).since(edge), watch)
        detected.add(waiting, Reason.RECOVERING if late else Reason.GRACE)
        return
    detected.unjudged.add(TOO_OLD_HOUR)
    # Whether requests have stopped is known only a little later; until then neither is sent.
    soon = now + policy.grace / 2
    if not dead and MISSING not in at.opened and _is_dead(at, overdue, soon):
        detected.unjudged |= {NOT_POLLED, MISSING}
        detected.add(_missing(recent, watch), Reason.STANDSTILL)
        return
    if dead:
        since = watch.asked_at or next(iter(overdue)).end
        detected.add(NothingPolled(since=since, size=len(recent), spans=recent.pairs()))
    detected.add(_missing(recent, watch))


def _overdue(at: Situation, recent: Spans, *, stalled: bool) -> Spans:
    """The hours whose grace is over; hours of an open incident get no second grace."""
    policy = at.settings.alert_policy
    late = recent.before(Window.of(at.now - policy.settle - policy.grace))
    if stalled or MISSING in at.opened or NOT_POLLED in at.opened:
        return late
    if at.now - at.watch.relieved_at < policy.grace:
        return Spans()
    return late.since(Window.of(at.watch.resumed_at - policy.settle)).without(at.watch.appeared)


def _is_dead(at: Situation, overdue: Spans, now: datetime) -> bool:
    """Whether no request was made, with any outcome, although hours wait for one."""
    if any(Window.from_key(key) in overdue for key in at.watch.causes):
        return False
    return at.watch.asked_at is None or now - at.watch.asked_at >= at.settings.alert_policy.grace


def _missing(hours: Spans, watch: Watch, subject: str = "") -> HoursMissing | None:
    """One finding for all missing hours, with the newest known cause among them.

    Hours that a failed check blocks are reported as that check.
    """
    causes = [cause for key, cause in watch.causes.items() if Window.from_key(key) in hours]
    blocked = causes and all(c.error == "HourBlocked" for c in causes) and len(causes) == len(hours)
    if not hours or blocked:
        return None
    newest = max(causes, key=lambda cause: cause.at, default=None)
    return HoursMissing(
        since=next(iter(hours)).end,
        subject=subject,
        size=len(hours),
        spans=hours.pairs(),
        error=newest.error if newest else "",
    )


def _too_old(at: Situation, due: Spans) -> NewestHourTooOld | None:
    """The newest complete hour is old, though no hour is missing: waived, or not looked at."""
    last = next(iter(at.watch.whole.newest(1)), None)
    if last is None or due or last >= at.newest:
        return None
    policy = at.settings.alert_policy
    since = max(last.next.end + policy.settle, at.watch.resumed_at)
    if at.now - since < policy.grace + TOO_OLD:
        return None
    return NewestHourTooOld(since=last.end, size=last.next.hours_to(at.newest.end), hour=last.key)
