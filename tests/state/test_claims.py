"""For each claim: it passes on clean data, fails with its defect planted, and cannot tell where
there is nothing to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest
from support.records import assigned, at, item, new_case, with_items
from support.rows import HOUR, folded, poll

from returns_orchestration import tables
from returns_orchestration.stages.frames import frames_of_hour
from returns_orchestration.state.claims import (
    CONSERVED,
    Claim,
    accounted_for,
    judge,
    of_hour,
    unread,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Frames = dict[str, pl.DataFrame]

RETURNS, ITEMS = "returns", "return_items"
STATES, REJECTED = "return_states", "rejected_returns"
AGGREGATES = {aggregate.hourly.name: aggregate for aggregate in tables.AGGREGATES}


def clean() -> Frames:
    found = [
        folded(poll(with_items([item("A"), item("B", refund_mode="Credits")]))),
        folded(poll(new_case())),
        folded(poll(assigned(return_reference_number="RE5555", refund_mode=None))),
    ]
    return frames_of_hour(HOUR, found)


def empty() -> Frames:
    return {table.name: table.empty() for table in tables.MADE_HOURLY}


def claim(frames: Frames, table: str, name: str) -> Claim:
    judged = of_hour(HOUR, frames)
    (found,) = [one for one in judged[table] if one.name == name]
    return found


def changed(table: str, **columns: pl.Expr) -> Callable[[Frames], Frames]:
    return lambda frames: frames | {table: frames[table].with_columns(**columns)}


def shorter(table: str) -> Callable[[Frames], Frames]:
    return lambda frames: frames | {table: frames[table].tail(-1)}


def twice(table: str) -> Callable[[Frames], Frames]:
    return lambda frames: frames | {table: pl.concat([frames[table]] * 2)}


def rejecting(frames: Frames) -> Frames:
    row: dict[str, list[object]] = {
        "polled_at": [at(12)], "position": [0], "reason": ["no number"], "record": ["{}"],
    }  # fmt: skip
    return frames | {REJECTED: tables.REJECTED_RETURNS.frame(row)}


def off(**duration: float) -> pl.Expr:
    return pl.col("requested_at") + pl.duration(**duration)


NULL = pl.lit(None, pl.String)
FIRST = pl.int_range(pl.len()) == 0

PLANTED = [
    *((name, "schema_is_as_declared", plant, "blocks") for name, plant in (
        (RETURNS, changed(RETURNS, cp_id=pl.col("cp_id").cast(pl.String))),
        (RETURNS, changed(RETURNS, new=pl.lit(1))),
        (RETURNS, lambda f: f | {RETURNS: f[RETURNS].drop("source")}),
        (RETURNS, lambda f: f | {RETURNS: f[RETURNS].select(sorted(f[RETURNS].columns))}),
        (ITEMS, changed(ITEMS, quantity=pl.col("quantity").cast(pl.Int32))),
        *((one, changed(one, hour_start=pl.col("hour_start").dt.cast_time_unit("ns")))
          for one in AGGREGATES),
        *((one, changed(one, returns=pl.col("returns").cast(pl.UInt32))) for one in AGGREGATES),
        (STATES, changed(STATES, state=pl.lit(1))),
        (REJECTED, changed(REJECTED, reason=pl.lit(1))),
    )),
    (RETURNS, "references_are_unique_and_present", twice(RETURNS), "blocks"),
    (RETURNS, "references_are_unique_and_present", changed(
        RETURNS, return_reference_number=pl.when(~FIRST).then("return_reference_number"),
    ), "blocks"),
    (RETURNS, "every_return_is_inside_its_hour_or_next_to_it", changed(
        RETURNS, requested_at=off(hours=2),
    ), "error"),
    (RETURNS, "every_return_is_inside_its_hour_or_next_to_it", changed(
        RETURNS, requested_at=off(hours=-2),
    ), "error"),
    (RETURNS, "every_return_is_inside_its_hour_or_next_to_it", changed(
        RETURNS, requested_at=pl.lit(None, tables.TIME),
    ), "error"),
    (RETURNS, "request_times_are_in_utc", changed(RETURNS, requested_at=off(minutes=330)), "error"),
    (RETURNS, "request_times_are_in_utc", changed(RETURNS, requested_at=off(hours=-1)), "error"),
    (ITEMS, "every_item_has_its_return", shorter(RETURNS), "blocks"),
    (ITEMS, "every_item_has_its_return", changed(
        ITEMS, return_reference_number=pl.lit("nobody's"),
    ), "blocks"),
    (ITEMS, "items_are_numbered_from_0", changed(
        ITEMS, item_index=pl.col("item_index") + 1,
    ), "blocks"),
    (ITEMS, "items_are_numbered_from_0", changed(ITEMS, item_index=pl.lit(0, pl.Int64)), "blocks"),
    (ITEMS, "items_are_numbered_from_0", changed(
        ITEMS, item_index=pl.lit(None, pl.Int64),
    ), "blocks"),
    *(
        (table, CONSERVED[what], plant, "blocks")
        for table, aggregate in AGGREGATES.items()
        for what in aggregate.conserved
        for plant in (twice(table), changed(table, **{what: pl.col(what) + 1}))
    ),
    (STATES, "every_state_has_its_return", shorter(RETURNS), "blocks"),
    (STATES, "every_state_has_its_return", changed(
        STATES, return_reference_number=pl.lit("nobody's"),
    ), "blocks"),
    (STATES, "no_state_is_repeated", twice(STATES), "blocks"),
    (STATES, "no_state_is_repeated", lambda f: f | {STATES: pl.concat([
        f[STATES],
        f[STATES].head(1).with_columns(first_seen_at=off(hours=1), source=pl.lit("webhook")),
    ])}, "blocks"),
    (REJECTED, "nothing_is_rejected", rejecting, "error"),
]  # fmt: skip

LOOKS_AT = {
    "references_are_unique_and_present": [(RETURNS, "return_reference_number")],
    "every_return_is_inside_its_hour_or_next_to_it": [(RETURNS, "requested_at")],
    "request_times_are_in_utc": [(RETURNS, "requested_at"), (RETURNS, "return_reference_number")],
    "every_item_has_its_return": [
        (ITEMS, "return_reference_number"),
        (RETURNS, "return_reference_number"),
    ],
    "items_are_numbered_from_0": [(ITEMS, "item_index"), (ITEMS, "return_reference_number")],
    "every_state_has_its_return": [
        (STATES, "return_reference_number"),
        (RETURNS, "return_reference_number"),
    ],
    "no_state_is_repeated": [
        (STATES, name) for name in ("return_reference_number", "clickpost_status_code", "at")
    ],
    **{
        claim: [
            *((table, what) for table, one in AGGREGATES.items() if what in one.conserved),
            *([(ITEMS, what)] if what == "quantity" else []),
        ]
        for what, claim in CONSERVED.items()
    },
}
NAMES = {(table, one.name) for table, judged in of_hour(HOUR, clean()).items() for one in judged}


def judging(frames: Frames, name: str) -> list[Claim]:
    return [one for judged in of_hour(HOUR, frames).values() for one in judged if one.name == name]


@pytest.mark.parametrize("frames", [clean(), empty()], ids=["an hour", "an empty hour"])
def test_every_claim_passes_on_clean_data(frames: Frames) -> None:
    judged = [one for of_table in of_hour(HOUR, frames).values() for one in of_table]
    assert {one.figures: one.verdict for one in judged if not one.holds} == {}
    assert not any(one.blocks for one in judged)


def test_every_claim_has_a_planted_defect() -> None:
    planted = {(table, name) for table, name, _, _ in PLANTED}
    assert planted == NAMES


@pytest.mark.parametrize(("table", "name", "plant", "weight"), PLANTED)
def test_a_claim_fails_on_its_defect(
    table: str, name: str, plant: Callable[[Frames], Frames], weight: str
) -> None:
    found = claim(plant(clean()), table, name)
    assert (found.verdict, found.weight) == ("fails", weight), found.figures
    assert found.blocks is (weight == "blocks")


@pytest.mark.parametrize(
    ("name", "table", "column"),
    [(name, *place) for name, places in LOOKS_AT.items() for place in places],
)
def test_a_claim_that_cannot_see_its_column_cannot_tell(name: str, table: str, column: str) -> None:
    frames = clean() | {table: clean()[table].drop(column)}
    found = judging(frames, name)
    assert "cannot tell" in {one.verdict for one in found}
    assert all(not one.holds for one in found if one.verdict == "cannot tell")


@pytest.mark.parametrize(("table", "name"), sorted(NAMES))
def test_a_claim_without_its_table_cannot_tell(table: str, name: str) -> None:
    found = claim({k: frame for k, frame in clean().items() if k != table}, table, name)
    assert found.verdict == "cannot tell"
    assert not found.holds
    assert found.blocks is (found.weight == "blocks")


def test_the_zone_follows_from_the_references_of_most_returns() -> None:
    frames = clean()
    one_off = changed(
        RETURNS, requested_at=pl.when(FIRST).then(off(hours=1)).otherwise("requested_at")
    )
    assert claim(one_off(frames), RETURNS, "request_times_are_in_utc").holds
    shifted = changed(RETURNS, requested_at=off(minutes=330))
    found = claim(shifted(frames), RETURNS, "request_times_are_in_utc")
    assert "+5.50 hours" in found.figures
    assert "CLICKPOST_TIME_ZONE" in found.figures


def test_a_return_of_an_adjacent_hour_is_near_enough() -> None:
    for hours in (-1, 1):
        frames = changed(RETURNS, requested_at=off(hours=hours))(clean())
        assert claim(frames, RETURNS, "every_return_is_inside_its_hour_or_next_to_it").holds


def test_no_sentence_repeats_a_value_of_a_record() -> None:
    frames = changed(RETURNS, refund_mode=pl.lit("canary mode"), source=pl.lit("canary"))(clean())
    frames = rejecting(frames)
    judged = [one for of_table in of_hour(HOUR, frames).values() for one in of_table]
    figures = " ".join(one.figures for one in judged)
    assert "canary" not in figures
    assert not any(reference in figures for reference in frames[RETURNS]["return_reference_number"])


@pytest.mark.parametrize(
    ("numbers", "verdict"),
    [
        ((10, 7, 2, 1, 0), "holds"),
        ((0, 0, 0, 0, 0), "holds"),
        ((10, 7, 2, 0, 0), "fails"),
        ((10, 7, 3, 1, 0), "fails"),
        ((10, 7, 2, 1, 1), "fails"),
        ((10, 11, -2, 1, 0), "fails"),
    ],
)
def test_every_served_record_is_accounted_for(numbers: tuple[int, ...], verdict: str) -> None:
    found = accounted_for(*numbers)
    assert (found.verdict, found.weight) == (verdict, "blocks")
    assert found.blocks is (verdict == "fails")


def test_a_window_that_was_not_read_does_not_pass() -> None:
    found = unread("Hour 2026-11-09-11:00: no answer.")
    assert (found.verdict, found.holds) == ("cannot tell", False)


def test_unexpected_exceptions_are_not_hidden() -> None:
    def broken() -> tuple[bool, str]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        judge("x", "error", broken)
