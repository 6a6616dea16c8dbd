"""A guard in front of Dagster's UI: no page of another site may drive or read it.

Dagster's webserver answers every Host, reads no Origin, and executes a mutation that comes by GET
(1.13.27). So a page that somebody merely opens could start runs on 127.0.0.1, and one whose name
resolves to 127.0.0.1 could read everything. Here a request passes only if its Host is one of ours
and its Origin, which browsers send along with all that matters, is the same address.

This is no login: who reaches the port may do everything. docs/security.md shows a proxy with one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocketClose

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Receive, Scope, Send

LOCAL: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class Guard:
    """An ASGI application around ``app``. ``hosts`` are allowed beside the names of this machine.

    A request with another Host gets 400, one from another Origin 403, a GraphQL query by GET 405.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str] = ()) -> None:
        """Allow ``hosts``, names without a port."""
        self._app = app
        self._hosts = LOCAL | {host.casefold() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it in words."""
        refusal = self._refusal(scope) if scope["type"] in {"http", "websocket"} else None
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await WebSocketClose(reason=refusal[1])(scope, receive, send)
        else:
            status, text = refusal
            await PlainTextResponse(f"{text}\n", status_code=status)(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = [(name, value.decode("latin-1").casefold()) for name, value in scope["headers"]]
        hosts = [value for name, value in headers if name == b"host"]
        host = hosts[0] if len(hosts) == 1 else ""
        if _name(f"//{host}") not in self._hosts:
            text = "This address is not known. If it is yours, add its name to RETURNS_UI_HOSTS."
            return 400, text
        for origin in (value for name, value in headers if name == b"origin"):
            is_same = origin.partition("://")[2] == host
            # Behind a proxy the Host may be another than the one that the browser shows.
            if not is_same and _name(origin) not in self._hosts - LOCAL:
                return 403, "Requests from pages of another site are refused."
        if scope["type"] == "http" and _is_query_by_get(scope):
            return 405, "GraphQL queries are accepted by POST only."
        return None


def _name(address: str) -> str:
    """The host of an address without its port; "" where it has none."""
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _is_query_by_get(scope: Scope) -> bool:
    is_graphql = scope["path"].rstrip("/").endswith("/graphql")
    asked = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return is_graphql and scope["method"] != "POST" and "query" in asked
