"""The exact text of each record of a reply, whatever the other records hold.

A reply is cut along its outermost commas, first by msgspec, which is fast and strict. Where it
refuses (NaN, a lone surrogate, a raw control character, very deep nesting), a scanner that knows
only strings, brackets and commas cuts at the same places, and each piece is then held against
JSON as the standard library reads it. So one odd record costs speed and not the hour, and a body
that is no JSON at all is still told apart.

What lives here: bytes in, texts out. What does not: whether the reply is good (``reply.py``, which
calls this) and what a record means (``stages/typing.py``).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Bytes = bytes | bytearray | memoryview | msgspec.Raw

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[][{},"]', re.DOTALL)
_MEMBER = re.compile(rb'[ \t\r\n]*("(?:[^"\\]++|\\.)*+")[ \t\r\n]*:[ \t\r\n]*', re.DOTALL)
_BLANKS = re.compile(rb"[ \t\r\n]*+")
_BLANK = b" \t\r\n"
_CLOSES = {b"]": b"[", b"}": b"{"}
_OPENS = tuple(_CLOSES.values())
_MARKS = (*_OPENS, *_CLOSES, b",")

# Numbers stay text: only the form is looked at, and a number of 5,000 digits is no reason to fail.
_TOLERANT = json.JSONDecoder(strict=False, parse_int=str, parse_float=str, parse_constant=str)
_PLAIN = json.JSONDecoder(strict=False)
_STRICT_REFUSALS = (msgspec.MsgspecError, UnicodeError, RecursionError)


class NotJsonError(ValueError):
    """The bytes are no JSON; its text says where they go wrong and quotes none of them."""


class _Envelope(msgspec.Struct):
    """The two parts of a reply, uninterpreted; an absent one is empty."""

    meta: msgspec.Raw = msgspec.Raw(b"")
    result: msgspec.Raw = msgspec.Raw(b"")


@dataclass(frozen=True, slots=True)
class Parts:
    """``meta`` as JSON text and ``result`` as bytes that share the body's memory; b"": absent."""

    meta: str
    result: Bytes


@dataclass(frozen=True, slots=True)
class Texts:
    """Record texts in the order served; ``replaced``: how many had bytes that are no UTF-8."""

    records: tuple[str, ...]
    replaced: int


def split_reply(body: bytearray) -> Parts:
    """Cut a reply, ``{"meta": ..., "result": ...}``, into its parts.

    Raises NotJsonError for anything that is not one JSON object. A byte order mark is removed
    from ``body``; UTF-16 and UTF-32 are recognised.
    """
    encoding = json.detect_encoding(bytes(body[:4]))
    if encoding == "utf-8-sig":
        del body[:3]
    elif encoding != "utf-8":
        body = bytearray(body.decode(encoding, "replace").encode("utf-8"))
    try:
        envelope = msgspec.json.decode(body, type=_Envelope)
    except _STRICT_REFUSALS:
        pass
    else:
        return Parts(_text(envelope.meta)[0], envelope.result)
    members = _members(memoryview(body))
    meta, result = members.get("meta", b""), members.get("result", b"")
    return Parts(_text(meta)[0], result)


def split_records(result: Bytes) -> Texts | None:
    """Cut a list into the exact texts of its elements; None if ``result`` is no list.

    Raises NotJsonError if an element is no JSON even as the standard library reads it.
    """
    view = memoryview(result)
    if bytes(view[:1]) != b"[":
        return None
    try:
        strict: list[msgspec.Raw] = msgspec.json.decode(view, type=list[msgspec.Raw])
    except _STRICT_REFUSALS:
        pass
    else:
        return _texts(strict)
    pieces = [view[start:end] for start, end in _pieces(view)]
    for position, piece in enumerate(pieces):
        _require_json(piece, f"element {position} of `result`")
    return _texts(pieces)


def plain_json(text: str) -> object:
    """``text`` as Python values, NaN and control characters accepted; NotJsonError otherwise."""
    try:
        return _PLAIN.decode(text)
    except (ValueError, RecursionError):
        pass
    message = "a part of the reply is no JSON"
    raise NotJsonError(message)


def _texts(pieces: Iterable[Bytes]) -> Texts:
    replaced = 0
    records = []
    for piece in pieces:
        text, damaged = _text(piece)
        replaced += damaged
        records.append(text)
    return Texts(tuple(records), replaced)


def _text(piece: Bytes) -> tuple[str, bool]:
    """``piece`` as text, and whether bytes had to be replaced."""
    try:
        return str(piece, "utf-8"), False
    except UnicodeDecodeError:
        return str(piece, "utf-8", "replace"), True


def _require_json(piece: memoryview, what: str) -> None:
    try:
        _TOLERANT.decode(_text(piece)[0])
    except RecursionError:
        return  # nested too deep to be read here; its brackets match, and that is JSON
    except ValueError:
        pass
    else:
        return
    message = f"{what} is no JSON"
    raise NotJsonError(message)


def _members(body: memoryview) -> dict[str, memoryview]:
    """The members of the JSON object ``body``, values uncut; of a repeated name the last."""
    members: dict[str, memoryview] = {}
    for start, end in _pieces(body, b"{"):
        name = _MEMBER.match(body, start, end)
        if name is None:
            message = "a member of the reply has no name"
            raise NotJsonError(message)
        members[str(plain_json(_text(name.group(1))[0]))] = body[name.end() : end]
    return members


def _pieces(view: memoryview, opening: bytes = b"[") -> list[tuple[int, int]]:
    """Where the elements of a list, or the members of an object, begin and end, without blanks."""
    cuts = list(_cuts(view))
    if len(cuts) < 2 or bytes(view[cuts[0] : cuts[0] + 1]) != opening:
        message = "it is no JSON object or list"
        raise NotJsonError(message)
    if not (_blank(view, 0, cuts[0]) and _blank(view, cuts[-1] + 1, len(view))):
        message = "something stands before its beginning or after its end"
        raise NotJsonError(message)
    if len(cuts) == 2 and _blank(view, cuts[0] + 1, cuts[1]):
        return []
    return [_trimmed(view, cut + 1, end) for cut, end in pairwise(cuts)]


def _cuts(view: memoryview) -> Iterator[int]:
    """Positions of the outermost bracket, of the commas directly inside, and of its closing one.

    Walks strings, brackets and commas only, so depth costs a byte of memory and no recursion.
    """
    open_brackets = bytearray()
    for token in _TOKEN.finditer(view):
        mark = token.group()
        if mark == b'"' or (mark in _CLOSES and bytes(open_brackets[-1:]) != _CLOSES[mark]):
            message = f"a string or bracket does not end as it began (byte {token.start()})"
            raise NotJsonError(message)
        if mark in _OPENS:
            open_brackets += mark
        if len(open_brackets) == 1 and mark in _MARKS:
            yield token.start()
        if mark in _CLOSES:
            open_brackets.pop()
        if not open_brackets:
            return
    message = "it was cut short"
    raise NotJsonError(message)


def _blank(view: memoryview, start: int, end: int) -> bool:
    return _BLANKS.fullmatch(view, start, end) is not None


def _trimmed(view: memoryview, start: int, end: int) -> tuple[int, int]:
    first = _BLANKS.match(view, start, end)
    start = first.end() if first else start
    while end > start and view[end - 1] in _BLANK:
        end -= 1
    return start, end
