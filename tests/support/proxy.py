"""A proxy on a real port between the client and an API, which spoils replies as networks do.

Each request is distinguished by its hour, and ``plan`` gives its fault. The reply is read whole
from the API, and the fault is applied byte by byte on a separate socket.
"""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

LONGEST = 10.0
"""Seconds after which a stalled connection is given up here: the client should have long before."""

Plan = Callable[[str, int], str]
_HOUR = re.compile(rb"start_time=([0-9T:%A-Fa-f-]+)")


class Broken(Exception):
    """The connection ends here; with a reset if ``hard``."""

    def __init__(self, *, hard: bool) -> None:
        super().__init__()
        self.hard = hard


class Proxy:
    """Passes requests on to ``upstream``; ``plan`` names the fault of the n-th one for an hour."""

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname or "", parts.port or 80)
        self._path = parts.path
        self._lock = threading.Lock()
        self._over = threading.Event()
        self.plan: Plan = lambda *_: "none"
        self.asked: Counter[str] = Counter()
        self.base_url = ""

    def forget(self, plan: Plan) -> None:
        """Restart the count of requests, and treat them by ``plan``."""
        with self._lock:
            self.plan, self.asked = plan, Counter()

    @contextmanager
    def running(self) -> Iterator[str]:
        """Serve in threads; yields the base URL."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.base_url = f"http://127.0.0.1:{listener.getsockname()[1]}{self._path}"
            thread = threading.Thread(target=self._accept, args=(listener,), daemon=True)
            thread.start()
            try:
                yield self.base_url
            finally:
                self._over.set()
                with suppress(OSError):
                    listener.shutdown(socket.SHUT_RDWR)
                thread.join(LONGEST)

    def _accept(self, listener: socket.socket) -> None:
        while not self._over.is_set():
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        hard = False
        with client, suppress(OSError):
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                self._one(client)
            except Broken as end:
                hard = end.hard
            if hard:  # a reset in place of an end
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _one(self, client: socket.socket) -> None:
        """One request and its outcome; a connection serves no second one."""
        request = b""
        while b"\r\n\r\n" not in request:
            received = client.recv(65_536)
            if not received:
                return
            request += received
        asked = _HOUR.search(request)
        hour = asked[1].decode().replace("%3A", ":") if asked else ""
        with self._lock:
            self.asked[hour] += 1
            toxic = self.plan(hour, self.asked[hour])
        TOXICS[toxic](self, client, request)

    def _passed_on(self, request: bytes) -> bytes:
        """The API's whole reply; the request asks it to close, so that its end is known."""
        request = re.sub(rb"(?i)\r\nconnection:[^\r]*", b"", request)
        request = request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
        with socket.create_connection(self._upstream, timeout=LONGEST) as upstream:
            upstream.sendall(request)
            pieces = iter(lambda: upstream.recv(65_536), b"")
            return b"".join(pieces)

    # ---- the faults of a request and its reply

    def all_of_it(self, client: socket.socket, request: bytes) -> None:
        client.sendall(self._passed_on(request))

    def late(self, client: socket.socket, request: bytes) -> None:
        self._over.wait(0.1)
        client.sendall(self._passed_on(request))

    def sliced(self, client: socket.socket, request: bytes) -> None:
        """In pieces that end anywhere: in a header, in a number, in the midst of a letter."""
        reply = self._passed_on(request)
        at, size = 0, 1
        while at < len(reply):
            client.sendall(reply[at : at + size])
            at, size = at + size, size % 97 * 2 + 1
            self._over.wait(0.001)  # else they arrive as one

    def slow(self, client: socket.socket, request: bytes) -> None:
        """Over a slow line, so that it takes a fifth of a second."""
        reply = self._passed_on(request)
        size = 1 + len(reply) // 20
        for at in range(0, len(reply), size):
            client.sendall(reply[at : at + size])
            self._over.wait(0.01)

    def trickling(self, client: socket.socket, request: bytes) -> None:
        """Single bytes: no single wait is long, and the whole would take minutes."""
        reply = self._passed_on(request)
        for at in range(len(reply)):
            client.sendall(reply[at : at + 1])
            if self._over.wait(0.05):
                return

    def stalled(self, client: socket.socket, request: bytes) -> None:
        reply = self._passed_on(request)
        client.sendall(reply[: len(reply) // 2])
        self.mute(client, request)

    def mute(self, client: socket.socket, _: bytes) -> None:
        """Send nothing more until the client gives up."""
        client.settimeout(LONGEST)
        client.recv(1)

    def reset_before(self, _: socket.socket, __: bytes) -> None:
        raise Broken(hard=True)

    def closed_before(self, _: socket.socket, __: bytes) -> None:
        raise Broken(hard=False)

    def reset_in_head(self, client: socket.socket, request: bytes) -> None:
        reply = self._passed_on(request)
        client.sendall(reply[: reply.index(b"\r\n\r\n") // 2])
        raise Broken(hard=True)

    def reset_in_body(self, client: socket.socket, request: bytes) -> None:
        client.sendall(self._passed_on(request)[:-7])
        raise Broken(hard=True)

    def closed_in_body(self, client: socket.socket, request: bytes) -> None:
        reply = self._passed_on(request)
        client.sendall(reply[: (reply.index(b"\r\n\r\n") + len(reply)) // 2])
        raise Broken(hard=False)

    def death_after(self, client: socket.socket, request: bytes) -> None:
        """A whole reply; then the kept connection ends at the next request."""
        reply = self._passed_on(request)
        client.sendall(re.sub(rb"(?i)\r\nconnection: close", b"\r\nConnection: keep-alive", reply))
        client.settimeout(LONGEST)
        client.recv(1)
        raise Broken(hard=True)


GOOD: dict[str, Callable[[Proxy, socket.socket, bytes], None]] = {
    "none": Proxy.all_of_it,
    "latency": Proxy.late,
    "slices": Proxy.sliced,
    "bandwidth": Proxy.slow,
    "death after": Proxy.death_after,
}
"""A whole reply passes."""

BAD: dict[str, Callable[[Proxy, socket.socket, bytes], None]] = {
    "trickle": Proxy.trickling,
    "stall": Proxy.stalled,
    "mute": Proxy.mute,
    "reset before": Proxy.reset_before,
    "close before": Proxy.closed_before,
    "reset in the head": Proxy.reset_in_head,
    "reset in the body": Proxy.reset_in_body,
    "close in the body": Proxy.closed_in_body,
}
"""No reply passes."""

TOXICS = GOOD | BAD
