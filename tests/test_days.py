from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.records import at

from returns_orchestration.window import Day, Window, days_of

KOLKATA, NEW_YORK = ZoneInfo("Asia/Kolkata"), ZoneInfo("America/New_York")
NINTH, TENTH = date(2026, 11, 9), date(2026, 11, 10)

zones = st.sampled_from(
    [
        "UTC",
        "Asia/Kolkata",
        "Asia/Kathmandu",  # a quarter of an hour
        "America/New_York",
        "America/St_Johns",
        "America/Havana",  # clocks go back over midnight
        "Africa/Cairo",  # and forward at midnight: days that begin at 01:00
        "Australia/Lord_Howe",  # by half an hour
        "Pacific/Kiritimati",
    ]
).map(ZoneInfo)
moments = st.datetimes(
    datetime(2020, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    datetime(2036, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)


@pytest.mark.parametrize(
    ("zone", "day", "start", "hours", "overlapping"),
    [
        ("Asia/Kolkata", NINTH, at(-6, 30), 24, 25),
        ("UTC", NINTH, at(0), 24, 24),
        ("America/New_York", NINTH, at(5), 24, 24),
        ("America/New_York", date(2026, 3, 8), datetime(2026, 3, 8, 5, tzinfo=UTC), 23, 23),
        ("America/New_York", date(2026, 11, 1), datetime(2026, 11, 1, 4, tzinfo=UTC), 25, 25),
        ("Africa/Cairo", date(2026, 4, 24), datetime(2026, 4, 23, 22, tzinfo=UTC), 23, 23),
        ("Australia/Lord_Howe", date(2026, 4, 5), datetime(2026, 4, 4, 13, tzinfo=UTC), 24.5, 25),
    ],
)
def test_a_day_is_as_long_as_its_zone_makes_it(
    zone: str, day: date, start: datetime, hours: float, overlapping: int
) -> None:
    found = Day(day, ZoneInfo(zone))
    assert found.start == start
    assert found.start.utcoffset() == timedelta(0)
    assert found.end - found.start == timedelta(hours=hours)
    assert len(found.windows) == overlapping
    assert found.windows[0] == Window.of(start)
    assert found.windows[-1].start < found.end <= found.windows[-1].end


def test_a_day_of_india_begins_and_ends_inside_an_hour() -> None:
    day = Day(NINTH, KOLKATA)
    assert (day.windows[0], day.windows[-1]) == (Window(at(-6)), Window(at(18)))
    assert Day(TENTH, KOLKATA).windows[0] == day.windows[-1]


def test_a_day_has_one_key_and_one_path() -> None:
    day = Day(NINTH, KOLKATA)
    assert day.key == "2026-11-09"
    assert day.path == "date=2026-11-09"


@pytest.mark.parametrize(
    ("moment", "zone", "day"),
    [
        (at(18, 29, 59.999999), KOLKATA, NINTH),
        (at(18, 30), KOLKATA, TENTH),
        (at(23, 59, 59.999999), ZoneInfo("UTC"), NINTH),
        (at(24), ZoneInfo("UTC"), TENTH),
        (at(28, 59, 59.999999), NEW_YORK, NINTH),
        (at(29), NEW_YORK, TENTH),
        (datetime(2026, 11, 10, 0, 15, tzinfo=KOLKATA), ZoneInfo("UTC"), NINTH),
    ],
)
def test_a_day_holds_its_begin_and_not_its_end(moment: datetime, zone: ZoneInfo, day: date) -> None:
    assert Day.of(moment, zone) == Day(day, zone)


@pytest.mark.parametrize(
    ("hour", "zone", "days"),
    [
        (17, KOLKATA, [NINTH]),
        (18, KOLKATA, [NINTH, TENTH]),
        (19, KOLKATA, [TENTH]),
        (23, ZoneInfo("UTC"), [NINTH]),
        (24, ZoneInfo("UTC"), [TENTH]),
        (28, NEW_YORK, [NINTH]),
        (29, NEW_YORK, [TENTH]),
    ],
)
def test_an_hour_in_which_a_day_begins_lies_in_two_days(
    hour: int, zone: ZoneInfo, days: list[date]
) -> None:
    assert [day.date for day in days_of(Window(at(hour)), zone)] == days


@given(moments, zones)
def test_every_moment_lies_in_its_day_and_in_one_of_its_hours(
    moment: datetime, zone: ZoneInfo
) -> None:
    day = Day.of(moment, zone)
    assert day.start <= moment < day.end
    assert Window.of(moment) in day.windows
    assert day in days_of(Window.of(moment), zone)
    assert Day(day.date + timedelta(days=1), zone).start == day.end


@given(moments, zones)
def test_hours_and_days_refer_to_each_other(moment: datetime, zone: ZoneInfo) -> None:
    window = Window.of(moment)
    near = [Day(moment.date() + timedelta(days=step), zone) for step in range(-2, 3)]
    assert days_of(window, zone) == [day for day in near if window in day.windows]
