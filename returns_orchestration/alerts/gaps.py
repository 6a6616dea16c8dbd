"""Hours that are not there: since when, for which reason, and which of four incidents that is.

One gap is told once. Refused credentials come first; then a pipeline that asks for nothing; then
hours that are missing; then a newest hour that is too old. The ones further down are held while one
above them is the reason.

Patience: an hour counts a grace period after it was due. What was due before the watch began, or
began again after a pause, belongs to the healing sensor, and counts only once that has mended none
of it for a grace period; what is older than a week by then is listed and never sent. What was
complete and is found otherwise gets a grace period from then, as a run may be at work on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from returns_orchestration.alerts.facts import Finding, Key
from returns_orchestration.state.spans import Spans
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from returns_orchestration.alerts.facts import Policy, Severity
    from returns_orchestration.alerts.seen import Cause, Seen

HISTORY: Final = timedelta(days=7)
"""What was due that long before the watch began is history: listed, not sent."""

MOMENT: Final = timedelta(minutes=15)
"""An hour that is due for less than that is being asked for, and named nowhere."""

TOO_OLD: Final = timedelta(hours=1)
"""On top of an hour's grace: how old the newest complete hour may be."""

CREDENTIALS: Final = Key("credentials refused", "")
NOTHING_POLLED: Final = Key("nothing polled", "")
MISSING: Final = Key("hours missing", "")
DAMAGED: Final = Key("hours damaged", "")
OLD_MISSING: Final = Key("hours missing", "history")
STALE: Final = Key("newest hour too old", "")


@dataclass(frozen=True, slots=True)
class Gaps:
    """What was found, and which keys could not be judged because another one explains them."""

    findings: list[Finding]
    held: set[Key]


def gaps(  # noqa: PLR0913, PLR0917 - what a decision is made of
    seen: Seen, newest: Window, absent: str, opened: Collection[Key], now: datetime, policy: Policy
) -> Gaps:
    """The gaps as they are ``now``.

    ``newest`` is the newest hour that is due, ``absent`` names credentials that are not set,
    ``opened`` are the keys of the incidents that are open.
    """
    spans = _known_missing(seen, now, policy)
    due = _until(spans, newest, now - policy.settle - MOMENT)
    edge = seen.began_at - HISTORY - policy.settle
    old, recent = _until(due, newest, edge), _from(due, edge)
    findings = _damaged(seen)
    if OLD_MISSING in opened or _stalled(seen, now, policy):
        findings += _hours(old, seen, "history", listed_only=True)
    refused = _credentials(seen, spans, due, absent)
    if refused is not None:
        return Gaps([*findings, refused], {NOTHING_POLLED, MISSING, STALE})
    overdue = _overdue(recent, seen, opened, now, policy)
    dead = overdue and _nobody_asks(overdue, seen, now, policy)
    if CREDENTIALS in opened or (NOTHING_POLLED in opened and not dead):
        # What had kept hours from coming is over: the healing sensor gets its time to bring them.
        seen.relieved_at = now
        overdue = overdue if MISSING in opened else []
    if not overdue:
        return Gaps([*findings, *_stale(seen, due, newest, now, policy)], set())
    if not dead and MISSING not in opened and _may_stand_still(overdue, seen, now, policy):
        return Gaps(findings, {NOTHING_POLLED, MISSING, STALE})
    if dead:
        return Gaps([*findings, _dead(overdue, recent, seen)], {MISSING, STALE})
    return Gaps([*findings, *_hours(recent, seen, "")], {STALE})


def _damaged(seen: Seen) -> list[Finding]:
    """Told at once: what is damaged is mended only after that, so that its cause is looked for."""
    if not seen.damaged:
        return []
    spans = Spans()
    spans.add(Window.from_key(key) for key in seen.damaged)
    return [
        Finding(
            kind=DAMAGED.kind,
            severity="problem",
            since=min(seen.damaged.values()),
            size=len(seen.damaged),
            facts={"spans": spans.pairs()},
        )
    ]


def _known_missing(seen: Seen, now: datetime, policy: Policy) -> list[tuple[Window, Window]]:
    """The missing hours; those that were complete a moment ago are left to their run."""
    missing = Spans(seen.missing)
    fresh = [key for key, at in seen.lost.items() if now - at < policy.grace]
    missing.discard(Window.from_key(key) for key in fresh)
    return [(Window.from_key(a), Window.from_key(b)) for a, b in missing.pairs()]


def _stalled(seen: Seen, now: datetime, policy: Policy) -> bool:
    """Whether the healing of what was missing at the beginning has come to a halt."""
    return now - max(seen.resumed_at, seen.progress_at, seen.relieved_at) >= policy.grace


def _overdue(
    spans: Sequence[tuple[Window, Window]],
    seen: Seen,
    opened: Collection[Key],
    now: datetime,
    policy: Policy,
) -> list[tuple[Window, Window]]:
    """The hours whose grace is over; for those of an open incident it is not given again."""
    late = _until(spans, None, now - policy.settle - policy.grace)
    if MISSING in opened or NOTHING_POLLED in opened:
        return late
    if now - seen.relieved_at < policy.grace:
        return []
    if _stalled(seen, now, policy):
        return late
    return _from(late, seen.resumed_at - policy.settle)


def _nobody_asks(
    overdue: Sequence[tuple[Window, Window]], seen: Seen, now: datetime, policy: Policy
) -> bool:
    """Whether no request of any outcome was made, although hours wait for one."""
    if any(a.key <= key < b.key for key in seen.causes for a, b in overdue):
        return False
    return seen.asked_at is None or now - seen.asked_at >= policy.grace


def _may_stand_still(
    overdue: Sequence[tuple[Window, Window]], seen: Seen, now: datetime, policy: Policy
) -> bool:
    """Whether it looks as if nobody asked any more, and a little later it will be known.

    Missing hours for which no request is known would be told now, and the standstill beside them.
    """
    return _nobody_asks(overdue, seen, now + policy.grace / 2, policy)


def _dead(
    overdue: Sequence[tuple[Window, Window]],
    recent: Sequence[tuple[Window, Window]],
    seen: Seen,
) -> Finding:
    return Finding(
        kind="nothing polled",
        severity="urgent",
        since=seen.asked_at or overdue[0][0].end,
        size=_size(recent),
        facts={"spans": _keys(recent)},
    )


def _credentials(
    seen: Seen,
    spans: Sequence[tuple[Window, Window]],
    due: Sequence[tuple[Window, Window]],
    absent: str,
) -> Finding | None:
    """Told at once: nothing comes before somebody acts."""
    if seen.refused is None and not (absent and due):
        return None
    return Finding(
        kind="credentials refused",
        severity="urgent",
        since=seen.resumed_at if seen.refused is None else seen.refused.at,
        size=_size(spans),
        facts={"spans": _keys(spans), "absent": absent},
    )


def _hours(
    spans: Sequence[tuple[Window, Window]], seen: Seen, subject: str, *, listed_only: bool = False
) -> list[Finding]:
    """One finding for all missing hours, with the newest reason that is known of any of them.

    Hours that a failed check blocks are told as that.
    """
    if not spans:
        return []
    causes = [c for k, c in seen.causes.items() if any(a.key <= k < b.key for a, b in spans)]
    if causes and all(c.error == "HourBlocked" for c in causes) and len(causes) == _size(spans):
        return []
    newest: Cause | None = max(causes, key=lambda cause: cause.at, default=None)
    facts: dict[str, Any] = {"spans": _keys(spans)}
    if newest is not None:
        facts |= {"error": newest.error, "words": newest.words}
    severity: Severity = "notice" if listed_only else "problem"
    return [
        Finding(
            kind="hours missing",
            subject=subject,
            severity=severity,
            since=spans[0][0].end,
            size=_size(spans),
            facts=facts,
            listed_only=listed_only,
        )
    ]


def _stale(
    seen: Seen,
    due: Sequence[tuple[Window, Window]],
    newest: Window,
    now: datetime,
    policy: Policy,
) -> list[Finding]:
    """The newest complete hour is old and no missing hour explains it: waived, or not looked at."""
    if not seen.complete or due:
        return []
    last = Window.from_key(seen.complete[-1][1])
    since = max(last.end + policy.settle, seen.resumed_at)
    if last > newest or now - since < policy.grace + TOO_OLD:
        return []
    hours = last.hours_to(newest.end)
    facts = {"hour": last.previous.key}
    return [
        Finding(
            kind="newest hour too old",
            severity="problem",
            since=last.start,
            size=hours,
            facts=facts,
        )
    ]


def _until(
    spans: Sequence[tuple[Window, Window]], newest: Window | None, moment: datetime
) -> list[tuple[Window, Window]]:
    """The part of ``spans`` whose hours ended by ``moment``, up to ``newest``."""
    last = Window.of(moment)
    last = last if newest is None else min(last, newest.next)
    return [(a, min(b, last)) for a, b in spans if a < last]


def _from(spans: Sequence[tuple[Window, Window]], moment: datetime) -> list[tuple[Window, Window]]:
    """The part of ``spans`` whose hours end after ``moment``."""
    first = Window.of(moment)
    return [(max(a, first), b) for a, b in spans if b > first]


def _size(spans: Sequence[tuple[Window, Window]]) -> int:
    return sum(a.hours_to(b.start) for a, b in spans)


def _keys(spans: Sequence[tuple[Window, Window]]) -> list[list[str]]:
    return [[a.key, b.key] for a, b in spans]
