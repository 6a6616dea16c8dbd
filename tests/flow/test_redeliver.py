"""Lost webhooks sent after all: what is sent, how often, and what an attempt without answer is."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flow.conftest import FakeApi
from support.records import at, returned
from support.webhooks import pipeline, received, receiver_note, rows, webhook

from returns_orchestration import tables
from returns_orchestration.flow.redeliver import (
    BLANKED,
    DONE,
    UNCERTAIN,
    Outcome,
    Redeliverer,
    Target,
    payload_text,
)
from returns_orchestration.lake import Lake
from returns_orchestration.stages.erasure import ERASED
from returns_orchestration.stages.typing import RecordReader
from returns_orchestration.state.verify import Verifier
from returns_orchestration.window import Window

HOUR = Window(at(11))
KEY = "key-of-the-other"
A, B, C = (returned(name, at(11, minute)) for name, minute in (("A", 10), ("B", 20), ("C", 30)))


class Other:
    """A system that waits for webhooks; ``answers`` are its status codes, 0 for no answer."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        other = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = other.answers.pop(0) if other.answers else 200
                if not status:
                    self.close_connection = True
                    return
                other.bodies.append(body)
                other.headers.append({k.lower(): v for k, v in self.headers.items()})
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/in"

    @property
    def references(self) -> list[str]:
        return [json.loads(b)["additional"]["return_reference_number"] for b in self.bodies]


@pytest.fixture
def other() -> Iterator[Other]:
    found = Other()
    thread = threading.Thread(target=found.server.serve_forever, args=(0.01,))
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


@pytest.fixture
def lost(lake: Lake) -> Lake:
    """A lake in which the webhooks of A, B and C were lost, and that of D was not."""
    told = returned("D", at(11, 40))
    records = [A, B, C, told]
    for record in records:
        payload = record["webhook_payload"]
        payload["additional"]["return_reference_number"] = record["return_reference_number"]
    FakeApi(lambda _: records, always_at=at(12, 10)).run(lake, [HOUR])
    received(lake, (at(11, 41), webhook(told)))
    pipeline(lake, at(19)).run()
    return lake


def redeliverer(lake: Lake, url: str, pauses: list[float] | None = None) -> Redeliverer:
    sleep: Callable[[float], None] = (pauses if pauses is not None else []).append
    return Redeliverer(lake, RecordReader(ZoneInfo("UTC")), Target(url, KEY), sleep)


def send(lake: Lake, url: str) -> Outcome:
    many = redeliverer(lake, url)
    return many.send([HOUR])


def test_the_payloads_are_sent_as_a_poll_served_them_oldest_first(lost: Lake, other: Other) -> None:
    pauses: list[float] = []
    many = redeliverer(lost, other.url, pauses)

    outcome = many.send([HOUR])

    assert (outcome.accepted, outcome.refused, outcome.uncertain) == (3, {}, [])
    assert other.references == ["A", "B", "C"]
    (kept,) = lost.names().hour(HOUR).polls
    assert other.bodies[0].decode() in lost.polls.served(kept)[0], "byte for byte"
    assert {headers["webhook_key"] for headers in other.headers} == {KEY}
    assert {headers["x-returns-redelivered"] for headers in other.headers} == {"1"}
    assert [0.1 < pause <= 0.2 for pause in pauses] == [True] * 3


def test_what_was_delivered_is_not_sent_again_but_to_another(lost: Lake, other: Other) -> None:
    send(lost, other.url)
    assert [one.why_not for one in redeliverer(lost, other.url).lost([HOUR])] == [DONE] * 3
    assert send(lost, other.url).accepted == 0
    assert send(lost, f"{other.url}/other").accepted == 3
    assert list(Verifier(lost, ZoneInfo("UTC")).everything()) == []


def test_one_without_an_answer_is_sent_once_more(lost: Lake, other: Other) -> None:
    other.answers = [200, 0]
    outcome = send(lost, other.url)
    assert (outcome.accepted, outcome.why) == (3, "")
    assert other.references == ["A", "B", "C"]


def test_after_two_without_an_answer_it_stops_and_the_return_is_uncertain(
    lost: Lake, other: Other
) -> None:
    other.answers = [200, 0, 0]
    outcome = send(lost, other.url)
    assert outcome.accepted == 1
    assert [one.reference for one in outcome.uncertain] == ["B"]
    assert (outcome.left, outcome.why) == (1, "two attempts had no answer")

    again = send(lost, other.url)

    assert (again.accepted, again.why) == (1, "")
    assert [one.why_not for one in again.uncertain] == [UNCERTAIN]
    assert other.references == ["A", "C"]


def test_an_attempt_that_was_killed_counts_as_one_without_an_answer(
    lost: Lake, other: Other
) -> None:
    (first, *_) = redeliverer(lost, other.url).lost([HOUR])
    for attempt in (1, 2):
        name = next(iter(_names(lost, other.url)))
        lost.redelivered.note(HOUR, name, attempt, "begun")
        found = next(redeliverer(lost, other.url).lost([HOUR]))
        assert found.why_not == ("" if attempt == 1 else UNCERTAIN)
    assert found.reference == first.reference


def _names(lake: Lake, url: str) -> list[str]:
    from returns_orchestration.lake.redelivered import name_of  # noqa: PLC0415

    lost = redeliverer(lake, url).lost([HOUR])
    return [name_of(one.window, url, one.reference) for one in lost]


def test_after_ten_refusals_it_stops(lake: Lake, other: Other) -> None:
    records = [returned(f"R{n:02d}", at(11, n)) for n in range(12)]
    FakeApi(lambda _: records, always_at=at(12, 10)).run(lake, [HOUR])
    lake.webhooks.note(receiver_note())
    pipeline(lake, at(19)).run()
    other.answers = [503] * 10
    outcome = send(lake, other.url)
    assert (len(outcome.refused), outcome.left) == (10, 2)
    assert outcome.why == "10 were refused in a row, the last with 503"
    assert send(lake, other.url).accepted == 12, "a refusal is an answer: it may be sent again"


def test_those_that_are_refused_each_time_keep_no_other_from_being_sent(
    lake: Lake, other: Other
) -> None:
    records = [returned(f"R{n:02d}", at(11, n)) for n in range(15)]
    for record in records:
        payload = record["webhook_payload"]
        payload["additional"]["return_reference_number"] = record["return_reference_number"]
    FakeApi(lambda _: records, always_at=at(12, 10)).run(lake, [HOUR])
    lake.webhooks.note(receiver_note())
    pipeline(lake, at(19)).run()
    other.answers = [422] * 10
    assert send(lake, other.url).left == 5
    other.answers = [200] * 5 + [422] * 10
    outcome = send(lake, other.url)
    assert outcome.accepted == 5
    assert [reference for _, reference in outcome.refused] == [f"R{n:02d}" for n in range(10)]
    assert other.references[10:15] == [f"R{n:02d}" for n in range(10, 15)]


def test_one_that_is_accepted_begins_the_row_of_refusals_anew(lake: Lake, other: Other) -> None:
    records = [returned(f"R{n:02d}", at(11, n)) for n in range(19)]
    FakeApi(lambda _: records, always_at=at(12, 10)).run(lake, [HOUR])
    lake.webhooks.note(receiver_note())
    pipeline(lake, at(19)).run()
    other.answers = [422] * 9 + [200] + [422] * 9
    outcome = send(lake, other.url)
    assert (outcome.accepted, len(outcome.refused), outcome.why) == (1, 18, "")


def test_a_target_that_cannot_be_reached_makes_nothing_uncertain(lost: Lake) -> None:
    nowhere = "http://127.0.0.1:1/in"
    for _ in range(3):
        outcome = send(lost, nowhere)
        assert (outcome.accepted, outcome.uncertain, outcome.left) == (0, [], 3)
        assert outcome.why == "it cannot be reached: ConnectError"


def test_a_key_that_is_no_header_makes_nothing_uncertain(lost: Lake, other: Other) -> None:
    target = Target(other.url, "key\n")
    many = Redeliverer(lost, RecordReader(ZoneInfo("UTC")), target, lambda _: None)
    outcome = many.send([HOUR])
    assert (outcome.accepted, outcome.uncertain, outcome.left) == (0, [], 3)
    assert "LocalProtocolError" in outcome.why
    assert send(lost, other.url).accepted == 3


def test_a_person_who_was_forgotten_is_not_sent(lake: Lake, other: Other) -> None:
    blank = returned("A", at(11, 10), webhook_payload={"remark": ERASED})
    FakeApi(lambda _: [blank], always_at=at(12, 10)).run(lake, [HOUR])
    lake.webhooks.note(receiver_note())
    pipeline(lake, at(19)).run()
    assert [one.why_not for one in redeliverer(lake, other.url).lost([HOUR])] == [BLANKED]
    assert send(lake, other.url).accepted == 0
    assert other.bodies == []


def test_our_own_receiver_does_not_count_it_as_clickposts(lost: Lake, other: Other) -> None:
    send(lost, other.url)
    for number, body in enumerate(other.bodies, 50):
        received(lost, (at(19, 30), body), first=number, redelivered=True)
    pipeline(lost, at(19, 35)).run()
    found = rows(lost, tables.WEBHOOK_MATCHES, [HOUR])
    verdicts = {row["return_reference_number"]: row["verdict"] for row in found}
    assert verdicts == dict.fromkeys("ABC", "poll_only") | {"D": "both"}
    assert [row["redelivered"] for row in found] == [1, 1, 1, 0]
    assert all(row["sources"] == ["poll"] for row in rows(lost, tables.RETURNS, [HOUR])[:3])


@pytest.mark.parametrize(
    ("record", "text"),
    [
        ('{"a": 1, "webhook_payload":  {"b":1.0, "c": "é"} }', '{"b":1.0, "c": "é"}'),
        ('{"webhook_payload": "{\\"b\\": 1}"}', '{"b": 1}'),
        ('[{"webhook_payload": {"b": 1}}]', '{"b": 1}'),
        ('{"webhook_payload": null}', ""),
        ('{"webhook_payload": {}}', "{}"),
        ("no JSON", ""),
        ("", ""),
    ],
)
def test_the_payload_keeps_its_text(record: str, text: str) -> None:
    assert payload_text(record) == text
