"""The index of hours: the findings of a look and their times, small, unchanged by storage."""

from __future__ import annotations

import json
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.records import at

from returns_orchestration.state.hour_index import DONE, LOST, Cause, HourIndex, decode, encode
from returns_orchestration.state.hours import STATES, State
from returns_orchestration.state.memory import Memory
from returns_orchestration.state.spans import Spans
from returns_orchestration.window import Window, windows_between

HOURS = list(windows_between(at(0), at(10)))
NOW = at(12)
MINUTE = timedelta(minutes=1)


def noted(*states: State, index: HourIndex | None = None, minutes: float = 0) -> HourIndex:
    """An index after a look at one hour of each state."""
    index = HourIndex() if index is None else index
    index.note(dict(zip(HOURS, states, strict=False)), NOW + minutes * MINUTE)
    return index


def test_each_state_has_its_place() -> None:
    index = noted("complete", "empty", "waived", "outdated", "unfinished", "missing", "damaged")
    assert list(index.complete) == HOURS[:3]
    assert list(index.outdated) == HOURS[3:4]
    assert list(index.whole) == HOURS[:4]
    assert list(index.missing) == HOURS[5:6]
    assert index.damaged_hours == HOURS[6:7]
    assert index.damaged == {HOURS[6].key: NOW}


def test_an_unfinished_hour_is_missing_only_if_its_poll_failed() -> None:
    index = HourIndex(causes={HOURS[0].key: Cause(error="ServerFault", at=NOW)})
    noted("unfinished", "unfinished", index=index)
    assert list(index.missing) == HOURS[:1]
    noted("complete", index=index)
    assert (index.causes, list(index.missing)) == ({}, [])


def test_the_time_of_loss_or_damage_is_kept_until_the_hour_is_whole() -> None:
    index = noted("complete", "outdated", "missing")
    noted("damaged", "missing", "missing", index=index, minutes=1)
    noted("damaged", "missing", "missing", index=index, minutes=2)
    assert index.lost == {HOURS[0].key: NOW + MINUTE, HOURS[1].key: NOW + MINUTE}
    assert index.damaged == {HOURS[0].key: NOW + MINUTE}
    noted("complete", "empty", index=index, minutes=3)
    assert (index.lost, index.damaged) == ({}, {})


@given(st.lists(st.lists(st.sampled_from(STATES), max_size=10), max_size=6))
def test_the_last_look_counts_and_the_index_is_read_back(looks: list[list[State]]) -> None:
    index, last = HourIndex(), {}
    for number, states in enumerate(looks):
        noted(*states, index=index, minutes=number)
        last |= dict(zip(HOURS, states, strict=False))
        index = decode(encode(index), HourIndex)
    assert set(index.complete) == {w for w, state in last.items() if state in DONE}
    assert set(index.outdated) == {w for w, state in last.items() if state == "outdated"}
    assert set(index.missing) == {w for w, state in last.items() if state == "missing"}
    assert set(index.damaged_hours) == {w for w, state in last.items() if state == "damaged"}
    assert not {Window.from_key(key) for key in index.lost} & set(index.whole)


def test_the_index_is_bounded_and_drops_times_of_a_clock_that_was_ahead() -> None:
    index = HourIndex()
    hours = list(windows_between(at(0), at(0) + timedelta(hours=LOST + 100)))
    index.note(dict.fromkeys(hours, "complete"), NOW)
    index.note(dict.fromkeys(hours, "damaged"), NOW + timedelta(days=900))
    index.correct_clock(NOW)
    index.trim(hours[50])
    assert set(index.damaged) == {window.key for window in hours[50:]}
    assert len(index.lost) == LOST
    assert set(index.lost.values()) == {NOW}


@pytest.mark.parametrize("content", [b'{"complete":[["x","y"]]}', b'{"missing":3}', b"[]", b"{"])
def test_unreadable_content_raises_one_kind_of_error(content: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode(content, HourIndex)


def test_a_cursor_of_an_earlier_release_is_read() -> None:
    earlier = {
        "complete": [[HOURS[0].key, HOURS[4].key]],
        "outdated": [[HOURS[5].key, HOURS[6].key]],
        "damaged": {HOURS[7].key: NOW.isoformat()},
        "waiting": {},
        "polled": [[HOURS[0].key, [1_210_200]]],
        "handed_over": "x",
        "rules": "one",
        "made_by": "two",
    }
    memory = Memory.read(json.dumps(earlier))
    assert list(memory.hours.complete) == HOURS[:4]
    assert list(memory.hours.outdated) == HOURS[5:6]
    assert memory.hours.damaged == {HOURS[7].key: NOW}
    assert (memory.is_of("one"), memory.handed_over) == (True, "x")
    assert memory.polled == {}  # it is looked up again
    again = Memory.read(memory.write())
    assert again.write() == memory.write()


sets = st.sets(st.sampled_from(HOURS))


@given(sets, sets, st.sampled_from(HOURS), st.integers(0, 10))
def test_spans_are_sets_of_hours(hours: set[Window], other: set[Window], w: Window, n: int) -> None:
    spans = Spans()
    spans.add(hours)
    assert set(spans) == hours
    assert len(spans) == len(hours)
    assert (w in spans) == (w in hours)
    assert set(spans.before(w)) == {hour for hour in hours if hour < w}
    assert set(spans.since(w)) == {hour for hour in hours if hour >= w}
    assert set(spans.without(other)) == hours - other
    assert set(spans) == hours
    assert spans.newest(n, w) == sorted((h for h in hours if h <= w), reverse=True)[:n]
