"""The messages: what happened, since when, what it means for the numbers, what mends it, where.

One function for each kind, from the incident's facts alone: at most ten lines with the title, no
secret, no value of a record. Names of reasons and modes are aggregates; they are cut short, and
what looks like a number or an address in them is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from returns_orchestration.alerts import ends, told
from returns_orchestration.alerts.outbox import Message

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from returns_orchestration.alerts.facts import Kind
    from returns_orchestration.alerts.incidents import Incident

CHECKS: Final = "?view=checks"
PARTITIONS: Final = "?view=partitions&partition="
LONGEST_LINE: Final = 300


class Author:
    """Words messages for one deployment: its Dagster's address, and the zone of its people."""

    def __init__(self, dagster_url: str, zone: ZoneInfo) -> None:
        self._url = dagster_url.rstrip("/")
        self._zone = zone

    def opened(self, incident: Incident) -> Message:
        """What is wrong."""
        title, means, mend = WORDS[incident.kind](incident)
        since = f"Since {self._both(incident.since)}."
        lines = [since, means, f"To do: {mend}", f"Look: {self.link(incident)}"]
        return Message(
            incident=incident.number,
            tone=incident.severity,
            title=f"[{incident.severity}] {title}",
            text=_fit(lines),
        )

    def over(self, incident: Incident) -> Message:
        """It is over."""
        what, _, _ = WORDS[incident.kind](incident)
        title, text = ends.ended(incident)
        until = incident.closed_at or incident.opened_at
        lines = [
            f"It was: {what}.",
            f"From {self._both(incident.since)} to {self._both(until)}.",
            text,
            f"Look: {self.link(incident)}",
        ]
        return Message(
            incident=incident.number, tone="over", title=f"[over] {title}", text=_fit(lines)
        )

    def link(self, incident: Incident) -> str:
        """The page that shows it."""
        facts = incident.facts
        spans = facts.get("spans")
        if incident.kind == "channel down":
            return f"{self._url}/assets/alerts"
        if "claim" in facts:
            return f"{self._url}/assets/{facts['asset']}{CHECKS}"
        if "day" in facts:
            asset = (
                "return_reasons_daily" if facts["of"] == "return reasons" else "refund_modes_daily"
            )
            return f"{self._url}/assets/{asset}{PARTITIONS}{quote(facts['day'])}"
        hour = spans[-1][0] if spans else facts.get("hour", "")
        asset = "returns" if incident.kind in {"silence", "surge"} else "raw_returns"
        return f"{self._url}/assets/{asset}" + (f"{PARTITIONS}{quote(hour)}" if hour else "")

    def _both(self, moment: datetime) -> str:
        """UTC, as the hours are called, and the time on the wall where that differs."""
        there = moment.astimezone(self._zone)
        if not there.utcoffset():
            return f"{told.utc(moment)} UTC"
        return f"{told.utc(moment)} UTC ({there:%H:%M} in {self._zone.key})"


def test_message() -> Message:
    """What `alert --test` sends."""
    return Message(
        incident=0,
        tone="test",
        title="[test] returns-orchestration can reach this channel",
        text="Nothing is wrong: somebody ran `returns-orchestration alert --test`.\n"
        "Alerts about ClickPost's returns will arrive here, one message when something is wrong "
        "and one when it is over.",
    )


def lake_fails(error: str) -> Message:
    """The one message that nothing can be kept of: the lake itself fails."""
    return Message(
        incident=0,
        tone="urgent",
        title="[urgent] The lake cannot be read or written",
        text=_fit([error, "No new returns are kept, and alerts cannot tell of anything else."]),
    )


LAKE_WORKS: Final = Message(
    incident=0,
    tone="over",
    title="[over] The lake can be read and written",
    text="Hours that are missing come by themselves; nothing has to be done.",
)


def _fit(lines: list[str]) -> str:
    """At most nine lines, none of them endless."""
    cut = [line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 1] + "…" for line in lines]
    return "\n".join(cut[:9])


WORDS: Final[dict[Kind, Callable[[Incident], told.Words]]] = {
    "credentials refused": told.credentials_refused,
    "nothing polled": told.nothing_polled,
    "hours missing": told.hours_missing,
    "hours damaged": told.hours_damaged,
    "hours outdated": told.hours_outdated,
    "newest hour too old": told.newest_hour_too_old,
    "times not as configured": told.times_not_as_configured,
    "returns rejected": told.returns_rejected,
    "returns vanished": told.returns_vanished,
    "check failed": told.check_failed,
    "silence": told.silence,
    "surge": told.surge,
    "mix shifted": told.mix_shifted,
    "channel down": told.channel_down,
}
"""Kind to its title, what it means for the numbers, and what to do."""
