"""From findings to incidents: once, silently grown, resolved; delays where a notice can wait."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from returns_orchestration.alerts.kinds import HISTORY, CheckFailed, HoursMissing, Key, Kind
from returns_orchestration.alerts.life_cycle import REMEMBERED, Detected, Incident, step
from returns_orchestration.settings import AlertPolicy, QuietHours

NOON = datetime(2026, 11, 9, 12, tzinfo=UTC)
NIGHT = datetime(2026, 11, 9, 23, tzinfo=UTC)
POLICY = AlertPolicy(
    timedelta(hours=2),
    timedelta(hours=1),
    QuietHours(22, 8, ZoneInfo("UTC")),
    timedelta(minutes=10),
)


WEIGHTS = {"urgent": "blocks", "problem": "error", "notice": "warning"}


def finding(severity: str = "problem", **facts: Any) -> Kind:
    given = {"since": NOON, "subject": "x", "asset": "returns", "claim": "x"}
    return CheckFailed(weight=WEIGHTS[severity], **given | facts)


def old_hours() -> Kind:
    return HoursMissing(
        since=NOON, subject=HISTORY, spans=[["2026-01-01-00:00", "2026-01-01-01:00"]]
    )


class Watch:
    """Steps one after another, with the changes of each."""

    def __init__(self) -> None:
        self.incidents: list[Incident] = []
        self.now = NOON

    def step(
        self, *findings: Kind, minutes: float = 10, unjudged: tuple[Key, ...] = ()
    ) -> list[str]:
        self.now += timedelta(minutes=minutes)
        detected = Detected(list(findings), unjudged=set(unjudged))
        done = step(self.incidents, detected, self.now, POLICY)
        self.incidents = done.incidents
        return [event for event, _ in done.changes]


def test_an_incident_is_sent_once_however_often_it_is_found() -> None:
    watch = Watch()
    assert watch.step(finding()) == ["opened", "notified"]
    assert watch.step(finding()) == []
    assert watch.step(finding(size=5)) == ["grew"]
    assert watch.step(finding(size=2)) == []
    assert watch.incidents[0].size == 5
    assert watch.step() == ["resolved", "resolution notified"]
    assert watch.step() == []


def test_two_subjects_are_two_incidents() -> None:
    watch = Watch()
    assert watch.step(finding(), finding(subject="y")) == [
        "opened",
        "opened",
        "notified",
        "notified",
    ]
    assert [incident.number for incident in watch.incidents] == [1, 2]


def test_an_incident_that_cannot_be_judged_stays_open() -> None:
    watch = Watch()
    watch.step(finding())
    assert watch.step(unjudged=(Key("check failed", "x"),)) == []
    assert watch.incidents[0].is_open


def test_a_return_within_the_cooldown_is_sent_only_if_it_outlasts_it() -> None:
    watch = Watch()
    watch.step(finding())
    watch.step()
    assert watch.step(finding()) == ["opened"]
    assert watch.step() == ["resolved"]
    assert watch.step(finding()) == ["opened"]
    assert watch.step(finding(), minutes=29) == []
    assert watch.step(finding(), minutes=1) == ["notified"]


def test_a_cooldown_set_by_a_clock_that_was_ahead_delays_no_message() -> None:
    watch = Watch()
    watch.step(finding())
    watch.step(minutes=100_000)
    watch.now = NOON + timedelta(hours=1)
    assert watch.step(finding()) == ["opened", "notified"]


def test_a_return_after_the_cooldown_is_sent_at_once() -> None:
    watch = Watch()
    watch.step(finding())
    watch.step()
    assert watch.step(finding(), minutes=61) == ["opened", "notified"]


def test_a_notice_waits_for_the_morning_and_is_not_sent_if_it_is_resolved() -> None:
    watch = Watch()
    watch.now = NIGHT
    notice = finding(severity="notice")
    assert watch.step(notice, finding(subject="y")) == ["opened", "opened", "notified"]
    assert watch.step(notice, minutes=8 * 60) == ["resolved", "resolution notified"]
    assert watch.step(notice, minutes=60) == ["notified"]
    watch.now = NIGHT + timedelta(days=1)
    assert watch.step() == ["resolved"]  # sent at eight, too
    assert watch.step(minutes=9 * 60) == ["resolution notified"]
    watch.now = NIGHT + timedelta(days=2)
    watch.step(notice)
    assert watch.step() == ["resolved"]
    assert watch.step(minutes=9 * 60) == []


def test_a_notice_that_becomes_urgent_waits_no_longer() -> None:
    watch = Watch()
    watch.now = NIGHT
    watch.step(finding(severity="notice"))
    assert watch.step(finding(severity="urgent")) == ["notified"]
    assert watch.incidents[0].severity == "urgent"


def test_a_listed_only_finding_is_never_sent() -> None:
    watch = Watch()
    assert watch.step(old_hours()) == ["opened"]
    assert watch.step() == ["resolved"]


def test_resolved_incidents_expire_and_numbers_are_never_reused() -> None:
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
def test_each_incident_is_notified_and_resolved_at_most_once(
    found: list[tuple[set[str], set[str], int]],
) -> None:
    watch, sent = Watch(), []
    for subjects, unjudged, minutes in found:
        keys = {Key("check failed", subject) for subject in unjudged}
        watch.now += timedelta(minutes=minutes)
        findings = [
            finding(subject=s, severity="notice" if s == "z" else "problem") for s in subjects
        ]
        done = step(watch.incidents, Detected(findings, unjudged=keys), watch.now, POLICY)
        watch.incidents = done.incidents
        sent += [(event, i.number) for event, i in done.changes if "notified" in event]
        opened = [i.subject for i in watch.incidents if i.is_open]
        assert len(opened) == len(set(opened))
        assert set(subjects) <= set(opened)
    assert len(sent) == len(set(sent))
    for event, number in sent:
        if event == "resolution notified":
            assert sent.index(("notified", number)) < sent.index((event, number))
