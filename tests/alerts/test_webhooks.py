"""Incidents about webhooks, from the entries of compared hours and the notes of receivers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from alerts.conftest import START, Desk, evaluated, hour
from support.webhooks import receiver_note

from returns_orchestration import tables
from returns_orchestration.stages.rules import Rules
from returns_orchestration.window import Day


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
    desk.lake.webhooks.note(receiver_note(**given))


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


def quick_days(desk: Desk, until: int, quick: int) -> None:
    """The 20 days before ``until`` had webhooks; of 100 a day so many came within 5 minutes."""
    names = desk.lake.names()
    for ago in range(1, 21):
        day = Day.of(hour(until).start - timedelta(days=ago), ZoneInfo("UTC"))
        desk.lake.publish(
            names,
            day,
            {tables.WEBHOOK_DELIVERY_DAILY.name: tables.WEBHOOK_DELIVERY_DAILY.empty()},
            inputs="0a" * 6,
            rules=Rules.of_today().webhooks,
            made_of=[],
            facts={"with_lag": 100, "under_5_minutes": quick},
        )


def test_webhooks_that_were_quick_and_come_late_are_a_notice(desk: Desk) -> None:
    quick_days(desk, 0, 60)
    compared(desk, 0, 30, 16, 0, with_lag=16, over_1_hour=1)
    compared(desk, 30, 40, 16, 0, with_lag=16, over_1_hour=5)
    compared(desk, 40, 70, 16, 0, with_lag=16, over_1_hour=0)
    live(desk, 36)
    assert desk.sent == []
    live(desk, 10)
    assert [title[:47] for title in desk.titles] == [
        "[notice] 10% of webhooks come over an hour afte"
    ]
    live(desk, 30)
    assert desk.titles[1:] == ["[resolved] Webhooks come as quickly as before"]


@pytest.mark.parametrize(("quick", "came", "slow"), [(40, 16, 8), (60, 1, 1)])
def test_webhooks_that_were_never_quick_or_are_few_are_no_incident(
    desk: Desk, quick: int, came: int, slow: int
) -> None:
    quick_days(desk, 0, quick)
    compared(desk, 0, 19, came, 0, with_lag=came, over_1_hour=slow)
    live(desk, 19)
    assert desk.sent == []


def test_a_spool_set_aside_is_told_until_it_is_removed(desk: Desk) -> None:
    live(desk, 1, set_aside="/var/lib/spool.db.unreadable-17")
    assert desk.titles == [
        "[problem] The spool of webhooks was damaged or replaced, and is set aside"
    ]
    assert "/var/lib/spool.db.unreadable-17" in desk.sent[0][1].text
    live(desk, 1)
    assert desk.titles[1:] == ["[resolved] What was set aside of the spool of webhooks is gone"]
