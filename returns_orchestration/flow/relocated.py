"""Returns whose request time changed between polls of different windows: found, and made one again.

The polls of one hour do not show that another hour holds the same return: only the tables do. So
before days are made, the returns of their hours are looked for in the hours around them; two hours
that hold one return get marks, which make each depend on the polls of the other, and are built
again. A run that is killed before its days are made looks again when it is started again.
"""

from __future__ import annotations

from array import array
from datetime import date, timedelta
from itertools import product
from typing import TYPE_CHECKING

import polars as pl

from returns_orchestration import tables
from returns_orchestration.errors import LakeDamaged
from returns_orchestration.lake.names import sources_of
from returns_orchestration.stages.ownership import REACH
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from returns_orchestration.flow.build import HourBuilder
    from returns_orchestration.lake import Lake, Names


def link_relocated(
    lake: Lake, names: Names, hours: Collection[Window], builder: HourBuilder
) -> set[Window]:
    """Mark the hours that share a return with one of ``hours``; returns those with a new mark.

    Each of the two gets marks of every window that served the return: together these decide which
    copy is the newest. Raises LakeError.
    """
    linked: set[Window] = set()
    for pair, shared in _pairs(lake, names, hours).items():
        try:
            serving = set(pair).union(*(builder.serving(names, hour, shared) for hour in pair))
        except LakeDamaged:  # so neither can be built, which is reported
            continue
        for hour, other in product(pair, serving):
            is_half = (other in names.hour(hour).came_from) != (hour in names.hour(other).went_to)
            is_known = other in sources_of(hour, names) and not is_half
            if not is_known and lake.entries.mark(names, other, [hour]):
                # Also the windows that served its returns: they are made of its sources, too.
                linked |= {hour, other, *names.hour(hour).came_from}
    return {window for window in linked if names.hour(window).has_copies}


def _pairs(
    lake: Lake, names: Names, hours: Collection[Window]
) -> dict[frozenset[Window], set[bytes]]:
    """Each two hours, one of ``hours``, that hold the same returns, and the hashes of these."""
    pairs: dict[frozenset[Window], set[bytes]] = {}
    left = sorted(hours)
    while left:  # so that no more than twice the reach is held at once
        near = [hour for hour in left if hour.start - left[0].start <= REACH]
        left = left[len(near) :]
        mine = _references(lake, names, near)
        if not mine.height:
            continue
        first, last = _dates(near[0], near[-1])
        around = lake.names()
        around.load(first, last)
        made = around.hours()
        for day in sorted({window.start.date() for window in made}):
            of_day = [window for window in made if window.start.date() == day]
            for pair, shared in _shared(mine, _references(lake, around, of_day)):
                pairs.setdefault(pair, set()).add(shared)
    return pairs


def held_in_reach(lake: Lake, window: Window, wanted: Collection[bytes]) -> set[bytes]:
    """Those of ``wanted``, hashes of references, that an hour in reach of ``window`` holds.

    Raises LakeError.
    """
    around = lake.names()
    around.load(*_dates(window, window))
    hashes = pl.Series([array("Q", one)[0] for one in sorted(wanted)], dtype=pl.UInt64)
    held = _references(lake, around, around.hours()).get_column("hash")
    return {array("Q", [one]).tobytes() for one in hashes.filter(hashes.is_in(held.implode()))}


def _dates(first: Window, last: Window) -> tuple[date, date]:
    """The first and last UTC date in reach of the hours ``first`` to ``last``."""
    begin = max(first.start.toordinal() - REACH.days, date.min.toordinal())
    end = min(last.start.toordinal() + REACH.days, date.max.toordinal() - 1)
    return date.fromordinal(begin), date.fromordinal(end)


def _references(lake: Lake, names: Names, hours: Iterable[Window]) -> pl.DataFrame:
    """The hash of each return of ``hours``, and its hour; a damaged entry is left to ``verify``."""
    with_rows = {
        window: made[0]
        for window in hours
        if len(made := names.hour(window).made) == 1 and made[0].returns
    }
    found = lake.read_all_made(with_rows)
    hashes = array("Q")
    starts = []
    for window, entry in found.items():
        hashes.frombytes(entry.references)
        starts += [window.start] * (len(entry.references) // hashes.itemsize)
    return pl.DataFrame(
        {
            "hash": pl.Series(hashes.tolist(), dtype=pl.UInt64),
            "hour": pl.Series(starts, dtype=tables.TIME),
        }
    )


def _shared(mine: pl.DataFrame, theirs: pl.DataFrame) -> Iterator[tuple[frozenset[Window], bytes]]:
    """Each two hours in reach, of ``mine`` and of ``theirs``, that hold one return; its hash."""
    both = mine.join(theirs, on="hash", suffix="_of_theirs")
    apart = (pl.col("hour") - pl.col("hour_of_theirs")).abs()
    found = both.filter(apart.is_between(timedelta(0), REACH, closed="right"))
    for shared, one, other in found.select("hash", "hour", "hour_of_theirs").iter_rows():
        yield frozenset((Window(one), Window(other))), array("Q", [shared]).tobytes()
