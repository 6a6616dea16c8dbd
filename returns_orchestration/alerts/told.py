"""What each kind of incident says: its title, what it means for the numbers, and what to do.

Pure functions of an incident, in words for somebody who has never seen the code. Hours are named in
UTC, as the partitions are. How the lines are put together is in ``words``.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from returns_orchestration.window import Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from returns_orchestration.alerts.incidents import Incident


class Words(NamedTuple):
    """What happened, what it means for the numbers, and what to do."""

    title: str
    means: str
    mend: str


SPANS_SHOWN: Final = 3
NAMES_SHOWN: Final = 3
LONGEST_NAME: Final = 40
_PERSONAL: Final = re.compile(r"\S*@\S*|\+?\d[\d ()-]{4,}")

REASONS: Final = {
    "NoConnection": "nobody answers at CLICKPOST_BASE_URL",
    "Unreachable": "the API does not answer in time",
    "Throttled": "the API asks us to slow down (429)",
    "AskedToWait": "the API asks us to wait (429)",
    "ServerFault": "the API fails on ClickPost's side",
    "AnswerPending": "the API accepts the requests and has no answers yet",
    "MalformedReply": "the API's replies cannot be read",
    "RequestRefused": "the API refuses the requests",
    "RedirectRefused": "the API has moved to another address",
    "NextPageRefused": "the API's pages lead nowhere",
    "NotOver": "they were asked for before their end",
    "RecordsLeftOut": "the API serves only a part of an hour's returns",
    "ClockAhead": "this machine's clock is ahead of ClickPost's",
    "StaleReply": "a cache answers for ClickPost with old replies",
    "LakeUnwritable": "the lake cannot be written",
    "LakeDamaged": "a file of the lake is damaged",
    "HourBlocked": "a check blocks them",
    "ZoneChanged": "CLICKPOST_TIME_ZONE is another one than when they were polled",
}
"""The error's type to why hours are missing."""

REMEDIES: Final = {
    "NoConnection": "run `returns-orchestration doctor`; if it cannot connect either, check the "
    "network and CLICKPOST_BASE_URL.",
    "Throttled": "lower CLICKPOST_MAX_REQUESTS_PER_SECOND and restart Dagster.",
    "RequestRefused": "run `returns-orchestration doctor` and check CLICKPOST_BASE_URL and "
    "CLICKPOST_TIME_ZONE.",
    "RedirectRefused": "set CLICKPOST_BASE_URL to the address that ClickPost names now, then "
    "restart Dagster.",
    "RecordsLeftOut": "ask ClickPost how the rest of an hour is read.",
    "ClockAhead": "set this machine's clock right, best by NTP.",
    "StaleReply": "have the proxy or cache on the way pass requests to the API through.",
    "LakeUnwritable": "run `returns-orchestration doctor`; it says what RETURNS_LAKE refuses and "
    "what to do.",
    "LakeDamaged": "run `returns-orchestration backfill FROM TO --repoll` for them.",
    "HourBlocked": "look at their checks in Dagster.",
    "ZoneChanged": "set CLICKPOST_TIME_ZONE back and restart Dagster; for another zone, poll the "
    "hours into an empty RETURNS_LAKE.",
}
WAIT: Final = (
    "nothing at first: they are asked for again by themselves. If it lasts, ask ClickPost; an hour "
    "that will never come: `returns-orchestration waive`."
)


def credentials_refused(incident: Incident) -> Words:
    """The key or the user name is wrong, or not set."""
    absent = incident.facts.get("absent")
    title = f"No returns arrive: {absent}" if absent else "ClickPost refuses our key or user name"
    means = "No new returns arrive; what was fetched before is whole. " + _missing_now(incident)
    mend = (
        "correct CLICKPOST_KEY and CLICKPOST_USER_NAME, see that `returns-orchestration doctor` "
        "says ok, restart Dagster. The missing hours then come by themselves."
    )
    return Words(title, means, mend)


def nothing_polled(incident: Incident) -> Words:
    """Hours wait, and nobody asks for them."""
    return Words(
        "The pipeline is standing still: ClickPost is not being asked",
        "No new returns arrive, and nothing fails either. " + _missing_now(incident),
        "in Dagster, see under Automation that `live_hour` and `missing_hours` are on, and under "
        "Runs that none hangs in the queue; if so, cancel it and restart Dagster.",
    )


def hours_missing(incident: Incident) -> Words:
    """Hours that did not come, and why."""
    error = incident.facts.get("error", "")
    why = REASONS.get(
        error, "they were asked for in vain" if error else "no request for them is known"
    )
    title = f"{hours_text(incident.size)} of returns {_are(incident.size)} missing: {why}"
    means = (
        f"Missing: {spans_text(incident.facts['spans'])} UTC. Every count over them is too low; "
        "nothing else is affected."
    )
    return Words(title, means, REMEDIES.get(error, WAIT))


def hours_damaged(incident: Incident) -> Words:
    """Hours of which a file is not what was recorded, or a poll was lost."""
    return Words(
        f"{hours_text(incident.size)} of returns {_are(incident.size)} damaged in the lake",
        f"Damaged: {spans_text(incident.facts['spans'])} UTC. A file there is absent or not what "
        "was recorded when it was written.",
        "nothing has to be done at once: the sensor `missing_hours` sets aside what is damaged, "
        "makes it again, and polls an hour again whose poll is lost. Look for the cause on the "
        "disk; `returns-orchestration verify` names the files.",
    )


def hours_outdated(incident: Incident) -> Words:
    """Hours whose tables were made by earlier rules than those of this release."""
    return Words(
        f"{hours_text(incident.size)} of returns {_are(incident.size)} being rebuilt by new rules",
        "This release reads some values in another way, or has other columns. Until an hour is "
        "rebuilt, its tables stay as the release before made them.",
        "nothing: the sensor `missing_hours` rebuilds them from the lake, the newest first, "
        "without a request to ClickPost. `returns-orchestration status` counts what is left.",
    )


def newest_hour_too_old(incident: Incident) -> Words:
    """No hour is missing, and none is new."""
    return Words(
        f"The newest complete hour is {hours_text(incident.size)} old",
        f"It is {_hour(incident.facts['hour'])} UTC; dashboards show nothing later.",
        "run `returns-orchestration status`; hours may have been waived.",
    )


def times_not_as_configured(incident: Incident) -> Words:
    """The API's zone is not the one that is set."""
    return Words(
        "Request times do not fit the configured time zone",
        f"{_figures(incident)} ({periods_text(incident.facts['periods'])}). Returns are counted in "
        "wrong hours, and may be in wrong days.",
        "set CLICKPOST_TIME_ZONE to the zone in which the API answers (often Asia/Kolkata), "
        "restart Dagster, then correct the hours polled meanwhile: `returns-orchestration rezone "
        "FROM TO --time-zone ZONE`. If they are off all the same, it labels its own time as UTC: "
        "ask ClickPost.",
    )


def returns_rejected(incident: Incident) -> Words:
    """Records without a reference or a readable time."""
    return Words(
        f"ClickPost sends returns that cannot be used, in {_periods(incident)}",
        f"{_figures(incident)} ({periods_text(incident.facts['periods'])}): no reference number or "
        "no readable request time. They are in no count; they are kept in `rejected_returns`.",
        "send ClickPost the records from `rejected_returns`; it holds personal data.",
    )


def returns_vanished(incident: Incident) -> Words:
    """A repeated poll served fewer returns than an earlier one."""
    return Words(
        f"Returns that ClickPost had sent are no longer sent, in {_periods(incident)}",
        f"{_figures(incident)} ({periods_text(incident.facts['periods'])}). They are kept and "
        "still counted, so counts may be higher than in ClickPost's dashboard.",
        "ask ClickPost whether they were deleted; nothing else has to be done here.",
    )


def check_failed(incident: Incident) -> Words:
    """Any other claim of a check."""
    facts = incident.facts
    claim = claim_text(incident)
    cannot = facts["verdict"] == "cannot tell"
    title = f"A check of {facts['asset']} {'cannot tell' if cannot else 'fails'}: {claim}"
    means = {
        "blocks": "These hours are not published; what stood there before still does.",
        "error": "Do not rely on the numbers of these hours before somebody has looked.",
        "warning": "No number is wrong; it is news about the data.",
    }.get(facts["weight"], "")
    return Words(
        title,
        f"{_figures(incident)} ({periods_text(facts['periods'])}). {means}".strip(),
        "open the check in Dagster; its claims and figures are there, hour by hour.",
    )


def silence(incident: Incident) -> Words:
    """Far fewer returns than usual."""
    facts = incident.facts
    count, hours = facts["count"], hours_text(facts["hours"])
    what = "No returns at all" if count == 0 else f"Only {count} returns"
    return Words(
        f"{what} in {hours}, where about {facts['usual']:.0f} are usual",
        f"Until {_hour(facts['hour'], end=True)} UTC. The API answered, so the numbers are what "
        "ClickPost serves; returns may be lost before they reach ClickPost.",
        "see whether the return page of the shop works and ask ClickPost; late returns are polled "
        "for again by themselves.",
    )


def surge(incident: Incident) -> Words:
    """Far more returns than usual."""
    facts = incident.facts
    return Words(
        f"{facts['count']} returns in one hour, where about {facts['usual']:.0f} are usual",
        f"The hour from {_hour(facts['hour'])} UTC. They are real to ClickPost and are counted.",
        "see in `return_reasons_hourly` what they have in common: a faulty batch, an import, a "
        "return page that sends twice.",
    )


def mix_shifted(incident: Incident) -> Words:
    """Reasons or modes with other shares than usual."""
    shifts = incident.facts["shifts"][:NAMES_SHOWN]
    first = shifts[0]
    rest = "; ".join(_share(shift) for shift in shifts[1:])
    few = " so far" if incident.facts.get("unfinished") else ""
    return Words(
        _share(first),
        f"Of the {incident.facts['returns']} returns of {incident.facts['day']}{few}, by their "
        f"{incident.facts['of']}. " + (f"Also: {rest}. " if rest else "") + "The counts are right.",
        "look for the products behind it in `return_items` of that day: a wrong size chart, a bad "
        "batch, a refund mode that is switched off.",
    )


def channel_down(incident: Incident) -> Words:
    """A channel of alerts that takes no messages."""
    fault = str(incident.facts["fault"])
    return Words(
        f"Alerts do not reach the channel {incident.subject}",
        f"{fault[:1].upper()}{fault[1:]}. {incident.facts['waiting']} messages wait for "
        "it; the numbers are not affected.",
        "run `returns-orchestration alert --test` and correct its address in RETURNS_ALERT_URLS.",
    )


def utc(moment: datetime) -> str:
    """A moment as messages and lists write it, ``2026-11-09 11:00``."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"


def spans_text(spans: Sequence[Sequence[str]]) -> str:
    """``2026-11-08 21:00 to 2026-11-09 10:00``, the newest ones where there are many."""
    shown = [f"{_hour(a)} to {_hour(b)}" for a, b in spans[-SPANS_SHOWN:]]
    more = len(spans) - len(shown)
    return ", ".join(shown) + (f" and {more} earlier spans" if more else "")


def periods_text(periods: Sequence[str]) -> str:
    """The newest hours or days of a list of partition keys."""
    shown = [_hour(period) for period in periods[-SPANS_SHOWN:]]
    more = len(periods) - len(shown)
    return ", ".join(shown) + (f" and {more} earlier" if more else "")


def named(name: str) -> str:
    """A reason or mode, short, on one line, without what could be somebody's number or address."""
    plain = _PERSONAL.sub("…", " ".join(name.split()))
    return plain if len(plain) <= LONGEST_NAME else plain[: LONGEST_NAME - 1] + "…"


def _share(shift: dict[str, Any]) -> str:
    return f"'{named(shift['name'])}' {shift['share']:.0%} against {shift['usual']:.0%} usually"


def _missing_now(incident: Incident) -> str:
    if not incident.size:
        return "No hour is missing so far."
    return (
        f"Missing so far: {hours_text(incident.size)}, {spans_text(incident.facts['spans'])} UTC."
    )


def _figures(incident: Incident) -> str:
    """The figures of the newest hour; what follows a semicolon is advice, which the message has."""
    return str(incident.facts["figures"]).split(";", maxsplit=1)[0]


def _periods(incident: Incident) -> str:
    days = all(len(period) == len("2026-11-09") for period in incident.facts["periods"])
    return f"{incident.size} {'day' if days else 'hour'}{'' if incident.size == 1 else 's'}"


def hours_text(count: int) -> str:
    """``1 hour`` or ``14 hours``."""
    return "1 hour" if count == 1 else f"{count:,} hours"


def claim_text(incident: Incident) -> str:
    """The claim's name in words."""
    return str(incident.facts["claim"]).replace("_", " ")


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _hour(key: str, *, end: bool = False) -> str:
    """A partition key as messages write it; a day stays as it is."""
    if len(key) != len("2026-11-09-11:00"):
        return key or "all time"
    window = Window.from_key(key)
    return utc(window.end if end else window.start)
