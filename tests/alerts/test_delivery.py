"""Delivery to real receivers: through Apprise, kept until delivered, without a secret."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from alerts.conftest import Desk, evaluated, hour
from pydantic import SecretStr
from support.receiver import Receiver

from returns_orchestration.alerts.delivery import Channels, beat
from returns_orchestration.alerts.messages import Author
from returns_orchestration.alerts.outbox import LEASE, MOST_WAITING, Message, Outbox
from returns_orchestration.settings.wording import SINGLE

CANARY = "canary-7Yq-token"
MESSAGE = Author("", "", ZoneInfo("UTC"), SINGLE).test()


def channels(*urls: str) -> Channels:
    return Channels([SecretStr(url) for url in urls])


def bad(desk: Desk, number: int, claim: str = "nothing_is_rejected") -> Any:
    return evaluated(hour(number), desk.now, claim, asset="rejected_returns")


def rows(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(f"{folder}/alerts/**/*.parquet")


def test_a_channel_is_named_by_its_scheme_and_number() -> None:
    named = channels(
        f"slack://{CANARY}/B/C", "json://a.example/x", f"JSON://{CANARY}@b.example", CANARY
    )
    assert named.names == ["slack 1", "json 1", "json 2", "unreadable 1"]
    assert CANARY not in repr(named)


def test_a_receiver_of_plain_json_gets_title_and_text(receiver: Receiver) -> None:
    assert channels(receiver.url).post("json 1", MESSAGE) == ""
    (got,) = receiver.messages
    assert (got["title"], got["message"]) == (MESSAGE.title, MESSAGE.text)


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("json://127.0.0.1:{port}/" + CANARY, "it answered HTTP 503"),
        (f"json://user:{CANARY}@127.0.0.1:1/x", "no connection, or no answer in time"),
        (f"nonsense://{CANARY}", "its URL is none that Apprise knows"),
        (f"slack://{CANARY}", "its URL is none that Apprise knows"),
        (CANARY, "its URL is none that Apprise knows"),
    ],
)
def test_a_failure_is_put_in_words_and_no_log_holds_the_url(
    url: str, fault: str, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.status = 503
    found = channels(url.replace("{port}", str(receiver.port)))
    with caplog.at_level(logging.DEBUG):
        for name in ("", "apprise", "urllib3", "urllib3.connectionpool", "httpx"):
            logging.getLogger(name).setLevel(logging.DEBUG)
        try:
            assert found.post(found.names[0], MESSAGE) == fault
            assert not beat(SecretStr(f"http://127.0.0.1:{receiver.port}/{CANARY}"))
            assert not beat(SecretStr(f"http://127.0.0.1:1/{CANARY}"))
            assert not beat(SecretStr(CANARY))
        finally:
            for name in ("apprise", "urllib3", "urllib3.connectionpool", "httpx"):
                logging.getLogger(name).setLevel(logging.NOTSET)
    assert CANARY not in caplog.text
    assert "RETURNS_HEARTBEAT_URL could not be called: HTTP 503" in caplog.text


def test_loggers_are_muted_only_while_something_is_sent(caplog: pytest.LogCaptureFixture) -> None:
    channels("json://127.0.0.1:1/x").post("json 1", MESSAGE)
    logging.getLogger("httpx").warning("an ordinary line")
    assert "an ordinary line" in caplog.text


def test_a_heartbeat_without_an_address_does_not_fail() -> None:
    assert beat(None)


def test_a_channel_that_is_down_keeps_its_messages_and_the_others_do_not_wait(desk: Desk) -> None:
    desk.channels = ["slack 1", "mail 1"]
    desk.down = {"slack 1": "it answered HTTP 500"}
    desk.tick(bad(desk, 0))
    assert [name for name, _ in desk.sent] == ["mail 1"]
    desk.live(0.5)
    desk.live(0.5)
    down = [m.title for n, m in desk.sent if n == "mail 1" and "do not reach" in m.title]
    assert down == ["[problem] Alerts do not reach the channel slack 1"]
    desk.down = {}
    desk.live(25)
    slack = [m.title for n, m in desk.sent if n == "slack 1"]
    assert [title.split(",")[0] for title in slack] == [
        "[problem] ClickPost sends returns that cannot be used",
        "[resolved] ClickPost sends no more returns that cannot be used",
    ]
    assert [m.title for n, m in desk.sent if n == "mail 1"][2:3] == [
        "[resolved] Alerts reach the channel slack 1"
    ]
    assert desk.kinds == []


def test_pauses_grow_to_a_quarter_of_an_hour_and_stay_there(desk: Desk) -> None:
    box, pauses = Outbox(waiting=[MESSAGE]), []
    for _ in range(7):
        box.failed("x", desk.now)
        assert box.again_at is not None
        pauses.append((box.again_at - desk.now) / timedelta(minutes=1))
    assert pauses == [1, 2, 4, 8, 15, 15, 15]
    assert not box.is_due(desk.now)


def test_a_pause_set_by_a_clock_that_was_ahead_is_ignored(desk: Desk) -> None:
    box = Outbox(waiting=[MESSAGE])
    box.failed("x", desk.now + timedelta(days=365))
    assert box.is_due(desk.now)
    box.failed("x", desk.now)
    assert box.failing_since == desk.now
    assert not box.is_due(desk.now)


def test_an_outbox_is_bounded_and_counts_the_dropped_messages() -> None:
    box = Outbox()
    for number in range(MOST_WAITING + 1):
        box.add(Message(incident=number, tone="problem", title=str(number), text=""))
    assert len(box.waiting) == MOST_WAITING // 2 + 2
    assert box.waiting[0].title == "100 older messages could not be delivered"
    assert box.waiting[1].title == "100"


class Killed(BaseException):
    """The process was killed."""


@pytest.mark.parametrize("posted", [True, False])
def test_a_kill_between_post_and_mark_repeats_the_message_at_most_once(
    desk: Desk, receiver: Receiver, posted: bool
) -> None:
    desk.channels = ["json 1"]
    real = channels(receiver.url)

    def dies(name: str, message: Message) -> str:
        if posted:
            real.post(name, message)
        raise Killed

    with pytest.raises(Killed):
        desk.tick(bad(desk, 0), post=dies)
    desk.tick(bad(desk, 0), post=real.post)  # the cursor had not moved: the same evaluations again
    assert len(receiver.messages) == posted, "the killed tick may still be posting"
    desk.now += LEASE
    desk.tick(post=real.post)
    desk.tick(post=real.post)
    assert len(receiver.messages) == (2 if posted else 1)
    assert len({message["title"] for message in receiver.messages}) == 1


def test_a_kill_at_any_point_loses_or_doubles_no_row(
    desk: Desk, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill after every put and create of the lake, one in each tick."""
    calls = 0

    def mortal(method: Callable[..., Any], before: bool, limit: int) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == limit and before:
                raise Killed
            result = method(*arguments)
            if calls == limit:
                raise Killed
            return result

        return call

    for limit in range(1, 7):  # more writes than a tick makes
        for before in (True, False):
            calls = 0
            desk.now += timedelta(hours=26)
            news = bad(desk, limit * 10 + before)
            with monkeypatch.context() as patch:
                store = desk.lake.store
                patch.setattr(store, "replace", mortal(store.replace, before, limit))
                patch.setattr(store, "create", mortal(store.create, before, limit))
                try:
                    desk.tick(news)
                except Killed:
                    desk.tick(news)
    desk.now += timedelta(hours=26)
    desk.tick()
    found = rows(folder)
    opened = found.filter(event="opened").get_column("incident")
    assert sorted(opened) == [i.number for i in desk.state.incidents][: opened.len()]
    for event in ("opened", "notified", "resolved", "resolution notified"):
        assert found.filter(event=event).get_column("incident").is_unique().all(), event
    assert len(desk.sent) >= found.filter(event="delivered").height
    assert {m.title for _, m in desk.sent} == {
        text.split("\n")[0]
        for text in found.filter(pl.col("event").is_in(["notified", "resolution notified"]))["text"]
    }


def test_every_attempt_is_a_row(desk: Desk, folder: Path) -> None:
    desk.down = {"mail 1": "it answered HTTP 500"}
    desk.tick(bad(desk, 0))
    desk.down = {}
    desk.live(1 / 6)
    found = rows(folder).sort("noted_at")
    assert found.get_column("event").to_list() == ["opened", "notified", "failed", "delivered"]
    assert found.get_column("channel").to_list() == [None, None, "mail 1", "mail 1"]
    assert found.get_column("text").to_list()[2].endswith("in 1 hour: it answered HTTP 500")


def test_messages_of_a_removed_channel_are_noted_and_dropped(desk: Desk, folder: Path) -> None:
    desk.down = {"mail 1": "x"}
    desk.tick(bad(desk, 0))
    desk.channels = ["json 1"]
    desk.live(1 / 6)
    assert list(desk.state.outboxes) == ["json 1"]
    assert rows(folder).filter(event="dropped").height == 1


def test_an_unreadable_state_is_copied_and_alerts_continue(desk: Desk) -> None:
    desk.lake.store.put("_alerts/state.json", b"{")
    desk.lake.store.put("_alerts/seen.json", b"\xff")
    desk.tick(bad(desk, 0))
    assert len(desk.sent) == 1
    aside = [path for path in desk.lake.store.list("_alerts") if "unreadable" in path]
    assert len(aside) == 2


def test_each_channel_is_notified_once_that_the_lake_fails_and_that_it_works_again(
    desk: Desk,
) -> None:
    desk.channels = ["mail 1", "slack 1"]
    desk.down = {"slack 1": "x"}
    alerts = desk.alerts()
    notified = alerts.report_lake_failure(
        "The lake could not be written at x: No space left on device.", []
    )
    assert notified == ["mail 1"]
    desk.down = {}
    notified += alerts.report_lake_failure("The lake could not be written.", notified)
    assert [name for name, _ in desk.sent] == ["mail 1", "slack 1"]
    assert alerts.report_lake_works(notified) == []
    assert [message.tone for _, message in desk.sent] == [
        "urgent",
        "urgent",
        "resolved",
        "resolved",
    ]
    assert replace(desk).titles[0] == "[urgent] The lake cannot be read or written"
