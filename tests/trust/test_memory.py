from __future__ import annotations

from datetime import timedelta

from records import at

from returns_orchestration.trust.due import PATIENCE, Attempt
from returns_orchestration.trust.memory import Memory
from returns_orchestration.trust.spans import Spans
from returns_orchestration.window import windows_between

HOURS = list(windows_between(at(0), at(10)))
NOW = at(12)
LATER = NOW + timedelta(minutes=40)
WAITING = Attempt(4, LATER)
STUBBORN = Attempt(PATIENCE, NOW + timedelta(hours=20))


def test_a_cursor_tells_all_that_is_remembered() -> None:
    memory = Memory(Spans(), {HOURS[0]: WAITING, HOURS[1]: STUBBORN})
    memory.complete.add(HOURS[2:5])
    memory.wake("one", NOW)
    assert memory.patrol(2) == HOURS[2:4]
    again = Memory.read(memory.write())
    assert again.write() == memory.write()
    assert again.patrol(2) == [HOURS[4], HOURS[2]]
    nothing = Memory.read(None)
    assert (nothing.attempts, nothing.complete.pairs(), nothing.patrol(5)) == ({}, [], [])


def test_hours_that_fail_are_looked_at_and_stubborn_ones_only_when_they_may_be_asked_for() -> None:
    memory = Memory(Spans(), {HOURS[0]: WAITING, HOURS[1]: STUBBORN})
    memory.complete.add(HOURS[4:9])
    first, newest = HOURS[0], HOURS[9]
    assert memory.unknown(first, newest, NOW, 9) == [HOURS[0], HOURS[9], HOURS[3], HOURS[2]]
    assert memory.unknown(first, newest, NOW, 1) == [HOURS[0], HOURS[9]]
    assert memory.unknown(first, newest, STUBBORN.again_at, 0) == HOURS[:2]


def test_hours_that_only_a_clock_ahead_saw_end_are_not_asked_for_before_they_end() -> None:
    memory = Memory(Spans(), {HOURS[2]: WAITING, HOURS[8]: WAITING, HOURS[9]: STUBBORN})
    assert memory.unknown(HOURS[0], HOURS[3], STUBBORN.again_at, 1) == [HOURS[2], HOURS[3]]
    assert memory.attempts == {HOURS[2]: WAITING}


def test_no_hour_waits_where_the_project_was_loaded_anew() -> None:
    memory = Memory(Spans(), {HOURS[0]: WAITING, HOURS[1]: STUBBORN})
    memory.wake("one", NOW)
    assert memory.attempts == {HOURS[0]: Attempt(4, NOW), HOURS[1]: STUBBORN}
    memory.attempts[HOURS[0]] = WAITING
    again = Memory.read(memory.write())
    again.wake("one", NOW)
    assert again.attempts[HOURS[0]] == WAITING
    again.wake("two", LATER + timedelta(hours=1))
    assert again.attempts[HOURS[0]] == WAITING
