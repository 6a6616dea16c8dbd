"""One window, one logical request: the requests, their number, and the result."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from returns_orchestration.clickpost import (
    ClickPostClient,
    InFile,
    RateLimit,
    RetryPolicy,
    Timeouts,
)
from returns_orchestration.errors import (
    AnswerPending,
    AskedToWait,
    CredentialsRefused,
    MalformedReply,
    RequestRefused,
    ServerFault,
    SettingsError,
    Throttled,
    Unreachable,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from returns_orchestration.window import Window

Ask = Any
UTC_ZONE = ZoneInfo("UTC")


def test_one_window_is_one_request(
    ask: Ask, window: Window, envelope: Callable[..., bytes], canaries: tuple[str, str]
) -> None:
    asked = ask(envelope({"awb": "1"}, None))
    poll = asked.client.poll(window)
    (request,) = asked.requests
    key, user_name = canaries
    assert (request.method, request.url.path) == ("GET", "/api/v1/return_order_poll/")
    assert dict(request.url.params) == {
        "start_time": "2026-11-09T11:00:00",
        "end_time": "2026-11-09T12:00:00",
        "key": key,
        "user_name": user_name,
    }
    assert request.headers["accept"] == "application/json"
    assert not {"authorization", "cookie"} & set(request.headers)
    assert poll.records == ('{"awb": "1"}', "null")
    assert (poll.window, poll.requests, poll.pages, poll.null_result) == (window, 1, 1, False)


def test_the_window_is_written_in_the_zone_of_the_account(
    ask: Ask, window: Window, envelope: Callable[..., bytes]
) -> None:
    asked = ask(envelope(), zone=ZoneInfo("Asia/Kolkata"))
    asked.client.poll(window)
    assert asked.requests[0].url.params["start_time"] == "2026-11-09T16:30:00"


def test_values_are_percent_encoded_without_ambiguity(
    ask: Ask, window: Window, envelope: Callable[..., bytes]
) -> None:
    asked = ask(envelope())
    asked.client.poll(window)
    query = asked.requests[0].url.query.decode()
    assert query.endswith(
        "&key=key-canary%267%2B100%25%2F%C3%A9%20x&user_name=user%20canary%3C4%3E%2B"
    )


def test_polled_at_is_when_the_accepted_request_was_sent_in_utc(
    ask: Ask, window: Window, envelope: Callable[..., bytes]
) -> None:
    india = timezone(timedelta(hours=5, minutes=30))
    times = [datetime(2026, 11, 9, 18, minute, tzinfo=india) for minute in range(3)]
    asked = ask(
        httpx.Response(503),
        envelope(1, next="?page=2"),
        envelope(2),
        clock=iter(times).__next__,
    )
    poll = asked.client.poll(window)
    assert poll.polled_at == times[1]
    assert poll.polled_at.tzinfo is UTC
    assert (poll.requests, poll.pages) == (3, 2)


def test_transient_failures_are_repeated_with_growing_waits(
    ask: Ask, window: Window, envelope: Callable[..., bytes]
) -> None:
    asked = ask(
        httpx.Response(500), b"<html>", httpx.ConnectError("no"), httpx.Response(408), envelope(1)
    )
    poll = asked.client.poll(window)
    assert asked.time.slept == [0.5, 1, 2, 4]
    assert (poll.records, poll.requests, poll.seconds) == (("1",), 5, 7.5)


def test_the_last_failure_is_raised_with_its_facts(ask: Ask, window: Window) -> None:
    asked = ask(*[httpx.Response(503)] * 4, httpx.Response(500), httpx.Response(200))
    with pytest.raises(ServerFault) as caught:
        asked.client.poll(window)
    assert len(asked.requests) == caught.value.attempts == 5
    assert (caught.value.window, caught.value.http_status) == ("2026-11-09-11:00", 500)
    assert str(caught.value).startswith("Hour 2026-11-09-11:00: ClickPost failed")
    assert "(after 5 attempts)" in str(caught.value)


@pytest.mark.parametrize("status", [201, 202, 203, 204, 206])
def test_a_reply_without_an_answer_is_repeated(
    ask: Ask, window: Window, envelope: Callable[..., bytes], status: int
) -> None:
    pending = httpx.Response(status, content=envelope())
    assert ask(pending, envelope(1)).client.poll(window).records == ("1",)
    asked = ask(*[pending] * 5)
    with pytest.raises(AnswerPending, match=rf"HTTP {status}.*after 5 attempts"):
        asked.client.poll(window)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (httpx.Response(401), CredentialsRefused),
        (httpx.Response(404), RequestRefused),
        (httpx.LocalProtocolError("bad"), RequestRefused),
        (httpx.UnsupportedProtocol("bad"), RequestRefused),
        (httpx.InvalidURL("bad"), RequestRefused),
    ],
)
def test_permanent_failures_are_not_repeated(
    ask: Ask, window: Window, reply: Any, kind: type[Exception]
) -> None:
    asked = ask(reply)
    with pytest.raises(kind):
        asked.client.poll(window)
    assert (len(asked.requests), asked.time.slept) == (1, [])


def test_retry_after_is_honoured(ask: Ask, window: Window, envelope: Callable[..., bytes]) -> None:
    asked = ask(
        httpx.Response(429, headers={"retry-after": "7.5"}),
        httpx.Response(503, headers={"retry-after": "Mon, 09 Nov 2026 12:30:40 GMT"}),
        httpx.Response(429, headers={"retry-after": "60"}),
        envelope(),
    )
    asked.client.poll(window)
    assert asked.time.slept == [7.5, 40, 60]


def test_a_wait_longer_than_a_run_allows_silences_the_deployment(
    ask: Ask, window: Window, envelope: Callable[..., bytes], tmp_path: Path
) -> None:
    now = datetime(2026, 11, 9, 12, 30, tzinfo=UTC)
    shared = {"rate_limit_file": tmp_path / "rate-limit.json", "clock": lambda: now}
    throttled = ask(httpx.Response(429, headers={"retry-after": "3600"}), **shared)
    with pytest.raises(AskedToWait) as caught:
        throttled.client.poll(window)
    assert str(caught.value) == (
        "Hour 2026-11-09-11:00: ClickPost asks to wait 3,600 s: nothing is sent until "
        "2026-11-09 13:30 UTC. Nothing has to be done: missing hours are asked for after that. "
        "If it comes back, lower CLICKPOST_MAX_REQUESTS_PER_SECOND."
    )
    assert (throttled.time.slept, len(throttled.requests)) == ([], 1)

    another = ask(envelope(1), **shared)  # of another process
    now += timedelta(minutes=59)
    with pytest.raises(AskedToWait, match=r"has asked to wait: .* until 2026-11-09 13:30 UTC"):
        another.client.poll(window)
    assert not another.requests
    now += timedelta(minutes=1)
    assert another.client.poll(window).records == ("1",)


def test_a_silence_lasts_a_day_at_most_whatever_the_api_asks_or_the_clock_shows(
    ask: Ask, window: Window, envelope: Callable[..., bytes], tmp_path: Path
) -> None:
    right = datetime(2026, 11, 9, 12, 30, tzinfo=UTC)
    now = right + timedelta(days=2)
    shared = {"rate_limit_file": tmp_path / "rate-limit.json", "clock": lambda: now}
    throttled = ask(httpx.Response(429, headers={"retry-after": "999999"}), **shared)
    with pytest.raises(AskedToWait, match=r"until 2026-11-12 12:30 UTC. No more than a day"):
        throttled.client.poll(window)
    now = right  # the clock was two days ahead
    good = ask(envelope(1), **shared)
    assert good.client.poll(window).records == ("1",)


def test_a_silence_begun_by_a_clock_that_was_ahead_is_ignored(
    ask: Ask, window: Window, envelope: Callable[..., bytes], tmp_path: Path
) -> None:
    right = datetime(2026, 11, 9, 12, 30, tzinfo=UTC)
    now = right + timedelta(hours=20)
    shared = {"rate_limit_file": tmp_path / "rate-limit.json", "clock": lambda: now}
    throttled = ask(httpx.Response(429, headers={"retry-after": "3600"}), **shared)
    with pytest.raises(AskedToWait):
        throttled.client.poll(window)
    now = right
    assert ask(envelope(1), **shared).client.poll(window).records == ("1",)


@pytest.mark.parametrize("waits", [("3600", "61"), ("61", "3600")])
def test_the_longer_of_two_waits_silences(
    ask: Ask, window: Window, tmp_path: Path, waits: tuple[str, str]
) -> None:
    """Requests are concurrent, and each may get another wait."""
    now = datetime(2026, 11, 9, 12, 30, tzinfo=UTC)
    shared = {"rate_limit_file": tmp_path / "rate-limit.json", "clock": lambda: now}
    rate_limit = RateLimit(10, sleep=lambda _: None, kept=InFile(tmp_path / "rate-limit.json"))
    for wait in waits:
        rate_limit.be_silent(now, float(wait))
    now += timedelta(minutes=59)
    quiet = ask(**shared)
    with pytest.raises(AskedToWait, match="until 2026-11-09 13:30 UTC"):
        quiet.client.poll(window)
    assert not quiet.requests


@pytest.mark.parametrize(
    "content",
    ['{"silent_until": 1e300}', '{"silent_from": -1e18, "silent_until": 1e18}', "{", "null"],
)
def test_a_damaged_rate_limit_file_stops_no_request(
    ask: Ask, window: Window, envelope: Callable[..., bytes], tmp_path: Path, content: str
) -> None:
    file = tmp_path / "rate-limit.json"
    file.write_text(content)
    assert ask(envelope(1), rate_limit_file=file).client.poll(window).records == ("1",)


def test_a_long_wait_in_a_fault_is_reported_and_ends_the_repeats_of_that_hour(
    ask: Ask, window: Window, envelope: Callable[..., bytes], tmp_path: Path
) -> None:
    failing = httpx.Response(503, headers={"retry-after": "3600"})
    asked = ask(failing, envelope(1), rate_limit_file=tmp_path / "rate-limit.json")
    with pytest.raises(ServerFault, match=r"asks to be asked again in 3,600 s"):
        asked.client.poll(window)
    assert asked.client.poll(window).records == ("1",)  # others are not delayed


@pytest.mark.parametrize("minutes_off", [-400, -1, 0, 1, 400])
def test_a_retry_after_date_is_read_by_the_clock_of_the_reply(
    ask: Ask, window: Window, envelope: Callable[..., bytes], minutes_off: int
) -> None:
    theirs = datetime(2026, 11, 9, 12, 30, tzinfo=UTC)
    head = {"date": theirs, "retry-after": theirs + timedelta(seconds=40)}
    dated = {name: format_datetime(moment, usegmt=True) for name, moment in head.items()}
    cached = dated | {"age": "30"}
    ours = theirs + timedelta(minutes=minutes_off)
    replies = [httpx.Response(429, headers=dated), httpx.Response(429, headers=cached)]
    good = httpx.Response(200, content=envelope(1), headers={"date": dated["date"]})
    asked = ask(*replies, good, clock=lambda: ours)
    asked.client.poll(window)
    assert asked.time.slept == [40, 10]


def test_total_time_ends_the_repeats_before_the_attempts_do(ask: Ask, window: Window) -> None:
    asked = ask(
        *[httpx.Response(429, headers={"retry-after": "50"}) for _ in range(5)],
        retry=RetryPolicy(total_seconds=120),
    )
    with pytest.raises(Throttled) as caught:
        asked.client.poll(window)
    assert asked.time.slept == [50, 50]
    assert (caught.value.attempts, caught.value.retry_after) == (3, 50)


def test_every_request_takes_a_turn_also_repeats_and_pages(
    ask: Ask, window: Window, envelope: Callable[..., bytes]
) -> None:
    asked = ask(
        httpx.Response(503),
        envelope(next="?page=2"),
        envelope(),
        max_requests_per_second=0.5,
        retry=RetryPolicy(base_seconds=0),
    )
    asked.client.poll(window)
    assert [seconds for seconds in asked.time.slept if seconds] == [2, 2]


def test_a_null_result_is_reported(ask: Ask, window: Window) -> None:
    asked = ask(b'{"meta": {"success": true, "status": 200}, "result": null}')
    poll = asked.client.poll(window)
    assert (poll.records, poll.null_result) == ((), True)


def test_damaged_text_is_counted_over_all_pages(ask: Ask, window: Window) -> None:
    page = b'{"meta": {"success": true, "next": "%s"}, "result": ["\xff", "ok"]}'
    poll = ask(page % b"?page=2", page % b"").client.poll(window)
    assert (poll.damaged_text, len(poll.records)) == (2, 4)


def test_a_body_beyond_the_bound_is_an_error_and_not_a_shorter_window(
    ask: Ask, window: Window, envelope: Callable[..., bytes]
) -> None:
    body = envelope("x" * 3_000_000)
    asked = ask(body, max_body_bytes=2**21)
    with pytest.raises(RequestRefused, match="larger than 2 MB"):
        asked.client.poll(window)
    assert ask(body, max_body_bytes=len(body)).client.poll(window).bytes == len(body)


def test_the_records_of_all_pages_share_one_bound(
    ask: Ask, window: Window, envelope: Callable[..., bytes]
) -> None:
    page = envelope(*[1] * 50_000, next="?page=2")
    assert len(ask(page, envelope(*[1] * 50_000)).client.poll(window).records) == 100_000
    asked = ask(page, envelope(*[1] * 50_001, next="?page=3"))
    with pytest.raises(RequestRefused, match="100,000 records, all pages together"):
        asked.client.poll(window)
    assert len(asked.requests) == 2


def test_an_error_reply_is_judged_by_its_status_also_with_a_huge_body(
    ask: Ask, window: Window
) -> None:
    asked = ask(httpx.Response(403, content=b"x" * 5_000_000), max_body_bytes=1_000)
    with pytest.raises(CredentialsRefused):
        asked.client.poll(window)


def test_absent_credentials_are_raised_and_nothing_is_sent(window: Window) -> None:
    def absent() -> tuple[str, str]:
        message = "CLICKPOST_KEY not set."
        raise SettingsError(message)

    sent: list[httpx.Request] = []
    transport = httpx.MockTransport(lambda request: sent.append(request) or httpx.Response(200))
    with (
        ClickPostClient("https://a.example", absent, zone=UTC_ZONE, transport=transport) as client,
        pytest.raises(SettingsError, match="CLICKPOST_KEY"),
    ):
        client.poll(window)
    assert sent == []


@pytest.mark.parametrize(
    "base_url", ["", "clickpost.in/api", "ftp://a.example", "https://", "https://u:p@a.example"]
)
def test_an_invalid_address_is_refused_at_once(base_url: str) -> None:
    with pytest.raises(SettingsError, match="CLICKPOST_BASE_URL") as caught:
        ClickPostClient(base_url, lambda: ("k", "u"), zone=UTC_ZONE)
    assert caught.value.__context__ is None


def test_no_more_requests_are_under_way_than_allowed(
    window: Window, envelope: Callable[..., bytes]
) -> None:
    """Eight threads, three slots: a fourth request would break the barrier's count."""
    lock, under_way, most = threading.Lock(), 0, 0
    together = threading.Barrier(3)

    def handle(_request: httpx.Request) -> httpx.Response:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        together.wait(timeout=10)
        with lock:
            under_way -= 1
        return httpx.Response(200, content=envelope(1))

    with (
        ClickPostClient(
            "https://a.example",
            lambda: ("key", "user"),
            zone=UTC_ZONE,
            max_concurrency=3,
            max_requests_per_second=1e9,
            transport=httpx.MockTransport(handle),
        ) as client,
        ThreadPoolExecutor(9) as pool,
    ):
        polls = list(pool.map(client.poll, [window] * 9))
    assert most == 3
    assert [poll.requests for poll in polls] == [1] * 9


def test_a_body_that_outlasts_the_total_time_is_an_error(ask: Ask, window: Window) -> None:
    now = [0.0]

    class Slow(httpx.SyncByteStream):
        def __iter__(self) -> Any:
            while now[0] < 1_000:  # an end, so that a fault makes the test fail and not hang
                now[0] += 1
                yield b" "

    asked = ask(
        httpx.Response(200, stream=Slow()),
        monotonic=lambda: now[0],
        timeouts=Timeouts(total=180),
        retry=RetryPolicy(attempts=1),
    )
    with pytest.raises(Unreachable, match="not complete within 180 s"):
        asked.client.poll(window)
    assert now[0] == 180


def test_malformed_replies_hold_no_body_while_waiting(ask: Ask, window: Window) -> None:
    asked = ask(b"{", b"{", retry=RetryPolicy(attempts=2))
    with pytest.raises(MalformedReply) as caught:
        asked.client.poll(window)
    frames, link = [], caught.value.__traceback__
    while link:
        frames.append(link.tb_frame.f_locals)
        link = link.tb_next
    assert not any(isinstance(value, bytearray) for frame in frames for value in frame.values())


@pytest.mark.parametrize(("size", "asked_for"), [(2**20 + 1, 2), (1_000, 5)])
def test_a_large_reply_that_is_not_json_is_repeated_only_once(
    ask: Ask, window: Window, size: int, asked_for: int
) -> None:
    asked = ask(*[b"\0" * size] * 5)
    with pytest.raises(MalformedReply) as caught:
        asked.client.poll(window)
    assert len(asked.requests) == asked_for
    assert caught.value.attempts == asked_for
