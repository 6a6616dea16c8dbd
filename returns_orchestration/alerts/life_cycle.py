"""Findings become incidents: opened once, grown silently, resolved; and which of them are sent.

``step`` is a pure function of the incidents so far, the findings and the time. A finding that can
wait is sent after the quiet hours, and not at all if it is resolved by then; one that comes back
within the cooldown is sent only if it outlasts it; one that is listed only is never sent. Each that
is not sent has a ``Reason``, and a finding that became no incident is kept with it, for the list.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import msgspec
from msgspec.structs import replace

from returns_orchestration.alerts.kinds import KINDS, SEVERITIES, Key, Reason, Severity, read

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from returns_orchestration.alerts.kinds import Kind
    from returns_orchestration.settings import AlertPolicy

REMEMBERED: Final = timedelta(days=30)
"""How long a resolved incident stays in the state; the `alerts` table keeps it for ever."""

Event = Literal["opened", "grew", "notified", "resolved", "resolution notified"]


class Noted(msgspec.Struct, frozen=True, kw_only=True):
    """A finding as it is kept: its kind by name, and its facts as plain JSON.

    ``silent`` is the reason why it was not sent; empty where it was sent or may be sent at once.
    """

    kind: str
    subject: str = ""
    severity: Severity
    since: datetime
    size: int = 1
    facts: dict[str, Any] = {}
    listed_only: bool = False
    silent: str = ""

    def __post_init__(self) -> None:
        _ = self.finding  # a state with facts that no kind has must be unreadable as a whole

    @property
    def key(self) -> Key:
        """What it is about; one incident of a key is open at a time."""
        return Key(self.kind, self.subject)

    @property
    def finding(self) -> Kind:
        """The finding that it was made of."""
        shared = {"since": self.since, "subject": self.subject, "size": self.size}
        return read(self.kind, self.facts | shared)


class Incident(Noted, frozen=True, kw_only=True):
    """Something that is or was wrong. The names on disk are those of releases before 0.3."""

    number: int
    opened_at: datetime
    wait_until: datetime | None = None
    notified_at: datetime | None = msgspec.field(default=None, name="told_at")
    resolved_at: datetime | None = msgspec.field(default=None, name="closed_at")
    resolution_notified_at: datetime | None = msgspec.field(default=None, name="told_over_at")

    @property
    def is_open(self) -> bool:
        """Whether it is not resolved."""
        return self.resolved_at is None


@dataclass(slots=True)
class Detected:
    """What is wrong now: findings, and those that wait in silence, with the reason.

    ``unjudged`` are keys that could not be judged: their open incidents stay open.
    """

    findings: list[Kind] = field(default_factory=list)
    silent: list[tuple[Kind, str]] = field(default_factory=list)
    unjudged: set[Key] = field(default_factory=set)

    def add(self, finding: Kind | None, silent: Reason | None = None) -> None:
        """Put a finding in, if there is one; with a reason for silence it opens no incident."""
        if finding is not None and silent is None:
            self.findings.append(finding)
        elif finding is not None and silent is not None:
            self.silent.append((finding, silent.value))


class Step(NamedTuple):
    """The incidents after a look, what changed in order, and the findings that became none."""

    incidents: list[Incident]
    changes: list[tuple[Event, Incident]]
    silent: list[Noted]


def step(known: Iterable[Incident], detected: Detected, now: datetime, policy: AlertPolicy) -> Step:
    """The incidents as they are ``now``."""
    incidents = {incident.number: incident for incident in known}
    opened = {i.key: i for i in incidents.values() if i.is_open}
    firing = {finding.name for finding in detected.findings if not finding.listed_only}
    found, silent = _uninhibited(detected, firing)
    silent = [noted for noted in silent if noted.key not in opened]
    changes: list[tuple[Event, Incident]] = []

    def put(event: Event | None, incident: Incident) -> None:
        incidents[incident.number] = incident
        if event:
            changes.append((event, incident))

    for key, finding in found.items():
        incident = opened.get(key)
        if incident is None:
            number = max(incidents, default=0) + 1
            put("opened", _opened(number, finding, incidents.values(), now, policy))
        else:
            grown = _grown(incident, finding)
            put("grew" if grown.size > incident.size else None, grown)
    for key, incident in opened.items():
        if key not in found and key not in detected.unjudged and not _inhibitor(incident, firing):
            put("resolved", replace(incident, resolved_at=now))
    for incident in list(incidents.values()):
        put(*_sent(incident, now, policy))
    kept = [i for i in incidents.values() if not i.resolved_at or now - i.resolved_at < REMEMBERED]
    # The newest number is kept whatever its age, since the next one counts on from it.
    newest = incidents.get(max(incidents, default=0))
    return Step(kept if newest is None or newest in kept else [*kept, newest], changes, silent)


def _uninhibited(
    detected: Detected, firing: Collection[str]
) -> tuple[dict[Key, Kind], list[Noted]]:
    """The findings that make incidents, and those that do not, each with its reason."""
    found, silent = {}, [Noted(**_noted(kind), silent=why) for kind, why in detected.silent]
    for finding in detected.findings:
        inhibitor = _inhibitor(finding, firing)
        if inhibitor:
            silent.append(Noted(**_noted(finding), silent=f"{Reason.INHIBITED} {inhibitor}"))
        else:
            found[finding.key] = finding
    return found, silent


def _inhibitor(noted: Kind | Incident, firing: Collection[str]) -> str:
    """The first of the ``firing`` kinds that explains this one; "" where none does."""
    kinds = () if noted.listed_only else KINDS[noted.key.kind].inhibited_by
    return next((kind.name for kind in kinds if kind.name in firing), "")


def _noted(finding: Kind) -> dict[str, Any]:
    names = ("subject", "severity", "since", "size", "facts", "listed_only")
    return {"kind": finding.name, **{name: getattr(finding, name) for name in names}}


def _opened(
    number: int, finding: Kind, earlier: Iterable[Incident], now: datetime, policy: AlertPolicy
) -> Incident:
    ends = [i.resolved_at for i in earlier if i.key == finding.key and i.notified_at]
    again = max((end + policy.cooldown for end in ends if end), default=None)
    return Incident(**_noted(finding), number=number, opened_at=now, wait_until=again)


def _grown(incident: Incident, finding: Kind) -> Incident:
    """The incident at its greatest: while it shrinks again, it keeps its largest size."""
    severity = max(incident.severity, finding.severity, key=SEVERITIES.index)
    if finding.size < incident.size:
        return replace(incident, severity=severity)
    since, size, facts = min(incident.since, finding.since), finding.size, finding.facts
    return replace(incident, severity=severity, since=since, size=size, facts=facts)


def _sent(incident: Incident, now: datetime, policy: AlertPolicy) -> tuple[Event | None, Incident]:
    """The incident once its message is out, if it may be sent now; else with the reason."""
    quiet = incident.severity == "notice" and policy.quiet.hold(now)
    if incident.is_open and incident.notified_at is None:
        until = incident.wait_until
        if incident.listed_only:
            return None, replace(incident, silent=Reason.LISTED_ONLY.value)
        if until is not None and now < until <= now + policy.cooldown:
            return None, replace(incident, silent=Reason.COOLDOWN.value)
        if quiet:
            return None, replace(incident, silent=Reason.QUIET_HOURS.value)
        return "notified", replace(incident, silent="", notified_at=now)
    to_be_resolved = incident.notified_at and not incident.resolution_notified_at
    if not incident.is_open and to_be_resolved and not quiet:
        return "resolution notified", replace(incident, resolution_notified_at=now)
    return None, incident
