"""Records: both shapes, their change with the clock, pieces, zones."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

from returns_orchestration.simulator import Dataset, SimulatorOptions

HOUR = timedelta(hours=1)
ELEVEN = datetime(2026, 11, 9, 11, tzinfo=UTC)
NOON = ELEVEN + HOUR
MUCH_LATER = ELEVEN + timedelta(days=30)
TOP = {"return_reference_number", "status", "Return Request Timestamp", "cp_id", "cp_name"} | {
    *("account_code", "return_tracking_id", "awb", "timestamp", "refund_mode", "source"),
    "webhook_payload",
}
PAYLOAD = {"waybill", "cp_id", "status", "location", "clickpost_status_code", "timestamp"} | {
    *("notification_event", "clickpost_status_description", "clickpost_status_bucket", "remark"),
    *("clickpost_status_bucket_description", "account_code", "additional"),
}
ADDITIONAL = {"latest_status", "is_rvp", "forward_awb", "forward_reference_number"} | {
    *("forward_order_id", "notification_event_id", "self_shipped", "item_info"),
    "return_reference_number",
}
ITEM = {"sku", "quantity", "return_reason", "refund_mode"}


def records(at: datetime = MUCH_LATER, **options: Any) -> list[dict[str, Any]]:
    options = {"returns_per_hour": 300, "rhythm": False, "oddities": 0, **options}
    served = Dataset(SimulatorOptions(**options)).served(ELEVEN, NOON, at)
    return [json.loads(one.json) for one in served]


def items(record: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = record["webhook_payload"]["additional"]["item_info"]
    return found


def test_every_documented_field_is_there() -> None:
    for record in records():
        payload = record["webhook_payload"]
        assert set(record) == TOP
        assert set(payload) >= PAYLOAD
        assert set(payload["additional"]) >= ADDITIONAL
        assert len(payload["additional"]["latest_status"]) == 8
        assert items(record)
        for item in items(record):
            assert set(item) >= ITEM


def test_a_record_is_as_large_as_the_real_ones_and_not_all_have_undocumented_keys() -> None:
    sizes = [len(json.dumps(record)) for record in records()]
    assert min(sizes) > 1_300
    assert max(sizes) < 6_000
    assert 1_900 < sum(sizes) / len(sizes) < 2_500
    with_person = [record for record in records() if "pickup_info" in record["webhook_payload"]]
    assert 0.4 < len(with_person) / len(sizes) < 0.8


def test_with_a_courier_a_record_has_the_older_shape() -> None:
    for record in records(awb_never_share=0):
        payload = record["webhook_payload"]
        assert record["status"] == "SUCCESS"
        assert record["cp_id"] == payload["cp_id"] > 0
        assert record["awb"] == payload["waybill"]
        assert len(record["awb"]) == 13
        assert isinstance(record["return_tracking_id"], int)
        assert record["timestamp"] > record["Return Request Timestamp"]


def test_before_a_courier_a_record_has_the_newer_shape() -> None:
    empty = ("cp_id", "cp_name", "account_code", "return_tracking_id", "awb", "timestamp")
    for record in records(awb_slow_share=0, awb_never_share=1):
        payload = record["webhook_payload"]
        assert record["status"] == "NEW_CASE"
        assert [record[key] for key in empty] == [None] * 6
        assert (payload["cp_id"], payload["waybill"], payload["account_code"]) == (-1, "", "")


def test_a_slow_awb_turns_the_shape_when_its_time_comes() -> None:
    wait = (timedelta(hours=2), timedelta(hours=2))
    slow = {"awb_slow_share": 1, "awb_never_share": 0, "awb_slow_by": wait, "mps_share": 0}
    at_noon = {one["return_reference_number"]: one for one in records(NOON, **slow)}
    at_two = {one["return_reference_number"]: one for one in records(NOON + 2 * HOUR, **slow)}
    assert at_noon.keys() == at_two.keys()
    assert {one["status"] for one in at_noon.values()} == {"NEW_CASE"}
    assert {one["status"] for one in at_two.values()} == {"SUCCESS"}
    for reference, before in at_noon.items():
        after = at_two[reference]
        assert items(before) == items(after)
        assert before["webhook_payload"]["status"] != after["webhook_payload"]["status"]
        assert after["webhook_payload"]["clickpost_status_code"] == 28


def test_parcels_move_on_with_the_clock_unless_switched_off() -> None:
    texts = Counter(one["webhook_payload"]["status"] for one in records())
    assert texts["Delivered"] > 100
    assert texts["Return Request Cancelled"] > 0
    still = Counter(one["webhook_payload"]["status"] for one in records(progress=False))
    assert set(still) == {"Return Order Placed", "AWB Registered"}


def test_most_awbs_come_within_three_seconds() -> None:
    waits = []
    for record in records(mps_share=0):
        if record["timestamp"]:
            made = datetime.fromisoformat(record["timestamp"])
            waits.append(made - datetime.fromisoformat(record["Return Request Timestamp"]))
    quick = [wait for wait in waits if wait <= timedelta(seconds=3)]
    assert min(waits) >= timedelta(seconds=1)
    assert 0.6 < len(quick) / len(waits) < 0.9


def test_pieces_share_a_reference_and_differ_in_awb_and_tracking_id() -> None:
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in records(mps_share=1, awb_never_share=0):
        groups[record["return_reference_number"]].append(record)
    shared = own = 0
    for pieces in groups.values():
        assert len(pieces) in {2, 3}
        assert len({one["awb"] for one in pieces}) == len(pieces)
        assert len({one["return_tracking_id"] for one in pieces}) == len(pieces)
        listed = [json.dumps(items(one)) for one in pieces]
        shared += len(set(listed)) == 1
        own += len(set(listed)) == len(pieces)
    assert shared + own == len(groups) == 300
    assert min(shared, own) > 100


def test_before_its_awbs_a_return_of_several_pieces_is_one_record_with_all_items() -> None:
    slow = {"mps_share": 1, "awb_slow_share": 1, "awb_never_share": 0}
    waiting = records(ELEVEN + timedelta(minutes=29), **slow)
    assert len({one["return_reference_number"] for one in waiting}) == len(waiting) > 100
    assert min(len(items(one)) for one in waiting) >= 2


def test_modes_sometimes_differ_between_levels_and_reasons_have_blanks() -> None:
    pairs = [(record["refund_mode"], item) for record in records() for item in items(record)]
    differing = [mode for mode, item in pairs if mode != item["refund_mode"]]
    assert 0 < len(differing) < len(pairs) * 0.2
    assert None in {mode for mode, _ in pairs}
    reasons = {item["return_reason"] for _, item in pairs}
    assert "Product is not as expected " in reasons
    assert len(reasons) > 5


def test_india_time_labelled_utc_shows_in_the_reference() -> None:
    options = SimulatorOptions(returns_per_hour=50, rhythm=False, oddities=0, zone="Asia/Kolkata")
    for one in Dataset(options).served(ELEVEN, NOON, MUCH_LATER):
        record = json.loads(one.json)
        written = datetime.fromisoformat(record["Return Request Timestamp"])
        assert record["Return Request Timestamp"].endswith("Z")
        assert written - one.requested_at == timedelta(seconds=19_800)
        assert int(written.timestamp()) - int(record["return_reference_number"][-10:]) == 19_800


def test_people_are_visibly_fictitious() -> None:
    for record in records():
        info = record["webhook_payload"].get("pickup_info")
        if info:
            assert info["customer_email"].endswith("@customer.example.com")
            assert info["customer_phone_number"].startswith("+91-00000-")
            assert info["pickup_pincode"].startswith("9900")
