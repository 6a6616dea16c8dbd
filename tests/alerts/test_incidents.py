"""From findings to incidents: once, silently grown, closed; patience for what can wait."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from returns_orchestration.alerts.facts import Finding, Key, Policy, QuietHours
from returns_orchestration.alerts.incidents import REMEMBERED, Incident, step

NOON = datetime(2026, 11, 9, 12, tzinfo=UTC)
NIGHT = datetime(2026, 11, 9, 23, tzinfo=UTC)
POLICY = Policy(
    timedelta(hours=2),
    timedelta(hours=1),
    QuietHours(22, 8, ZoneInfo("UTC")),
    timedelta(minutes=10),
)


def finding(**facts: Any) -> Finding:
    given = {"kind": "check failed", "severity": "problem", "since": NOON, "subject": "x"}
    return Finding(**given | facts)  # type: ignore[arg-type]


class Watch:
    """Steps one after another, with what each of them told."""

    def __init__(self) -> None:
        self.incidents: list[Incident] = []
        self.now = NOON

    def step(
        self, *findings: Finding, minutes: float = 10, held: tuple[Key, ...] = ()
    ) -> list[str]:
        self.now += timedelta(minutes=minutes)
        done = step(self.incidents, findings, set(held), self.now, POLICY)
        self.incidents = done.incidents
        return [event for event, _ in done.changes]


def test_an_incident_is_told_once_however_often_it_is_found() -> None:
    watch = Watch()
    assert watch.step(finding()) == ["opened", "told"]
    assert watch.step(finding()) == []
    assert watch.step(finding(size=5)) == ["grew"]
    assert watch.step(finding(size=2)) == []
    assert watch.incidents[0].size == 5
    assert watch.step() == ["closed", "told over"]
    assert watch.step() == []


def test_two_subjects_are_two_incidents() -> None:
    watch = Watch()
    assert watch.step(finding(), finding(subject="y")) == ["opened", "opened", "told", "told"]
    assert [incident.number for incident in watch.incidents] == [1, 2]


def test_what_cannot_be_judged_stays_open() -> None:
    watch = Watch()
    watch.step(finding())
    assert watch.step(held=(Key("check failed", "x"),)) == []
    assert watch.incidents[0].is_open


def test_what_comes_back_within_the_cooldown_is_told_only_if_it_outlasts_it() -> None:
    watch = Watch()
    watch.step(finding())
    watch.step()
    assert watch.step(finding()) == ["opened"]
    assert watch.step() == ["closed"]
    assert watch.step(finding()) == ["opened"]
    assert watch.step(finding(), minutes=29) == []
    assert watch.step(finding(), minutes=1) == ["told"]


def test_a_cooldown_of_a_clock_that_was_ahead_keeps_nothing_back() -> None:
    watch = Watch()
    watch.step(finding())
    watch.step(minutes=100_000)
    watch.now = NOON + timedelta(hours=1)
    assert watch.step(finding()) == ["opened", "told"]


def test_what_comes_back_after_the_cooldown_is_told_at_once() -> None:
    watch = Watch()
    watch.step(finding())
    watch.step()
    assert watch.step(finding(), minutes=61) == ["opened", "told"]


def test_what_can_wait_is_told_in_the_morning_and_not_at_all_if_it_is_over() -> None:
    watch = Watch()
    watch.now = NIGHT
    notice = finding(severity="notice")
    assert watch.step(notice, finding(subject="y")) == ["opened", "opened", "told"]
    assert watch.step(notice, minutes=8 * 60) == ["closed", "told over"]
    assert watch.step(notice, minutes=60) == ["told"]
    watch.now = NIGHT + timedelta(days=1)
    assert watch.step() == ["closed"]  # told at eight, too
    assert watch.step(minutes=9 * 60) == ["told over"]
    watch.now = NIGHT + timedelta(days=2)
    watch.step(notice)
    assert watch.step() == ["closed"]
    assert watch.step(minutes=9 * 60) == []


def test_a_notice_that_becomes_urgent_waits_no_longer() -> None:
    watch = Watch()
    watch.now = NIGHT
    watch.step(finding(severity="notice"))
    assert watch.step(finding(severity="urgent")) == ["told"]
    assert watch.incidents[0].severity == "urgent"


def test_what_is_listed_only_is_never_told() -> None:
    watch = Watch()
    assert watch.step(finding(listed_only=True)) == ["opened"]
    assert watch.step() == ["closed"]


def test_closed_incidents_are_forgotten_and_numbers_are_not_given_twice() -> None:
    watch = Watch()
    watch.step(finding())
    watch.step(finding(), finding(subject="y"))
    watch.step()
    watch.step(minutes=REMEMBERED / timedelta(minutes=1))
    assert [incident.number for incident in watch.incidents] == [2]
    watch.step(finding())
    assert watch.incidents[-1].number == 3


@pytest.mark.parametrize(
    ("begin", "end", "hours"),
    [(22, 8, {22, 23, *range(8)}), (1, 6, set(range(1, 6))), (0, 0, set())],
)
def test_quiet_hours_may_pass_midnight(begin: int, end: int, hours: set[int]) -> None:
    quiet = QuietHours(begin, end, ZoneInfo("UTC"))
    assert {h for h in range(24) if quiet.hold(NOON.replace(hour=h))} == hours


looks = st.lists(
    st.tuples(
        st.sets(st.sampled_from("xyz")), st.sets(st.sampled_from("xyz")), st.integers(1, 300)
    ),
    max_size=20,
)


@given(looks)
def test_whatever_is_found_each_incident_is_told_at_most_once_each_way(
    found: list[tuple[set[str], set[str], int]],
) -> None:
    watch, told = Watch(), []
    for subjects, held, minutes in found:
        keys = {Key("check failed", subject) for subject in held}
        watch.now += timedelta(minutes=minutes)
        findings = [
            finding(subject=s, severity="notice" if s == "z" else "problem") for s in subjects
        ]
        done = step(watch.incidents, findings, keys, watch.now, POLICY)
        watch.incidents = done.incidents
        told += [(event, incident.number) for event, incident in done.changes if "told" in event]
        opened = [i.subject for i in watch.incidents if i.is_open]
        assert len(opened) == len(set(opened))
        assert set(subjects) <= set(opened)
    assert len(told) == len(set(told))
    for event, number in told:
        if event == "told over":
            assert told.index(("told", number)) < told.index((event, number))
