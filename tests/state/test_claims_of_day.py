"""For each claim about a day: it passes on clean rows, fails with its defect planted, and cannot
tell where there is nothing to look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from support.records import assigned, item, new_case, with_items
from support.rows import folded, poll, rows_of_day

from returns_orchestration import tables
from returns_orchestration.stages.days import Rows
from returns_orchestration.stages.frames import frames_of_day
from returns_orchestration.state.claims import CONSERVED, Claim, of_day
from returns_orchestration.window import Day

MODES, REASONS = "refund_modes_daily", "return_reasons_daily"
AGGREGATES = {aggregate.daily.name: aggregate for aggregate in tables.AGGREGATES}
DAY = Day(date(2026, 11, 9), ZoneInfo("UTC"))
DAILY = [table.name for table in tables.MADE_DAILY]
WHOLE = "every_hour_of_the_day_is_there"


@dataclass(frozen=True)
class Given:
    """The tables that the claims look at."""

    frames: dict[str, pl.DataFrame]
    rows: Rows
    absent: list[str]


def clean() -> Given:
    found = [
        folded(poll(with_items([item("A"), item("B", refund_mode="Credits", quantity=3)]))),
        folded(poll(new_case())),
        folded(poll(assigned(return_reference_number="RE5555", refund_mode=None))),
    ]
    rows = rows_of_day(found)
    return Given(frames_of_day(DAY, rows), rows, [])


def empty() -> Given:
    frames = {table.name: table.empty() for table in tables.MADE_DAILY}
    return Given(frames, rows_of_day([]), [])


def judged(given: Given) -> dict[tuple[str, str], Claim]:
    by_table = of_day(given.frames, given.rows, given.absent)
    return {(table, one.name): one for table, claims in by_table.items() for one in claims}


def changed(table: str, **columns: pl.Expr) -> Callable[[Given], Given]:
    return lambda given: replace(
        given, frames=given.frames | {table: given.frames[table].with_columns(**columns)}
    )


def twice(table: str) -> Callable[[Given], Given]:
    return lambda given: replace(
        given, frames=given.frames | {table: pl.concat([given.frames[table]] * 2)}
    )


def missing(given: Given) -> Given:
    return replace(given, absent=["2026-11-09T03:00"])


def without_a_return(given: Given) -> Given:
    return replace(given, rows=replace(given.rows, returns=given.rows.returns.tail(-1)))


def without_an_item(given: Given) -> Given:
    return replace(given, rows=replace(given.rows, items=given.rows.items.tail(-1)))


def of_an_hour(given: Given) -> Given:
    hour = given.frames[MODES].rename({"day": "hour_start"})
    return replace(given, frames=given.frames | {MODES: hour})


def in_two_spellings(table: str, column: str) -> Callable[[Given], Given]:
    def plant(given: Given) -> Given:
        groups = given.frames[table]
        other = groups.with_columns(pl.col(column).str.to_uppercase())
        return replace(given, frames=given.frames | {table: pl.concat([groups, other])})

    return plant


PLANTED = [
    *((table, WHOLE, missing, "error") for table in DAILY),
    (MODES, "schema_is_as_declared", of_an_hour, "blocks"),
    *(
        (table, "schema_is_as_declared", changed(table, day=pl.lit("2026-11-09")), "blocks")
        for table in DAILY
    ),
    *(
        (table, "rows_are_those_of_the_hours", plant, "blocks")
        for table, fewer in (
            ("returns_daily", without_a_return),
            ("return_items_daily", without_an_item),
        )
        for plant in (
            twice(table),
            fewer,
            changed(table, requested_at=pl.col("requested_at") + pl.duration(minutes=1)),
            changed(table, refund_mode=pl.lit("Wallet")),
        )
    ),
    *(
        (table, CONSERVED[what], plant, "blocks")
        for table, what, fewer in (
            ("skus_daily", "items", without_an_item),
            ("skus_daily", "quantity", without_an_item),
            ("couriers_daily", "returns", without_a_return),
        )
        for plant in (twice(table), fewer, changed(table, **{what: pl.col(what) + 1}))
    ),
    *(
        (
            "funnel_daily",
            "no_step_exceeds_the_one_before",
            changed("funnel_daily", reached=wrong),
            "blocks",
        )
        for wrong in (pl.int_range(pl.len()), pl.col("of") + 1)
        for plant in (changed("funnel_daily", reached=wrong),)
    ),
    *(
        (table, "groups_differ_in_more_than_case", in_two_spellings(table, one.by.name), "warning")
        for table, one in AGGREGATES.items()
    ),
    *(
        (table, CONSERVED[what], plant, "blocks")
        for table, one in AGGREGATES.items()
        for what in one.conserved
        for plant in (
            twice(table),
            changed(table, **{what: pl.col(what) - 1}),
            without_a_return if what == "returns" else without_an_item,
        )
    ),
]

LOOKS_AT = {
    **{(t, CONSERVED[what]): what for t, one in AGGREGATES.items() for what in one.conserved},
    ("skus_daily", CONSERVED["items"]): "items",
    ("skus_daily", CONSERVED["quantity"]): "quantity",
    ("couriers_daily", CONSERVED["returns"]): "returns",
    ("returns_daily", "rows_are_those_of_the_hours"): "requested_at",
    ("return_items_daily", "rows_are_those_of_the_hours"): "item_index",
    ("funnel_daily", "no_step_exceeds_the_one_before"): "reached",
    **{(t, "groups_differ_in_more_than_case"): one.by.name for t, one in AGGREGATES.items()},
}


@pytest.mark.parametrize("given", [clean(), empty()], ids=["a day", "an empty day"])
def test_every_claim_passes_on_clean_data(given: Given) -> None:
    found = judged(given)
    assert {one.figures for one in found.values() if not one.holds} == set()
    assert {table for table, _ in found} == set(DAILY)


def test_every_claim_has_a_planted_defect() -> None:
    assert {(table, name) for table, name, _, _ in PLANTED} == judged(clean()).keys()


@pytest.mark.parametrize(("table", "name", "plant", "weight"), PLANTED)
def test_a_claim_fails_on_its_defect(
    table: str, name: str, plant: Callable[[Given], Given], weight: str
) -> None:
    found = judged(plant(clean()))[table, name]
    assert (found.verdict, found.weight) == ("fails", weight), found.figures
    assert found.blocks is (weight == "blocks")


@pytest.mark.parametrize(("table", "name"), LOOKS_AT)
def test_a_claim_that_cannot_see_its_column_cannot_tell(table: str, name: str) -> None:
    given = clean()
    blind = given.frames[table].drop(LOOKS_AT[table, name])
    found = judged(replace(given, frames=given.frames | {table: blind}))[table, name]
    assert found.verdict == "cannot tell"
    assert found.blocks is (found.weight == "blocks")


@pytest.mark.parametrize("table", AGGREGATES)
def test_a_claim_without_quantities_to_compare_cannot_tell(table: str) -> None:
    given = clean()
    found = judged(
        replace(given, rows=replace(given.rows, items=given.rows.items.drop("quantity")))
    )
    assert found[table, "quantity_is_conserved"].verdict == "cannot tell"


@pytest.mark.parametrize(
    ("table", "name"), sorted(key for key in judged(clean()) if key[1] != WHOLE)
)
def test_a_claim_without_its_table_cannot_tell(table: str, name: str) -> None:
    given = clean()
    frames = {other: frame for other, frame in given.frames.items() if other != table}
    found = judged(replace(given, frames=frames))[table, name]
    assert found.verdict == "cannot tell"
    assert found.blocks is (found.weight == "blocks")


def test_missing_hours_are_counted_and_the_first_ten_named() -> None:
    absent = [f"2026-11-09T{hour:02d}:00" for hour in range(12)]
    found = judged(replace(clean(), absent=absent))[MODES, WHOLE]
    assert found.figures == f"12 hours of the day are missing: {', '.join(absent[:10])} and 2 more"


def test_no_sentence_repeats_a_value_of_a_record() -> None:
    given = changed(MODES, refund_mode=pl.lit("canary"), items=pl.lit(1))(clean())
    given = changed(REASONS, return_reason=pl.lit("canary"), new=pl.lit("canary"))(given)
    sentences = " ".join(one.figures for one in judged(given).values())
    assert "add up to" in sentences
    assert "canary" not in sentences
