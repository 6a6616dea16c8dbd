"""What is blanked in a record, and what is read from it afterwards."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from support.odd_records import cases
from support.records import on_the_wire

from returns_orchestration import tables
from returns_orchestration.simulator import Dataset, SimulatorOptions
from returns_orchestration.stages.erasure import (
    PERSONAL_COLUMNS,
    blanked,
    email,
    email_given,
    hashed,
    people_in,
    phone,
    phone_given,
)
from returns_orchestration.stages.typing import RETURN_FIELDS, RecordReader, Refused, Typed

READER = RecordReader(ZoneInfo("UTC"))
START = datetime(2026, 11, 7, tzinfo=UTC)

ODD = [
    record if isinstance(record, str) else on_the_wire(record)
    for case in cases()
    for poll in case["polls"]
    for record in poll
]

PERSON = {
    "name": "Zoe Canary-Name",
    "email": "zoe.canary@example.org",
    "phone": "+91 98765-43210",
    "street": "7 Canary Street",
}
RECORD: dict[str, Any] = {
    "return_reference_number": 100000000000000000000001,
    "status": "SUCCESS",
    "Return Request Timestamp": "2026-11-07T00:10:00Z",
    "awb": "1009876543210",
    "webhook_payload": {
        "waybill": "x",
        "location": PERSON["street"],
        "remark": f"handed to {PERSON['name']}",
        "customer_name": PERSON["name"],
        "pickup_info": {"customer_email": PERSON["email"], "lines": [PERSON["street"], 9876543210]},
        PERSON["name"]: {"new": PERSON["phone"]},
        "additional": json.dumps(
            {
                "return_phone_number": PERSON["phone"],
                "forward_awb": 1.50,
                "item_info": [{"sku": "S-1", "quantity": 2, "customer_comment": PERSON["email"]}],
            }
        ),
    },
}


def read(record: str) -> tuple[Any, ...]:
    """What is read from a record, without the columns that may be about a person."""
    found = READER.read(record)
    if isinstance(found, Refused):
        return (found.reason,)
    assert isinstance(found, Typed)
    named = zip((column.name for column in RETURN_FIELDS), found.values, strict=True)
    kept = {name: value for name, value in named if name not in PERSONAL_COLUMNS}
    new = len(found.new_keys)
    quality = found.quality - PERSONAL_COLUMNS - {tables.PICKUP}
    return found.reference, found.requested_at, kept, found.items, quality, new


@pytest.mark.parametrize("record", ODD, ids=lambda record: record[:20])
def test_an_odd_record_is_read_as_before_but_for_the_blanked_columns(record: str) -> None:
    assert read(blanked(record)) == read(record)


@pytest.mark.parametrize("record", ODD, ids=lambda record: record[:20])
def test_a_blanked_record_stays_as_it_is(record: str) -> None:
    assert blanked(blanked(record)) == blanked(record)
    assert not people_in(blanked(record))


def test_nothing_of_the_person_is_left_and_the_rest_is_spelled_as_before() -> None:
    text = blanked(on_the_wire(RECORD))
    for value in ("Zoe", "Canary", "98765", "43210,", "@"):
        assert value not in text.replace("1009876543210", ""), value
    assert "100000000000000000000001" in text
    assert '\\"forward_awb\\": 1.5' in text
    assert "S-1" in text
    assert "(erased)" in text
    assert read(text) == read(on_the_wire(RECORD))


def test_the_simulators_records_hold_nothing_of_their_person() -> None:
    dataset = Dataset(SimulatorOptions(seed=5, returns_per_hour=40))
    served = dataset.served(START, START + timedelta(hours=6), START + timedelta(days=9))
    assert len(served) > 100
    for record in (each.json.decode() for each in served):
        text = blanked(record)
        assert not people_in(text)
        assert read(text) == read(record)


def test_people_are_found_however_they_are_spelled() -> None:
    found = people_in(on_the_wire(RECORD))
    assert email(" Zoe.Canary@Example.org. ") in found
    assert phone("09876543210") in found
    assert phone("98765 43210") in found
    assert phone("1009876543210"[-10:]) in found  # the same last digits: it is also in `lines`


def test_people_are_found_in_a_text_that_is_no_json() -> None:
    assert people_in('{"mail": "zoe@example.org", "tel') == {email("zoe@example.org")}


def test_numbers_of_parcels_are_no_telephone_numbers() -> None:
    record = {"awb": "1112223334445", "forward_awb": 2223334445}
    assert people_in(on_the_wire(record)) == set()


def test_a_hash_depends_on_the_salt() -> None:
    assert hashed("email:a@b", b"1") != hashed("email:a@b", b"2")
    assert hashed("email:a@b", b"1") == hashed("email:a@b", b"1")


@pytest.mark.parametrize(
    "text", ["a@b.example", " A.B+c@b.example ", "o'brien@x.example", "müller@x.de"]
)
def test_one_address_is_taken(text: str) -> None:
    assert email_given(text) == email(text)


@pytest.mark.parametrize("text", ["nobody", "", "a@b.example c@d.example", "a@b.example,", "<a@b>"])
def test_no_address_and_several_are_not_taken(text: str) -> None:
    assert email_given(text) is None


@pytest.mark.parametrize(
    "text", ["+91 98765 43210", "098765-43210", "(0) 98765.43210", "९८७६५४३२१०"]
)
def test_one_number_is_taken(text: str) -> None:
    assert phone_given(text) == "phone:9876543210"


@pytest.mark.parametrize(
    "text", ["12", "call me", "9222222222, 9333333333", "Pat,9222222222,2", "9222222222 9333333333"]
)
def test_no_number_and_several_are_not_taken(text: str) -> None:
    assert phone_given(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "Pune 411001 9876543210",
        "Pune - 411001 (9876543210)",
        "9876543210 9123456780",
        "9123456780/9876543210",
        "9876543210-12",
        "9876543210 ext 12",
        "98765\u201343210",
        "98765\u201143210",
        "98765\u200b43210",
        "98765/43210",
        "98765_43210",
        "९८७६५४३२१०",
        "\uff19\uff18\uff17\uff16\uff15\uff14\uff13\uff12\uff11\uff10",
        "9876543210.0",
        "+91 (0) 98765 43210",
        "9 8 7 6 5 4 3 2 1 0",
        "9876543210Near the temple",
        "9876543210x5",
    ],
)
def test_a_number_is_found_however_it_is_written(text: str) -> None:
    assert phone("9876543210") in people_in(json.dumps({"note": text}))


@pytest.mark.parametrize(
    "text",
    [
        "[a@x.example]",
        "{a@x.example}",
        "*a@x.example*",
        "`a@x.example`",
        "-a@x.example",
        "'a@x.example'",
        "a@x.example!",
        "a@x.example?",
        "a@x.example/",
        "a@x.example|home",
        "mail=a@x.example",
        "mailto:a@x.example",
        "&lt;a@x.example&gt;",
        "a%40x.example",
        "a@x.example\u200b",
        "A@X.EXAMPLE.",
        "a@x.\uff45xample",
    ],
)
def test_an_address_is_found_however_it_is_written(text: str) -> None:
    assert email("a@x.example") in people_in(json.dumps({"note": text}))


def test_a_key_that_stands_twice_hides_nobody() -> None:
    record = '{"customer_name": "a@x.example", "customer_name": "last"}'
    assert people_in(record) == {email("a@x.example")}
    assert "a@x" not in blanked(record)


CUT = json.dumps({"customer_name": "Zoe", "mail": "zoe@x.example", "phone": "9876543210"})[:-2]


@pytest.mark.parametrize(
    "record",
    [
        "Zoe, zoe@x.example, 9876543210",
        ["Zoe", "zoe@x.example", 9876543210],
        {"webhook_payload": "Zoe zoe@x.example 9876543210"},
        {"webhook_payload": CUT},
        {"webhook_payload": json.dumps(json.dumps(json.loads(CUT + '"}')))},
        {"webhook_payload": [[[["Zoe", "zoe@x.example 9876543210"]]]]},
        {"webhook_payload": {"additional": "Zoe zoe@x.example 9876543210"}},
        {"item_info": "Zoe zoe@x.example 9876543210"},
        {"item_info": [{"return_reason": "ask zoe@x.example or 98765 43210"}]},
        {"item_info": [{"description": "for 9876543210", "return_sub_reason": "zoe@x.example"}]},
        {"webhook_payload": {"additional": {"9876543210": {"zoe@x.example": 1}}}},
        {"status": {"note": "Zoe", "mail": "zoe@x.example", "9876543210": 1}},
        {"item_info": [{"return_reason": 9876543210, "description": "zoe@x.example"}]},
        {"deep": json.loads("[" * 500 + '"Zoe zoe@x.example 9876543210"' + "]" * 500)},
        {"webhook_payload": json.loads("[" * 400 + '"Zoe zoe@x.example 9876543210"' + "]" * 400)},
    ],
    ids=str,
)
def test_a_person_where_no_text_is_expected_is_found_and_blanked(record: Any) -> None:
    text = json.dumps(record)
    assert {email("zoe@x.example"), phone("9876543210")} <= people_in(text)
    left = blanked(text)
    assert not people_in(left)
    assert not [word for word in ("Zoe", "zoe", "98765", "43210") if word in left]
    assert blanked(left) == left


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("awb", "AWB@1"),
        ("awb", "9876543210"),
        ("account_code", "shop@delhi.example"),
        ("source", "app@ios"),
        ("refund_mode", "UPI cal@okicici"),
        ("return_reference_number", "zoe@x.example"),
    ],
)
def test_a_value_that_counts_or_identifies_stays(key: str, value: str) -> None:
    assert json.loads(blanked(json.dumps({key: value}))) == {key: value}


@pytest.mark.parametrize(
    ("reason", "after"),
    [
        ("R1000234 Size Issue", "R1000234 Size Issue"),
        ("1000234", "1000234"),
        ("Arrived 20-11-2026 - late", "Arrived 20-11-2026 - late"),
        ("rated 4.5/5, 1,000,000 times", "rated 4.5/5, 1,000,000 times"),
        ("Bought at zara@mall", "Bought at zara@mall"),
        ("ask +91 98765 43210 or a@x.example", "ask (erased) or (erased)"),
        ("9876543210, please", "(erased), please"),
        ("9876543210Call me", "(erased)Call me"),
    ],
)
def test_a_reason_loses_only_addresses_and_telephone_numbers(reason: str, after: str) -> None:
    record = {"item_info": [{"return_reason": reason}]}
    assert json.loads(blanked(json.dumps(record))) == {"item_info": [{"return_reason": after}]}
