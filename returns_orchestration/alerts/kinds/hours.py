"""Incidents about hours: missing, damaged, outdated, or all too old."""

from __future__ import annotations

from typing import Final

from returns_orchestration.alerts.kinds.kind import RECOVERY, Kind, OfHours, Words, page_of
from returns_orchestration.errors import error_named
from returns_orchestration.words import be, count, partition

WAIT: Final = (
    "nothing at first: they are polled again automatically. If it lasts, ask ClickPost; for an "
    "hour that will never come: `returns-orchestration waive`."
)


class CredentialsRefused(OfHours, frozen=True, kw_only=True):
    """ClickPost refuses the key or the user name, or one of them is not set."""

    name = "credentials refused"
    usual_severity = "urgent"
    absent: str = ""

    def words(self) -> Words:
        refused = "ClickPost refuses our key or user name"
        return Words(
            f"No returns arrive: {self.absent}" if self.absent else refused,
            f"No new returns arrive; hours that were polled before are whole. "
            f"{self.missing_so_far}",
            "correct CLICKPOST_KEY and CLICKPOST_USER_NAME, run `returns-orchestration doctor` "
            "until it prints ok, and restart Dagster. Missing hours are then recovered "
            "automatically.",
            "ClickPost accepts our key and user name",
            RECOVERY,
        )


class NothingPolled(OfHours, frozen=True, kw_only=True):
    """Hours are due, and no request was made for a grace period."""

    name = "nothing polled"
    usual_severity = "urgent"
    inhibited_by = (CredentialsRefused,)

    def words(self) -> Words:
        return Words(
            "The pipeline stands still: ClickPost is not being polled",
            f"No new returns arrive, and no run fails either. {self.missing_so_far}",
            "in Dagster, check under Automation that `live_hour` and `missing_hours` are on, and "
            "under Runs that no run hangs in the queue; if so, cancel it and restart Dagster.",
            "ClickPost is being polled again",
            RECOVERY,
        )


class HoursMissing(OfHours, frozen=True, kw_only=True):
    """Hours were due a grace period ago, and no poll of them is kept."""

    name = "hours missing"
    inhibited_by = (CredentialsRefused, NothingPolled)
    error: str = ""

    def words(self) -> Words:
        error, were = error_named(self.error), be(self.size, "was", "were")
        unknown = "every poll of them failed" if self.error else "no request for them is known"
        why = error.missing_because or unknown
        return Words(
            f"{count(self.size, 'hour')} of returns {be(self.size)} missing: {why}",
            f"Missing: {self.spans_text}. Every count over them is too low; no other "
            "count is affected.",
            error.missing_to_do or WAIT,
            f"The {count(self.size, 'hour')} of returns that {were} missing {be(self.size)} there",
            "The counts of these hours are whole again; nothing has to be done.",
        )


class HoursDamaged(OfHours, frozen=True, kw_only=True):
    """A file of an hour is absent or does not match its recorded checksum."""

    name = "hours damaged"

    def words(self) -> Words:
        were = be(self.size, "was", "were")
        return Words(
            f"{count(self.size, 'hour')} of returns {be(self.size)} damaged in the lake",
            f"Damaged: {self.spans_text}. A file there is absent or does not match its "
            "recorded checksum.",
            "nothing at once: the sensor `missing_hours` quarantines damaged files, builds the "
            "hours again, and polls an hour again if its poll is lost. Look for the cause on the "
            "disk; `returns-orchestration verify` names the files.",
            f"The {count(self.size, 'hour')} of returns that {were} damaged {be(self.size)} mended",
            "The counts of these hours are whole again; the damaged files are in `_quarantine/`.",
        )


class HoursOutdated(Kind, frozen=True, kw_only=True):
    """Hours were built by the rules of an earlier release, and are yet to be rebuilt."""

    name = "hours outdated"
    usual_severity = "notice"

    def words(self) -> Words:
        hours = f"{count(self.size, 'hour')} of returns {be(self.size)}"
        return Words(
            f"{hours} being rebuilt by new rules",
            "This release reads some values differently, or has other columns. Until an hour is "
            "rebuilt, its tables stay as the earlier release built them.",
            "nothing: the sensor `missing_hours` rebuilds them from the lake, the newest first, "
            "without a request to ClickPost. `returns-orchestration status` counts what is left.",
            f"The {hours} rebuilt by the rules of this release",
            "All hours have the same columns and were read by the same rules.",
        )


class NewestHourTooOld(Kind, frozen=True, kw_only=True):
    """No hour is missing, and the newest complete one is too old: a grace period and an hour."""

    name = "newest hour too old"
    inhibited_by = (CredentialsRefused, NothingPolled, HoursMissing)
    hour: str

    @property
    def page(self) -> str:
        return page_of("raw_returns", self.hour)

    def words(self) -> Words:
        return Words(
            f"The newest complete hour is {count(self.size, 'hour')} old",
            f"It is {partition(self.hour)} UTC; dashboards show no later hour.",
            "run `returns-orchestration status`; hours may have been waived.",
            "New hours of returns are complete again",
            RECOVERY,
        )
