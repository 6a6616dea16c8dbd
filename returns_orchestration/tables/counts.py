"""Tables of counts, by hour and by day of the report's zone."""

from __future__ import annotations

from dataclasses import dataclass

from returns_orchestration.tables.columns import DAY, NUMBER, TEXT, TIME, Column, Table


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Returns, items and quantity by one column: a table by hour, and its twin by day.

    ``by`` is that column; ``inputs`` names the tables it is made of. ``conserved`` names the counts
    whose sum is that of all returns and items; see ``stages/aggregates.py`` for how it is counted.
    """

    name: str
    by: Column
    inputs: tuple[str, ...]
    conserved: tuple[str, ...]
    hourly: Table
    daily: Table


def _aggregate(  # noqa: PLR0913 - what is declared
    name: str,
    by: Column,
    *,
    group: str,
    inputs: tuple[str, ...],
    returns: str,
    of_items: str,
    conserved: tuple[str, ...],
) -> Aggregate:
    """``group`` names the unit of a row; ``returns`` and ``of_items`` name what it counts."""
    counts = (
        Column("returns", NUMBER, returns, nullable=False),
        Column("items", NUMBER, f"item rows of this {of_items}", nullable=False),
        Column("quantity", NUMBER, "sum of their quantities, null as 0", nullable=False),
    )
    hourly = Table(f"{name}_hourly", f"hour and {group}", (_HOUR, by, *counts))
    daily = Table(f"{name}_daily", f"day and {group}", (_DAY, by, *counts))
    return Aggregate(name, by, inputs, conserved, hourly, daily)


_HOUR = Column("hour_start", TIME, "begin of the UTC hour", nullable=False)
_DAY = Column("day", DAY, "the day in RETURNS_REPORT_TIME_ZONE", nullable=False)

REFUND_MODES = _aggregate(
    "refund_modes",
    Column("refund_mode", TEXT, "the mode, or Mixed, or Not given", nullable=False),
    group="refund mode",
    inputs=("returns", "return_items"),
    returns="returns of this mode (their own; if null their items', or Mixed)",
    of_items="mode (or their return's)",
    conserved=("returns", "items", "quantity"),
)
RETURN_REASONS = _aggregate(
    "return_reasons",
    Column("return_reason", TEXT, "the reason, or Not given", nullable=False),
    group="return reason",
    inputs=("return_items",),
    returns="distinct returns with at least one item of this reason",
    of_items="reason",
    conserved=("items", "quantity"),
)

AGGREGATES = (REFUND_MODES, RETURN_REASONS)
"""Every aggregate, in the order they are made."""
