"""Sockets that never outlast a reply's total time.

A read time-out bounds the silence between two bytes; a server that sends one byte a minute stays
under it for ever, in the head of a reply as in its body. So every socket operation here gets the
smaller of its own time-out and the time left for the whole reply.

What lives here: the time-outs as data, the network backend that honours them, the transport that
uses it. What does not live here: credentials (``transport.py``, which calls this), proxies and
certificates (``network``), and the words for a time-out (``failures.py``). The system's resolver
sets the bound on a name look-up.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpcore
import httpx

from returns_orchestration.errors import SettingsError
from returns_orchestration.network import proxy_for, trusted_certificates

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Iterator

_DEADLINE: ContextVar[float | None] = ContextVar("deadline of the reply being read", default=None)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Bounds for one request, in seconds: each connect, read and write, and the reply as a whole.

    ``total`` runs from sending the request to the last byte of the reply. 28 MB in 180 s is
    1.2 Mbit/s; the largest hours are known to be that big.
    """

    connect: float = 10.0
    read: float = 60.0
    write: float = 10.0
    pool: float = 60.0
    total: float = 180.0


@contextmanager
def finishing_by(moment: float) -> Iterator[None]:
    """All socket work of this thread inside the block ends by ``moment`` (monotonic seconds)."""
    token = _DEADLINE.set(moment)
    try:
        yield
    finally:
        _DEADLINE.reset(token)


def open_transport(
    base_url: httpx.URL, *, connections: int, monotonic: Callable[[], float]
) -> httpx.HTTPTransport:
    """HTTP/1.1 with keep-alive over at most ``connections`` sockets, through a proxy if one is set.

    Raises SettingsError for a proxy address or certificates that cannot be used, see ``network``.
    """
    transport: httpx.HTTPTransport | None = None
    certificates = trusted_certificates()
    # Raised below instead: the library's text repeats the proxy's address and its password.
    with suppress(ImportError, ValueError, httpx.InvalidURL):
        transport = httpx.HTTPTransport(
            http2=False,
            verify=certificates,
            trust_env=False,
            limits=httpx.Limits(
                max_connections=connections,
                max_keepalive_connections=connections,
                keepalive_expiry=30.0,
            ),
            proxy=proxy_for(str(base_url)),
        )
    if transport is None:
        message = "The proxy named by HTTPS_PROXY, HTTP_PROXY or ALL_PROXY cannot be used."
        raise SettingsError(
            message, next_step="Set it to an address like http://proxy.example:3128, or unset it."
        )
    # httpx has no argument for it; tests/clickpost/test_wire.py fails if this stops working.
    transport._pool._network_backend = _Backend(monotonic)  # noqa: SLF001
    return transport


class _Backend(httpcore.NetworkBackend):
    """The library's own sockets, each wrapped."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._inner = httpcore.SyncBackend()
        self._monotonic = monotonic

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        seconds = _left(timeout, self._monotonic, httpcore.ConnectTimeout)
        stream = self._inner.connect_tcp(host, port, seconds, local_address, socket_options)
        return _Stream(stream, self._monotonic)


class _Stream(httpcore.NetworkStream):
    """One socket whose every operation also ends by the deadline."""

    def __init__(self, inner: httpcore.NetworkStream, monotonic: Callable[[], float]) -> None:
        self._inner = inner
        self._monotonic = monotonic

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        seconds = _left(timeout, self._monotonic, httpcore.ReadTimeout)
        return self._inner.read(max_bytes, seconds)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _left(timeout, self._monotonic, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        seconds = _left(timeout, self._monotonic, httpcore.ConnectTimeout)
        stream = self._inner.start_tls(ssl_context, server_hostname, seconds)
        return _Stream(stream, self._monotonic)

    def get_extra_info(self, info: str) -> object:
        return self._inner.get_extra_info(info)


def _left(
    timeout: float | None, monotonic: Callable[[], float], late: type[httpcore.TimeoutException]
) -> float | None:
    """The smaller of ``timeout`` and the time left; raises ``late`` when none is left."""
    moment = _DEADLINE.get()
    if moment is None:
        return timeout
    left = moment - monotonic()
    if left <= 0:
        raise late
    return left if timeout is None else min(left, timeout)
