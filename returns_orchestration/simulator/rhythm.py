"""How many returns an hour has: the day and the week of an Indian shop.

Evenings and weekends are busy, the hours after midnight almost empty. The weights average one over
a week, so that `returns_per_hour` stays the mean whatever the rhythm.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING

from returns_orchestration.simulator.moments import HOUR, INDIA, Micros, from_micros

if TYPE_CHECKING:
    from random import Random

_BY_HOUR = (
    *(0.30, 0.08, 0.02, 0.01, 0.01, 0.03, 0.15, 0.40),  # 00:00 to 07:59, India time
    *(0.70, 1.00, 1.30, 1.40, 1.40, 1.30, 1.20, 1.20),  # 08:00 to 15:59
    *(1.30, 1.40, 1.60, 1.90, 2.20, 2.20, 1.60, 0.80),  # 16:00 to 23:59
)
_BY_DAY = (1.00, 0.95, 0.92, 0.92, 0.98, 1.15, 1.25)  # Monday to Sunday
_MEAN_HOUR = sum(_BY_HOUR) / len(_BY_HOUR)
_MEAN_DAY = sum(_BY_DAY) / len(_BY_DAY)
_LARGE = 50.0  # from this mean on a rounded normal draw replaces the Poisson one


def weight(hour: Micros) -> float:
    """The factor on the mean for the UTC hour that begins at `hour`."""
    # A UTC hour covers two halves of India's hours; the hour at its middle represents both.
    middle = (from_micros(hour) + timedelta(minutes=30)).astimezone(INDIA)
    return _BY_HOUR[middle.hour] / _MEAN_HOUR * _BY_DAY[middle.weekday()] / _MEAN_DAY


def steady_count(hour: Micros, mean: float) -> int:
    """Exactly `mean` returns in every hour; a fraction is carried over from hour to hour."""
    ordinal = hour // HOUR
    return math.floor((ordinal + 1) * mean) - math.floor(ordinal * mean)


def lively_count(hour: Micros, mean: float, rng: Random) -> int:
    """A Poisson draw around the mean times the hour's weight."""
    expected = mean * weight(hour)
    if expected <= 0:
        return 0
    if expected >= _LARGE:
        return max(0, round(rng.normalvariate(expected, math.sqrt(expected))))
    limit, product, count = math.exp(-expected), rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count
