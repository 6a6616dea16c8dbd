"""The figures of the report: counted from the tables of the lake alone, over whole days.

Days are those of RETURNS_REPORT_TIME_ZONE. The report ends with the newest day that is over in the
lake, and never counts to now, so the same lake gives the same figures whenever they are asked for.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import polars as pl

from returns_orchestration import tables
from returns_orchestration.errors import SettingsError
from returns_orchestration.lake.journal import JOURNAL
from returns_orchestration.lake.names import DAYS_AT_ONCE, dates_in
from returns_orchestration.state import status
from returns_orchestration.state.hours import DONE
from returns_orchestration.window import Day, Ever, Window, days_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date, datetime
    from zoneinfo import ZoneInfo

    from returns_orchestration.lake import Lake
    from returns_orchestration.tables import Table

ONE_DAY: Final = timedelta(days=1)

RETURNS_SHOWN: Final = (
    "day",
    tables.REFERENCE.name,
    "requested_at",
    "cp_name",
    "awb",
    "awb_at",
    "state",
    "approved_at",
    "picked_up_at",
    "received_at",
    "last_polled_at",
)
ITEMS_SHOWN: Final = ("day", "sku", "description", "return_reason")


@dataclass(frozen=True, slots=True)
class Options:
    """The settings of the report.

    ``stuck_hours`` are those of RETURNS_STUCK_HOURS, ``start`` is the first hour there is,
    ``account`` is "" where there is only one.
    """

    days: int
    style_pattern: str | None
    kept_modes: tuple[str, ...]
    stuck_hours: tuple[int, int, int]
    start: datetime
    account: str = ""

    @property
    def pickup(self) -> timedelta:
        """How long a pickup may take after the AWB."""
        return timedelta(hours=self.stuck_hours[1])


@dataclass(frozen=True, slots=True)
class Hours:
    """The hours that overlap one day: how many of each state, and which are not complete."""

    day: date
    states: Counter[str]
    lacking: list[tuple[Window, str]]
    """Those that are missing, damaged, unfinished or outdated, each with its state."""
    late: int
    """Returns of the day that only a later poll brought."""

    @property
    def is_whole(self) -> bool:
        """Whether each of its hours is complete, empty or waived."""
        return not self.lacking


@dataclass(frozen=True, slots=True)
class Period:
    """The rows of some days; ``delivery`` has no row where webhooks never came."""

    first: date
    last: date
    returns: pl.DataFrame
    items: pl.DataFrame
    modes: pl.DataFrame
    reasons: pl.DataFrame
    delivery: pl.DataFrame

    @property
    def days(self) -> list[date]:
        """Its days, oldest first."""
        return list(_days(self.first, self.last))


@dataclass(frozen=True, slots=True)
class Figures:
    """All that the page shows; ``before`` is the same number of days before, if they are there.

    ``as_of`` is the end of the newest complete hour of the lake; ``states`` counts all hours of the
    days, each once. ``lacking_before`` counts those of the days before that are not complete.
    ``open_returns`` is None where it was never made, and for days that are not the newest.
    """

    zone: ZoneInfo
    as_of: datetime
    options: Options
    hours: list[Hours]
    now: Period
    before: Period | None
    states: Counter[str]
    lacking_before: int = 0
    open_returns: pl.DataFrame | None = None

    @property
    def is_newest(self) -> bool:
        """Whether it ends with the newest whole day of the lake."""
        return self.now.last == _whole_day_before(self.as_of, self.zone)

    @property
    def whole_hours(self) -> tuple[int, int, int]:
        """All hours of the days, those that are complete or empty, and those that were waived."""
        good = self.states["complete"] + self.states["empty"]
        return self.states.total(), good, self.states["waived"]

    @property
    def lacking(self) -> list[tuple[Window, str]]:
        """The hours that are not complete, each once with its state, oldest first."""
        return sorted({hour for of_day in self.hours for hour in of_day.lacking})

    @property
    def partial(self) -> list[date]:
        """The days that are not whole."""
        return [of_day.day for of_day in self.hours if not of_day.is_whole]


def gather(
    lake: Lake,
    zone: ZoneInfo,
    options: Options,
    first: date | None = None,
    last: date | None = None,
) -> Figures | None:
    """The figures of [``first``, ``last``], by default of the newest days; None for no whole day.

    Raises LakeError, and SettingsError for days that the lake does not have.
    """
    lake.format.ensure()
    dates = dates_in(lake.store, JOURNAL)
    as_of = status.newest_complete(lake, dates, zone)
    if as_of is None:
        return None
    begin = max(options.start, _first_hour(lake, dates).start)
    oldest, newest = _whole_day_after(begin, zone), _whole_day_before(as_of, zone)
    if newest < oldest:
        return None
    last = last or newest
    first = first or max(oldest, last - (options.days - 1) * ONE_DAY)
    if not oldest <= first <= last <= newest:
        raise SettingsError(
            f"The report of {first} to {last} needs days that are not in the lake.",
            next_step=f"Choose days from {oldest} to {newest}.",
        )
    length = last - first + ONE_DAY
    before = (first - length, first - ONE_DAY)
    hours, states = _hours(lake, zone, first, last)
    has_before = before[0] >= oldest
    lacking = [one for one in _hours(lake, zone, *before)[0] if one.lacking] if has_before else []
    return Figures(
        zone=zone,
        as_of=as_of,
        options=options,
        hours=hours,
        now=_period(lake, zone, first, last),
        before=_period(lake, zone, *before) if has_before else None,
        states=states,
        lacking_before=len({hour for of_day in lacking for hour in of_day.lacking}),
        open_returns=lake.read(tables.OPEN_RETURNS, Ever(), lake.names())
        if last == newest
        else None,
    )


def _first_hour(lake: Lake, dates: Sequence[date]) -> Window:
    """The first hour that is known of a lake with entries."""
    for day in dates:
        names = lake.names()
        names.load(day, day)
        hours = [w for w in names.hours() if names.hour(w).has_copies or names.hour(w).waived]
        if hours:
            return min(hours)
    message = "a lake with a complete hour has none"
    raise AssertionError(message)


def _whole_day_after(moment: datetime, zone: ZoneInfo) -> date:
    day = Day.of(moment, zone)
    return day.date if day.start >= moment else day.date + ONE_DAY


def _whole_day_before(moment: datetime, zone: ZoneInfo) -> date:
    return Day.of(moment, zone).date - ONE_DAY


def _days(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += ONE_DAY


def _hours(lake: Lake, zone: ZoneInfo, first: date, last: date) -> tuple[list[Hours], Counter[str]]:
    """The hours of each day, and the states of all of them, each once.

    An hour that lies in two days is one of both.
    """
    windows = sorted({w for day in _days(first, last) for w in Day(day, zone).windows})
    states: dict[date, Counter[str]] = defaultdict(Counter)
    lacking: dict[date, list[tuple[Window, str]]] = defaultdict(list)
    late: Counter[date] = Counter()
    all_states: Counter[str] = Counter()
    for window, found in zip(windows, status.states(lake, windows, zone), strict=True):
        days = [day.date for day in days_of(window, zone)]
        all_states[found.state] += 1
        late[days[-1]] += found.late
        for day in days:
            states[day][found.state] += 1
            if found.state not in DONE:
                lacking[day].append((window, found.state))
    of_days = [Hours(day, states[day], lacking[day], late[day]) for day in _days(first, last)]
    return of_days, all_states


def _period(lake: Lake, zone: ZoneInfo, first: date, last: date) -> Period:
    days = [Day(day, zone) for day in _days(first, last)]
    return Period(
        first,
        last,
        _rows(lake, tables.RETURNS_DAILY, days, RETURNS_SHOWN),
        _rows(lake, tables.RETURN_ITEMS_DAILY, days, ITEMS_SHOWN),
        _rows(lake, tables.REFUND_MODES.daily, days),
        _rows(lake, tables.RETURN_REASONS.daily, days),
        _rows(lake, tables.WEBHOOK_DELIVERY_DAILY, days),
    )


def _rows(
    lake: Lake, table: Table, days: Sequence[Day], columns: Sequence[str] = ()
) -> pl.DataFrame:
    """The rows of many days in some columns, in the order of days."""
    wanted = list(columns) or table.schema.names()
    found = [table.empty().select(wanted)]
    for at in range(0, len(days), DAYS_AT_ONCE):
        some = days[at : at + DAYS_AT_ONCE]
        names = lake.names()
        names.load(some[0].date, some[-1].date)
        rows = lake.read_many(table, some, names)
        found += [rows[day].select(wanted) for day in some if day in rows]
    return pl.concat(found)
