"""Each seen or plausible oddity, by name: the values of the row, the list in `quality`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.records import (
    ABSENT,
    Record,
    assigned,
    at,
    item,
    new_case,
    with_additional,
    with_items,
)
from support.rows import read

ADDITIONAL = ["is_rvp", "forward_awb", "forward_order_id", "notification_event_id", "self_shipped"]
WEBHOOK = ["webhook_waybill", "webhook_cp_id", "webhook_status", "webhook_location", "webhook_at"]


def nulls(*names: str) -> dict[str, None]:
    return dict.fromkeys(names)


def webhook(**changes: Any) -> Record:
    return assigned(webhook_payload=changes)


def wrapped() -> Record:
    record = assigned()
    record["webhook_payload"] = {"payload": record["webhook_payload"], "internal": {"x": 1}}
    return record


def as_text(record: Record, *path: str) -> Record:
    """The value at ``path`` as JSON text."""
    holder = record
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = json.dumps(holder[path[-1]])
    return record


SEEN: dict[str, tuple[Record, dict[str, object], list[str]]] = {
    "bucket description is a number": (
        webhook(clickpost_status_bucket_description=22),
        {"webhook_clickpost_status_bucket_description": "22"},
        ["webhook_clickpost_status_bucket_description"],
    ),
    "account code null": (assigned(account_code=None), nulls("account_code"), []),
    "account code empty": (assigned(account_code=""), nulls("account_code"), []),
    "account code absent": (assigned(account_code=ABSENT), nulls("account_code"), []),
    "source null": (assigned(source=None), nulls("source"), []),
    "source absent": (assigned(source=ABSENT), nulls("source"), []),
    "status O": (webhook(status="O"), {"webhook_status": "O"}, []),
    "status 777": (webhook(status="777"), {"webhook_status": "777"}, []),
    "reference of digits": (
        assigned(return_reference_number="8036651667991648"),
        {"return_reference_number": "8036651667991648"},
        [],
    ),
    "reference as a number": (
        assigned(return_reference_number=8036651667991648),
        {"return_reference_number": "8036651667991648"},
        ["return_reference_number"],
    ),
    "number as text": (assigned(cp_id="25"), {"cp_id": 25}, ["cp_id"]),
    "tracking id as text": (
        assigned(return_tracking_id="506685194"),
        {"return_tracking_id": 506685194},
        ["return_tracking_id"],
    ),
    "awb as a number": (assigned(awb=26672378), {"awb": "26672378", "awbs": ["26672378"]}, ["awb"]),
    "None as text": (
        assigned(cp_name="None", awb="None", timestamp="None"),
        {**nulls("cp_name", "awb", "awb_at"), "awbs": []},
        [],
    ),
    "no courier yet": (new_case(cp_id=-1), nulls("cp_id", "webhook_cp_id"), []),
    "no courier yet, as text": (new_case(cp_id="-1"), nulls("cp_id"), ["cp_id"]),
    "empty objects": (
        with_additional({"latest_status": {}, "item_info": [item()]}),
        nulls("latest_status", "latest_at"),
        [],
    ),
    "additional an empty object": (with_additional({}), nulls(*ADDITIONAL), []),
    "reference repeated with another value": (
        with_additional({"return_reference_number": "OTHER"}),
        {
            "return_reference_number": "8036651794222048",
            "additional_return_reference_number": "OTHER",
        },
        [],
    ),
    "reference not repeated": (
        with_additional({"return_reference_number": ABSENT}),
        nulls("additional_return_reference_number"),
        [],
    ),
    "webhook wrapped": (
        wrapped(),
        {"webhook_waybill": "2667237821710", "webhook_cp_id": 25, "is_rvp": True},
        [],
    ),
    "status code outside the list": (
        webhook(clickpost_status_code=1005),
        {"webhook_clickpost_status_code": 1005},
        [],
    ),
}

PLAUSIBLE: dict[str, tuple[Record, dict[str, object], list[str]]] = {
    "additional null": (with_additional(None), nulls(*ADDITIONAL), []),
    "additional missing": (with_additional(ABSENT), nulls(*ADDITIONAL), []),
    "additional an empty list": (with_additional([]), nulls(*ADDITIONAL), []),
    "additional a number": (with_additional(5), nulls(*ADDITIONAL), ["additional"]),
    "additional as JSON text": (
        as_text(assigned(), "webhook_payload", "additional"),
        {"is_rvp": True, "forward_order_id": "103887038", "latest_clickpost_status_code": 101},
        ["additional"],
    ),
    "additional in the record": (
        new_case(),
        {"is_rvp": True, "forward_order_id": "103887039", "self_shipped": False},
        [],
    ),
    "payload null": (
        assigned(webhook_payload=None),
        {**nulls(*WEBHOOK), **nulls(*ADDITIONAL), "awb": "2667237821710"},
        [],
    ),
    "payload missing": (assigned(webhook_payload=ABSENT), nulls(*WEBHOOK), []),
    "payload a JSON text": (
        as_text(assigned(), "webhook_payload"),
        {"webhook_cp_id": 25, "webhook_waybill": "2667237821710", "is_rvp": True},
        ["webhook_payload"],
    ),
    "payload a text that is no JSON": (
        assigned(webhook_payload="<html>"),
        nulls(*WEBHOOK),
        ["webhook_payload"],
    ),
    "payload a list": (assigned(webhook_payload=[1]), nulls(*WEBHOOK), ["webhook_payload"]),
    "latest status as JSON text": (
        as_text(assigned(), "webhook_payload", "additional", "latest_status"),
        {"latest_clickpost_status_code": 101},
        ["latest_status"],
    ),
    "Boolean as text": (
        with_additional({"is_rvp": "true", "self_shipped": "False"}),
        {"is_rvp": True, "self_shipped": False},
        ["is_rvp", "self_shipped"],
    ),
    "number unreadable": (assigned(cp_id="Delhivery"), nulls("cp_id"), ["cp_id"]),
    "number with a fraction": (assigned(cp_id=2.5), nulls("cp_id"), ["cp_id"]),
    "text an object": (assigned(source={"a": 1}), nulls("source"), ["source"]),
    "time unreadable": (assigned(timestamp="soon"), nulls("awb_at"), ["awb_at"]),
    "time an epoch": (assigned(timestamp=1794222050), {"awb_at": at(11, 0, 50)}, ["awb_at"]),
    "request time an epoch": (
        assigned({"Return Request Timestamp": 1794222048}),
        {"requested_at": at(11, 0, 48)},
        ["requested_at"],
    ),
    "request time in the future": (
        assigned({"Return Request Timestamp": "2099-01-01T00:00:00Z"}),
        {"awb": "2667237821710"},
        [],
    ),
    "emoji, newlines, blanks": (
        assigned(cp_name=" Size \n too\tsmall 👍 "),
        {"cp_name": "Size too small 👍"},
        [],
    ),
    "spreadsheet formula": (assigned(source='=cmd|"x"'), {"source": '=cmd|"x"'}, []),
}

ITEM_INFO: dict[str, tuple[object, list[tuple[object, ...]], list[str]]] = {
    "an item without reason or mode": (
        [{"sku": "A", "quantity": 1}],
        [("A", 1, None, None, [])],
        [],
    ),
    "four items": (
        [item("A"), item("B"), item("C"), item("D")],
        [(sku, 1, "Size Issue", "UPI", []) for sku in "ABCD"],
        [],
    ),
    "the same SKU twice": (
        [item("A"), item("A")],
        [("A", 1, "Size Issue", "UPI", [])] * 2,
        [],
    ),
    "images as one text, null sub-reason, empty comment": (
        [item("A", images="https://x/1.jpg", return_sub_reason=None, customer_comment="")],
        [("A", 1, "Size Issue", "UPI", [])],
        [],
    ),
    "null": (None, [], []),
    "missing": (ABSENT, [], []),
    "an empty list": ([], [], []),
    "an empty object": ({}, [], []),
    "one object": (item("A"), [("A", 1, "Size Issue", "UPI", [])], ["item_info"]),
    "a JSON text": (json.dumps([item("A")]), [("A", 1, "Size Issue", "UPI", [])], ["item_info"]),
    "a text that is no JSON": ("none here", [], ["item_info"]),
    "a number": (3, [], ["item_info"]),
    "an item that is no object": (["A"], [(None, None, None, None, ["item_info"])], []),
    "quantity as text": ([item(quantity="1")], [("S", 1, "Size Issue", "UPI", ["quantity"])], []),
    "quantity 0": ([item(quantity=0)], [("S", 0, "Size Issue", "UPI", [])], []),
    "quantity 2.0": ([item(quantity=2.0)], [("S", 2, "Size Issue", "UPI", ["quantity"])], []),
    "quantity null": ([item(quantity=None)], [("S", None, "Size Issue", "UPI", [])], []),
    "quantity unreadable": (
        [item(quantity="two")],
        [("S", None, "Size Issue", "UPI", ["quantity"])],
        [],
    ),
    "SKU a number": ([item(sku=4060981)], [("4060981", 1, "Size Issue", "UPI", ["sku"])], []),
    "reason with a trailing blank": (
        [item(return_reason="Other  Reason ")],
        [("S", 1, "Other Reason", "UPI", [])],
        [],
    ),
}


@pytest.mark.parametrize(
    ("record", "held", "quality"),
    [pytest.param(*case, id=name) for name, case in {**SEEN, **PLAUSIBLE}.items()],
)
def test_an_odd_record_is_read_as_expected(
    record: Record, held: dict[str, object], quality: list[str]
) -> None:
    row, _ = read(record)
    assert {name: row[name] for name in held} == held
    assert row["quality"] == quality


@pytest.mark.parametrize("in_the_record", [False, True], ids=["in the payload", "in the record"])
@pytest.mark.parametrize(
    ("item_info", "expected", "quality"),
    [pytest.param(*case, id=name) for name, case in ITEM_INFO.items()],
)
def test_an_odd_item_info_is_read_as_expected(
    item_info: object,
    expected: list[tuple[object, ...]],
    quality: list[str],
    in_the_record: bool,
) -> None:
    record = (
        new_case(additional={"item_info": item_info}) if in_the_record else with_items(item_info)
    )
    row, items = read(record)
    names = ("sku", "quantity", "return_reason", "refund_mode", "quality")
    assert [tuple(found[name] for name in names) for found in items] == expected
    assert [found["item_index"] for found in items] == list(range(len(expected)))
    assert row["quality"] == quality


@pytest.mark.parametrize("record", [assigned(), new_case()])
def test_a_text_in_place_of_any_value_affects_no_other_value(record: Record) -> None:
    sound, _ = read(record)
    for key in set(record) - {"return_reference_number", "Return Request Timestamp"}:
        row, _ = read({**record, key: "!"})
        changed = {name for name in row if row[name] != sound[name]}
        # Values nested in an object are replaced with the object.
        nested = {"webhook_payload": ("webhook", "latest"), "additional": ("latest",)}.get(key)
        if nested is None:
            assert len(changed - {"quality", "awbs"}) <= 1, (key, changed)
            assert row["quality"] in ([], [{"timestamp": "awb_at"}.get(key, key)])
        else:
            assert row["quality"] == [key]
