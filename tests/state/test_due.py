from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.records import at

from returns_orchestration.state.attempts import Attempt
from returns_orchestration.state.due import Choice, choose, is_done, is_due_again
from returns_orchestration.window import Window, windows_between

HOURS = list(windows_between(at(0), at(10)))
NOW = at(12)
SINCE = at(11)
A_DAY_AGO = NOW - timedelta(days=1)
AGES = dict.fromkeys((1, 6, 24, 72))
ELEVEN = Window(at(11))
"""Ends at 12:00: its ages are 13:00, 18:00, 12:00 tomorrow and 12:00 in three days."""


def attempt(minutes: float, tries: int = 1, **changes: Any) -> Attempt:
    """An hour that has failed and may be repeated that many minutes from now."""
    again_at = NOW + timedelta(minutes=minutes)
    return Attempt(
        **{"tries": tries, "since": SINCE, "again_at": again_at, "has_failed": True} | changes
    )


def choice(due: Any = (), attempts: Any = None, busy: Any = (), limit: int = 100) -> Choice:
    """The choice among hours that were all looked at."""
    return choose(HOURS, due, attempts or {}, busy, NOW, limit)


def test_stubborn_hours_do_not_delay_others() -> None:
    stubborn = dict.fromkeys(HOURS[-3:], attempt(20 * 60, since=A_DAY_AGO))
    found = choice(HOURS, stubborn, limit=3)
    assert found.hours == HOURS[-6:-3]


def test_the_newest_hours_do_not_wait_for_older_ones_that_fail() -> None:
    tried = dict.fromkeys(HOURS[2:5], attempt(5))
    found = choice([*HOURS[:5], *HOURS[-2:]], tried, limit=3)
    assert found.hours == HOURS[-2:]


def test_the_newest_hours_come_first_and_are_given_oldest_first() -> None:
    assert choice(HOURS, limit=3).hours == HOURS[-3:]
    assert choice(reversed(HOURS), limit=3).hours == HOURS[-3:]
    assert choice(HOURS, limit=len(HOURS)).hours == HOURS
    assert choice(HOURS * 2).hours == HOURS
    assert choice(HOURS, limit=0) == Choice([], {})


def test_hours_being_polled_are_not_chosen_and_take_no_place() -> None:
    found = choice(HOURS, busy=HOURS[-2:], limit=3)
    assert found.hours == HOURS[-5:-2]
    assert found.attempts.keys() == set(HOURS[-5:-2])


def test_a_busy_hour_keeps_its_attempt() -> None:
    tried = {HOURS[0]: attempt(-1, 3)}
    assert choice(HOURS[:1], tried, busy=HOURS[:1]) == Choice([], tried)


def test_an_hour_waits_for_the_end_of_its_pause() -> None:
    tried = {HOURS[0]: attempt(0), HOURS[1]: attempt(1 / 60), HOURS[2]: attempt(-1, 4)}
    found = choice(HOURS[:3], tried)
    assert found.hours == [HOURS[0], HOURS[2]]
    assert found.attempts == {
        HOURS[0]: attempt(10, 2, has_failed=False),
        HOURS[1]: tried[HOURS[1]],
        HOURS[2]: attempt(60, 5, has_failed=False),
    }


def test_a_pausing_hour_leaves_the_other_places_to_new_ones() -> None:
    tried = dict.fromkeys(HOURS[-3:], attempt(5))
    assert choice(HOURS, tried, limit=5).hours == HOURS[-5:-3]
    assert choice(HOURS, tried, limit=3).hours == []


def test_the_attempts_of_a_repaired_hour_are_forgotten() -> None:
    tried = {HOURS[0]: attempt(5, 7, was_woken=True), HOURS[1]: attempt(5, 7, was_woken=True)}
    assert choice(HOURS[1:2], tried).attempts == {HOURS[1]: tried[HOURS[1]]}
    found = choice(HOURS[:1], choice(HOURS[1:2], tried).attempts).attempts
    assert found == {HOURS[0]: Attempt(1, NOW, NOW + timedelta(minutes=5))}


def test_a_repaired_hour_is_a_success_for_hours_that_failed_before() -> None:
    tried = {HOURS[0]: attempt(5, 7), HOURS[1]: attempt(50, 7)}
    found = choice(HOURS[1:2], tried)
    assert found.hours == HOURS[1:2]
    assert found.attempts[HOURS[1]].was_woken


def test_arguments_are_not_changed() -> None:
    tried = {HOURS[0]: attempt(-1), HOURS[1]: attempt(5)}
    before = dict(tried)
    choice(HOURS[:1], tried)
    assert tried == before


POLLED = at(12, 10)


@pytest.mark.parametrize(
    ("last_polled_at", "now", "due"),
    [
        (POLLED, at(12, 59, 59.9), False),
        (POLLED, at(13), True),
        (at(13), at(17, 59), False),
        (at(13), at(18), True),
        (at(12, 59, 59.9), at(13), True),
        (at(13, 0, 1), at(18), True),
        (at(18), at(35, 59), False),
        (at(18), at(36), True),
        (at(36), at(83, 59), False),
        (at(36), at(84), True),
        (at(84), at(10_000), False),
        (POLLED, at(10_000), True),
    ],
)
def test_an_hour_is_due_again_at_each_of_its_ages(
    last_polled_at: datetime, now: datetime, due: bool
) -> None:
    assert is_due_again(ELEVEN, last_polled_at, AGES, now) is due


def test_one_poll_serves_all_ages_that_an_outage_let_pass() -> None:
    after = at(50)
    assert is_due_again(ELEVEN, POLLED, AGES, after)
    assert not is_due_again(ELEVEN, after, AGES, after)
    assert not is_due_again(ELEVEN, after, AGES, at(83, 59))
    assert is_due_again(ELEVEN, after, AGES, at(84))


@pytest.mark.parametrize(
    ("last_polled_at", "done"),
    [(POLLED, False), (at(83, 59, 59.9), False), (at(84), True), (at(100), True)],
)
def test_an_hour_is_done_when_it_was_polled_at_its_last_age(
    last_polled_at: datetime, done: bool
) -> None:
    assert is_done(ELEVEN, last_polled_at, AGES) is done


def test_without_ages_an_hour_is_done_once_polled() -> None:
    assert is_done(ELEVEN, POLLED, {})
    assert not is_due_again(ELEVEN, POLLED, {}, at(10_000))


@pytest.mark.parametrize(("hours", "due"), [(168, True), (167, False)])
def test_a_new_age_counts_for_hours_that_reach_it_from_then_on(hours: int, due: bool) -> None:
    """After an upgrade a lake of years is not asked for once more."""
    since = ELEVEN.end + timedelta(hours=168)
    ages = dict.fromkeys((1, 72)) | {hours: since}
    assert is_due_again(ELEVEN, at(84), ages, at(10_000)) is due
    assert is_done(ELEVEN, at(84), ages) is not due
    assert not is_due_again(ELEVEN, since, ages, at(10_000))


polls = st.integers(0, 100 * 60).map(lambda minutes: at(12) + timedelta(minutes=minutes))


@given(polls, st.dictionaries(st.integers(1, 80), st.none() | polls, max_size=4))
def test_an_hour_is_done_exactly_when_it_is_never_due_again(
    last_polled_at: datetime, ages: dict[int, datetime | None]
) -> None:
    assert is_done(ELEVEN, last_polled_at, ages) is not is_due_again(
        ELEVEN, last_polled_at, ages, at(10_000)
    )


def test_without_a_success_no_further_hours_are_chosen() -> None:
    windows = list(windows_between(at(0), at(100)))
    first = choose(windows, windows, {}, (), at(100), 10)
    assert first.hours == windows[-10:]
    second = choose(windows, windows, first.attempts, (), at(101), 10)
    assert second.hours == windows[-10:]
    mended = choose(windows, windows[:-10], second.attempts, (), at(101), 10)
    assert mended.hours == windows[-20:-10]
