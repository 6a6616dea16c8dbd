"""Incidents about what ClickPost sends: claims that fail, unusual numbers, new names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from returns_orchestration.alerts.kinds.kind import (
    NO_MORE,
    Kind,
    OfClaims,
    Severity,
    Words,
    page_of,
)
from returns_orchestration.lake.news import NewName  # noqa: TC001 - msgspec
from returns_orchestration.state.mix import Shift  # noqa: TC001 - msgspec
from returns_orchestration.state.news import count_of
from returns_orchestration.window import Window
from returns_orchestration.words import count, listed, partition, redacted_name, utc

if TYPE_CHECKING:
    from returns_orchestration.lake.news import Kind as NameKind

SHIFTS_SHOWN: Final = 3


class TimesNotAsConfigured(OfClaims, frozen=True, kw_only=True):
    """Request times do not fit CLICKPOST_TIME_ZONE."""

    name = "times not as configured"
    usual_severity = "urgent"
    claims = (
        "request_times_are_in_utc",
        "every_record_is_requested_in_its_window_or_next_to_it",
        "every_return_is_inside_its_hour_or_next_to_it",
    )

    def words(self) -> Words:
        return Words(
            "Request times do not fit the configured time zone",
            f"{self.happened} ({self.periods_text}). Returns are counted in wrong hours, and may "
            "be in wrong days.",
            "set CLICKPOST_TIME_ZONE to the zone in which the API answers (often Asia/Kolkata), "
            "restart Dagster, then correct the hours polled meanwhile: `returns-orchestration "
            "rezone FROM TO --time-zone ZONE`. If they stay off, ClickPost labels its own time as "
            "UTC: ask ClickPost.",
            "Request times fit the configured time zone",
            "Correct the hours polled meanwhile: `returns-orchestration rezone FROM TO`.",
        )


class ReturnsRejected(OfClaims, frozen=True, kw_only=True):
    """ClickPost sends records without a reference number or a readable request time."""

    name = "returns rejected"
    claims = ("nothing_is_rejected",)

    def words(self) -> Words:
        return Words(
            f"ClickPost sends returns that cannot be used, {self.count_text}",
            f"{self.happened} ({self.periods_text}): no reference number or no readable request "
            "time. They are in no count; they are kept in `rejected_returns`.",
            "send ClickPost the records from `rejected_returns`; it holds personal data.",
            "ClickPost sends no more returns that cannot be used",
            NO_MORE,
        )


class ReturnsVanished(OfClaims, frozen=True, kw_only=True):
    """A later poll of an hour lacks returns that an earlier one had."""

    name = "returns vanished"
    claims = ("no_return_vanished",)

    def words(self) -> Words:
        return Words(
            f"Returns that ClickPost had sent are no longer sent, {self.count_text}",
            f"{self.happened} ({self.periods_text}). They are kept and still counted, so counts "
            "may be higher than in ClickPost's dashboard.",
            "ask ClickPost whether they were deleted; nothing else has to be done here.",
            "No more returns vanish",
            NO_MORE,
        )


class CheckFailed(OfClaims, frozen=True, kw_only=True):
    """Another claim failed: urgent if it blocks the hour, notice if it is only news."""

    name = "check failed"

    @property
    def severity(self) -> Severity:
        by_weight: dict[str, Severity] = {"blocks": "urgent", "warning": "notice"}
        return by_weight.get(self.weight, self.usual_severity)

    def words(self) -> Words:
        claim = self.claim.replace("_", " ")
        # A claim's name states what is true when it holds; its figures show what happened.
        happened = self.happened or f"its check did not pass ('{claim}')"
        periods = [period for period in self.periods if period]
        means = {
            "blocks": "These hours are not published; the tables published before are still there.",
            "warning": "No number is wrong; it is news about the data.",
        }.get(self.weight, "Do not rely on the numbers of these hours before they are checked.")
        return Words(
            f"{self.asset}: {happened}" + (f", {self.count_text}" if periods else ""),
            f"{self.unit.capitalize()}s: {self.periods_text}. {means}" if periods else means,
            "open the check in Dagster; its claims and figures are there, hour by hour.",
            f"{self.asset}: no new failure of '{claim}'",
            NO_MORE,
        )


class Silence(Kind, frozen=True, kw_only=True):
    """Far fewer returns arrive than are usual for the hours."""

    name = "silence"
    count: int
    usual: float
    hour: str

    @property
    def page(self) -> str:
        return page_of("returns", self.hour)

    def words(self) -> Words:
        what = "No returns at all" if self.count == 0 else f"Only {count(self.count, 'return')}"
        return Words(
            f"{what} in {count(self.size, 'hour')}, where about {self.usual:.0f} are usual",
            f"Until {utc(Window.from_key(self.hour).end)} UTC. The API answered, so the numbers "
            "are what ClickPost serves; returns may be lost before they reach ClickPost.",
            "check whether the return page of the shop works, and ask ClickPost; late returns are "
            "polled automatically.",
            "Returns arrive as usual",
            "Late returns are polled automatically.",
        )


class Surge(Silence, frozen=True, kw_only=True):
    """Far more returns arrive in an hour than are usual, beyond what a sale brings."""

    name = "surge"

    def words(self) -> Words:
        return Words(
            f"{count(self.count, 'return')} in one hour, where about {self.usual:.0f} are usual",
            f"The hour from {partition(self.hour)} UTC. ClickPost sends them; they are counted.",
            "look in `return_reasons_hourly` for what they have in common: a faulty batch, an "
            "import, a return page that sends twice.",
            "The number of returns is as usual",
            "The returns of the surge stay counted.",
        )


class MixShifted(Kind, frozen=True, kw_only=True):
    """The share of a return reason or refund mode in a day is far from the days before."""

    name = "mix shifted"
    usual_severity = "notice"
    day: str
    returns: int
    shifts: list[Shift]
    unfinished: bool = False

    @property
    def page(self) -> str:
        of_reasons = self.subject == "return reasons"
        return page_of("return_reasons_daily" if of_reasons else "refund_modes_daily", self.day)

    def words(self) -> Words:
        first, *others = [
            f"'{redacted_name(shift.name)}' {shift.share:.0%} against {shift.usual:.0%} usually"
            for shift in self.shifts[:SHIFTS_SHOWN]
        ]
        also = f" Also: {'; '.join(others)}." if others else ""
        so_far = " so far" if self.unfinished else ""
        return Words(
            first,
            f"Of the {count(self.returns, 'return')} of {self.day}{so_far}, by their "
            f"{self.subject}.{also} The counts are right.",
            "look for the products behind it in `return_items` of that day: a wrong size chart, a "
            "bad batch, a refund mode that is switched off.",
            f"The shares of {self.subject} are as usual",
            "They fit the days before, or have been like this for a week.",
        )


class NewNames(Kind, frozen=True, kw_only=True):
    """ClickPost sends keys, status codes or refund modes that nobody has acknowledged."""

    name = "new names"
    usual_severity = "notice"
    usual_page = "returns?view=checks"
    names: list[NewName]

    def words(self) -> Words:
        by_kind: dict[NameKind, list[str]] = {}
        for new in self.names:
            by_kind.setdefault(new.kind, []).append(new.name)
        counts = [count_of(kind, names) for kind, names in by_kind.items()]
        shown = "; ".join(listed(names) for names in by_kind.values())
        return Words(
            f"ClickPost sends {' and '.join(counts)}",
            f"{shown}. No number is wrong: new keys stay in `raw_returns`, and codes and modes are "
            "counted as they are.",
            "if you know them, run `returns-orchestration acknowledge NAME...`; else ask ClickPost "
            "what they mean.",
            f"The new names of {self.subject} are acknowledged",
            "The check `new_names_are_acknowledged` does not warn of them any more.",
        )
