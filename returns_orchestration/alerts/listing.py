"""The standing list: what is wrong now, and since when, for a terminal, a script and the UI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from returns_orchestration.alerts import told
from returns_orchestration.alerts.words import WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from returns_orchestration.alerts.incidents import Incident

HEADER = ("number", "severity", "since", "until", "sent", "what")


def plain(incident: Incident) -> dict[str, Any]:
    """One incident as `incidents --json` prints it; times are ISO 8601, UTC."""
    what, means, mend = WORDS[incident.kind](incident)
    ended = incident.closed_at
    return {
        "number": incident.number,
        "kind": incident.kind,
        "subject": incident.subject,
        "severity": incident.severity,
        "open": incident.is_open,
        "since": incident.since.isoformat(),
        "opened_at": incident.opened_at.isoformat(),
        "closed_at": ended.isoformat() if ended else None,
        "sent": incident.told_at is not None,
        "size": incident.size,
        "what": what,
        "means": means,
        "to_do": mend,
    }


def cells(incident: Incident) -> tuple[str, ...]:
    """One incident as a line of the list."""
    what, _, _ = WORDS[incident.kind](incident)
    ended = told.utc(incident.closed_at) if incident.closed_at else "open"
    sent = "listed only" if incident.listed_only else "yes" if incident.told_at else "not yet"
    since = told.utc(incident.since)
    return (str(incident.number), incident.severity, since, ended, sent, what)


def in_order(incidents: Iterable[Incident]) -> list[Incident]:
    """Open ones first, and of each kind the newest first."""
    return sorted(incidents, key=lambda i: (not i.is_open, -i.number))


def as_markdown(incidents: Sequence[Incident]) -> str:
    """The list as the asset's page shows it."""
    if not incidents:
        return "Nothing is wrong."
    lines = [cells(incident) for incident in in_order(incidents)]
    shown = [HEADER, tuple("---" for _ in HEADER), *lines]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in shown)
