"""The bytes of a body: decompressed whole, in any coding, or refused and never cut short."""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from returns_orchestration.clickpost import RetryPolicy
from returns_orchestration.errors import CredentialsRefused, MalformedReply, RequestRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from returns_orchestration.window import Window

Ask = Any
ONCE = RetryPolicy(attempts=1)


def packed(body: bytes, coding: str | None, status: int = 200) -> httpx.Response:
    """A reply with the bytes of ``body`` unchanged, whatever ``coding`` declares."""
    headers = {} if coding is None else {"content-encoding": coding}
    return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))


def in_two(body: bytes, between: bytes = b"") -> bytes:
    return gzip.compress(body[:30]) + between + gzip.compress(body[30:])


def in_hundreds(body: bytes) -> list[bytes]:
    return [body[start : start + 100] for start in range(0, len(body), 100)]


def bare(body: bytes) -> bytes:
    """Deflate without the header and the checksum that the standard requires."""
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflate.compress(body) + deflate.flush()


@pytest.mark.parametrize(
    ("pack", "coding"),
    [
        (gzip.compress, "gzip"),
        (gzip.compress, "x-gzip"),
        (gzip.compress, "GZIP"),
        (gzip.compress, "identity, gzip"),
        (gzip.compress, None),
        (in_two, "gzip"),
        (in_two, None),
        (lambda body: in_two(body, b"\0" * 512), "gzip"),
        (lambda body: gzip.compress(body) + b"\0" * 9_000, "gzip"),
        (lambda body: gzip.compress(b"") * 3 + gzip.compress(body), "gzip"),
        (lambda body: b"".join(map(gzip.compress, in_hundreds(body))), "gzip"),
        (lambda body: gzip.compress(in_two(body)), "gzip, gzip"),
        (lambda body: gzip.compress(in_two(body)), "gzip"),
        (lambda body: gzip.compress(zlib.compress(body)), "deflate, gzip"),
        (zlib.compress, "deflate"),
        (bare, "deflate"),
        (bytes, "identity"),
        (bytes, ""),
    ],
)
def test_a_compressed_body_is_read_whole(
    ask: Ask,
    window: Window,
    envelope: Callable[..., bytes],
    pack: Callable[[bytes], bytes],
    coding: str | None,
) -> None:
    body = envelope({"name": "é" * 100_000}, 2)
    poll = ask(packed(pack(body), coding)).client.poll(window)
    assert (len(poll.records), poll.bytes) == (2, len(body))


def test_records_in_the_second_member_are_not_lost(
    ask: Ask, window: Window, envelope: Callable[..., bytes]
) -> None:
    """The first member alone is a good reply, so a lost second one would not be noticed."""
    body = gzip.compress(envelope(1)) + gzip.compress(b" ")
    assert ask(packed(body, "gzip")).client.poll(window).records == ("1",)
    twice = gzip.compress(envelope(1)) + gzip.compress(envelope(2))
    with pytest.raises(MalformedReply, match="after its end"):
        ask(packed(twice, "gzip"), retry=ONCE).client.poll(window)


@pytest.mark.parametrize(
    ("pack", "coding"),
    [
        (lambda body: gzip.compress(body)[:-9], "gzip"),
        (lambda body: gzip.compress(body)[:-9], None),
        (lambda body: in_two(body)[:-1], "gzip"),
        (lambda body: in_two(body, b"garbage"), "gzip"),
        (lambda body: gzip.compress(body) + b"garbage", "gzip"),
        (lambda body: zlib.compress(body) + b"garbage", "deflate"),
        (lambda body: zlib.compress(body)[:-5], "deflate"),
        (lambda body: bare(body)[:-5], "deflate"),
        (bytes, "gzip"),
        (bytes, "deflate"),
        (bytes, "br"),
        (bytes, "gzip, br"),
        (lambda body: gzip.compress(gzip.compress(body)), "gzip, gzip, gzip, gzip"),
    ],
)
def test_a_body_that_cannot_be_fully_decompressed_is_malformed(
    ask: Ask,
    window: Window,
    envelope: Callable[..., bytes],
    pack: Callable[[bytes], bytes],
    coding: str | None,
) -> None:
    asked = ask(packed(pack(envelope({"a": "b" * 50})), coding), retry=ONCE)
    with pytest.raises(MalformedReply) as caught:
        asked.client.poll(window)
    assert caught.value.__context__ is None


def test_a_body_is_bounded_by_its_decompressed_size(
    ask: Ask, window: Window, envelope: Callable[..., bytes]
) -> None:
    body = envelope("x" * 3_000_000)
    for pack, coding in (
        (gzip.compress, "gzip"),
        (gzip.compress, None),
        (zlib.compress, "deflate"),
    ):
        asked = ask(packed(pack(body), coding), max_body_bytes=2**21)
        with pytest.raises(RequestRefused, match="larger than 2 MB"):
            asked.client.poll(window)
        assert len(asked.requests) == 1
        exact = ask(packed(pack(body), coding), max_body_bytes=len(body))
        assert exact.client.poll(window).bytes == len(body)


def test_all_pages_of_an_hour_share_one_bound(
    ask: Ask, window: Window, envelope: Callable[..., bytes]
) -> None:
    pages = [envelope("x" * 1_000_000, next=f"?page={number}") for number in (2, 3, 4)]
    asked = ask(*pages, max_body_bytes=2**21)
    with pytest.raises(RequestRefused, match="larger than 2 MB, all pages together"):
        asked.client.poll(window)
    assert len(asked.requests) == 3


def test_the_number_of_members_is_bounded(
    ask: Ask, window: Window, envelope: Callable[..., bytes]
) -> None:
    body = gzip.compress(b"") * 10_000 + gzip.compress(envelope(1))
    asked = ask(packed(body, "gzip"))
    with pytest.raises(RequestRefused, match="10,000 members"):
        asked.client.poll(window)
    assert len(asked.requests) == 1


@pytest.mark.parametrize("body", [b"no gzip", gzip.compress(b"x" * 9_000_000), b"x" * 5_000_000])
def test_an_error_is_judged_by_its_status_whatever_its_body(
    ask: Ask, window: Window, body: bytes
) -> None:
    with pytest.raises(CredentialsRefused):
        ask(packed(body, "gzip", status=403)).client.poll(window)
