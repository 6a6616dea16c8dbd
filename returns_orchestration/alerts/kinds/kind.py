"""What all kinds of incidents share.

Words are for a reader who has never seen the code: hours are in UTC, like partitions; there is no
secret and no value of a record, and names of reasons and modes are truncated and redacted.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - msgspec
from enum import StrEnum
from typing import Any, ClassVar, Final, Literal, NamedTuple
from urllib.parse import quote

import msgspec

from returns_orchestration.words import count, newest, partition

Severity = Literal["urgent", "problem", "notice"]
"""`urgent`: numbers are wrong or have stopped; `problem`: look today; `notice`: it can wait."""

SEVERITIES: Final[tuple[Severity, ...]] = ("notice", "problem", "urgent")

HISTORY: Final = "history"
"""The subject of hours older than the watch by more than a week: listed, not sent."""

RECOVERY: Final = "The missing hours are recovered automatically; nothing has to be done."

NO_MORE: Final = "No hour newly failed for a day, or the failed hours were mended."


class Reason(StrEnum):
    """Why no message is sent about something that is wrong."""

    GRACE = "within the grace period"
    RECOVERING = "missing_hours is recovering these hours"
    STANDSTILL = "not yet known whether the pipeline stands still"
    INHIBITED = "inhibited by"  # and the kind that explains it
    COOLDOWN = "came back within the cooldown"
    QUIET_HOURS = "quiet hours"
    LISTED_ONLY = "listed only: older than the watch by a week"


class Key(NamedTuple):
    """What an incident is about: its kind and, where a kind has several, its subject."""

    kind: str
    subject: str


class Words(NamedTuple):
    """What is wrong, what it means for the numbers, what to do; and the same once it is over."""

    title: str
    means: str
    to_do: str
    resolved: str
    then: str


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """The facts that all kinds share: since when, the subject, and the size, which shows growth."""

    name: ClassVar[str] = ""
    usual_severity: ClassVar[Severity] = "problem"
    usual_page: ClassVar[str] = "raw_returns"
    inhibited_by: ClassVar[tuple[type[Kind], ...]] = ()
    """While one of these is found, this kind opens no incident and resolves none."""

    since: datetime
    subject: str = ""
    size: int = 1

    @property
    def key(self) -> Key:
        """Two findings of one key are the same incident."""
        return Key(self.name, self.subject)

    @property
    def severity(self) -> Severity:
        """How urgent it is, by its facts."""
        return "notice" if self.listed_only else self.usual_severity

    @property
    def listed_only(self) -> bool:
        """Whether it is shown in the list and not sent."""
        return self.subject == HISTORY

    @property
    def facts(self) -> dict[str, Any]:
        """The facts that only this kind has, as plain JSON."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return {name: plain[name] for name in plain if name not in Kind.__struct_fields__}

    @property
    def page(self) -> str:
        """The page of Dagster's UI that shows it, below ``/assets/``."""
        return self.usual_page

    @property
    def runbook(self) -> str:
        """The heading in docs/operations.md that says what to do, as an anchor."""
        return self.name.replace(" ", "-")

    def words(self) -> Words:
        """Its message, from its facts alone."""
        raise NotImplementedError


class OfHours(Kind, frozen=True, kw_only=True):
    """A kind about spans of hours, as pairs of partition keys."""

    spans: list[list[str]] = []

    @property
    def page(self) -> str:
        return page_of("raw_returns", self.spans[-1][0] if self.spans else "")

    @property
    def spans_text(self) -> str:
        """``2026-11-08 21:00 to 2026-11-09 10:00``, the newest ones where there are many."""
        return (
            newest([f"{partition(a)} to {partition(b)}" for a, b in self.spans], "spans") + " UTC"
        )

    @property
    def missing_so_far(self) -> str:
        if not self.size:
            return "No hour is missing so far."
        return f"Missing so far: {count(self.size, 'hour')}, {self.spans_text}."


class OfClaims(Kind, frozen=True, kw_only=True):
    """A kind about a claim of an asset check that failed; its periods are partition keys.

    A claim in ``claims`` gives this kind; every other one gives a `check failed`.
    """

    claims: ClassVar[tuple[str, ...]] = ()
    asset: str
    claim: str
    weight: str = ""
    figures: str = ""
    periods: list[str] = []

    @property
    def page(self) -> str:
        return f"{self.asset}?view=checks"

    @property
    def happened(self) -> str:
        """The figures without the advice after a semicolon: the message gives its own advice."""
        return self.figures.split(";", maxsplit=1)[0].rstrip(". ")

    @property
    def periods_text(self) -> str:
        """The newest of its hours or days."""
        return newest([partition(period) for period in self.periods])

    @property
    def unit(self) -> str:
        return "day" if all(len(period) == len("2026-11-09") for period in self.periods) else "hour"

    @property
    def count_text(self) -> str:
        """``in 3 hours`` or ``in 1 day``."""
        return f"in {count(self.size, self.unit)}"


def page_of(asset: str, partition: str) -> str:
    """The page of an asset, and of one partition where it is not ""."""
    return asset + (f"?view=partitions&partition={quote(partition)}" if partition else "")
