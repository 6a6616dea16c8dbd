from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

from support.records import at

from returns_orchestration.lake import Lake
from returns_orchestration.lake.repolls import REPOLLS
from returns_orchestration.state.verify import Verifier

NOW = at(12)
LATER = NOW + timedelta(days=1)


def test_ages_of_the_releases_before_were_always_in_force(lake: Lake) -> None:
    assert lake.repolls.since((1, 72, 168), NOW) == {1: None, 72: None, 168: NOW}
    assert lake.repolls.since((1, 72, 168), LATER) == {1: None, 72: None, 168: NOW}


def test_an_age_that_is_new_or_comes_back_is_in_force_from_then_on(lake: Lake) -> None:
    lake.repolls.since((1, 72), NOW)
    assert lake.repolls.since((1, 24), LATER) == {1: None, 24: LATER}
    assert lake.repolls.since((1, 72), LATER) == {1: None, 72: LATER}


def test_a_clock_that_was_ahead_does_not_delay_an_age(lake: Lake) -> None:
    lake.repolls.since((168,), LATER)
    assert lake.repolls.since((168,), NOW) == {168: NOW}
    assert lake.repolls.since((168,), LATER) == {168: NOW}


def test_a_note_that_cannot_be_read_is_written_anew(lake: Lake) -> None:
    lake.repolls.since((1,), NOW)
    (path,) = lake.store.list(REPOLLS)
    lake.store.put(path, b"{")
    assert lake.repolls.since((1, 168), NOW) == {1: None, 168: NOW}
    assert lake.repolls.since((1, 168), LATER) == {1: None, 168: NOW}


def test_the_note_is_no_foreign_file(lake: Lake) -> None:
    lake.repolls.since((1, 168), NOW)
    assert list(Verifier(lake, ZoneInfo("UTC")).everything()) == []
