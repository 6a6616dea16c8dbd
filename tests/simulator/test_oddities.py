"""Every oddity: present when requested, absent from clean data, and the truth agrees with it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from returns_orchestration.simulator import (
    ODDITY_NAMES,
    Dataset,
    ServedRecord,
    SimulatorOptions,
    TrueReturn,
)

if TYPE_CHECKING:
    from collections.abc import Callable

Record = dict[str, Any]
ELEVEN = datetime(2026, 11, 9, 11, tzinfo=UTC)
NOON = ELEVEN + timedelta(hours=1)
LATER = ELEVEN + timedelta(days=30)
ZULU = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
KNOWN_CODES = {101, 102, 28, 4, 8, 10}


def payload(record: Record) -> Any:
    return record["webhook_payload"]


def additional(record: Record) -> Any:
    return record["webhook_payload"]["additional"]


def items(record: Record) -> Any:
    return additional(record)["item_info"]


def time_text(record: Record) -> str:
    return str(record["Return Request Timestamp"])


SIGNS: dict[str, Callable[[Record], bool]] = {
    "account-absent": lambda r: "account_code" not in r and "account_code" not in payload(r),
    "source-absent": lambda r: "source" not in r and "source" not in additional(r),
    "none-text": lambda r: r["refund_mode"] == r["source"] == "None",
    "numbers-as-text": lambda r: isinstance(payload(r)["cp_id"], str),
    "flags-as-text": lambda r: additional(r)["is_rvp"] in {"True", "true"},
    "padded-text": lambda r: items(r)[0]["return_reason"].startswith(" "),
    "wild-text": lambda r: not re.fullmatch(r"[A-Z][A-Za-z ]+", items(r)[0]["return_reason"]),
    "unknown-key": lambda r: "zz_experiment" in r and "zz_tags" in additional(r),
    "naive-times": lambda r: re.fullmatch(r"[\d-]{10} [\d:.]{15}", time_text(r)) is not None,
    "offset-times": lambda r: time_text(r).endswith("+05:30"),
    "whole-second-times": lambda r: "." not in time_text(r) and time_text(r).endswith("Z"),
    "epoch-times": lambda r: isinstance(r["Return Request Timestamp"], int),
    "unreadable-timestamp": lambda r: r["timestamp"] in {"0000-00-00 00:00:00", "soon", "", 17},
    "future-scan": lambda r: str(payload(r)["timestamp"]).startswith("2099"),
    "bucket-number": lambda r: payload(r)["clickpost_status_bucket_description"] == 22,
    "status-drift": lambda r: payload(r)["status"] != payload(r)["remark"],
    "unknown-code": lambda r: payload(r)["clickpost_status_code"] not in KNOWN_CODES,
    "empty-objects": lambda r: additional(r)["latest_status"] == {},
    "payload-as-text": lambda r: isinstance(payload(r), str) and json.loads(payload(r))["cp_id"],
    "payload-wrapped": lambda r: set(payload(r)) == {"payload", "internal"},
    "payload-null": lambda r: payload(r) is None,
    "additional-null": lambda r: additional(r) is None,
    "additional-list": lambda r: additional(r) == [],
    "items-null": lambda r: additional(r).get("item_info") is None,
    "item-as-object": lambda r: isinstance(items(r), dict),
    "item-bare": lambda r: "return_reason" not in items(r)[0],
    "item-twice": lambda r: len({i["sku"] for i in items(r)}) < len(items(r)),
    "images-as-text": lambda r: isinstance(items(r)[0].get("images"), str),
    "quantity-text": lambda r: isinstance(items(r)[0]["quantity"], str),
    "quantity-float": lambda r: isinstance(items(r)[0]["quantity"], float),
    "quantity-null": lambda r: items(r)[0]["quantity"] is None,
    "quantity-zero": lambda r: items(r)[0]["quantity"] == 0,
}
HIDING = {"payload-null", "additional-null", "additional-list", "items-null"}


def both(**options: Any) -> tuple[list[ServedRecord], list[TrueReturn]]:
    given = {"returns_per_hour": 60, "rhythm": False, "mps_share": 0, **options}
    data = Dataset(SimulatorOptions(**given))
    return data.served(ELEVEN, NOON, LATER), data.returns_between(ELEVEN, NOON, LATER)


def test_every_oddity_but_the_doubled_one_has_a_sign() -> None:
    assert set(SIGNS) | {"twice"} == set(ODDITY_NAMES)


@pytest.mark.parametrize("name", SIGNS)
def test_an_oddity_shows_on_every_record_it_is_asked_for(name: str) -> None:
    served, truth = both(oddities=1, only_oddities=(name,))
    assert len(served) == len(truth) == 60
    assert all(SIGNS[name](json.loads(one.json)) for one in served)
    assert {one.oddity for one in truth} == {name}
    assert all(bool(one.items) != (name in HIDING) for one in truth)


@pytest.mark.parametrize("name", SIGNS)
def test_clean_data_has_no_oddity(name: str) -> None:
    served, truth = both(oddities=0)
    assert not any(SIGNS[name](json.loads(one.json)) for one in served)
    assert {one.oddity for one in truth} == {""}


def test_a_doubled_return_comes_twice_the_later_copy_richer() -> None:
    served, truth = both(oddities=1, only_oddities=("twice",), awb_never_share=0, order="desc")
    assert len(served) == 2 * len(truth)
    for early, late in zip(served[::2], served[1::2], strict=True):
        poor, rich = json.loads(early.json), json.loads(late.json)
        assert early.reference == late.reference == poor["return_reference_number"]
        assert (poor["awb"], poor["refund_mode"]) == (None, None)
        assert rich["awb"]


def test_the_default_rate_is_about_two_in_a_hundred_of_many_kinds() -> None:
    _, truth = both(returns_per_hour=5_000)
    odd = [one.oddity for one in truth if one.oddity]
    assert 60 < len(odd) < 140
    assert len(set(odd)) > 20


def test_unusable_records_lack_a_reference_or_a_readable_time() -> None:
    served, truth = both(unusable=1, oddities=0)
    assert not any(one.usable for one in truth)
    kinds = set()
    for one in served:
        record = json.loads(one.json)
        assert not one.usable
        if record["return_reference_number"] in {None, "", "None"}:
            assert one.reference not in one.json.decode()
            kinds.add("reference")
        else:
            with pytest.raises((TypeError, ValueError)):
                datetime.fromisoformat(record["Return Request Timestamp"])
            kinds.add("time")
    assert kinds == {"reference", "time"}


@pytest.mark.parametrize("name", ["whole-second-times", "epoch-times"])
def test_times_without_a_fraction_are_exact_to_the_second(name: str) -> None:
    served, truth = both(oddities=1, only_oddities=(name,))
    assert {one.requested_at.microsecond for one in truth} == {0}
    for one in served:
        written = json.loads(one.json)["Return Request Timestamp"]
        read = datetime.fromtimestamp(written, UTC) if isinstance(written, int) else None
        assert (read or datetime.fromisoformat(written)) == one.requested_at


def test_clean_times_have_one_spelling() -> None:
    served, _ = both(oddities=0)
    assert all(ZULU.fullmatch(time_text(json.loads(one.json))) for one in served)
