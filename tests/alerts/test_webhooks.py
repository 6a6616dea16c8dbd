"""Incidents about webhooks, from the entries of compared hours and the notes of receivers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from alerts.conftest import START, Desk, evaluated, hour
from state.test_delivery import note

from returns_orchestration import tables
from returns_orchestration.stages.rules import Rules


def compared(desk: Desk, first: int, last: int, both: int, lost: int, **facts: int) -> None:
    """Hours from ``first`` to ``last`` were compared with polls."""
    names = desk.lake.names()
    for number in range(first, last):
        desk.lake.publish(
            names,
            hour(number),
            {tables.WEBHOOK_MATCHES.name: tables.WEBHOOK_MATCHES.empty()},
            inputs="0a" * 6,
            rules=Rules.of_today().webhooks,
            made_of=[],
            facts={"both": both, "poll_only": lost, "listening_s": 3600} | facts,
        )


def beat(desk: Desk, **changes: Any) -> None:
    """The receiver's note of a minute ago."""
    at = desk.now - timedelta(minutes=1)
    given = {"at": at, "began": START, "since": START, "last_stored": at, **changes}
    desk.lake.webhooks.note(note(**given))


def live(desk: Desk, hours: float, **changes: Any) -> None:
    end = desk.now + timedelta(hours=hours)
    while desk.now < end:
        desk.now += timedelta(minutes=10)
        beat(desk, **changes)
        desk.tick()


def test_without_a_receiver_there_is_no_incident(desk: Desk) -> None:
    desk.live(30)
    assert desk.sent == []


def test_lost_webhooks_are_one_incident_until_the_rate_is_good_again(desk: Desk) -> None:
    compared(desk, 0, 20, 16, 0)
    compared(desk, 20, 30, 15, 1)
    compared(desk, 30, 70, 16, 0)
    live(desk, 27)
    assert desk.sent == []
    live(desk, 12)
    assert [title[:40] for title in desk.titles] == ["[problem] 8 of 384 webhooks were lost: 9"]
    live(desk, 30)
    assert desk.titles[1:] == ["[resolved] Webhooks are delivered as expected"]


def test_no_webhooks_at_all_is_urgent_and_explains_the_low_rate(desk: Desk) -> None:
    compared(desk, 0, 20, 16, 0)
    compared(desk, 20, 30, 0, 25)
    live(desk, 29)
    assert [title[:38] for title in desk.titles] == ["[urgent] No webhooks arrive: 25 return"]
    compared(desk, 30, 40, 16, 0)
    live(desk, 10)
    assert desk.titles[1] == "[resolved] Webhooks arrive again"


def test_a_silent_receiver_is_urgent_and_explains_all_else(desk: Desk) -> None:
    compared(desk, 0, 40, 0, 16)
    live(desk, 1)
    desk.live(0.5)
    assert desk.titles == ["[urgent] The receiver of webhooks does not listen"]
    desk.live(30)
    assert len(desk.sent) == 1, "hours without a receiver are not ClickPost's loss"


def test_a_receiver_that_cannot_store_is_urgent(desk: Desk) -> None:
    live(desk, 1, problem="database or disk is full")
    assert desk.titles == ["[urgent] The receiver of webhooks cannot store them"]
    assert "Database or disk is full" in desk.sent[0][1].text or "database" in desk.sent[0][1].text
    live(desk, 1)
    assert desk.titles[1:] == ["[resolved] The receiver of webhooks takes them"]


def test_refused_webhooks_name_the_proxy_that_drops_the_key(desk: Desk) -> None:
    wrong = {"refused": 30, "without_key": 30, "last_stored": None}
    live(desk, 1, last_refused=START, **wrong)
    assert desk.titles == ["[problem] 30 webhooks were refused for their key"]
    assert "underscores_in_headers" in desk.sent[0][1].text


def test_failed_checks_of_webhooks_have_kinds_of_their_own(desk: Desk) -> None:
    beat(desk)
    desk.tick()
    desk.now += timedelta(hours=2)
    for asset, claim in (
        ("rejected_webhooks", "every_webhook_can_be_used"),
        ("webhook_matches", "polls_have_every_return_of_a_webhook"),
    ):
        beat(desk)
        desk.tick(evaluated(hour(0), desk.now, claim, asset=asset, figures="2 of 9"))
    assert [title.partition(",")[0] for title in desk.titles] == [
        "[problem] Webhooks come that cannot be used",
        "[urgent] Polls lack returns that webhooks brought",
    ]
