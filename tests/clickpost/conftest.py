"""Two doubles of the API for this room: a mock transport for verdicts, raw sockets for the wire."""

from __future__ import annotations

import json
import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from returns_orchestration.clickpost import ClickPostClient, InFile, Timeouts
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOW = datetime(2026, 11, 9, 12, 30, tzinfo=UTC)


@dataclass
class FakeTime:
    """Monotonic seconds that pass only by sleeping; ``slept`` keeps every sleep."""

    now: float = 1_000.0
    slept: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@dataclass
class Asked:
    """A client whose scripted replies come from memory, and the requests it sent."""

    client: ClickPostClient
    requests: list[httpx.Request]
    time: FakeTime


@dataclass
class Loopback:
    """A server of raw bytes on a loopback port.

    Each request takes the next step of the script: bytes are sent as they are and the connection
    stays open, a callable gets the socket and the connection ends after it.
    """

    steps: list[Any]
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/api"
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def _accept(self) -> None:
        while not self.stop.is_set():
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while head := self._head(connection):
                self.requests.append(head)
                step = self.steps.pop(0)
                if callable(step):
                    step(connection)
                    return
                connection.sendall(step)

    @staticmethod
    def _head(connection: socket.socket) -> bytes:
        head = b""
        while b"\r\n\r\n" not in head:
            part = connection.recv(65_536)
            if not part:
                return b""
            head += part
        return head

    def close(self) -> None:
        self.stop.set()
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(timeout=5)


def http(body: bytes, *head: str, status: str = "200 OK", length: int | None = None) -> bytes:
    """One HTTP/1.1 reply as bytes; ``length`` is a false Content-Length."""
    lines = [
        f"HTTP/1.1 {status}",
        *head,
        f"Content-Length: {len(body) if length is None else length}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def reset(connection: socket.socket) -> None:
    """Close with a TCP reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.fixture
def window() -> Window:
    return Window(datetime(2026, 11, 9, 11, tzinfo=UTC))


@pytest.fixture
def canaries() -> tuple[str, str]:
    """A key and a user name whose every written form differs."""
    return "key-canary&7+100%/é x", "user canary<4>+"


@pytest.fixture
def envelope() -> Callable[..., bytes]:
    """Bytes of a good reply that holds the records given; keywords join ``meta``."""

    def made(*records: object, **meta: object) -> bytes:
        head = {"success": True, "message": "SUCCESS", "status": 200} | meta
        return json.dumps({"meta": head, "result": list(records)}).encode()

    return made


@pytest.fixture
def ask(canaries: tuple[str, str]) -> Iterator[Callable[..., Asked]]:
    """Make a client over scripted replies: a Response, bytes (HTTP 200), or an exception."""
    opened: list[ClickPostClient] = []

    def made(*script: Any, **options: Any) -> Asked:
        replies, requests, clock = list(script), [], FakeTime()

        def handle(request: httpx.Request) -> httpx.Response:
            requests.append(request)
            reply = replies.pop(0)
            if isinstance(reply, BaseException):
                raise reply
            return httpx.Response(200, content=reply) if isinstance(reply, bytes) else reply

        file = options.pop("rate_limit_file", None)
        chosen = {
            "zone": ZoneInfo("UTC"),
            "max_requests_per_second": 1e9,
            "rate_limit_in": file and InFile(file, clock.monotonic),
            "clock": lambda: NOW,
            "sleep": clock.sleep,
            "monotonic": clock.monotonic,
            "uniform": lambda _low, high: high,
            "transport": httpx.MockTransport(handle),
        } | options
        client = ClickPostClient("https://api.example/api", lambda: canaries, **chosen)
        opened.append(client)
        return Asked(client, requests, clock)

    yield made
    for client in opened:
        client.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Loopback]]:
    """Start a loopback server with the steps given."""
    started: list[Loopback] = []

    def made(*steps: Any) -> Loopback:
        started.append(Loopback(list(steps)))
        return started[-1]

    yield made
    for server in started:
        server.close()


@pytest.fixture
def connect(
    canaries: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., ClickPostClient]]:
    """Make a client for a real address, without waits between requests, with short timeouts."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    opened: list[ClickPostClient] = []

    def made(url: str, **options: Any) -> ClickPostClient:
        chosen = {
            "zone": ZoneInfo("UTC"),
            "max_requests_per_second": 1e9,
            "sleep": lambda _seconds: None,
            "timeouts": Timeouts(connect=5, read=0.3, write=5, pool=5, total=5),
        } | options
        opened.append(ClickPostClient(url, lambda: canaries, **chosen))
        return opened[-1]

    yield made
    for client in opened:
        client.close()


@pytest.fixture
def reply_bytes() -> Callable[..., bytes]:
    return http


@pytest.fixture
def tcp_reset() -> Callable[[socket.socket], None]:
    return reset
