"""Any bytes from a server give records or a project error."""

from __future__ import annotations

import json
from typing import Any

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from returns_orchestration.clickpost.charsets import declared_charset
from returns_orchestration.clickpost.more_records import left_out, signs_in_head
from returns_orchestration.clickpost.next_page import PageTrail
from returns_orchestration.clickpost.reply import Answer, read_page
from returns_orchestration.clickpost.transport import Secrets
from returns_orchestration.errors import ApiError

FIRST = httpx.URL("https://a.example/x/?start_time=1&end_time=2")
SECRETS = Secrets("key-of-some-length", "user-of-some-length")
WORDS = """
    meta result next next_page has_more total pages page links pagination rel href success status
    message last charset
"""
NAMES = st.sampled_from(WORDS.split()) | st.text(max_size=5)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(
        ["?page=2", "1 of 2", "2", "None", "https://a.example/x/", "\ud800", "http://["]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
GOOD = {"success": True, "status": 200}
HEAD = st.lists(
    st.tuples(
        st.sampled_from(
            ["Link", "Content-Range", "X-Total", "X-Next-Page", "X-Pagination", "X-Has-More"]
        )
        | st.text(st.characters(codec="ascii"), max_size=9),
        st.sampled_from(
            ['<?page=2>; rel="next"', "items 0-1/9", '{"total": 9}', "{", "9" * 40, "2"]
        )
        | st.text(st.characters(codec="latin-1"), max_size=20),
    ),
    max_size=4,
)


@settings(max_examples=600)
@given(
    status=st.sampled_from([200, 200, 200, 202, 204, 301, 400, 401, 429, 500]),
    meta=st.dictionaries(NAMES, VALUES, max_size=5),
    beside=st.dictionaries(NAMES, VALUES, max_size=4),
    result=st.lists(VALUES, max_size=3) | VALUES,
    head=HEAD,
    content_type=st.text(st.characters(codec="latin-1"), max_size=30).map("a/b; charset={}".format),
    spoil=st.tuples(st.integers(0, 400), st.binary(max_size=3)) | st.none(),
    good=st.booleans(),
)
def test_any_reply_gives_records_or_a_project_error(
    *,
    status: int,
    meta: dict[str, Any],
    beside: dict[str, Any],
    result: Any,
    head: list[tuple[str, str]],
    content_type: str,
    spoil: tuple[int, bytes] | None,
    good: bool,
) -> None:
    envelope = beside | {"meta": meta | (GOOD if good else {}), "result": result}
    body = bytearray(json.dumps(envelope).encode())
    if spoil is not None:
        body[spoil[0] : spoil[0] + 1] = spoil[1]
    answer = Answer(
        status,
        None,
        None,
        SECRETS,
        charset=declared_charset(content_type),
        signs=signs_in_head(head),
    )
    trail = PageTrail(FIRST, max_pages=3)
    failure: ApiError | None = None
    try:
        page = read_page(answer, body)
        trail.follow(page.next_link, SECRETS)
    except ApiError as error:
        failure = error
    if failure is not None:
        assert failure.cause
        assert failure.__context__ is None
        return
    word = left_out([page.signs], len(page.records), trail.is_here)
    assert word is None or word.isascii()
    for text in page.records:
        assert text.encode()
        json.loads(text, strict=False)
