"""The rows of one return in the tables: where each stands and why, and what it is made of.

Which source each value of the row is from is decided in ``origins``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from returns_orchestration import tables
from returns_orchestration.lake.names import sources_of
from returns_orchestration.state.origins import Origin, origins_of
from returns_orchestration.state.served_copies import row_and_items
from returns_orchestration.window import Day, Window

if TYPE_CHECKING:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from returns_orchestration.stages.ownership import Copy
    from returns_orchestration.state.return_sources import ReturnSources
    from returns_orchestration.state.sought_return import Row, SoughtReturn


@dataclass(frozen=True, slots=True)
class Place:
    """A row of `returns`, where it stands, and its rows in `return_items`.

    ``origins`` has the source of the value of each column, ``merges`` the rules that applied.
    ``as_served`` is whether it is what all sources give together: not while its hour waits to be
    made.
    """

    window: Window
    day: Day
    row: Row
    items: list[Row]
    why: str
    origins: dict[str, Origin]
    merges: list[str]
    as_served: bool


@dataclass(frozen=True, slots=True)
class RejectedRecord:
    """A row of `rejected_returns` with this reference, and the hour in whose table it stands."""

    window: Window
    row: Row


def rows_of_return(
    sought: SoughtReturn, sources: ReturnSources, copies: list[Copy], zone: ZoneInfo
) -> tuple[list[Place], list[RejectedRecord]]:
    """Its rows in the tables of the hours that were read, and its rejected records there.

    ``copies`` are those of all ``sources``; ``zone`` is that of the days.
    """
    places: list[Place] = []
    rejected: list[RejectedRecord] = []
    for window in sorted(sources.windows):
        for row in _rows(sought, tables.RETURNS, window):
            items = _rows(sought, tables.RETURN_ITEMS, window)
            # As the hour is made: of the polls of these windows.
            windows = sources_of(window, sought.names)
            mine = [copy for copy in copies if copy.source.window in windows]
            origins, merges = origins_of(mine) if mine else ({}, [])
            places.append(
                Place(
                    window=window,
                    day=Day.of(row[tables.REQUESTED_AT.name], zone),
                    row=row,
                    items=items,
                    why=_why(window, row[tables.REQUESTED_AT.name]),
                    origins=origins,
                    merges=merges,
                    as_served=bool(mine) and (row, items) == row_and_items(mine),
                )
            )
        if sources.is_rejected_in(window):
            rows = sought.rejected_rows(window, sought.names)
            rejected += [RejectedRecord(window, row) for row in rows]
    return places, rejected


def _rows(sought: SoughtReturn, table: tables.Table, window: Window) -> list[Row]:
    frame = sought.read(table, window, sought.names)
    if frame is None:
        return []
    return frame.filter(pl.col(tables.REFERENCE.name) == sought.reference).rows(named=True)


def _why(window: Window, requested_at: datetime) -> str:
    home = Window.of(requested_at)
    if home == window:
        return "its newest copy was requested in this hour"
    return (
        f"its newest copy was requested in {home.text}, which was never polled; this is the "
        "earliest hour that served it so"
    )
