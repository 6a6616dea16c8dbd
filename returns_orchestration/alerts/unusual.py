"""Findings about numbers that did arrive: silence, a surge, a mix that shifted.

Judges the newest hour and the newest day that can be judged, by ``rhythm`` and ``mix``. What cannot
be judged now, as while an hour is missing or a day is young, is said, so that nothing ends by it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from returns_orchestration.alerts import mix, rhythm
from returns_orchestration.alerts.facts import Finding, Key
from returns_orchestration.alerts.seen import Seen, number_of, window_of
from returns_orchestration.window import Day, last_settled

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

LATE_SILENCE: Final = timedelta(minutes=90)
"""After its end an hour is judged silent at the earliest: its first late returns are in then."""

DIMENSIONS: Final[tuple[mix.Dimension, ...]] = ("return reasons", "refund modes")


def unusual(seen: Seen, now: datetime, zone: ZoneInfo) -> tuple[list[Finding], set[Key]]:
    """Unusual hours and shifted mixes, and the keys that could not be judged."""
    findings: list[Finding] = []
    unjudged: set[Key] = set()
    newest = max(seen.counts, default=0)
    settled = number_of(last_settled(now, LATE_SILENCE))
    for kind, hour, judge in (
        ("silence", min(newest, settled), rhythm.silence),
        ("surge", newest, rhythm.surge),
    ):
        if not rhythm.can_be_judged(seen.counts, hour):
            unjudged.add(Key(kind, ""))  # type: ignore[arg-type]
        elif (found := judge(seen.counts, hour)) is not None:
            facts = {**msgspec.to_builtins(found), "hour": window_of(hour).key}
            findings.append(
                Finding(
                    kind=kind,  # type: ignore[arg-type]
                    severity="problem",
                    since=window_of(hour - found.hours + 1).start,
                    size=found.hours,
                    facts=facts,
                )
            )
    today = Day.of(now, zone)
    for dimension in DIMENSIONS:
        found_mix, judged = _of_mix(seen, today, dimension)
        findings += found_mix
        unjudged |= set() if judged else {Key("mix shifted", dimension)}
    return findings, unjudged


def _of_mix(seen: Seen, today: Day, dimension: mix.Dimension) -> tuple[list[Finding], bool]:
    """The shift of today, or of yesterday while today has too few returns to tell."""
    yesterday = Day(today.date - timedelta(days=1), today.zone)
    for day in (today, yesterday):
        shifts = mix.shifts(seen.mixes, day.key, dimension)
        if shifts is None:
            continue
        if not shifts:
            return [], True
        facts = {
            "day": day.key,
            "of": dimension,
            "returns": seen.mixes[day.key].returns,
            "unfinished": day == today,
            "shifts": msgspec.to_builtins(shifts),
        }
        finding = Finding(
            kind="mix shifted",
            subject=dimension,
            severity="notice",
            since=day.start,
            facts=facts,
        )
        return [finding], True
    return [], False
