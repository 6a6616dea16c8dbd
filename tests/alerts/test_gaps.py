"""Missing hours: one incident, for the right reason, after the grace and not before."""

from __future__ import annotations

from datetime import timedelta

import pytest
from alerts.conftest import START, Desk, evaluated, hour, unread

from returns_orchestration import tables
from returns_orchestration.state.failing_claims import Evaluation
from returns_orchestration.state.hour_index import FOUND, RECENT, Found, hand_over, handed_over
from returns_orchestration.window import windows_between


def failing(desk: Desk, cause: str) -> list[Evaluation]:
    """Every missing hour was just polled without success."""
    return [
        unread(window, desk.now, cause) for window in sorted(desk.gone) if window.end < desk.now
    ]


def test_hours_that_come_within_the_grace_are_not_notified(desk: Desk) -> None:
    desk.live(5)
    desk.gone = {hour(5)}
    desk.live(3, lambda: failing(desk, "ServerFault"))
    desk.gone = set()
    desk.live(3)
    assert desk.sent == []
    assert desk.state.incidents == []


def test_an_outage_is_notified_once_and_so_is_its_end(desk: Desk) -> None:
    desk.live(5)
    desk.gone = {hour(n) for n in range(5, 11)}
    desk.live(3, lambda: failing(desk, "ServerFault"))
    assert desk.sent == []
    desk.live(1 / 6, lambda: failing(desk, "ServerFault"))
    assert desk.titles == [
        "[problem] 2 hours of returns are missing: the API fails on ClickPost's side"
    ]
    desk.live(4, lambda: failing(desk, "ServerFault"))
    assert len(desk.sent) == 1
    assert desk.state.incidents[-1].size == 6
    desk.gone = set()
    desk.live(1)
    assert desk.titles[1:] == ["[resolved] The 6 hours of returns that were missing are there"]
    assert "2026-11-01 05:00 to 2026-11-01 07:00" in desk.sent[0][1].text


def test_refused_credentials_are_notified_at_once_and_inhibit_missing_hours(
    desk: Desk,
) -> None:
    desk.live(5)
    desk.gone = {hour(n) for n in range(5, 12)}
    desk.live(7, lambda: failing(desk, "CredentialsRefused"))
    assert desk.titles == ["[urgent] ClickPost refuses our key or user name"]
    assert "Missing so far: 1 hour" in desk.sent[0][1].text
    desk.tick(evaluated(hour(11), desk.now, asset="raw_returns"))
    assert desk.titles[1:] == ["[resolved] ClickPost accepts our key and user name"]
    desk.live(1)  # the sensor recovers the rest
    desk.gone = set()
    desk.live(5)
    assert len(desk.sent) == 2


def test_hours_still_missing_after_the_credentials_are_corrected_are_notified(desk: Desk) -> None:
    desk.live(5)
    desk.gone = {hour(5)}
    desk.live(3, lambda: failing(desk, "CredentialsRefused"))
    desk.tick(evaluated(hour(7), desk.now, asset="raw_returns"))
    desk.live(4, lambda: failing(desk, "RequestRefused"))
    assert desk.titles[2:] == [
        "[problem] 1 hour of returns is missing: the API refuses the requests"
    ]


def test_absent_credentials_are_named(desk: Desk) -> None:
    desk.gone = {hour(n) for n in range(9)}
    desk.now = START + timedelta(hours=2)
    desk.tick(absent="CLICKPOST_KEY not set")
    assert desk.titles == ["[urgent] No returns arrive: CLICKPOST_KEY not set"]


def test_a_pipeline_that_polls_nothing_is_notified_as_nothing_polled(desk: Desk) -> None:
    desk.live(5, lambda: [evaluated(hour(0), desk.now, asset="raw_returns")])
    desk.gone = {hour(n) for n in range(5, 20)}
    desk.live(4)
    assert desk.titles == ["[urgent] The pipeline stands still: ClickPost is not being polled"]
    desk.gone = set()
    desk.live(1, lambda: [evaluated(hour(8), desk.now, asset="raw_returns")])
    assert desk.titles[1:] == ["[resolved] ClickPost is being polled again"]
    desk.live(4, lambda: [evaluated(hour(8), desk.now, asset="raw_returns")])
    assert len(desk.sent) == 2


def test_a_standstill_just_after_an_hour_was_due_is_one_incident(desk: Desk) -> None:
    desk.live(5, lambda: [evaluated(hour(0), desk.now, asset="raw_returns")])
    desk.gone = {hour(n) for n in range(4, 20)}
    desk.live(1 / 3, lambda: [evaluated(hour(0), desk.now, asset="raw_returns")])  # a re-poll
    desk.live(4)
    assert desk.titles == ["[urgent] The pipeline stands still: ClickPost is not being polled"]
    assert desk.kinds == ["nothing polled"]


def test_hours_missed_in_a_pause_of_the_daemon_get_their_grace(desk: Desk) -> None:
    desk.live(5)
    desk.gone = {hour(n) for n in range(5, 12)}
    desk.now += timedelta(hours=6)
    desk.live(1)
    desk.gone = set()
    desk.live(3)
    assert desk.sent == []


def test_an_open_incident_outlives_a_pause_of_the_daemon(desk: Desk) -> None:
    desk.live(5)
    desk.gone = {hour(5)}
    desk.live(4, lambda: failing(desk, "ServerFault"))
    desk.now += timedelta(hours=6)
    desk.live(1, lambda: failing(desk, "ServerFault"))
    assert len(desk.sent) == 1
    assert desk.kinds == ["hours missing"]


@pytest.mark.parametrize("healing", [True, False])
def test_a_history_that_is_being_recovered_is_not_notified(desk: Desk, healing: bool) -> None:
    """The watch begins on a lake of a month whose hours are all missing."""
    desk.now = START + timedelta(days=30)
    desk.gone = set(windows_between(START, desk.now))
    for _ in range(26 * 6):
        desk.now += timedelta(minutes=10)
        if healing:
            desk.gone -= set(sorted(desk.gone)[-6:])
        touched = [evaluated(hour(24 * 30 - 1), desk.now, asset="raw_returns")]
        desk.tick(*touched)
    if healing:
        assert desk.sent == []
    else:  # the last week is sent, in one message; older hours are listed
        assert [title[:19] for title in desk.titles] == ["[problem] 168 hours"]
        listed = [i for i in desk.state.incidents if i.listed_only]
        assert [incident.size for incident in listed] == [720 - 168]


@pytest.mark.parametrize("how", ["recovered", "slowly", "never"])
def test_hours_that_an_earlier_start_adds_get_their_grace(desk: Desk, how: str) -> None:
    """The pipeline has run well for two days, and RETURNS_START is set two days earlier."""

    def asked() -> list[Evaluation]:
        return [evaluated(hour(95), desk.now, asset="raw_returns")]

    start = desk.settings.start
    desk.settings = desk.settings.model_copy(update={"start": hour(48).start})
    desk.now = hour(48).start
    desk.live(48, asked)
    desk.settings = desk.settings.model_copy(update={"start": start})
    desk.gone = {hour(n) for n in range(48)}
    desk.live(1, asked)
    assert desk.sent == []
    for _ in range(24):
        if how == "recovered":
            desk.gone = set()
        elif how == "slowly":
            desk.gone -= set(sorted(desk.gone)[-2:])
        desk.live(0.5, asked)
    if how == "never":
        assert [title[:18] for title in desk.titles] == ["[problem] 48 hours"]
    else:
        assert desk.sent == []


def test_a_new_hour_is_notified_while_an_earlier_start_is_recovered(desk: Desk) -> None:
    def asked() -> list[Evaluation]:
        return [evaluated(hour(95), desk.now, asset="raw_returns")]

    start = desk.settings.start
    desk.settings = desk.settings.model_copy(update={"start": hour(48).start})
    desk.now = hour(48).start
    desk.live(48, asked)
    desk.settings = desk.settings.model_copy(update={"start": start})
    desk.gone = {*(hour(n) for n in range(48)), hour(96)}
    for _ in range(20):
        desk.gone -= set(sorted(desk.gone)[:1])
        desk.live(0.25, asked)
    assert len(desk.titles) == 1
    assert "hours of returns are missing" in desk.titles[0]


def test_damage_is_notified_at_once_and_so_is_its_end(desk: Desk) -> None:
    """Within the grace of missing hours, too: no hour is repaired before."""
    asked = evaluated(hour(0), START, asset="raw_returns")
    desk.publish({hour(n): 4 for n in range(5)})
    desk.live(5, lambda: [asked])
    names, path = desk.lake.names(), desk.lake.path(tables.RETURNS, hour(3))
    desk.lake.entries.note_damaged(names, path)
    desk.live(1 / 6, lambda: [asked])
    assert desk.titles == ["[problem] 1 hour of returns is damaged in the lake"]
    assert desk.kinds == ["hours damaged"]
    assert desk.watch.missing.pairs() == []
    desk.lake.entries.clear_damaged(names, hour(3))
    desk.live(1 / 6, lambda: [asked])
    assert desk.kinds == []
    assert len(desk.titles) == 2
    assert desk.titles[1].startswith("[resolved] ")


def test_damage_that_the_sensor_finds_in_old_hours_is_notified(desk: Desk) -> None:
    """The alerts themselves look at the newest hours only."""
    desk.publish({hour(n): 4 for n in range(RECENT + 10)})
    desk.live(RECENT + 10)
    names, old = desk.lake.names(), hour(3)
    desk.lake.entries.note_damaged(names, desk.lake.path(tables.RETURNS, old))
    desk.live(1 / 6)
    assert desk.titles == []
    hand_over(desk.lake, Found(damaged=[old.key]))
    desk.live(1 / 6)
    assert desk.titles == ["[problem] 1 hour of returns is damaged in the lake"]
    desk.lake.entries.clear_damaged(names, old)
    hand_over(desk.lake, Found())
    desk.live(1 / 6)
    assert [title[:6] for title in desk.titles] == ["[probl", "[resol"]


def test_hours_outdated_by_new_rules_are_one_notice(desk: Desk) -> None:
    desk.live(5)
    for outdated in (2_000, 1_700, 40):
        hand_over(desk.lake, Found(outdated=outdated))
        desk.live(1 / 2)
    assert desk.titles == ["[notice] 2,000 hours of returns are being rebuilt by new rules"]
    hand_over(desk.lake, Found())
    desk.live(1 / 6)
    assert [title[:12] for title in desk.titles] == ["[notice] 2,0", "[resolved] T"]
    assert desk.kinds == []


@pytest.mark.parametrize(
    "content", [b"\xff", b'{"damaged":["2026-11-0y-11:00"]}', b'{"outdated":-3}', b"[]"]
)
def test_unreadable_findings_of_the_sensor_resolve_no_incident(desk: Desk, content: bytes) -> None:
    desk.live(5)
    hand_over(desk.lake, Found(outdated=3))
    desk.live(1 / 2)
    desk.lake.store.put(FOUND, content)
    assert handed_over(desk.lake) is None
    desk.live(1 / 2)
    assert desk.kinds == ["hours outdated"]
    assert len(desk.sent) == 1


def test_hours_absent_from_a_restored_lake_are_missing(desk: Desk) -> None:
    """The lake alone shows no fault; Dagster's log holds a newer poll."""
    asked = evaluated(hour(0), START, asset="raw_returns")
    desk.publish({hour(n): 4 for n in range(5)})
    desk.live(5, lambda: [asked])
    desk.known = {hour(3): "1" * 16}
    desk.live(9, lambda: [evaluated(hour(0), desk.now, asset="raw_returns")])
    assert desk.kinds == ["hours missing"]
    assert desk.watch.missing.pairs() == [[hour(3).key, hour(4).key]]


def test_hours_that_are_about_to_be_made_are_not_notified(desk: Desk) -> None:
    """They were polled, and all that ClickPost sent is kept."""
    desk.publish({hour(n): 4 for n in range(5)})
    desk.live(5)
    names = desk.lake.names()
    desk.lake.invalidate(names, hour(3))
    desk.live(9, lambda: [evaluated(hour(0), desk.now, asset="raw_returns")])
    assert desk.sent == []
    assert desk.watch.missing.pairs() == []


def test_hours_that_a_check_blocks_are_notified_as_the_check(desk: Desk) -> None:
    desk.live(5)
    desk.gone = {hour(5)}
    blocked = "references_are_unique_and_present"
    desk.tick(
        evaluated(hour(5), desk.now, blocked, weight="blocks"),
        evaluated(hour(5), desk.now, asset="raw_returns"),  # it was polled well
    )
    desk.live(6)
    assert desk.titles == ["[urgent] returns: 2 of 9, in 1 hour"]
