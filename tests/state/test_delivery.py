from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from support.webhooks import receiver_note

from returns_orchestration.lake.webhooks import ABANDONED_AFTER, ReceiverNote
from returns_orchestration.state.delivery import (
    ENOUGH,
    SILENT_AFTER,
    Delivery,
    Hour,
    cannot_store,
    none_came,
    rate_is_too_low,
    refuses,
    silent_since,
    upper_bound,
)
from returns_orchestration.window import Window

NOW = datetime(2026, 11, 9, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def hours(*counts: tuple[int, int], listening: int = 3600) -> list[Hour]:
    first = Window(NOW - timedelta(days=2))
    return [
        Hour(Window.from_number(first.number + at), both, lost, listening)
        for at, (both, lost) in enumerate(counts)
    ]


@pytest.mark.parametrize(("lost", "of"), [(3, 100), (8, 384), (45, 3_288)])
def test_the_fewest_lost_webhooks_that_are_no_chance(lost: int, of: int) -> None:
    assert rate_is_too_low(of - lost, lost, 0.99)
    assert not rate_is_too_low(of - lost + 1, lost - 1, 0.99)


def test_the_upper_bound_is_that_of_wilson() -> None:
    """97 of 100: 0.9897 by the published formula."""
    assert upper_bound(97, 100) == pytest.approx(0.98973, abs=1e-4)
    assert upper_bound(0, 10) == pytest.approx(0.27753, abs=1e-4)


def test_no_loss_is_never_too_low() -> None:
    assert not rate_is_too_low(0, 0, 0.99)
    assert not rate_is_too_low(1, 0, 0.99)


def test_one_or_two_lost_of_a_few_are_no_outage() -> None:
    assert not rate_is_too_low(13, 2, 0.99)
    assert rate_is_too_low(13, 3, 0.99)


def test_a_quarter_of_good_traffic_raises_nothing_and_five_percent_lost_are_found() -> None:
    """400 returns a day, one webhook of a thousand lost; then five of a hundred."""
    dice = random.Random(5)

    def day(share: float) -> list[tuple[int, int]]:
        lost = [sum(dice.random() < share for _ in range(17)) for _ in range(24)]
        return [(17 - one, one) for one in lost]

    good = [hour for _ in range(90) for hour in day(0.001)]
    for end in range(24, len(good)):
        some = good[end - 24 : end]
        both, lost = (sum(hour[at] for hour in some) for at in (0, 1))
        assert not rate_is_too_low(both, lost, 0.99)
    for _ in range(20):
        # Within 24 hours of the first loss, 18 bad hours are decided, and 6 good ones beside them.
        some = [*day(0.001)[:6], *day(0.05)[:18]]
        both, lost = (sum(hour[at] for hour in some) for at in (0, 1))
        assert rate_is_too_low(both, lost, 0.99)


def test_only_hours_in_which_a_receiver_listened_are_judged() -> None:
    whole, part = hours((5, 1)), hours((0, 9), listening=1800)
    assert Delivery([*whole, *part], [receiver_note()]).judged == whole
    assert len(Delivery(hours(*[(1, 0)] * 40), [receiver_note()]).judged) == 24


def test_none_came_where_enough_were_lost_since_the_last_one() -> None:
    assert none_came(hours((5, 0), (0, ENOUGH - 1))) == []
    found = none_came(hours((5, 0), (0, ENOUGH - 1), (0, 1)))
    assert [hour.lost for hour in found] == [ENOUGH - 1, 1]
    assert none_came(hours((0, 90), (1, 5))) == []


@pytest.mark.parametrize(
    ("notes", "since"),
    [
        ([], None),
        ([receiver_note()], None),
        ([receiver_note(at=NOW - SILENT_AFTER)], None),
        ([receiver_note(at=NOW - SILENT_AFTER - SECOND)], NOW - SILENT_AFTER - SECOND),
        ([receiver_note(at=NOW - SILENT_AFTER - SECOND, ended=True)], NOW - SILENT_AFTER - SECOND),
        ([receiver_note(ended=True)], None),
        ([receiver_note(at=NOW - timedelta(days=1)), receiver_note()], None),
        ([receiver_note(at=NOW - ABANDONED_AFTER - SECOND)], None),
    ],
)
def test_a_receiver_is_silent_once_none_has_given_a_sign(
    notes: list[ReceiverNote], since: datetime | None
) -> None:
    assert silent_since(notes, NOW) == since


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, False),
        ({"problem": "disk full"}, True),
        ({"problem": "disk full", "ended": True}, False),
        ({"problem": "disk full", "at": NOW - timedelta(hours=1)}, False),
        ({"last_not_stored": NOW - timedelta(minutes=2)}, True),
        ({"last_not_stored": NOW - timedelta(minutes=7)}, False),
    ],
)
def test_a_receiver_that_answers_503_is_found(changes: dict[str, object], expected: bool) -> None:
    assert (cannot_store([receiver_note(**changes)], NOW) is not None) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, False),
        ({"refused": 10, "last_refused": NOW}, False),
        ({"refused": 10, "last_refused": NOW, "last_stored": None}, True),
        ({"refused": 10, "last_refused": NOW, "last_stored": NOW - timedelta(hours=2)}, True),
        ({"refused": 99, "last_refused": NOW, "last_stored": None, "ended": True}, False),
        ({"refused": 9, "last_refused": NOW, "last_stored": None}, False),
        ({"refused": 99, "last_refused": NOW - timedelta(hours=2), "last_stored": None}, False),
    ],
)
def test_wrong_keys_without_a_right_one_are_found(
    changes: dict[str, object],
    expected: bool,
) -> None:
    assert (refuses([receiver_note(**changes)], NOW) is not None) == expected
