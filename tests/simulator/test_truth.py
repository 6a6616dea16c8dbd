"""The truth for tests: it agrees with the served records, read by the rules of this file alone."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

from returns_orchestration.simulator import Dataset, SimulatorOptions, TrueItem
from returns_orchestration.simulator.truth import folded

ELEVEN = datetime(2026, 11, 9, 11, tzinfo=UTC)
NOON = ELEVEN + timedelta(hours=1)
LATER = ELEVEN + timedelta(days=30)


def dataset(**options: Any) -> Dataset:
    given = {"returns_per_hour": 200, "rhythm": False, "oddities": 0, **options}
    return Dataset(SimulatorOptions(**given))


def listed(records: list[dict[str, Any]]) -> list[TrueItem]:
    """The items of a return's records, a list that repeats counted once."""
    lists: list[list[dict[str, Any]]] = []
    for record in records:
        items = record["webhook_payload"]["additional"]["item_info"]
        if items not in lists:
            lists.append(items)
    return [
        TrueItem(
            item["sku"],
            item["quantity"],
            item["return_reason"].strip(),
            item["refund_mode"],
        )
        for items in lists
        for item in items
    ]


def test_the_truth_equals_the_sum_of_the_records_of_a_return() -> None:
    data = dataset(mps_share=0.3)
    records = defaultdict(list)
    for served in data.served(ELEVEN, NOON, LATER):
        records[served.reference].append(json.loads(served.json))
    truth = data.returns_between(ELEVEN, NOON, LATER)
    assert [one.reference for one in truth] == list(records)
    for one in truth:
        mine = records[one.reference]
        first = mine[0]
        assert one.pieces == len(mine)
        assert one.status == first["status"]
        assert one.refund_mode == first["refund_mode"]
        assert one.requested_at == datetime.fromisoformat(first["Return Request Timestamp"])
        assert list(one.awbs) == [record["awb"] for record in mine if record["awb"]]
        assert list(one.items) == listed(mine)
        assert one.quantity == sum(item.quantity or 0 for item in one.items)
        if one.awb_at is not None:
            assert one.awb_at == datetime.fromisoformat(first["timestamp"])
    assert max(one.pieces for one in truth) == 3


def test_the_truth_moves_with_the_clock() -> None:
    data = dataset(awb_slow_share=1, awb_never_share=0, mps_share=0)
    early = data.returns_between(ELEVEN, NOON, ELEVEN + timedelta(minutes=29))
    late = data.returns_between(ELEVEN, NOON, LATER)
    assert {(one.status, one.awb_at, one.awbs) for one in early} == {("NEW_CASE", None, ())}
    assert {one.status for one in late} == {"SUCCESS"}
    assert all(one.awb_at and len(one.awbs) == 1 for one in late)
    assert len(early) < len(late) == 200


def test_the_truth_ignores_filter_and_order() -> None:
    plain = dataset().returns_between(ELEVEN, NOON, LATER)
    for options in ({"filter_on": "timestamp"}, {"edge_rule": "()"}, {"order": "shuffled"}):
        assert dataset(**options).returns_between(ELEVEN, NOON, LATER) == plain


def test_an_unreadable_timestamp_is_no_awb_time() -> None:
    data = dataset(oddities=1, only_oddities=("unreadable-timestamp",), awb_never_share=0)
    truth = [one for one in data.returns_between(ELEVEN, NOON, LATER) if one.oddity]
    assert {one.awb_at for one in truth} == {None}
    assert all(one.awbs for one in truth)


def test_texts_are_folded_as_a_reader_should() -> None:
    assert folded("  Back  to\n source ") == "Back to source"
    assert folded("None") is folded(" ") is folded("") is folded(None) is None
    padded = dataset(oddities=1, only_oddities=("padded-text",), mps_share=0)
    for one in padded.returns_between(ELEVEN, NOON, LATER):
        assert one.items[0].return_reason == folded(one.items[0].return_reason)


def test_a_served_record_holds_the_time_it_was_found_by() -> None:
    data = dataset(filter_on="timestamp", awb_slow_share=0, mps_share=0)
    moved = 0
    for one in data.served(ELEVEN, NOON, LATER):
        written = json.loads(one.json)
        found_by = written["timestamp"] or written["Return Request Timestamp"]
        assert one.compared_at == datetime.fromisoformat(found_by)
        moved += one.compared_at != one.requested_at
    assert moved > 100
