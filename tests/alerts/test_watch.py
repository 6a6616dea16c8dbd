"""A look at the lake is bounded, whatever the lake's age, and still forgets nothing."""

from __future__ import annotations

from datetime import timedelta

from alerts.conftest import START, Desk, evaluated, hour, unread

from returns_orchestration.alerts.tick import Alerts
from returns_orchestration.alerts.watch import AT_ONCE
from returns_orchestration.state.failing_claims import Evaluation
from returns_orchestration.state.hour_index import MISSING_AGAIN, NEW_HOURS, RECENT
from returns_orchestration.state.mix import REMEMBERED
from returns_orchestration.state.spans import Spans
from returns_orchestration.window import windows_between

FIVE_YEARS = timedelta(hours=43_800)
DATES = (NEW_HOURS + MISSING_AGAIN + RECENT) // 24 * 2
"""Dates that a look lists at most: those of its hours, and adjacent ones for their days."""


def test_looks_at_five_years_are_bounded_and_finish(desk: Desk) -> None:
    desk.now = START + FIVE_YEARS
    for _ in range(43_800 // NEW_HOURS + 1):
        desk.now += timedelta(seconds=30)
        desk.tick()
        assert desk.store.dates <= DATES
    desk.now += timedelta(seconds=30)
    desk.tick()
    assert desk.store.dates <= RECENT // 24 + 3 + REMEMBERED.days  # no day is known yet
    content = desk.lake.store.get("_alerts/seen.json")
    assert content is not None
    assert len(content) < 100_000


def test_a_look_at_five_missing_years_is_bounded(desk: Desk) -> None:
    desk.gone = set(windows_between(START, START + FIVE_YEARS))
    desk.now = START + FIVE_YEARS
    for _ in range(3):
        desk.now += timedelta(seconds=30)
        desk.tick()
        assert desk.store.dates <= DATES
    assert desk.sent == []


def test_a_clock_that_was_ahead_for_a_tick_delays_no_later_message(desk: Desk) -> None:
    plain = desk.now
    desk.gone = set(windows_between(START, START + timedelta(days=400)))
    desk.now = plain + timedelta(days=365)
    desk.tick()
    desk.now = plain
    desk.live(6)
    assert [m.tone for _, m in desk.sent] == ["urgent"]


def test_hours_that_a_look_did_not_reach_are_not_missing(desk: Desk) -> None:
    desk.gone = {hour(n) for n in range(AT_ONCE + 10)}
    desk.now = START + timedelta(hours=AT_ONCE + 10)
    seconds = iter(range(100_000))
    slow = Alerts(
        settings=desk.settings,
        lake=desk.lake,
        channels=[],
        post=desk.post,
        monotonic=lambda: float(next(seconds)),
    )
    desk.store.gone = desk.gone
    slow.tick((), desk.now)
    newest = hour(AT_ONCE + 9)  # it is not due yet
    assert desk.watch.missing.pairs() == [[hour(9).key, newest.key]]
    desk.tick()
    assert desk.watch.missing.pairs() == [[hour(0).key, newest.key]]


def asked(desk: Desk) -> list[Evaluation]:
    """Let the pipeline be at work."""
    return [evaluated(hour(0), desk.now, asset="raw_returns")]


def test_an_hour_no_longer_complete_is_found_by_the_next_look_and_notified_after_a_grace(
    desk: Desk,
) -> None:
    desk.live(40, lambda: asked(desk))
    desk.gone = {hour(3)}
    while not desk.state.incidents and desk.now < START + timedelta(hours=60):
        desk.live(1 / 6, lambda: asked(desk))
    assert desk.titles == ["[problem] 1 hour of returns is missing: no request for them is known"]
    assert desk.now >= START + timedelta(hours=42)


def test_a_lost_older_hour_is_found_by_the_run_that_polls_it(desk: Desk) -> None:
    """The sensor `missing_hours` looks at it once a week, and its run gives a verdict."""
    desk.now = hour(RECENT + 20).start
    desk.tick(*asked(desk))
    desk.gone = {hour(3)}
    desk.live(1, lambda: asked(desk))
    assert desk.watch.missing.pairs() == []
    desk.tick(unread(hour(3), desk.now, "ServerFault"))
    assert desk.watch.missing.pairs() == [[hour(3).key, hour(4).key]]
    desk.live(3, lambda: [unread(hour(3), desk.now, "ServerFault")])
    assert desk.titles == [
        "[problem] 1 hour of returns is missing: the API fails on ClickPost's side"
    ]


def test_an_hour_in_a_run_is_not_notified(desk: Desk) -> None:
    desk.live(20, lambda: asked(desk))
    for _ in range(6):
        desk.gone = {hour(3)}  # polled again, and its tables not yet made
        desk.now += timedelta(seconds=30)
        desk.tick(evaluated(hour(3), desk.now, asset="raw_returns"))
        desk.gone = set()
        desk.now += timedelta(hours=1)
        desk.tick(evaluated(hour(3), desk.now, asset="raw_returns"))
    assert desk.state.incidents == []


def test_an_hour_that_a_run_made_is_seen_at_once(desk: Desk) -> None:
    desk.gone = {hour(n) for n in range(900)}
    desk.now = START + timedelta(hours=900)
    desk.tick()
    desk.gone.discard(hour(5))
    desk.now += timedelta(seconds=30)
    desk.tick(evaluated(hour(5), desk.now))
    assert desk.watch.complete.pairs() == [["2026-11-01-05:00", "2026-11-01-06:00"]]


def test_the_newest_of_spans_come_first() -> None:
    spans = Spans()
    spans.add([hour(1), hour(2), hour(5), hour(6)])
    assert spans.newest(3) == [hour(6), hour(5), hour(2)]
    assert spans.newest(9, hour(5)) == [hour(5), hour(2), hour(1)]
    assert spans.newest(1, hour(4)) == [hour(2)]
