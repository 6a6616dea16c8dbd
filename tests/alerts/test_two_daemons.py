"""Several processes look after the alerts of one lake: no message is lost, and none sent twice."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alerts.conftest import Desk
from alerts.test_delivery import MESSAGE, bad
from support.alert_process import alerts_of
from support.receiver import Receiver
from support.s3_server import BUCKET

from returns_orchestration import tables
from returns_orchestration.alerts.outbox import Message
from returns_orchestration.alerts.state import STATE, WATCH, Kept, Row, read_state
from returns_orchestration.alerts.tick import ATTEMPTS, Alerts
from returns_orchestration.errors import LakeContended
from returns_orchestration.lake.parquet import from_parquet

NAMES, TICKS = "abc", 8
EXPECTED = sorted(f"{name} {number}" for name in NAMES for number in range(TICKS))


@pytest.fixture(params=["folder", "s3"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return str(tmp_path / "lake")
    request.getfixturevalue("s3")
    return f"s3://{BUCKET}/lake"


@pytest.mark.long
def test_messages_of_three_processes_are_each_sent_once(address: str, receiver: Receiver) -> None:
    command = [sys.executable, "-m", "support.alert_process", address, receiver.url]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    started = [
        subprocess.Popen(  # noqa: S603 - our own command
            [*command, name, str(TICKS)], env=environment, stdin=subprocess.PIPE
        )
        for name in NAMES
    ]
    for process in started:
        assert process.stdin
        process.stdin.close()
    assert [process.wait(timeout=120) for process in started] == [0] * len(started)

    alerts = alerts_of(address, receiver.url)
    for _ in range(10):
        alerts.tick([], datetime.now(UTC), last_tick=datetime.now(UTC))

    assert sorted(receiver.titles) == EXPECTED
    assert sorted(_delivered(alerts)) == EXPECTED


def _delivered(alerts: Alerts | Desk) -> list[str]:
    """The titles that the table of alerts, and the rows yet to be filed, have as delivered."""
    store, state = alerts.lake.store, read_state(alerts.lake)
    assert state
    found = [row.text or "" for row in state.rows if row.event == "delivered"]
    for path in store.list(tables.ALERTS.name):
        frame = from_parquet(store.get(path) or b"", path)
        found += frame.filter(event="delivered").get_column("text").to_list()
    return found


def test_a_second_tick_while_a_message_is_posted_does_not_post_it(desk: Desk) -> None:
    def post(name: str, message: Message) -> str:
        if not desk.sent:
            desk.sent.append((name, message))
            desk.tick(bad(desk, 1, "items_belong_to_returns"))
        else:
            desk.sent.append((name, message))
        return ""

    desk.tick(bad(desk, 0), post=post)
    desk.tick()
    assert len(desk.titles) == len(set(desk.titles)) == 2
    assert not any(box.waiting for box in desk.state.outboxes.values())
    assert desk.state.lease is None


def test_rows_that_come_while_others_are_filed_are_filed_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, others = desk.store.create, [MESSAGE]

    def create_late(path: str, content: bytes) -> bool:
        done = create(path, content)
        if path.startswith(tables.ALERTS.name) and others:
            row = Row.of_attempt("delivered", "mail 1", others.pop(), desk.now)
            Kept(desk.lake, desk.now).update(lambda state: state.rows.append(row))
        return done

    monkeypatch.setattr(desk.store, "create", create_late)
    desk.tick(bad(desk, 0))
    desk.tick()
    assert sorted(_delivered(desk)) == sorted([*desk.titles, MESSAGE.title])


@pytest.mark.parametrize("path", [STATE, WATCH])
def test_a_tick_that_was_overtaken_begins_again_with_what_is_there(
    desk: Desk, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another tick has put the file between its read and its put."""
    replace, others = desk.store.replace, [bad(desk, 1, "items_belong_to_returns")]

    def overtaken(at: str, content: bytes, tag: str) -> str | None:
        if at == path and others:
            desk.tick(others.pop())
        return replace(at, content, tag)

    monkeypatch.setattr(desk.store, "replace", overtaken)
    desk.tick(bad(desk, 0))
    assert not others
    assert sorted(desk.titles) == sorted(set(desk.titles))
    assert len(desk.kinds) == len(desk.titles) == 2
    assert [incident.number for incident in desk.state.incidents] == [1, 2]
    assert len(desk.watch.failing) == 2


def test_a_tick_that_is_always_overtaken_ends_in_words(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []

    def overtaken(at: str, *_: object) -> None:
        tries.append(at)

    monkeypatch.setattr(desk.store, "replace", overtaken)
    with pytest.raises(LakeContended, match=r"Another process changed .*one Dagster daemon"):
        desk.tick(bad(desk, 0))
    assert len(tries) == ATTEMPTS
    assert not desk.sent


def test_a_lease_of_a_clock_that_was_ahead_does_not_count(desk: Desk) -> None:
    def dies(*_: object) -> str:
        raise KeyboardInterrupt

    desk.now += timedelta(days=365)
    with pytest.raises(KeyboardInterrupt):
        desk.tick(bad(desk, 0), post=dies)
    desk.now -= timedelta(days=365)
    desk.tick()
    assert len(desk.sent) == 1
