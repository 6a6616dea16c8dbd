"""The body of a reply: bounded in size, decompressed whole, also where the header is absent.

The HTTP library would stop at the end of a gzip's first member and ignore the rest, so the bytes
are taken as received and decompressed here.

What lives here: bytes in, bytes out. What does not: their text (``charsets.py``), their meaning
(``reply.py``), the time they may take (``deadline.py``). Called by ``client.py`` inside its
handling of the library's exceptions.
"""

from __future__ import annotations

import zlib
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from returns_orchestration.clickpost.bounds import (
    MAX_ERROR_BYTES,
    MAX_GZIP_MEMBERS,
    BeyondBoundsError,
    too_large,
)
from returns_orchestration.clickpost.failures import LIBRARY_ERRORS
from returns_orchestration.errors import MalformedReply

if TYPE_CHECKING:
    import httpx

_GZIP: Final = b"\x1f\x8b"
_OK: Final = 200
_MAX_CODINGS: Final = 3
_PART: Final = 2**12  # bytes decompressed at once: few, as those after a member's end are copied
_GZIP_FORM: Final = zlib.MAX_WBITS | 16
_ZLIB_FORM: Final = zlib.MAX_WBITS
_BARE_FORM: Final = -zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class _Limit:
    """A count of bytes; ``words`` complete "The reply ..." for a body that has more."""

    size: int
    words: str

    def ensure(self, data: bytearray) -> None:
        """Raise BeyondBoundsError for more."""
        if len(data) > self.size:
            raise BeyondBoundsError(self.words)


def read_body(response: httpx.Response, max_bytes: int, *, before: int = 0) -> bytearray:
    """The decompressed body; of a reply other than HTTP 200 the readable part, which may be empty.

    ``before`` counts the bytes of the pages before it. Raises RequestRefused for a body that has
    over ``max_bytes`` with them, MalformedReply for a compressed one that cannot be read to its
    end, and what the library raises.
    """
    good = response.status_code == _OK
    words = f"is larger than {max_bytes // 2**20:,} MB" + (", all pages together" if before else "")
    limit = _Limit(max_bytes - before if good else MAX_ERROR_BYTES, words)
    raw = bytearray()
    try:
        for chunk in response.iter_raw():
            raw += chunk
            if len(raw) > limit.size:
                break
    except LIBRARY_ERRORS:
        if good:
            raise
    failure: MalformedReply | BeyondBoundsError
    try:
        return _plain(raw, response.headers.get("content-encoding", ""), limit)
    except (MalformedReply, BeyondBoundsError) as error:
        failure = error.with_traceback(None)  # its frames hold the body
    if not good:
        return bytearray()
    raise too_large(failure) if isinstance(failure, BeyondBoundsError) else failure


def _plain(raw: bytearray, content_encoding: str, limit: _Limit) -> bytearray:
    """``raw`` without its content encodings, the last applied first."""
    codings = [coding.strip().lower() for coding in content_encoding.split(",")]
    if len(codings) > _MAX_CODINGS:
        message = "The body is compressed more than three times over."
        raise MalformedReply(message)
    limit.ensure(raw)
    for coding in reversed(codings):
        if not raw or coding in ("", "identity"):
            continue
        if coding in ("gzip", "x-gzip"):
            raw = _decompressed(raw, _GZIP_FORM, limit)
        elif coding == "deflate":
            raw = _decompressed(raw, _ZLIB_FORM if _has_zlib_head(raw) else _BARE_FORM, limit)
        else:
            message = "The body came in a content encoding that was not asked for."
            raise MalformedReply(message)
    # JSON never begins so: a proxy compressed and dropped the header (a form seen elsewhere).
    return _decompressed(raw, _GZIP_FORM, limit) if raw.startswith(_GZIP) else raw


def _has_zlib_head(raw: bytearray) -> bool:
    """Whether deflate has the head that the standard requires; some servers omit it."""
    return raw[0] & 0x0F == zlib.DEFLATED and int.from_bytes(raw[:2], "big") % 31 == 0


def _decompressed(raw: bytearray, form: int, limit: _Limit) -> bytearray:
    """All of ``raw``: a gzip may have several members, and each is read."""
    plain = bytearray()
    inflate = zlib.decompressobj(form)
    members = 1
    for start in range(0, len(raw), _PART):
        part = bytes(raw[start : start + _PART])
        while part:
            if inflate.eof:
                part = part.lstrip(b"\0")  # padding after a member
                if not part:
                    break
                if form != _GZIP_FORM:  # only gzip may go on after its end
                    raise _unreadable()
                members += 1
                if members > MAX_GZIP_MEMBERS:
                    message = f"is gzip of more than {MAX_GZIP_MEMBERS:,} members"
                    raise BeyondBoundsError(message)
                inflate = zlib.decompressobj(form)
            more: bytes | None = None
            with suppress(zlib.error):  # raised below, or the library's would be its context
                more = inflate.decompress(part, limit.size + 1 - len(plain))
            if more is None:
                raise _unreadable()
            plain += more
            limit.ensure(plain)
            part = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
    if not inflate.eof:
        raise _unreadable()
    return plain


def _unreadable() -> MalformedReply:
    return MalformedReply("The body is compressed and cannot be read to its end.")
