"""The body of a reply: bounded in size, decompressed also where the header does not say so.

What lives here: bytes in, bytes out. What does not: their meaning (``reply.py``), the time they may
take (``deadline.py``). Called by ``client.py`` inside its handling of the library's exceptions.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from returns_orchestration.clickpost.failures import LIBRARY_ERRORS
from returns_orchestration.errors import MalformedReply, RequestRefused

if TYPE_CHECKING:
    import httpx

MAX_ERROR_BYTES: Final = 2**20
"""Bytes of a body that is no success: it is read for its meta only."""

_GZIP: Final = b"\x1f\x8b"


def read_body(response: httpx.Response, max_bytes: int) -> bytearray:
    """The decompressed body; of an error reply what can be had of it, as its status counts.

    Raises RequestRefused for a body over ``max_bytes``, MalformedReply for damaged gzip, and what
    the library raises.
    """
    body = bytearray()
    try:
        for chunk in response.iter_bytes():
            body += chunk
            if not response.is_success and len(body) > MAX_ERROR_BYTES:
                break
            if len(body) > max_bytes:
                raise _too_big(max_bytes)
    except LIBRARY_ERRORS:
        if response.is_success:
            raise
    # No JSON begins so: a proxy that compressed and dropped the header (a form seen elsewhere).
    return _unzipped(body, max_bytes) if body.startswith(_GZIP) else body


def _unzipped(body: bytearray, max_bytes: int) -> bytearray:
    inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        plain = bytearray(inflate.decompress(bytes(body), max_bytes + 1))
    except zlib.error:
        plain = bytearray()
    if len(plain) > max_bytes:
        raise _too_big(max_bytes)
    if not inflate.eof:
        message = "The body is gzip that cannot be read to its end."
        raise MalformedReply(message)
    return plain


def _too_big(limit: int) -> RequestRefused:
    return RequestRefused(
        f"The reply is larger than {limit // 2**20:,} MB.",
        next_step="No hour should be: ask ClickPost what it sends for this one.",
    )
