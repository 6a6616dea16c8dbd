"""Every kind of incident, whole: its facts, severity, what inhibits it, its words and its page.

An instance of a kind is a finding; an incident keeps its facts as plain JSON, and ``read`` makes
the same instance from them. The documents quote the first line of a kind's docstring. Words are for
a reader who has never seen the code: hours are in UTC, like partitions; there is no secret and no
value of a record, and names of reasons and modes are truncated and redacted.

To add a kind: write its class here, find it in ``detection`` (a kind with ``claims`` is found
automatically), and give a sample of it in its test.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - msgspec
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, NamedTuple
from urllib.parse import quote

import msgspec

from returns_orchestration.errors import error_named
from returns_orchestration.lake.news import NewName  # noqa: TC001 - msgspec
from returns_orchestration.state.mix import Shift  # noqa: TC001 - msgspec
from returns_orchestration.state.news import count_of
from returns_orchestration.window import Window
from returns_orchestration.words import be, count, listed, newest, partition, redacted_name, utc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from returns_orchestration.lake.news import Kind as NameKind

Severity = Literal["urgent", "problem", "notice"]
"""`urgent`: numbers are wrong or have stopped; `problem`: look today; `notice`: it can wait."""

SEVERITIES: Final[tuple[Severity, ...]] = ("notice", "problem", "urgent")
SHIFTS_SHOWN: Final = 3
HISTORY: Final = "history"
"""The subject of hours older than the watch by more than a week: listed, not sent."""


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
        return _page("raw_returns", self.spans[-1][0] if self.spans else "")

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
        return _page("raw_returns", self.hour)

    def words(self) -> Words:
        return Words(
            f"The newest complete hour is {count(self.size, 'hour')} old",
            f"It is {partition(self.hour)} UTC; dashboards show no later hour.",
            "run `returns-orchestration status`; hours may have been waived.",
            "New hours of returns are complete again",
            RECOVERY,
        )


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


class WebhooksUnusable(OfClaims, frozen=True, kw_only=True):
    """Webhooks come that cannot be used: no JSON, no reference number or no readable time."""

    name = "webhooks unusable"
    claims = ("every_webhook_can_be_used",)

    def words(self) -> Words:
        return Words(
            f"Webhooks come that cannot be used, {self.count_text}",
            f"{self.happened} ({self.periods_text}). They are in no table but `rejected_webhooks`; "
            "what polls bring of these returns is counted.",
            "look at the reasons in `rejected_webhooks`, and send ClickPost those webhooks; they "
            "hold personal data.",
            "No more webhooks come that cannot be used",
            NO_MORE,
        )


class PollsLackReturns(OfClaims, frozen=True, kw_only=True):
    """Polls lack returns that webhooks brought, a day after their hour."""

    name = "polls lack returns"
    usual_severity = "urgent"
    claims = ("polls_have_every_return_of_a_webhook",)

    def words(self) -> Words:
        return Words(
            f"Polls lack returns that webhooks brought, {self.count_text}",
            f"{self.happened} ({self.periods_text}). The tables have these returns by their "
            "webhook only: a later poll of their hour did not serve them either.",
            "ask ClickPost, with the references in `webhook_matches` whose verdict is "
            "`webhook_only`; check CLICKPOST_TIME_ZONE and RETURNS_WEBHOOK_TIME_ZONE.",
            "Polls have the returns that webhooks bring",
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
        return _page("returns", self.hour)

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
        return _page("return_reasons_daily" if of_reasons else "refund_modes_daily", self.day)

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


class ReceiverSilent(Kind, frozen=True, kw_only=True):
    """The receiver of webhooks gives no sign of life, or cannot store webhooks."""

    name = "receiver silent"
    usual_severity = "urgent"
    usual_page = "webhooks_arrived"
    problem: str = ""

    def words(self) -> Words:
        title = "The receiver of webhooks does not listen"
        means = "ClickPost's webhooks are lost meanwhile, if it does not send them again."
        to_do = "start it again: `systemctl restart returns-orchestration-receiver`; its log gives "
        if self.subject:
            title = "The receiver of webhooks cannot store them"
            means = f"{self.problem.rstrip('.')}. It answers 503, so ClickPost sends them again."
            to_do = "make room on the disk of its spool, and check its permissions; its log gives "
        return Words(
            title,
            f"{means} Polls go on, so no return is lost.",
            f"{to_do}the reason.",
            "The receiver of webhooks takes them",
            "Polls have what was lost meanwhile.",
        )


class NoWebhooks(Kind, frozen=True, kw_only=True):
    """No webhook comes, although polls bring new returns."""

    name = "no webhooks"
    usual_severity = "urgent"
    usual_page = "webhook_delivery_hourly"
    inhibited_by = (ReceiverSilent,)
    lost: int

    def words(self) -> Words:
        return Words(
            f"No webhooks arrive: {count(self.lost, 'return')} came by polls alone",
            f"In {count(self.size, 'hour')} with new returns not one webhook came. Systems that "
            "wait for webhooks know nothing of these returns; the numbers here are complete.",
            "check in ClickPost's dashboard that the webhook is registered, and send a test by its "
            "way: `returns-orchestration receive --check URL`.",
            "Webhooks arrive again",
            "`returns-orchestration webhooks` lists what was lost meanwhile.",
        )


class WebhooksRefused(Kind, frozen=True, kw_only=True):
    """The receiver refuses webhooks for their key, and takes none."""

    name = "webhooks refused"
    usual_page = "webhooks_arrived"
    inhibited_by = (ReceiverSilent,)
    refused: int
    without_key: int

    def words(self) -> Words:
        likely = (
            "They had no key at all: a proxy probably drops the header `webhook_key`; nginx needs "
            "`underscores_in_headers on;`."
            if self.without_key == self.refused
            else "Their key is none of RETURNS_WEBHOOK_KEYS."
        )
        return Words(
            f"{count(self.refused, 'webhook')} were refused for their key",
            f"{likely} None was accepted in the last hour.",
            "compare the key at ClickPost, then send a test by its way: `returns-orchestration "
            "receive --check URL`.",
            "Webhooks are not refused any more",
            "`returns-orchestration webhooks` lists what was lost meanwhile.",
        )


class WebhooksLost(Kind, frozen=True, kw_only=True):
    """Fewer webhooks are delivered than RETURNS_WEBHOOK_EXPECTED, beyond chance."""

    name = "webhooks lost"
    usual_page = "webhook_delivery_hourly"
    inhibited_by = (NoWebhooks, ReceiverSilent)
    both: int
    lost: int

    def words(self) -> Words:
        total = self.both + self.lost
        return Words(
            f"{self.lost:,} of {count(total, 'webhook')} were lost: {self.both / total:.1%} came",
            f"In the newest {count(self.size, 'hour')} with returns in which the receiver "
            "listened. Systems that wait for webhooks do not have these returns; the numbers here "
            "are complete.",
            "`returns-orchestration webhooks` lists the hours and `webhook_matches` the returns: "
            "send them to ClickPost. `redeliver` brings them to the systems that wait.",
            "Webhooks are delivered as expected",
            "`webhook_matches` has the returns whose webhook was lost.",
        )


class WebhooksLate(Kind, frozen=True, kw_only=True):
    """Over a tenth of webhooks come an hour late, where most came within 5 minutes."""

    name = "webhooks late"
    usual_severity = "notice"
    usual_page = "webhook_delivery_hourly"
    inhibited_by = (NoWebhooks, ReceiverSilent)
    share: float

    def words(self) -> Words:
        return Words(
            f"{self.share:.0%} of webhooks come over an hour after the request",
            f"In the newest {count(self.size, 'hour')} with returns in which the receiver "
            "listened; most webhooks of the 14 days before came within 5 minutes. Polls bring "
            "these returns meanwhile, so the numbers here are complete.",
            "look at `lag_p90_s` in `webhook_delivery_hourly` for the hour in which it began, and "
            "ask ClickPost.",
            "Webhooks come as quickly as before",
            "Nothing has to be done.",
        )


class SpoolSetAside(Kind, frozen=True, kw_only=True):
    """The receiver could not read its spool of webhooks, moved it away and began a new one."""

    name = "spool set aside"
    usual_page = "webhooks_arrived"
    file: str

    def words(self) -> Words:
        return Words(
            "The spool of webhooks was damaged and is set aside",
            f"It is the file {self.file}. Webhooks of its last minute may not be in the lake; "
            "new ones are taken, and polls have every return.",
            "look for the cause on the disk, then remove the file, and the files beside it whose "
            "names begin alike. `returns-orchestration webhooks` lists what was lost.",
            "The damaged spool of webhooks is gone",
            "`returns-orchestration webhooks` lists what was lost meanwhile.",
        )


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


def _page(asset: str, partition: str) -> str:
    return asset + (f"?view=partitions&partition={quote(partition)}" if partition else "")


RECOVERY: Final = "The missing hours are recovered automatically; nothing has to be done."
NO_MORE: Final = "No hour newly failed for a day, or the failed hours were mended."
WAIT: Final = (
    "nothing at first: they are polled again automatically. If it lasts, ask ClickPost; for an "
    "hour that will never come: `returns-orchestration waive`."
)
