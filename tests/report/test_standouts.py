"""What stands out is found where it was planted, and chance is not taken for it."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from report.conftest import (
    FIRST,
    NOON,
    Rows,
    counted,
    delivered,
    figures,
    hours,
    item,
    opened,
    period,
    returned,
)

from returns_orchestration.report import standouts

LAST = FIRST + timedelta(days=27)


def texts(*args: Any, **changes: Any) -> list[str]:
    return [one.text for one in standouts.find(figures(*args, **changes))]


def test_nothing_stands_out_of_nothing() -> None:
    assert texts() == []


def test_hours_that_are_not_complete_are_named_first() -> None:
    day = hours(lacking=((7, "missing"), (8, "damaged")), complete=22)
    (text,) = texts(hours=[day])
    assert text == (
        "2 hours are not complete, so 9 Nov shows too little: "
        "9 Nov 12:30 missing, 9 Nov 13:30 damaged."
    )


@pytest.mark.parametrize(("came", "lost", "found"), [(990, 10, 0), (989, 11, 1), (1, 9, 0)])
def test_lost_webhooks_stand_out_below_the_usual_rate(came: int, lost: int, found: int) -> None:
    said = texts(period(delivery=delivered(FIRST, came, lost)))
    assert len(said) == found
    assert all("11 webhooks of ClickPost did not arrive" in text for text in said)


def test_the_worst_day_of_webhooks_is_named() -> None:
    rows = [*delivered(FIRST, 100, 20), *delivered(LAST, 100, 30)]
    (text,) = texts(period(FIRST, LAST, delivery=rows), period(delivery=delivered(FIRST, 99, 1)))
    assert "80.0% were delivered, after 99.0% in the time before" in text
    assert "The worst day was 6 Dec, with 30." in text


def style(defective: int, sizes: int, sku: str = "AA-S") -> Rows:
    return [*item(defective, sku, "Defective"), *item(sizes, sku, "Size")]


def test_a_bad_batch_stands_out_against_the_time_before() -> None:
    now, before = period(items=style(40, 60)), period(items=style(5, 95))
    (one,) = standouts.find(figures(now, before))
    assert one.text == "AA came back 40 times for “Defective”; 5 times in the time before."
    assert one.subject == ("AA", "Defective")
    assert one.section == "styles"


def test_more_returns_of_a_style_for_the_same_reasons_do_not_stand_out() -> None:
    assert texts(period(items=style(50, 950)), period(items=style(5, 95))) == []


def test_small_numbers_do_not_stand_out() -> None:
    assert texts(period(items=style(9, 0)), period(items=style(0, 40))) == []


def test_a_new_style_is_compared_with_all_others() -> None:
    others = [row for n in range(40) for row in style(2, 38, f"S{n}-1")]
    now = period(items=[*others, *style(60, 5, "NEW-1")])
    (text,) = texts(now)
    assert text.startswith("NEW came back 60 times for “Defective”; about ")
    assert "usual for a style" in text


def test_a_mode_that_is_no_longer_chosen_stands_out() -> None:
    days = [FIRST + timedelta(days=n) for n in range(28)]
    rows = [row for day in days[:21] for row in counted("refund_mode", day, UPI=10, Credits=90)]
    rows += [row for day in days[21:] for row in counted("refund_mode", day, Credits=100)]
    (text,) = texts(period(FIRST, LAST, modes=rows))
    assert text == (
        "The refund mode “UPI” was no longer chosen in the last 7 days; about 70 returns would be "
        "usual."
    )


@pytest.mark.parametrize(("stuck", "opened_too", "found"), [(9, 0, 0), (10, 90, 1), (10, 91, 0)])
def test_many_stuck_returns_stand_out(stuck: int, opened_too: int, found: int) -> None:
    rows = [{"stuck": "no pickup"}] * stuck + [{}] * opened_too
    said = texts(open_returns=opened(*rows))
    assert said == ["10 of 100 open returns are stuck: 10 have no pickup."][:found]


def couriers(late: int, of: int, name: str) -> Rows:
    awb = {"cp_name": name, "awb": "7", "awb_at": NOON, "state": "picked up"}
    soon = returned(of - late, **awb, picked_up_at=NOON + timedelta(hours=20))
    return [*soon, *returned(late, **awb, picked_up_at=NOON + timedelta(hours=90))]


def test_a_slow_courier_stands_out_among_the_others() -> None:
    rows = [*couriers(2, 200, "A"), *couriers(60, 200, "B"), *couriers(1, 100, "C")]
    (one,) = standouts.find(figures(period(returns=rows)))
    assert one.subject == ("B",)
    assert "B picks up late: 30.0% of its returns waited for over 3.0 d" in one.text
    assert "1.0% of those of the other couriers" in one.text


def test_couriers_that_are_all_slow_do_not_stand_out() -> None:
    rows = [*couriers(60, 200, "A"), *couriers(65, 200, "B"), *couriers(30, 100, "C")]
    assert texts(period(returns=rows)) == []


@pytest.mark.parametrize("seed", range(20))
def test_chance_does_not_stand_out(seed: int) -> None:
    """200 styles, 8 reasons, 6 modes and 5 couriers, drawn in the same way now and before."""
    dice = random.Random(seed)

    def drawn() -> dict[str, Rows]:
        items, returns, modes = [], [], []
        for day in (FIRST + timedelta(days=n) for n in range(28)):
            for _ in range(100):
                kind = min(int(dice.expovariate(0.02)), 199)
                reason = f"R{min(dice.randrange(8), dice.randrange(8))}"
                items += item(1, f"{'ABCDEFGHIJ'[kind % 10] * (1 + kind // 10)}-1", reason, day=day)
                wait = timedelta(hours=dice.expovariate(1 / 24))
                name = f"C{dice.randrange(5)}"
                returns += returned(
                    day=day, cp_name=name, awb="7", awb_at=NOON, picked_up_at=NOON + wait
                )
            chosen = [f"M{min(dice.randrange(6), dice.randrange(6))}" for _ in range(100)]
            modes += counted(
                "refund_mode", day, **{m: chosen.count(m) for m in sorted(set(chosen))}
            )
        return {"items": items, "returns": returns, "modes": modes}

    before = period(FIRST - timedelta(days=28), FIRST - timedelta(days=1), **drawn())
    assert texts(period(FIRST, LAST, **drawn()), before) == []


def test_names_of_customers_and_merchants_are_redacted() -> None:
    odd = "call +91 98765 43210 <b>now</b>"
    rows = [*item(60, "AA-S", odd), *item(40, "AA-S", "Size")]
    (text,) = texts(period(items=rows), period(items=style(0, 100)))
    assert "98765" not in text
    assert "<b>" not in text
