from __future__ import annotations

import json
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from returns_orchestration.simulator import (
    Dataset,
    Sender,
    SentWebhook,
    SimulatorOptions,
    WebhookOptions,
    Webhooks,
)
from returns_orchestration.simulator import webhooks as module

START = datetime(2026, 11, 9, 6, tzinfo=UTC)
DAY = START, START + timedelta(hours=24)
OPTIONS = SimulatorOptions(returns_per_hour=20, rhythm=False, oddities=0.0)


def sent(options: SimulatorOptions = OPTIONS, **of_webhooks: Any) -> list[SentWebhook]:
    return Webhooks(Dataset(options), WebhookOptions(**of_webhooks)).of_returns(*DAY)


def test_each_return_has_one_event_that_it_was_placed() -> None:
    events = sent()
    truth = Dataset(OPTIONS).returns_between(*DAY, START + timedelta(days=30))
    placed = [event for event in events if event.is_placed]
    assert sorted(event.reference for event in placed) == sorted(r.reference for r in truth)
    by_reference = {found.reference: found.requested_at for found in truth}
    for event in placed:
        assert event.event_at == event.requested_at == by_reference[event.reference]
        assert event.code == 101


def test_later_states_follow_and_can_be_left_out() -> None:
    codes = Counter(event.code for event in sent())
    assert {101, 102, 28, 4, 8} <= codes.keys()
    assert all(event.event_at > event.requested_at for event in sent() if not event.is_placed)
    assert 102 not in {event.code for event in sent(states=False)}


def test_the_same_options_give_the_same_webhooks() -> None:
    assert sent(loss=0.2, twice=0.2) == sent(loss=0.2, twice=0.2)


def test_a_share_is_lost_and_a_share_is_sent_twice() -> None:
    events = sent(loss=0.1, twice=0.3)
    lost = sum(event.is_lost for event in events) / len(events)
    twice = sum(len(event.sent_at) == 2 for event in events) / len(events)
    assert 0.06 < lost < 0.14
    assert 0.2 < twice < 0.35
    assert not [event for event in sent() if event.is_lost]


def test_another_share_of_losses_changes_no_other_event() -> None:
    few, many = sent(loss=0.1), sent(loss=0.5)
    kept = {(event.reference, event.code): event for event in many if not event.is_lost}
    assert all(
        kept[event.reference, event.code] == event
        for event in few
        if (event.reference, event.code) in kept
    )
    assert {(e.reference, e.code) for e in few if e.is_lost} <= {
        (e.reference, e.code) for e in many if e.is_lost
    }


def test_the_delay_is_within_its_bounds_and_shuffling_mixes_the_order() -> None:
    delay = timedelta(minutes=1), timedelta(minutes=2)
    for event in sent(delay=delay):
        assert delay[0] <= event.sent_at[0] - event.event_at <= delay[1]
    placed = [event for event in sent(delay=delay, shuffle=True) if event.is_placed]
    times = [event.sent_at[0] for event in placed]
    assert times != sorted(times)


def test_both_shapes_hold_the_payload() -> None:
    shapes: Counter[str] = Counter()
    for event in sent():
        body = json.loads(event.body)
        shapes["wrapped" if "payload" in body else "bare"] += 1
        payload = body.get("payload", body)
        assert payload["clickpost_status_code"] == event.code
        assert payload["additional"]["return_reference_number"] == event.reference
        assert payload["additional"]["is_rvp"] is True
    assert min(shapes.values()) > 100
    assert all(b'"internal"' not in event.body for event in sent(shape="bare"))
    assert all(b'"internal"' in event.body for event in sent(shape="wrapped"))


def test_the_webhooks_of_odd_records_are_plain() -> None:
    events = sent(SimulatorOptions(returns_per_hour=100, rhythm=False, oddities=1.0), shape="bare")
    assert {json.loads(event.body)["notification_event_id"] for event in events} >= {11}
    assert all(json.loads(event.body)["additional"]["is_rvp"] for event in events)


def test_what_polls_cannot_use_has_no_webhook() -> None:
    options = SimulatorOptions(returns_per_hour=20, rhythm=False, unusable=0.5)
    usable = [
        found
        for found in Dataset(options).returns_between(*DAY, START + timedelta(days=30))
        if found.usable
    ]
    assert {event.reference for event in sent(options)} == {found.reference for found in usable}


@pytest.mark.parametrize(
    "wrong",
    [
        {"loss": 1.1},
        {"twice": -0.1},
        {"delay": (timedelta(1), timedelta(0))},
        {"delay": (timedelta(-1), timedelta(0))},
        {"shape": "round"},
    ],
)
def test_impossible_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        WebhookOptions(**wrong)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(minutes=10)
        return self.now


def test_a_sender_posts_each_once_and_repeats_what_is_not_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.001)
    bodies: list[bytes] = []
    keys: set[str] = set()
    refused: set[bytes] = set()
    enough = threading.Event()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            keys.add(self.headers["webhook_key"])
            is_first = body not in refused
            refused.add(body)
            if not is_first:
                bodies.append(body)
            self.send_response(503 if is_first else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()
            if len(bodies) >= 60:
                enough.set()

        def log_message(self, *_: object) -> None:
            pass

    options = WebhookOptions(states=False)
    webhooks = Webhooks(Dataset(OPTIONS), options)
    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        clock = Clock()
        url = f"http://127.0.0.1:{server.server_port}/"
        sender = Sender(webhooks, url, "a key", clock)
        sender.start()
        assert enough.wait(60)
        sender.stop()
        server.shutdown()
        thread.join()
    assert keys == {"a key"}
    assert len(bodies) == len(set(bodies))
    expected = {event.body for event in webhooks.of_returns(START, clock.now)}
    assert set(bodies) <= expected
