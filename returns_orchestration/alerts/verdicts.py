"""Claims that fail: which hours they fail for, remembered until they hold or nothing new joins.

A claim of a check that failed for an hour fails for it for ever if nobody polls the hour again, as
with a rejected record. So what is open is news: a claim counts while hours that newly failed it are
less than a day old, and ends when its hours are judged anew and hold.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from returns_orchestration.alerts.facts import SEVERITIES, Finding, Kind, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from returns_orchestration.alerts.facts import Evaluation, FailedClaim

NEWS: Final = timedelta(hours=24)
"""How long after the last hour that newly failed a claim it counts as failing."""

REMEMBERED: Final = timedelta(days=14)
"""How long an hour's failure is known, so that a later poll of it is no news."""

MOST_PERIODS: Final = 500
"""Hours remembered for one claim; the oldest go first."""

UNREAD: Final = frozenset({"the_hour_was_read", "the_hour_was_published"})
"""What these say is why an hour is missing, and told as that; see ``gaps``."""

ABOUT_GAPS: Final = frozenset({"every_hour_of_the_day_is_there"})
"""A day says with it that hours are missing, which is told once, of the hours."""

TIMES: Final = frozenset(
    {
        "request_times_are_in_utc",
        "every_record_is_requested_in_its_window_or_next_to_it",
        "every_return_is_inside_its_hour_or_next_to_it",
    }
)
"""Claims that fail together where the time zone is not the configured one."""

KINDS: Final[dict[str, tuple[Kind, Severity]]] = {
    **dict.fromkeys(TIMES, ("times not as configured", "urgent")),
    "nothing_is_rejected": ("returns rejected", "problem"),
    "no_return_vanished": ("returns vanished", "problem"),
}
"""Claims that have a kind of their own; every other one is a "check failed"."""

BY_WEIGHT: Final[dict[str, Severity]] = {
    "blocks": "urgent",
    "error": "problem",
    "warning": "notice",
}


class Failing(msgspec.Struct, kw_only=True):
    """A claim of one asset that fails, and for each hour or day since when."""

    asset: str
    claim: str
    weight: str
    verdict: str
    figures: str
    periods: dict[str, datetime]

    def news(self, now: datetime) -> dict[str, datetime]:
        """The hours of the present trouble: those that joined within a day of one another."""
        edge, found = now, {}
        for period, at in sorted(self.periods.items(), key=lambda pair: pair[1], reverse=True):
            if edge - at > NEWS:
                break
            edge, found[period] = at, at
        return found


def remember(failing: dict[str, Failing], evaluations: Iterable[Evaluation]) -> None:
    """Take ``evaluations``, oldest first, into what is known to be ``failing``.

    Taking the same ones twice changes nothing: a tick that was killed may begin again.
    """
    for said in evaluations:
        now_failed = {claim.name: claim for claim in said.failed if _counts(claim)}
        # An hour that was not read or not published was not judged by its other claims.
        judged = len(now_failed) == len(said.failed)
        for name, entry in list(failing.items()):
            if judged and entry.asset == said.asset and entry.claim not in now_failed:
                entry.periods.pop(said.period, None)
                if not entry.periods:
                    del failing[name]
        for claim in now_failed.values():
            _add(failing, said, claim)


def forget(failing: dict[str, Failing], now: datetime) -> None:
    """Forget hours that failed long ago: no repeated poll will judge them again."""
    for name, entry in list(failing.items()):
        newest = sorted(entry.periods.items(), key=lambda pair: pair[1])[-MOST_PERIODS:]
        entry.periods = {period: at for period, at in newest if now - at < REMEMBERED}
        if not entry.periods:
            del failing[name]


def findings(failing: dict[str, Failing], now: datetime) -> list[Finding]:
    """One finding for each kind, and one for each claim without a kind of its own."""
    grouped: dict[tuple[Kind, str], list[tuple[Failing, dict[str, datetime]]]] = {}
    for entry in failing.values():
        kind, _ = KINDS.get(entry.claim, ("check failed", "problem"))
        subject = "" if entry.claim in KINDS else f"{entry.asset}: {entry.claim}"
        news = entry.news(now)
        if news:
            grouped.setdefault((kind, subject), []).append((entry, news))
    return [_finding(kind, subject, entries) for (kind, subject), entries in grouped.items()]


def _finding(
    kind: Kind, subject: str, entries: list[tuple[Failing, dict[str, datetime]]]
) -> Finding:
    # The digits of the references tell by how much times are off, so that claim speaks first.
    entries = sorted(entries, key=lambda pair: pair[0].claim != "request_times_are_in_utc")
    shown = entries[0][0]
    periods = sorted({period for _, news in entries for period in news})
    severities = [_severity(entry) for entry, _ in entries]
    return Finding(
        kind=kind,
        subject=subject,
        severity=max(severities, key=SEVERITIES.index),
        since=min(at for _, news in entries for at in news.values()),
        size=len(periods),
        facts={
            "asset": shown.asset,
            "claim": shown.claim,
            "verdict": shown.verdict,
            "weight": shown.weight,
            "figures": shown.figures,
            "periods": periods,
        },
    )


def _severity(entry: Failing) -> Severity:
    own = KINDS.get(entry.claim)
    return own[1] if own else BY_WEIGHT.get(entry.weight, "problem")


def _counts(claim: FailedClaim) -> bool:
    return claim.name not in UNREAD | ABOUT_GAPS


def _add(failing: dict[str, Failing], said: Evaluation, claim: FailedClaim) -> None:
    name = f"{said.asset}: {claim.name}"
    entry = failing.get(name)
    if entry is None:
        entry = failing[name] = Failing(
            asset=said.asset,
            claim=claim.name,
            weight=claim.weight,
            verdict=claim.verdict,
            figures=claim.figures,
            periods={},
        )
    entry.periods.setdefault(said.period, said.at)
    entry.weight, entry.verdict, entry.figures = claim.weight, claim.verdict, claim.figures
