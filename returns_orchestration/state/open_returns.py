"""Returns that have not ended: their age, their state, and which of them are stuck.

Nothing here counts to now. An age counts to the end of the newest hour that can be read, and a wait
to the last look: what happened to a parcel after that is not known, so time after it proves
nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

import polars as pl

from returns_orchestration import tables
from returns_orchestration.lake.journal import JOURNAL
from returns_orchestration.lake.names import DAYS_AT_ONCE, dates_in
from returns_orchestration.stages.vocabulary import ENDED
from returns_orchestration.state.claims import judge
from returns_orchestration.state.days import sources_of_day
from returns_orchestration.state.due import is_due_again
from returns_orchestration.state.status import last_polled, newest_complete
from returns_orchestration.window import HOUR, Day, Window
from returns_orchestration.words import count, listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from returns_orchestration.lake import Lake, Names
    from returns_orchestration.state.claims import Claim
    from returns_orchestration.state.due import Since

BEFORE_COURIER: Final = ("placed", "approved")
BEFORE_PICKUP: Final = (*BEFORE_COURIER, "courier assigned")

STUCK: Final = ("no courier", "no pickup", "no new state")
"""The rules by which a return is stuck; the first that holds counts."""

OVERDUE: Final = HOUR
"""How long a poll may be due before the hour counts as stale."""


@dataclass(frozen=True, slots=True)
class StuckAfter:
    """RETURNS_STUCK_HOURS: the waits after which a return is stuck."""

    courier: timedelta = timedelta(hours=48)
    """From the request, without a courier or an AWB."""
    pickup: timedelta = timedelta(hours=72)
    """From the AWB, without a pickup."""
    state: timedelta = timedelta(hours=168)
    """In one state."""


def measure(
    lake: Lake, zone: ZoneInfo, limits: StuckAfter, ages: Since
) -> tuple[pl.DataFrame, list[date]] | None:
    """The table `open_returns` of the whole lake, oldest request first, and the days it lacks.

    None where no hour can be read as a whole, as while all are made again. Raises LakeError.

    ``zone`` is that of the days of the lake, ``ages`` are those at which hours are polled again.
    """
    lake.format.ensure()
    days = dates_in(lake.store, JOURNAL)
    as_of = newest_complete(lake, days, zone)
    if as_of is None:
        return None
    found, absent = [tables.OPEN_RETURNS.empty()], list[date]()
    for at in range(0, len(days), DAYS_AT_ONCE):
        names = lake.names()
        some = days[at : at + DAYS_AT_ONCE]
        names.load(some[0] - timedelta(days=1), some[-1] + timedelta(days=1))
        every = [Day(day, zone) for day in some]
        rows = lake.read_many(tables.RETURNS_DAILY, every, names)
        absent += [day.date for day in every if day not in rows and sources_of_day(day, names)]
        opened = pl.concat([tables.RETURNS_DAILY.empty(), *map(_open, rows.values())])
        hours = sorted({Window.of(moment) for moment in opened.get_column("requested_at")})
        looked = _looks(lake, names, hours)
        found.append(_rows(opened, as_of, looked, limits, ages))
    return pl.concat(found).sort("requested_at", tables.REFERENCE.name), absent


def looked_at_when_due(frame: pl.DataFrame, absent: Sequence[date] = ()) -> Claim:
    """The claim that no look at an open return is overdue, and no day is left out."""

    def look() -> tuple[bool, str]:
        if absent:
            days = listed(day.isoformat() for day in absent)
            return False, f"{count(len(absent), 'day')} cannot be read and are left out: {days}"
        stale = frame.filter("stale")
        hours = stale.get_column("requested_at").dt.truncate("1h").unique().sort()
        words = f"{stale.height} of {count(frame.height, 'open return')}"
        if not stale.height:
            return True, f"{words} wait for a poll that is due"
        named = listed(Window.of(hour).text for hour in hours)
        return False, f"{words} wait for a poll that is due, of the hours {named}"

    return judge("open_returns_were_looked_at_when_due", "warning", look)


def _looks(lake: Lake, names: Names, hours: Sequence[Window]) -> dict[Window, datetime]:
    """When the returns of ``hours`` were last looked at.

    A return of an hour that was never polled is served by the polls of others.
    """
    serving = {
        window: [window] if names.hour(window).polls else sorted(names.hour(window).came_from)
        for window in hours
    }
    polled = last_polled(lake, names, sorted({one for some in serving.values() for one in some}))
    times = {
        window: [polled[one] for one in some if one in polled] for window, some in serving.items()
    }
    return {window: max(found) for window, found in times.items() if found}


def _open(rows: pl.DataFrame) -> pl.DataFrame:
    state = pl.col("state")
    return rows.filter(state.is_null() | ~state.is_in(ENDED))


def _rows(
    rows: pl.DataFrame,
    as_of: datetime,
    looked: Mapping[Window, datetime],
    limits: StuckAfter,
    ages: Since,
) -> pl.DataFrame:
    of_rows = [Window.of(moment) for moment in rows.get_column("requested_at")]
    polled = [looked.get(window) for window in of_rows]
    stale = [
        at is not None and is_due_again(window, at, ages, as_of - OVERDUE)
        for window, at in zip(of_rows, polled, strict=True)
    ]
    known = rows.with_columns(
        as_of=pl.lit(as_of, tables.TIME),
        since=pl.col("state_since"),
        last_looked_at=pl.max_horizontal("last_polled_at", pl.Series(polled, dtype=tables.TIME)),
        stale=pl.Series(stale, dtype=tables.FLAG),
    )
    age = (pl.col("as_of") - pl.col("requested_at")).dt.total_hours()
    return known.with_columns(
        age_h=age.clip(lower_bound=0).cast(tables.NUMBER), stuck=_stuck(limits)
    ).select(tables.OPEN_RETURNS.schema.names())


def _stuck(limits: StuckAfter) -> pl.Expr:
    """The first rule that holds; a wait that cannot be told makes nothing stuck."""
    state, looked = pl.col("state"), pl.col("last_looked_at")
    has_awb = pl.col("awb").is_not_null()
    no_courier = state.is_in(BEFORE_COURIER) & ~has_awb & pl.col("cp_id").is_null()
    no_pickup = state.is_in(BEFORE_PICKUP) & has_awb
    return (
        pl.when(no_courier & (looked - pl.col("requested_at") > limits.courier))
        .then(pl.lit(STUCK[0]))
        .when(no_pickup & (looked - pl.col("awb_at") > limits.pickup))
        .then(pl.lit(STUCK[1]))
        .when(looked - pl.col("since") > limits.state)
        .then(pl.lit(STUCK[2]))
    )
