"""The states of many hours: what Dagster would say, without its minutes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from returns_orchestration.defs.years import is_of_hours, subset_of
from returns_orchestration.window import Window

START = datetime(2026, 11, 1, tzinfo=UTC)
HOURS = dg.HourlyPartitionsDefinition(start_date=START, timezone="UTC", end_offset=0)
NUMBERS = st.sets(st.integers(-3, 60))


@given(
    NUMBERS,
    st.lists(st.sampled_from(["", "2026-11-01", "2026-11-01-00:30", "x", "2026-W45-1-00:00"])),
)
def test_a_subset_is_the_one_that_dagster_makes(numbers: set[int], foreign: list[str]) -> None:
    keys = [Window(START + timedelta(hours=number)).key for number in numbers]
    now = START + timedelta(hours=50, minutes=30)
    with dg.partition_loading_context(effective_dt=now):
        ours = subset_of(HOURS, [*foreign, *keys, None])
        valid = HOURS.filter_valid_partition_keys(set(keys))
        theirs = HOURS.empty_subset().with_partition_keys(valid)
        assert ours == theirs
        assert len(ours) == len(theirs) == sum(0 <= number < 50 for number in numbers)
        assert ours.serialize() == theirs.serialize()


def test_the_first_partition_is_the_first_whole_hour() -> None:
    later = dg.HourlyPartitionsDefinition(start_date=START + timedelta(minutes=30), timezone="UTC")
    keys = [Window(START + timedelta(hours=number)).key for number in range(3)]
    valid = later.filter_valid_partition_keys(set(keys))
    assert subset_of(later, keys) == later.empty_subset().with_partition_keys(valid)
    assert valid == set(keys[1:])


@pytest.mark.parametrize(
    ("partitions", "is_fast"),
    [
        (HOURS, True),
        (dg.HourlyPartitionsDefinition(start_date=START, timezone="Asia/Kolkata"), False),
        (dg.HourlyPartitionsDefinition(start_date=START, end_offset=1), False),
        (dg.HourlyPartitionsDefinition(start_date=START, minute_offset=30), False),
        (dg.DailyPartitionsDefinition(start_date=START), False),
        (dg.StaticPartitionsDefinition(["a"]), False),
        (None, False),
    ],
)
def test_only_whole_utc_hours_are_read_so(partitions: Any, is_fast: bool) -> None:
    assert is_of_hours(partitions) is is_fast
