from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.records import assigned, at, new_case
from support.webhooks import INSTANCE, webhook

from returns_orchestration import tables
from returns_orchestration.lake.parquet import to_parquet
from returns_orchestration.lake.webhooks import CHECK, Webhook, _frame
from returns_orchestration.stages.typing import RecordReader, Refused
from returns_orchestration.stages.webhooks import (
    Event,
    NotAReturn,
    Received,
    read_body,
    tables_of_receipt,
)

READER = RecordReader(ZoneInfo("UTC"))
CAME = at(11, 5)


def read(body: bytes, came: datetime = CAME) -> Event | NotAReturn | Refused:
    return read_body(READER, body, came)


def event(body: bytes, came: datetime = CAME) -> Event:
    found = read(body, came)
    assert isinstance(found, Event)
    return found


def made(*deliveries: tuple[datetime, bytes], redelivered: bool = False) -> Received:
    rows = [
        Webhook(number, when, "", redelivered, body)
        for number, (when, body) in enumerate(deliveries, 1)
    ]
    return tables_of_receipt(_frame(INSTANCE, rows), READER)


@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "wrapped"])
@pytest.mark.parametrize("record", [assigned(), new_case()], ids=["assigned", "new case"])
def test_both_shapes_of_both_samples_are_read(record: dict[str, Any], *, wrapped: bool) -> None:
    found = event(webhook(record, wrapped=wrapped))
    assert found.reference == record["return_reference_number"]
    assert found.requested_at == READER.moment(record["Return Request Timestamp"])[0]
    assert (found.is_placed, found.code, found.notification_event) == (True, 101, 11)
    assert found.shape == ("wrapped" if wrapped else "bare")
    assert found.id == event(webhook(record, wrapped=not wrapped)).id


def test_the_documented_columns_are_read() -> None:
    found = event(webhook(assigned(), remark=" As  served "))
    assert (found.waybill, found.cp_id, found.account_code) == (
        "2667237821710",
        25,
        "Delhivery_Reverse",
    )
    assert found.remark == "As served"
    assert event(webhook(assigned(), waybill=17)).quality == ("waybill",)
    assert found.self_shipped is False
    assert event(webhook(new_case())).cp_id is None


def test_the_request_is_timed_by_the_first_place_that_has_it() -> None:
    record = assigned()
    placed = datetime(2026, 11, 9, 11, 0, 48, 702402, tzinfo=UTC)
    body = json.loads(webhook(record))
    assert event(json.dumps(body).encode()).requested_at_from == "request_placed_time"
    del body["request_placed_time"]
    found = event(json.dumps(body).encode())
    assert (found.requested_at, found.requested_at_from) == (placed, "timestamp")
    body |= {"clickpost_status_code": 102, "timestamp": "2026-11-10 07:30:08.396840"}
    found = event(json.dumps(body).encode())
    digits = datetime.fromtimestamp(int("8036651794222048"[-10:]), UTC)
    assert (found.requested_at, found.requested_at_from) == (digits, "reference")
    assert not found.is_placed
    assert found.event_at == datetime(2026, 11, 10, 7, 30, 8, 396840, tzinfo=UTC)


@pytest.mark.parametrize(
    "digits",
    [
        int(CAME.timestamp()) + 2 * 86_400,
        int(CAME.timestamp()) - 401 * 86_400,
    ],
)
def test_digits_that_are_no_time_near_the_receipt_are_refused(digits: int) -> None:
    body = {"clickpost_status_code": 102, "additional": {"return_reference_number": f"7{digits}"}}
    found = read(json.dumps(body).encode())
    assert isinstance(found, Refused)
    assert found.reason == "no usable time of the request"


def test_a_time_that_cannot_be_yet_is_passed_over() -> None:
    digits = datetime.fromtimestamp(int("8036651794222048"[-10:]), UTC)
    body = json.loads(webhook(assigned()))
    ahead = {"request_placed_time": "2099-01-01 00:00:00", "timestamp": "2099-01-01 00:00:00"}
    found = event(json.dumps(body | ahead).encode())
    assert (found.requested_at, found.requested_at_from) == (digits, "reference")
    ahead["additional"] = {"return_reference_number": "R-1"}
    refused = read(json.dumps(body | ahead).encode())
    assert isinstance(refused, Refused)
    assert refused.reason == "no usable time of the request"


def test_a_byte_order_mark_before_a_body_is_passed_over() -> None:
    body = webhook(assigned())
    assert event(b"\xef\xbb\xbf" + body) == event(body)


def test_a_body_without_a_scan_is_read_by_its_latest_status() -> None:
    body = {
        "latest_status": {"clickpost_status_code": 101, "timestamp": "2026-11-09T11:00:50Z"},
        "additional": {"return_reference_number": "8036651794222048"},
    }
    found = event(json.dumps(body).encode())
    assert (found.code, found.is_placed) == (101, True)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "the body is no JSON object"),
        (b"not json", "the body is no JSON object"),
        (b"[1, 2]", "the body is no JSON object"),
        (b"\xff\xfe", "the body is no UTF-8 text"),
        (b'{"clickpost_status_code": 101}', "no usable return_reference_number"),
        (b'{"additional": {"is_rvp": true}}', "no usable return_reference_number"),
        (b'{"notification_event_id": 22}', "no usable return_reference_number"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(body: bytes, reason: str) -> None:
    found = read(body)
    assert isinstance(found, Refused)
    assert found.reason == reason


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"waybill": "1", "clickpost_status_code": 5, "additional": {"is_rvp": false}}',
        json.dumps({CHECK: "2026-11-09T11:00:00Z"}).encode(),
    ],
)
def test_what_is_not_about_a_return_is_told_apart(body: bytes) -> None:
    assert isinstance(read(body), NotAReturn)


@given(st.binary(max_size=60) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(
        st.sampled_from(["payload", "additional", "return_reference_number", "timestamp",
                         "clickpost_status_code", "request_placed_time", "item_info", "x"]),
        inner),
).map(lambda content: json.dumps(content).encode()))  # fmt: skip
def test_no_body_raises_and_each_is_accounted_for(body: bytes) -> None:
    found = made((CAME, body), (CAME, body))
    assert found.deliveries == 2
    assert found.events + found.doubled + found.others + found.rejected == 2
    assert found.frames[tables.WEBHOOK_EVENTS.name].height == found.events
    assert found.frames[tables.REJECTED_WEBHOOKS.name].height == found.rejected
    for name, frame in found.frames.items():
        assert frame.schema == tables.BY_NAME[name].schema


def test_deliveries_of_one_event_are_one_row() -> None:
    later = CAME + timedelta(minutes=3)
    found = made(
        (later, webhook(assigned())),
        (CAME, webhook(assigned(), wrapped=True)),
        (CAME, webhook(assigned(), clickpost_status_code=102)),
        (CAME, b"{}"),
        (CAME, b"["),
    )
    assert (found.events, found.doubled, found.others, found.rejected) == (2, 1, 1, 1)
    placed = found.frames[tables.WEBHOOK_EVENTS.name].filter(is_placed=True).row(0, named=True)
    assert (placed["deliveries"], placed["redelivered"]) == (2, 0)
    assert placed["first_received_at"] == CAME


def test_a_redelivery_is_no_delivery_of_clickpost() -> None:
    found = made((CAME, webhook(assigned())), redelivered=True)
    row = found.frames[tables.WEBHOOK_EVENTS.name].row(0, named=True)
    assert (row["deliveries"], row["redelivered"], row["first_received_at"]) == (0, 1, None)


def test_any_order_and_any_receiver_give_the_same_bytes() -> None:
    bodies = [
        webhook(assigned()),
        webhook(assigned(), wrapped=True, remark="another"),
        webhook(new_case()),
        b"[",
    ]
    times = [CAME + timedelta(seconds=n) for n in range(len(bodies))]
    rows = [
        Webhook(number, when, "", redelivered=False, body=body)
        for number, (when, body) in enumerate(zip(times, bodies, strict=True))
    ]
    results = set()
    for order in permutations(rows):
        found = tables_of_receipt(_frame(INSTANCE, list(order)), READER)
        results.add(tuple(to_parquet(frame) for frame in found.frames.values()))
    assert len(results) == 1
