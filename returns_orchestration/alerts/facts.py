"""What alerts are made of, as plain values: verdicts of checks, findings, and the policy.

A finding is what a detector says is wrong now; whether anybody is told, and when, is decided in
``incidents``. Nothing here reads a clock, the lake or a log.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta  # noqa: TC003 - msgspec reads the annotations
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import msgspec

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

Severity = Literal["urgent", "problem", "notice"]
"""`urgent`: numbers are wrong or stop; `problem`: somebody should look today; `notice` can wait."""

SEVERITIES: Final[tuple[Severity, ...]] = ("notice", "problem", "urgent")

Kind = Literal[
    "credentials refused",
    "nothing polled",
    "hours missing",
    "hours damaged",
    "hours outdated",
    "newest hour too old",
    "times not as configured",
    "returns rejected",
    "returns vanished",
    "check failed",
    "silence",
    "surge",
    "mix shifted",
    "channel down",
]


class Key(NamedTuple):
    """What tells one incident from another: its kind and, where there are several, of what."""

    kind: Kind
    subject: str


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is wrong now.

    ``since`` is when it began; ``size`` counts what it concerns, so that growth is seen;
    ``facts`` are what the message needs; ``listed_only`` ones are shown in the list and not sent.
    """

    kind: Kind
    severity: Severity
    since: datetime
    subject: str = ""
    size: int = 1
    facts: dict[str, Any] = {}
    listed_only: bool = False

    @property
    def key(self) -> Key:
        """Two findings of one key are the same incident."""
        return Key(self.kind, self.subject)


class FailedClaim(msgspec.Struct, frozen=True, kw_only=True):
    """One claim of a check that does not hold; ``cause`` is the error's type, where one was met."""

    name: str
    weight: str
    verdict: str
    figures: str
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one check said of one hour or day (a partition key), and when; no ``failed``: passed."""

    asset: str
    period: str
    at: datetime
    failed: tuple[FailedClaim, ...] = ()


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From ``begin`` to ``end`` o'clock in ``zone`` what can wait does; equal: there are none."""

    begin: int
    end: int
    zone: ZoneInfo

    def hold(self, moment: datetime) -> bool:
        """Whether ``moment`` lies in them."""
        hour = moment.astimezone(self.zone).hour
        if self.begin <= self.end:
            return self.begin <= hour < self.end
        return hour >= self.begin or hour < self.end


@dataclass(frozen=True, slots=True)
class Policy:
    """How patient alerts are.

    ``grace`` is how long after it was due an hour may be missing, ``cooldown`` how long after its
    end an incident that comes back stays silent, ``settle`` when an hour is due after its end.
    """

    grace: timedelta
    cooldown: timedelta
    quiet: QuietHours
    settle: timedelta
