r"""The text of a reply: its encoding, and the handling of bytes that are not text.

JSON is UTF-8, but some servers write another encoding. The encoding is the one that a byte order
mark or the zeros of UTF-16 and UTF-32 show; else the one that the Content-Type declares, if all
bytes are valid in it; else UTF-8. A byte that is still invalid is kept as the JSON escape of the
code point that Python gives it (``surrogateescape``): ``\udcff`` for the byte 255. So no byte is
replaced, and two texts that differ in such a byte stay different.

What lives here: bytes to UTF-8 bytes, and UTF-8 bytes to text. What does not: where a text begins
and ends (``records.py``, the only caller).
"""

from __future__ import annotations

import codecs
import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from returns_orchestration.clickpost.bounds import (
    MAX_BODY_BYTES,
    MAX_DAMAGED_BYTES,
    BeyondBoundsError,
)

if TYPE_CHECKING:
    import msgspec

    Bytes = bytes | bytearray | memoryview | msgspec.Raw

_DECLARED: Final = re.compile(
    r";[ \t]*charset[ \t]*=[ \t]*[\"']?([A-Za-z0-9][A-Za-z0-9._:+-]{0,39})[\"']?[ \t]*(?:[;,]|$)",
    re.IGNORECASE,
)
_NO_TEXT: Final = frozenset(
    {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"}
)
"""Python calls them text encodings; they are spellings within a text, and some are very slow."""

_OBJECT: Final = re.compile(r"[ \t\r\n]*+\{")
"""How a reply begins: some encodings accept all bytes, also where the header is wrong."""

_UTF_8: Final = ("utf-8", "utf-8-sig", "ascii")
_PART: Final = 2**16
_HALF: Final = re.compile("[\ud800-\udfff]")
_MAX_HALVES: Final = 100_000


class NotTextError(ValueError):
    """The bytes are invalid in the encoding that they show."""


def declared_charset(content_type: str) -> str:
    """The charset that a Content-Type declares; "" for none, or for an invalid name."""
    found = _DECLARED.search(content_type)
    return found[1] if found else ""


def as_utf8(body: bytearray, declared: str) -> bytearray:
    """``body`` in UTF-8, without a byte order mark; ``declared``: its charset, or "".

    Invalid bytes remain as they are, and stay invalid in the result. Raises NotTextError for broken
    UTF-32 and for a text that ends within a character of two bytes, BeyondBoundsError for too many
    halves of a character, and for more bytes than MAX_BODY_BYTES.
    """
    shown = json.detect_encoding(bytes(body[:4]))
    if shown == "utf-8-sig":
        del body[:3]
        return body
    if shown != "utf-8":
        return _from_wide(body, shown)
    if declared:
        try:
            return _from_declared(body, declared)
        except BeyondBoundsError:
            raise
        except (LookupError, ValueError):
            return body  # no encoding, or the bytes are invalid in it
    return body


def _from_declared(body: bytearray, declared: str) -> bytearray:
    name = codecs.lookup(declared).name.replace("_", "-")
    if name in _NO_TEXT:
        raise LookupError(declared)
    if name in _UTF_8:
        return body
    "".encode(name)  # refuses a codec that is no text encoding, such as base64
    decoder = codecs.getincrementaldecoder(name)()
    plain = bytearray()
    for start in range(0, len(body), _PART):
        text = decoder.decode(bytes(body[start : start + _PART]), start + _PART >= len(body))
        if not start and not _OBJECT.match(text):
            raise LookupError(declared)
        plain += text.encode("utf-8")
        _ensure_bounded(plain)
    return plain


def _ensure_bounded(plain: bytearray) -> None:
    """Raise BeyondBoundsError for a text that has grown too large: UTF-8 may need more bytes."""
    if len(plain) > MAX_BODY_BYTES:
        message = f"is larger than {MAX_BODY_BYTES // 2**20:,} MB in UTF-8"
        raise BeyondBoundsError(message)


def _from_wide(body: bytearray, encoding: str) -> bytearray:
    """From UTF-16 or UTF-32; half of a surrogate pair becomes its three bytes."""
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    plain = bytearray()
    halves = 0
    for start in range(0, len(body), _PART):
        text: str | None = None
        with suppress(UnicodeError):  # raised below: the library's would hold the body
            text = decoder.decode(body[start : start + _PART], start + _PART >= len(body))
        if text is None:
            message = "it is no text of the encoding that it shows"
            raise NotTextError(message)
        halves += len(_HALF.findall(text))
        if halves > _MAX_HALVES:  # each costs a call, so that millions would take seconds
            message = f"has more than {_MAX_HALVES:,} halves of characters"
            raise BeyondBoundsError(message)
        plain += text.encode("utf-8", "surrogatepass")
        _ensure_bounded(plain)
    return plain


class TextReader:
    """Reads pieces of one reply; ``damaged`` counts those that held invalid bytes."""

    def __init__(self) -> None:
        self.damaged = 0
        self._room = MAX_DAMAGED_BYTES

    def read(self, piece: Bytes) -> str:
        """``piece``, UTF-8, as text; BeyondBoundsError for too many invalid bytes."""
        try:
            return str(piece, "utf-8")
        except UnicodeDecodeError:
            text = str(piece, "utf-8", "surrogateescape")
        whole = memoryview(piece).nbytes
        self._room -= whole - len(text.encode("utf-8", "ignore"))
        if self._room < 0:
            message = f"has more than {MAX_DAMAGED_BYTES:,} bytes that are no text"
            raise BeyondBoundsError(message)
        self.damaged += 1
        return text.encode("utf-8", "backslashreplace").decode("utf-8")
