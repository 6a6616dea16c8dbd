"""The dataset: the same question has the same answer, for any caller at any time."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from returns_orchestration.simulator import Dataset, SimulatorOptions

HOUR = timedelta(hours=1)
ELEVEN = datetime(2026, 11, 9, 11, tzinfo=UTC)
LATER = ELEVEN + timedelta(days=30)
FINGERPRINT = """
import hashlib
from datetime import UTC, datetime, timedelta
from returns_orchestration.simulator import Dataset, SimulatorOptions
start = datetime(2026, 11, 9, 11, tzinfo=UTC)
data = Dataset(SimulatorOptions(seed=5, returns_per_hour=40, oddities=0.5, edges=True))
served = data.served(start, start + timedelta(hours=1), start + timedelta(days=30))
print(hashlib.sha256(b"".join(one.json for one in served)).hexdigest())
"""


def dataset(**options: object) -> Dataset:
    return Dataset(SimulatorOptions(**options))  # type: ignore[arg-type]


def jsons(data: Dataset, start: datetime, at: datetime = LATER) -> list[bytes]:
    return [record.json for record in data.served(start, start + HOUR, at)]


@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_another_process_makes_the_same_bytes(hash_seed: str) -> None:
    data = dataset(seed=5, returns_per_hour=40, oddities=0.5, edges=True)
    here = hashlib.sha256(b"".join(jsons(data, ELEVEN))).hexdigest()
    there = subprocess.run(  # noqa: S603 - our own interpreter and text
        [sys.executable, "-c", FINGERPRINT],
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert there.stdout.strip() == here


def test_an_hour_does_not_depend_on_the_hours_asked_for_before() -> None:
    alone = jsons(dataset(), ELEVEN)
    wandering = dataset()
    for hours in (30, -5, 2, 1, -1):
        jsons(wandering, ELEVEN + hours * HOUR)
    assert jsons(wandering, ELEVEN) == alone
    assert len(alone) > 5


def test_another_seed_makes_other_returns() -> None:
    assert not set(jsons(dataset(seed=1), ELEVEN)) & set(jsons(dataset(seed=2), ELEVEN))


def test_a_flat_hour_has_exactly_as_many_returns_as_asked_for() -> None:
    data = dataset(returns_per_hour=250, rhythm=False)
    for hours in range(24):
        start = ELEVEN + hours * HOUR
        assert len(data.returns_between(start, start + HOUR, LATER)) == 250


def test_a_flat_fraction_is_carried_from_hour_to_hour() -> None:
    data = dataset(returns_per_hour=2.25, rhythm=False)
    assert len(data.returns_between(ELEVEN, ELEVEN + 8 * HOUR, LATER)) == 18


def test_a_small_merchant_has_empty_nights_busy_evenings_and_its_mean() -> None:
    data = dataset(returns_per_hour=6)
    by_hour: Counter[int] = Counter()
    empty_nights = nights = 0
    for hours in range(28 * 24):
        start = ELEVEN + hours * HOUR
        count = len(data.returns_between(start, start + HOUR, LATER + 30 * HOUR))
        by_hour[start.hour] += count
        if start.hour in {21, 22}:  # 02:30 to 04:30 in India
            nights += 1
            empty_nights += count == 0
    assert empty_nights > nights * 0.7
    assert by_hour[15] > 5 * by_hour[1]  # 20:30 against 06:30 in India
    assert 5.5 < by_hour.total() / (28 * 24) < 6.5


def test_weekends_are_busier() -> None:
    data = dataset(returns_per_hour=100)
    monday, sunday = datetime(2026, 11, 9, tzinfo=UTC), datetime(2026, 11, 15, tzinfo=UTC)
    counts = [len(data.returns_between(day, day + 24 * HOUR, LATER)) for day in (monday, sunday)]
    assert counts[1] > counts[0] * 1.1


def test_references_awbs_and_tracking_ids_are_unique_and_hold_the_second() -> None:
    data = dataset(returns_per_hour=3_000, rhythm=False, oddities=0, edges=True)
    returns = data.returns_between(ELEVEN, ELEVEN + 3 * HOUR, LATER)
    references = [one.reference for one in returns]
    awbs = [awb for one in returns for awb in one.awbs]
    assert len(set(references)) == len(references) == 3 * 3_005
    assert len(set(awbs)) == len(awbs) > len(returns) // 2
    for one in returns:
        assert one.reference.removeprefix("RE").isdigit()
        assert int(one.reference[-10:]) == int(one.requested_at.timestamp())
    prefixed = sum(reference.startswith("RE") for reference in references)
    assert 0.3 < prefixed / len(references) < 0.5


def test_changing_the_shares_does_not_change_the_returns() -> None:
    plain = dataset(late_share=0, mps_share=0, oddities=0, awb_never_share=0)
    other = dataset(late_share=0.5, mps_share=0.5, oddities=0, awb_never_share=0.7)
    end = ELEVEN + HOUR
    assert [one.reference for one in plain.returns_between(ELEVEN, end, LATER)] == [
        one.reference for one in other.returns_between(ELEVEN, end, LATER)
    ]


def test_edge_returns_surround_every_boundary_to_the_microsecond() -> None:
    data = dataset(returns_per_hour=0, edges=True, awb_never_share=0)
    span = timedelta(seconds=2)
    for boundary in (ELEVEN, ELEVEN + HOUR, ELEVEN.replace(hour=0)):
        around = data.returns_between(boundary - span, boundary + span, LATER)
        gaps = [one.requested_at - boundary for one in around]
        one_second, one_micro = timedelta(seconds=1), timedelta(microseconds=1)
        assert gaps == [-one_second, -one_micro, timedelta(0), one_micro, one_second]
        beyond = [one.awb_at is not None and one.awb_at >= boundary for one in around[:2]]
        assert beyond == [True, True]


def test_no_return_is_requested_after_now() -> None:
    data = dataset(returns_per_hour=600, rhythm=False)
    now = ELEVEN + timedelta(minutes=20)
    seen = data.returns_between(ELEVEN, ELEVEN + HOUR, now)
    assert 0 < len(seen) < 600
    assert max(one.requested_at for one in seen) <= now
    assert data.returns_between(ELEVEN + HOUR, ELEVEN + 2 * HOUR, now) == []
    assert len(data.served(ELEVEN, ELEVEN + HOUR, now)) >= len(seen)


def test_late_returns_appear_within_their_range_and_not_before() -> None:
    low, high = timedelta(minutes=30), timedelta(hours=3)
    data = dataset(returns_per_hour=500, rhythm=False, late_share=0.4, late_by=(low, high))
    end = ELEVEN + HOUR
    everything = data.returns_between(ELEVEN, end, LATER)
    late = [one for one in everything if one.visible_at > one.requested_at]
    assert 0.3 < len(late) / len(everything) < 0.5
    assert all(low <= one.visible_at - one.requested_at <= high for one in late)
    at_the_end = {one.reference for one in data.returns_between(ELEVEN, end, end)}
    assert at_the_end == {one.reference for one in everything if one.visible_at <= end}
    assert len(data.returns_between(ELEVEN, end, end + high)) == 500


def test_memory_stays_flat_over_many_hours() -> None:
    data = dataset(returns_per_hour=1)
    for hours in range(100):
        jsons(data, ELEVEN + hours * HOUR)
    assert len(data._hours) < 20


def test_a_window_of_twelve_thousand_is_made_in_time() -> None:
    data = dataset(returns_per_hour=12_000, rhythm=False)
    before = time.process_time()
    records = jsons(data, ELEVEN)
    assert time.process_time() - before < 3
    assert 12_000 <= len(records) < 13_000
    assert 20e6 < sum(map(len, records)) < 30e6


def test_a_naive_time_is_refused() -> None:
    naive = ELEVEN.replace(tzinfo=None)
    with pytest.raises(ValueError, match="zone"):
        dataset().returns_between(naive, naive, LATER)
