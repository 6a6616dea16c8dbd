"""When a failed request is repeated, and how long it waits."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from returns_orchestration.clickpost.retry import RetryPolicy, read_retry_after

NOW = datetime(2026, 11, 9, 12, 0, tzinfo=UTC)


def longest(_low: float, high: float) -> float:
    return high


def shortest(low: float, _high: float) -> float:
    return low


def test_waits_double_up_to_the_cap_and_end_with_the_attempts() -> None:
    policy = RetryPolicy(attempts=9, total_seconds=1_000)
    waits = [
        policy.wait(attempt, elapsed=0, retry_after=None, uniform=longest)
        for attempt in range(1, 10)
    ]
    assert waits == [0.5, 1, 2, 4, 8, 16, 20, 20, None]


def test_full_jitter_begins_at_zero() -> None:
    assert RetryPolicy().wait(3, elapsed=0, retry_after=None, uniform=shortest) == 0


def test_a_thousand_attempts_do_not_overflow() -> None:
    policy = RetryPolicy(attempts=10_000)
    assert policy.wait(9_000, elapsed=0, retry_after=None, uniform=longest) == 20


@pytest.mark.parametrize(("asked", "waited"), [(7.5, 7.5), (0, 0.5), (60, 60), (60.1, None)])
def test_a_run_waits_as_long_as_the_api_asks_or_gives_up(
    asked: float, waited: float | None
) -> None:
    wait = RetryPolicy().wait(1, elapsed=0, retry_after=asked, uniform=longest)
    assert wait == waited


@pytest.mark.parametrize(("elapsed", "wait"), [(119.5, 0.5), (119.6, None)])
def test_a_wait_that_would_overrun_the_total_gives_up(elapsed: float, wait: float | None) -> None:
    assert RetryPolicy().wait(1, elapsed=elapsed, retry_after=None, uniform=longest) == wait


@pytest.mark.parametrize(
    "wrong",
    [{"attempts": 0}, {"total_seconds": -1}, {"cap_seconds": float("nan")}, {"base_seconds": -0.1}],
)
def test_an_invalid_policy_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"attempt|finite"):
        RetryPolicy(**wrong)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 30),
        (" 0 ", 0),
        ("2.5", 2.5),
        ("Mon, 09 Nov 2026 12:00:45 GMT", 45),
        ("Mon, 09 Nov 2026 12:00:45 -0000", 45),
        ("Mon, 09 Nov 2026 17:31:00 +0530", None),
        ("Mon, 09 Nov 2026 11:59:59 GMT", None),
        ("-5", None),
        ("inf", None),
        ("nan", None),
        ("1e9", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("٣", None),
        ("9" * 400, 1e9),
        ("9999999999", 1e9),
        ("60, 3600", 3600),
        ("60, soon", None),
        ('"3600"', 3600),
        ("+3600", 3600),
        ("Mon, 99 Nov 2026 12:00:45 GMT", None),
    ],
)
def test_every_form_of_retry_after_is_read(text: str | None, seconds: float | None) -> None:
    assert read_retry_after(text, NOW) == seconds
