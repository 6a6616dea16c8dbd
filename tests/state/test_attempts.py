from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from support.records import at

from returns_orchestration.state.attempts import Attempt, learn
from returns_orchestration.window import Window

NOW = at(12)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ONE, TWO, THREE = (Window(at(hour)) for hour in range(3))
FAILED = Attempt(4, NOW - HOUR, NOW + 40 * MINUTE, has_failed=True)
ASKED = Attempt(4, NOW - HOUR, NOW + 40 * MINUTE)
FIRST = Attempt(1, NOW - MINUTE, NOW + 4 * MINUTE)


def test_pauses_double_from_five_minutes_to_an_hour_and_stay_there() -> None:
    pauses, found = [], None
    for _ in range(8):
        found = Attempt.after(found, NOW)
        pauses.append((found.again_at - NOW) / MINUTE)
    assert pauses == [5, 10, 20, 40, 60, 60, 60, 60]
    assert found is not None
    assert (found.tries, found.since) == (8, NOW)


def test_a_pause_begins_now_and_not_when_the_last_one_ended() -> None:
    late = Attempt(1, NOW - HOUR, NOW - 10 * MINUTE)
    assert Attempt.after(late, NOW).again_at == NOW + 10 * MINUTE


@pytest.mark.parametrize("tries", [1, 24, 100_000])
def test_an_hour_that_failed_for_a_day_is_polled_once_a_day(
    tries: int,
) -> None:
    since = NOW - DAY + MINUTE
    before = Attempt.after(Attempt(tries, since, NOW), NOW)
    assert not before.is_stubborn(NOW)
    assert before.again_at <= NOW + HOUR
    after = Attempt.after(before, NOW + MINUTE)
    assert after.is_stubborn(NOW + MINUTE)
    assert after.again_at == NOW + MINUTE + DAY


def test_a_pause_set_by_a_clock_that_was_ahead_is_ignored() -> None:
    for since, longest in ((NOW - HOUR, HOUR), (NOW - DAY, DAY)):
        assert not Attempt(5, since, NOW + longest).may_be_made(NOW)
        assert Attempt(5, since, NOW + longest + MINUTE).may_be_made(NOW)
        assert Attempt(5, since, NOW).may_be_made(NOW)


def test_a_clock_that_steps_back_for_a_while_makes_no_hour_stubborn() -> None:
    failed = Attempt(2, NOW, NOW + 5 * MINUTE)
    meanwhile = Attempt.after(failed, NOW - 2 * DAY)
    assert not meanwhile.is_stubborn(NOW - 2 * DAY)
    after = Attempt.after(meanwhile, NOW + 30 * MINUTE)
    assert not after.is_stubborn(NOW + 30 * MINUTE)
    assert after.again_at <= NOW + 90 * MINUTE


def test_an_hour_has_failed_once_it_is_due_and_not_under_way() -> None:
    asked = {ONE: ASKED, TWO: ASKED, THREE: ASKED}
    found = learn(asked, {ONE, TWO}, {TWO}, NOW, succeeded=False)
    assert found == {ONE: FAILED, TWO: ASKED, THREE: ASKED}


def test_a_success_ends_the_pause_of_each_hour_once() -> None:
    found = learn({ONE: FAILED}, {ONE}, (), NOW, succeeded=True)
    assert found == {ONE: replace(FAILED, again_at=NOW, was_woken=True)}
    again = Attempt.after(found[ONE], NOW)
    assert (again.tries, again.again_at) == (5, NOW + HOUR)  # its pauses continue
    later = NOW + 5 * MINUTE
    failed = learn({ONE: again}, {ONE}, (), later, succeeded=False)
    assert learn(failed, {ONE}, (), later, succeeded=True) == failed


def test_a_success_also_ends_the_pauses_of_stubborn_hours() -> None:
    stubborn = replace(FAILED, since=NOW - 3 * DAY, again_at=NOW + 20 * HOUR)
    found = learn({ONE: stubborn}, (), (), NOW, succeeded=True)  # it need not be looked at
    assert found[ONE].again_at == NOW


def test_a_success_ends_no_pause_of_hours_that_failed_in_the_same_run_or_are_under_way() -> None:
    found = learn({ONE: ASKED, TWO: ASKED}, {ONE, TWO}, {TWO}, NOW, succeeded=True)
    assert found == {ONE: FAILED, TWO: ASKED}


def test_a_second_hour_that_begins_to_fail_lets_the_next_success_wake_all() -> None:
    own_fault = replace(FAILED, was_woken=True)
    waiting = learn({ONE: own_fault, TWO: FIRST}, {ONE, TWO}, (), NOW, succeeded=False)
    assert waiting == {ONE: FAILED, TWO: replace(FIRST, has_failed=True)}
    found = learn(waiting, {ONE, TWO}, (), NOW, succeeded=True)
    assert [found[window].again_at for window in (ONE, TWO)] == [NOW, NOW]


def test_hours_that_were_woken_and_fail_again_do_not_wake_one_another() -> None:
    own_faults = {ONE: replace(ASKED, was_woken=True), TWO: replace(ASKED, was_woken=True)}
    failed = learn(own_faults, {ONE, TWO}, (), NOW, succeeded=False)
    assert learn(failed, {ONE, TWO}, (), NOW, succeeded=True) == failed
