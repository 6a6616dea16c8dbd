"""Replies in the charset that they declare or show, and bytes that are invalid in it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from returns_orchestration.clickpost import RetryPolicy, charsets
from returns_orchestration.clickpost.bounds import BeyondBoundsError
from returns_orchestration.clickpost.charsets import (
    NotTextError,
    TextReader,
    as_utf8,
    declared_charset,
)
from returns_orchestration.errors import MalformedReply, RequestRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from returns_orchestration.window import Window

Ask = Any
GOOD = '{"meta": {"success": true, "status": 200}, "result": [{"reason": "%s"}, 2]}'


def declared(body: bytes, content_type: str) -> httpx.Response:
    return httpx.Response(
        200, headers=[(b"content-type", content_type.encode("latin-1"))], content=body
    )


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("ISO-8859-1", "serré à l'épaule"),
        ("latin1", "serré"),
        ('"Latin-1"', "serré"),
        ("iso-8859-15", "10 €"),
        ("windows-1252", "10 € “serré”"),
        ("windows-1251", "Мал"),
        ("koi8-r", "Мал"),
        ("Shift_JIS", "表が小さい"),
        ("euc-jp", "小さい"),
        ("iso-2022-jp", "小さい"),
        ("gbk", "太小"),
        ("gb18030", "太小🙂"),
        ("big5", "太小"),
        ("euc-kr", "작다"),
        ("utf-16", "छोटा 🙂"),
        ("utf-16le", "छोटा 🙂"),
        ("utf-16be", "छोटा 🙂"),
        ("utf-32", "छोटा 🙂"),
        ("utf-8", "छोटा 🙂"),
        ("utf8", "छोटा 🙂"),
        ("utf-8-sig", "छोटा 🙂"),
        ("cp037", "serre"),
    ],
)
def test_a_declared_charset_is_read_as_declared(
    ask: Ask, window: Window, charset: str, text: str
) -> None:
    body = (GOOD % text).encode(charset.strip('"'))
    poll = ask(declared(body, f"application/json; charset={charset}")).client.poll(window)
    assert poll.records == (f'{{"reason": "{text}"}}', "2")
    assert poll.damaged_text == 0


@pytest.mark.parametrize(
    "charset",
    [
        "utf-8",
        "us-ascii",
        "utf-16",
        "utf-32",
        "utf-7",
        "cp037",
        "nonsense",
        "",
        "x" * 500,
        "base64",
        "rot13",
        "hex",
        "zlib",
        "idna",
        "punycode",
        "undefined",
        "unicode_escape",
        "Unicode-Escape",
        "raw_unicode_escape",
        "mbcs",
        "../../etc/passwd",
        "encodings.aliases",
        "ä",
    ],
)
def test_a_charset_that_does_not_fit_is_ignored(ask: Ask, window: Window, charset: str) -> None:
    for text in ("serré \\u00e9 +2AA- \\\\n", "छोटा"):
        reply = declared((GOOD % text).encode(), f"application/json; charset={charset}")
        poll = ask(reply).client.poll(window)
        assert poll.records == (f'{{"reason": "{text}"}}', "2")
        assert poll.damaged_text == 0


@pytest.mark.parametrize(
    ("content_type", "charset"),
    [
        ("application/json;charset=latin1", "latin1"),
        ('application/json; profile="x"; Charset = "ISO-8859-1" ; q=1', "ISO-8859-1"),
        ("application/json; charset='utf-8'", "utf-8"),
        ("application/json; charset=latin1, text/html; charset=utf-8", "latin1"),
        ("application/json", ""),
        ("charset=latin1", ""),
        ("application/json; charset=", ""),
        ("application/json; charset=la tin1", ""),
        ("application/json; x*=hex;x*0*=", ""),
        ("application/json; charset*=utf-8''latin1", ""),
        ("; charset=" * 9_000, ""),
    ],
)
def test_the_charset_of_a_content_type(
    ask: Ask, window: Window, content_type: str, charset: str
) -> None:
    assert declared_charset(content_type) == charset
    reply = declared((GOOD % "e").encode(), content_type)
    assert ask(reply).client.poll(window).records[0] == '{"reason": "e"}'


@pytest.mark.parametrize(
    ("charset", "encoding"),
    [
        ("iso-8859-1", "utf-8-sig"),
        ("iso-8859-1", "utf-16"),
        ("iso-8859-1", "utf-16-le"),
        ("utf-8", "utf-16-be"),
        ("utf-16", "utf-16-be"),
        ("utf-16le", "utf-16-be"),
        ("windows-1252", "utf-32-le"),
    ],
)
def test_a_detected_encoding_overrides_the_declared_one(
    ask: Ask, window: Window, charset: str, encoding: str
) -> None:
    reply = declared((GOOD % "serré").encode(encoding), f"text/json; charset={charset}")
    assert ask(reply).client.poll(window).records[0] == '{"reason": "serré"}'


def test_two_replies_that_differ_in_one_bad_byte_stay_different(ask: Ask, window: Window) -> None:
    def polled(bad: bytes, charset: str) -> Any:
        reply = declared((GOOD % "serr@").encode().replace(b"@", bad), f"a/b; charset={charset}")
        return ask(reply).client.poll(window)

    for charset in ("utf-8", "us-ascii", "shift_jis"):
        one, other = polled(b"\xe9", charset), polled(b"\xe8", charset)
        assert one.records[0] == r'{"reason": "serr\udce9"}'
        assert other.records[0] == r'{"reason": "serr\udce8"}'
        assert (one.damaged_text, other.damaged_text) == (1, 1)
        assert json.loads(one.records[0])["reason"].encode("utf-8", "surrogateescape") == (
            b"serr\xe9"
        )
    assert polled(b"\xe9", "latin1").records[0] == '{"reason": "serré"}'


@given(st.binary(max_size=40))
def test_every_byte_can_be_recovered(content: bytes) -> None:
    reader = TextReader()
    text = reader.read(content)
    assert text.encode("utf-8") or not content
    assert reader.damaged == (not _is_utf_8(content))
    if b"\\" not in content:
        escaped = content.decode("utf-8", "surrogateescape")
        assert "".join(f"\\u{ord(c):04x}" if "\ud800" <= c <= "\udfff" else c for c in escaped) == (
            text
        )


def _is_utf_8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
def test_half_a_character_affects_only_its_record(ask: Ask, window: Window, encoding: str) -> None:
    bodies = [(GOOD % f"a{half}b").encode(encoding, "surrogatepass") for half in "\ud800\udfff"]
    texts = [ask(body).client.poll(window) for body in bodies]
    assert texts[0].records[0] == r'{"reason": "a\udced\udca0\udc80b"}'
    assert texts[1].records[0] == r'{"reason": "a\udced\udcbf\udcbfb"}'
    assert [poll.damaged_text for poll in texts] == [1, 1]


def test_broken_utf_16_or_utf_32_text_is_reported(ask: Ask, window: Window) -> None:
    cut = (GOOD % "x").encode("utf-16")[:-1]
    beyond = (GOOD % "@").encode("utf-32-le").replace(b"@\0\0\0", b"\xff\xff\xff\x7f")
    for body in (cut, beyond):
        with pytest.raises(NotTextError) as caught:
            as_utf8(bytearray(body), "")
        assert caught.value.__context__ is None
        with pytest.raises(MalformedReply):
            ask(body, retry=RetryPolicy(attempts=1)).client.poll(window)


def test_the_number_of_half_characters_is_bounded(ask: Ask, window: Window) -> None:
    body = bytearray((GOOD % ("\ud800" * 100_001)).encode("utf-16", "surrogatepass"))
    with pytest.raises(BeyondBoundsError, match="100,000 halves"):
        as_utf8(body, "")
    asked = ask(bytes(body))
    with pytest.raises(RequestRefused):
        asked.client.poll(window)
    assert len(asked.requests) == 1


def test_a_refusal_is_also_read_in_its_charset(
    ask: Ask, window: Window, envelope: Callable[..., bytes]
) -> None:
    body = envelope(success=False, status=400, message="Start time is wrong").decode()
    reply = declared(body.encode("utf-16"), "application/json; charset=utf-16")
    with pytest.raises(RequestRefused, match="Start time is wrong"):
        ask(reply).client.poll(window)


@pytest.mark.parametrize(
    ("charset", "letter"),
    [("shift_jis", "日"), ("gb18030", "𠮷"), ("euc-kr", "가"), ("cp1252", "é")],
)
def test_a_long_text_is_read_whole_wherever_it_is_split(charset: str, letter: str) -> None:
    for before in range(4):
        text = '{"a": "' + " " * before + letter * 100_000 + '"}'
        assert as_utf8(bytearray(text.encode(charset)), charset) == text.encode()


@pytest.mark.parametrize("charset", ["latin-1", "utf-16"])
def test_a_text_that_grows_too_large_in_utf_8_is_refused(
    monkeypatch: pytest.MonkeyPatch, charset: str
) -> None:
    monkeypatch.setattr(charsets, "MAX_BODY_BYTES", 2**18)
    text = '{"a": "' + "é" * 2**17 + '"}'
    with pytest.raises(BeyondBoundsError, match="in UTF-8"):
        as_utf8(bytearray(text.encode(charset)), charset)
