"""The cost of a reply, however small its compressed body: processor time and memory of a real poll.

Each body comes over a loopback socket to the real client in a separate process, and the time and
memory of that process must stay within a bound. A body beyond a bound of the client is refused and
not requested again.
"""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest
from support.measured_polls import Figures, Served, measure
from support.records import assigned, new_case, on_the_wire

if TYPE_CHECKING:
    from collections.abc import Iterator

MB = 10**6
SECONDS, MEGABYTES, TIMES_ASKED = 1.0, 150, 2
META = b'{"success":true,"status":200,"message":"SUCCESS"}'
ODD = {"": b"", " and NaN": b",NaN", " and half a character": b',"\\ud800"'}
ELEMENTS = {
    "zeros": b"0,",
    "empty objects": b"{},",
    "empty texts": b'"",',
    "nulls": b"null,",
    "empty lists": b"[],",
}


def reply(result: bytes, meta: bytes = META, beside: bytes = b"") -> bytes:
    return b'{"meta":' + meta + beside + b',"result":' + result + b"}"


def packed(body: bytes, **head: str) -> Served:
    named = {name.replace("_", "-"): value for name, value in head.items()}
    return Served(
        gzip.compress(body, 1, mtime=0), head=(("Content-Encoding", "gzip"), *named.items())
    )


def listed(element: bytes, size: int = 8 * MB, last: bytes = b"") -> bytes:
    """A list of about ``size`` bytes."""
    return b"[" + (element * (size // len(element)))[:-1] + last + b"]"


def nested(depth: int, inner: bytes = b"") -> bytes:
    return b"[" * depth + inner + b"]" * depth


def bodies() -> Iterator[tuple[str, bytes]]:
    for odd, last in ODD.items():
        for kind, element in ELEMENTS.items():
            yield f"{kind}{odd}", reply(listed(element, last=last))
            yield f"{kind} in one record{odd}", reply(b'[{"a":%b}]' % listed(element, last=last))
        within = listed(b"0,", 3_990_000, last)
        yield f"just few enough values in one record{odd}", reply(b'[{"a":%b}]' % within)
        yield f"just few enough records{odd}", reply(listed(b'{"a":1},', 98_000 * 8, last))
        yield f"nested 2,000,000 deep{odd}", reply(b'[{"a":%b}%b]' % (nested(2 * MB), last))
        yield f"nested 500,000 deep{odd}", reply(b'[{"a":%b}%b]' % (nested(500_000), last))
        yield f"just flat enough{odd}", reply(listed(nested(4_990) + b",", 490_000, last))
        yield f"nested in meta{odd}", reply(b"[1%b]" % last, b'{"a":%b}' % nested(500_000))
        yield f"beside{odd}", reply(b"[]", beside=b',"x":%b' % listed(b"{},", last=last))
    yield "4 MB of brackets", b"[" * 4 * MB
    yield "brackets as result", reply(b"[" * 4 * MB)
    yield "1 MB of brackets as result", reply(b"[" * MB)
    yield "brackets in a record", reply(b'[{"a":' + b"[" * MB)
    yield "a huge message", reply(b"[]", META.replace(b"SUCCESS", b"S" * 8 * MB))
    yield (
        "many members",
        reply(b"[]", beside=b"," + b",".join(b'"%d":1' % number for number in range(500_000))),
    )
    yield "bytes that are no text", reply(b'["%b"]' % (b"\xff" * 8 * MB))
    yield "halves of characters", reply(b'["%b"]' % (b"\\ud800" * 1_300_000))
    yield "blanks", reply(b"[1%b,NaN%b]" % (b" " * 4 * MB, b" " * 4 * MB))
    yield "halves in UTF-16", b"\xff\xfe" + b"\0\xd8" * 4 * MB


CASES = {kind: packed(body) for kind, body in bodies()} | {
    "no word of gzip": Served(gzip.compress(reply(listed(b"0,")))),
    "members of gzip": Served(
        gzip.compress(b"", mtime=0) * 400_000, head=(("Content-Encoding", "gzip"),)
    ),
    "declared charset": packed(reply(listed(b"0,")), Content_Type="a/b; charset=iso-2022-jp"),
    "declared no charset": packed(reply(listed(b"0,")), Content_Type="a/b; charset=punycode"),
    "page of 1 MB": Served(b"<html>" + b"x" * MB, 404),
    "page of brackets": Served(b'{"meta":' + b'{"a":' * 200_000, 403),
    "page of objects": Served(b'{"meta":{"status":400},"x":' + listed(b"{},", MB) + b"}", 400),
}
REPEATED = {
    "fault of 1 MB": Served(b"<html>" + b"x" * MB, 500),
    "fault of brackets": Served(b'{"meta":' + b'{"a":' * 200_000, 503),
    "fault of objects": Served(b'{"meta":{"status":500},"x":' + listed(b"{},", MB) + b"}", 500),
    "fault with a long message": Served(
        b'{"meta":{"status":500,"message":"%b"}}' % (b"value " * 40_000), 500
    ),
    "page that is none": Served(b"<html>" + b"x" * MB),
}
"""Failures that are repeated: all attempts together stay within the bounds."""

READ = {
    "just few enough records": 98_000,
    "just few enough records and NaN": 98_001,
    "just few enough values in one record": 1,
    "just few enough values in one record and NaN": 1,
    "just flat enough and half a character": 50,
    "halves of characters": 1,
    "blanks": 2,
}


@pytest.fixture(scope="module")
def figures() -> dict[str, Figures]:
    return measure(CASES | REPEATED)


def test_each_hostile_body_is_cheap(figures: dict[str, Figures]) -> None:
    dear = {
        kind: (round(found.seconds, 2), round(found.megabytes))
        for kind, found in figures.items()
        if found.seconds > SECONDS or found.megabytes > MEGABYTES
    }
    assert not dear


def test_each_hostile_body_is_read_or_permanently_refused(figures: dict[str, Figures]) -> None:
    asked = {kind: figures[kind].asked for kind in CASES if figures[kind].asked > TIMES_ASKED}
    assert not asked
    assert {kind: figures[kind].records for kind in READ} == READ
    refused = [figures[kind] for kind in CASES if figures[kind].outcome != "read"]
    assert {found.outcome for found in refused} == {"RequestRefused", "CredentialsRefused"}
    bounded = [found.said for found in refused if "HTTP 4" not in found.said]
    assert len(bounded) > 40
    assert all("ask ClickPost what it sends for this one" in said for said in bounded)
    assert {figures[kind].outcome for kind in REPEATED} == {"ServerFault", "MalformedReply"}


def test_a_body_is_decompressed_only_up_to_its_bound() -> None:
    found = measure({"zeros": packed(b"0" * 200 * MB)})["zeros"]
    assert (found.outcome, found.asked) == ("RequestRefused", 1)
    assert found.megabytes < MEGABYTES
    assert found.seconds < 2


def test_a_large_hour_with_one_odd_value_is_read_whole() -> None:
    """12,000 records in 23 MB, the largest hour known, and a NaN or half a character in one."""
    padding = "x" * 250
    records = [
        on_the_wire(shape(return_reference_number=f"R-{number}", padding=padding))
        for number in range(6_000)
        for shape in (new_case, assigned)
    ]
    whole = reply(b"[" + ", ".join(records).encode() + b"]")
    assert len(whole) > 22 * MB
    cases = {
        "whole": whole,
        "NaN": whole.replace(b'"quantity": 1', b'"quantity": NaN', 1),
        "half": whole.replace(b'"R-5999"', b'"R-\\ud800"', 1),
        "deep": whole.replace(b'"R-5999"', nested(3_000), 1),
    }
    found = measure({kind: packed(body) for kind, body in cases.items()})
    for kind, one in found.items():
        assert (one.outcome, one.records) == ("read", 12_000), kind
        assert one.seconds < 2, (kind, one.seconds)
    texts = {kind: one.size for kind, one in found.items()}
    assert texts["NaN"] == texts["whole"] + 2
