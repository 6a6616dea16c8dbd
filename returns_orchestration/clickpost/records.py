"""The exact text of each record of a reply, whatever the other records hold.

A reply is cut along its outermost commas by msgspec, which is fast and strict. Where it refuses
(NaN, a lone surrogate, a raw control character, very deep nesting), ``cuts.py`` cuts at the same
places, and each piece is then checked as JSON by the standard library's rules. So one odd record
costs speed and not the hour, and a body that is no JSON at all is still recognised. An envelope
that names a member twice is no answer: the valid one of the two is unknown.

What lives here: bytes in, texts out, within the bounds. What does not: whether the reply is good
(``reply.py``, which calls this) and what a record means (``stages/typing.py``).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from returns_orchestration.clickpost.bounds import (
    MAX_MEMBERS,
    MAX_META_BYTES,
    MAX_RECORDS,
    MAX_VALUES,
    BeyondBoundsError,
)
from returns_orchestration.clickpost.charsets import NotTextError, TextReader, as_utf8
from returns_orchestration.clickpost.cuts import STRING, Cutter, NotJsonError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from returns_orchestration.clickpost.charsets import Bytes
    from returns_orchestration.clickpost.cuts import Span

_NAME: Final = re.compile(rb"[ \t\r\n]*(%b)[ \t\r\n]*:[ \t\r\n]*" % STRING, re.DOTALL)
_BLANK: Final = b" \t\r\n"
_BLANKS: Final = (b" ", b"\t", b"\r", b"\n")
_STRICT_REFUSALS: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)

_CALM: Final = bytes(
    ord(" ") if chr(byte) in "\t\r\n" else ord("x") if byte < ord(" ") else byte
    for byte in range(256)
)
_SAME_LENGTH: Final = (
    (b"\\ud", b"\\u0"),
    (b"\\uD", b"\\u0"),
    (b"NaN", b"[] "),
    (b"-Infinity", b"[]       "),
    (b"Infinity", b"[]      "),
)
"""Text that msgspec refuses, not the standard library; a substitute that is JSON only there."""


class _Envelope(msgspec.Struct):
    """The two parts of a reply, uninterpreted; an absent one is empty."""

    meta: msgspec.Raw = msgspec.Raw(b"")
    result: msgspec.Raw = msgspec.Raw(b"")


class _AnyObject(msgspec.Struct, gc=False):
    """Any object, without its members: the smallest type to count by."""


@dataclass(frozen=True, slots=True)
class Parts:
    """``meta`` as JSON text and ``result`` as bytes that share the body's memory; empty: absent.

    ``beside`` holds the other members of the envelope by name, uninterpreted. ``elements`` gives
    the begin and end of each element in ``result``, if they had to be found.
    """

    meta: str
    result: Bytes
    beside: Mapping[str, Bytes]
    elements: Sequence[Span] | None = None


@dataclass(frozen=True, slots=True)
class Texts:
    """Record texts in the order served; ``damaged``: how many had bytes that are not text."""

    records: tuple[str, ...]
    damaged: int


def split_reply(body: bytearray, charset: str = "") -> Parts:
    """Cut a reply, ``{"meta": ..., "result": ...}``, into its parts.

    ``charset`` is the declared one, if any; UTF-16 and UTF-32 are recognised, and a byte order mark
    is removed from ``body``. Raises NotJsonError for anything that is not one JSON object or names
    a member twice, BeyondBoundsError for too many values, members or levels.
    """
    try:
        body = as_utf8(body, charset)
    except NotTextError as error:
        broken = str(error)
    else:
        broken = ""
    if broken:
        raise NotJsonError(broken)
    if len(body) - len(body.translate(None, b",[{")) > MAX_VALUES:
        message = f"has more than {MAX_VALUES:,} values"
        raise BeyondBoundsError(message)
    known: dict[str, msgspec.Raw] = {}
    try:
        envelope = msgspec.json.decode(body, type=_Envelope)
    except _STRICT_REFUSALS:
        pass
    else:
        known = {"meta": envelope.meta, "result": envelope.result}
    members, elements = _members(body, known)
    meta = members.pop("meta", b"")
    result = members.pop("result", b"")
    return Parts(small_text(meta, "meta"), result, members, elements)


def split_records(result: Bytes, elements: Sequence[Span] | None = None) -> Texts | None:
    """Cut a list into the exact texts of its elements; None if ``result`` is no list.

    ``elements`` gives their places, if these are known.

    Raises NotJsonError if an element is no JSON even as the standard library reads it,
    BeyondBoundsError for more than MAX_RECORDS elements.
    """
    view = memoryview(result)
    if bytes(view[:1]) != b"[":
        return None
    pieces: Iterable[Bytes] | None = None if elements else _strict_elements(view)
    if pieces is None:
        pieces = _tolerant_elements(view, elements or list(Cutter(view).elements(0)))
    reader = TextReader()
    records = tuple(map(reader.read, pieces))
    return Texts(records, reader.damaged)


def small_text(value: Bytes, what: str) -> str:
    """The JSON text of a part that is read whole; ``what`` is a name of ours for it.

    Raises BeyondBoundsError for one that is larger than MAX_META_BYTES.
    """
    if memoryview(value).nbytes > MAX_META_BYTES:
        message = f"has a `{what}` of more than {MAX_META_BYTES // 2**10} KB"
        raise BeyondBoundsError(message)
    return TextReader().read(value)


class Repeating(dict[str, object]):
    """A JSON object that names a member twice."""


def plain_json(text: str) -> object:
    """``text`` as Python values, NaN and control characters accepted; NotJsonError otherwise.

    An object that names a member twice is a Repeating.
    """
    try:
        return _PLAIN.decode(text)
    except (ValueError, RecursionError):
        pass
    message = "a part of the reply is no JSON"
    raise NotJsonError(message)


def _object(members: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(members)
    return found if len(found) == len(members) else Repeating(found)


_PLAIN: Final = json.JSONDecoder(strict=False, object_pairs_hook=_object)


def _members(
    body: bytearray, known: Mapping[str, msgspec.Raw]
) -> tuple[dict[str, Bytes], list[Span] | None]:
    """The members of the JSON object ``body``, values uncut, and the places of result's elements.

    ``known`` holds values that msgspec found under their names, the last of a repeated name. A
    value at its expected place is passed over at once; any other value is scanned.
    """
    view = memoryview(body)
    cutter = Cutter(view)
    start = cutter.past_blanks(0)
    if not body.startswith(b"{", start):
        message = "it is no JSON object"
        raise NotJsonError(message)
    members: dict[str, Bytes] = {}
    elements: list[Span] | None = None
    position = cutter.past_blanks(start + 1)
    while not body.startswith(b"}", position):
        name, start = _name(view, position)
        raw = known.get(name, b"")
        end = start + len(raw)
        expected = len(raw) > 0 and body.startswith(raw, start)
        # The value here may only begin like the known one, as 12 and then 1 under one name.
        if not expected or view[cutter.past_blanks(end)] not in b",}":
            if name == "result" and body.startswith(b"[", start):
                found = list(cutter.elements(start))
                elements = [(begin - start, end - start) for begin, end in found]
                end = found[-1][1] + 1
            else:
                end = cutter.end(start)
        if name in members:
            message = "a member is named twice"
            raise NotJsonError(message)
        members[name] = _trimmed(view[start:end])
        if len(members) > MAX_MEMBERS:
            message = f"has more than {MAX_MEMBERS:,} parts"
            raise BeyondBoundsError(message)
        position = cutter.past_blanks(end)
        if body.startswith(b",", position):
            position += 1
        elif not body.startswith(b"}", position):
            message = f"a member does not end as it began (byte {position})"
            raise NotJsonError(message)
    if cutter.past_blanks(position + 1) < len(body):
        message = "there is text after its end"
        raise NotJsonError(message)
    return members, elements


def _name(view: memoryview, start: int) -> tuple[str, int]:
    """The name of the member that begins at ``start``, and where its value begins."""
    found = _NAME.match(view, start)
    if found is None:
        message = "a member of the reply has no name"
        raise NotJsonError(message)
    text = str(found[1], "utf-8", "surrogateescape")
    return str(plain_json(text)), found.end()


def _trimmed(piece: memoryview) -> memoryview:
    """``piece`` without the blanks at its end."""
    if piece[-1:].tobytes() in _BLANKS:
        return piece[: len(piece.tobytes().rstrip(_BLANK))]
    return piece


def _strict_elements(view: memoryview) -> Sequence[Bytes] | None:
    """The elements of a list by msgspec; None where it refuses one."""
    try:
        if view.tobytes().count(b",") >= MAX_RECORDS:
            # Counted first: a list of millions of pieces would take hundreds of megabytes.
            count = len(msgspec.json.decode(view, type=list[_AnyObject]))
        else:
            count = 0
        if count <= MAX_RECORDS:
            return msgspec.json.decode(view, type=list[msgspec.Raw])
    except _STRICT_REFUSALS:
        return None
    message = f"has more than {MAX_RECORDS:,} records"
    raise BeyondBoundsError(message)


def _tolerant_elements(view: memoryview, spans: Sequence[Span]) -> Iterable[Bytes]:
    """The elements of a list at ``spans``, each checked to be JSON."""
    calm = memoryview(_calmed(view.tobytes()))
    if len(spans) == 1 and not calm[slice(*spans[0])].tobytes().strip(_BLANK):
        return
    for position, (begin, end) in enumerate(spans):
        if not _is_json(calm[begin:end]):
            message = f"element {position} of `result` is no JSON"
            raise NotJsonError(message)
        yield view[begin:end].tobytes().strip(_BLANK)


def _calmed(text: bytes) -> bytes:
    """``text`` with substitutes of the same length for all that msgspec refuses.

    The substitute of a NaN, a raw control character or half a surrogate pair is JSON where the
    standard library would read the original, and only there. Inside texts it does no harm.
    """
    calm = text.translate(_CALM)
    for odd, plain in _SAME_LENGTH:
        calm = calm.replace(odd, plain)
    return calm


def _is_json(piece: memoryview) -> bool:
    try:
        msgspec.json.decode(piece, type=msgspec.Raw)
    except RecursionError:
        return True  # nested too deep to be read here; its brackets match, and that is JSON
    except _STRICT_REFUSALS:
        return False
    return True
