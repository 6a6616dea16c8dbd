"""The standing list: what is wrong now, and since when, for a terminal, a script and the UI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from returns_orchestration.alerts.kinds import Words
from returns_orchestration.alerts.life_cycle import Incident
from returns_orchestration.settings.wording import SINGLE
from returns_orchestration.words import utc

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from returns_orchestration.alerts.life_cycle import Noted
    from returns_orchestration.settings.wording import Wording

HEADER = ("number", "severity", "since", "until", "sent", "what")


def plain(noted: Noted, wording: Wording = SINGLE) -> dict[str, Any]:
    """One incident, or a finding that became none, as `incidents --json` prints it.

    Times are ISO 8601, UTC. ``silent`` is the reason why no message was sent.
    """
    words = Words(*map(wording, noted.finding.words()))
    number, opened, ended, sent = None, None, None, False
    if isinstance(noted, Incident):
        number, opened, ended = noted.number, noted.opened_at, noted.resolved_at
        sent = noted.notified_at is not None
    return {
        "number": number,
        "kind": noted.kind,
        "subject": noted.subject,
        "severity": noted.severity,
        "open": opened is not None and ended is None,
        "since": noted.since.isoformat(),
        "opened_at": opened.isoformat() if opened else None,
        "closed_at": ended.isoformat() if ended else None,
        "sent": sent,
        "silent": noted.silent or None,
        "size": noted.size,
        "what": words.title,
        "means": words.means,
        "to_do": words.to_do,
    }


def cells(noted: Noted, wording: Wording = SINGLE) -> tuple[str, ...]:
    """One incident, or a finding that became none, as a line of the list."""
    number, until, sent = "-", "pending", f"no: {noted.silent}" if noted.silent else "not yet"
    if isinstance(noted, Incident):
        number = str(noted.number)
        until = utc(noted.resolved_at) if noted.resolved_at else "open"
        sent = "yes" if noted.notified_at else sent
    title = wording(noted.finding.words().title)
    return (number, noted.severity, utc(noted.since), until, sent, title)


def in_order(incidents: Iterable[Incident]) -> list[Incident]:
    """Open ones first, the newest first among the open and among the resolved."""
    return sorted(incidents, key=lambda i: (not i.is_open, -i.number))


def as_markdown(incidents: Sequence[Incident], wording: Wording = SINGLE) -> str:
    """The list as the asset's page shows it."""
    if not incidents:
        return "Nothing is wrong."
    shown = [
        HEADER,
        tuple("---" for _ in HEADER),
        *(cells(incident, wording) for incident in in_order(incidents)),
    ]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in shown)
