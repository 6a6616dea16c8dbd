"""Every fault on a real socket, as an ordinary client meets it."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from returns_orchestration.simulator import FAULT_NAMES

from .conftest import KEY, Api, Start


@pytest.fixture
def api(start: Start) -> Api:
    return start(returns_per_hour=20, rhythm=False, oddities=0)


def struck(api: Api, fault: str) -> httpx.Response:
    api.simulator.faults = [fault]
    return api.poll()


def correct(api: Api) -> dict[str, Any]:
    api.simulator.faults = []
    body: dict[str, Any] = api.poll().json()
    return body


def test_429_with_and_without_a_time(api: Api) -> None:
    assert struck(api, "429-seconds:*").headers["retry-after"] == "1"
    assert "retry-after" not in struck(api, "429-bare:*").headers
    dated = struck(api, "429-date:*")
    assert dated.status_code == 429
    ahead = parsedate_to_datetime(dated.headers["retry-after"]).timestamp() - time.time()
    assert -1 < ahead <= 2


@pytest.mark.parametrize(("fault", "status"), [("503", 503), ("500", 500), ("html", 200)])
def test_html_pages(api: Api, fault: str, status: int) -> None:
    response = struck(api, fault)
    assert response.status_code == status
    assert response.headers["content-type"].startswith("text/html")
    assert KEY not in response.text


def test_cut_json_has_a_true_length_and_no_end(api: Api) -> None:
    response = struck(api, "cut-json")
    assert int(response.headers["content-length"]) == len(response.content) > 1_000
    with pytest.raises(json.JSONDecodeError):
        response.json()


def test_a_short_body_breaks_off(api: Api) -> None:
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        struck(api, "short-body")


def test_a_long_body_ends_at_its_declared_length_and_the_next_call_works(api: Api) -> None:
    response = struck(api, "long-body")
    assert int(response.headers["content-length"]) == len(response.content)
    with pytest.raises(json.JSONDecodeError):
        response.json()
    assert correct(api)["result"]


def test_a_reset_is_a_reset(api: Api) -> None:
    with pytest.raises(httpx.ReadError, match="reset"):
        struck(api, "reset")


def test_an_empty_body(api: Api) -> None:
    response = struck(api, "empty-body")
    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.parametrize("fault", ["hang", "slow-hang"])
def test_a_hang_lasts_until_the_client_goes_away(api: Api, fault: str) -> None:
    api.client.timeout = httpx.Timeout(0.1, connect=10)
    with pytest.raises(httpx.ReadTimeout):
        struck(api, fault)
    api.client.timeout = httpx.Timeout(10)
    assert correct(api)["result"]


@pytest.mark.parametrize(
    ("fault", "status"),
    [("meta-500", 500), ("meta-429", 429), ("meta-400-repr", 400), ("auth", 301)],
)
def test_refusals_inside_http_200(api: Api, fault: str, status: int) -> None:
    response = struck(api, fault)
    body = response.json()
    assert response.status_code == 200
    assert (body["meta"]["status"], body["meta"]["success"]) == (status, False)
    assert isinstance(body["meta"]["message"], str)
    assert "result" not in body


def test_a_success_with_null_or_without_result(api: Api) -> None:
    meta = {"success": True, "message": "SUCCESS", "status": 200}
    assert struck(api, "null-result:*").json() == {"meta": meta, "result": None}
    assert struck(api, "no-result:*").json() == {"meta": meta}


def test_correct_replies_in_odd_forms(api: Api) -> None:
    expected = correct(api)
    bom = struck(api, "bom:*").content
    assert bom.startswith(b"\xef\xbb\xbf")
    assert json.loads(bom.decode("utf-8-sig")) == expected
    zipped = struck(api, "gzip:*")
    assert zipped.headers["content-encoding"] == "gzip"
    assert int(zipped.headers["content-length"]) < len(zipped.content)
    assert zipped.json() == expected


def test_replies_that_repeat_the_key(api: Api) -> None:
    redirect = struck(api, "redirect:*")
    assert redirect.status_code == 302
    assert redirect.headers["location"] == str(redirect.request.url)
    assert KEY in redirect.headers["location"]
    echo = struck(api, "echo:*")
    assert echo.status_code == 502
    assert KEY in echo.text


def test_next_pages_that_must_not_be_followed(api: Api) -> None:
    expected = correct(api)["result"]
    elsewhere = struck(api, "next-elsewhere:*").json()
    assert elsewhere["result"] == expected
    host = httpx.URL(elsewhere["meta"]["next"]).host
    assert host.endswith(".invalid")
    loop = struck(api, "next-loop:*")
    assert loop.json()["meta"]["next"] == str(loop.request.url)


def test_a_bad_record_is_one_more_among_the_good_ones(api: Api) -> None:
    expected = correct(api)["result"]
    kinds = set()
    for _ in range(3):
        result = struck(api, "bad-record:*").json()["result"]
        bad = [record for record in result if not isinstance(record, dict)]
        assert len(bad) == 1
        kinds.add(type(bad[0]))
        assert [record for record in result if isinstance(record, dict)] == expected
    assert kinds == {int, str, type(None)}


def test_a_byte_that_is_not_utf8(api: Api) -> None:
    body = struck(api, "not-json-utf8").content
    with pytest.raises(UnicodeDecodeError):
        body.decode()
    assert len(json.loads(body.decode(errors="replace"))["result"]) >= 20


@pytest.mark.parametrize("fault", sorted(set(FAULT_NAMES) - {"hang", "slow-hang"}))
def test_after_any_fault_the_next_call_is_served(api: Api, fault: str) -> None:
    with suppress(httpx.TransportError):
        struck(api, f"{fault}:1")
    assert len(api.records()) >= 20
    first, second = api.simulator.requests
    assert (first.fault, first.call, second.fault, second.call) == (fault, 1, None, 2)


@pytest.mark.parametrize("fault", FAULT_NAMES)
def test_an_empty_window_can_be_struck_as_well(start: Start, fault: str) -> None:
    api = start(returns_per_hour=0, faults=[f"{fault}:*"])
    api.client.timeout = httpx.Timeout(0.1, connect=10)
    try:
        response = api.poll()
    except httpx.TransportError:
        assert fault in {"short-body", "reset", "hang", "slow-hang"}
    else:
        assert response.status_code in {200, 302, 429, 500, 502, 503}
