from __future__ import annotations

import gzip
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from support.receivers import KEY, Listening, bodies, deliveries, listening

from returns_orchestration.receiver import app, connection

BODY = b'{"additional": {"return_reference_number": "8181801668674708"}}'


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Listening]:
    with listening(tmp_path, keys=("an-old-key", KEY)) as found:
        yield found


def send(receiver: Listening, request: bytes) -> bytes:
    """The answer to a request given byte for byte, until the receiver closes the connection."""
    url = httpx.URL(receiver.url)
    with socket.create_connection((url.host, url.port or 80), timeout=30) as connection:
        connection.sendall(request)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return answer


def kept(tmp_path: Path) -> list[bytes]:
    return bodies(tmp_path / "lake")


@pytest.mark.parametrize(
    "headers",
    [
        {"webhook_key": KEY},
        {"webhook_key": "an-old-key"},
        {"Webhook-Key": KEY},
        {"Authorization": KEY},
        {"Authorization": f"Bearer {KEY}"},
        {"Authorization": "Basic of-a-proxy", "webhook_key": KEY},
    ],
    ids=str,
)
def test_a_right_key_is_answered_with_200_and_no_body(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    with listening(tmp_path, keys=("an-old-key", KEY)) as receiver:
        answer = receiver.client.post(receiver.url, content=BODY, headers=headers)
        assert (answer.status_code, answer.content) == (200, b"")
    assert kept(tmp_path) == [BODY]


@pytest.mark.parametrize("path", ["", "/", "/t/" + KEY, "/t/" + KEY + "/"])
def test_the_path_may_end_with_a_slash_and_hold_the_key(tmp_path: Path, path: str) -> None:
    with listening(tmp_path) as receiver:
        headers = {} if KEY in path else {"webhook_key": KEY}
        answer = receiver.client.post(receiver.url + path, content=BODY, headers=headers)
        assert answer.status_code == 200
    assert kept(tmp_path) == [BODY]


def test_a_key_in_the_path_may_be_encoded(tmp_path: Path) -> None:
    with listening(tmp_path, keys=("a/key%?",)) as receiver:
        answer = receiver.client.post(f"{receiver.url}/t/a%2Fkey%25%3F", content=BODY)
        assert answer.status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("POST", "", {}, 401),
        ("POST", "", {"webhook_key": "wrong"}, 401),
        ("POST", "", {"webhook_key": KEY[:-1]}, 401),
        ("POST", "", {"webhook_key": ""}, 401),
        ("POST", "/t/wrong", {}, 401),
        ("POST", "/t/", {}, 404),
        ("POST", "/t", {"webhook_key": KEY}, 404),
        ("POST", f"/t/{KEY}/more", {}, 404),
        ("POST", "/other", {"webhook_key": KEY}, 404),
        ("GET", "", {"webhook_key": KEY}, 405),
        ("PUT", "", {"webhook_key": KEY}, 405),
        ("DELETE", "", {"webhook_key": KEY}, 405),
        ("HEAD", "", {"webhook_key": KEY}, 405),
        ("OPTIONS", "", {}, 405),
        ("POST", "", {"webhook_key": KEY, "Content-Encoding": "br"}, 415),
        ("POST", "", {"webhook_key": KEY, "Content-Encoding": "gzip, gzip"}, 415),
    ],
    ids=str,
)
def test_any_other_request_is_refused_and_not_kept(
    tmp_path: Path, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    with listening(tmp_path) as receiver:
        answer = receiver.client.request(
            method, receiver.url + path, content=BODY, headers=headers, follow_redirects=False
        )
        assert answer.status_code == status
        assert answer.content == b""
        assert answer.headers["connection"] == "close"
    assert kept(tmp_path) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[1, 2]",
        b'{"waybill": "forward"}',
        b"\xff\xfe\x00 no UTF-8",
        b"\x00\xef\xbb\xbf{}\r\n",
        b'{"a": "' + b"x" * 99_000 + b'"}',
    ],
    ids=lambda body: body[:20],
)
def test_what_comes_with_the_key_is_kept_byte_for_byte(tmp_path: Path, body: bytes) -> None:
    with listening(tmp_path) as receiver:
        assert receiver.post(body).status_code == 200
    assert kept(tmp_path) == [body]


def test_a_gzip_body_is_kept_inflated(tmp_path: Path) -> None:
    with listening(tmp_path) as receiver:
        whole = gzip.compress(BODY)
        halves = gzip.compress(BODY[:10]) + gzip.compress(BODY[10:])
        for content in (whole, halves):
            answer = receiver.post(content, **{"Content-Encoding": "gzip"})
            assert answer.status_code == 200
    assert kept(tmp_path) == [BODY, BODY]


def test_a_broken_gzip_body_is_kept_as_it_came(tmp_path: Path) -> None:
    broken = gzip.compress(BODY)[:-9]
    with listening(tmp_path) as receiver:
        assert receiver.post(broken, **{"Content-Encoding": "gzip"}).status_code == 200
    assert kept(tmp_path) == [broken]


@pytest.mark.parametrize("how", ["length", "chunks", "gzip"])
def test_a_body_that_is_too_large_gets_413_and_is_not_kept(tmp_path: Path, how: str) -> None:
    large = b"0" * 100_001
    with listening(tmp_path) as receiver:
        if how == "gzip":
            answer = receiver.post(gzip.compress(large), **{"Content-Encoding": "gzip"})
        elif how == "chunks":
            parts = iter([large[:50_000], large[50_000:]])
            answer = receiver.client.post(receiver.url, content=parts, headers={"webhook_key": KEY})
        else:
            answer = receiver.post(large)
        assert answer.status_code == 413
        assert receiver.post(b"0" * 100_000).status_code == 200
    assert len(kept(tmp_path)) == 1


def test_a_body_that_does_not_come_gets_408(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "BODY_SECONDS", 0.3)
    with listening(tmp_path) as receiver:
        answer = send(
            receiver,
            b"POST /clickpost HTTP/1.1\r\nHost: a\r\nwebhook_key: " + KEY.encode() + b"\r\n"
            b"Content-Length: 10\r\n\r\n123",
        )
        assert answer.startswith(b"HTTP/1.1 408 ")
    assert kept(tmp_path) == []


def test_a_head_that_does_not_end_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.3)
    with listening(tmp_path) as receiver:
        assert send(receiver, b"") == b""
        assert send(receiver, b"POST /clickpost HTTP/1.1\r\nHost: a\r\nX: ") == b""
        assert receiver.post(BODY).status_code == 200


@pytest.mark.parametrize("where", ["one header", "many headers", "after the body"])
def test_a_request_with_too_much_around_its_body_is_closed(receiver: Listening, where: str) -> None:
    head = b"POST /clickpost HTTP/1.1\r\nHost: a\r\nwebhook_key: " + KEY.encode() + b"\r\n"
    sent = {
        "one header": head + b"X: " + b"x" * 200_000,
        "many headers": head + b"X: x\r\n" * 40_000,
        "after the body": head
        + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n"
        + b"X: x\r\n" * 40_000,
    }[where]
    try:
        answer = send(receiver, sent)
    except (ConnectionResetError, BrokenPipeError):
        answer = b""
    assert not answer.startswith(b"HTTP/1.1 200")
    assert receiver.post(BODY).status_code == 200


def test_wrong_keys_are_counted_and_a_right_one_always_passes(receiver: Listening) -> None:
    statuses = [
        receiver.client.post(receiver.url, headers={"webhook_key": "wrong"}).status_code
        for _ in range(app.WRONG_KEYS_A_MINUTE + 3)
    ]
    assert statuses == [401] * app.WRONG_KEYS_A_MINUTE + [429] * 3
    assert receiver.post(BODY).status_code == 200


def test_the_addresses_of_wrong_keys_are_bounded() -> None:
    counts = app._WrongKeys()
    for number in range(3 * app.ADDRESSES):
        assert counts.may_be_told(f"address {number}", 0.0)
    assert len(counts._counts) <= app.ADDRESSES


def test_a_redelivery_is_marked(tmp_path: Path) -> None:
    with listening(tmp_path) as receiver:
        receiver.post(BODY)
        receiver.post(BODY, **{"X-Returns-Redelivered": "1"})
    assert deliveries(tmp_path / "lake").get_column("redelivered").to_list() == [False, True]


def test_health_is_200_for_all_and_has_no_figures(receiver: Listening) -> None:
    url = receiver.url.replace("/clickpost", "/health")
    answer = receiver.client.get(url)
    assert (answer.status_code, answer.content) == (200, b"")
    assert receiver.client.post(url).status_code == 405


def test_one_connection_takes_many_requests(receiver: Listening) -> None:
    request = (
        b"POST /clickpost HTTP/1.1\r\nHost: a\r\nwebhook_key: "
        + KEY.encode()
        + b"\r\nContent-Length: 2\r\n\r\n{}"
    )
    last = request.replace(b"Host: a", b"Host: a\r\nConnection: close")
    answer = send(receiver, request * 10 + last)
    assert answer.count(b"HTTP/1.1 200 OK") == 11


def test_requests_that_pile_up_on_one_connection_end_it(receiver: Listening) -> None:
    try:
        answer = send(receiver, b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n" * 8_000)
    except ConnectionResetError:
        answer = b""
    assert answer.count(b"HTTP/1.1 200 OK") <= connection.MOST_PIPELINED + 1
    assert receiver.post(BODY).status_code == 200


def test_white_space_alone_keeps_no_connection_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.3)
    with listening(tmp_path) as receiver:
        health = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
        url = httpx.URL(receiver.url)
        with socket.create_connection((url.host, url.port or 80), timeout=30) as open_one:
            open_one.sendall(health)
            assert open_one.recv(65536).startswith(b"HTTP/1.1 200")
            open_one.sendall(b"\r\n")
            assert open_one.recv(65536) == b""


def test_a_gzip_body_of_many_members_is_kept_as_it_came(tmp_path: Path) -> None:
    many = gzip.compress(b"") * (app.MOST_MEMBERS + 1)
    with listening(tmp_path) as receiver:
        assert receiver.post(many, **{"Content-Encoding": "gzip"}).status_code == 200
    assert kept(tmp_path) == [many]


def test_bytes_in_flight_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "BYTES_IN_FLIGHT", 1_000)
    with listening(tmp_path) as receiver:
        refused = receiver.post(b"0" * 1_001)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "30")
        assert receiver.post(b"0" * 1_000).status_code == 200
        bomb = gzip.compress(b"0" * 1_001)
        assert receiver.post(bomb, **{"Content-Encoding": "gzip"}).status_code == 503
        assert receiver.post(b"0" * 1_000).status_code == 200
    assert len(kept(tmp_path)) == 2
