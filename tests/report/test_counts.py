from __future__ import annotations

from datetime import date, timedelta

import pytest
from report.conftest import (
    FIRST,
    NOON,
    OPTIONS,
    counted,
    figures,
    item,
    opened,
    period,
    returned,
)

from returns_orchestration.report import counts
from returns_orchestration.report.counts import Courier

H = timedelta(hours=1)


def test_reasons_have_their_share_now_and_before() -> None:
    now = period(reasons=counted("return_reason", FIRST, Size=6, Colour=2))
    before = period(reasons=counted("return_reason", FIRST, Size=5, Damaged=5))
    found = counts.reasons(figures(now, before))
    assert [(one.name, one.items, one.share, one.share_before) for one in found] == [
        ("Size", 6, 0.75, 0.5),
        ("Colour", 2, 0.25, 0.0),
    ]
    assert counts.reasons(figures(now))[0].share_before is None
    assert counts.reasons(figures()) == []


def test_styles_are_the_first_group_of_the_pattern() -> None:
    items = [
        *item(3, "AA-S", "Size", description="Shirt"),
        *item(2, "AA-M", None, description="Blue shirt"),
        *item(4, "123", "Size"),
    ]
    found = counts.matrix(figures(period(items=items)))
    assert found.reasons == ["Size", "Not given"]
    assert found.rows == [("AA", "Shirt", 5, [3, 2]), ("123", "", 4, [4, 0])]


def test_the_matrix_shows_the_most_frequent_and_sums_the_other_reasons() -> None:
    items = [row for n in range(12) for row in item(20 - n, f"S{'ABCDEFGHIJKL'[n]}-1", f"R{n}")]
    items += item(1, "SA-1", "R11")
    found = counts.matrix(figures(period(items=items)))
    assert found.reasons == [*(f"R{n}" for n in range(counts.REASONS_SHOWN)), "All others"]
    assert found.rows[0] == ("SA", "", 21, [20, 0, 0, 0, 0, 0, 0, 1])
    total = sum(sum(cells) for *_, cells in found.rows)
    assert total == len(items)


def test_weeks_end_with_the_last_day() -> None:
    days = period(FIRST, FIRST + timedelta(days=8)).days
    assert counts.weeks(days) == [
        (FIRST, FIRST + timedelta(days=1)),
        (FIRST + timedelta(days=2), FIRST + timedelta(days=8)),
    ]


def test_modes_are_counted_by_week() -> None:
    last = FIRST + timedelta(days=7)
    rows = [*counted("refund_mode", FIRST, UPI=3), *counted("refund_mode", last, UPI=1, Credits=1)]
    names, weeks = counts.modes(period(FIRST, last, modes=rows))
    assert names == ["UPI", "Credits"]
    assert [(total, cells) for _, _, total, cells in weeks] == [(3, [3, 0]), (2, [1, 1])]


def test_the_kept_share_is_that_of_the_modes_of_the_setting() -> None:
    rows = counted("refund_mode", FIRST, Credits=1, Exchange=1, UPI=6)
    assert counts.kept_share(period(modes=rows), OPTIONS) == 0.25
    assert counts.kept_share(period(), OPTIONS) is None


def late(hours: int, looked: int) -> dict[str, object]:
    picked_up = NOON + hours * H if hours else None
    return {"picked_up_at": picked_up, "last_polled_at": NOON + looked * H}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (late(71, 100), (0, 1)),
        (late(72, 100), (0, 1)),
        (late(73, 100), (1, 1)),
        ({**late(0, 100), "state": "on its way"}, (0, 0)),  # no look showed when
        (late(0, 71), (0, 0)),  # it may still be picked up in time
        (late(0, 73), (1, 1)),
        ({**late(0, 73), "state": "cancelled"}, (0, 0)),
        ({**late(5, 73), "state": "received"}, (0, 1)),
        ({**late(0, 73), "awb_at": None}, (0, 0)),
    ],
)
def test_a_pickup_is_late_once_a_look_shows_that(
    changes: dict[str, object], expected: tuple[int, int]
) -> None:
    row = {"cp_name": "A", "awb": "7", "awb_at": NOON, "state": "placed", **changes}
    (found,) = counts.couriers(period(returns=returned(**row)), OPTIONS.pickup)
    assert (found.late, found.due) == expected


def test_a_look_that_brought_nothing_counts_as_one() -> None:
    row = {"cp_name": "A", "awb": "7", "awb_at": NOON, "state": "placed", **late(0, 1)}
    returns = period(returns=returned(return_reference_number="R", **row))
    looks = opened({"return_reference_number": "R", "last_looked_at": NOON + 73 * H})
    for looked_at, late_ones in ((None, 0), (looks, 1)):
        (found,) = counts.couriers(returns, OPTIONS.pickup, looked_at)
        assert found.late == late_ones


def test_a_sku_without_the_style_is_a_style_of_its_own() -> None:
    items = [*item(1, "77", "Size"), *item(1, None, "Size"), *item(1, "AA-1", "Size")]  # type: ignore[arg-type]
    rows = counts.styled(period(items=items).items, OPTIONS)
    assert rows["style"].to_list() == ["77", "Not given", "AA"]


def test_kept_modes_are_found_however_they_are_spelled() -> None:
    rows = counted("refund_mode", FIRST, Credits=1, UPI=1)
    options = OPTIONS.__class__(28, None, ("credits", "Credits"), (48, 72, 168), OPTIONS.start)
    assert counts.kept_share(period(modes=rows), options) == 0.5


def test_couriers_have_their_waits() -> None:
    rows = []
    for minutes in (1, 2, 3, 30):
        awb = NOON + timedelta(minutes=minutes)
        rows += returned(
            cp_name="A", awb="7", awb_at=awb, state="received", picked_up_at=awb + minutes * H
        )
    rows += returned(cp_name="A", awb="8", awb_at=NOON - H)  # clocks that disagree
    rows += returned(9)
    found = counts.couriers(period(returns=rows), OPTIONS.pickup)
    assert found == [
        Courier("A", 5, 5, (120, 1800), (2 * 3600, 30 * 3600), 0, 4, 4),
        Courier("", 9, 0, (None, None), (None, None), 0, 0, 0),
    ]


def test_a_later_step_implies_the_earlier_ones() -> None:
    rows = [
        *returned(state="received", received_at=NOON + 90 * H),
        *returned(state="on its way"),
        *returned(state="courier assigned", awb_at=NOON + 2 * H),
        *returned(state="approved", approved_at=NOON + H),
        *returned(state=None),
    ]
    ((_, _, total, reached, halves),) = counts.funnel(period(returns=rows))
    assert total == 5
    assert reached == [4, 3, 2, 1]
    assert halves == [3600, 2 * 3600, None, 90 * 3600]


def test_open_returns_are_counted_by_state_and_age() -> None:
    rows = [{"age_h": hours} for hours in (0, 23, 24, 71, 72, 719, 720)]
    found = counts.open_by_age(opened(*rows, {"state": None}))
    assert found == [("placed", [2, 2, 1, 0, 1, 1]), ("Not given", [1, 0, 0, 0, 0, 0])]


def test_only_stuck_ones_are_listed() -> None:
    rows = opened({"stuck": "no pickup"}, {"stuck": None})
    assert counts.stuck(rows).height == 1


def test_hours_of_the_day_are_those_of_the_zone() -> None:
    grid = counts.by_weekday(period(returns=returned(3)), "Asia/Kolkata")
    assert grid[0][12] == 3  # NOON is a Monday
    assert sum(map(sum, grid)) == 3


def test_days_without_a_return_count_as_none() -> None:
    found = period(FIRST, FIRST + timedelta(days=2), returns=returned(2, day=date(2026, 11, 10)))
    assert counts.returns_by_day(found) == [0, 2, 0]
