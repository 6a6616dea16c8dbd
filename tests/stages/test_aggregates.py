from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.records import at

from returns_orchestration import tables
from returns_orchestration.stages.aggregates import COUNTED, count
from returns_orchestration.window import Window

HOUR = Window(at(11))
DAY = date(2026, 11, 10)

ItemRow = tuple[int | None, str | None, str | None]
"""Quantity, reason, mode."""

Given = dict[str, tuple[str | None, list[ItemRow]]]
"""By reference, the return's own mode and its items."""


def frames(given: Given) -> tuple[pl.DataFrame, pl.DataFrame]:
    """`returns` and `return_items`, with the columns that the aggregates read."""
    items = [
        (reference, index, at(11), f"S{index}", *row)
        for reference, (_, rows) in given.items()
        for index, row in enumerate(rows)
    ]
    returns = (
        tables.RETURNS.empty()
        .clear(len(given))
        .with_columns(
            return_reference_number=pl.Series(list(given), dtype=pl.String),
            refund_mode=pl.Series([mode for mode, _ in given.values()], dtype=pl.String),
        )
    )
    schema = dict(list(tables.RETURN_ITEMS.schema.items())[:7])
    rows = pl.DataFrame(items, schema=schema, orient="row")
    return returns, tables.RETURN_ITEMS.conform(rows)


def modes_of_hour(returns: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
    return count(tables.REFUND_MODES, HOUR.start, returns, items)


def reasons_of_hour(items: pl.DataFrame) -> pl.DataFrame:
    return count(tables.RETURN_REASONS, HOUR.start, tables.RETURNS.empty(), items)


def modes(given: Given) -> dict[str, tuple[int, int, int]]:
    frame = modes_of_hour(*frames(given))
    return {row[1]: row[2:] for row in frame.rows()}


def reasons(given: Given) -> dict[str, tuple[int, int, int]]:
    frame = reasons_of_hour(frames(given)[1])
    return {row[1]: row[2:] for row in frame.rows()}


@pytest.mark.parametrize(
    ("own", "of_items", "group"),
    [
        ("Credits", [None], "Credits"),
        ("Credits", ["UPI", "UPI"], "Credits"),
        ("Credits", ["UPI", "Wallet"], "Credits"),
        (None, ["UPI", "UPI"], "UPI"),
        (None, ["UPI", "Wallet"], "Mixed"),
        (None, [None, None], "Not given"),
        (None, [], "Not given"),
        ("Credits", [], "Credits"),
    ],
)
def test_a_return_counts_by_its_own_mode_or_its_items_or_as_mixed(
    own: str | None, of_items: list[str | None], group: str
) -> None:
    counted = modes({"R": (own, [(1, "x", mode) for mode in of_items])})
    assert {name: row[0] for name, row in counted.items() if row[0]} == {group: 1}


@pytest.mark.parametrize(
    ("own", "of_item", "group"),
    [
        ("Credits", "UPI", "UPI"),
        ("Credits", None, "Credits"),
        (None, "UPI", "UPI"),
        (None, None, "Not given"),
    ],
)
def test_an_item_counts_by_its_own_mode_or_its_return_s(
    own: str | None, of_item: str | None, group: str
) -> None:
    counted = modes({"R": (own, [(3, "x", of_item)])})
    assert {name: row[1:] for name, row in counted.items() if row[1]} == {group: (1, 3)}


def test_an_item_without_a_mode_does_not_take_that_of_its_siblings() -> None:
    counted = modes({"R": (None, [(1, "x", "UPI"), (2, "x", None)])})
    assert counted == {"UPI": (1, 1, 1), "Not given": (0, 1, 2)}


def test_returns_items_and_quantity_of_a_mode() -> None:
    counted = modes(
        {
            "R1": ("Credits", [(1, "a", "Credits"), (2, "b", None)]),
            "R2": ("Credits", []),
            "R3": ("UPI", [(5, "a", "Credits")]),
        }
    )
    assert counted == {"Credits": (2, 3, 8), "UPI": (1, 0, 0)}


def test_a_return_counts_once_under_each_of_its_reasons() -> None:
    counted = reasons(
        {
            "R1": (None, [(1, "Size", None), (1, "Size", None), (2, "Colour", None)]),
            "R2": (None, [(4, "Size", None)]),
        }
    )
    assert counted == {"Size": (2, 3, 6), "Colour": (1, 1, 2)}


def test_a_missing_reason_counts_as_not_given() -> None:
    assert reasons({"R": (None, [(1, None, None), (1, None, None)])}) == {"Not given": (1, 2, 2)}


def test_a_return_without_items_counts_in_returns_only() -> None:
    assert modes({"R": ("UPI", [])}) == {"UPI": (1, 0, 0)}
    assert reasons({"R": ("UPI", [])}) == {}


def test_a_quantity_that_is_not_given_adds_nothing() -> None:
    given: Given = {"R": ("UPI", [(None, "a", "UPI"), (0, "a", "UPI"), (2, "a", "UPI")])}
    assert modes(given) == {"UPI": (1, 3, 2)}
    assert reasons(given) == {"a": (1, 3, 2)}


def test_modes_that_differ_in_case_are_different_modes() -> None:
    assert set(modes({"1": ("upi", []), "2": ("UPI", [])})) == {"upi", "UPI"}


def test_an_empty_hour_has_the_schema_and_no_rows() -> None:
    assert modes_of_hour(*frames({})).equals(tables.REFUND_MODES.hourly.empty())
    assert reasons_of_hour(frames({})[1]).equals(tables.RETURN_REASONS.hourly.empty())


def test_rows_are_of_the_hour_and_in_the_order_of_their_group() -> None:
    given: Given = {"1": ("b", [(1, "y", None)]), "2": ("a", [(1, "x", None)])}
    by_mode = modes_of_hour(*frames(given))
    by_reason = reasons_of_hour(frames(given)[1])
    assert by_mode.schema == tables.REFUND_MODES.hourly.schema
    assert by_reason.schema == tables.RETURN_REASONS.hourly.schema
    assert by_mode["refund_mode"].to_list() == ["a", "b"]
    assert by_reason["return_reason"].to_list() == ["x", "y"]
    assert set(by_mode["hour_start"]) == set(by_reason["hour_start"]) == {at(11)}


def test_every_aggregate_is_counted() -> None:
    assert list(COUNTED) == [aggregate.name for aggregate in tables.AGGREGATES]


def test_rows_of_a_day_are_counted_the_same_way_with_the_day_instead_of_the_hour() -> None:
    returns, items = frames({"1": ("b", [(2, "y", None)]), "2": ("a", [(None, None, "b")])})
    for aggregate in tables.AGGREGATES:
        hourly = count(aggregate, HOUR.start, returns, items)
        daily = count(aggregate, DAY, returns, items)
        assert daily["day"].to_list() == [DAY] * hourly.height
        assert daily.drop("day").equals(hourly.drop("hour_start"))
        assert daily.schema["day"] == pl.Date()


words = st.none() | st.sampled_from(["UPI", "Credits", "Mixed", "Not given", "x"])
item_rows = st.tuples(st.none() | st.integers(-5, 10**9), words, words)
hours = st.dictionaries(
    st.text("abc", min_size=1, max_size=3),
    st.tuples(words, st.lists(item_rows, max_size=4)),
    max_size=8,
)


@given(hours)
def test_aggregates_count_every_return_and_item(given: Any) -> None:
    returns, items = frames(given)
    by_mode, by_reason = modes_of_hour(returns, items), reasons_of_hour(items)
    assert by_mode["returns"].sum() == returns.height
    for table in (by_mode, by_reason):
        assert table["items"].sum() == items.height
        assert table["quantity"].sum() == items["quantity"].sum()
    assert by_mode["refund_mode"].n_unique() == by_mode.height
    assert by_reason["return_reason"].n_unique() == by_reason.height
    for reason, counted in zip(by_reason["return_reason"], by_reason["returns"], strict=True):
        having = [
            reference
            for reference, (_, rows) in given.items()
            if any((row[1] or "Not given") == reason for row in rows)
        ]
        assert counted == len(having)
