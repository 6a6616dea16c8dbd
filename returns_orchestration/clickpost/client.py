"""One window, one logical request: its pages, its repeats, and its result.

What lives here: the public client and its result. What does not: the verdict on a reply
(``reply.py``), the times between requests (``retry.py``), credentials (``transport.py``).
Called by ``defs/`` from a pool of threads, and by the command line's ``doctor``.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

import httpx

from returns_orchestration.clickpost.body import read_body
from returns_orchestration.clickpost.bounds import (
    LARGE_BYTES,
    MAX_BODY_BYTES,
    MAX_RECORDS,
    BeyondBoundsError,
    too_large,
)
from returns_orchestration.clickpost.charsets import declared_charset
from returns_orchestration.clickpost.clocks import ReplyTimes, ensure_over
from returns_orchestration.clickpost.deadline import Timeouts, open_transport
from returns_orchestration.clickpost.failures import LIBRARY_ERRORS, in_our_words
from returns_orchestration.clickpost.more_records import left_out
from returns_orchestration.clickpost.next_page import PageTrail
from returns_orchestration.clickpost.rate_limit import (
    LONGEST_SILENCE,
    InMemory,
    RateLimit,
    SharedState,
    Silence,
)
from returns_orchestration.clickpost.reply import Answer, Page, read_page
from returns_orchestration.clickpost.retry import RetryPolicy, read_retry_after
from returns_orchestration.clickpost.transport import CredentialTransport, Secrets
from returns_orchestration.errors import (
    ApiError,
    AskedToWait,
    MalformedReply,
    RecordsLeftOut,
    SettingsError,
    Throttled,
    TransientApiError,
)
from returns_orchestration.network import proxy_host

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from zoneinfo import ZoneInfo

    from returns_orchestration.window import Window

PATH = "/v1/return_order_poll/"
MAX_PAGES = 1_000

_DEFAULT_RETRY = RetryPolicy()
_DEFAULT_TIMEOUTS = Timeouts()
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Poll:
    """The result of one poll of one window, all pages included.

    - ``polled_at``: aware, UTC; when the first page was asked for, by us or by a cache
    - ``records``: each record's exact JSON text, in the order served, over all pages
    - ``requests``: HTTP requests sent, repeats and further pages included
    - ``bytes``: body bytes of the accepted pages, decompressed
    - ``seconds``: from the call to the last page, waiting included
    - ``null_result``: a page reported success with ``result: null``; an empty hour, worth a warning
    - ``damaged_text``: records with bytes that are not text, kept as escapes (see ``charsets.py``)
    - ``clock_ahead``: how far our clock is ahead of ClickPost's, which then decides; 0: both agree
    """

    window: Window
    polled_at: datetime
    records: tuple[str, ...]
    requests: int
    pages: int
    bytes: int
    seconds: float
    null_result: bool
    damaged_text: int
    clock_ahead: timedelta = timedelta(0)


@dataclass(slots=True)
class _Received:
    """One accepted reply, its times, and the size of its body in bytes."""

    page: Page
    secrets: Secrets
    times: ReplyTimes
    size: int


def utc_now() -> datetime:
    """The wall clock, aware, UTC."""
    return datetime.now(UTC)


class ClickPostClient:
    """Reads windows from ClickPost; thread-safe, a context manager, and its repr holds no secret.

    ``credentials`` gives key and user name and is called at each request, so it may rotate them; a
    SettingsError that it raises passes through. ``max_concurrency`` requests at most are under way
    at once and ``max_requests_per_second`` start in any second, over all threads. ``transport``
    takes the place of real sockets; ``rate_limit_in`` shares the limit with other processes.
    ``clock`` (aware), ``monotonic``, ``sleep`` and ``uniform`` (a random number between two) are
    seams for tests.
    """

    def __init__(  # noqa: PLR0913 - each is a setting or a seam, named at the call
        self,
        base_url: str,
        credentials: Callable[[], tuple[str, str]],
        *,
        zone: ZoneInfo,
        max_concurrency: int = 8,
        max_requests_per_second: float = 10,
        retry: RetryPolicy = _DEFAULT_RETRY,
        timeouts: Timeouts = _DEFAULT_TIMEOUTS,
        max_body_bytes: int = MAX_BODY_BYTES,
        max_pages: int = MAX_PAGES,
        rate_limit_in: SharedState | None = None,
        clock: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        uniform: Callable[[float, float], float] = random.uniform,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Open no socket yet. Raises SettingsError for an invalid address or proxy."""
        self._endpoint = _endpoint(base_url)
        proxy = proxy_host(str(self._endpoint)) if transport is None else ""
        through = f" through the proxy {proxy}" if proxy else ""
        self._host = self._endpoint.netloc.decode("ascii") + through
        self._zone = zone
        self._retry = retry
        self._timeouts = timeouts
        self._max_body_bytes = max_body_bytes
        self._max_pages = max_pages
        self._clock = clock
        self._sleep = sleep
        self._monotonic = monotonic
        self._uniform = uniform
        self._max_concurrency = max_concurrency
        self._slots = threading.BoundedSemaphore(max_concurrency)
        self._rate_limit = RateLimit(
            max_requests_per_second,
            sleep=sleep,
            kept=rate_limit_in or InMemory(monotonic),
            slowest=retry.slowest_seconds,
        )
        below = transport or open_transport(
            self._endpoint, connections=max_concurrency, monotonic=monotonic
        )
        self._http = httpx.Client(
            transport=CredentialTransport(
                below, credentials, total_seconds=timeouts.total, monotonic=monotonic
            ),
            timeout=httpx.Timeout(
                connect=timeouts.connect,
                read=timeouts.read,
                write=timeouts.write,
                pool=timeouts.pool,
            ),
            follow_redirects=False,
            trust_env=False,  # network.py reads what is needed of the environment; never netrc
            headers={
                "accept": "application/json",
                "accept-encoding": "gzip, deflate",
                "cache-control": "no-cache",
                "user-agent": "returns-orchestration",
            },
        )

    def __repr__(self) -> str:
        """Host and limit, no credential."""
        return f"{type(self).__name__}({self._host!r}, max_concurrency={self._max_concurrency})"

    def __enter__(self) -> Self:
        """Give the client, to be closed at the block's end."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections; the client cannot be used afterwards."""
        self._http.close()

    def poll(self, window: Window) -> Poll:
        """Read ``window`` whole: every page, or an error.

        Raises a subclass of ApiError, the last one where several were met, with ``window`` (its
        key) and ``attempts`` (requests sent for it) set; SettingsError where credentials are
        absent.
        """
        sent: list[datetime] = []  # one for each request; grows while the window is polled
        try:
            return self._whole(window, sent)
        except ApiError as error:
            error.window = window.key
            error.attempts = max(1, len(sent))
            raise

    def _whole(self, window: Window, sent: list[datetime]) -> Poll:
        began = self._monotonic()
        start, end = window.on_the_wire(self._zone)
        # Colons stay as they are: legal in a query, and how the vendor's own example writes them.
        first = self._endpoint.copy_with(query=f"start_time={start}&end_time={end}".encode("ascii"))
        trail = PageTrail(first, max_pages=self._max_pages)
        url: httpx.URL | None = first
        received: list[_Received] = []
        while url is not None:
            size = sum(item.size for item in received)
            received.append(self._with_repeats(url, window, sent, size))
            if sum(len(item.page.records) for item in received) > MAX_RECORDS:
                message = f"has more than {MAX_RECORDS:,} records, all pages together"
                raise too_large(BeyondBoundsError(message))
            url = trail.follow(received[-1].page.next_link, received[-1].secrets)
        pages = [item.page for item in received]
        _ensure_whole(pages, trail)
        for item in received:
            ensure_over(window, item.times)
        return Poll(
            window=window,
            polled_at=received[0].times.polled_at,
            records=tuple(text for page in pages for text in page.records),
            requests=len(sent),
            pages=len(pages),
            bytes=sum(item.size for item in received),
            seconds=self._monotonic() - began,
            null_result=any(page.null_result for page in pages),
            damaged_text=sum(page.damaged_text for page in pages),
            clock_ahead=received[0].times.clock_ahead,
        )

    def _with_repeats(
        self, url: httpx.URL, window: Window, sent: list[datetime], before: int
    ) -> _Received:
        began = self._monotonic()
        attempt = 0
        while True:
            attempt += 1
            turn: list[float] = []
            try:
                received = self._once(url, sent, turn, before)
            except TransientApiError as error:
                failure = error.with_traceback(None)  # its frames would hold the body meanwhile
            else:
                self._rate_limit.went_well()
                return received
            if isinstance(failure, MalformedReply) and failure.size > LARGE_BYTES and attempt > 1:
                raise failure
            too_long = self._retry.is_too_long(failure.retry_after)
            if isinstance(failure, AskedToWait):
                raise failure
            if isinstance(failure, Throttled) and too_long:
                raise self._silenced(failure)
            if isinstance(failure, Throttled):
                self._rate_limit.slow_down(turn[0], self._retry.granted(failure.retry_after))
            elif too_long:
                failure.cause += f" It asks to be asked again in {failure.retry_after:,.0f} s."
            wait = self._retry.wait(
                attempt,
                elapsed=self._monotonic() - began,
                retry_after=failure.retry_after,
                uniform=self._uniform,
            )
            if wait is None:
                raise failure
            _log.warning(
                "Hour %s: %s Attempt %d of %d failed; asking again in %.1f s.",
                window.key,
                failure.cause,
                attempt,
                self._retry.attempts,
                wait,
            )
            self._sleep(wait)

    def _silenced(self, failure: Throttled) -> AskedToWait:
        """Silence the deployment for as long as ``failure`` asks; the error to raise instead."""
        seconds = failure.retry_after or 0.0
        until = self._rate_limit.be_silent(self._clock().astimezone(UTC), seconds)
        bound = (
            " No more than a day is granted." if seconds > LONGEST_SILENCE.total_seconds() else ""
        )
        return AskedToWait(
            f"ClickPost asks to wait {seconds:,.0f} s: nothing is sent until "
            f"{until:%Y-%m-%d %H:%M} UTC.{bound}",
            http_status=failure.http_status,
            meta_status=failure.meta_status,
            retry_after=failure.retry_after,
        )

    def _once(
        self, url: httpx.URL, sent: list[datetime], turn: list[float], before: int
    ) -> _Received:
        with self._slots:
            taken = self._rate_limit.wait_turn()
            turn.append(taken.at)
            sent_at = self._clock().astimezone(UTC)
            _ensure_no_silence(taken.silence, sent_at)
            began = self._monotonic()
            sent.append(sent_at)
            failure: ApiError | None = None
            try:
                with self._http.stream("GET", url) as response:
                    body = read_body(response, self._max_body_bytes, before=before)
            except LIBRARY_ERRORS as error:
                late = self._monotonic() - began >= self._timeouts.total
                failure = in_our_words(error, self._host, self._timeouts, late=late)
        if failure is not None:
            raise failure  # here and not above: no library's exception becomes its context
        secrets: Secrets = response.extensions["secrets"]
        times = ReplyTimes.of(sent_at, response.headers)
        answer = Answer(
            status=response.status_code,
            retry_after=read_retry_after(response.headers.get("retry-after"), times.now),
            redirected_to=response.extensions["redirected_to"],
            secrets=secrets,
            charset=declared_charset(response.headers.get("content-type", "")),
            signs=response.extensions["signs"],
        )
        size = len(body)  # reading removes a mark at its beginning
        try:
            return _Received(read_page(answer, body), secrets, times, len(body))
        except MalformedReply as error:
            error.size = size
            raise


def _ensure_no_silence(silence: Silence, now: datetime) -> None:
    """Raise AskedToWait where the API has asked the deployment to wait until later than ``now``."""
    until = silence.end(now)
    if until is not None:
        raise AskedToWait(
            f"ClickPost has asked to wait: nothing is sent until {until:%Y-%m-%d %H:%M} UTC.",
            retry_after=(until - now).total_seconds(),
        )


def _ensure_whole(pages: list[Page], trail: PageTrail) -> None:
    """Raise RecordsLeftOut where ``pages`` indicate more records than they hold."""
    served = sum(len(page.records) for page in pages)
    sign = left_out([page.signs for page in pages], served, trail.is_here)
    if sign is not None:
        raise RecordsLeftOut(
            f"ClickPost served {served:,} records, {sign} indicates more, and meta.next leads to "
            "none.",
            http_status=200,
        )


def _endpoint(base_url: str) -> httpx.URL:
    """The address that is polled; SettingsError where ``base_url`` is no http(s) address."""
    url: httpx.URL | None = None
    with suppress(httpx.InvalidURL, ValueError):  # raised below, without the library's text
        url = httpx.URL(base_url.rstrip("/") + PATH)
    if url is None or url.scheme not in ("http", "https") or not url.host or url.userinfo:
        message = "CLICKPOST_BASE_URL is no http:// or https:// address."
        raise SettingsError(message, next_step="Set it to https://www.clickpost.in/api.")
    return url
