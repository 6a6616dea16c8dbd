"""Returns whose request time changed between polls of different windows: found, and made one again.

Nothing in the polls of one hour tells that another hour holds the same return: only the tables do.
So before days are made, the references of their hours are looked for in the hours around them; two
hours that hold one are linked, which makes each depend on the polls of the other, and are settled
anew. A run that is killed before its days are made looks again when it is started again.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import product
from typing import TYPE_CHECKING, Final

import polars as pl

from returns_orchestration import tables
from returns_orchestration.errors import LakeDamaged
from returns_orchestration.lake.entries import link_path
from returns_orchestration.lake.parquet import column_of
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from datetime import date, datetime

    from returns_orchestration.lake import Lake

REACH: Final = timedelta(days=31)
"""How far from an hour the other one is looked for. A day has 24 files to be read for it."""

_READERS: Final = 8
"""Files read at once: an object store takes its time for each."""

_OWN: Final = tables.REFERENCE.name


def link_moved(
    lake: Lake, hours: Collection[Window], sources_of: Callable[[Window], set[Window]]
) -> set[Window]:
    """Link the hours that hold a return which one of ``hours`` holds, too; which got a new link.

    ``sources_of`` tells of a polled hour by which polled hours, itself among them, it is settled:
    those of both say together who had the last word. Raises LakeError.
    """
    linked = {
        other
        for hour in hours
        for other in lake.entry(hour).links  # of a run that was killed between the two marks
        if lake.store.create(link_path(other, hour), b"")
    }
    for pair in _pairs(lake, hours):
        try:
            known = {hour: sources_of(hour) for hour in pair}
        except LakeDamaged:  # so neither can be settled, which is told
            continue
        for hour, other in product(pair, set().union(*known.values())):
            if other not in known[hour]:
                marks = {hour: link_path(hour, other), other: link_path(other, hour)}
                linked |= {of for of, mark in marks.items() if lake.store.create(mark, b"")}
    return linked


def _pairs(lake: Lake, hours: Collection[Window]) -> set[frozenset[Window]]:
    """Each two hours that hold one return, of which one is of ``hours``."""
    pairs: set[frozenset[Window]] = set()
    left = sorted(hours)
    while left:  # so that no more than twice the reach is held at once
        near = [hour for hour in left if hour.start <= left[0].start + REACH]
        left = left[len(near) :]
        mine = _references(lake, near)
        for date in _dates(near[0].start - REACH, near[-1].start + REACH) if mine.height else ():
            if hours_of_date := _made_on(lake, date):
                pairs.update(_shared(mine, _references(lake, hours_of_date)))
    return pairs


def _dates(start: datetime, end: datetime) -> Iterator[date]:
    return (start.date() + timedelta(days=n) for n in range((end.date() - start.date()).days + 1))


def _made_on(lake: Lake, date: date) -> list[Window]:
    """The hours of a UTC day that have rows of `returns`, or had."""
    paths = lake.store.list(f"{tables.RETURNS.name}/date={date.isoformat()}")
    return sorted({window for path in paths if (window := Window.from_path(path))})


def _references(lake: Lake, hours: Iterable[Window]) -> pl.DataFrame:
    """Each return of ``hours``, and its hour; a damaged file is left to ``verify``."""

    def content(window: Window) -> tuple[list[datetime], bytes] | None:
        try:
            made = lake.made(window)
            if made is None or not made.files[tables.RETURNS.name].rows:
                return None
            file = made.files[tables.RETURNS.name]
            return [window.start] * file.rows, lake.content(file)
        except LakeDamaged:
            return None

    with ThreadPoolExecutor(_READERS) as readers:
        found = [read for read in readers.map(content, hours) if read is not None]
    if not found:
        return pl.DataFrame(schema={_OWN: tables.TEXT, "hour": tables.TIME})
    starts = [start for starts, _ in found for start in starts]
    references = column_of([content for _, content in found], _OWN)
    return pl.DataFrame({_OWN: references, "hour": pl.Series(starts, dtype=tables.TIME)})


def _shared(mine: pl.DataFrame, theirs: pl.DataFrame) -> Iterator[frozenset[Window]]:
    """Each two hours, of ``mine`` and of ``theirs``, that hold one return."""
    both = mine.join(theirs, on=_OWN, suffix="_of_theirs").select("hour", "hour_of_theirs")
    for one, other in both.unique().iter_rows():
        if one != other:
            yield frozenset((Window(one), Window(other)))
