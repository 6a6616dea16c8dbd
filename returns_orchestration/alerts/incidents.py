"""Findings become incidents: opened once, grown silently, closed with a message.

``step`` is a pure function of the incidents so far, the findings of now and the time. What can wait
is told after the quiet hours, and not at all if it is over by then; what comes back within the
cooldown is told only if it outlasts that; what is listed only is never told.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from returns_orchestration.alerts.facts import SEVERITIES, Finding, Key, Kind, Policy, Severity

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

REMEMBERED: Final = timedelta(days=30)
"""How long a closed incident stays in the state; the `alerts` table keeps it for ever."""

Event = Literal["opened", "grew", "told", "closed", "told over"]


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is or was wrong; ``told_at`` and ``told_over_at`` say what was sent of it."""

    number: int
    kind: Kind
    subject: str
    severity: Severity
    since: datetime
    opened_at: datetime
    size: int
    facts: dict[str, Any]
    listed_only: bool = False
    wait_until: datetime | None = None
    told_at: datetime | None = None
    closed_at: datetime | None = None
    told_over_at: datetime | None = None

    @property
    def key(self) -> Key:
        """What it is about; one incident of a key is open at a time."""
        return Key(self.kind, self.subject)

    @property
    def is_open(self) -> bool:
        """Whether it is not over."""
        return self.closed_at is None


@dataclass(frozen=True, slots=True)
class Step:
    """The incidents after a look, and what happened to which, in order."""

    incidents: list[Incident]
    changes: list[tuple[Event, Incident]]


def step(
    known: Iterable[Incident],
    findings: Iterable[Finding],
    held: Collection[Key],
    now: datetime,
    policy: Policy,
) -> Step:
    """The incidents as they are ``now``.

    ``held`` are the keys that could not be judged this time: an open incident of theirs stays.
    """
    incidents = {incident.number: incident for incident in known}
    opened = {i.key: i for i in incidents.values() if i.is_open}
    changes: list[tuple[Event, Incident]] = []
    found = {finding.key: finding for finding in findings}

    def put(event: Event, incident: Incident) -> None:
        incidents[incident.number] = incident
        changes.append((event, incident))

    for key, finding in found.items():
        incident = opened.get(key)
        if incident is None:
            number = max(incidents, default=0) + 1
            put("opened", _opened(number, finding, incidents.values(), now, policy))
        else:
            grown = _grown(incident, finding)
            incidents[grown.number] = grown
            if grown.size > incident.size:
                changes.append(("grew", grown))
    for key, incident in opened.items():
        if key not in found and key not in held:
            put("closed", msgspec.structs.replace(incident, closed_at=now))
    for incident in list(incidents.values()):
        if _may_be_told(incident, now, policy):
            put("told", msgspec.structs.replace(incident, told_at=now))
        elif _end_may_be_told(incident, now, policy):
            put("told over", msgspec.structs.replace(incident, told_over_at=now))
    kept = [i for i in incidents.values() if i.closed_at is None or now - i.closed_at < REMEMBERED]
    # The newest number is kept whatever its age, since the next one counts on from it.
    newest = incidents.get(max(incidents, default=0))
    return Step(kept if newest is None or newest in kept else [*kept, newest], changes)


def _opened(
    number: int, finding: Finding, earlier: Iterable[Incident], now: datetime, policy: Policy
) -> Incident:
    ends = [i.closed_at for i in earlier if i.key == finding.key and i.closed_at and i.told_at]
    again = max(ends) + policy.cooldown if ends else None
    return Incident(
        number=number,
        kind=finding.kind,
        subject=finding.subject,
        severity=finding.severity,
        since=finding.since,
        opened_at=now,
        size=finding.size,
        facts=finding.facts,
        listed_only=finding.listed_only,
        wait_until=again if again and again > now else None,
    )


def _grown(incident: Incident, finding: Finding) -> Incident:
    """The incident at its greatest: while it shrinks again, it keeps saying how large it was."""
    severity = max(incident.severity, finding.severity, key=SEVERITIES.index)
    if finding.size < incident.size:
        return msgspec.structs.replace(incident, severity=severity)
    return msgspec.structs.replace(
        incident,
        severity=severity,
        since=min(incident.since, finding.since),
        size=finding.size,
        facts=finding.facts,
    )


def _may_be_told(incident: Incident, now: datetime, policy: Policy) -> bool:
    if not incident.is_open or incident.told_at is not None or incident.listed_only:
        return False
    if incident.wait_until is not None and now < incident.wait_until <= now + policy.cooldown:
        return False
    return incident.severity != "notice" or not policy.quiet.hold(now)


def _end_may_be_told(incident: Incident, now: datetime, policy: Policy) -> bool:
    if incident.is_open or incident.told_at is None or incident.told_over_at is not None:
        return False
    return incident.severity != "notice" or not policy.quiet.hold(now)
