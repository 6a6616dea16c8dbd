"""Hours that are not there: since when, for which reason, and which of four kinds that is.

An hour counts a grace period after it was due. What was due before the watch began, or began again
after a pause, is left to the sensor `missing_hours`, and counts only once that has recovered none
of it for a grace period; what is older than a week by then is listed only. What was complete and is
not any more gets a grace period from then, as a run may be at work on it. Of several kinds that are
found at once, one inhibits the others; see ``kinds``.
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
from returns_orchestration.alerts.life_cycle import Detected
from returns_orchestration.state.spans import Spans
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from returns_orchestration.alerts.kinds import Kind
    from returns_orchestration.alerts.watch import Watch
    from returns_orchestration.settings import AlertPolicy

HISTORY_AGE: Final = timedelta(days=7)
"""What was due that long before the watch began is history: listed, not sent."""

MOMENT: Final = timedelta(minutes=15)
"""An hour that is due for less than that is being polled, and named nowhere."""

TOO_OLD: Final = timedelta(hours=1)
"""On top of an hour's grace: how old the newest complete hour may be."""

REFUSED: Final = Key(CredentialsRefused.name, "")
NOT_POLLED: Final = Key(NothingPolled.name, "")
MISSING: Final = Key(HoursMissing.name, "")
OLD_MISSING: Final = Key(HoursMissing.name, HISTORY)
TOO_OLD_HOUR: Final = Key(NewestHourTooOld.name, "")


def gaps(  # noqa: PLR0913, PLR0917 - what a decision is made of
    watch: Watch,
    newest: Window,
    absent: str,
    opened: Collection[Key],
    now: datetime,
    policy: AlertPolicy,
) -> Detected:
    """The gaps as they are ``now``.

    ``newest`` is the newest hour that is due, ``absent`` names credentials that are not set,
    ``opened`` are the keys of the incidents that are open.
    """
    found = Detected()
    fresh = [Window.from_key(key) for key, at in watch.lost.items() if now - at < policy.grace]
    missing = watch.missing.without(fresh)
    limit = min(Window.of(now - policy.settle - MOMENT), newest.next)
    edge = Window.of(watch.began_at - HISTORY_AGE - policy.settle)
    due, recent = missing.before(limit), missing.before(limit).since(edge)
    if watch.damaged:
        damaged = Spans()
        damaged.add(watch.damaged_hours)
        since = min(watch.damaged.values())
        found.findings.append(HoursDamaged(since=since, size=len(damaged), spans=damaged.pairs()))
    stalled = now - max(watch.resumed_at, watch.progress_at, watch.relieved_at) >= policy.grace
    overdue = _overdue(recent, watch, opened, now, policy, stalled=stalled)
    dead = bool(overdue) and _is_dead(overdue, watch, now, policy)
    if watch.refused is not None or (absent and due):
        since = watch.resumed_at if watch.refused is None else watch.refused.at
        spans = missing.pairs()
        found.findings.append(
            CredentialsRefused(since=since, size=len(missing), spans=spans, absent=absent)
        )
    elif REFUSED in opened or (NOT_POLLED in opened and not dead):
        # What had kept hours from coming is over: `missing_hours` gets its time to recover them.
        watch.relieved_at = now
        overdue = overdue if MISSING in opened else Spans()
    old = _hours(due.before(edge), watch, HISTORY)
    if OLD_MISSING in opened or stalled:
        found.findings += old
    else:
        found.add_silent(old, Reason.RECOVERING)
    if overdue:
        found.unjudged.add(TOO_OLD_HOUR)
    else:
        found.findings += _too_old(watch, due, newest, now, policy)
        waiting = watch.missing.before(limit).since(edge)
        late = recent.before(Window.of(now - policy.settle - policy.grace))
        found.add_silent(_hours(waiting, watch), Reason.RECOVERING if late else Reason.GRACE)
        return found
    if not dead and MISSING not in opened and _may_be_dead(overdue, watch, now, policy):
        found.unjudged |= {NOT_POLLED, MISSING}
        found.add_silent(_hours(recent, watch), Reason.STANDSTILL)
        return found
    if dead:
        since = watch.asked_at or next(iter(overdue)).end
        found.findings.append(NothingPolled(since=since, size=len(recent), spans=recent.pairs()))
    found.findings += _hours(recent, watch)
    return found


def _overdue(  # noqa: PLR0913 - what a decision is made of
    recent: Spans,
    watch: Watch,
    opened: Collection[Key],
    now: datetime,
    policy: AlertPolicy,
    *,
    stalled: bool,
) -> Spans:
    """The hours whose grace is over; for those of an open incident it is not given again."""
    late = recent.before(Window.of(now - policy.settle - policy.grace))
    if MISSING in opened or NOT_POLLED in opened:
        return late
    if now - watch.relieved_at < policy.grace:
        return Spans()
    return late if stalled else late.since(Window.of(watch.resumed_at - policy.settle))


def _is_dead(overdue: Spans, watch: Watch, now: datetime, policy: AlertPolicy) -> bool:
    """Whether no request of any outcome was made, although hours wait for one."""
    if any(Window.from_key(key) in overdue for key in watch.causes):
        return False
    return watch.asked_at is None or now - watch.asked_at >= policy.grace


def _may_be_dead(overdue: Spans, watch: Watch, now: datetime, policy: AlertPolicy) -> bool:
    """Whether it is known a little later that no request is made any more.

    Missing hours for which no request is known would be sent now, and the standstill beside them.
    """
    return _is_dead(overdue, watch, now + policy.grace / 2, policy)


def _hours(hours: Spans, watch: Watch, subject: str = "") -> list[Kind]:
    """One finding for all missing hours, with the newest cause that is known of any of them.

    Hours that a failed check blocks are found as that check.
    """
    causes = [cause for key, cause in watch.causes.items() if Window.from_key(key) in hours]
    blocked = causes and all(c.error == "HourBlocked" for c in causes) and len(causes) == len(hours)
    if not hours or blocked:
        return []
    newest = max(causes, key=lambda cause: cause.at, default=None)
    return [
        HoursMissing(
            since=next(iter(hours)).end,
            subject=subject,
            size=len(hours),
            spans=hours.pairs(),
            error=newest.error if newest else "",
        )
    ]


def _too_old(
    watch: Watch, due: Spans, newest: Window, now: datetime, policy: AlertPolicy
) -> list[Kind]:
    """The newest complete hour is old and no missing hour explains it: waived, or not looked at."""
    last = next(iter(watch.whole.newest(1)), None)
    if last is None or due:
        return []
    since = max(last.next.end + policy.settle, watch.resumed_at)
    if last >= newest or now - since < policy.grace + TOO_OLD:
        return []
    hours = last.next.hours_to(newest.end)
    return [NewestHourTooOld(since=last.end, size=hours, hour=last.key)]
