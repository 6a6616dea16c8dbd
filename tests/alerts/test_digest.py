"""The weekly digest: sent once a week to each channel, not in quiet hours, and never twice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from alerts.conftest import START, Desk

from returns_orchestration.alerts.digest import PATH, Digest, hand_over
from returns_orchestration.settings import load_settings

DIGEST = Digest(week="2026-11-01", title="Returns, 1 Nov 2026", lines=["Returns: 7.", "Items: 9."])
NOON = START + timedelta(hours=6, minutes=30)  # in India


@pytest.fixture
def with_digest(desk: Desk) -> Callable[..., Desk]:
    def with_digest(**variables: str) -> Desk:
        given = {"RETURNS_WEEKLY_DIGEST": "true", "RETURNS_START": START.isoformat(), **variables}
        desk.settings = load_settings(**given)
        desk.now = NOON
        desk.channels = ["mail 1", "slack 1"]
        return desk

    return with_digest


def digests(desk: Desk) -> list[tuple[str, str]]:
    return [(name, one.title) for name, one in desk.sent if one.tone == "digest"]


def test_it_goes_to_each_channel_once(with_digest: Callable[..., Desk]) -> None:
    desk = with_digest()
    hand_over(desk.lake, DIGEST)
    desk.tick()
    desk.tick()
    title = "[digest] Returns, 1 Nov 2026"
    assert digests(desk) == [("mail 1", title), ("slack 1", title)]
    (message, _) = (one for _, one in desk.sent if one.tone == "digest")
    assert message.text == "Returns: 7.\nItems: 9."
    hand_over(desk.lake, DIGEST.__class__(week="2026-11-01", title="Made again", lines=[]))
    desk.tick()
    assert len(digests(desk)) == 2


def test_the_next_week_has_one_of_its_own(with_digest: Callable[..., Desk]) -> None:
    desk = with_digest()
    for week in ("2026-11-01", "2026-11-08"):
        hand_over(desk.lake, Digest(week=week, title=week, lines=[]))
        desk.tick()
    assert [title for _, title in digests(desk)][::2] == [
        "[digest] 2026-11-01",
        "[digest] 2026-11-08",
    ]


def test_it_is_off_by_default(with_digest: Callable[..., Desk]) -> None:
    desk = with_digest(RETURNS_WEEKLY_DIGEST="false")
    hand_over(desk.lake, DIGEST)
    desk.tick()
    assert digests(desk) == []


def test_it_waits_for_the_end_of_quiet_hours(with_digest: Callable[..., Desk]) -> None:
    desk = with_digest(RETURNS_ALERT_QUIET_HOURS="11-13")
    hand_over(desk.lake, DIGEST)
    desk.tick()
    assert digests(desk) == []
    desk.now += timedelta(hours=1)
    desk.tick()
    assert len(digests(desk)) == 2


def test_a_channel_that_fails_gets_it_later(with_digest: Callable[..., Desk]) -> None:
    desk = with_digest()
    hand_over(desk.lake, DIGEST)
    desk.down = {"slack 1": "it answered HTTP 503"}
    desk.tick()
    assert [name for name, _ in digests(desk)] == ["mail 1"]
    desk.down = {}
    desk.now += timedelta(minutes=20)
    desk.tick()
    assert [name for name, _ in digests(desk)] == ["mail 1", "slack 1"]


@pytest.mark.parametrize("content", [b"", b"not JSON", b'{"week": 7}'])
def test_one_that_cannot_be_read_is_no_digest(
    content: bytes, with_digest: Callable[..., Desk]
) -> None:
    desk = with_digest()
    desk.lake.store.put(PATH, content)
    desk.tick()
    assert digests(desk) == []
