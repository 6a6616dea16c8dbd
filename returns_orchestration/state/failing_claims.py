"""Which claims of checks fail, for which hours and since when: the index beside that of hours.

A claim that failed for an hour fails for it for ever if the hour is not polled again, as with a
rejected record. So only news counts: a claim counts while hours that newly failed it are less than
a day old, and ends when its hours are judged again and hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from returns_orchestration.state import claims, news

if TYPE_CHECKING:
    from collections.abc import Iterable

NEWS: Final = timedelta(hours=24)
"""How long a claim counts as failing after the last hour that newly failed it."""

REMEMBERED: Final = timedelta(days=14)
"""How long an hour's failure is remembered, so that a later poll of it is no news."""

MOST_PERIODS: Final = 500
"""Hours remembered for one claim; the oldest go first."""

UNREAD: Final = frozenset({claims.WAS_READ, claims.WAS_PUBLISHED})
"""Claims that give the cause of a missing hour."""

OF_OTHER_KINDS: Final = UNREAD | {claims.WHOLE_DAY} | news.CLAIMS.keys()
"""Claims that are incidents of another kind: of missing hours, or of new names."""


class FailedClaim(msgspec.Struct, frozen=True, kw_only=True):
    """One claim of a check that does not hold; ``cause`` is the error's type, if one was met."""

    name: str
    weight: str
    verdict: str
    figures: str
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The result of one check of an hour or day (a partition key), and when; no ``failed``: passed.

    An asset may have several checks; one does not judge the claims of another.
    """

    asset: str
    period: str
    at: datetime
    failed: tuple[FailedClaim, ...] = ()
    check: str = ""


class Failing(msgspec.Struct, kw_only=True):
    """A claim of one asset's check that fails, and for each hour or day since when."""

    asset: str
    claim: str
    weight: str
    figures: str
    periods: dict[str, datetime]
    check: str = ""
    """Empty where a release before 0.3 noted it, which had one check per asset."""

    def news(self, now: datetime) -> dict[str, datetime]:
        """The hours of the present failure: those that joined within a day of one another."""
        edge, found = now, {}
        for period, at in sorted(self.periods.items(), key=lambda pair: pair[1], reverse=True):
            if edge - at > NEWS:
                break
            edge, found[period] = at, at
        return found


def remember(failing: dict[str, Failing], evaluations: Iterable[Evaluation]) -> None:
    """Take ``evaluations``, oldest first, into the claims known to be ``failing``.

    Taking the same ones twice changes nothing: a tick that was killed may begin again.
    """
    # A release before 0.3 did not note the check. Another check of the asset may clear such a
    # claim, so a claim that its own check still fails keeps its start time.
    cleared: dict[tuple[str, str], datetime] = {}
    for evaluation in evaluations:
        asset, period, check = evaluation.asset, evaluation.period, evaluation.check
        failed = {c.name: c for c in evaluation.failed if c.name not in OF_OTHER_KINDS}
        # An hour that was not read or not published was not judged by its other claims.
        judged = len(failed) == len(evaluation.failed)
        for name, entry in list(failing.items()):
            same = entry.asset == asset and entry.check in {"", check}
            if judged and same and entry.claim not in failed and period in entry.periods:
                since = entry.periods.pop(period)
                if not entry.check:
                    cleared[name, period] = since
                if not entry.periods:
                    del failing[name]
        for claim in failed.values():
            before = f"{asset}: {claim.name}"
            since = cleared.get((before, period), evaluation.at)
            _add(failing, evaluation, claim, before, since)


def forget(failing: dict[str, Failing], now: datetime) -> None:
    """Forget hours that failed long ago: no repeated poll will judge them again."""
    for name, entry in list(failing.items()):
        newest = sorted(entry.periods.items(), key=lambda pair: pair[1])[-MOST_PERIODS:]
        entry.periods = {period: at for period, at in newest if now - at < REMEMBERED}
        if not entry.periods:
            del failing[name]


def _add(
    failing: dict[str, Failing],
    evaluation: Evaluation,
    claim: FailedClaim,
    before: str,
    since: datetime,
) -> None:
    """Put one failed claim in; ``before`` is its name in a release before 0.3."""
    asset, check = evaluation.asset, evaluation.check
    name = f"{asset}: {check}: {claim.name}"
    if before in failing:
        failing[name] = failing.pop(before)
    new = Failing(asset=asset, claim=claim.name, weight="", figures="", periods={})
    entry = failing.setdefault(name, new)
    entry.periods.setdefault(evaluation.period, since)
    entry.check, entry.weight, entry.figures = check, claim.weight, claim.figures
