"""An hour fails if the API shows in any form that it has more; a whole hour never does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from returns_orchestration.clickpost import RetryPolicy
from returns_orchestration.clickpost.more_records import names_nothing, signs_in_head
from returns_orchestration.errors import MalformedReply, RecordsLeftOut, RequestRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from returns_orchestration.window import Window

Ask = Any
HERE = (
    "https://api.example/api/v1/return_order_poll/"
    "?start_time=2026-11-09T11:00:00&end_time=2026-11-09T12:00:00"
)
NEXT = "https://api.example/api/v1/return_order_poll/?page=2"
SERVED = 3


def body(
    meta: dict[str, Any] | None = None, beside: dict[str, Any] | None = None, served: int = SERVED
) -> bytes:
    head = {"success": True, "message": "SUCCESS", "status": 200} | (meta or {})
    return json.dumps({"meta": head, **(beside or {}), "result": list(range(served))}).encode()


MORE: dict[str, Any] = {
    "a link": {"next_url": NEXT},
    "a relative link": {"nextLink": "?page=2"},
    "another spelling of next": {"Next": NEXT},
    "a cursor": {"next_cursor": "abc"},
    "a token": {"nextPageToken": "abc"},
    "a number": {"next_page": 2},
    "a number as text": {"next_page": "2"},
    "the page after the given one": {"page": 4, "next_page": 5},
    "the page after page 0": {"page": 0, "total": 3, "next_page": 1},
    "an offset": {"next_offset": 3},
    "a link as an object": {"next_page": {"href": NEXT}},
    "a link as an object of another form": {"next_page": {"page": 2, "limit": 3}},
    "a link as a list": {"next_page": [2]},
    "just true": {"next_page": True},
    "a flag": {"has_more": True},
    "a flag as text": {"hasMore": "true"},
    "a flag as text in another case": {"hasMore": " True "},
    "a flag as number": {"HAS-NEXT-PAGE": 1},
    "how many more": {"more": 120},
    "truncated": {"is_truncated": True},
    "partial": {"partial": "yes"},
    "incomplete": {"incomplete_results": True},
    "remaining": {"remaining_records": 7},
    "not the last": {"last": False},
    "not complete": {"isComplete": "false"},
    "a total": {"total": 4},
    "a total as text": {"total_count": "4"},
    "a total as float": {"totalRecords": 4.0},
    "a total as object": {"total": {"value": 4, "relation": "eq"}},
    "a total with another name": {"num_results": 4},
    "a count": {"count": 100},
    "pages": {"total_pages": 2},
    "the last page": {"last_page": 2},
    "not the last page": {"last_page": False},
    "pages as text": {"pages": "2"},
    "page of pages": {"page": "1 of 2"},
}
ENOUGH: dict[str, Any] = {
    "nothing": {},
    "no link": {"next_url": None, "next_page": "", "next_cursor": " ", "nextLink": "None"},
    "no link as text": {"next_url": "null", "next_page": "undefined", "next_token": "FALSE"},
    "no link as value": {"next_url": False, "next_page": 0, "next_cursor": [], "next": "none"},
    "no link as object": {"next_page": {}, "next_url": {"href": None}, "next_link": {"url": ""}},
    "this page": {"next_page": 1, "page": 1},
    "this page as text": {"next_page": "1"},
    "the page before": {"next_page": 4, "current_page": 4},
    "the link of this page": {"next_url": HERE},
    "the link of this page by http": {"next_url": HERE.replace("https", "http")},
    "this page with the key": {"next_url": f"{HERE}&key=k&user_name=u"},
    "no more": {"has_more": False, "hasNext": "false", "truncated": 0, "partial": None, "more": ""},
    "whole": {"last": True, "is_last_page": "true", "complete": True, "done": None},
    "its own total": {"total": 3, "total_count": "3", "totalResults": 3.0, "count": 3},
    "a smaller total": {"total": 0, "count": 1},
    "no total": {"total": None, "count": "", "total_count": "many", "num_results": -1},
    "one page": {"page": 1, "total_pages": 1, "pages": "1", "last_page": 1},
    "no pages": {"total_pages": 0, "last_page": True, "pages": []},
    "page of pages": {"page": "1 of 1", "pages": "1/1"},
    "how it is paged": {"per_page": 1, "limit": 100, "page_size": 1, "offset": 200, "max": 500},
    "the other way": {"previous": NEXT, "prev_page": 7, "first": NEXT, "self": HERE},
    "times": {"next_poll_at": "2026-11-09T13:00:00Z", "next_retry": 60, "next_update_in": 60},
    "other numbers": {"total_amount": 9_000, "quantity": 12, "version": 7, "request_id": 12_345},
    "an error of nothing": {"more_info": "https://docs.example", "partial_refunds": True},
}


def held(holder: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda signs: {holder: signs}


PLACES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "": lambda signs: signs,
    "pagination": held("pagination"),
    "paging": held("Paging"),
    "page_info": held("pageInfo"),
    "links": held("_links"),
    "result_set": held("result-set"),
}


@pytest.mark.parametrize("outside", [False, True])
@pytest.mark.parametrize("place", PLACES)
def test_each_sign_of_more_records_fails_the_hour_once(
    *, ask: Ask, window: Window, place: str, outside: bool
) -> None:
    for kind, signs in MORE.items():
        shown = PLACES[place](signs)
        asked = ask(body(beside=shown) if outside else body(meta=shown))
        with pytest.raises(RecordsLeftOut) as caught:
            asked.client.poll(window)
        failure = str(caught.value)
        assert "served 3 records, " in failure, kind
        assert "indicates more, and meta.next leads to none" in failure, kind
        assert "abc" not in failure
        assert "page=2" not in failure
        assert (len(asked.requests), caught.value.attempts) == (1, 1)


@pytest.mark.parametrize("outside", [False, True])
@pytest.mark.parametrize("place", PLACES)
def test_a_reply_marked_as_complete_raises_no_alarm(
    *, ask: Ask, window: Window, place: str, outside: bool
) -> None:
    for kind, signs in ENOUGH.items():
        shown = PLACES[place](signs)
        asked = ask(body(beside=shown) if outside else body(meta=shown))
        assert len(asked.client.poll(window).records) == SERVED, kind


def test_the_key_and_its_place_are_named(ask: Ask, window: Window) -> None:
    def failure(**parts: Any) -> str:
        with pytest.raises(RecordsLeftOut) as caught:
            ask(body(**parts)).client.poll(window)
        return str(caught.value)

    assert ", `meta.has_more` indicates" in failure(meta={"hasMore": True})
    assert ", `meta.page_info.has_next_page` indicates" in failure(
        meta={"PageInfo": {"HasNextPage": True}}
    )
    assert ", `total_count` indicates" in failure(beside={"total_count": 9})
    assert ", `pagination.next` indicates" in failure(beside={"pagination": {"next": NEXT}})
    assert failure(meta={"total": 9}).endswith(
        "Ask ClickPost how to read the rest of an hour; the window was not kept, as it would be "
        "short."
    )


def test_names_and_values_of_the_reply_are_not_repeated(
    ask: Ask, window: Window, canaries: tuple[str, str]
) -> None:
    for key in canaries:
        shown = {key: True, f"next_{key}": True, f"{key} total": 9, "next_token": key}
        with pytest.raises(RecordsLeftOut) as caught:
            ask(body(meta=shown | {"links": {key: 1, "next": key}})).client.poll(window)
        assert "`meta.next_token`" in str(caught.value)
        assert "canary" not in str(caught.value)


def test_a_list_of_links_is_searched(ask: Ask, window: Window) -> None:
    for place in ("meta", "beside"):
        links = [{"rel": "self", "href": HERE}, {"rel": "next", "href": NEXT}]
        with pytest.raises(RecordsLeftOut, match="links"):
            ask(body(**{place: {"links": links}})).client.poll(window)
        links[1]["href"] = ""
        links.append({"rel": "prev", "href": NEXT})
        assert ask(body(**{place: {"links": links}})).client.poll(window).pages == 1


def test_deeper_objects_and_records_are_not_searched(ask: Ask, window: Window) -> None:
    deep = {"pagination": {"links": {"next": NEXT, "total": 9}}, "debug": {"has_more": True}}
    records = b'[{"has_more": true, "total": 9, "next": "x"}]'
    for text in (body(deep, deep), body().replace(b"[0, 1, 2]", records)):
        assert ask(text).client.poll(window).pages == 1


def test_no_records_with_a_total_are_not_an_empty_hour(ask: Ask, window: Window) -> None:
    null = body({"total": 3}).replace(b"[0, 1, 2]", b"null")
    for text in (body({"total": 1}, served=0), null):
        with pytest.raises(RecordsLeftOut, match="served 0 records"):
            ask(text).client.poll(window)
    assert ask(body({"total": 0}, served=0)).client.poll(window).records == ()


HEADS_OF_MORE = [
    {"link": f'<{NEXT}>; rel="next"'},
    {"Link": f"<{HERE}>; rel=prev, <{NEXT}>; rel=next"},
    {"link": f'<{NEXT}>; title="x"; REL="last Next"'},
    {"x-total-count": "4"},
    {"X-Total": "4"},
    {"X-Total-Pages": "2"},
    {"X-Pagination-Page-Count": "2"},
    {"X-Next-Page": "2"},
    {"X-Next-Page": "abc"},
    {"X-Next-Cursor": "abc"},
    {"X-Has-More": "true"},
    {"X-Pagination": '{"TotalCount": 4, "PageSize": 3}'},
    {"X-Pagination": '{"HasNext": true}'},
    {"Content-Range": "items 0-2/4"},
    {"Content-Range": "records */4"},
    {"Content-Range": "bytes 0-99/5000"},
    {"Content-Range": "bytes 100-199/200"},
]
HEADS_OF_ALL = [
    {"link": f'<{HERE}>; rel="prev", <{HERE}>; rel=last'},
    {"link": '</style.css>; rel=preload; title="next"'},
    {"x-total-count": "3"},
    {"x-total-count": ""},
    {"X-Next-Page": ""},
    {"X-Next-Page": "1", "X-Page": "1"},
    {"X-Has-More": "false"},
    {"X-Pagination": '{"TotalCount": 3, "HasNext": false}'},
    {"X-Pagination": "{broken"},
    {"X-Per-Page": "1", "X-RateLimit-Remaining": "4999", "X-Request-Count": "900"},
    {"Content-Range": "items 0-2/3"},
    {"Content-Range": "items 0-2/*"},
    {"Content-Range": "bytes 0-199/200"},
    {"Content-Range": "nonsense"},
    {"Last-Modified": "Mon, 09 Nov 2026 12:30:00 GMT", "Age": "4", "ETag": '"next"'},
]


@pytest.mark.parametrize("head", HEADS_OF_MORE)
def test_a_header_that_indicates_more_fails_the_hour(
    ask: Ask, window: Window, head: dict[str, str]
) -> None:
    asked = ask(httpx.Response(200, headers=head, content=body()))
    with pytest.raises(RecordsLeftOut, match="in the HTTP head") as caught:
        asked.client.poll(window)
    assert "abc" not in str(caught.value)
    assert len(asked.requests) == 1


@pytest.mark.parametrize("head", HEADS_OF_ALL)
def test_a_header_of_a_whole_hour_raises_no_alarm(
    ask: Ask, window: Window, head: dict[str, str]
) -> None:
    reply = httpx.Response(200, headers=head, content=body())
    assert len(ask(reply).client.poll(window).records) == SERVED


def test_reported_signs_hold_no_text_of_a_header(canaries: tuple[str, str]) -> None:
    for value in canaries:
        head = [
            ("link", f"<https://a.example/?key={value}>; rel=next"),
            ("x-next-cursor", value),
            ("x-next-page", f"https://a.example/?key={value}"),
            (f"x-{value}", "true"),
            ("x-pagination", json.dumps({"next": value, value: 1, "TotalCount": 9})),
        ]
        signs = signs_in_head(head)
        assert len(signs) == 5
        assert value not in repr(signs)


def test_a_real_header_passes_the_transport(
    *,
    serve: Callable[..., Any],
    connect: Callable[..., Any],
    reply_bytes: Callable[..., bytes],
    window: Window,
) -> None:
    link = f'Link: <{NEXT}>; rel="next"'
    with pytest.raises(RecordsLeftOut, match="`Link` in the HTTP head"):
        connect(serve(reply_bytes(body(), link)).url).poll(window)
    assert connect(serve(reply_bytes(body(), "X-Total-Count: 3")).url).poll(window).pages == 1


class TestPages:
    """Where meta.next leads on, only totals count, and they are compared with all pages."""

    def test_a_whole_hour_of_pages_raises_no_alarm(self, ask: Ask, window: Window) -> None:
        shown: dict[str, Any] = {"total": 9, "total_pages": 3}
        pages = [
            body({"next": "?page=2", "has_more": True, "page": 1, "next_page": 2, **shown}),
            body({"next": "?page=3", "has_more": True, "page": 2, "next_page": 3, **shown}),
            body({"next": None, "has_more": False, "page": 3, "next_page": None, **shown}),
        ]
        poll = ask(*pages).client.poll(window)
        assert (poll.pages, len(poll.records)) == (3, 9)

    @pytest.mark.parametrize(
        "shown",
        [
            {"total": 7},
            {"total_pages": 3},
            {"has_more": True},
            {"next_page": 3},
            {"next_url": "?page=3"},
        ],
    )
    def test_records_missing_after_the_last_page_are_noticed(
        self, ask: Ask, window: Window, shown: dict[str, Any]
    ) -> None:
        asked = ask(body({"next": "?page=2"}), body({"next": "None", **shown}))
        with pytest.raises(RecordsLeftOut, match="served 6 records"):
            asked.client.poll(window)
        assert len(asked.requests) == 2

    def test_a_total_on_the_first_page_counts_for_all_pages(self, ask: Ask, window: Window) -> None:
        asked = ask(body({"next": "?page=2", "total": 9}), body())
        with pytest.raises(RecordsLeftOut, match=r"`meta\.total`"):
            asked.client.poll(window)

    def test_a_link_from_the_last_page_to_itself_raises_no_alarm(
        self, ask: Ask, window: Window
    ) -> None:
        asked = ask(body({"next": "?page=2"}), body({"next_url": "?page=2", "next_page": 2}))
        assert asked.client.poll(window).pages == 2

    def test_ranges_are_compared_with_all_pages(self, ask: Ask, window: Window) -> None:
        def ranged(text: str, **meta: Any) -> httpx.Response:
            head = {"content-range": f"items {text}"}
            return httpx.Response(200, headers=head, content=body(meta))

        pages = [ranged("0-2/6", next="?page=2"), ranged("3-5/6")]
        assert ask(*pages).client.poll(window).pages == 2


def test_unreadable_facts_about_pages_make_a_reply_malformed(ask: Ask, window: Window) -> None:
    good = b'{"meta": {"success": true, "status": 200%b}, %b "result": [NaN]}'
    for text in (
        good % (b"", b'"has_more": True,'),
        good % (b"", b'"pagination": {"total": 1, "total": 9},'),
        good % (b', "pagination": {"total": 9, "total": 1}', b""),
    ):
        with pytest.raises(MalformedReply):
            ask(text, retry=RetryPolicy(attempts=1)).client.poll(window)
    assert ask(good % (b"", b'"other": True,')).client.poll(window).records == ("NaN",)
    large = good % (b"", b'"pagination": {"x": "%b"},' % (b"x" * 2**18))
    with pytest.raises(RequestRefused, match="`pagination` of more than 256 KB"):
        ask(large).client.poll(window)


@pytest.mark.parametrize("value", [None, False, "", " ", "None", "NULL", " undefined\n", "False"])
def test_texts_that_name_no_page(value: object) -> None:
    assert names_nothing(value)


@pytest.mark.parametrize("value", [0, 1, True, "0", "no", [], {}, "?page=2"])
def test_texts_that_may_name_a_page(value: object) -> None:
    assert not names_nothing(value)
