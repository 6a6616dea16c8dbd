"""The tables of one hour and of one day, from folded returns: no other module makes them.

Called by ``flow``, which collects the copies and publishes the tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from returns_orchestration import tables
from returns_orchestration.stages import aggregates, days, ownership, states

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from returns_orchestration.stages.ownership import Return
    from returns_orchestration.window import Day, Window


def frames_of_hour(
    window: Window, found: list[Return], rejected: Sequence[Sequence[object]] = ()
) -> dict[str, pl.DataFrame]:
    """Every table made of one hour, by name, in the order of `tables.MADE_HOURLY`.

    ``found`` are the returns that live in it; ``rejected`` rows of `rejected_returns`.
    """
    returns, items = ownership.returns_frame(found), ownership.items_frame(found)
    columns: dict[str, list[object]] = {
        name: [row[at] for row in rejected]
        for at, name in enumerate(tables.REJECTED_RETURNS.schema.names())
    }
    return {
        tables.RETURNS.name: returns,
        tables.RETURN_ITEMS.name: items,
        tables.RETURN_STATES.name: states.states_frame(found),
        **{
            aggregate.hourly.name: aggregates.count(aggregate, window.start, returns, items)
            for aggregate in tables.AGGREGATES
        },
        tables.REJECTED_RETURNS.name: tables.REJECTED_RETURNS.frame(columns),
    }


def frames_of_day(day: Day, rows: days.Rows) -> dict[str, pl.DataFrame]:
    """Every table made of one day, by name, in the order of `tables.MADE_DAILY`."""
    returns, items = rows.counted()
    counts = {
        aggregate.daily.name: aggregates.count(aggregate, day.date, returns, items)
        for aggregate in tables.AGGREGATES
    }
    return counts | days.frames(day.date, rows)
