"""The request log: complete, in order, without secrets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx
import pytest

from .conftest import KEY, USER_NAME, Start

if TYPE_CHECKING:
    from pathlib import Path


def test_every_request_is_a_record(start: Start) -> None:
    api = start(faults=["503:2"], returns_per_hour=9, rhythm=False, mps_share=0, oddities=0)
    api.poll()
    api.poll()
    api.poll(key="wrong")
    api.poll(start_time="soon")
    api.client.post(f"{api.base_url}/v1/return_order_poll/")
    first, second, wrong, malformed, method = api.simulator.requests
    assert first.time == api.clock.now
    assert (first.start_time, first.end_time) == ("2026-11-09T11:00:00", "2026-11-09T12:00:00")
    assert (first.call, first.page, first.http_status, first.fault) == (1, 1, 200, None)
    assert (first.served, first.refusal) == (9, None)
    assert (second.call, second.http_status, second.fault, second.served) == (2, 503, "503", 0)
    assert (wrong.call, wrong.refusal, wrong.http_status) == (None, "credentials", 200)
    assert (malformed.refusal, malformed.start_time) == ("parameter", None)
    assert (method.refusal, method.http_status) == ("method", 405)


def test_a_connection_that_breaks_is_logged_without_a_status(start: Start) -> None:
    api = start(faults=["reset"])
    with pytest.raises(httpx.ReadError):
        api.poll()
    (request,) = api.simulator.requests
    assert (request.fault, request.http_status, request.served) == ("reset", None, 0)


def test_the_file_holds_a_line_a_request_at_once_and_is_appended_to(
    start: Start, tmp_path: Path
) -> None:
    path = tmp_path / "requests.jsonl"
    path.write_text('{"old": true}\n')
    api = start(log_file=path)
    api.poll()
    api.poll()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == 3
    assert [line["call"] for line in lines[1:]] == [1, 2]
    assert lines[1]["start_time"] == "2026-11-09T11:00:00"


def test_the_log_never_holds_key_or_user_name(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    api = start(log_file=path, page_size=2)
    api.poll(start_time=KEY, end_time=USER_NAME)
    api.poll(page=KEY)
    api.poll(key=USER_NAME)
    api.client.get(f"{api.base_url}/{KEY}")
    api.client.get(api.poll().json()["meta"]["next"])
    api.client.request(KEY, f"{api.base_url}/v1/return_order_poll/")
    assert len(api.simulator.requests) == 7
    for text in (repr(api.simulator.requests), path.read_text(), repr(api.simulator.options)):
        assert KEY not in text
        assert USER_NAME not in text
