"""The inputs of a day, and the days that count the rows of an hour: from names."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from returns_orchestration.errors import LakeDamaged
from returns_orchestration.lake import journal
from returns_orchestration.window import days_of

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from returns_orchestration.lake import Lake, Names
    from returns_orchestration.lake.names import HourNames
    from returns_orchestration.window import Day, Window


def sources_of_day(day: Day, names: Names) -> list[Window]:
    """The made hours that may hold rows of ``day``, in order.

    Its own; in place of each one of which no source is kept, the hours that served its returns.
    """
    windows: set[Window] = set()
    for window in day.windows:
        hour = names.hour(window)
        windows |= {window} if hour.has_copies else hour.came_from
    return sorted(window for window in windows if _counts(names.hour(window)))


def _counts(hour: HourNames) -> bool:
    """Whether an hour was made; without a poll, and of webhooks whose returns all live elsewhere.

    Such a one says nothing of a day.
    """
    return any(made.returns or hour.polls for made in hour.made)


def made_of_day(day: Day, names: Names) -> list[str]:
    """The inputs in a day's entry: its zone, and each of its sources as it was made."""
    return [made_of_zone(day.zone), *(made_of_hour(w, names) for w in sources_of_day(day, names))]


def inputs_of_day(day: Day, names: Names) -> str:
    """The digest of all inputs of a day."""
    return journal.digest_of_inputs(made_of_day(day, names))


def made_of_hour(window: Window, names: Names) -> str:
    """How a day's entry names an hour it was made of."""
    return " ".join([window.key, *sorted(made.text for made in names.hour(window).made)])


def made_of_zone(zone: ZoneInfo) -> str:
    """How a day's entry names the zone whose day it is."""
    return f"zone {zone.key}"


def is_left_behind(day: Day, lake: Lake, names: Names) -> bool:
    """Whether ``day`` was made for another zone and has no hour in this one.

    It counts rows that a day of this zone counts, too, and no run would make it again.
    """
    if not names.day(day.date) or sources_of_day(day, names):
        return False
    with suppress(LakeDamaged):  # its zone cannot be read; `verify` names the file
        made = lake.made(day, names)
        return made is not None and made_of_zone(day.zone) not in made.made_of
    return False


def days_concerned(window: Window, names: Names, zone: ZoneInfo) -> list[Day]:
    """The days that count rows of a made hour: those it overlaps, and others already made.

    A return requested in an hour that was never polled lives in another, maybe on another day. A
    day that is still to be made will find it.
    """
    days = days_of(window, zone)
    for home in sorted(names.hour(window).went_to):
        if not names.hour(home).has_copies:
            with suppress(OverflowError):  # no day is made at the ends of the calendar
                days += [d for d in days_of(home, zone) if d not in days and names.day(d.date)]
    return days
