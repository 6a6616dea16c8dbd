"""Real sockets: faults of a server or of the network on a reply."""

from __future__ import annotations

import gzip
import socket
import ssl
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from returns_orchestration.clickpost import RetryPolicy, Timeouts
from returns_orchestration.clickpost.failures import in_our_words
from returns_orchestration.errors import (
    AnswerPending,
    CredentialsRefused,
    MalformedReply,
    NoConnection,
    RedirectRefused,
    SettingsError,
    Unreachable,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from returns_orchestration.window import Window

Serve = Connect = Any
Http = Any
ONCE = RetryPolicy(attempts=1)


def test_a_connection_is_reused(
    *, serve: Serve, connect: Connect, reply_bytes: Http, envelope: Any, window: Window
) -> None:
    server = serve(*[reply_bytes(envelope(number)) for number in range(5)])
    client = connect(server.url)
    assert [client.poll(window).records for _ in range(5)] == [(str(n),) for n in range(5)]
    assert (len(server.requests), server.connections) == (5, 1)
    assert server.requests[0].startswith(
        b"GET /api/v1/return_order_poll/?start_time=2026-11-09T11:00:00&end_time=2026-11-09T12:"
    )


def test_threads_open_no_more_connections_than_allowed(
    *, serve: Serve, connect: Connect, reply_bytes: Http, envelope: Any, window: Window
) -> None:
    server = serve(*[reply_bytes(envelope(1)) for _ in range(40)])
    client = connect(server.url, max_concurrency=3)
    with ThreadPoolExecutor(10) as pool:
        polls = list(pool.map(client.poll, [window] * 40))
    assert len(polls) == len(server.requests) == 40
    assert server.connections <= 3


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_compressed_replies_are_read(
    *, serve: Serve, connect: Connect, reply_bytes: Http, envelope: Any, window: Window, coding: str
) -> None:
    body = envelope({"name": "é" * 1_000})
    packed = gzip.compress(body) if coding == "gzip" else zlib.compress(body)
    server = serve(reply_bytes(packed, f"Content-Encoding: {coding}"))
    poll = connect(server.url).poll(window)
    assert poll.bytes == len(body) > len(packed)
    assert b"accept-encoding: gzip" in server.requests[0].lower()


def chunked(*parts: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)


def test_chunked_replies_are_read(
    serve: Serve, connect: Connect, envelope: Any, window: Window
) -> None:
    body = envelope(1, 2)
    server = serve(chunked(body[:9], body[9:]) + b"0\r\n\r\n")
    assert connect(server.url).poll(window).records == ("1", "2")


def sends(data: bytes, end: Callable[[socket.socket], None] = socket.socket.close) -> Any:
    def step(connection: socket.socket) -> None:
        connection.sendall(data)
        end(connection)

    return step


def test_truncated_replies_are_transient(
    *,
    serve: Serve,
    connect: Connect,
    reply_bytes: Http,
    envelope: Any,
    window: Window,
    tcp_reset: Any,
) -> None:
    body = envelope({"a": 1})
    whole = reply_bytes(body)
    steps = {
        "shorter than announced": (sends(reply_bytes(body, length=len(body) + 9)), Unreachable),
        "chunk missing": (sends(chunked(body)), Unreachable),
        "no reply": (sends(b""), Unreachable),
        "no http": (sends(b"220 smtp.example ESMTP\r\n"), Unreachable),
        "reset": (sends(whole[:-5], tcp_reset), Unreachable),
        "cut, and closed as if complete": (
            sends(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body[:-1]),
            MalformedReply,
        ),
        "length too small": (sends(reply_bytes(body, length=len(body) - 3)), MalformedReply),
        "empty": (reply_bytes(b""), MalformedReply),
        "cut gzip": (
            reply_bytes(gzip.compress(body)[:-12], "Content-Encoding: gzip"),
            MalformedReply,
        ),
        "no gzip": (reply_bytes(body, "Content-Encoding: gzip"), MalformedReply),
    }
    for name, (step, kind) in steps.items():
        with pytest.raises(kind) as caught:
            connect(serve(step).url, retry=ONCE).poll(window)
        assert type(caught.value) is kind, name
    for name, (step, _) in steps.items():
        server = serve(step, whole)
        poll = connect(server.url).poll(window)
        assert poll.records == ('{"a": 1}',), name
        # A socket closed just after a complete reply may cost one more request.
        assert poll.requests in (2, 3), name


@pytest.mark.parametrize("status", ["202 Accepted", "204 No Content", "206 Partial Content"])
def test_only_200_is_an_answer(
    *, serve: Serve, connect: Connect, reply_bytes: Http, envelope: Any, window: Window, status: str
) -> None:
    body = b"" if status.startswith("204") else envelope()
    server = serve(reply_bytes(body, status=status), reply_bytes(envelope(1)))
    assert connect(server.url).poll(window).records == ("1",)
    with pytest.raises(AnswerPending):
        connect(serve(reply_bytes(body, status=status)).url, retry=ONCE).poll(window)


def test_a_refused_key_counts_although_its_page_is_truncated(
    serve: Serve, connect: Connect, reply_bytes: Http, window: Window
) -> None:
    server = serve(sends(reply_bytes(b"<ht", status="403 Forbidden", length=900)))
    with pytest.raises(CredentialsRefused):
        connect(server.url).poll(window)
    assert len(server.requests) == 1


def test_a_redirect_is_never_followed(
    serve: Serve, connect: Connect, reply_bytes: Http, window: Window
) -> None:
    elsewhere = serve()
    server = serve(reply_bytes(b"", f"Location: {elsewhere.url}?key=1", status="302 Found"))
    with pytest.raises(RedirectRefused, match=r"http://127.0.0.1 \(HTTP 302"):
        connect(server.url).poll(window)
    assert (len(server.requests), elsewhere.connections) == (1, 0)


def test_a_silent_server_is_reported_with_the_time_waited(
    serve: Serve, connect: Connect, window: Window
) -> None:
    server = serve()
    server.steps.append(lambda _connection: server.stop.wait(5))
    with pytest.raises(Unreachable, match=r"no reply within 0\.3 s"):
        connect(server.url, retry=ONCE).poll(window)


@pytest.mark.parametrize("place", ["head", "body"])
def test_a_trickle_ends_at_the_total_time(
    serve: Serve, connect: Connect, window: Window, place: str
) -> None:
    """Each byte comes well within the read time-out; only the total bounds the whole."""
    server = serve()
    sent: list[bytes] = []

    def trickle(connection: socket.socket) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n"
        connection.sendall(head + (b"\r\n" if place == "body" else b"X-Slow: "))
        while not server.stop.wait(0.02) and len(sent) < 500:
            connection.sendall(b"a")
            sent.append(b"a")

    server.steps.append(trickle)
    times = Timeouts(connect=5, read=5, write=5, pool=5, total=0.3)
    with pytest.raises(Unreachable, match=r"not complete within 0\.3 s"):
        connect(server.url, retry=ONCE, timeouts=times).poll(window)
    assert 2 <= len(sent) < 100


def test_a_closed_port_is_named(connect: Connect, window: Window) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Unreachable, match=f"127.0.0.1:{port}: connection refused"):
        connect(f"http://127.0.0.1:{port}", retry=ONCE).poll(window)


def test_a_reset_while_waiting_is_named(
    serve: Serve, connect: Connect, window: Window, tcp_reset: Any
) -> None:
    with pytest.raises(Unreachable, match="connection reset"):
        connect(serve(tcp_reset).url, retry=ONCE).poll(window)


@pytest.mark.parametrize(
    ("root", "words"),
    [
        (socket.gaierror(-2, "key=1"), "host name not found"),
        (ssl.SSLCertVerificationError(1, "key=1"), "certificate not accepted"),
        (ssl.SSLError(1, "key=1"), "no secure connection"),
        (OSError(113, "key=1"), "no connection"),
    ],
)
def test_causes_are_named_by_their_type(root: OSError, words: str) -> None:
    failure = httpx.ConnectError("key=1")
    failure.__cause__ = root
    error = in_our_words(failure, "api.example", Timeouts())
    assert (type(error), error.cause) == (NoConnection, f"api.example: {words}.")


def test_a_proxy_from_the_environment_is_used_and_bounded(
    *,
    serve: Serve,
    connect: Connect,
    reply_bytes: Http,
    envelope: Any,
    window: Window,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proxy = serve(reply_bytes(envelope(1)))
    monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/api"))
    poll = connect("http://api.invalid/api").poll(window)
    assert poll.records == ("1",)
    assert proxy.requests[0].startswith(b"GET http://api.invalid/api/v1/return_order_poll/?")


@pytest.mark.parametrize("address", ["nonsense://canary:1", "http://canary:port"])
def test_an_invalid_proxy_is_named_by_its_variable(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("http_proxy", address)
    with pytest.raises(SettingsError, match="HTTPS_PROXY, HTTP_PROXY") as caught:
        connect("http://api.invalid/api")
    assert "canary" not in str(caught.value)
    assert caught.value.__context__ is None


def test_the_no_proxy_variable_is_honoured(
    *,
    serve: Serve,
    connect: Connect,
    reply_bytes: Http,
    envelope: Any,
    window: Window,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = serve(reply_bytes(envelope(1)))
    monkeypatch.setenv("http_proxy", "http://proxy.invalid:3128")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert connect(server.url).poll(window).records == ("1",)
