"""Outcomes one ahead: the next is made meanwhile; nothing is left out, repeated or cut off."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from returns_orchestration.flow.ahead import one_ahead

SECONDS = 20


def nothing() -> None:
    pass


def test_the_items_come_in_order() -> None:
    assert list(one_ahead(iter(range(100)), nothing)) == list(range(100))
    assert list(one_ahead(iter(()), nothing)) == []


def test_the_next_one_is_made_while_the_one_before_it_is_used() -> None:
    begun = [threading.Event() for _ in range(4)]

    def made() -> Iterator[int]:
        for number, event in enumerate(begun):
            event.set()
            yield number

    for number in one_ahead(made(), nothing):
        assert all(event.wait(SECONDS) for event in begun[: number + 2])
        assert not any(event.is_set() for event in begun[number + 2 :])


def test_an_error_comes_after_the_items_before_it() -> None:
    def made() -> Iterator[int]:
        yield 1
        message = "the second"
        raise ValueError(message)

    items = one_ahead(made(), nothing)
    assert next(items) == 1
    with pytest.raises(ValueError, match="the second"):
        next(items)


def test_a_caller_that_ends_stops_the_next_one_and_waits_for_it() -> None:
    stop, ended = threading.Event(), []

    def made() -> Iterator[int]:
        yield 1
        assert stop.wait(SECONDS)
        ended.append(2)
        yield 2
        ended.append(3)

    def use() -> None:
        for item in one_ahead(made(), stop.set):
            raise ValueError(item)

    with pytest.raises(ValueError, match="1"):
        use()
    assert ended == [2]
