"""A report that is not made: an alert once it is late, and none while Dagster was off."""

from __future__ import annotations

from datetime import date, timedelta

from alerts.conftest import START, Desk, hour, situation_of

from returns_orchestration.alerts.detection import detect
from returns_orchestration.alerts.kinds import Kind, ReportNotMade
from returns_orchestration.alerts.watch import Watch
from returns_orchestration.lake.lake import REPORT_PAGES
from returns_orchestration.state.health import Storage
from returns_orchestration.window import Day

SMALL = Storage((), 0)


def found(hours: float, reported: date | None) -> list[Kind]:
    """What is found that long after the first whole day was over."""
    now = first_day().end + timedelta(hours=hours)
    watch = Watch.first(START)
    watch.reported = reported
    situation = situation_of(watch, now, storage=SMALL)
    return [finding for finding in detect(situation).findings if finding.key == KEY]


KEY = ReportNotMade(since=START, day="").key


def first_day() -> Day:
    """The first day of the report's zone that begins at the start or later."""
    zone = situation_of(Watch.first(START), START).settings.report_time_zone
    day = Day.of(START, zone)
    return day if day.start == START else Day(day.date + timedelta(days=1), zone)


def test_it_is_missed_eight_hours_after_its_day() -> None:
    day = first_day()
    assert found(7.9, None) == []
    assert found(8, None) == [ReportNotMade(since=day.end, day=day.key)]
    assert found(8, day.date) == []
    assert found(8, day.date - timedelta(days=1)) != []


def test_a_day_that_began_before_the_start_has_none() -> None:
    assert found(-24 + 8, None) == []


def test_there_is_one_message_for_each_report_that_is_not_made(desk: Desk) -> None:
    day = first_day()
    while desk.now < day.end + timedelta(hours=9):
        desk.publish({hour((desk.now - START) // timedelta(hours=1)): 5})
        desk.live(1)
        desk.tick(storage=SMALL)
    assert desk.titles == [f"[notice] The report of {day.key} is not made"]
    desk.lake.store.create(f"{REPORT_PAGES}/date={day.key}/report.html", b"<!doctype html>")
    desk.tick(storage=SMALL)
    assert desk.kinds == []


def test_there_is_no_alert_right_after_a_time_in_which_dagster_was_off() -> None:
    now = first_day().end + timedelta(days=3)
    watch = Watch.first(now - timedelta(hours=7))
    detected = detect(situation_of(watch, now, storage=SMALL))
    assert KEY in detected.unjudged
    assert KEY not in {finding.key for finding in detected.findings}
