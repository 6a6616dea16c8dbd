"""Objects and lists that are wrapped, doubled, by number or as text; deep records."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from support.records import assigned, at, item, on_the_wire, returned
from support.rows import READER, folded, items_of, poll, read, row_of

from returns_orchestration.stages.typing import DEEPEST, Typed

Wrap = Callable[[Any], Any]
OBJECTS: dict[str, Wrap] = {
    "as text": json.dumps,
    "as text twice": lambda value: json.dumps(json.dumps(value)),
    "in a list": lambda value: [value],
    "in a list twice": lambda value: [[value]],
    "by number": lambda value: {"0": value},
    "by number as text": lambda value: {"0": json.dumps(value)},
    "by another number": lambda value: {"7": [value]},
    "as text after a mark": lambda value: "\ufeff " + json.dumps(value),
    "as text in a list": lambda value: [json.dumps(value)],
    "a list as text": lambda value: json.dumps([value]),
}
LISTS: dict[str, Wrap] = {
    "as text": json.dumps,
    "as text twice": lambda value: json.dumps(json.dumps(value)),
    "in a list": lambda value: [value],
    "in lists": lambda value: [[one] for one in value],
    "by number": lambda value: {str(n): one for n, one in enumerate(value)},
    "by number in another order": lambda value: {
        str(n): one for n, one in reversed(list(enumerate(value)))
    },
    "by number up to ten": lambda value: {str(n + 9): one for n, one in enumerate(value)},
    "by number as text": lambda value: json.dumps({str(n): o for n, o in enumerate(value)}),
    "each as text": lambda value: [json.dumps(one) for one in value],
    "each by number": lambda value: [{"0": one} for one in value],
    "in a list as text": lambda value: [json.dumps(value)],
}
PLACES = {
    "webhook_payload": ("webhook_payload",),
    "additional": ("webhook_payload", "additional"),
    "latest_status": ("webhook_payload", "additional", "latest_status"),
}
ITEMS = [item("A", quantity=2), item("B", return_reason="Size Issue")]


def record() -> dict[str, Any]:
    made = assigned()
    made["webhook_payload"]["additional"]["item_info"] = ITEMS
    return made


@pytest.mark.parametrize("wrap", OBJECTS.values(), ids=OBJECTS)
@pytest.mark.parametrize("place", PLACES)
def test_an_object_that_is_wrapped_is_read_and_listed(place: str, wrap: Wrap) -> None:
    plain_row, plain_items = read(record())
    odd = record()
    holder = odd
    for key in PLACES[place][:-1]:
        holder = holder[key]
    holder[place] = wrap(holder[place])
    row, items = read(odd)
    assert row.pop("quality") == [*plain_row.pop("quality"), place]
    assert (row, items) == (plain_row, plain_items)


@pytest.mark.parametrize("wrap", LISTS.values(), ids=LISTS)
def test_a_list_that_is_wrapped_is_read_and_listed(wrap: Wrap) -> None:
    plain_row, plain_items = read(record())
    odd = record()
    odd["webhook_payload"]["additional"]["item_info"] = wrap(ITEMS)
    row, items = read(odd)
    assert row.pop("quality") == [*plain_row.pop("quality"), "item_info"]
    assert (row, items) == (plain_row, plain_items)


@pytest.mark.parametrize("wrap", OBJECTS.values(), ids=OBJECTS)
def test_a_record_that_is_wrapped_is_read_and_listed(wrap: Wrap) -> None:
    plain_row, plain_items = read(record())
    row, items = read(wrap(record()))
    assert row.pop("quality") == [*plain_row.pop("quality"), "record"]
    assert (row, items) == (plain_row, plain_items)


def test_several_objects_in_place_of_one_are_unreadable() -> None:
    odd = assigned()
    odd["webhook_payload"]["additional"] = [{"is_rvp": True}, {"is_rvp": False}]
    row, _ = read(odd)
    assert row["is_rvp"] is None
    assert "additional" in row["quality"]


def deep(levels: int, shape: str) -> str:
    opened, closed = {"lists": ("[", "]"), "objects": ('{"a":', "}")}[shape]
    return opened * levels + "1" + closed * levels


@pytest.mark.parametrize("shape", ["lists", "objects"])
@pytest.mark.parametrize("levels", [DEEPEST - 2, DEEPEST, 3_000, 4_900])
@pytest.mark.parametrize("tolerant", [False, True], ids=["plain", "with NaN"])
def test_a_deep_record_under_an_unknown_key_is_read(
    tolerant: bool, levels: int, shape: str
) -> None:
    plain = on_the_wire(returned("R-1", at(11), status="NEW"))
    inside = f'"odd": {{"brackets": "]}}[{{\\"", "x": {deep(levels, shape)}}}'
    also = ', "n": NaN' if tolerant else ""
    odd = f"{plain[:-1]}, {inside}{also}}}"
    found = READER.read(odd)
    assert isinstance(found, Typed)
    row = row_of(folded(poll(returned("R-1", at(11), status="NEW"))))
    assert found.reference == row["return_reference_number"]
    assert found.values == READER.read(plain).values  # type: ignore[union-attr]


@pytest.mark.parametrize("wrap", LISTS.values(), ids=LISTS)
def test_a_list_wrapped_too_deeply_is_unreadable(wrap: Wrap) -> None:
    odd, value = assigned(), ITEMS
    for _ in range(6):
        value = wrap(value)
        if len(json.dumps(value)) > 400_000:  # text in text in text: enough of it
            break
    odd["webhook_payload"]["additional"]["item_info"] = value
    row, _ = read(odd)
    assert "item_info" in row["quality"]


def test_invalid_items_among_others_are_items_of_nulls() -> None:
    odd = assigned()
    odd["webhook_payload"]["additional"]["item_info"] = [None, "x", [], item("A"), ["{"]]
    found = items_of(folded(poll(odd)))
    assert [one["sku"] for one in found] == [None, None, "A", None]


@pytest.mark.parametrize("nothing", ["", " ", "None", None, [], {}])
def test_an_empty_outer_value_hides_no_inner_value(nothing: object) -> None:
    inside = {"item_info": [item("A")], "forward_awb": "F-1", "latest_status": {"status": "S"}}
    odd = assigned(webhook_payload={"additional": inside})
    odd["additional"] = dict.fromkeys(inside, nothing)
    row, items = read(odd)
    assert (row["forward_awb"], row["latest_status"]) == ("F-1", "S")
    assert [one["sku"] for one in items] == ["A"]


@pytest.mark.parametrize(
    "odd",
    [
        '"cp_id": 1e-99999999999999999999',
        '"cp_id": 0e1000000000000000000',
        '"awb": 9007199254740993.5',
        '"item_info": [{"quantity": 0e1000000000000000000}]',
        '"item_info": {"' + "0" * 5_000 + '": {"sku": "A"}}',
        '"cp_name": ' + "1" * 5_000,
    ],
)
def test_no_number_stops_the_reader(odd: str) -> None:
    plain = on_the_wire(returned("R-1", at(11)))
    found = READER.read(f"{plain[:-1]}, {odd}}}")
    assert isinstance(found, Typed)


@pytest.mark.parametrize(
    "odd",
    [
        {"webhook_payload": "[" * 1_100 + '"' + '\\"' * 30_000},
        {"cp_name": "a" + "\u0315" * 40_000 + "\u0300" * 40_000},
        {"status": "\u200e" * 200_000},
    ],
    ids=["an unended text", "marks", "format characters"],
)
def test_the_cost_of_a_hostile_text_is_linear_in_its_length(odd: dict[str, Any]) -> None:
    record = on_the_wire(returned("R-1", at(11), **odd))
    began = time.process_time()
    assert isinstance(READER.read(record), Typed)
    assert time.process_time() - began < 5  # quadratic: minutes
