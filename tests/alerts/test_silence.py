"""A finding that is not sent has a named reason, and a kind that explains another inhibits it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from alerts.conftest import START, Desk, evaluated, hour, unread
from hypothesis import given
from hypothesis import strategies as st

from returns_orchestration.alerts import kinds, listing
from returns_orchestration.alerts.kinds import KINDS, Kind, Reason
from returns_orchestration.alerts.life_cycle import Detected, step
from returns_orchestration.settings import load_settings
from returns_orchestration.state.failing_claims import Evaluation

POLICY = load_settings(RETURNS_START=START.isoformat()).alert_policy


def failing(desk: Desk, cause: str = "ServerFault") -> list[Evaluation]:
    return [unread(window, desk.now, cause) for window in sorted(desk.gone)]


def silent(desk: Desk) -> dict[str, str]:
    """Kind to the reason, of the findings that opened no incident."""
    return {noted.kind: noted.silent for noted in desk.state.silent}


def test_hours_within_the_grace_are_listed_with_that_reason(desk: Desk) -> None:
    desk.live(5)
    desk.gone = {hour(5)}
    desk.live(1.2, lambda: failing(desk))
    assert silent(desk) == {}  # an hour that has just become due is being polled
    desk.live(0.5, lambda: failing(desk))
    assert silent(desk) == {"hours missing": Reason.GRACE}
    (noted,) = desk.state.silent
    assert listing.cells(noted)[:5] == (
        "-",
        "problem",
        "2026-11-01 06:00",
        "pending",
        "no: within the grace period",
    )
    plain = listing.plain(noted)
    assert (plain["number"], plain["open"], plain["sent"]) == (None, False, False)
    assert plain["silent"] == "within the grace period"
    desk.live(2, lambda: failing(desk))
    assert (silent(desk), desk.kinds) == ({}, ["hours missing"])


def test_hours_explained_by_refused_credentials_are_listed_as_inhibited(desk: Desk) -> None:
    desk.live(5)
    desk.gone = {hour(n) for n in range(5, 12)}
    desk.live(4, lambda: failing(desk, "CredentialsRefused"))
    assert desk.kinds == ["credentials refused"]
    assert silent(desk) == {"hours missing": "inhibited by credentials refused"}


def test_hours_explained_by_a_standstill_are_listed_as_inhibited(desk: Desk) -> None:
    desk.live(5, lambda: [evaluated(hour(0), desk.now, asset="raw_returns")])
    desk.gone = {hour(n) for n in range(4, 20)}
    desk.live(1 / 3, lambda: [evaluated(hour(0), desk.now, asset="raw_returns")])
    desk.live(1 + 5 / 6)
    assert silent(desk) == {"hours missing": Reason.STANDSTILL}
    desk.live(1 / 6)
    assert desk.kinds == ["nothing polled"]
    assert silent(desk) == {"hours missing": "inhibited by nothing polled"}


def test_a_history_that_is_being_recovered_is_listed_with_that_reason(desk: Desk) -> None:
    desk.now = START + timedelta(days=30)
    desk.gone = {hour(n) for n in range(24 * 29, 24 * 30)}
    desk.live(1 / 6)
    assert desk.kinds == []
    assert silent(desk) == {"hours missing": Reason.RECOVERING}


@pytest.mark.parametrize(
    ("at", "expected"), [(2, Reason.QUIET_HOURS), (12, "")], ids=["at night", "by day"]
)
def test_a_notice_in_quiet_hours_is_listed_with_that_reason(at: int, expected: str) -> None:
    now = START + timedelta(hours=at) - timedelta(hours=5.5)
    notice = kinds.HoursOutdated(since=now, size=3)
    (incident,) = step([], Detected([notice]), now, POLICY).incidents
    assert (incident.silent, incident.notified_at is None) == (expected, bool(expected))


def test_a_return_within_the_cooldown_has_that_reason_until_it_is_sent() -> None:
    down = kinds.ChannelDown(since=START, subject="mail 1", fault="x", waiting=1)
    incidents, reasons = [], []
    for minutes, found in ((0, True), (10, False), (20, True), (100, True)):
        now = START + timedelta(minutes=minutes)
        incidents = step(incidents, Detected([down] if found else []), now, POLICY).incidents
        reasons.append(incidents[-1].silent)
    assert reasons == ["", "", Reason.COOLDOWN, ""]


def made(name: str) -> Kind:
    kind = KINDS[name]
    hour_of = {"hour": "2026-11-01-00:00"} if name == "newest hour too old" else {}
    return kind(since=START, **hour_of)


BY_RANK = ("credentials refused", "nothing polled", "hours missing", "newest hour too old")


@given(st.sets(st.sampled_from(BY_RANK)), st.sets(st.sampled_from(BY_RANK)))
def test_the_first_of_kinds_that_explain_each_other_is_an_incident(
    earlier: set[str], now: set[str]
) -> None:
    """Kinds below it open and resolve no incident: they cannot be judged while it lasts."""
    before = step([], Detected([made(name) for name in earlier]), START, POLICY).incidents
    later = START + timedelta(hours=3)
    done = step(before, Detected([made(name) for name in now]), later, POLICY)
    first = min(map(BY_RANK.index, now), default=len(BY_RANK))
    opened = {i.kind for i in done.incidents if i.opened_at == later}
    assert opened <= set(BY_RANK[first : first + 1])
    inhibited = set(BY_RANK[first + 1 :])
    was_open = {incident.kind for incident in before if incident.is_open}
    assert {noted.kind for noted in done.silent} == (now & inhibited) - was_open
    assert all(noted.silent == f"inhibited by {BY_RANK[first]}" for noted in done.silent)
    resolved = {i.kind for i in done.incidents if not i.is_open}
    assert not resolved & (now | inhibited)
