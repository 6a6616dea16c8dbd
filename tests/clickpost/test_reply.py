"""The verdict on one reply: HTTP status, then JSON, then meta."""

from __future__ import annotations

import json
from typing import Any

import pytest

from returns_orchestration.clickpost.reply import Answer, Page, read_page
from returns_orchestration.clickpost.transport import Secrets
from returns_orchestration.errors import (
    AnswerPending,
    ApiError,
    CredentialsRefused,
    MalformedReply,
    RedirectRefused,
    RequestRefused,
    ServerFault,
    Throttled,
)

KEY, USER = "11111111-aaaa-bbbb", "acme & sons"
BAD_KEY = "Authentication Failed: Invalid Token or API Key"
GOOD = {"meta": {"success": True, "status": 200}, "result": [{"a": 1}]}
DEEP_MESSAGE = b'{"meta": {"status": 400, "message": ' + b'{"a": ' * 900 + b"1" + b"}" * 902
TOO_WIDE = {"Time Difference": ["Start Time is ahead of End time by more than 60 Minutes"]}


def judged(http: int, body: Any, **head: Any) -> Page:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = Answer(
        status=http,
        retry_after=head.get("retry_after"),
        redirected_to=head.get("redirected_to"),
        secrets=Secrets(KEY, USER),
    )
    return read_page(answer, bytearray(raw))


def refused(http: int, body: Any, **head: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        judged(http, body, **head)
    assert caught.value.__context__ is None
    assert caught.value.http_status == http
    return caught.value


def meta(message: object = "", status: object = 200, *, success: object = False) -> dict[str, Any]:
    return {"meta": {"success": success, "message": message, "status": status}}


@pytest.mark.parametrize("success", [True, "true", "True", 1, "1"])
@pytest.mark.parametrize("status", [200, "200", 200.0, None])
def test_success_in_any_spelling_is_good(success: object, status: object) -> None:
    page = judged(200, meta("SUCCESS", status, success=success) | {"result": [{"a": 1}]})
    assert page == Page(('{"a": 1}',), None, null_result=False, damaged_text=0)


def test_status_may_be_absent() -> None:
    assert judged(200, {"meta": {"success": True}, "result": []}).records == ()


def test_a_null_result_is_an_empty_hour_and_is_reported() -> None:
    page = judged(200, meta("SUCCESS", 200, success=True) | {"result": None})
    assert (page.records, page.null_result) == ((), True)
    assert not judged(200, meta("SUCCESS", 200, success=True) | {"result": []}).null_result


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ({}, "`result` is absent"),
        ({"result": {}}, "`result` is no list"),
        ({"result": "none"}, "`result` is no list"),
        ({"result": 0}, "`result` is no list"),
        ({"results": []}, "`result` is absent"),
    ],
)
def test_success_without_a_list_is_malformed(result: dict[str, object], words: str) -> None:
    error = refused(200, meta("SUCCESS", 200, success=True) | result)
    assert type(error) is MalformedReply
    assert words in str(error)


@pytest.mark.parametrize(
    ("http", "body", "kind"),
    [
        (301, meta(BAD_KEY, 301), CredentialsRefused),
        (200, meta(BAD_KEY, 301), CredentialsRefused),
        (200, meta("", "301"), CredentialsRefused),
        (200, meta("no", 401), CredentialsRefused),
        (200, meta("no", 403), CredentialsRefused),
        (200, meta(BAD_KEY, 400), CredentialsRefused),
        (200, meta(BAD_KEY, 200, success=True) | {"result": []}, CredentialsRefused),
        (200, meta([{"key": ["invalid api_key"]}], 400), CredentialsRefused),
        (400, meta("no", 401), CredentialsRefused),
        (500, meta(BAD_KEY, 500), CredentialsRefused),
        (401, b"", CredentialsRefused),
        (403, b"<html>", CredentialsRefused),
        (429, b"", Throttled),
        (429, meta("slow", 429), Throttled),
        (200, meta("slow", 429), Throttled),
        (408, b"", ServerFault),
        (425, b"", ServerFault),
        (500, b"<html>boom</html>", ServerFault),
        (503, meta("", 400), ServerFault),
        (599, b"", ServerFault),
        (200, meta("boom", 500), ServerFault),
        (200, meta("boom", "503"), ServerFault),
        (200, meta("boom", 408), ServerFault),
        (400, meta(TOO_WIDE, 400), RequestRefused),
        (200, meta(TOO_WIDE, 400), RequestRefused),
        (200, meta("{'start_time': ['bad']}", 422), RequestRefused),
        (200, meta(None, 400), RequestRefused),
        (200, meta([], 404), RequestRefused),
        (200, meta("fine", 400, success=True) | {"result": []}, RequestRefused),
        (200, meta("Window is not allowed", 200), RequestRefused),
        (200, meta("Window is not allowed", None), RequestRefused),
        (301, meta("Window is not allowed", 400), RequestRefused),
        (404, b"<html>", RequestRefused),
        (405, {"detail": "Method not allowed."}, RequestRefused),
        (301, b"", RedirectRefused),
        (302, b"<a href='/x'>", RedirectRefused),
        (307, meta("SUCCESS", 200, success=True) | {"result": []}, RedirectRefused),
        (201, GOOD, AnswerPending),
        (202, GOOD, AnswerPending),
        (202, b"", AnswerPending),
        (202, b"<html>", AnswerPending),
        (202, meta("", 202, success=True), AnswerPending),
        (202, meta(TOO_WIDE, 400), AnswerPending),
        (203, GOOD, AnswerPending),
        (204, b"", AnswerPending),
        (205, b"", AnswerPending),
        (206, GOOD, AnswerPending),
        (226, GOOD, AnswerPending),
        (202, meta(BAD_KEY, 200), CredentialsRefused),
        (202, meta("no", 301), CredentialsRefused),
        (202, meta("slow", 429), Throttled),
        (202, meta("boom", 500), ServerFault),
        (200, meta("", 201, success=True) | {"result": []}, AnswerPending),
        (200, meta("", 202, success=True) | {"result": []}, AnswerPending),
        (200, meta("", "204", success=True) | {"result": None}, AnswerPending),
        (200, meta("", 299), AnswerPending),
        (200, meta(BAD_KEY, 202), CredentialsRefused),
        (200, b"", MalformedReply),
        (200, b"<!doctype html><html></html>", MalformedReply),
        (200, b'{"meta": {"success": true, "status": 200}, "result": [{"a"', MalformedReply),
        (200, b"[]", MalformedReply),
        (200, {"result": []}, MalformedReply),
        (200, {"meta": None, "result": []}, MalformedReply),
        (200, {"meta": [], "result": []}, MalformedReply),
        (200, {"meta": {}, "result": []}, MalformedReply),
        (200, meta("SUCCESS", 200) | {"result": []}, MalformedReply),
        (200, meta("", None) | {"result": []}, MalformedReply),
        (200, meta("SUCCESS", "fine", success=True) | {"result": []}, MalformedReply),
        (200, meta("SUCCESS", status=True, success=True) | {"result": []}, MalformedReply),
        (200, b'{"meta": ' + b"[" * 4_000 + b"]" * 4_000 + b"}", MalformedReply),
        (200, b'{"meta": ' + b"[" * 90_000 + b"]" * 90_000 + b"}", RequestRefused),
        (503, b'{"meta": ' + b"[" * 90_000 + b"]" * 90_000 + b"}", ServerFault),
        (202, b'{"meta": ' + b"[" * 90_000 + b"]" * 90_000 + b"}", AnswerPending),
        (200, DEEP_MESSAGE, RequestRefused),
        (200, b'{"meta": {"success": true}, "result": [], "result": []}', MalformedReply),
        (200, b'{"meta": {"success": true, "success": true}, "result": []}', MalformedReply),
        (200, b'{"meta": {"status": 301, "st\\u0061tus": 200}, "result": []}', MalformedReply),
        (403, b'{"meta": {"status": 301, "status": 200}, "result": []}', CredentialsRefused),
    ],
)
def test_each_status_gives_its_verdict(http: int, body: object, kind: type[ApiError]) -> None:
    assert type(refused(http, body)) is kind


def test_a_reply_without_an_answer_shows_its_status() -> None:
    assert str(refused(202, GOOD)).startswith("ClickPost has no answer yet (HTTP 202, meta.status")
    text = str(refused(200, meta("", 202, success=True)))
    assert text.startswith("ClickPost has no answer yet (HTTP 200, meta.status 202).")
    assert "again later" in text


def test_facts_are_attributes() -> None:
    error = refused(200, meta("slow", "429"), retry_after=12.5)
    assert (error.http_status, error.meta_status, error.retry_after) == (200, 429, 12.5)


def test_an_object_message_is_quoted_as_words() -> None:
    assert str(refused(400, meta(TOO_WIDE, 400))).startswith(
        "ClickPost refuses the request (HTTP 400, meta.status 400: "
        '"Time Difference: Start Time is ahead of End time by more than 60 Minutes").'
    )


def test_a_message_is_quoted_on_one_line_and_shortened() -> None:
    text = str(refused(200, meta("end\r\n\ttime\x1b[ \u2028start " + "value " * 900, 400)))
    assert '"end time [ start value value' in text
    assert text.isprintable()
    assert "…" in text
    assert len(text) < 450


@pytest.mark.parametrize(
    "written",
    [
        KEY,
        KEY.upper(),
        USER,
        "acme+%26+sons",
        "acme%20%26%20sons",
        "acme &amp; sons",
        "acme   &\n sons",
        "ACME%20%26%20SONS",
    ],
)
def test_a_message_that_repeats_a_credential_is_masked(written: str) -> None:
    text = str(refused(200, meta(f"Unknown <{written}>!", 400)))
    assert "Unknown <***>!" in text


def test_a_credential_is_masked_before_the_message_is_cut() -> None:
    text = str(refused(200, meta("value " * 32 + KEY, 400)))
    assert KEY[:4] not in text


def test_personal_data_in_a_message_is_not_repeated() -> None:
    text = str(refused(200, meta("No return of jo.doe+x@mail.example, +91 98765 43210", 400)))
    assert '"No return of ***"' in text


@pytest.mark.parametrize("status", [200, 301, 404, 500])
def test_an_html_page_is_described_and_never_quoted(status: int) -> None:
    text = str(refused(status, f"<html>SECRET {KEY} Jane</html>".encode()))
    assert not any(word in text for word in ("SECRET", KEY, "Jane", "html"))


def test_the_exceeded_bound_of_a_reply_is_named() -> None:
    body = b'{"meta": {"success": true}, "result": [' + b"0," * 100_000 + b"0]}"
    error = refused(200, body)
    assert str(error) == (
        "The reply has more than 100,000 records. "
        "No hour should be: ask ClickPost what it sends for this one."
    )
    assert not isinstance(error, MalformedReply)


def test_a_nested_message_is_quoted_to_its_read_depth() -> None:
    message: Any = "wrong end time"
    for _ in range(5):
        message = {"error": [message]}
    assert "wrong end time" in str(refused(400, meta(message, 400)))


def test_a_redirect_names_its_target() -> None:
    error = refused(302, b"", redirected_to="https://api.clickpost.in")
    assert "redirect to https://api.clickpost.in (HTTP 302)" in str(error)


def test_the_next_link_is_passed_on_unchanged() -> None:
    good = {"meta": {"success": True, "next": 7}, "result": []}
    assert judged(200, good).next_link == 7
