"""The proxy of the tests applies its toxics, as a plain socket sees it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from proof.serving import serving

from support.proxy import BAD, GOOD, Proxy

BODY = "ü" * 400


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with serving() as server:
        server.body = BODY.encode()
        found = Proxy(server.base_url)
        with found.running():
            yield found


def received(proxy: Proxy, seconds: float = 5.0) -> tuple[bytes, str, int]:
    """The received bytes, how they ended, and in how many pieces."""
    parts = urlsplit(proxy.base_url)
    address = (parts.hostname or "", parts.port or 0)
    with socket.create_connection(address, timeout=seconds) as client:
        client.sendall(b"GET /api/?start_time=2026-11-07T01:00:00 HTTP/1.1\r\nHost: x\r\n\r\n")
        came, pieces = b"", 0
        try:
            while piece := client.recv(100_000):
                came, pieces = came + piece, pieces + 1
        except TimeoutError:
            return came, "silence", pieces
        except ConnectionResetError:
            return came, "reset", pieces
        return came, "end", pieces


def whole(came: bytes) -> bool:
    return came.startswith(b"HTTP/1.1 200") and came.endswith(BODY.encode())


@pytest.mark.parametrize("toxic", sorted(GOOD.keys() - {"death after"}))
def test_a_good_reply_passes(proxy: Proxy, toxic: str) -> None:
    proxy.plan = lambda *_: toxic
    came, ended, pieces = received(proxy)
    assert whole(came)
    assert ended == "end"
    assert toxic not in ("slices", "bandwidth") or pieces > 5
    assert proxy.asked == {"2026-11-07T01:00:00": 1}


@pytest.mark.parametrize(
    ("toxic", "end", "has_head"),
    [
        ("stall", "silence", True),
        ("mute", "silence", False),
        ("trickle", "silence", True),
        ("reset before", "reset", False),
        ("close before", "end", False),
        ("reset in the head", "reset", True),
        ("reset in the body", "reset", True),
        ("close in the body", "end", True),
    ],
)
def test_a_bad_reply_ends_as_its_name_states(
    proxy: Proxy, toxic: str, end: str, has_head: bool
) -> None:
    proxy.plan = lambda *_: toxic
    came, ended, pieces = received(proxy, 0.4 if toxic != "trickle" else 0.02)
    assert ended == end
    assert bool(came) is has_head or toxic == "reset in the head"
    assert not whole(came)
    assert toxic != "trickle" or pieces == len(came)


def test_every_toxic_is_tried_here() -> None:
    assert len(BAD) == 8


def test_a_kept_connection_ends_at_the_next_request(proxy: Proxy) -> None:
    proxy.plan = lambda *_: "death after"
    parts = urlsplit(proxy.base_url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=5) as client:
        client.sendall(b"GET /api/ HTTP/1.1\r\nHost: x\r\n\r\n")
        came = b""
        while not whole(came):
            came += client.recv(100_000)
        client.sendall(b"GET /api/ HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_the_plan_distinguishes_hours_and_attempts(proxy: Proxy) -> None:
    proxy.forget(lambda _, attempt: "close before" if attempt == 1 else "none")
    assert [whole(received(proxy)[0]) for _ in range(2)] == [False, True]
    assert proxy.asked == {"2026-11-07T01:00:00": 2}
