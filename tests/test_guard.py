"""The guard in front of Dagster's UI: whose requests pass, and whose are refused."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from returns_orchestration.defs.guard import Guard

OURS = "http://127.0.0.1:3000"


async def answer(_: Request) -> PlainTextResponse:
    return PlainTextResponse("passed")


async def accept(socket: WebSocket) -> None:
    await socket.accept()


APP = Starlette(
    routes=[
        WebSocketRoute("/graphql", accept),
        Route("/{path:path}", answer, methods=["GET", "POST", "OPTIONS"]),
    ]
)


def ask(method: str, path: str, **headers: str) -> httpx.Response:
    """A request to the guarded application, which may also be called returns.example."""

    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(Guard(APP, hosts=["Returns.example"]))
        async with httpx.AsyncClient(transport=transport, base_url=OURS) as client:
            return await client.request(method, path, headers=headers)

    return asyncio.run(asked())


def connect(**headers: str) -> str:
    """The first answer to a websocket's handshake: "websocket.accept" or "websocket.close"."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "websocket",
        "path": "/graphql",
        "query_string": b"",
        "subprotocols": [],
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    asyncio.run(Guard(APP)(scope, receive, send))
    return str(sent[0]["type"])


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:3000", 200),
        ("localhost:3000", 200),
        ("LOCALHOST", 200),
        ("[::1]:3000", 200),
        ("returns.example", 200),
        ("returns.example:8443", 200),
        ("evil.example", 400),
        ("127.0.0.1.evil.example", 400),
        ("localhost@evil.example", 400),
        ("[::1", 400),
        ("", 400),
    ],
)
def test_only_known_hosts_pass(host: str, status: int) -> None:
    got = ask("GET", "/", host=host)
    assert got.status_code == status
    assert ("RETURNS_UI_HOSTS" in got.text) == (status == 400)


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 200),
        ("http://127.0.0.1:3000", 200),
        ("https://returns.example", 200),
        ("http://127.0.0.1:8000", 403),
        ("http://localhost:3000", 403),
        ("https://evil.example", 403),
        ("https://returns.example.evil.example", 403),
        ("null", 403),
        ("", 403),
        ("http://[", 403),
    ],
)
def test_pages_of_other_sites_are_refused(method: str, origin: str | None, status: int) -> None:
    headers = {} if origin is None else {"origin": origin}
    assert ask(method, "/graphql", **headers).status_code == status


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/graphql?query=mutation%20%7B%20x%20%7D", 405),
        ("GET", "/graphql/?query=", 405),
        ("GET", "/prefix/graphql?%71uery=x", 405),
        ("GET", "/graphql", 200),
        ("POST", "/graphql?query=x", 200),
        ("GET", "/runs?query=x", 200),
    ],
)
def test_queries_by_get_are_refused(method: str, path: str, status: int) -> None:
    assert ask(method, path).status_code == status


@pytest.mark.parametrize(
    ("headers", "answer"),
    [
        ({}, "websocket.accept"),
        ({"origin": OURS}, "websocket.accept"),
        ({"origin": "https://evil.example"}, "websocket.close"),
        ({"origin": "null"}, "websocket.close"),
        ({"host": "evil.example"}, "websocket.close"),
    ],
)
def test_websockets_of_other_sites_are_refused(headers: dict[str, str], answer: str) -> None:
    assert connect(**{"host": "127.0.0.1:3000"} | headers) == answer
