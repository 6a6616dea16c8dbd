from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.records import at

from returns_orchestration.errors import SettingsError
from returns_orchestration.window import Window, last_settled, read_hour, windows_between

ELEVEN = Window(at(11))
INDIA = timezone(timedelta(hours=5, minutes=30))

moments = st.datetimes(
    datetime(1, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    datetime(9999, 12, 31, 22, 59),  # noqa: DTZ001
    timezones=st.just(UTC),
)


def test_a_window_is_the_hour_of_its_partition_key() -> None:
    assert ELEVEN.key == "2026-11-09-11:00"
    assert Window.from_key("2026-11-09-11:00") == ELEVEN
    assert ELEVEN.text == "2026-11-09T11:00"
    assert ELEVEN.path == "date=2026-11-09/hour=11"
    assert ELEVEN.end - ELEVEN.start == timedelta(minutes=60)


@given(moments)
def test_every_hour_has_one_key_and_one_path(moment: datetime) -> None:
    window = Window.of(moment)
    assert window.holds(moment)
    assert window.hours_to(moment) == 0
    assert Window.from_key(window.key) == window
    assert Window.from_path(f"returns/{window.path}/part-0.parquet") == window
    assert read_hour(window.text) == window.start


def test_the_hour_of_a_time_follows_from_utc_and_not_from_its_own_zone() -> None:
    assert Window.of(datetime(2026, 11, 9, 17, 15, tzinfo=INDIA)) == ELEVEN


@pytest.mark.parametrize(
    ("moment", "inside", "hours"),
    [
        (at(11), True, 0),
        (at(11, 59, 59.999999), True, 0),
        (at(12), False, 1),
        (at(10, 59, 59.999999), False, -1),
        (at(9, 59), False, -2),
        (at(35), False, 24),
    ],
)
def test_a_window_holds_its_begin_and_not_its_end(
    moment: datetime,
    inside: bool,
    hours: int,
) -> None:
    assert ELEVEN.holds(moment) is inside
    assert ELEVEN.hours_to(moment) == hours


def test_the_wire_gets_a_contiguous_hour_of_whole_seconds() -> None:
    assert ELEVEN.on_the_wire(ZoneInfo("UTC")) == ("2026-11-09T11:00:00", "2026-11-09T12:00:00")
    assert ELEVEN.on_the_wire(ZoneInfo("UTC"))[1] == ELEVEN.next.on_the_wire(ZoneInfo("UTC"))[0]
    assert ELEVEN.on_the_wire(ZoneInfo("Asia/Kolkata")) == (
        "2026-11-09T16:30:00",
        "2026-11-09T17:30:00",
    )


@pytest.mark.parametrize("hour", range(4))
def test_the_wire_hour_is_never_longer_than_60_minutes_when_clocks_change(hour: int) -> None:
    # Berlin's clocks went back at 01:00 UTC on this day.
    window = Window(datetime(2026, 10, 25, hour, tzinfo=UTC))
    start, end = map(datetime.fromisoformat, window.on_the_wire(ZoneInfo("Europe/Berlin")))
    assert end - start == timedelta(hours=1)


@pytest.mark.parametrize(
    "start",
    [
        at(11, 30),
        at(11, 0, 1),
        at(11) + timedelta(microseconds=1),
        datetime(2026, 11, 9, 11),  # noqa: DTZ001
        datetime(2026, 11, 9, 11, tzinfo=INDIA),
    ],
)
def test_a_window_begins_on_a_whole_utc_hour_or_not_at_all(start: datetime) -> None:
    with pytest.raises(ValueError, match="whole hour in UTC"):
        Window(start)


def test_windows_have_adjacent_windows_and_an_order() -> None:
    assert ELEVEN.next.previous == ELEVEN
    assert ELEVEN.next.start == ELEVEN.end
    assert min([ELEVEN.next, ELEVEN, ELEVEN.previous]) == ELEVEN.previous


def test_windows_between_are_half_open() -> None:
    assert [w.key[-5:] for w in windows_between(at(23), at(26))] == ["23:00", "00:00", "01:00"]
    assert list(windows_between(at(11), at(11))) == []


@pytest.mark.parametrize(
    ("now", "newest"),
    [
        (at(12, 10), ELEVEN),
        (at(12, 9, 59.9), ELEVEN.previous),
        (at(12, 59), ELEVEN),
        (at(13, 9), ELEVEN),
        (at(13, 10), ELEVEN.next),
    ],
)
def test_an_hour_is_settled_the_configured_time_after_its_end(
    now: datetime, newest: Window
) -> None:
    assert last_settled(now, timedelta(minutes=10)) == newest


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("2026-11-09T11:00", at(11)),
        ("2026-11-09", at(0)),
        ("2026-11-09T11:00:00Z", at(11)),
        ("2026-11-09T16:30+05:30", at(11)),
    ],
)
def test_an_hour_is_read_as_a_user_writes_it(text: str, hour: datetime) -> None:
    assert read_hour(text) == hour


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2026-11-09T11:30", "2026-13-01", "0001-01-01T00:00+05:30", "11:00"],
)
def test_invalid_text_for_an_hour_is_refused_with_both_forms(text: str) -> None:
    with pytest.raises(SettingsError, match=r"2026-11-09T11:00, or a day, 2026-11-09"):
        read_hour(text)


@pytest.mark.parametrize(
    "path", ["", "returns/part-0.parquet", "date=2026-11-09/x", "date=2026-11-09/hour=24/x"]
)
def test_a_path_without_an_hour_names_no_window(path: str) -> None:
    assert Window.from_path(path) is None


def test_the_hour_that_clocks_repeat_is_two_windows() -> None:
    first = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    second = first.replace(fold=1)
    assert first == second, "they compare as equal"
    assert Window.of(second) == Window.of(first).next
