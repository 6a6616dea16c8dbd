"""Edge rules, filters and orders, tested over HTTP with records exactly on the edges."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from returns_orchestration.simulator.boundaries import inside

if TYPE_CHECKING:
    from .conftest import Api, Start

ELEVEN = datetime(2026, 11, 9, 11, tzinfo=UTC)
HOUR = timedelta(hours=1)
NOON = ELEVEN + HOUR
SECOND = 1_000_000
# The places of a record around a window of 100 s, and the rules that count it.
PLACES = {
    99 * SECOND: (),
    100 * SECOND - 1: (),
    100 * SECOND: ("[)", "[]", "second"),
    100 * SECOND + 1: ("[)", "[]", "(]", "()", "second"),
    200 * SECOND - 1: ("[)", "[]", "(]", "()", "second"),
    200 * SECOND: ("[]", "(]", "second"),
    200 * SECOND + 1: ("second",),
    201 * SECOND: (),
}
RULES = ("[)", "[]", "(]", "second", "()")
BOUNDARY_WINDOWS = {"[)": 1, "[]": 2, "(]": 1, "second": 2, "()": 0}


def hour(api: Api, start: datetime) -> list[dict[str, Any]]:
    times = [moment.strftime("%Y-%m-%dT%H:%M:%S") for moment in (start, start + HOUR)]
    return api.records(start_time=times[0], end_time=times[1])


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_counts_the_edges_it_names(rule: Any) -> None:
    counted = {place for place in PLACES if inside(rule, place, 100 * SECOND, 200 * SECOND)}
    assert counted == {place for place, rules in PLACES.items() if rule in rules}


@pytest.mark.parametrize("rule", RULES)
def test_contiguous_windows_serve_a_boundary_record_as_often_as_the_rule_implies(
    start: Start, rule: str
) -> None:
    api = start(returns_per_hour=20, edges=True, oddities=0, mps_share=0, edge_rule=rule)
    times: Counter[datetime] = Counter()
    for start_of_hour in (ELEVEN - HOUR, ELEVEN, NOON):
        for record in hour(api, start_of_hour):
            times[datetime.fromisoformat(record["Return Request Timestamp"])] += 1
    assert times[ELEVEN] == times[NOON] == BOUNDARY_WINDOWS[rule]
    second, micro = timedelta(seconds=1), timedelta(microseconds=1)
    assert times[NOON - second] == times[NOON - micro] == times[NOON + second] == 1
    # Cut to whole seconds, a microsecond after the hour is on the hour.
    assert times[NOON + micro] == (2 if rule == "second" else 1)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("filter_on", ["requested", "timestamp"])
def test_the_server_sends_exactly_the_records_of_the_dataset(
    start: Start, rule: str, filter_on: str
) -> None:
    api = start(returns_per_hour=30, edges=True, edge_rule=rule, filter_on=filter_on)
    expected = api.simulator.dataset.served(ELEVEN, NOON, api.clock.now)
    body = b'{"meta":{"success":true,"message":"SUCCESS","status":200},"result":[%b]}'
    assert api.poll().content == body % b",".join(one.json for one in expected)


def test_by_timestamp_a_record_is_in_the_hour_of_its_awb(start: Start) -> None:
    api = start(returns_per_hour=0, edges=True, awb_never_share=0, filter_on="timestamp")
    first = min(record["Return Request Timestamp"] for record in hour(api, NOON))
    assert first == "2026-11-09T11:59:59.000000Z"  # its AWB came at exactly 12:00:00
    assert len(hour(api, NOON)) == 5


def test_by_timestamp_slow_awbs_are_found_hours_later(start: Start) -> None:
    wait = timedelta(hours=3)
    api = start(
        returns_per_hour=40,
        rhythm=False,
        oddities=0,
        filter_on="timestamp",
        awb_slow_share=1,
        awb_never_share=0,
        awb_slow_by=(wait, wait),
    )
    asked = {record["Return Request Timestamp"][:13] for record in hour(api, ELEVEN + wait)}
    assert asked == {"2026-11-09T11"}
    # At noon the AWBs of 08:00 are new, and those of 11:00 do not exist yet: their records are
    # found by their only time.
    api.clock.now = NOON
    asked = {record["Return Request Timestamp"][:13] for record in hour(api, ELEVEN)}
    assert asked == {"2026-11-09T08", "2026-11-09T11"}


def test_each_order_of_records_is_followed(start: Start) -> None:
    def references(order: str) -> list[list[str]]:
        api = start(returns_per_hour=200, rhythm=False, oddities=0, order=order)
        return [[one["return_reference_number"] for one in api.records()] for _ in range(2)]

    up, down, mixed = references("asc"), references("desc"), references("shuffled")
    assert up[0] == up[1] == down[0][::-1]
    assert mixed[0] != mixed[1]
    assert sorted(mixed[0]) == sorted(mixed[1]) == sorted(up[0])
    assert references("shuffled") == mixed


def test_the_zone_shifts_the_window(start: Start) -> None:
    api = start(returns_per_hour=50, rhythm=False, oddities=0, zone="Asia/Kolkata")
    utc = start(returns_per_hour=50, rhythm=False, oddities=0)
    five_thirty = api.records(start_time="2026-11-09T16:30:00", end_time="2026-11-09T17:30:00")
    assert [one["awb"] for one in five_thirty] == [one["awb"] for one in utc.records()]
    assert five_thirty[0]["Return Request Timestamp"].startswith("2026-11-09T16:3")


def test_late_returns_come_with_a_later_poll(start: Start) -> None:
    api = start(returns_per_hour=100, rhythm=False, mps_share=0, oddities=0, late_share=0.5)
    api.clock.now = NOON
    before = {one["return_reference_number"] for one in api.records()}
    api.clock.forward(hours=6)
    after = {one["return_reference_number"] for one in api.records()}
    assert before < after
    assert len(after) == 100
