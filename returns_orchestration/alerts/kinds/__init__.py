"""Every kind of incident, whole: its facts, severity, what inhibits it, its words and its page.

An instance of a kind is a finding; an incident keeps its facts as plain JSON, and ``read`` makes
the same instance from them. The documents quote the first line of a kind's docstring.

To add a kind: write its class in the file of its topic, import it here, find it in ``detection`` (a
kind with ``claims`` is found automatically), and give a sample of it in its test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from returns_orchestration.alerts.kinds.hours import (
    CredentialsRefused,
    HoursDamaged,
    HoursMissing,
    HoursOutdated,
    NewestHourTooOld,
    NothingPolled,
)
from returns_orchestration.alerts.kinds.kind import (
    HISTORY,
    RECOVERY,
    SEVERITIES,
    Key,
    Kind,
    OfClaims,
    Reason,
    Severity,
    Words,
)
from returns_orchestration.alerts.kinds.machine import (
    ChannelDown,
    DiskNearlyFull,
    HomeTooLarge,
    ReportNotMade,
)
from returns_orchestration.alerts.kinds.returns import (
    CheckFailed,
    MixShifted,
    NewNames,
    ReturnsRejected,
    ReturnsVanished,
    Silence,
    Surge,
    TimesNotAsConfigured,
)
from returns_orchestration.alerts.kinds.webhooks import (
    NoWebhooks,
    PollsLackReturns,
    ReceiverSilent,
    SpoolSetAside,
    WebhooksLate,
    WebhooksLost,
    WebhooksRefused,
    WebhooksUnusable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "HISTORY",
    "KINDS",
    "RECOVERY",
    "SEVERITIES",
    "ChannelDown",
    "CheckFailed",
    "CredentialsRefused",
    "DiskNearlyFull",
    "HomeTooLarge",
    "HoursDamaged",
    "HoursMissing",
    "HoursOutdated",
    "Key",
    "Kind",
    "MixShifted",
    "NewNames",
    "NewestHourTooOld",
    "NoWebhooks",
    "NothingPolled",
    "OfClaims",
    "PollsLackReturns",
    "Reason",
    "ReceiverSilent",
    "ReportNotMade",
    "ReturnsRejected",
    "ReturnsVanished",
    "Severity",
    "Silence",
    "SpoolSetAside",
    "Surge",
    "TimesNotAsConfigured",
    "WebhooksLate",
    "WebhooksLost",
    "WebhooksRefused",
    "WebhooksUnusable",
    "Words",
    "of_claim",
    "read",
]


def _kinds(of: type[Kind]) -> Iterator[type[Kind]]:
    for kind in of.__subclasses__():
        if "name" in vars(kind):
            yield kind
        yield from _kinds(kind)


KINDS: Final = {kind.name: kind for kind in _kinds(Kind)}
"""Every kind by its name, derived from the classes above."""


def of_claim(claim: str) -> type[OfClaims]:
    """The kind that a failed claim gives."""
    kinds = (kind for kind in KINDS.values() if issubclass(kind, OfClaims))
    return next((kind for kind in kinds if claim in kind.claims), CheckFailed)


def read(name: str, facts: dict[str, Any]) -> Kind:
    """The instance that an incident was made of; ValueError where no kind has these facts."""
    if name not in KINDS:
        message = f"No kind of incident is called {name}."
        raise ValueError(message)
    return msgspec.convert(facts, KINDS[name])
