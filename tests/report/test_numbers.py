from __future__ import annotations

from datetime import date

import pytest

from returns_orchestration.report import numbers


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"), (7, "7"), (999, "999"), (1_000, "1,000"), (99_999, "99,999"),
        (100_000, "1,00,000"), (1_234_567, "12,34,567"), (12_345_678_901, "12,34,56,78,901"),
        (-1_234_567, "-12,34,567"),
    ],
)  # fmt: skip
def test_numbers_are_grouped_as_in_india(number: int, text: str) -> None:
    assert numbers.grouped(number) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"), (0.123, "12.3%"), (1, "100%"), (0, "0%"), (-0.0, "0%"),
        (0.99999, "99.9%"), (0.00001, "under 0.1%"), (0.9994, "99.9%"),
    ],
)  # fmt: skip
def test_a_share_is_all_or_nothing_only_where_it_is(value: float | None, text: str) -> None:
    assert numbers.percent(value) == text


def test_a_share_of_nothing_is_a_dash() -> None:
    assert numbers.share(0, 0) == numbers.NONE
    assert numbers.share(1, 4) == "25.0%"


@pytest.mark.parametrize(
    ("now", "before", "text"),
    [
        (112, 100, "+12%"), (88, 100, "-12%"), (100, 100, "no change"), (999, 1_000, "no change"),
        (5, None, ""), (5, 0, ""), (0, 5, "-100%"), (1_000, 10, "100 times as many"),
    ],
)  # fmt: skip
def test_changes_are_beside_the_time_before(now: float, before: float | None, text: str) -> None:
    assert numbers.change(now, before) == text


def test_changes_of_shares_are_in_points() -> None:
    assert numbers.points(0.131, 0.119) == "+1.2 points"
    assert numbers.points(0.5, 0.50001) == "no change"
    assert numbers.points(None, 0.5) == numbers.points(0.5, None) == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"), (2, "2 s"), (119, "119 s"), (120, "2 min"), (840, "14 min"),
        (10_800, "3.0 h"), (172_799, "48.0 h"), (259_200, "3.0 d"),
    ],
)  # fmt: skip
def test_waits_have_the_unit_of_their_size(seconds: float | None, text: str) -> None:
    assert numbers.wait(seconds) == text


def test_spans_name_the_year_once() -> None:
    first, last = date(2026, 10, 28), date(2026, 11, 24)
    assert numbers.span_text(first, last) == "28 Oct to 24 Nov 2026"
    assert numbers.span_text(last, last) == "24 Nov 2026"
    assert numbers.span_text(date(2025, 12, 28), last) == "28 Dec 2025 to 24 Nov 2026"
