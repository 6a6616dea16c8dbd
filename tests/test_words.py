"""Counts, times, lists and names as shown to people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from returns_orchestration import words


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [
        (0, "hour", "0 hours"),
        (1, "hour", "1 hour"),
        (1_204, "hour", "1,204 hours"),
        (2, "day", "2 days"),
        (2, "retry", "2 retries"),
        (3, "new key", "3 new keys"),
    ],
)
def test_counts_have_the_right_plural(number: int, noun: str, text: str) -> None:
    assert words.count(number, noun) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1 second"),
        (89, "89 seconds"),
        (90, "2 minutes"),
        (60 * 119, "119 minutes"),
        (3_600 * 2, "2 hours"),
        (60 * 330, "5 hours 30 minutes"),
        (60 * 121, "2 hours 1 minute"),
        (3_600 * 72, "3 days"),
    ],
)
def test_durations_use_the_unit_that_fits(seconds: int, text: str) -> None:
    assert words.duration(timedelta(seconds=seconds)) == text


def test_lists_count_the_omitted_items() -> None:
    assert words.listed("abc", most=2) == "a, b and 1 more"
    assert words.listed("abc") == "a, b, c"
    assert words.newest(["1", "2", "3", "4", "5"], "spans") == "3, 4, 5 and 2 earlier spans"
    assert words.newest(["1", "2"]) == "1, 2"


def test_a_moment_is_written_in_utc() -> None:
    assert words.partition("2026-11-09-11:00") == "2026-11-09 11:00"
    assert words.partition("2026-11-09") == "2026-11-09"
    assert words.partition("") == "all time"
    assert words.utc(datetime(2026, 11, 9, 11, tzinfo=UTC)) == "2026-11-09 11:00"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (" Size \n Issue ", "Size Issue"),
        ("call me on +91 98765 43210", "call me on …"),
        ("asha@example.com wants it", "… wants it"),
        ("x" * 100, "x" * 39 + "…"),
        ("2 pieces", "2 pieces"),
        ("<!everyone> & co", "‹!everyone› + co"),
        ("@channel look", "… look"),
        ("<http://evil.example|Click>", "…"),
        ("see www.evil.example now", "see … now"),
        ("[Click](here) **now** `x` #all", "(Click)(here) ··now·· 'x' ·all"),
        ("\x1b[31mred\u202e\x07", "(31mred"),
        ("Too small. Wrong size", "Too small. Wrong size"),
    ],
)
def test_names_are_truncated_and_redacted(name: str, expected: str) -> None:
    assert words.redacted_name(name) == expected


def test_verbs_agree_with_their_count() -> None:
    assert words.be(1) == "is"
    assert words.be(2, "was", "were") == "were"
