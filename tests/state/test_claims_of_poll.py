"""Claims about one poll: each fails by a different fact."""

from __future__ import annotations

from datetime import timedelta

import pytest

from returns_orchestration.state.claims import of_poll

OF_POLL = {
    "far": ("every_record_is_requested_in_its_window_or_next_to_it", "error", 2),
    "vanished": ("no_return_vanished", "warning", 1),
    "damaged_text": ("the_text_is_utf_8", "warning", 3),
    "clock_ahead": ("the_clock_is_right", "warning", timedelta(minutes=-330)),
}
SOUND = {
    "damaged_text": 0,
    "vanished": 0,
    "far": 0,
    "clock_ahead": timedelta(0),
}


@pytest.mark.parametrize("fact", OF_POLL)
def test_each_claim_about_a_poll_passes_and_fails_by_its_own_fact(fact: str) -> None:
    name, weight, defect = OF_POLL[fact]
    sound = {one.name: one for one in of_poll(**SOUND)}  # type: ignore[arg-type]
    broken = {one.name: one for one in of_poll(**{**SOUND, fact: defect})}  # type: ignore[arg-type]
    assert sound.keys() == {name for name, _, _ in OF_POLL.values()}
    assert all(one.holds for one in sound.values())
    assert {one.name for one in broken.values() if not one.holds} == {name}
    assert (broken[name].verdict, broken[name].weight) == ("fails", weight)


@pytest.mark.parametrize(
    ("minutes", "side"), [(330, "5 hours 30 minutes ahead of"), (-6, "6 minutes behind")]
)
def test_a_wrong_clock_is_reported_in_words(minutes: int, side: str) -> None:
    found = of_poll(**{**SOUND, "clock_ahead": timedelta(minutes=minutes)})  # type: ignore[arg-type]
    (figures,) = [one.figures for one in found if not one.holds]
    assert figures == f"this machine's clock is {side} ClickPost's; set it right"
