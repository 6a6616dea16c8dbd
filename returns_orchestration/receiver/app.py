"""The application: it checks the key, has the body stored durably, and only then answers 200.

Nothing in a body is read before the answer: what ClickPost sends may change, and a refused webhook
would be sent again for ever, or never. So everything that comes with the right key is kept, also a
text that is no JSON. Any other answer means that nothing was kept. An answer has no body; one other
than 200 closes the connection.
"""

from __future__ import annotations

import asyncio
import hmac
import time
import zlib
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from starlette.responses import Response

from returns_orchestration.errors import SpoolUnwritable
from returns_orchestration.receiver.spool_tables import Delivery

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from starlette.types import Receive, Scope, Send

    from returns_orchestration.receiver.spool import Spool

    Headers = Sequence[tuple[bytes, bytes]]

BODY_SECONDS: Final = 10.0
RETRY_AFTER: Final = 30
"""Seconds after which a delivery that could not be stored is worth another attempt."""

BYTES_IN_FLIGHT: Final = 24 * 1024 * 1024
"""Bytes of bodies that are held at once, of all connections together."""

DISCARDED_BODIES: Final = 4
"""How many times the largest body is read and dropped, so that a client can read the answer."""

WRONG_KEYS_A_MINUTE: Final = 20
REFUSED_FOR: Final = 3_600.0
REFUSALS_KEPT: Final = 1_000
"""Wrong keys are counted for so many seconds, and the newest ones only."""

ADDRESSES: Final = 1_000
"""Addresses whose wrong keys are counted at once."""

KEY_HEADERS: Final = (b"webhook_key", b"webhook-key", b"authorization")
"""`webhook_key` is the documented one; some proxies write it with a hyphen."""

REDELIVERED: Final = b"x-returns-redelivered"
ANSWERED_BY: Final = "X-Returns-Receiver"
"""A header of each answer, by which `receive --check` tells ours from those of a proxy."""

TOKEN: Final = "/t/"  # noqa: S105 - a part of a path
CONTENT_TYPE: Final = 200
"""Characters of a Content-Type that are kept."""

MOST_MEMBERS: Final = 16
"""Parts of a gzip body; one is usual."""

GZIP: Final = frozenset({b"gzip", b"x-gzip"})
ENCODINGS: Final = GZIP | {b"", b"identity"}
HEALTH: Final = "/health"


@dataclass(slots=True)
class Counts:
    """What was answered since the receiver started.

    ``refused`` requests count since the last one that was stored, with pauses under an hour.
    """

    stored: int = 0
    refused: int = 0
    without_key: int = 0
    not_stored: int = 0
    last_stored: float | None = None
    last_refused: float | None = None
    last_not_stored: float | None = None


@dataclass(slots=True)
class InFlight:
    """Bytes of bodies that are held now."""

    bytes: int = 0


class Receiver:
    """An ASGI application that stores deliveries in ``spool``."""

    def __init__(  # noqa: PLR0913 - what it is told once
        self,
        spool: Spool,
        keys: Sequence[str],
        *,
        path: str,
        max_bytes: int,
        is_well: Callable[[], bool] = lambda: True,
        in_flight: InFlight | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """``keys`` are accepted alike; ``is_well`` is the answer of `/health`.

        ``in_flight`` counts the bytes of all receivers of a process together.
        """
        self._spool = spool
        self._keys = [key.encode() for key in keys]
        self._path = path.rstrip("/")
        self._max_bytes = max_bytes
        self._is_well = is_well
        self._clock = clock
        self._wrong_keys = _WrongKeys()
        self._refusals: deque[tuple[float, bool]] = deque(maxlen=REFUSALS_KEPT)
        self._in_flight = in_flight or InFlight()
        self.counts = Counts()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        body = _Body(receive)
        try:
            async with asyncio.timeout(BODY_SECONDS):
                status = self._refusal(scope)
                if not status:
                    status = await self._read(body)
                if status:
                    await body.discard(DISCARDED_BODIES * self._max_bytes)
            if not status:
                status = await self._store(scope["headers"], body)
        except TimeoutError:
            status = 408
        except _Disconnected:
            return
        finally:
            self._in_flight.bytes -= len(body.content)
        headers = {ANSWERED_BY: "1"}
        if status != 200:
            headers["Connection"] = "close"
        if status == 405:
            headers["Allow"] = "GET" if _path(scope) == HEALTH else "POST"
        if status == 503:
            headers["Retry-After"] = str(RETRY_AFTER)
        await Response(status_code=status, headers=headers)(scope, receive, send)

    def _refusal(self, scope: Scope) -> int:  # noqa: PLR0911 - an answer each
        """The answer to a request whose body need not be read; 0 where it has to be."""
        path, method, headers = _path(scope), scope["method"], scope["headers"]
        if path == HEALTH:
            return self._health() if method in {"GET", "HEAD"} else 405
        token = path.removeprefix(f"{self._path}{TOKEN}")
        has_token = token != path and "/" not in token
        if path != self._path and not has_token:
            return 404
        if method != "POST":
            return 405
        given = [value for name in KEY_HEADERS for value in _all(headers, name)]
        given += [unquote_to_bytes(token)] if has_token else []
        if not self._is_key(given):
            return self._refused(scope, has_key=bool(given))
        if _encoding(headers) not in ENCODINGS:
            return 415
        if any(int(length) > self._max_bytes for length in _all(headers, b"content-length")):
            return 413
        return 0

    def _is_key(self, given: Sequence[bytes]) -> bool:
        """Whether one of the values given is a key; every pair is compared in full."""
        values = [value.removeprefix(b"Bearer ").strip() for value in given]
        same = [hmac.compare_digest(value, key) for value in values for key in self._keys]
        return any(same)

    def _refused(self, scope: Scope, *, has_key: bool) -> int:
        now = time.time()
        self._refusals.append((now, has_key))
        while abs(now - self._refusals[0][0]) > REFUSED_FOR:
            self._refusals.popleft()
        self.counts.refused = len(self._refusals)
        self.counts.without_key = sum(not has for _, has in self._refusals)
        self.counts.last_refused = now
        address = (scope.get("client") or ("",))[0]
        return 401 if self._wrong_keys.may_be_told(address, time.monotonic()) else 429

    def _health(self) -> int:
        return 200 if self._is_well() else 503

    async def _read(self, body: _Body) -> int:
        """Read the body; the answer where it cannot be taken, else 0."""
        async for part in body.parts():
            self._in_flight.bytes += len(part)
            if len(body.content) > self._max_bytes:
                return 413
            if self._in_flight.bytes > BYTES_IN_FLIGHT:
                return self._not_stored()
        return 0

    async def _store(self, headers: Headers, body: _Body) -> int:
        if _encoding(headers) in GZIP and (inflated := _inflated(body.content, self._max_bytes)):
            self._in_flight.bytes += len(inflated) - len(body.content)
            body.content = inflated
            if len(inflated) > self._max_bytes:
                return 413
            if self._in_flight.bytes > BYTES_IN_FLIGHT:
                return self._not_stored()
        kind = b"".join(_all(headers, b"content-type")[:1]).decode("latin-1")[:CONTENT_TYPE]
        is_redelivered = bool(_all(headers, REDELIVERED))
        delivery = Delivery(self._clock() // 1_000, kind, is_redelivered, bytes(body.content))
        try:
            is_stored = await self._spool.put(delivery, asyncio.get_running_loop())
        except SpoolUnwritable:
            is_stored = False
        if not is_stored:
            return self._not_stored()
        self.counts.stored += 1
        self.counts.refused = self.counts.without_key = 0
        self.counts.last_stored = time.time()
        return 200

    def _not_stored(self) -> int:
        self.counts.not_stored += 1
        self.counts.last_not_stored = time.time()
        return 503


class ByAccount:
    """An ASGI application that gives each request to the receiver of its account.

    An account is the part of the path behind ``path``. What belongs to none, the first receiver
    answers: it knows `/health` and no other path. The process is well while one account is: another
    must not have a proxy take all of them away.
    """

    def __init__(self, receivers: Mapping[str, Receiver], path: str) -> None:
        self._receivers = receivers
        self._first = next(iter(receivers.values()))
        self._path = f"{path.rstrip('/')}/"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        receiver = self._first
        if scope["type"] == "http":
            account = _path(scope).removeprefix(self._path).partition("/")[0]
            receiver = self._receivers.get(account, receiver)
        await receiver(scope, receive, send)


class _Disconnected(Exception):
    """The client is gone."""


class _Body:
    """The body of one request as it arrives."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._has_ended = False
        self.content = bytearray()

    async def parts(self) -> AsyncIterator[bytes]:
        """Each part, once it is in ``content``."""
        while not self._has_ended:
            part = await self._next()
            self.content += part
            yield part

    async def discard(self, most: int) -> None:
        """Read on without keeping anything, up to ``most`` bytes.

        A client that still sends when its connection is closed may lose the answer.
        """
        while not self._has_ended and most > 0:
            most -= len(await self._next())

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise _Disconnected
        self._has_ended = not message.get("more_body", False)
        part: bytes = message.get("body", b"")
        return part


class _WrongKeys:
    """How many wrong keys each address has sent in this minute."""

    def __init__(self) -> None:
        self._minute = 0
        self._counts: dict[str, int] = {}

    def may_be_told(self, address: str, now: float) -> bool:
        """Whether a wrong key of ``address`` is refused as such, and not for their number."""
        minute = int(now // 60)
        if minute != self._minute or len(self._counts) >= ADDRESSES:
            self._minute, self._counts = minute, {}
        self._counts[address] = self._counts.get(address, 0) + 1
        return self._counts[address] <= WRONG_KEYS_A_MINUTE


def _path(scope: Scope) -> str:
    """The path as it was sent, as a key in it may hold an encoded slash."""
    return bytes(scope["raw_path"]).decode("latin-1").rstrip("/")


def _all(headers: Headers, name: bytes) -> list[bytes]:
    return [value for known, value in headers if known == name]


def _encoding(headers: Headers) -> bytes:
    return b",".join(_all(headers, b"content-encoding")).strip().lower()


def _inflated(content: bytearray, most: int) -> bytearray | None:
    """What a gzip body holds, up to one byte more than ``most``; None where it is not whole."""
    found, rest, members = bytearray(), bytes(content), 0
    while rest and len(found) <= most:
        members += 1
        if members > MOST_MEMBERS:  # each copies the rest
            return None
        stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            found += stream.decompress(rest, most + 1 - len(found))
        except zlib.error:
            return None
        if not stream.eof and len(found) <= most:
            return None
        rest = stream.unused_data
    return found
