"""One connection of a client, with the bounds that uvicorn does not have.

uvicorn 0.54 has no time-out for the head of a request, and no limit on its size or on what follows
a chunked body. Here a head has HEAD_SECONDS, and all bytes of a request that are not its body have
HEAD_BYTES and a part of the body's size, as chunks need some, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

HEAD_SECONDS: Final = 10.0
HEAD_BYTES: Final = 64 * 1024
BODY_PER_FRAMING: Final = 16
"""A body may have one byte of framing for so many of its own: chunks of some hundred bytes."""

MOST_CONNECTIONS: Final = 512
MOST_PIPELINED: Final = 16
"""Requests of one connection that may wait for the answer to the one before."""


class BoundedConnection(HttpToolsProtocol):
    """A connection that is closed where a client takes too long or sends too much."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*arguments, **options)
        self._head_timer: asyncio.TimerHandle | None = None
        self._is_in_head = True
        self._received = 0
        self._of_body = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first head; a connection too many is closed at once."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
            return
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        self._has_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse ``data``; a request with too much around its body ends the connection."""
        self._received += len(data)
        super().data_received(data)
        if self._is_in_head and self._head_timer is None:
            self._wait_for_head()
        framing = self._received - self._of_body
        if framing > HEAD_BYTES + self._of_body / BODY_PER_FRAMING:
            self.transport.abort()

    def on_message_begin(self) -> None:
        """A head begins; too many requests at once are refused as no HTTP."""
        if len(self.pipeline) >= MOST_PIPELINED:
            message = "too many requests at once"
            raise ValueError(message)
        super().on_message_begin()
        self._is_in_head = True
        self._received = self._of_body = 0

    def on_headers_complete(self) -> None:
        """A head has ended."""
        self._is_in_head = False
        self._has_head()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """From now on the next head is awaited: white space alone keeps no connection open."""
        super().on_response_complete()
        self._is_in_head = True

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._of_body += len(body)
        super().on_body(body)

    def _wait_for_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _has_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
