"""Pieces are found as if each were compared in turn, and thousands of them in a moment."""

from __future__ import annotations

import gc
import time
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.records import at
from support.rows import HOUR

from returns_orchestration.stages.ownership import Copy, Source, _newer_wins, fold
from returns_orchestration.stages.pieces import AWB, SKU, TRACKING
from returns_orchestration.stages.typing import ITEM_FIELDS, RETURN_FIELDS, Item, Typed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

STATUS = next(i for i, c in enumerate(RETURN_FIELDS) if c.name == "status")
QUANTITY = next(i for i, c in enumerate(ITEM_FIELDS) if c.name == "quantity")
AWBS, TRACKING_IDS = st.sampled_from([None, "A", "B", "C"]), st.sampled_from([None, 1, 2, 3])
ITEMS = st.lists(st.tuples(st.sampled_from([None, "x", "y"]), st.integers(1, 2)), max_size=2)


def piece(
    awb: str | None, tracking: int | None, items: Iterable[tuple[str | None, int]], status: str
) -> Typed:
    """A typed record with an AWB, a tracking id and items as (sku, quantity)."""
    values: list[object] = [None] * len(RETURN_FIELDS)
    values[AWB], values[TRACKING], values[STATUS] = awb, tracking, status
    made = []
    for sku, quantity in items:
        inner: list[object] = [None] * len(ITEM_FIELDS)
        inner[SKU], inner[QUANTITY] = sku, quantity
        made.append(Item(tuple(inner), ()))
    return Typed("R-1", at(11), tuple(values), tuple(made), frozenset())


def copies(polls: Sequence[Sequence[Typed]]) -> list[Copy]:
    """The records that several polls of one window served, a minute apart."""
    return [
        Copy(Source("poll", HOUR, number, moment), moment, position, typed)
        for number, served in enumerate(polls, start=1)
        for moment in (at(12) + timedelta(minutes=number),)
        for position, typed in enumerate(served)
    ]


def in_turn(polls: Sequence[Sequence[Typed]]) -> list[Typed]:
    """The pieces after all polls, each compared with every other: slow, and plainly right."""
    known: list[Typed] = []
    for number, records in enumerate(polls):
        served: list[Typed] = []
        for record in records:
            place = first_same(record, served)
            if place is None:
                served.append(record)
            else:
                served[place] = _newer_wins(served[place], record)
        known = after(known, served) if number else served
    return known


def first_same(record: Typed, pieces: list[Typed]) -> int | None:
    named = [(piece.values[AWB], piece.values[TRACKING]) for piece in pieces]
    awb, tracking = record.values[AWB], record.values[TRACKING]
    if awb is None and tracking is None:
        by_items = (
            first_with_its_skus(record, pieces),
            next((n for n, piece in enumerate(pieces) if skus(piece) & skus(record)), None),
        )
        return next((place for place in by_items if place is not None), None)
    equal = [place for place, other in enumerate(named) if other == (awb, tracking)]
    alike = [
        place
        for place, (its_awb, its_tracking) in enumerate(named)
        if (None in (awb, its_awb) or awb == its_awb)
        and (None in (tracking, its_tracking) or tracking == its_tracking)
    ]
    if equal or not alike:
        return next(iter(equal), None)
    other = pieces[alike[0]]
    may_be_one = not other.items or not record.items or skus(other) & skus(record)
    return alike[0] if may_be_one else None


def skus(piece: Typed) -> set[object]:
    return {item.values[SKU] for item in piece.items}


def first_of(value: int, record: Typed, pieces: list[Typed]) -> int | None:
    """The first with the same AWB or tracking id."""
    own = record.values[value]
    alike = [place for place, other in enumerate(pieces) if own and other.values[value] == own]
    return next(iter(alike), None)


def first_with_its_skus(record: Typed, pieces: list[Typed]) -> int | None:
    for place, other in enumerate(pieces):
        mine, its = (Counter(item.values[SKU] for item in one.items) for one in (record, other))
        if not mine or not its or mine == its:
            return place
    return None


def after(known: list[Typed], served: list[Typed]) -> list[Typed]:
    left, before = list(known), dict[int, Typed]()
    single = len(known) == len(served) == 1
    for find in (
        first_same,
        partial(first_of, TRACKING),
        partial(first_of, AWB),
        first_with_its_skus,
        lambda _, pieces: 0 if single and pieces else None,
    ):
        for number, record in enumerate(served):
            place = None if number in before else find(record, left)
            if place is not None:
                before[number] = left.pop(place)
    result, lists = [], list[tuple[tuple[Item, ...], tuple[Item, ...]]]()
    for number, record in enumerate(served):
        older = before.get(number)
        result.append(record if older is None else _newer_wins(older, record))
        if older is not None:
            lists.append((older.items, result[-1].items))
    for other in left:
        for items, newer in reversed(lists):
            if Counter(i.values for i in items) == Counter(i.values for i in other.items):
                other = replace(other, items=newer)  # noqa: PLW2901 - the last one counts
                break
        result.append(other)
    return result


@settings(max_examples=400)
@given(
    st.lists(st.lists(st.tuples(AWBS, TRACKING_IDS, ITEMS), max_size=7), min_size=1, max_size=4),
    st.booleans(),
)
def test_pieces_equal_those_found_by_comparing_each_pair(
    polls: list[list[tuple[str | None, int | None, list[tuple[str | None, int]]]]], named: bool
) -> None:
    numbers = count()

    def made() -> list[list[Typed]]:
        return [
            [
                piece(awb, tracking, items, f"{next(numbers) if named else ''}")
                for awb, tracking, items in served
            ]
            for served in polls
            if served
        ]

    if not any(polls):
        return
    numbers = count()
    found = fold(copies(made())).pieces
    numbers = count()
    assert found == in_turn(made())


MANY = 4_000
SECONDS, GROWTH, TRIES = 1.0, 2.5, 6


@pytest.mark.parametrize("second", [None, "the same", "other"])
@pytest.mark.parametrize("tracking", [True, False], ids=["tracking ids", "no tracking ids"])
@pytest.mark.parametrize("equal", [True, False], ids=["equal items", "items of their own"])
def test_the_cost_of_thousands_of_pieces_is_linear(
    *, equal: bool, tracking: bool, second: str | None
) -> None:
    def seconds(number: int) -> float:
        def served(prefix: str, first: int) -> list[Typed]:
            return [
                piece(
                    f"{prefix}{n}",
                    n if tracking else None,
                    [("x" if equal else f"S{n - first}", 1)],
                    prefix,
                )
                for n in range(first, first + number)
            ]

        polls = [served("A", 0)]
        if second is not None:
            polls.append(served("A", 0) if second == "the same" else served("B", 10**6))
        given_copies = copies(polls)
        gc.collect()
        gc.disable()  # garbage collection over the tests' objects is not part of the measured work
        began = time.process_time()
        found = fold(given_copies)
        ended = time.process_time()
        gc.enable()
        assert len(found.pieces) == number
        return ended - began

    took: list[tuple[float, float]] = []
    for _ in range(TRIES):  # other work on the machine sometimes slows down one of the two
        took.append((seconds(MANY), seconds(2 * MANY)))
        if took[-1][0] < SECONDS and took[-1][1] < GROWTH * took[-1][0]:
            return
    pytest.fail(f"{MANY} and {2 * MANY} pieces took {took} s")
