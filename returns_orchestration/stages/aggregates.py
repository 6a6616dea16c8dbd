"""Returns, items and quantity by refund mode and by return reason, for one hour or day.

Each aggregate is declared in ``tables/counts.py``, by hour and by day at once; here stands how it
is counted. All conserve: their items and quantity add up to those of `return_items`, and the
returns of `refund_modes_hourly` to the rows of `returns`. A return may have several reasons, so the
returns of `return_reasons_hourly` do not add up, by definition.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Final

import polars as pl

from returns_orchestration import tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from returns_orchestration.tables import Aggregate

NOT_GIVEN: Final = "Not given"
MIXED: Final = "Mixed"

_REFERENCE: Final = "return_reference_number"


def count(
    aggregate: Aggregate, period: datetime | date, returns: pl.DataFrame, items: pl.DataFrame
) -> pl.DataFrame:
    """The table of one hour (``period`` is its begin) or of one day: a row a group, by its name."""
    table = aggregate.hourly if isinstance(period, datetime) else aggregate.daily
    counted = COUNTED[aggregate.name](returns, items)
    by, first = aggregate.by.name, table.columns[0]
    summed = counted.group_by(by).agg(pl.col("returns", "items", "quantity").sum()).sort(by)
    return summed.with_columns(pl.lit(period, first.dtype).alias(first.name)).select(
        pl.col(name).cast(dtype) for name, dtype in table.schema.items()
    )


def _of_items(group: pl.Expr, name: str) -> tuple[pl.Expr, ...]:
    return (
        group.alias(name),
        pl.lit(1, tables.NUMBER).alias("items"),
        pl.col("quantity").fill_null(0),
    )


def _by_mode(returns: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
    """A return counts by its own mode; if it has none, by its items' mode or as Mixed.

    An item counts by its own mode, or its return's own where it has none.
    """
    of_items = items.group_by(_REFERENCE).agg(
        agreed=pl.col("refund_mode").drop_nulls().unique().sort()
    )
    agreed = pl.col("agreed")
    own = returns.select(_REFERENCE, "refund_mode")
    counted = own.join(of_items, on=_REFERENCE, how="left").select(
        pl.coalesce(
            "refund_mode",
            pl.when(agreed.list.len() == 1)
            .then(agreed.list.first())
            .when(agreed.list.len() > 1)
            .then(pl.lit(MIXED)),
            pl.lit(NOT_GIVEN),
        ).alias("refund_mode"),
        returns=pl.lit(1, tables.NUMBER),
        items=pl.lit(0, tables.NUMBER),
        quantity=pl.lit(0, tables.NUMBER),
    )
    itemised = items.join(
        own.rename({"refund_mode": "return_mode"}), on=_REFERENCE, how="left"
    ).select(
        *_of_items(pl.coalesce("refund_mode", "return_mode", pl.lit(NOT_GIVEN)), "refund_mode"),
        returns=pl.lit(0, tables.NUMBER),
    )
    return pl.concat([counted, itemised.select(counted.columns)])


def _by_reason(_: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
    """A return counts once under each of its reasons."""
    reason = pl.col("return_reason").fill_null(NOT_GIVEN)
    return items.select(
        *_of_items(reason, "return_reason"),
        # The first item row of a return under a reason carries the return.
        returns=pl.struct(_REFERENCE, reason).is_first_distinct().cast(tables.NUMBER),
    )


COUNTED: Final[dict[str, Callable[[pl.DataFrame, pl.DataFrame], pl.DataFrame]]] = {
    "refund_modes": _by_mode,
    "return_reasons": _by_reason,
}
"""Aggregate to its function: from `returns` and `return_items` to rows that are summed by group."""
