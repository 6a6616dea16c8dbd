"""Incidents about the machine: disks, DAGSTER_HOME, the report, and the channels of alerts."""

from __future__ import annotations

from returns_orchestration.alerts.kinds.hours import HoursMissing, NewestHourTooOld, NothingPolled
from returns_orchestration.alerts.kinds.kind import Kind, Words
from returns_orchestration.words import count


class DiskNearlyFull(Kind, frozen=True, kw_only=True):
    """Over 85 % of the bytes or inodes of the lake's or DAGSTER_HOME's disk are in use."""

    name = "disk nearly full"
    share: float
    free: int
    places: list[str]

    def words(self) -> Words:
        places = " and ".join(self.places)
        free = f"{self.free:,} inodes" if self.subject == "inodes" else f"{self.free / 1e9:,.1f} GB"
        return Words(
            f"{self.share:.0%} of the {self.subject} under {places} is in use",
            f"Free: {free}. Once nothing is free, no hour can be stored until there is room again; "
            "what is stored stays whole.",
            "run `returns-orchestration prune`, which removes old runs from DAGSTER_HOME, or "
            "enlarge the disk.",
            f"There is room again under {places}",
            "Nothing has to be done.",
        )


class HomeTooLarge(Kind, frozen=True, kw_only=True):
    """DAGSTER_HOME is larger than its hours and the kept runs explain."""

    name = "home too large"
    usual_severity = "notice"
    bytes: int
    limit: int

    def words(self) -> Words:
        return Words(
            f"DAGSTER_HOME takes {self.bytes / 1e9:,.1f} GB",
            f"For its hours and RETURNS_KEEP_RUNS_DAYS of runs, {self.limit / 1e9:,.1f} GB are "
            "enough. No number is affected.",
            "in Dagster, check under Automation that `prune_by_day` is on, then run "
            "`returns-orchestration prune`; it gives the room back to the disk.",
            "DAGSTER_HOME is small again",
            "Nothing has to be done.",
        )


class ReportNotMade(Kind, frozen=True, kw_only=True):
    """The report of a day is not made, eight hours after the day was over."""

    name = "report not made"
    usual_severity = "notice"
    usual_page = "returns_report"
    inhibited_by = (HoursMissing, NothingPolled, NewestHourTooOld)
    day: str

    def words(self) -> Words:
        return Words(
            f"The report of {self.day} is not made",
            "The page shows the days before. `open_returns` and `lateness` are made by the same "
            "run, so they may be old, too; no other table is affected.",
            "in Dagster, check under Automation that `report_by_day` is on, look at the newest run "
            "of the job `report`, and materialize its assets.",
            "The report is made again",
            "Nothing has to be done.",
        )


class ChannelDown(Kind, frozen=True, kw_only=True):
    """A channel of alerts has accepted no message for half an hour."""

    name = "channel down"
    usual_page = "alerts"
    fault: str
    waiting: int

    def words(self) -> Words:
        fault, waiting = self.fault[:1].upper() + self.fault[1:], count(self.waiting, "message")
        return Words(
            f"Alerts do not reach the channel {self.subject}",
            f"{fault}. Undelivered: {waiting}; the numbers are not affected.",
            "run `returns-orchestration alert --test` and correct its address in "
            "RETURNS_ALERT_URLS.",
            f"Alerts reach the channel {self.subject}",
            "The messages that waited for it were delivered.",
        )
