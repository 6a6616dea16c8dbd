"""Key and user name are in no text: exceptions, tracebacks, log records, reprs; on every path."""

from __future__ import annotations

import json
import logging
import traceback
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import httpx
import pytest

from returns_orchestration.clickpost.transport import Secrets
from returns_orchestration.errors import ApiError, ReturnsError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from returns_orchestration.window import Window


def written_forms(canaries: tuple[str, str]) -> set[str]:
    forms: set[str] = set()
    for value in canaries:
        forms |= {value, quote(value), quote(value, safe=""), quote_plus(value), repr(value)[1:-1]}
        forms.add(json.dumps(value)[1:-1])
    return forms | {"key-canary", "user canary", "user%20canary", "user+canary"}


@pytest.fixture
def every_log(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], str]]:
    """All log records of all loggers at DEBUG and below, also where a name sets that level."""
    names = ("httpx", "httpcore", "httpcore.connection", "httpcore.http11", "httpcore.proxy")
    before = {name: logging.getLogger(name).level for name in names}
    with caplog.at_level(1):
        for name in names:
            logging.getLogger(name).setLevel(1)
        yield lambda: "\n".join(record.getMessage() for record in caplog.records)
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def failures(key: str, user: str) -> dict[str, Any]:
    """Every way in which a reply or the library can repeat the request."""
    url = f"https://api.example/?key={quote(key)}&user_name={quote_plus(user)}"
    echo = f"{key} {user} {url}"
    request = httpx.Request("GET", "https://api.example/", params={"key": key, "user_name": user})

    def meta(status: int) -> dict[str, Any]:
        return {"meta": {"success": False, "status": status, "message": {echo: [echo, {echo: 1}]}}}

    good = {"success": True, "status": 200}
    kinds = [
        httpx.ConnectError, httpx.ReadError, httpx.WriteError, httpx.CloseError,
        httpx.ConnectTimeout, httpx.ReadTimeout, httpx.WriteTimeout, httpx.PoolTimeout,
        httpx.RemoteProtocolError, httpx.LocalProtocolError, httpx.ProxyError,
        httpx.UnsupportedProtocol, httpx.DecodingError, httpx.TooManyRedirects,
    ]  # fmt: skip
    cases: dict[str, Any] = {kind.__name__: kind(echo, request=request) for kind in kinds}
    cases |= {f"meta {status}": httpx.Response(200, json=meta(status)) for status in
              (200, 301, 400, 429, 500)}  # fmt: skip
    cases |= {f"http {status}": httpx.Response(status, text=f"<html>{echo}</html>") for status in
              (200, 302, 400, 401, 404, 429, 500)}  # fmt: skip
    return cases | {
        "invalid url": httpx.InvalidURL(echo),
        "os error": OSError(5, echo),
        "unicode error": UnicodeEncodeError("ascii", echo, 0, 1, echo),
        "redirect": httpx.Response(302, headers={"location": url}),
        "redirect to host": httpx.Response(302, headers={"location": f"https://{quote(key)}.x/"}),
        "redirect to nonsense": httpx.Response(302, headers={"location": f"https://[{key}".encode()}),
        "cookie": httpx.Response(500, headers={"set-cookie": f"echo={quote(key)}", "x-echo": url}),
        "reason": httpx.Response(500, extensions={"reason_phrase": quote(key).encode()}),
        "bad gzip": httpx.Response(
            200, stream=httpx.ByteStream(echo.encode()), headers={"content-encoding": "gzip"}
        ),
        "not json": httpx.Response(200, text=f'{{"meta": {echo}'),
        "bad record": httpx.Response(
            200, content=f'{{"meta": {json.dumps(good)}, "result": [{echo}]}}'.encode()
        ),
        "next host": httpx.Response(
            200, json={"meta": good | {"next": f"https://{quote_plus(user)}/"}, "result": []}
        ),
        "next token": httpx.Response(
            200, json={"meta": good | {"next": f"?token={quote(key)}"}, "result": []}
        ),
        "next object": httpx.Response(200, json={"meta": good | {"next": {echo: 1}}, "result": []}),
    }  # fmt: skip


@pytest.mark.parametrize("case", failures("k", "u"))
def test_no_failure_shows_a_credential(
    *,
    case: str,
    ask: Callable[..., Any],
    window: Window,
    canaries: tuple[str, str],
    every_log: Callable[[], str],
) -> None:
    reply = failures(*canaries)[case]
    asked = ask(*[reply] * 5)
    with pytest.raises(ApiError) as caught:
        asked.client.poll(window)
    error = caught.value
    leaks = [
        str(error),
        repr(error),
        repr(error.__dict__),
        "".join(traceback.format_exception(error, chain=True)),
        repr(asked.client),
        repr(asked.client.__dict__),
        every_log(),
    ]
    assert not [form for form in written_forms(canaries) for text in leaks if form in text]
    assert error.__cause__ is None
    assert error.__context__ is None
    assert all(canaries[0] == request.url.params["key"] for request in asked.requests)


def test_log_lines_of_the_http_library_are_kept_without_credentials(
    *,
    ask: Callable[..., Any],
    window: Window,
    envelope: Callable[..., bytes],
    every_log: Callable[[], str],
    canaries: tuple[str, str],
) -> None:
    ask(envelope(1, next="?page=2"), envelope(2)).client.poll(window)
    log = every_log()
    assert "HTTP Request: GET https://api.example/api/v1/return_order_poll/?start_time=" in log
    assert not [form for form in written_forms(canaries) if form in log]


def test_debug_logs_of_real_sockets_show_no_credential(
    *,
    serve: Callable[..., Any],
    connect: Callable[..., Any],
    reply_bytes: Callable[..., bytes],
    envelope: Callable[..., bytes],
    window: Window,
    canaries: tuple[str, str],
    every_log: Callable[[], str],
) -> None:
    """Headers that echo the address would be logged by httpcore if its logger were open."""
    key, user = canaries
    echo = f"/?key={quote(key)}&user_name={quote(user)}"
    server = serve(
        reply_bytes(
            b"", f"Location: {echo}", f"Set-Cookie: echo={quote(key)}", status=f"503 {quote(key)}"
        ),
        reply_bytes(envelope(1), f"Set-Cookie: {quote_plus(user)}=1"),
    )
    poll = connect(server.url).poll(window)
    assert poll.requests == 2
    assert quote(key, safe="").encode() in server.requests[1]
    assert b"cookie" not in server.requests[1].lower()
    assert not [form for form in written_forms(canaries) if form in every_log()]
    assert "HTTP Request" in every_log()


def test_other_users_of_the_http_library_keep_their_wire_logs(
    serve: Callable[..., Any],
    connect: Callable[..., Any],
    reply_bytes: Callable[..., bytes],
    every_log: Callable[[], str],
) -> None:
    server = serve(reply_bytes(b"hello"))
    connect(server.url)
    httpx.get(server.url, trust_env=False)
    assert "receive_response_headers" in every_log()


def test_hooks_and_responses_above_the_transport_see_no_credential(
    ask: Callable[..., Any],
    window: Window,
    envelope: Callable[..., bytes],
    canaries: tuple[str, str],
) -> None:
    asked = ask(envelope(1))
    seen: list[str] = []
    http = asked.client._http  # the claim is about the content that a hook would see
    http.event_hooks = {
        "request": [lambda request: seen.append(f"{request.url} {request.headers}")],
        "response": [
            lambda reply: seen.append(
                f"{reply.request.url} {reply} {reply.headers} {reply.extensions}"
            )
        ],
    }
    asked.client.poll(window)
    assert len(seen) == 2
    assert not [form for form in written_forms(canaries) for text in seen if form in text]


def test_a_credential_that_is_not_text_is_named_and_not_shown(
    ask: Callable[..., Any], window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ask()
    transport = asked.client._http._transport  # stands for a broken environment
    monkeypatch.setattr(transport, "_credentials", lambda: ("key-canary\udcff", "user"))
    with pytest.raises(SettingsError, match="CLICKPOST_KEY") as caught:
        asked.client.poll(window)
    assert "canary" not in "".join(traceback.format_exception(caught.value))


def test_reprs_hide_both_credentials(canaries: tuple[str, str]) -> None:
    secrets = Secrets(*canaries)
    assert not [form for form in written_forms(canaries) if form in f"{secrets!r}{secrets.mask}"]
    assert secrets.mask("") == ""
    assert Secrets("", "").mask("nothing to mask") == "nothing to mask"
    assert issubclass(ApiError, ReturnsError)
