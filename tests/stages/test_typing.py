from __future__ import annotations

import json
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from support.records import ABSENT, Record, assigned, at, new_case, with_additional
from support.rows import HOUR, READER, folded, items_of, poll, read, reason_refused, row_of, typed

from returns_orchestration import tables
from returns_orchestration.stages.typing import RecordReader, Typed, decode

UNDOCUMENTED = (
    "return_mode",
    "return_sub_reason",
    "description",
    "item_id",
    "shopify_line_item_id",
    "photos",
)
FROM_THE_POLLS = {"pieces", "awbs", "first_polled_at", "last_polled_at", "quality"}


def test_the_shape_of_2022_with_a_courier() -> None:
    row, items = read(assigned())
    requested = at(11, 0, 48.702402)
    status = {
        "status": "Return Order Placed",
        "clickpost_status_code": 101,
        "clickpost_status_description": "Return Order Placed",
        "clickpost_status_bucket": 8,
        "clickpost_status_bucket_description": "Return Order Placed",
        "remark": "Return Order Placed",
        "at": requested,
    }
    assert {name: value for name, value in row.items() if value is not None} == {
        "return_reference_number": "8036651794222048",
        "requested_at": requested,
        "status": "SUCCESS",
        "refund_mode": "Back to source",
        "source": "Returns Page",
        "cp_id": 25,
        "cp_name": "Delhivery",
        "account_code": "Delhivery_Reverse",
        "return_tracking_id": 506685194,
        "awb": "2667237821710",
        "awb_at": at(11, 0, 50.143090),
        "pieces": 1,
        "awbs": ["2667237821710"],
        "webhook_waybill": "2667237821710",
        "webhook_cp_id": 25,
        "webhook_account_code": "Delhivery_Reverse",
        "webhook_notification_event": 11,
        "webhook_location": "Stark Tower, Navrangpura, Ahmedabad, 380015",
        **{f"{place}_{key}": v for place in ("webhook", "latest") for key, v in status.items()},
        "is_rvp": True,
        "forward_awb": "1234567890123",
        "forward_reference_number": "2290664",
        "forward_order_id": "103887038",
        "notification_event_id": 11,
        "self_shipped": False,
        "additional_return_reference_number": "8036651794222048",
        "sources": ["poll"],
        "first_polled_at": at(12, 10),
        "last_polled_at": at(12, 10),
        "quality": [],
    }
    assert items == [
        {
            "return_reference_number": "8036651794222048",
            "item_index": 0,
            "requested_at": requested,
            "sku": "4060981731573",
            "quantity": 1,
            "return_reason": "Other Reason",
            "refund_mode": "Back to source",
            **dict.fromkeys(UNDOCUMENTED),
            "quality": [],
        }
    ]


def test_the_shape_of_2025_before_a_courier_is_assigned() -> None:
    row, items = read(new_case())
    absent = (
        "cp_id cp_name account_code return_tracking_id awb awb_at webhook_waybill webhook_cp_id "
        "webhook_account_code webhook_location latest_status"
    )
    assert [row[name] for name in absent.split()] == [None] * 11
    assert row["quality"] == []
    assert row["return_reference_number"] == "RE58231794222055"
    assert row["requested_at"] == at(11, 0, 55)
    assert row["webhook_at"] == at(29 * 24 + 11, 0, 55)
    assert (row["status"], row["refund_mode"], row["source"]) == ("NEW_CASE", "Credits", "API")
    assert (row["pieces"], row["awbs"], row["is_rvp"]) == (1, [], True)
    assert (row["pickup_state"], row["pickup_region"]) == ("Gujarat", "380")
    assert row["drop_store_id"] == "S-1"
    assert [items[0][name] for name in UNDOCUMENTED] == ["REFUND", None, "Blue shirt", 991, 77, 0]
    assert row["forward_order_id"] == "103887039"
    assert [i["return_reason"] for i in items] == ["Product is not as expected"]
    assert [(i["sku"], i["quantity"], i["quality"]) for i in items] == [("SHIRT-M", 2, [])]


def numbered() -> tuple[Record, dict[str, dict[str, object]]]:
    """A record with a distinct value in every documented field, and those values by place."""
    given: dict[str, dict[str, object]] = {}
    for number, column in enumerate((*tables.RETURNS.columns, *tables.RETURN_ITEMS.columns)):
        if column.place:
            value: object = f"value {number}"
            if column.dtype == tables.NUMBER:
                value = 1000 + number
            elif column.dtype == tables.TIME:
                value = f"2026-11-09T11:{number % 60:02d}:00Z"
            elif column.dtype == tables.FLAG:
                value = column.key == "is_rvp"
            value = {"photos": ["one", "two"], "pickup_region": "380015"}.get(column.name, value)
            given.setdefault(column.place, {})[column.key] = value
    record: Record = {
        **given["record"],
        "webhook_payload": {
            **given["webhook_payload"],
            "pickup_info": given["pickup_info"],
            "additional": {
                **given["additional"],
                "latest_status": given["latest_status"],
                "item_info": [given["item_info"]],
            },
        },
    }
    return record, given


@pytest.mark.parametrize("additional_in_the_record", [False, True])
def test_every_documented_field_is_in_its_column(
    additional_in_the_record: bool,
) -> None:
    record, given = numbered()
    if additional_in_the_record:
        record["additional"] = record["webhook_payload"].pop("additional")
    row, items = read(record)
    flat = row | items[0] | {"refund_mode": row["refund_mode"]}
    for column in (*tables.RETURNS.columns, *tables.RETURN_ITEMS.columns):
        if column.place:
            found = items[0][column.name] if column.place == "item_info" else flat[column.name]
            expected = given[column.place][column.key]
            expected = {"photos": 2, "pickup_region": "380"}.get(column.name, expected)
            if column.dtype == tables.TIME:
                found = f"{found:%Y-%m-%dT%H:%M:%SZ}"
            assert found == expected, column.name
    assert row["quality"] == []


def test_the_record_s_own_additional_wins_over_the_payload_s_and_gaps_are_filled() -> None:
    record = with_additional({"forward_order_id": "inner", "forward_awb": "inner"})
    record["additional"] = {"forward_order_id": "outer", "forward_awb": None}
    row, _ = read(record)
    assert (row["forward_order_id"], row["forward_awb"]) == ("outer", "inner")


CANARY = "canary-7f3a"
PERSONAL: dict[str, Record] = {
    "record": {"customer_name": CANARY, "customer": {"email": CANARY}, "new_key": CANARY},
    "webhook_payload": {
        "customer_name": CANARY,
        "request_placed_time": CANARY,
        "pickup_info": dict.fromkeys(
            [
                "customer_name",
                "customer_email",
                "customer_phone_number",
                "pickup_address",
                "pickup_city",
                "pickup_country",
            ],
            CANARY,
        ),
        "return_reference_number": CANARY,
        "new_key": CANARY,
    },
    "additional": dict.fromkeys(
        [
            "source",
            "return_pickup_phone_number",
            "return_pickup_address",
            "return_phone_number",
            "return_address",
            "new_key",
        ],
        CANARY,
    ),
    "latest_status": {"customer_name": CANARY, "new_key": [CANARY]},
    "item_info": dict.fromkeys(
        [
            "customer_comment",
            "images",
            "customer_uploaded_images",
            "return_reference_number",
            "new_key",
        ],
        CANARY,
    ),
}


@pytest.mark.parametrize("additional_in_the_record", [False, True])
def test_personal_and_new_keys_reach_no_column(additional_in_the_record: bool) -> None:
    record = assigned(PERSONAL["record"])
    payload: Any = record["webhook_payload"]
    payload.update(PERSONAL["webhook_payload"])
    additional = payload["additional"]
    additional.update(PERSONAL["additional"])
    additional["latest_status"].update(PERSONAL["latest_status"])
    additional["item_info"][0].update(PERSONAL["item_info"])
    if additional_in_the_record:
        record["additional"] = payload.pop("additional")
    assert json.dumps(record).count(CANARY) == 26
    found = folded(poll(record))
    assert CANARY not in repr(row_of(found)) + repr(items_of(found))
    assert row_of(found)["quality"] == []


def test_new_keys_are_reported_by_name_and_never_by_value() -> None:
    record = assigned({"brand_new": CANARY, "zz_2": 1}, customer_name="seen before")
    assert typed(record).new_keys == {"record.brand_new", "record.zz_2"}


@pytest.mark.parametrize(
    "key",
    ["+91 90000 00000", "tel_9000000000", "a.b@c.example", "Samaira Iyengarh", "x" * 41, "a\n", ""],
)
def test_a_new_key_that_may_be_personal_is_not_reported(key: str) -> None:
    assert typed(assigned({key: 1})).new_keys == {"record.(unusual name)"}


def test_a_new_key_that_holds_a_secret_is_counted_only() -> None:
    reader = RecordReader(ZoneInfo("UTC"), ["Canary", " "])
    read = reader.read(json.dumps(assigned({"of_canary_2": 1, "colour": 1})))
    assert isinstance(read, Typed)
    assert read.new_keys == {"record.(unusual name)", "record.colour"}


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (assigned(return_reference_number=ABSENT), "return_reference_number"),
        (assigned(return_reference_number=None), "return_reference_number"),
        (assigned(return_reference_number=" None "), "return_reference_number"),
        (assigned(return_reference_number=["x"]), "return_reference_number"),
        (assigned(return_reference_number=True), "return_reference_number"),
        (assigned({"Return Request Timestamp": ABSENT}), "Return Request Timestamp"),
        (assigned({"Return Request Timestamp": "yesterday"}), "Return Request Timestamp"),
        (assigned({"Return Request Timestamp": None}), "Return Request Timestamp"),
        (["a list"], "not a JSON object"),
        (None, "not a JSON object"),
        (7, "not a JSON object"),
        ('{"return_reference_number": "R-1", }', "not a JSON object"),
        ("{'return_reference_number': 'R-1'}", "not a JSON object"),
        ("", "not a JSON object"),
    ],
)
def test_a_record_without_a_number_or_a_time_is_refused_with_the_reason(
    record: object, reason: str
) -> None:
    assert reason in reason_refused(record)


def test_naive_times_of_a_record_are_in_the_configured_zone() -> None:

    record = assigned({"Return Request Timestamp": "2026-11-09 16:30:48"})
    in_india = RecordReader(ZoneInfo("Asia/Kolkata")).read(json.dumps(record))
    assert isinstance(in_india, Typed)
    assert in_india.requested_at == at(11, 0, 48)
    assert typed(record).requested_at == at(16, 30, 48)


def test_a_head_equals_that_of_the_whole_record() -> None:
    text = json.dumps(new_case())
    assert READER.head(decode(text)) == ("RE58231794222055", at(11, 0, 55))
    assert HOUR.holds(at(11, 0, 55))


def test_a_raw_line_break_in_a_text_rejects_no_record() -> None:
    """The reply is still split, so its reference and time can be read."""
    text = json.dumps(assigned(refund_mode="Back @ source")).replace("@", "\n\tto\x01")
    found = READER.read(text)
    assert isinstance(found, Typed)
    assert found.reference == "8036651794222048"
