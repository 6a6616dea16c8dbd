"""Which links to a further page are followed, and that a window is read whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from returns_orchestration.clickpost.next_page import PageTrail
from returns_orchestration.clickpost.transport import Secrets
from returns_orchestration.errors import NextPageRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from returns_orchestration.window import Window

KEY, USER = "key-of-some-length", "clickpost"
SECRETS = Secrets(KEY, USER)
HERE = "https://api.clickpost.example/api/v1/return_order_poll/"
FIRST = httpx.URL(f"{HERE}?start_time=2026-11-09T11:00:00&end_time=2026-11-09T12:00:00")
TIMES = "start_time=2026-11-09T11%3A00%3A00&end_time=2026-11-09T12%3A00%3A00"


def trail(max_pages: int = 5) -> PageTrail:
    return PageTrail(FIRST, max_pages=max_pages)


@pytest.mark.parametrize(
    "link", [None, "", " ", "None", "none", "NULL", "null\n", "undefined", "False", False]
)
def test_a_page_without_a_link_is_the_last(link: object) -> None:
    assert trail().follow(link, SECRETS) is None


@pytest.mark.parametrize(
    ("link", "target"),
    [
        (f"{HERE}?page=2", f"{HERE}?page=2"),
        ("?page=2", f"{HERE}?page=2"),
        ("/api/v2/more?c=a%2Bb", "https://api.clickpost.example/api/v2/more?c=a%2Bb"),
        (f"{HERE.replace('example/', 'example:443/')}?page=2", f"{HERE}?page=2"),
        (f"{HERE.replace('api.click', 'API.Click')}?page=2", f"{HERE}?page=2"),
        (f"{HERE}?page=2#top", f"{HERE}?page=2"),
        (f"?{TIMES}&page=2", f"{HERE}?{TIMES}&page=2"),
        ("?start_time=2026-11-09+11:00:00&page=2", f"{HERE}?start_time=2026-11-09+11:00:00&page=2"),
        (f"?key={KEY}&page=2&user_name={USER}", f"{HERE}?page=2"),
        (f"?page=2&%6Bey=other&KEY={KEY}&User_Name=x", f"{HERE}?page=2"),
        ("?keys=1&key_name=2", f"{HERE}?keys=1&key_name=2"),
        (f" {HERE}?page=2 ", f"{HERE}?page=2"),
        (f"{HERE.replace('https', 'http')}?page=2", f"{HERE}?page=2"),
        (f"{HERE.replace('https', 'HTTP')}?page=2", f"{HERE}?page=2"),
        (
            f"{HERE.replace('https', 'http').replace('example/', 'example:80/')}?page=2",
            f"{HERE}?page=2",
        ),
        (
            f"{HERE.replace('https', 'http').replace('example/', 'example:443/')}?page=2",
            f"{HERE}?page=2",
        ),
    ],
)
def test_a_link_within_the_origin_is_followed_without_credentials(link: str, target: str) -> None:
    assert str(trail().follow(link, SECRETS)) == target


@pytest.mark.parametrize(
    ("link", "words"),
    [
        (7, "type int"),
        (0, "type int"),
        (True, "type bool"),
        ({}, "type dict"),
        ([], "type list"),
        ({"href": "?page=2"}, "type dict"),
        (["?page=2"], "type list"),
        ("https://evil.example/api?page=2", "leads away"),
        ("//evil.example/api?page=2", "leads away"),
        ("http://api.clickpost.example:8080/api?page=2", "leads away"),
        ("http://api.clickpost.example:8443/api?page=2", "leads away"),
        ("http://evil.example/api?page=2", "leads away"),
        ("http://someone@api.clickpost.example/?page=2", "leads away"),
        ("ws://api.clickpost.example/api?page=2", "leads away"),
        ("https://api.clickpost.example:8443/api?page=2", "leads away"),
        ("https://api.clickpost.example@evil.example/", "leads away"),
        ("https://someone@api.clickpost.example/?page=2", "leads away"),
        ("https://api.clickpost.example.evil.example/", "leads away"),
        ("ftp://api.clickpost.example/", "leads away"),
        ("file:///etc/passwd", "leads away"),
        ("javascript:alert(1)", "leads away"),
        ("https://[::1", "no usable URL"),
        ("https://api.clickpost.example:port/", "no usable URL"),
        ("?page=2\r\nHost: evil.example", "no usable URL"),
        ("?page=" + "2" * 9_000, "no usable URL"),
        ("?start_time=2026-11-09T10:00:00&page=2", "another start_time"),
        ("?end_time=2026-11-09T13:00:00&page=2", "another end_time"),
        ("?end_time=&page=2", "another end_time"),
        (f"?token={KEY}", "repeats the credentials"),
        (f"/next/{KEY}/2", "repeats the credentials"),
        (f"?owner={USER}", "repeats the credentials"),
        (f"?key={KEY}&" + TIMES, "in a circle"),
        (f"{HERE.replace('https', 'http')}?{TIMES}", "in a circle"),
        ("", None),
    ],
)
def test_other_links_are_refused(link: object, words: str | None) -> None:
    if words is None:
        assert trail().follow(link, SECRETS) is None
        return
    with pytest.raises(NextPageRefused) as caught:
        trail().follow(link, SECRETS)
    assert words.replace("no usable", "not a usable") in str(caught.value)
    assert KEY not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("asked", "link", "target"),
    [
        (
            "https://a.example:8443/",
            "http://a.example:8443/?page=2",
            "https://a.example:8443/?page=2",
        ),
        ("https://a.example:8443/", "http://a.example/?page=2", "https://a.example:8443/?page=2"),
        ("https://a.example:8443/", "http://a.example:443/?page=2", None),
        ("http://a.example/", "http://a.example/?page=2", "http://a.example/?page=2"),
        ("http://a.example/", "https://a.example/?page=2", None),
        ("http://a.example:443/", "https://a.example/?page=2", None),
        ("http://a.example:8080/", "https://a.example:8080/?page=2", None),
    ],
)
def test_an_http_link_is_followed_with_the_scheme_of_the_request(
    asked: str, link: str, target: str | None
) -> None:
    pages = PageTrail(httpx.URL(asked), max_pages=5)
    if target is None:
        with pytest.raises(NextPageRefused, match="leads away"):
            pages.follow(link, SECRETS)
    else:
        assert str(pages.follow(link, SECRETS)) == target


def test_a_repeated_page_is_distinguished_from_a_new_one() -> None:
    pages = trail()
    assert pages.is_here(f"?{TIMES}")
    assert pages.is_here(f"?{TIMES}&key={KEY}")
    assert not pages.is_here("?page=2")
    pages.follow("?page=2", SECRETS)
    assert pages.is_here("?page=2")
    assert pages.is_here(f"{HERE.replace('https', 'http')}?page=2&user_name={USER}")
    for link in (f"?{TIMES}", "https://evil.example/?page=2", "https://[", "2", "\udcff"):
        assert not pages.is_here(link)


def test_a_loop_is_noticed_whatever_the_order_of_parameters() -> None:
    pages = trail()
    pages.follow("?a=1&b=2", SECRETS)
    pages.follow("?a=1&b=3", SECRETS)
    with pytest.raises(NextPageRefused, match="circle"):
        pages.follow("?b=2&a=1", SECRETS)


def test_a_relative_link_starts_from_its_page() -> None:
    pages = trail()
    pages.follow("more/2", SECRETS)
    assert str(pages.follow("3", SECRETS)) == f"{HERE}more/3"


def test_endless_pages_are_refused() -> None:
    pages = trail(max_pages=5)
    for number in range(2, 6):
        assert pages.follow(f"?page={number}", SECRETS) is not None
    with pytest.raises(NextPageRefused, match="more than 5 pages"):
        pages.follow("?page=6", SECRETS)


def test_a_poll_reads_all_pages_and_counts_them(
    ask: Callable[..., Any],
    window: Window,
    envelope: Callable[..., bytes],
    canaries: tuple[str, str],
) -> None:
    pages = [envelope(1, 2, next="?page=2"), envelope(next="?page=3"), envelope(3, next=None)]
    asked = ask(*pages)
    poll = asked.client.poll(window)
    assert poll.records == ("1", "2", "3")
    assert (poll.pages, poll.requests, poll.bytes) == (3, 3, sum(map(len, pages)))
    key, user_name = canaries
    for number, request in enumerate(asked.requests[1:], start=2):
        assert dict(request.url.params) == {
            "page": str(number),
            "key": key,
            "user_name": user_name,
        }


@pytest.mark.parametrize("none", ["None", "null", " undefined ", "FALSE", "", False, None])
def test_a_poll_ends_at_a_page_without_a_link(
    ask: Callable[..., Any], window: Window, envelope: Callable[..., bytes], none: object
) -> None:
    asked = ask(envelope(1, next="?page=2"), envelope(2, next=none))
    assert asked.client.poll(window).records == ("1", "2")


def test_an_http_link_never_sends_the_key_unencrypted(
    ask: Callable[..., Any], window: Window, envelope: Callable[..., bytes]
) -> None:
    link = "http://api.example/api/v1/return_order_poll/?page=2"
    asked = ask(envelope(1, next=link), envelope(2))
    assert asked.client.poll(window).pages == 2
    assert {request.url.scheme for request in asked.requests} == {"https"}


def test_a_page_that_fails_fails_the_window(
    ask: Callable[..., Any], window: Window, envelope: Callable[..., bytes]
) -> None:
    asked = ask(envelope(1, next="?page=2"), envelope(2, next="https://evil.example/"))
    with pytest.raises(NextPageRefused) as caught:
        asked.client.poll(window)
    assert len(asked.requests) == caught.value.attempts == 2
    assert caught.value.window == window.key
