"""The tables of one day beside the counts of modes and reasons: its rows, and what they add up to.

Rows come with the hour that holds them, as two hours may hold one reference: a return counts once
in each. Steps of the funnel are those of `return_states`; a later step implies the earlier ones,
which no poll may have shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from returns_orchestration import tables
from returns_orchestration.stages.aggregates import NOT_GIVEN, nearest
from returns_orchestration.stages.vocabulary import ENDED

if TYPE_CHECKING:
    from datetime import date

HOME: Final = "hour_of_the_row"
"""The column that names the hour of a row, only here."""

STEPS: Final = ("placed", "approved", "courier assigned", "picked up", "received")
PASSES_BY: Final = {"on its way": "picked up", "exchange": "picked up"}
"""States that are no step, and the step that they imply."""

ENDS: Final = tuple(state for state in ENDED if state not in STEPS)

_TIMES: Final = {
    "approved_at": "approved",
    "picked_up_at": "picked up",
    "received_at": "received",
}
"""Columns of `returns_daily`, and the state that begins then."""

_RETURN: Final = (HOME, tables.REFERENCE.name)


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of `returns`, `return_items` and `return_states` of one day, each with HOME."""

    returns: pl.DataFrame
    items: pl.DataFrame
    states: pl.DataFrame

    def counted(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Returns and items whose reference is another one in each hour, to be counted by it."""
        own = pl.concat_str(*_RETURN, separator=" ").alias(tables.REFERENCE.name)
        return self.returns.with_columns(own).drop(HOME), self.items.with_columns(own).drop(HOME)


def frames(day: date, rows: Rows) -> dict[str, pl.DataFrame]:
    """Every table of `tables.OF_DAYS`, by name."""
    return {
        tables.RETURNS_DAILY.name: _returns(day, rows),
        tables.RETURN_ITEMS_DAILY.name: _of_day(
            day, rows.items, tables.RETURN_ITEMS_DAILY, "item_index"
        ),
        tables.SKUS_DAILY.name: _skus(day, rows.items),
        tables.COURIERS_DAILY.name: _couriers(day, rows.returns),
        tables.FUNNEL_DAILY.name: _funnel(day, rows),
    }


def _of_day(day: date, rows: pl.DataFrame, table: tables.Table, *order: str) -> pl.DataFrame:
    """``rows`` in the columns of ``table``, by request time, reference and ``order``."""
    ordered = rows.sort("requested_at", *reversed(_RETURN), *order)
    return ordered.with_columns(day=pl.lit(day, tables.DAY)).select(table.schema.names())


def _returns(day: date, rows: Rows) -> pl.DataFrame:
    # The states of a return are in order there.
    newest = rows.states.group_by(_RETURN, maintain_order=True).last()
    newest = newest.select(*_RETURN, "state", pl.col("at").alias("state_since"))
    at = pl.col("at")
    times = rows.states.group_by(_RETURN).agg(
        at.filter(pl.col("state") == state).min().alias(name) for name, state in _TIMES.items()
    )
    joined = rows.returns.join(newest, on=_RETURN, how="left").join(times, on=_RETURN, how="left")
    return _of_day(day, joined, tables.RETURNS_DAILY)


def _skus(day: date, items: pl.DataFrame) -> pl.DataFrame:
    by = [pl.col(name).fill_null(NOT_GIVEN) for name in ("sku", "return_reason")]
    found = items.group_by(by).agg(
        returns=pl.struct(_RETURN).n_unique().cast(tables.NUMBER),
        items=pl.len().cast(tables.NUMBER),
        quantity=pl.col("quantity").sum(),
    )
    return _in_order(day, found, tables.SKUS_DAILY, "sku", "return_reason")


def _couriers(day: date, returns: pl.DataFrame) -> pl.DataFrame:
    seconds = (pl.col("awb_at") - pl.col("requested_at")).dt.total_seconds()
    usable = seconds.filter(seconds >= 0)
    newest = pl.col("cp_name").sort_by("last_polled_at", "requested_at", tables.REFERENCE.name)
    found = returns.group_by("cp_id", "account_code").agg(
        cp_name=newest.drop_nulls().last(),
        returns=_number(pl.len()),
        self_shipped=_number(pl.col("self_shipped").fill_null(value=False).sum()),
        unassigned=_number(pl.col("cp_id").is_null().sum()),
        with_awb=_number(pl.col("awb").is_not_null().sum()),
        took=usable.sort(),
        awb_before_request=_number((seconds < 0).sum()),
    )
    took = found.get_column("took").to_list()
    parts = {
        f"awb_p{part}_s": pl.Series([nearest(some, part) for some in took], dtype=tables.NUMBER)
        for part in (50, 90)
    }
    return _in_order(
        day, found.with_columns(**parts), tables.COURIERS_DAILY, "cp_id", "account_code"
    )


def _funnel(day: date, rows: Rows) -> pl.DataFrame:
    states = rows.states.with_columns(
        step=pl.col("state").replace(PASSES_BY), is_step=pl.col("state").is_in([*STEPS, *ENDS])
    )
    # Of a state that is no step the time is not that of the step.
    hours = (pl.col("at") - pl.col("requested_at")).dt.total_microseconds() / 3_600_000_000
    first = (
        states.filter(pl.col("step").is_in([*STEPS, *ENDS]))
        .group_by(*_RETURN, "step")
        .agg(hours=hours.filter("is_step").min())
    )
    reached = _reached(first)
    whole = rows.returns.height
    as_of = rows.returns.get_column("last_polled_at").min()
    found: list[tuple[object, ...]] = []
    for step in (*STEPS, *ENDS):
        took = sorted(first.filter(pl.col("step") == step).get_column("hours").drop_nulls())
        if step in STEPS or reached[step]:
            found.append(
                (day, step, reached[step], whole, nearest(took, 50), nearest(took, 90), as_of)
            )
    names = tables.FUNNEL_DAILY.schema.names()
    rows_of = found if whole else []
    return tables.FUNNEL_DAILY.frame(
        {name: [row[at] for row in rows_of] for at, name in enumerate(names)}
    )


def _reached(first: pl.DataFrame) -> dict[str, int]:
    """How many returns were seen at each step or a later one, and at each end."""
    at_step: dict[str, set[tuple[str, str]]] = {step: set() for step in (*STEPS, *ENDS)}
    for home, reference, step in first.select(*_RETURN, "step").iter_rows():
        at_step[step].add((home, reference))
    later: set[tuple[str, str]] = set()
    for step in reversed(STEPS):
        later |= at_step[step]
        at_step[step] = set(later)
    return {step: len(of_step) for step, of_step in at_step.items()}


def _in_order(day: date, found: pl.DataFrame, table: tables.Table, *by: str) -> pl.DataFrame:
    named = found.with_columns(day=pl.lit(day, tables.DAY)).sort(by, nulls_last=False)
    return named.select(table.schema.names())


def _number(expression: pl.Expr) -> pl.Expr:
    return expression.cast(tables.NUMBER)
