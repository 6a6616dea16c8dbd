"""Polls are stamped with the API's time where this machine's clock was wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from returns_orchestration.clickpost.clocks import ReplyTimes, read_age, read_http_date, time_told
from returns_orchestration.errors import ClockAhead, NotOver, StaleReply

if TYPE_CHECKING:
    from collections.abc import Callable

    from returns_orchestration.window import Window

MINUTE = timedelta(minutes=1)


@pytest.fixture
def polled(
    ask: Callable[..., Any], envelope: Callable[..., bytes], window: Window
) -> Callable[..., Any]:
    """Poll an API whose clock shows ``theirs`` while this machine's shows ``ours``."""

    def poll(ours: datetime, theirs: datetime, *more: bytes) -> Any:
        dated = {"date": format_datetime(theirs, usegmt=True)}
        first = httpx.Response(200, content=envelope(1), headers=dated)
        return ask(first, *more, clock=lambda: ours).client.poll(window)

    return poll


@pytest.mark.parametrize("minutes", [-4, -1, 0, 5])
def test_clocks_that_agree_do_not_change_the_time(
    polled: Callable[..., Any], window: Window, minutes: float
) -> None:
    ours = window.end + timedelta(minutes=30, microseconds=7)
    poll = polled(ours, ours + minutes * MINUTE)
    assert (poll.polled_at, poll.clock_ahead) == (ours, timedelta(0))


@pytest.mark.parametrize("minutes", [-44_000, -330, -6, 6, 330, 44_000])
def test_a_poll_is_stamped_with_the_time_of_the_api(
    polled: Callable[..., Any], window: Window, minutes: float
) -> None:
    theirs = window.end + 30 * MINUTE
    poll = polled(theirs + minutes * MINUTE, theirs)
    assert (poll.polled_at, poll.clock_ahead) == (theirs, minutes * MINUTE)


def test_an_hour_not_over_at_the_api_is_refused_with_the_reason(
    polled: Callable[..., Any], window: Window
) -> None:
    with pytest.raises(ClockAhead) as caught:
        polled(window.end + 20 * MINUTE, window.end - MINUTE)
    assert str(caught.value) == (
        "Hour 2026-11-09-11:00: This machine's clock is 21 minutes ahead of ClickPost's, by which "
        "the hour is not over. Set this machine's clock right; the hour stays missing and is asked "
        "for then."
    )
    assert caught.value.attempts == 1


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(-10, -10), (-400, -10), (-1 / 60, 4), (-60 * 24 * 32, 1)],
    ids=["both early", "behind", "early by a second", "a date that is not believed"],
)
def test_a_poll_sent_before_the_end_of_its_window_does_not_count(
    polled: Callable[..., Any], window: Window, ours: float, theirs: float
) -> None:
    with pytest.raises(NotOver, match=r"before its end at 2026-11-09 12:00 UTC"):
        polled(window.end + ours * MINUTE, window.end + theirs * MINUTE)


def test_a_clock_that_is_slower_by_seconds_counts_too(
    polled: Callable[..., Any], window: Window
) -> None:
    with pytest.raises(ClockAhead, match="13 seconds ahead"):
        polled(window.end + MINUTE / 6, window.end - MINUTE / 20)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(20, 0), (-400, 10), (60 * 24 * 32, -1)],
    ids=["over", "behind, and over there", "a date that is not believed"],
)
def test_no_other_reply_is_refused_for_its_date(
    polled: Callable[..., Any], window: Window, ours: int, theirs: int
) -> None:
    poll = polled(window.end + ours * MINUTE, window.end + theirs * MINUTE)
    believed = 5 < abs(ours - theirs) < 31 * 24 * 60
    assert poll.clock_ahead == (ours - theirs) * MINUTE * believed


@pytest.mark.parametrize("date", ["gärbäge ١", "ü"])
def test_a_date_that_is_not_ascii_is_ignored(
    *,
    serve: Callable[..., Any],
    connect: Callable[..., Any],
    reply_bytes: Callable[..., bytes],
    envelope: Callable[..., bytes],
    window: Window,
    date: str,
) -> None:
    server = serve(reply_bytes(envelope(1), f"Date: {date}"))
    assert connect(server.url).poll(window).records == ("1",)


@pytest.mark.parametrize("date", [None, "", "soon", "Mon, 99 Nov 2026 12:00:45 GMT"])
def test_an_invalid_date_changes_nothing(window: Window, date: str | None) -> None:
    assert time_told(date, 7 * MINUTE) is None
    headers = {} if date is None else {"date": date}
    assert ReplyTimes.of(window.end, headers).polled_at == window.end


@pytest.mark.parametrize(
    "date",
    [
        "Mon, 09 Nov 2026 12:00:45 GMT",
        "mon, 09 nov 2026 12:00:45 gmt",
        " Mon, 09 Nov 2026 12:00:45 UTC ",
        "Mon, 09 Nov 2026 12:00:45 +0000",
        "Mon, 09 Nov 2026 12:00:45 -0000",
        "Monday, 09-Nov-26 12:00:45 GMT",
        "Mon Nov  9 12:00:45 2026",
    ],
)
def test_every_form_of_an_http_date_is_read(date: str) -> None:
    assert read_http_date(date) == datetime(2026, 11, 9, 12, 0, 45, tzinfo=UTC)


@pytest.mark.parametrize("zone", ["IST", "EST", "+0530", "-0800", "GMT+5", "XYZ", "Z", ""])
def test_a_date_in_another_zone_is_ignored(window: Window, zone: str) -> None:
    date = f"Mon, 09 Nov 2026 12:00:45 {zone}"
    assert read_http_date(date) is None
    assert ReplyTimes.of(window.end, {"date": date}).polled_at == window.end


@pytest.mark.parametrize(
    ("age", "later"),
    [
        (None, 0),
        ("0", 0),
        ("45", 45),
        (" 0045 ", 45),
        ("45, 7", 45),
        ("2678400", 2_678_400),
        ("2678401", 0),
        ("9" * 5_000, 0),
        ("0" * 5_000 + "45", 45),
        ("-45", 0),
        ("4.5", 0),
        ("٤٥", 0),
        ("soon", 0),
        ("", 0),
    ],
)
def test_the_age_of_a_cached_reply_is_added_to_its_date(age: str | None, later: int) -> None:
    shown = time_told("Mon, 09 Nov 2026 12:00:45 GMT", read_age(age))
    at = datetime(2026, 11, 9, 12, 0, 45, tzinfo=UTC)
    assert shown == at + timedelta(seconds=later)


def test_an_age_beyond_the_last_year_is_ignored() -> None:
    assert time_told("Fri, 31 Dec 9999 23:59:59 GMT", MINUTE) is None


@pytest.mark.parametrize(
    ("age", "ahead"),
    [("1800", 0), ("1500", 0), ("600", 20)],
    ids=["cached", "agree", "cached, and ahead all the same"],
)
def test_a_cached_reply_has_its_own_time_and_does_not_count_as_a_wrong_clock(
    cached: Callable[..., Any], window: Window, age: str, ahead: int
) -> None:
    now = window.end + 90 * MINUTE
    poll = cached(now, age).poll(window)
    as_of = now - ahead * MINUTE - timedelta(seconds=int(age))
    assert (poll.polled_at, poll.clock_ahead) == (as_of, ahead * MINUTE)


@pytest.mark.parametrize("minutes", [0, 30], ids=["a date of the cache's own", "of the reply"])
def test_a_reply_cached_before_the_end_of_the_hour_is_refused(
    cached: Callable[..., Any], window: Window, minutes: int
) -> None:
    with pytest.raises(StaleReply, match="30 minutes ago, when the hour was not over"):
        cached(window.end + 20 * MINUTE, "1800", minutes).poll(window)


@pytest.fixture
def cached(
    serve: Callable[..., Any],
    connect: Callable[..., Any],
    reply_bytes: Callable[..., bytes],
    envelope: Callable[..., bytes],
) -> Callable[..., Any]:
    """A client whose clock shows ``now``, behind a cache that answers with an older reply."""

    def client(now: datetime, age: str, minutes: int = 30) -> Any:
        date = format_datetime(now - minutes * MINUTE, usegmt=True)
        server = serve(reply_bytes(envelope(1), f"Date: {date}", f"Age: {age}"))
        return connect(server.url, clock=lambda: now)

    return client
