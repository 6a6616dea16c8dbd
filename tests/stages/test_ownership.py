from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest
from support.records import Record, assigned, at, item, with_additional, with_items
from support.rows import HOUR, folded, items_of, poll, row_of

from returns_orchestration.stages.ownership import items_frame, returns_frame
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from returns_orchestration.stages.ownership import Copy

NO_COURIER: Record = dict.fromkeys(
    ("cp_id", "cp_name", "account_code", "return_tracking_id", "awb", "timestamp")
)


def piece(awb: str | None, tracking: int | None, *items: Record, **changes: Any) -> Record:
    """One piece of a return of several, with its own AWB and items."""
    record = with_items(list(items) or [item("A")])
    return {**record, "awb": awb, "return_tracking_id": tracking, **changes}


def skus(*polls: list[Copy]) -> list[str]:
    found = items_of(folded(*polls))
    assert [row["item_index"] for row in found] == list(range(len(found)))
    return [row["sku"] for row in found]


class TestCopiesInOneReply:
    def test_the_same_record_twice_is_one_return_of_one_piece(self) -> None:
        twice = folded(poll(assigned(), assigned()))
        assert row_of(twice) == row_of(folded(poll(assigned())))
        assert items_of(twice) == items_of(folded(poll(assigned())))

    def test_the_later_copy_wins_where_values_differ(self) -> None:
        row = row_of(folded(poll(assigned(status="NEW_CASE"), assigned(status="SUCCESS"))))
        assert (row["status"], row["pieces"]) == ("SUCCESS", 1)

    def test_a_later_copy_that_is_richer_fills_in(self) -> None:
        row = row_of(folded(poll(assigned(NO_COURIER), assigned())))
        assert (row["cp_id"], row["awb"], row["pieces"]) == (25, "2667237821710", 1)

    def test_a_later_copy_that_is_poorer_erases_nothing(self) -> None:
        row = row_of(folded(poll(assigned(), assigned(NO_COURIER, webhook_payload=None))))
        assert row == row_of(folded(poll(assigned())))


class TestPieces:
    def test_different_awbs_are_pieces_of_one_row(self) -> None:
        row = row_of(folded(poll(piece("A1", 1, source="API"), piece("A2", 2, source="Web"))))
        assert (row["pieces"], row["awbs"]) == (2, ["A1", "A2"])
        assert (row["awb"], row["return_tracking_id"], row["source"]) == ("A1", 1, "API")

    def test_different_tracking_ids_alone_are_pieces(self) -> None:
        row = row_of(folded(poll(piece(None, 1), piece(None, 2))))
        assert (row["pieces"], row["awbs"], row["return_tracking_id"]) == (2, [], 1)

    def test_one_awb_with_two_tracking_ids_is_two_pieces(self) -> None:
        row = row_of(folded(poll(piece("A1", 1), piece("A1", 2))))
        assert (row["pieces"], row["awbs"]) == (2, ["A1", "A1"])

    def test_an_item_list_that_is_the_same_on_two_pieces_counts_once(self) -> None:
        both = [item("A"), item("B")]
        assert skus(poll(piece("A1", 1, *both), piece("A2", 2, *both))) == ["A", "B"]

    def test_a_list_in_another_spelling_is_the_same_list(self) -> None:
        served = poll(piece("A1", 1, item("A", quantity="1")), piece("A2", 2, item(" A ")))
        assert skus(served) == ["A"]

    def test_pieces_with_separate_lists_give_the_items_of_all(self) -> None:
        served = poll(piece("A1", 1, item("A")), piece("A2", 2, item("B"), item("A")))
        assert skus(served) == ["A", "B", "A"]

    def test_a_piece_served_twice_is_one_piece(self) -> None:
        row = row_of(folded(poll(piece("A1", 1), piece("A2", 2), piece("A1", 1, status="NEW"))))
        assert (row["pieces"], row["awbs"], row["status"]) == (2, ["A1", "A2"], "NEW")

    def test_quality_names_the_columns_of_all_pieces(self) -> None:
        row = row_of(folded(poll(piece("A1", 1, cp_id="25"), piece("A2", 2, source={}))))
        assert row["quality"] == ["source", "cp_id"]


class TestLaterPolls:
    def test_the_newest_poll_wins(self) -> None:
        row = row_of(folded(poll(assigned(status="NEW")), poll(assigned(status="OLD"), number=2)))
        assert row["status"] == "OLD"

    def test_an_awb_assigned_later_adds_no_piece(self) -> None:
        row = row_of(folded(poll(assigned(NO_COURIER)), poll(assigned(), number=2)))
        assert (row["pieces"], row["awbs"], row["cp_id"]) == (1, ["2667237821710"], 25)

    def test_awbs_assigned_later_to_a_return_of_two_pieces(self) -> None:
        before = poll(piece(None, 1), piece(None, 2))
        after = poll(piece("A1", 1), piece("A2", 2), number=2)
        row = row_of(folded(before, after))
        assert (row["pieces"], row["awbs"]) == (2, ["A1", "A2"])

    def test_a_changed_courier_takes_the_place_of_the_old_one(self) -> None:
        row = row_of(
            folded(poll(piece("A1", 1, cp_id=25)), poll(piece("B9", 9, cp_id=4), number=2))
        )
        assert (row["pieces"], row["awbs"], row["cp_id"]) == (1, ["B9"], 4)

    def test_a_piece_that_vanished_stays_with_its_items(self) -> None:
        before = poll(piece("A1", 1, item("A")), piece("A2", 2, item("B")))
        after = poll(piece("A2", 2, item("B"), status="NEWER"), number=2)
        row = row_of(folded(before, after))
        assert row["pieces"] == 2
        assert sorted(row["awbs"]) == ["A1", "A2"]
        assert sorted(skus(before, after)) == ["A", "B"]

    def test_a_list_shared_with_a_piece_that_vanished_counts_once_when_it_changes(self) -> None:
        before = poll(piece("A1", 1, item("A")), piece("A2", 2, item("A")))
        after = poll(piece("A2", 2, item("A", quantity=2)), number=2)
        found = items_of(folded(before, after))
        assert [(i["sku"], i["quantity"]) for i in found] == [("A", 2)]

    def test_a_piece_that_is_new_is_added(self) -> None:
        row = row_of(folded(poll(piece("A1", 1)), poll(piece("A1", 1), piece("A2", 2), number=2)))
        assert (row["pieces"], row["awbs"]) == (2, ["A1", "A2"])

    def test_pieces_in_another_order_are_the_same_pieces(self) -> None:
        before = poll(piece("A1", 1, cp_name="x"), piece("A2", 2, cp_name="y"))
        after = poll(piece("A2", 2, cp_name=None), piece("A1", 1, cp_name=None), number=2)
        row = row_of(folded(before, after))
        assert sorted(row["awbs"]) == ["A1", "A2"]
        assert (row["awb"], row["cp_name"]) in (("A1", "x"), ("A2", "y"))

    def test_a_value_that_is_null_again_is_not_erased(self) -> None:
        poorer = assigned(NO_COURIER, refund_mode=None, source="", webhook_payload=None)
        found = folded(poll(assigned()), poll(poorer, number=2))
        once = row_of(folded(poll(assigned())))
        assert row_of(found) == once | {"last_polled_at": at(12, 20)}
        assert items_of(found) == items_of(folded(poll(assigned())))

    def test_an_items_value_that_is_null_again_is_not_erased(self) -> None:
        before = poll(with_items([item("A", quantity=3), item("B", refund_mode="Credits")]))
        poorer = [item("A", quantity=None, return_reason=""), item("B", refund_mode=None)]
        found = items_of(folded(before, poll(with_items(poorer), number=2)))
        assert [(i["quantity"], i["return_reason"], i["refund_mode"]) for i in found] == [
            (3, "Size Issue", "UPI"),
            (1, "Size Issue", "Credits"),
        ]

    def test_an_item_list_that_changed_is_the_newest_one(self) -> None:
        before = poll(with_items([item("A"), item("B", quantity=3)]))
        after = poll(with_items([item("B", quantity=None)]), number=2)
        found = items_of(folded(before, after))
        assert [(i["sku"], i["quantity"]) for i in found] == [("B", 3)]

    def test_an_unreadable_value_does_not_erase_and_is_listed(self) -> None:
        row = row_of(folded(poll(assigned()), poll(assigned(cp_id="?"), number=2)))
        assert (row["cp_id"], row["quality"]) == (25, ["cp_id"])

    def test_a_flag_of_a_replaced_value_is_removed(self) -> None:
        row = row_of(folded(poll(assigned(cp_id="25")), poll(assigned(cp_id=25), number=2)))
        assert (row["cp_id"], row["quality"]) == (25, [])

    def test_a_flag_of_a_kept_value_is_kept(self) -> None:
        poorer = with_additional(None, assigned(cp_id=None))
        before = poll(with_additional({"item_info": item("A")}, assigned(cp_id="25")))
        row = row_of(folded(before, poll(poorer, number=2)))
        assert (row["cp_id"], row["quality"]) == (25, ["cp_id", "item_info"])

    def test_polled_at_of_the_first_and_of_the_last_poll(self) -> None:
        found = folded(*(poll(assigned(), number=n) for n in (1, 2, 3)))
        assert (found.first_polled_at, found.last_polled_at) == (at(12, 10), at(12, 30))

    def test_the_result_does_not_depend_on_the_order_in_which_polls_are_given(self) -> None:
        neighbour = Window(at(10))
        polls = [
            poll(assigned(NO_COURIER, status="a"), number=1),
            poll(assigned(status="b", source=None), number=2),
            poll(assigned(status="c"), number=1, polled_at=at(12, 15), window=neighbour),
            poll(assigned(NO_COURIER, status="d"), number=2, polled_at=at(30), window=neighbour),
        ]
        rows = [row_of(folded(*order)) for order in permutations(polls)]
        assert all(row == rows[0] for row in rows)
        assert (rows[0]["status"], rows[0]["awb"]) == ("d", "2667237821710")
        assert (rows[0]["first_polled_at"], rows[0]["last_polled_at"]) == (at(12, 10), at(30))

    @pytest.mark.parametrize(("number", "late"), [(1, False), (2, True)])
    def test_a_return_is_late_if_only_a_later_poll_brought_it(
        self, number: int, late: bool
    ) -> None:
        assert folded(poll(assigned(), number=number)).late is late
        assert not folded(poll(assigned()), poll(assigned(status="x"), number=2)).late


def test_rows_keep_the_order_of_their_returns_and_items_follow() -> None:
    first = folded(poll(with_items([item("B"), item("A")])))
    second = folded(poll(assigned(return_reference_number="R-2")))
    assert returns_frame([first, second])["return_reference_number"].to_list() == [
        first.reference,
        "R-2",
    ]
    assert items_frame([first, second])["item_index"].to_list() == [0, 1, 0]
    assert HOUR.holds(first.requested_at)


class TestPiecesOfLaterPolls:
    """One poll distinguishes pieces; a later poll finds each again."""

    @staticmethod
    def carrying(*skus: str, **more: Any) -> Any:
        return with_additional({"item_info": [item(sku) for sku in skus]}, assigned(**more))

    @pytest.mark.parametrize(
        ("before", "after", "skus"),
        [
            (("A", "B"), ("B", "A"), ["B", "A"]),
            (("A", "A", "B"), ("B", "A", "A"), ["B", "A", "A"]),
            (("A", "B"), ("A",), ["A"]),
            (("A",), ("B",), ["B"]),
        ],
    )
    def test_a_return_served_as_one_record_by_each_poll_is_one_piece(
        self, before: tuple[str, ...], after: tuple[str, ...], skus: list[str]
    ) -> None:
        first = poll(self.carrying(*before, awb="AWB-1", return_tracking_id=1))
        second = poll(self.carrying(*after, awb="AWB-2", return_tracking_id=2), number=2)
        found = folded(first, second)
        assert [one["sku"] for one in items_of(found)] == skus
        assert (row_of(found)["pieces"], row_of(found)["awbs"]) == (1, ["AWB-2"])

    @pytest.mark.parametrize("same", ["return_tracking_id", "awb"])
    def test_a_piece_is_found_by_its_tracking_id_or_awb(self, same: str) -> None:
        names = {"awb": "AWB-1", "return_tracking_id": 1}
        others = {"awb": "AWB-9", "return_tracking_id": 9} | {same: names[same]}
        first = poll(
            self.carrying("A", "B", **names), self.carrying("C", awb="AWB-2", return_tracking_id=2)
        )
        second = poll(
            self.carrying("C", awb="AWB-2", return_tracking_id=2), self.carrying("A", **others),
            number=2,
        )  # fmt: skip
        found = folded(first, second)
        assert sorted(one["sku"] for one in items_of(found)) == ["A", "C"]
        assert row_of(found)["pieces"] == 2

    def test_pieces_whose_items_are_in_another_order_count_them_once(self) -> None:
        served = poll(
            self.carrying("A", "B", awb="AWB-1", return_tracking_id=1),
            self.carrying("B", "A", awb="AWB-2", return_tracking_id=2),
        )
        assert [one["sku"] for one in items_of(folded(served))] == ["A", "B"]

    def test_an_item_keeps_values_absent_from_a_later_poll_in_any_order(self) -> None:
        before = [item("A", return_reason="x"), item("A", return_reason="y"), item("B")]
        after = [
            item("B", quantity=None),
            item("A", return_reason=None),
            item("A", return_reason="x"),
        ]
        found = items_of(folded(poll(with_items(before)), poll(with_items(after), number=2)))
        reasons = [(one["sku"], one["return_reason"]) for one in found]
        assert reasons[1:] == [("A", "y"), ("A", "x")]
        assert found[0]["quantity"] == item("B")["quantity"]

    @pytest.mark.parametrize("order", [[0, 1], [1, 0]])
    def test_a_record_without_ids_is_the_piece_with_its_items(self, order: list[int]) -> None:
        two = [
            self.carrying("A", awb="AWB-1", return_tracking_id=1),
            self.carrying("B", awb="AWB-2", return_tracking_id=2),
        ]
        bare = self.carrying("B", awb=None, return_tracking_id=None)
        served = [two[0], bare]
        found = folded(poll(*two), poll(*(served[n] for n in order), number=2))
        assert sorted(one["sku"] for one in items_of(found)) == ["A", "B"]
        alone = folded(poll(*(served[n] for n in order)))
        assert sorted(one["sku"] for one in items_of(alone)) == ["A", "B"]

    @pytest.mark.parametrize(
        ("before", "after", "expected"),
        [
            ([("A", 1, "x"), ("A", 5, "y")], [("A", 5, None), ("A", 1, "x")], ["y", "x"]),
            ([("A", 1, "x"), ("B", 1, "y")], [(None, 1, "y"), (None, 1, "x")], ["y", "x"]),
            ([(None, 1, "x")], [("A", 1, None)], ["x"]),
            ([("A", 1, "x"), ("B", 1, "y")], [(None, None, None)], ["x", "y"]),
        ],
    )
    def test_items_keep_their_reasons_when_the_list_is_sent_again(
        self, before: list[Any], after: list[Any], expected: list[str]
    ) -> None:
        def served(*items: tuple[Any, ...]) -> Any:
            return with_items(
                [{"sku": s, "quantity": q, "return_reason": why} for s, q, why in items]
            )

        found = items_of(folded(poll(served(*before)), poll(served(*after), number=2)))
        assert [one["return_reason"] for one in found] == expected
