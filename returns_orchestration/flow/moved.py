"""Returns whose request time changed between polls of different windows: found, and made one again.

Nothing in the polls of one hour tells that another hour holds the same return: only the tables do.
So before days are made, the references of their hours are looked for in the hours around them; two
hours that hold one are linked, which makes each depend on the polls of the other, and are settled
anew. A run that is killed before its days are made looks again when it is started again.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from itertools import product
from typing import TYPE_CHECKING, Final

import polars as pl

from returns_orchestration import tables
from returns_orchestration.errors import LakeDamaged, ZoneChanged
from returns_orchestration.lake.entries import link_path
from returns_orchestration.lake.parquet import column_of
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from datetime import datetime

    from returns_orchestration.flow.settle import Settler
    from returns_orchestration.lake import Lake

REACH: Final = timedelta(days=31)
"""How far from an hour the other one is looked for. A day has 24 files to be read for it."""

_READERS: Final = 8
"""Files read at once: an object store takes its time for each."""

_OWN: Final = tables.REFERENCE.name


def link_moved(lake: Lake, hours: Collection[Window], settler: Settler) -> set[Window]:
    """Link the hours that hold a return which one of ``hours`` holds, too; which got a new link.

    Each of the two with every window that served it: they say together who had the last word.
    Raises LakeError.
    """
    linked = {
        other
        for hour in hours
        for other in lake.entry(hour).links  # of a run that was killed between the two marks
        if lake.store.create(link_path(other, hour), b"")
    }
    for pair, shared in _pairs(lake, hours).items():
        try:
            known = {hour: settler.sources_of(hour) for hour in pair}
            serving = set(pair).union(*(settler.serving(hour, shared) for hour in pair))
        except (LakeDamaged, ZoneChanged):  # so neither can be settled, which is told
            continue
        for hour, other in product(pair, serving):
            if other not in known[hour]:
                marks = {hour: link_path(hour, other), other: link_path(other, hour)}
                linked |= {of for of, mark in marks.items() if lake.store.create(mark, b"")}
    return linked


def _pairs(lake: Lake, hours: Collection[Window]) -> dict[frozenset[Window], set[str]]:
    """Each two hours, one of ``hours``, that hold the same returns, and which."""
    pairs: dict[frozenset[Window], set[str]] = {}
    left = sorted(hours)
    while left:  # so that no more than twice the reach is held at once
        near = [hour for hour in left if hour.start - left[0].start <= REACH]
        left = left[len(near) :]
        mine = _references(lake, near)
        for day in _dates(near[0], near[-1]) if mine.height else ():
            if hours_of_day := _made_on(lake, day):
                for pair, shared in _shared(mine, _references(lake, hours_of_day)):
                    pairs.setdefault(pair, set()).add(shared)
    return pairs


def _dates(first: Window, last: Window) -> Iterator[date]:
    """The UTC days in reach of the hours ``first`` to ``last``, as far as the calendar goes."""
    begin = max(first.start.toordinal() - REACH.days, date.min.toordinal())
    end = min(last.start.toordinal() + REACH.days, date.max.toordinal())
    return map(date.fromordinal, range(begin, end + 1))


def _made_on(lake: Lake, day: date) -> list[Window]:
    """The hours of a UTC day that have rows of `returns`, or had."""
    paths = lake.store.list(f"{tables.RETURNS.name}/date={day.isoformat()}")
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


def _shared(mine: pl.DataFrame, theirs: pl.DataFrame) -> Iterator[tuple[frozenset[Window], str]]:
    """Each two hours, of ``mine`` and of ``theirs`` and in reach, that hold one return; which."""
    both = mine.join(theirs, on=_OWN, suffix="_of_theirs")
    apart = (pl.col("hour") - pl.col("hour_of_theirs")).abs()
    found = both.filter(apart.is_between(timedelta(0), REACH, closed="right"))
    for shared, one, other in found.select(_OWN, "hour", "hour_of_theirs").iter_rows():
        yield frozenset((Window(one), Window(other))), shared
