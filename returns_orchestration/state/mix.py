"""The mix of reasons and refund modes of a day, and its shifts: a wrong size chart, a lost mode.

The share of each name among the day's returns is compared with its share on the days before, by
robust figures. Only a shift that is large in points, in proportion and in numbers counts: a shift
that chance or the days' own scatter explains is no news.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import TYPE_CHECKING, Final, Literal, Protocol

import msgspec

from returns_orchestration import tables
from returns_orchestration.errors import LakeDamaged
from returns_orchestration.window import Day

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from returns_orchestration.lake import Lake, Names

FEWEST_RETURNS: Final = 60
"""Returns that a day needs before its mix is judged."""

FEWEST_DAYS: Final = 7
DAYS: Final = 14
"""Earlier days that a day is compared with: after a week a new mix is the usual one."""

FEWEST_OF_NAME: Final = 20
POINTS: Final = 0.08
FACTOR: Final = 1.6
SIGMAS: Final = 5.0
SCATTERS: Final = 4.0
REMEMBERED: Final = timedelta(days=30)
NAMES_KEPT: Final = 20
"""Names remembered of one day, the most frequent ones."""

Dimension = Literal["return reasons", "refund modes"]


class DayMix(msgspec.Struct, frozen=True, kw_only=True):
    """One day: its returns, and how many of them have each reason and each refund mode."""

    returns: int
    reasons: dict[str, int]
    modes: dict[str, int]

    def of(self, dimension: Dimension) -> dict[str, int]:
        """Returns by name."""
        return self.reasons if dimension == "return reasons" else self.modes


@dataclass(frozen=True, slots=True)
class Shift:
    """A name's share of the day's returns, and its usual share."""

    name: str
    count: int
    share: float
    usual: float


def shifts(days: Mapping[str, DayMix], day: str, dimension: Dimension) -> list[Shift] | None:
    """The names whose share of ``day`` is unusual, the most striking first.

    None where it cannot be judged: too few returns that day, or too few days before it.
    """
    today = days.get(day)
    before = [days[key] for key in sorted(days) if key < day and days[key].returns > 0][-DAYS:]
    if today is None or today.returns < FEWEST_RETURNS or len(before) < FEWEST_DAYS:
        return None
    found: list[tuple[float, Shift]] = []
    for name in {n for mix in (today, *before) for n in mix.of(dimension)}:
        count = today.of(dimension).get(name, 0)
        shares = [mix.of(dimension).get(name, 0) / mix.returns for mix in before]
        usual = float(median(shares))
        scatter = 1.4826 * float(median(abs(share - usual) for share in shares))
        share = count / today.returns
        expected = usual * today.returns
        if (
            abs(share - usual) >= max(POINTS, SCATTERS * scatter)
            and abs(_sigmas(share, usual, today.returns)) >= SIGMAS
            and max(count, expected) >= FEWEST_OF_NAME
            and max(share, usual) >= FACTOR * min(share, usual)
        ):
            found.append((abs(share - usual), Shift(name, count, share, usual)))
    return [shift for _, shift in sorted(found, key=lambda pair: (-pair[0], pair[1].name))]


def _sigmas(share: float, usual: float, returns: int) -> float:
    """How far a share is from the usual, on the scale where shares scatter evenly."""
    angle = math.asin(math.sqrt(min(share, 1.0))) - math.asin(math.sqrt(min(usual, 1.0)))
    return 2 * math.sqrt(returns) * angle


class Memory(Protocol):
    """An object that remembers mixes by day, and by which journal entries each was read."""

    mixes: dict[str, DayMix]
    mixed: dict[str, str]


def refresh(memory: Memory, lake: Lake, names: Names, today: Day, touched: Collection[str]) -> None:
    """Read the ``touched`` days of the last month, and at first all; forget those too old."""
    days = [Day(today.date - timedelta(days=n), today.zone) for n in range(REMEMBERED.days + 1)]
    for day in days if not memory.mixed else [day for day in days if day.key in touched]:
        _read(memory, lake, names, day)
    for key in (memory.mixes | memory.mixed).keys() - {day.key for day in days}:
        memory.mixes.pop(key, None)
        memory.mixed.pop(key, None)


def _read(memory: Memory, lake: Lake, names: Names, day: Day) -> None:
    """Read a day's mix from its tables, if they were built since it was read."""
    standing = " ".join(name.text for name in names.day(day.date))
    if memory.mixed.get(day.key) == standing:
        return
    with suppress(LakeDamaged):  # its hours show it, and the next build mends it
        made = lake.made(day, names)
        reasons = lake.read(tables.RETURN_REASONS.daily, day, names)
        modes = lake.read(tables.REFUND_MODES.daily, day, names)
        memory.mixed[day.key] = standing
        if made is not None and reasons is not None and modes is not None:
            memory.mixes[day.key] = DayMix(
                returns=made.facts.get("returns", 0),
                reasons=most_frequent(dict(reasons.select("return_reason", "returns").rows())),
                modes=most_frequent(dict(modes.select("refund_mode", "returns").rows())),
            )


def most_frequent(counts: Mapping[str, int]) -> dict[str, int]:
    """The names worth remembering of one day."""
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return dict(ordered[:NAMES_KEPT])
