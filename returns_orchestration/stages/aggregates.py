"""Returns, items and quantity by refund mode and by return reason, for one hour or day.

Both tables conserve: their items and quantity add up to those of `return_items`, and the returns of
`refund_modes_hourly` to the rows of `returns`. A return may have several reasons, so the returns of
`return_reasons_hourly` do not add up, by definition.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from returns_orchestration import tables

if TYPE_CHECKING:
    from datetime import date, datetime

    from returns_orchestration.tables import Table

    Period = datetime | date

NOT_GIVEN: Final = "Not given"
MIXED: Final = "Mixed"

_REFERENCE: Final = "return_reference_number"


def _counted(groups: pl.DataFrame, by: str, table: Table, period: Period) -> pl.DataFrame:
    """One row a group, ordered by its name, in the table's columns and types."""
    summed = groups.group_by(by).agg(pl.col("returns", "items", "quantity").sum()).sort(by)
    first = table.columns[0]
    return summed.with_columns(pl.lit(period, first.dtype).alias(first.name)).select(
        pl.col(name).cast(dtype) for name, dtype in table.schema.items()
    )


def _items_by(mode: pl.Expr, name: str) -> tuple[pl.Expr, ...]:
    return (
        mode.alias(name),
        pl.lit(1, tables.NUMBER).alias("items"),
        pl.col("quantity").fill_null(0),
    )


def refund_modes(
    table: Table, period: Period, returns: pl.DataFrame, items: pl.DataFrame
) -> pl.DataFrame:
    """``table``, by refund mode, of one hour or day; ``period`` is its begin.

    A return counts by its own mode; if it has none, by its items' mode where those agree, else as
    Mixed. An item counts by its own mode, or its return's own where it has none.
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
        *_items_by(pl.coalesce("refund_mode", "return_mode", pl.lit(NOT_GIVEN)), "refund_mode"),
        returns=pl.lit(0, tables.NUMBER),
    )
    groups = pl.concat([counted, itemised.select(counted.columns)])
    return _counted(groups, "refund_mode", table, period)


def return_reasons(table: Table, period: Period, items: pl.DataFrame) -> pl.DataFrame:
    """``table``, by reason, of one hour or day; a return counts once under each of its reasons."""
    reason = pl.col("return_reason").fill_null(NOT_GIVEN)
    groups = items.select(
        *_items_by(reason, "return_reason"),
        # The first item row of a return under a reason carries the return.
        returns=pl.struct(_REFERENCE, reason).is_first_distinct().cast(tables.NUMBER),
    )
    return _counted(groups, "return_reason", table, period)
