"""One reference, several records: in windows that share an edge, in any order, over polls."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from support.lakes import bytes_of, references, rows
from support.records import at, returned

from returns_orchestration.window import Window

if TYPE_CHECKING:
    from pathlib import Path

    from returns_orchestration.lake import Lake

FIVE, SIX = Window(at(5)), Window(at(6))
MICROSECOND = timedelta(microseconds=1)


def piece(number: int, requested: Any, *skus: str) -> dict[str, Any]:
    items = [{"sku": sku, "quantity": 1} for sku in skus]
    found = returned("M", requested, awb=f"P{number}", return_tracking_id=number)
    found["webhook_payload"]["additional"]["item_info"] = items
    return found


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("order", [(FIVE, SIX), (SIX, FIVE)], ids=["rising", "falling"])
def test_pieces_requested_in_two_adjacent_hours_are_one_return(
    order: tuple[Window, Window], first: int, folder: Path, lake: Lake, api_of: Any
) -> None:
    before, exact = piece(1, at(6) - MICROSECOND, "a"), piece(2, at(6), "b")
    both = [before, exact] if first == 0 else [exact, before]
    api = api_of(lambda window: both if window == FIVE else [exact])
    for window in order:
        api.run(lake, [window])
        assert references(lake) == ["M"]
    (row,) = rows(folder, "returns").to_dicts()
    assert row["pieces"] == 2
    assert sorted(row["awbs"]) == ["P1", "P2"]
    assert sorted(rows(folder, "return_items").get_column("sku")) == ["a", "b"]


def test_hours_stay_complete_in_any_order_of_polls(lake: Lake, api_of: Any) -> None:
    """The windows of a filter with both ends included, on the record's own time, 1.44 s later."""
    late = returned("X", at(2) - MICROSECOND, timestamp="2026-11-09T02:00:00.440000Z")
    edge = returned("Z", at(1), timestamp="2026-11-09T01:00:00Z")
    served = {Window(at(0)): [edge], Window(at(1)): [edge], Window(at(2)): [late]}
    api = api_of(lambda window: served[window])
    polled = []
    for hour in (1, 2, 0):
        window = Window(at(hour))
        api.run(lake, [window])
        polled.append(window)
        assert set(api.states(lake, polled)) <= {"complete", "empty"}
    before = bytes_of(lake.store)
    api.run(lake, sorted(polled))
    assert bytes_of(lake.store) == before


def test_a_new_piece_removes_no_items_of_another_piece(
    folder: Path, lake: Lake, api_of: Any
) -> None:
    polls = [
        [piece(2, at(5, 10), "b"), piece(1, at(5, 10), "a")],
        [piece(3, at(5, 10), "c")],
    ]
    api = api_of(lambda _: polls[len(api.asked) - 1])
    for _ in polls:
        api.run(lake, [FIVE])
    assert sorted(rows(folder, "return_items").get_column("sku")) == ["a", "b", "c"]
    assert rows(folder, "returns").get_column("pieces").to_list() == [3]


def test_another_courier_for_the_same_items_adds_no_piece(
    folder: Path, lake: Lake, api_of: Any
) -> None:
    polls = [[piece(1, at(5, 10), "a")], [piece(2, at(5, 10), "a")]]
    api = api_of(lambda _: polls[len(api.asked) - 1])
    for _ in polls:
        api.run(lake, [FIVE])
    (row,) = rows(folder, "returns").to_dicts()
    assert (row["pieces"], row["awbs"]) == (1, ["P2"])


def test_a_number_of_thousands_of_digits_is_unreadable_and_does_not_reject_the_record(
    folder: Path, lake: Lake, api_of: Any
) -> None:
    text = '{"return_reference_number": "L", "Return Request Timestamp": "2026-11-09T05:10:00Z", '
    api = api_of(lambda _: [text + '"cp_id": ' + "9" * 5000 + "}"])
    api.run(lake, [FIVE])
    (row,) = rows(folder, "returns").to_dicts()
    assert (row["cp_id"], row["quality"]) == (None, ["cp_id"])
