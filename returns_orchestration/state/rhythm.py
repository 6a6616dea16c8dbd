"""Unusual hours: silence where there are always returns, and a surge far above the usual.

The usual count is the median of the same hour of the week over the last eight weeks, or of the same
hour of the day while history is short, with the spread by MAD. Minimum counts keep small numbers at
night from counting. Silence is judged over up to twelve hours together, since a quiet hour shows
little and a quiet night shows much; a surge against the level of the hours before, since a sale
lifts all hours alike. Hours are numbered since 1970, and a missing one has no count.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    Counts = Mapping[int, int]

WEEK: Final = 168
DAY: Final = 24
WEEKS: Final = 8
DAYS: Final = 14
FEWEST_WEEKS: Final = 4
FEWEST_DAYS: Final = 5

SPANS: Final = (1, 2, 3, 6, 12)
"""Hours over which silence is judged together."""

SILENT_SHARE: Final = 0.5
"""Half of the usual is an ordinary bad day, and only a count far below it is silence."""

SILENT_SIGMAS: Final = 4.5
SURGE_SIGMAS: Final = 6.0
SURGE_FACTOR: Final = 3.5
"""A sale triples the hours of a day; a surge is more."""

SURGE_FLOOR: Final = 20
"""Fewer returns than that above the usual are never a surge."""

LEVEL_HOURS: Final = 6
HIGHEST_LEVEL: Final = 6.0


@dataclass(frozen=True, slots=True)
class Usual:
    """The usual count of an hour, and the usual deviation from it."""

    count: float
    spread: float


@dataclass(frozen=True, slots=True)
class Unusual:
    """``hours`` hours that end with the judged one had ``count`` returns, not about ``usual``."""

    hours: int
    count: int
    usual: float


def usual(counts: Counts, hour: int) -> Usual | None:
    """The usual count of ``hour``, by the weeks or days before; None where too little is known."""
    for step, most, fewest in ((WEEK, WEEKS, FEWEST_WEEKS), (DAY, DAYS, FEWEST_DAYS)):
        known = [counts[at] for n in range(1, most + 1) if (at := hour - n * step) in counts]
        if len(known) >= fewest:
            middle = float(median(known))
            deviation = 1.4826 * float(median(abs(count - middle) for count in known))
            return Usual(middle, max(deviation, math.sqrt(middle), 3.0))
    return None


def silence(counts: Counts, hour: int) -> Unusual | None:
    """Far fewer returns than usual in the hours that end with ``hour``; None: nothing unusual."""
    total, expected = 0, 0.0
    worst: Unusual | None = None
    for back in range(max(SPANS)):
        at = hour - back
        known = usual(counts, at) if at in counts else None
        if known is None:
            break
        total += counts[at]
        expected += known.count
        if back + 1 in SPANS and _sigmas(total, SILENT_SHARE * expected) < -SILENT_SIGMAS:
            worst = Unusual(back + 1, total, expected)
    return worst


def surge(counts: Counts, hour: int) -> Unusual | None:
    """Far more returns in ``hour`` than usual, at the level of the hours before it."""
    known = usual(counts, hour) if hour in counts else None
    if known is None:
        return None
    level = _level(counts, hour)
    expected = known.count * level
    spread = max(known.spread * level, 0.2 * expected)
    above = counts[hour] - expected
    if above < max(SURGE_FLOOR, SURGE_SIGMAS * spread):
        return None
    return Unusual(1, counts[hour], expected) if counts[hour] > SURGE_FACTOR * expected else None


def can_be_judged(counts: Counts, hour: int) -> bool:
    """Whether ``hour`` has a count, and enough is known for a usual one."""
    return hour in counts and usual(counts, hour) is not None


def _level(counts: Counts, hour: int) -> float:
    """How much busier than usual the hours before were; never below 1, even after quiet ones."""
    total, expected = 10.0, 10.0
    for at in range(hour - LEVEL_HOURS, hour):
        known = usual(counts, at) if at in counts else None
        if known is not None:
            total += counts[at]
            expected += known.count
    return min(max(total / expected, 1.0), HIGHEST_LEVEL)


def _sigmas(count: float, expected: float) -> float:
    """How far a count is from what is expected, on the scale where counts spread evenly."""
    return 2 * (math.sqrt(count + 0.375) - math.sqrt(expected + 0.375))
