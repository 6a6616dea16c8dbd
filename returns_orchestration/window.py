"""The hour: one half-open window ``[start, start + 60 min)`` in UTC, and the only clock arithmetic.

One value object owns the names of an hour in Dagster (its partition key), on the command line, in
the lake (its path) and on the wire. What does not live here: which hours exist or are due (that
needs settings), and reading the times inside records (``stages/typing.py``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from returns_orchestration.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

HOUR = timedelta(hours=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CHUNK_HOURS = 168
"""Hours in one run of a backfill: a week is minutes of work, so that progress shows and a killed
run repeats little, and long enough that starting the run (about 4 s) is small beside it."""

IN_PATH = re.compile(r"(?:^|/)date=(\d{4})-(\d\d)-(\d\d)/hour=(\d\d)(?:/|$)", re.ASCII)


@dataclass(frozen=True, order=True, slots=True)
class Window:
    """The 60 minutes that begin at ``start``, a whole UTC hour."""

    start: datetime

    def __post_init__(self) -> None:
        start = self.start
        if start.utcoffset() != timedelta(0) or start.minute or start.second or start.microsecond:
            message = f"A window starts on a whole hour in UTC, not at {start.isoformat()}."
            raise ValueError(message)

    @property
    def end(self) -> datetime:
        """The first moment that is no longer inside."""
        return self.start + HOUR

    @property
    def key(self) -> str:
        """Dagster's hourly partition key, ``2026-11-09-11:00``."""
        # Not strftime: it is slow, and writes the years before 1000 with fewer digits.
        at = self.start
        return f"{at.year:04d}-{at.month:02d}-{at.day:02d}-{at.hour:02d}:00"

    @property
    def number(self) -> int:
        """The count of hours from 1970 to this one."""
        return (self.start - EPOCH) // HOUR

    @property
    def text(self) -> str:
        """The hour as the command line writes it, ``2026-11-09T11:00``."""
        at = self.start
        return f"{at.year:04d}-{at.month:02d}-{at.day:02d}T{at.hour:02d}:00"

    @property
    def path(self) -> str:
        """Its place inside a table of the lake, ``date=2026-11-09/hour=11``."""
        at = self.start
        return f"date={at.year:04d}-{at.month:02d}-{at.day:02d}/hour={at.hour:02d}"

    @property
    def next(self) -> Window:
        """The hour after this one."""
        return Window(self.end)

    @property
    def previous(self) -> Window:
        """The hour before this one."""
        return Window(self.start - HOUR)

    def holds(self, moment: datetime) -> bool:
        """Whether ``moment`` lies in ``[start, end)``."""
        return self.start <= moment < self.end

    def hours_to(self, moment: datetime) -> int:
        """Whole hours from this window to the window of ``moment``; 0 if inside, -1 just before."""
        return (moment - self.start) // HOUR

    def on_the_wire(self, zone: ZoneInfo) -> tuple[str, str]:
        """``start_time`` and ``end_time`` on the wire: naive, whole seconds, in ``zone``.

        Always exactly 3,600 s apart as written, also where the zone's clocks change in between.
        """
        start = self.start.astimezone(zone).replace(tzinfo=None)
        return start.isoformat(timespec="seconds"), (start + HOUR).isoformat(timespec="seconds")

    @classmethod
    def of(cls, moment: datetime) -> Window:
        """The window that holds ``moment`` (aware)."""
        return cls._of_utc(moment.astimezone(UTC))

    @classmethod
    @lru_cache(maxsize=4096)  # the time of a return is asked for several times
    def _of_utc(cls, moment: datetime) -> Window:
        return cls(moment.replace(minute=0, second=0, microsecond=0))

    @classmethod
    def from_number(cls, number: int) -> Window:
        """The window that begins ``number`` hours after 1970."""
        return cls(EPOCH + number * HOUR)

    @classmethod
    def from_key(cls, key: str) -> Window:
        """The window of a Dagster partition key."""
        # Not strptime, which takes ten times as long: some pages ask for all hours of years.
        window = cls(datetime.fromisoformat(f"{key[:10]}T{key[11:]}").replace(tzinfo=UTC))
        if window.key != key:
            message = f"{key!r} is no partition key of an hour."
            raise ValueError(message)
        return window

    @classmethod
    def from_path(cls, path: str) -> Window | None:
        """The window named by ``.../date=YYYY-MM-DD/hour=HH/...``; None where there is none."""
        named = IN_PATH.search(path)
        if named is None:
            return None
        year, month, day, hour = map(int, named.groups())
        try:
            return cls(datetime(year, month, day, hour, tzinfo=UTC))
        except ValueError:
            return None


@dataclass(frozen=True, order=True, slots=True)
class Day:
    """A calendar day of a zone; 23 or 25 hours where its clocks change, half-hour edges in UTC."""

    date: date
    zone: ZoneInfo = field(compare=False)

    @property
    def start(self) -> datetime:
        """Its first moment, UTC."""
        return datetime.combine(self.date, time(), self.zone).astimezone(UTC)

    @property
    def end(self) -> datetime:
        """The first moment that is no longer inside, UTC."""
        return Day(self.date + timedelta(days=1), self.zone).start

    @property
    def key(self) -> str:
        """Dagster's daily partition key, ``2026-11-09``."""
        return self.date.isoformat()

    @property
    def path(self) -> str:
        """Its place inside a daily table, ``date=2026-11-09``."""
        return f"date={self.key}"

    @property
    def windows(self) -> list[Window]:
        """The hours that overlap it; the first and the last may lie in two days."""
        last = Window.of(self.end - timedelta(microseconds=1))
        return list(windows_between(Window.of(self.start).start, last.end))

    @classmethod
    def of(cls, moment: datetime, zone: ZoneInfo) -> Day:
        """The day that holds ``moment`` (aware)."""
        return cls(moment.astimezone(zone).date(), zone)


@dataclass(frozen=True, slots=True)
class Ever:
    """All time: the period of a table that is one file."""

    @property
    def key(self) -> str:
        """Its name in its record."""
        return "ever"

    @property
    def path(self) -> str:
        """Its place inside a table: no folder of its own."""
        return ""


def days_of(window: Window, zone: ZoneInfo) -> list[Day]:
    """The days that ``window`` overlaps: two where a day begins inside the hour."""
    last = Day.of(window.end - timedelta(microseconds=1), zone)
    return sorted({Day.of(window.start, zone), last})


def windows_between(start: datetime, end: datetime) -> Iterator[Window]:
    """Every window that begins in ``[start, end)``, both whole hours, oldest first."""
    window = Window(start)
    while window.start < end:
        yield window
        window = window.next


def last_settled(now: datetime, settle: timedelta) -> Window:
    """The newest window that ended at least ``settle`` before ``now``."""
    return Window.of(now - settle).previous


def read_hour(text: str) -> datetime:
    """``2026-11-09T11:00`` or a day ``2026-11-09`` (its first hour), UTC.

    Raises SettingsError, naming both forms, for anything else, half hours included.
    """
    try:
        if len(text) == len("2026-11-09"):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        return Window(moment).start
    except (ValueError, OverflowError):
        message = f"{text!r} is not an hour."
        raise SettingsError(
            message, next_step="Write an hour, 2026-11-09T11:00, or a day, 2026-11-09, in UTC."
        ) from None
