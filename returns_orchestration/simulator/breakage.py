"""How each fault looks on the wire. One function a fault, listed by name at the end.

A function gets the exchange and returns either a response for the server to send properly, or
raw bytes and how the connection ends. Replies called correct hold the true records.
"""

from __future__ import annotations

import gzip
import time
from dataclasses import dataclass
from email.utils import formatdate
from html import escape
from typing import TYPE_CHECKING, TypeAlias

from starlette.responses import Response

from returns_orchestration.simulator import replies

if TYPE_CHECKING:
    from collections.abc import Callable

    from returns_orchestration.simulator.wire import Ending

JSON = "application/json"
_ELSEWHERE = "http://pages.elsewhere.invalid/api/v1/return_order_poll/"
_BAD_RECORDS = (b"17", b'"not a record"', b"null")
_BAD_BYTE = b"\xff"


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a fault may use of the request and of its correct reply."""

    url: str
    query: dict[str, str]
    call: int
    records: list[bytes]
    next_url: str | None
    empty_as_null: bool
    auth_http_status: int

    def correct(self) -> bytes:
        """The body that the request deserves."""
        return replies.envelope(
            self.records, next_url=self.next_url, empty_as_null=self.empty_as_null
        )


@dataclass(frozen=True, slots=True)
class RawReply:
    """Bytes for the socket, and how the connection continues after them."""

    data: bytes
    ending: Ending

    @property
    def status_code(self) -> int | None:
        """The HTTP status in the bytes; None where there are no bytes."""
        return 200 if self.data else None


Outcome: TypeAlias = Response | RawReply


def _head(length: int) -> bytes:
    # `connection: close` announces the end, so that a client's pool does not race with it.
    lines = (
        "HTTP/1.1 200 OK",
        "content-type: application/json",
        f"content-length: {length}",
        "connection: close",
    )
    return "\r\n".join((*lines, "", "")).encode("ascii")


def _json(body: bytes, status: int = 200, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(body, status, headers=named, media_type=JSON)


def _page(title: str, status: int, text: str = "") -> Response:
    html = f"<html><head><title>{title}</title></head><body><h1>{title}</h1>{text}</body></html>"
    return Response(html, status, media_type="text/html")


def too_many(retry_after: str | None) -> Response:
    """HTTP 429 as a gateway sends it, with or without Retry-After."""
    headers = {} if retry_after is None else {"retry_after": retry_after}
    return _json(replies.refusal(429, "Too Many Requests"), 429, **headers)


def _429_date(_exchange: Exchange) -> Outcome:
    # Whole seconds are all that an HTTP date has: one to two seconds ahead, never none.
    return too_many(formatdate(int(time.time()) + 2, usegmt=True))


def _cut_json(exchange: Exchange) -> Outcome:
    body = exchange.correct()
    return _json(body[: len(body) // 2])


def _short_body(exchange: Exchange) -> Outcome:
    body = exchange.correct()
    return RawReply(_head(len(body)) + body[: len(body) // 2], "close")


def _long_body(exchange: Exchange) -> Outcome:
    body = exchange.correct()
    return RawReply(_head(len(body) // 2) + body, "close")


def _slow_hang(exchange: Exchange) -> Outcome:
    body = exchange.correct()
    return RawReply(_head(len(body)) + body[: len(body) // 3], "hold")


def _auth(exchange: Exchange) -> Outcome:
    refused = replies.wrong_credentials(exchange.auth_http_status)
    return _json(refused.body(), refused.http_status)


def _gzip(exchange: Exchange) -> Outcome:
    # mtime 0: the same reply has the same bytes
    return _json(gzip.compress(exchange.correct(), mtime=0), content_encoding="gzip")


def _redirect(exchange: Exchange) -> Outcome:
    return Response(status_code=302, headers={"location": exchange.url})


def _echo(exchange: Exchange) -> Outcome:
    text = f"<p>The upstream of <code>{escape(exchange.url)}</code> did not answer.</p>"
    return _page("502 Bad Gateway", 502, text)


def _next_elsewhere(exchange: Exchange) -> Outcome:
    following = replies.page_url(_ELSEWHERE, exchange.query, 2)
    return _json(replies.envelope(exchange.records, next_url=following))


def _next_loop(exchange: Exchange) -> Outcome:
    return _json(replies.envelope(exchange.records, next_url=exchange.url))


def _bad_record(exchange: Exchange) -> Outcome:
    # Added and not put in a record's place: all true records stay served.
    records = list(exchange.records)
    records.insert(len(records) // 2, _BAD_RECORDS[exchange.call % len(_BAD_RECORDS)])
    return _json(replies.envelope(records, next_url=exchange.next_url))


def _not_utf8(exchange: Exchange) -> Outcome:
    body = exchange.correct()
    for landmark in (b'"remark":"', b'"status":"', b'"message":"'):
        if landmark in body:
            return _json(body.replace(landmark, landmark + _BAD_BYTE, 1))
    return _json(_BAD_BYTE + body)


BREAKAGE: dict[str, Callable[[Exchange], Outcome]] = {
    "429-seconds": lambda _: too_many("1"),
    "429-date": _429_date,
    "429-hour": lambda _: too_many("3600"),
    "429-bare": lambda _: too_many(None),
    "503": lambda _: _page("503 Service Temporarily Unavailable", 503),
    "500": lambda _: _page("500 Internal Server Error", 500),
    "html": lambda _: _page("Scheduled maintenance", 200, "<p>We will be back soon.</p>"),
    "cut-json": _cut_json,
    "short-body": _short_body,
    "long-body": _long_body,
    "reset": lambda _: RawReply(b"", "reset"),
    "empty-body": lambda _: _json(b""),
    "hang": lambda _: RawReply(b"", "hold"),
    "slow-hang": _slow_hang,
    "meta-500": lambda _: _json(replies.refusal(500, "Something went wrong")),
    "meta-429": lambda _: _json(replies.refusal(429, "Request was throttled")),
    "meta-400-repr": lambda _: _json(
        replies.refusal(400, "{'start_time': [ErrorDetail(string='Invalid', code='invalid')]}")
    ),
    "auth": _auth,
    "null-result": lambda _: _json(b'{"meta":%b,"result":null}' % replies.meta()),
    "no-result": lambda _: _json(b'{"meta":%b}' % replies.meta()),
    "bom": lambda exchange: _json(b"\xef\xbb\xbf" + exchange.correct()),
    "gzip": _gzip,
    "redirect": _redirect,
    "echo": _echo,
    "next-elsewhere": _next_elsewhere,
    "next-loop": _next_loop,
    "bad-record": _bad_record,
    "not-json-utf8": _not_utf8,
}
STILL_CORRECT = frozenset({"bom", "gzip", "next-elsewhere", "next-loop", "bad-record"})
