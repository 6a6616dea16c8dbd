from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

from records import at

from returns_orchestration.state.attempts import Attempt
from returns_orchestration.state.memory import Memory
from returns_orchestration.state.spans import Spans
from returns_orchestration.window import windows_between

HOURS = list(windows_between(at(0), at(10)))
NOW = at(12)
LATER = NOW + timedelta(minutes=40)
WAITING = Attempt(4, NOW - timedelta(hours=1), LATER, has_failed=True)
STUBBORN = Attempt(
    9, NOW - timedelta(days=2), NOW + timedelta(hours=20), has_failed=True, was_woken=True
)


def test_a_cursor_tells_all_that_is_remembered() -> None:
    memory = Memory(Spans(), {HOURS[0]: WAITING, HOURS[1]: STUBBORN})
    memory.complete.add(HOURS[2:5])
    memory.polled = {HOURS[6]: NOW, HOURS[7]: LATER}
    memory.wake_on_change("one", NOW)
    assert memory.patrol(2) == HOURS[2:4]
    again = Memory.read(memory.write())
    assert again.write() == memory.write()
    assert (again.attempts, again.polled) == (memory.attempts, memory.polled)
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


def test_an_hour_that_was_asked_for_is_looked_at_until_its_outcome_is_known() -> None:
    asked = replace(STUBBORN, has_failed=False)
    assert Memory(Spans(), {HOURS[1]: asked}).unknown(HOURS[0], HOURS[9], NOW, 0) == [HOURS[1]]


def test_every_hour_wakes_once_where_the_settings_or_the_package_changed() -> None:
    memory = Memory(Spans(), {HOURS[0]: WAITING, HOURS[1]: STUBBORN})
    memory.wake_on_change("one", NOW)
    awake = {HOURS[0]: replace(WAITING, again_at=NOW), HOURS[1]: replace(STUBBORN, again_at=NOW)}
    assert memory.attempts == awake
    memory.attempts[HOURS[0]] = WAITING
    again = Memory.read(memory.write())
    again.wake_on_change("one", NOW)
    assert again.attempts[HOURS[0]] == WAITING
    again.wake_on_change("two", NOW)
    assert again.attempts == awake


def test_attempts_of_an_earlier_release_are_forgotten_and_complete_hours_are_not() -> None:
    spans = [[HOURS[2].key, HOURS[5].key]]
    earlier = {"complete": spans, "attempts": {HOURS[0].key: [3, NOW.isoformat()]}, "loaded": "x"}
    memory = Memory.read(json.dumps(earlier))
    assert (memory.attempts, memory.complete.pairs()) == ({}, spans)
