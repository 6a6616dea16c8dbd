"""The HTTP library's exceptions in this package's words.

What lives here: one pure function, and how a cause is recognised (by type, never by a text that
could repeat an address). What does not: failures that the API itself reports (``reply.py``).
Called by ``client.py``, which raises the result outside the ``except`` block, so that neither
cause nor context of it holds the library's exception.
"""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

import httpx

from returns_orchestration.errors import (
    ApiError,
    MalformedReply,
    NoConnection,
    RequestRefused,
    Unreachable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from returns_orchestration.clickpost.deadline import Timeouts

LIBRARY_ERRORS = (
    httpx.HTTPError,
    httpx.InvalidURL,
    httpx.StreamError,
    httpx.CookieConflict,
    OSError,
    UnicodeError,
)
"""The errors that the library is known to raise while it sends a request and reads a reply."""

_ROOTS: tuple[tuple[type[BaseException], str], ...] = (
    (socket.gaierror, "host name not found"),
    (ConnectionRefusedError, "connection refused"),
    (ConnectionResetError, "connection reset"),
    (BrokenPipeError, "connection closed while sending"),
    (ssl.SSLCertVerificationError, "certificate not accepted"),
    (ssl.SSLError, "no secure connection"),
)


def in_our_words(
    error: BaseException, host: str, timeouts: Timeouts, *, late: bool = False
) -> ApiError:
    """What ``error`` means for the window; ``late``: the reply's total time had run out."""
    if isinstance(error, httpx.DecodingError):
        return MalformedReply(f"The body that {host} sent cannot be decompressed.")
    if isinstance(error, (httpx.LocalProtocolError, httpx.UnsupportedProtocol, httpx.InvalidURL)):
        return RequestRefused(f"No valid HTTP request can be made for {host}.")
    if isinstance(error, httpx.TimeoutException):
        kind = NoConnection if isinstance(error, httpx.ConnectTimeout) else Unreachable
        return kind(f"{host}: {_timed_out(error, timeouts, late=late)}.")
    kind = (
        NoConnection if isinstance(error, (httpx.ConnectError, httpx.ProxyError)) else Unreachable
    )
    return kind(f"{host}: {_broken(error)}.")


def _timed_out(error: httpx.TimeoutException, timeouts: Timeouts, *, late: bool) -> str:
    if late:
        return f"the reply was not complete within {timeouts.total:g} s"
    if isinstance(error, httpx.ConnectTimeout):
        return f"no connection within {timeouts.connect:g} s"
    if isinstance(error, httpx.WriteTimeout):
        return f"the request could not be sent within {timeouts.write:g} s"
    if isinstance(error, httpx.PoolTimeout):
        return f"no free connection within {timeouts.pool:g} s"
    return f"no reply within {timeouts.read:g} s"


def _broken(error: BaseException) -> str:
    roots = tuple(_chain(error))
    for kind, words in _ROOTS:
        if any(isinstance(root, kind) for root in roots):
            return words
    if isinstance(error, httpx.ProxyError):
        return "the proxy refuses the connection"
    if isinstance(error, httpx.RemoteProtocolError):
        return "the reply broke off or is no HTTP"
    if isinstance(error, httpx.ConnectError):
        return "no connection"
    return "the connection broke"


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    seen: set[int] = set()
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__
