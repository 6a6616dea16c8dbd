"""The S3 server of the tests behaves like S3, as a plain HTTP client sees it."""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator
from typing import Any

import pytest

from support.s3_server import BUCKET, KEY_ID, SECRET, S3Server

SIGNED = {"Authorization": f"AWS4-HMAC-SHA256 Credential={KEY_ID}/20261109/us-east-1/s3/aws4"}


@pytest.fixture
def server() -> Iterator[S3Server]:
    with S3Server().running() as running:
        yield running


def ask(
    server: S3Server, method: str, path: str, content: bytes = b"", **headers: str
) -> tuple[int, str]:
    """Status and body of one request to the bucket."""
    client = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        client.request(method, f"/{BUCKET}{path}", content, SIGNED | named)
        answer = client.getresponse()
        return answer.status, answer.read().decode()
    finally:
        client.close()


def code(answer: tuple[int, str]) -> tuple[int, str]:
    found = re.search("<Code>(.*)</Code>", answer[1])
    return answer[0], found[1] if found else ""


def create(server: S3Server, content: bytes) -> tuple[int, str]:
    return code(ask(server, "PUT", "/a/once", content, If_None_Match="*"))


def test_an_object_is_returned_until_it_is_deleted(server: S3Server) -> None:
    assert ask(server, "PUT", "/a/b%20c", b"content")[0] == 200
    assert ask(server, "GET", "/a/b%20c") == (200, "content")
    assert ask(server, "HEAD", "/a/b%20c") == (200, "")
    assert server.requests == ["PUT a/b c", "GET a/b c", "HEAD a/b c"]
    assert ask(server, "DELETE", "/a/b%20c") == (204, "")
    assert code(ask(server, "GET", "/a/b%20c")) == (404, "NoSuchKey")


def test_several_are_deleted_at_once(server: S3Server) -> None:
    server.objects = {"a&b": b"", "c": b"", "d": b""}
    body = b"<Delete><Object><Key>a&amp;b</Key></Object><Object><Key>d</Key></Object></Delete>"
    status, content = ask(server, "POST", "?delete", body)
    assert status == 200
    assert content.count("<Deleted>") == 2
    assert list(server.objects) == ["c"]


def test_a_listing_comes_in_pages_and_groups_by_the_delimiter(server: S3Server) -> None:
    server.objects = {f"t/{name}": b"xyz" for name in ("a/1", "a/2", "b", "c")} | {"u": b""}
    server.page = 2
    query = "?list-type=2&prefix=t/&delimiter=/"
    _, first = ask(server, "GET", query)
    assert re.findall("<Prefix>(.*?)</Prefix>", first) == ["t/", "t/a/"]
    assert re.findall("<Key>(.*?)</Key><Size>3<", first) == ["t/b"]
    assert "<IsTruncated>true<" in first
    token = re.findall("<NextContinuationToken>(.*?)</", first)
    _, second = ask(server, "GET", f"{query}&continuation-token={token[0]}")
    assert re.findall("<Key>(.*?)</Key>", second) == ["t/c"]
    assert "<IsTruncated>false<" in second
    _, all_of_them = ask(server, "GET", "?list-type=2&prefix=t/a")
    assert re.findall("<Key>(.*?)</Key>", all_of_them) == ["t/a/1", "t/a/2"]


def test_a_listing_begins_after_a_given_key_and_continues_over_pages(server: S3Server) -> None:
    server.objects = {f"t/{name}": b"" for name in "abcd"}
    server.page = 2
    query = "?list-type=2&prefix=t/&start-after=t/a"
    _, first = ask(server, "GET", query)
    assert re.findall("<Key>(.*?)</Key>", first) == ["t/b", "t/c"]
    token = re.findall("<NextContinuationToken>(.*?)</", first)
    _, second = ask(server, "GET", f"{query}&continuation-token={token[0]}")
    assert re.findall("<Key>(.*?)</Key>", second) == ["t/d"]


@pytest.mark.parametrize(
    ("switch", "second", "stands"),
    [
        ("honoured", (412, "PreconditionFailed"), b"first"),
        ("ignored", (200, ""), b"second"),
        ("unknown", (501, "NotImplemented"), None),
    ],
)
def test_a_second_create_is_handled_as_configured(
    switch: Any, second: tuple[int, str], stands: bytes | None, server: S3Server
) -> None:
    server.if_none_match = switch
    create(server, b"first")
    assert create(server, b"second") == second
    assert server.objects.get("a/once") == stands


def test_a_refusal_answers_every_request_and_a_hiccup_one(server: S3Server) -> None:
    server.refusal = (403, "SignatureDoesNotMatch")
    assert code(ask(server, "PUT", "/f", b"x")) == (403, "SignatureDoesNotMatch")
    assert code(ask(server, "GET", "?list-type=2")) == (403, "SignatureDoesNotMatch")
    server.refusal = None
    server.hiccups = [(503, "SlowDown")]
    assert code(ask(server, "PUT", "/f", b"x")) == (503, "SlowDown")
    assert not server.objects
    assert ask(server, "PUT", "/f", b"x")[0] == 200


@pytest.mark.parametrize(("hiccup", "objects"), [("reset", {}), ("reset after", {"f": b"x"})])
def test_a_reset_comes_before_or_after_the_write(
    hiccup: Any, objects: dict[str, bytes], server: S3Server
) -> None:
    server.hiccups = [hiccup]
    with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
        ask(server, "PUT", "/f", b"x")
    assert server.objects == objects


def test_wrong_credentials_buckets_and_methods_are_refused(
    server: S3Server,
) -> None:
    assert code(ask(server, "GET", "/f", Authorization="")) == (403, "AccessDenied")
    other = SIGNED["Authorization"].replace(KEY_ID, "other")
    assert code(ask(server, "GET", "/f", Authorization=other)) == (403, "InvalidAccessKeyId")
    assert code(ask(server, "GET", "-other/f")) == (404, "NoSuchBucket")
    server.allowed = "PUT"
    assert ask(server, "PUT", "/f")[0] == 200
    assert code(ask(server, "GET", "/f")) == (403, "AccessDenied")


def test_its_refusals_hold_a_secret_as_a_canary(server: S3Server) -> None:
    assert SECRET in ask(server, "GET", "/nothing")[1]
