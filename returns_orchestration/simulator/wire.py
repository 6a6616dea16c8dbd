"""The socket under the server: bytes that no well-behaved server would send, and resets.

uvicorn's protocol hides its transport from the application. This one puts itself into the ASGI
scope's state, under `CONNECTION`, so that a fault can write raw bytes, reset, or hold on.
"""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

    from starlette.types import Receive
    from uvicorn.config import Config
    from uvicorn.server import ServerState

CONNECTION = "simulator_connection"
Ending: TypeAlias = Literal["close", "reset", "hold"]
_LINGER_NOTHING = struct.pack("ii", 1, 0)  # on, 0 s: close() sends RST instead of FIN


class Gate:
    """Shared by all connections of one server: whether it is down, and which are held."""

    def __init__(self) -> None:
        """Open, nothing held."""
        self.down = False
        self.held: set[Connection] = set()

    def release(self) -> None:
        """Drop every held connection, so that a stopping server need not wait for clients."""
        for connection in list(self.held):
            connection.transport.abort()


class Connection(H11Protocol):
    """One client's connection. `gate` is set by `connection_class`."""

    gate: Gate

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Put the connection into the state that requests carry."""
        super().__init__(config, server_state, {**app_state, CONNECTION: self}, _loop)
        self.access_log = False  # an access log would print the key in each request's URL

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Reset at once while the server is down."""
        super().connection_made(transport)
        raw = transport.get_extra_info("socket")
        if raw is not None:
            # asyncio does this only for sockets made with an explicit protocol number; without it
            # head and body wait for each other's acknowledgement, 40 ms a reply.
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.gate.down:
            self.reset()

    def data_received(self, data: bytes) -> None:
        """Reset kept-alive connections, too, while the server is down."""
        if self.gate.down:
            self.reset()
            return
        super().data_received(data)

    def reset(self) -> None:
        """End the connection with a TCP RST."""
        raw = self.transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOTHING)
        self.transport.abort()

    async def play(self, data: bytes, ending: Ending, receive: Receive) -> None:
        """Write bytes as they are, end the connection, and wait until it is gone."""
        if data:
            self.transport.write(data)
        if ending == "reset":
            self.reset()
        elif ending == "close":
            self.transport.close()
        else:
            self.gate.held.add(self)
        try:
            while (await receive())["type"] != "http.disconnect":
                pass
        finally:
            self.gate.held.discard(self)


def connection_class(gate: Gate) -> type[Connection]:
    """The protocol class for a server with that gate, as uvicorn's `http=` takes it."""
    return type("GatedConnection", (Connection,), {"gate": gate})
