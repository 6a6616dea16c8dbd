"""Whether every return of every kept poll and webhook is in exactly one hour, from raw and tables.

The entries of made hours are not trusted here: each poll is read again in its own zone, and each
table of returns for its content.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING

import polars as pl

from returns_orchestration import tables
from returns_orchestration.lake.journal import JOURNAL
from returns_orchestration.lake.names import dates_in
from returns_orchestration.stages.copies import placed_in, served_by
from returns_orchestration.stages.ownership import REACH, hash_of
from returns_orchestration.state.hours import is_made
from returns_orchestration.window import Window
from returns_orchestration.words import count

if TYPE_CHECKING:
    from returns_orchestration.lake import Lake, Names
    from returns_orchestration.stages.typing import RecordReader


@dataclass(frozen=True, slots=True)
class Places:
    """How many returns were served, are in no hour, or are in more than one.

    ``unmade`` counts the hours whose tables are not made of all their polls yet: as long as there
    is one, the check cannot tell.
    """

    served: int
    nowhere: int
    repeated: int
    unmade: int

    @property
    def is_right(self) -> bool:
        """Whether no return is known to be missing or repeated."""
        return bool(self.unmade) or not (self.nowhere or self.repeated)

    @property
    def text(self) -> str:
        """One line for a person."""
        if self.unmade:
            return (
                f"{count(self.unmade, 'hour')} not built yet; until then it is not known whether "
                "every return is in exactly one hour."
            )
        if self.is_right:
            return f"OK: each of {count(self.served, 'served return')} is in exactly one hour."
        return (
            f"Of {count(self.served, 'served return')} {self.nowhere} are in no hour and "
            f"{self.repeated} in more than one. Mend them with `returns-orchestration rebuild`."
        )


def find_misplaced(lake: Lake, reader: RecordReader) -> Places:
    """Compare all served returns with the tables. Raises LakeDamaged."""
    served, living, starts = array("Q"), array("Q"), array("q")
    unmade = 0
    for day in dates_in(lake.store, JOURNAL):
        names = lake.names()
        names.load_hours([Window(datetime.combine(day, time(), UTC))])
        of_day: set[bytes] = set()
        for window in names.hours():
            if window.start.date() != day:
                continue
            unmade += names.hour(window).has_copies and not is_made(window, names)
            of_day |= _served(lake, names, reader, window)
            there = _living(lake, names, window)
            living.frombytes(there)
            starts.extend([int(window.start.timestamp())] * (len(there) // 8))
        served.frombytes(b"".join(of_day))
    were_served = pl.Series("hash", served.tolist(), dtype=pl.UInt64).unique().to_frame()
    are_there = pl.DataFrame(
        {
            "hash": pl.Series(living.tolist(), dtype=pl.UInt64),
            "start": pl.Series(starts.tolist(), dtype=pl.Int64),
        }
    ).sort("hash", "start")
    nowhere = were_served.join(are_there, on="hash", how="anti").height
    # Two rows of one reference that are further apart than REACH are two returns.
    apart = pl.col("start").diff().over("hash")
    repeated = are_there.filter(apart <= REACH.total_seconds()).height
    return Places(were_served.height, nowhere, repeated, unmade)


def _served(lake: Lake, names: Names, reader: RecordReader, window: Window) -> set[bytes]:
    """The hashes of all returns that the kept polls and webhooks of ``window`` served."""
    found = {
        hash_of(reference)
        for served in served_by(lake, names, reader, [window])
        for _, _, (reference, _) in served.usable()
    }
    told = placed_in(lake, names, reader, [window])
    return found.union(hash_of(one.copy.typed.reference) for one in told)


def _living(lake: Lake, names: Names, window: Window) -> bytes:
    """The hashes of all returns in the table of ``window``."""
    frame = lake.read(tables.RETURNS, window, names)
    if frame is None:
        return b""
    return b"".join(map(hash_of, frame.get_column(tables.REFERENCE.name)))
