"""From records to rows in one step, through the same stages as the product."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import polars as pl

from returns_orchestration import tables
from returns_orchestration.stages.days import HOME, Rows
from returns_orchestration.stages.frames import frames_of_hour
from returns_orchestration.stages.ownership import (
    Copy,
    Return,
    Source,
    fold,
    items_frame,
    returns_frame,
)
from returns_orchestration.stages.states import states_of
from returns_orchestration.stages.typing import RecordReader, Refused, Typed
from returns_orchestration.window import Window
from support.records import at, on_the_wire

if TYPE_CHECKING:
    from datetime import datetime

READER = RecordReader(ZoneInfo("UTC"))
HOUR = Window(at(11))


def typed(record: Any) -> Typed:
    """A usable record, typed."""
    read = READER.read(on_the_wire(record))
    assert isinstance(read, Typed), read
    return read


def reason_refused(record: Any) -> str:
    """The reason why a record is unusable."""
    read = READER.read(record if isinstance(record, str) else on_the_wire(record))
    assert isinstance(read, Refused), read
    return read.reason


def poll(
    *records: Any, number: int = 1, polled_at: datetime | None = None, window: Window = HOUR
) -> list[Copy]:
    """The copies of one return that one poll served."""
    moment = polled_at or at(12, minute=10 * number)
    return [
        Copy(Source("poll", window, number, moment), moment, position, typed(record))
        for position, record in enumerate(records)
    ]


def folded(*polls: list[Copy]) -> Return:
    """One return of several polls."""
    copies = [copy for served in polls for copy in served]
    return replace(fold(copies), states=states_of(copies))


def rows_of_day(found: list[Return], home: Window = HOUR) -> Rows:
    """The rows of a day that has these returns alone, in one hour."""
    made = frames_of_hour(home, found)
    named = (tables.RETURNS, tables.RETURN_ITEMS, tables.RETURN_STATES)
    return Rows(*(made[table.name].with_columns(pl.lit(home.key).alias(HOME)) for table in named))


def row_of(found: Return) -> dict[str, Any]:
    """Its row in `returns`."""
    return returns_frame([found]).row(0, named=True)


def items_of(found: Return) -> list[dict[str, Any]]:
    """Its rows in `return_items`."""
    return items_frame([found]).rows(named=True)


def read(record: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The row and the item rows of one record."""
    found = folded(poll(record))
    return row_of(found), items_of(found)
