"""The tables of one day: rows, SKUs, couriers and the funnel, counted by hand."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from support.records import ABSENT, at, item, returned, wire_time
from support.rows import folded, poll, rows_of_day

from returns_orchestration import tables
from returns_orchestration.stages import days
from returns_orchestration.stages.days import Rows
from returns_orchestration.state import claims
from returns_orchestration.window import Window

HOUR = Window(at(11))
DAY = date(2026, 11, 9)

Given = dict[str, list[dict[str, Any]]]
"""By reference, its record in each poll, in hours from 12:10."""


def rows_of(given: Given, home: Window = HOUR) -> Rows:
    found = [
        folded(*(poll(one, number=number) for number, one in enumerate(records, 1)))
        for records in given.values()
    ]
    return rows_of_day(found, home)


def made(given: Given) -> dict[str, pl.DataFrame]:
    return days.frames(DAY, rows_of(given))


def one(reference: str, *items: dict[str, Any], **changes: Any) -> dict[str, Any]:
    found = returned(reference, at(11, 10), **changes)
    found["webhook_payload"]["additional"]["item_info"] = list(items)
    return found


def in_state(reference: str, code: int, since: datetime | None) -> dict[str, Any]:
    """A record that shows one state, in both of its places."""
    status = {"clickpost_status_code": code, "timestamp": since and wire_time(since)}
    payload = {**status, "additional": {"latest_status": status}}
    return returned(reference, at(11, 10), webhook_payload=payload)


def test_the_rows_of_a_day_are_those_of_its_hours_with_their_newest_state() -> None:
    found = made(
        {
            "B": [in_state("B", 101, at(11, 10)), in_state("B", 4, at(30))],
            "A": [in_state("A", 8, at(20)), in_state("A", 102, at(13))],
            "C": [in_state("C", 101, None)],
        }
    )["returns_daily"]
    columns = ("day", "return_reference_number", "state", "state_since")
    assert found.select(columns).rows() == [
        (DAY, "A", "received", at(20)),
        (DAY, "B", "picked up", at(30)),
        (DAY, "C", "placed", None),
    ]
    of_states = ["state", "state_since", *TIMES]
    assert found.columns == ["day", *tables.RETURNS.schema.names(), *of_states]


TIMES = ["approved_at", "picked_up_at", "received_at"]


def test_a_row_of_a_day_has_the_times_of_its_steps() -> None:
    found = made(
        {
            "A": [in_state("A", 102, at(12)), in_state("A", 4, at(30)), in_state("A", 8, at(70))],
            "B": [in_state("B", 4, at(30)), in_state("B", 4, at(31))],  # corrected later
            "C": [in_state("C", 8, None)],
        }
    )["returns_daily"]
    assert found.select("return_reference_number", *TIMES).rows() == [
        ("A", at(12), at(30), at(70)),
        ("B", None, at(30), None),
        ("C", None, None, None),
    ]


def test_a_return_of_two_hours_is_counted_once_in_each() -> None:
    one_hour, other = (rows_of({"A": [one("A", item("S"))]}, home) for home in (HOUR, HOUR.next))
    both = Rows(
        *(
            pl.concat([getattr(one_hour, name), getattr(other, name)])
            for name in ("returns", "items", "states")
        )
    )
    found = days.frames(DAY, both)
    assert found["returns_daily"].height == 2
    assert found["skus_daily"].row(0) == (DAY, "S", "Size Issue", 2, 2, 2)
    assert found["funnel_daily"].row(0, named=True)["reached"] == 2


def test_skus_count_by_reason_and_what_is_not_given_is_named() -> None:
    found = made(
        {
            "A": [one("A", item("S", quantity=2), item("S"), item("S", return_reason="Fit"))],
            "B": [one("B", item("S"), item(sku=None, return_reason=None, quantity=None))],
        }
    )["skus_daily"]
    assert found.rows() == [
        (DAY, "Not given", "Not given", 1, 1, 0),
        (DAY, "S", "Fit", 1, 1, 1),
        (DAY, "S", "Size Issue", 2, 3, 4),
    ]


def test_couriers_are_counted_with_how_soon_their_awb_came() -> None:
    def of(reference: str, seconds: int | None, **changes: Any) -> dict[str, Any]:
        awb_at = None if seconds is None else wire_time(at(11, 10) + timedelta(seconds=seconds))
        return one(reference, timestamp=awb_at, awb=reference if awb_at else None, **changes)

    none = {"cp_id": None, "account_code": None, "cp_name": None}
    found = made(
        {
            **{f"A{seconds}": [of(f"A{seconds}", seconds)] for seconds in (10, 20, 30, -5)},
            "B": [of("B", 40, cp_id=4, cp_name="Bluedart", account_code="BD")],
            "C": [of("C", None, **none)],
        }
    )["couriers_daily"]
    assert found.drop("day").rows() == [
        (None, None, None, 1, 0, 1, 0, None, None, 0),
        (4, "BD", "Bluedart", 1, 0, 0, 1, 40, 40, 0),
        (25, "Delhivery_Reverse", "Delhivery", 4, 0, 0, 4, 20, 30, 1),
    ]


def test_a_courier_has_its_newest_name() -> None:
    found = made(
        {
            "B": [one("B", cp_name="Old")],
            "A": [one("A", cp_name="Old"), one("A", cp_name="New", status="SUCCESS")],
        }
    )["couriers_daily"]
    assert found.get_column("cp_name").to_list() == ["New"]


def test_a_later_step_implies_the_earlier_ones() -> None:
    found = made(
        {
            "A": [in_state("A", 101, at(11, 10)), in_state("A", 8, at(59, 10))],
            "B": [in_state("B", 102, at(13, 10)), in_state("B", 5, at(40))],
            "C": [in_state("C", 10, at(12, 10))],
            "D": [returned("D", at(11, 10), webhook_payload=ABSENT)],
        }
    )["funnel_daily"]
    shown = found.select("step", "reached", "of", "p50_h", "p90_h").rows()
    assert shown == [
        ("placed", 2, 4, 0.0, 0.0),
        ("approved", 2, 4, 2.0, 2.0),
        ("courier assigned", 2, 4, None, None),
        ("picked up", 2, 4, None, None),
        ("received", 1, 4, 48.0, 48.0),
        ("cancelled", 1, 4, 1.0, 1.0),
    ]
    assert found.get_column("as_of").unique().to_list() == [at(12, 10)]


def test_a_day_of_no_returns_has_no_rows() -> None:
    found = days.frames(DAY, rows_of({}))
    assert {name: frame.height for name, frame in found.items()} == dict.fromkeys(found, 0)
    for table in tables.OF_DAYS:
        assert found[table.name].schema == table.schema


codes = st.sampled_from([101, 102, 1, 4, 5, 8, 10, 16, 30, 4711])
histories = st.lists(st.lists(codes, min_size=1, max_size=4), max_size=6)


@given(histories)
def test_any_history_gives_a_funnel_that_narrows_and_rows_that_add_up(found: Any) -> None:
    given_ = {
        f"R{n}": [in_state(f"R{n}", code, at(12 + at_)) for at_, code in enumerate(codes_)]
        for n, codes_ in enumerate(found)
    }
    rows = rows_of(given_)
    whole = {aggregate.daily.name: aggregate.daily.empty() for aggregate in tables.AGGREGATES}
    judged = claims.of_day(whole | days.frames(DAY, rows), rows, [])
    wrong = [c.figures for t in tables.OF_DAYS for c in judged[t.name] if not c.holds]
    assert wrong == []
