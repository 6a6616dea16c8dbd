from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from support.records import at

from returns_orchestration.state.attempts import Attempt
from returns_orchestration.state.hour_index import HourIndex
from returns_orchestration.state.memory import FILES_EVERY, GROWTH, ROUND, Memory
from returns_orchestration.window import windows_between

HOURS = list(windows_between(at(0), at(10)))
NOW = at(12)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
FIRST, LAST = date(2026, 1, 1), date(2026, 1, 2)
LATER = NOW + timedelta(minutes=40)
WAITING = Attempt(4, NOW - timedelta(hours=1), LATER, has_failed=True)
STUBBORN = Attempt(
    9, NOW - timedelta(days=2), NOW + timedelta(hours=20), has_failed=True, was_woken=True
)


def test_a_cursor_holds_the_whole_memory() -> None:
    memory = Memory(HourIndex(), {HOURS[0]: WAITING, HOURS[1]: STUBBORN})
    memory.hours.complete.add(HOURS[2:5])
    memory.polled = {HOURS[4]: NOW, HOURS[6]: NOW, HOURS[7]: NOW + DAY}
    memory.ages = {1: None, 168: NOW}
    memory.wake_on_change("one", NOW)
    assert memory.patrol(FIRST, LAST, NOW) == FIRST
    assert memory.is_time_for_files(NOW)
    again = Memory.read(memory.write())
    assert again.write() == memory.write()
    assert (again.attempts, again.polled) == (memory.attempts, memory.polled)
    assert again.ages == memory.ages
    assert again.patrol(FIRST, LAST, NOW + MINUTE) is None
    assert again.patrol(FIRST, LAST, NOW + ROUND / 2) == LAST
    assert not again.is_time_for_files(NOW + MINUTE)
    nothing = Memory.read(None)
    assert (nothing.attempts, nothing.hours.complete.pairs()) == ({}, [])


def test_the_times_of_a_month_of_polls_fit_a_cursor() -> None:
    """A tick keeps its cursor: of these there are 288 a day. What counts is the hour."""
    memory = Memory(HourIndex(), {})
    month = list(windows_between(at(0), at(720)))
    ages = [max(age for age in (0, 1, 6, 24, 72, 168, 336) if age <= 720 - n) for n in range(720)]
    whole = {w: w.end + timedelta(hours=age) for w, age in zip(month, ages, strict=True)}
    memory.polled = {w: moment + n * SECOND for n, (w, moment) in enumerate(whole.items())}
    assert len(memory.write()) < 400
    assert Memory.read(memory.write()).polled == whole


def test_the_times_of_a_month_that_was_polled_at_once_fit_a_cursor() -> None:
    memory = Memory(HourIndex(), {})
    memory.polled = dict.fromkeys(windows_between(at(0), at(720)), at(720))
    assert len(memory.write()) < 8_000
    assert Memory.read(memory.write()).polled == memory.polled


def test_hours_polled_before_they_ended_keep_that_in_a_cursor() -> None:
    memory = Memory(HourIndex(), {})
    memory.polled = {HOURS[0]: HOURS[0].end - SECOND}
    [(window, polled)] = Memory.read(memory.write()).polled.items()
    assert (window, polled) == (HOURS[0], HOURS[0].start)


def test_under_other_ages_hours_that_may_reach_one_are_looked_at_again() -> None:
    memory = Memory(HourIndex(), {})
    memory.ages = {1: None}
    memory.hours.complete.add(HOURS)
    memory.look_again_since(HOURS[6])
    assert (list(memory.hours.complete), memory.ages) == (HOURS[:6], None)


def test_failing_hours_are_looked_at_and_stubborn_ones_only_when_due() -> None:
    memory = Memory(HourIndex(), {HOURS[0]: WAITING, HOURS[1]: STUBBORN})
    memory.hours.complete.add(HOURS[4:9])
    first, newest = HOURS[0], HOURS[9]
    assert memory.unknown(first, newest, NOW, 9) == [HOURS[0], HOURS[9], HOURS[3], HOURS[2]]
    assert memory.unknown(first, newest, NOW, 1) == [HOURS[0], HOURS[9]]
    assert memory.unknown(first, newest, STUBBORN.again_at, 0) == HOURS[:2]


def test_hours_seen_by_a_clock_that_was_ahead_are_not_polled_before_they_end() -> None:
    memory = Memory(HourIndex(), {HOURS[2]: WAITING, HOURS[8]: WAITING, HOURS[9]: STUBBORN})
    assert memory.unknown(HOURS[0], HOURS[3], STUBBORN.again_at, 1) == [HOURS[2], HOURS[3]]
    assert memory.attempts == {HOURS[2]: WAITING}


def test_a_requested_hour_is_looked_at_until_its_outcome_is_known() -> None:
    asked = replace(STUBBORN, has_failed=False)
    assert Memory(HourIndex(), {HOURS[1]: asked}).unknown(HOURS[0], HOURS[9], NOW, 0) == [HOURS[1]]


def test_every_hour_is_retried_once_after_a_change_of_settings_or_package() -> None:
    memory = Memory(HourIndex(), {HOURS[0]: WAITING, HOURS[1]: STUBBORN})
    memory.wake_on_change("one", NOW)
    awake = {HOURS[0]: replace(WAITING, again_at=NOW), HOURS[1]: replace(STUBBORN, again_at=NOW)}
    assert memory.attempts == awake
    memory.attempts[HOURS[0]] = WAITING
    again = Memory.read(memory.write())
    again.wake_on_change("one", NOW)
    assert again.attempts[HOURS[0]] == WAITING
    again.wake_on_change("two", NOW)
    assert again.attempts == awake


def test_hours_whose_first_attempt_was_lost_are_asked_for_at_once_and_only_once() -> None:
    first = Attempt.after(None, NOW)
    second = Attempt.after(first, NOW + MINUTE)
    memory = Memory(HourIndex(), {HOURS[0]: first, HOURS[1]: second, HOURS[2]: first})
    noticed = dict.fromkeys(HOURS[:2], NOW + MINUTE) | {HOURS[2]: NOW - MINUTE, HOURS[5]: NOW}
    memory.wake_lost(noticed, NOW + 2 * MINUTE)
    assert memory.attempts == {
        HOURS[0]: replace(first, again_at=NOW + 2 * MINUTE),
        HOURS[1]: second,
        HOURS[2]: first,
    }


def test_after_a_change_of_rules_every_hour_is_looked_at_again_newest_first() -> None:
    memory = Memory(HourIndex(), {HOURS[1]: WAITING}, made_by="one")
    memory.hours.complete.add(HOURS[2:9])
    again = Memory.read(memory.write())
    again.look_again_on_change("one")
    assert again.hours.complete.pairs() == memory.hours.complete.pairs()
    again.look_again_on_change("two")
    assert again.unknown(HOURS[0], HOURS[9], NOW, 3) == [HOURS[1], *HOURS[9:6:-1]]
    again.hours.complete.add(HOURS[9:])
    once_more = Memory.read(again.write())
    once_more.look_again_on_change("two")
    assert once_more.hours.complete.pairs() == [[HOURS[9].key, HOURS[9].next.key]]


def test_attempts_of_an_earlier_release_are_forgotten_and_complete_hours_are_not() -> None:
    spans = [[HOURS[2].key, HOURS[5].key]]
    earlier = {"complete": spans, "attempts": {HOURS[0].key: [3, NOW.isoformat()]}, "loaded": "x"}
    memory = Memory.read(json.dumps(earlier))
    assert (memory.attempts, memory.hours.complete.pairs()) == ({}, spans)


def patrolled(memory: Memory, dates: int, ticks: Iterable[datetime]) -> list[tuple[date, datetime]]:
    """Each date that had its turn, and when; the cursor is read again at each tick."""
    found = []
    for now in ticks:
        memory = Memory.read(memory.write())
        day = memory.patrol(FIRST, FIRST + (dates - 1) * DAY, now)
        if day is not None:
            found.append((day, now))
    return found


def gaps(found: list[tuple[date, datetime]], end: datetime) -> list[timedelta]:
    """The time from each turn of a date to its next; of the last ones, to ``end``."""
    turns: dict[date, list[datetime]] = {}
    for day, when in found:
        turns.setdefault(day, []).append(when)
    return [
        later - earlier
        for times in turns.values()
        for earlier, later in zip(times, [*times[1:], end], strict=True)
    ]


@pytest.mark.parametrize("seconds", [60, 67])
@pytest.mark.parametrize("dates", [1, 7, 365, 1_826, 4_400, 7_305])
def test_each_date_has_its_turn_within_a_week_and_not_too_early(dates: int, seconds: int) -> None:
    every = timedelta(seconds=seconds)
    ticks = [NOW + n * every for n in range(14 * DAY // every)]
    found = patrolled(Memory.read(None), dates, ticks)
    assert {day for day, _ in found} == {FIRST + n * DAY for n in range(dates)}
    assert max(gaps(found, ticks[-1])) <= 7 * DAY
    again = [gap for gap in gaps(found, NOW + 99 * DAY) if gap < 20 * DAY]
    assert len(again) >= dates
    assert min(again) >= ROUND * dates / (dates + GROWTH) - every


@pytest.mark.parametrize("dates", [1, 2, 4, 11, 20, 365])
def test_each_date_of_a_lake_that_grows_has_its_turn_within_a_week(dates: int) -> None:
    memory, begun = Memory.read(None), {FIRST + n * DAY: NOW for n in range(dates)}
    for minute in range(30 * DAY // MINUTE):
        now = NOW + minute * MINUTE
        last = FIRST + (dates - 1 + (now - NOW).days) * DAY
        begun.setdefault(last, now)  # until then each look includes it
        day = memory.patrol(FIRST, last, now)
        if day is not None:
            assert now - begun[day] <= 7 * DAY
            begun[day] = now
    assert max(now - at for at in begun.values()) <= 7 * DAY


@pytest.mark.parametrize("dates", [1, 365, 1_826])
def test_a_daemon_that_was_stopped_catches_up(dates: int) -> None:
    ticks = [NOW + n * MINUTE for n in range(14 * DAY // MINUTE)]
    still = NOW + 3 * DAY, NOW + 3 * DAY + timedelta(hours=20)
    ticks = [now for now in ticks if not still[0] < now < still[1]]
    found = patrolled(Memory.read(None), dates, ticks)
    assert {day for day, _ in found} == {FIRST + n * DAY for n in range(dates)}
    assert max(gaps(found, ticks[-1])) <= 7 * DAY


@pytest.mark.parametrize("jump", [timedelta(days=400), timedelta(days=-400)])
def test_a_clock_that_jumps_does_not_stop_the_patrol(jump: timedelta) -> None:
    """It is wrong for a tick, and for the rest of the time: the turns continue as before."""
    for wrong in (1, 5_000):
        ticks = [NOW + n * MINUTE for n in range(10_000)]
        ticks[100 : 100 + wrong] = [now + jump for now in ticks[100 : 100 + wrong]]
        found = [day for day, _ in patrolled(Memory.read(None), 100, ticks)]
        assert set(found) == {FIRST + n * DAY for n in range(100)}
        assert found[:100] == sorted(found[:100])
        # No more turns than fit into the time, and one for each jump.
        assert len(found) <= 10_000 * MINUTE / (ROUND / (100 + GROWTH)) + 3


def test_a_patrol_accepts_no_dates_and_changed_dates() -> None:
    memory = Memory.read(None)
    assert memory.patrol(LAST, FIRST, NOW) is None
    assert memory.patrol(FIRST, LAST, NOW) == FIRST
    assert memory.patrol(LAST, LAST + DAY, NOW + ROUND) == LAST  # RETURNS_START was set later
    assert memory.patrol(FIRST, FIRST, NOW + 2 * ROUND) == FIRST


def test_the_files_of_the_newest_days_are_looked_at_every_quarter_of_an_hour() -> None:
    memory = Memory.read(None)
    listed = [n for n in range(60) if memory.is_time_for_files(NOW + n * MINUTE)]
    assert listed == list(range(0, 60, FILES_EVERY // MINUTE))
    assert memory.is_time_for_files(NOW - DAY)  # the clock was ahead
    assert not memory.is_time_for_files(NOW - DAY + MINUTE)
