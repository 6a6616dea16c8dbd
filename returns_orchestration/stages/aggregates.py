"""Returns, items and quantity by refund mode and by return reason, for one hour or day.

Each aggregate is declared in ``tables/counts.py``, by hour and by day at once; this module counts
it. All conserve: their items and quantity add up to those of `return_items`, and the returns of
`refund_modes_hourly` to the rows of `returns`. A return may have several reasons, so the returns of
`return_reasons_hourly` do not add up, by definition. Counted row by row: this costs less than a
query over a few rows.
"""

from __future__ import annotations

import math
from collections import defaultdict
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import polars as pl

    from returns_orchestration.tables import Aggregate

N = TypeVar("N", int, float)

NOT_GIVEN: Final = "Not given"
MIXED: Final = "Mixed"

_REFERENCE: Final = "return_reference_number"


class Sums(defaultdict[str, list[int]]):
    """Group to its returns, items and quantity."""

    def __init__(self) -> None:
        super().__init__(lambda: [0, 0, 0])

    def add_return(self, group: str) -> None:
        """Count one return."""
        self[group][0] += 1

    def add_item(self, group: str, quantity: int | None) -> None:
        """Count one item."""
        self[group][1] += 1
        self[group][2] += quantity or 0


def count(
    aggregate: Aggregate, period: datetime | date, returns: pl.DataFrame, items: pl.DataFrame
) -> pl.DataFrame:
    """The table of one hour (``period`` is its begin) or one day: a row per group, by its name."""
    table = aggregate.hourly if isinstance(period, datetime) else aggregate.daily
    sums = COUNTED[aggregate.name](returns, items)
    rows = ((period, group, *sums[group]) for group in sorted(sums))
    values = map(list, zip(*rows, strict=True)) if sums else ([] for _ in table.columns)
    return table.frame(dict(zip(table.schema, values, strict=True)))


def _by_mode(returns: pl.DataFrame, items: pl.DataFrame) -> Sums:
    """A return counts by its own mode; if it has none, by its items' mode or as Mixed.

    An item counts by its own mode, or its return's own where it has none.
    """
    sums, rows = Sums(), list(_rows(returns, _REFERENCE, "refund_mode"))
    own = dict(rows)
    of_items: dict[str, set[str]] = defaultdict(set)
    for reference, mode, quantity in _rows(items, _REFERENCE, "refund_mode", "quantity"):
        sums.add_item(mode or own.get(reference) or NOT_GIVEN, quantity)
        if mode:
            of_items[reference].add(mode)
    for reference, mode in rows:
        agreed = of_items.get(reference, {NOT_GIVEN})
        sums.add_return(mode or (MIXED if len(agreed) > 1 else min(agreed)))
    return sums


def _by_reason(_: pl.DataFrame, items: pl.DataFrame) -> Sums:
    """A return counts once under each of its reasons."""
    sums, seen = Sums(), set()
    for reference, reason, quantity in _rows(items, _REFERENCE, "return_reason", "quantity"):
        group = reason or NOT_GIVEN
        sums.add_item(group, quantity)
        if (reference, group) not in seen:
            seen.add((reference, group))
            sums.add_return(group)
    return sums


def nearest(ordered: Sequence[N], part: int) -> N | None:
    """The value that ``part`` of 100 do not exceed; None for none."""
    return ordered[math.ceil(part * len(ordered) / 100) - 1] if ordered else None


def _rows(frame: pl.DataFrame, *columns: str) -> Iterable[tuple[Any, ...]]:
    return zip(*(frame.get_column(column).to_list() for column in columns), strict=True)


COUNTED: Final[dict[str, Callable[[pl.DataFrame, pl.DataFrame], Sums]]] = {
    "refund_modes": _by_mode,
    "return_reasons": _by_reason,
}
"""Aggregate to its function: from `returns` and `return_items` to the sums of each group."""
