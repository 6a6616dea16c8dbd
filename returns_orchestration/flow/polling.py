"""Windows polled concurrently: results without delay, and an early end where all would fail.

No more replies are held than there are requests in flight, so memory stays flat. Called by
``hours``, which decides what becomes of a reply.
"""

from __future__ import annotations

import threading
from concurrent.futures import (
    FIRST_COMPLETED,
    CancelledError,
    Future,
    ThreadPoolExecutor,
    wait,
)
from typing import TYPE_CHECKING

from returns_orchestration.errors import (
    ApiError,
    AskedToWait,
    CredentialsRefused,
    Interrupted,
    NoConnection,
    ReturnsError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from returns_orchestration.clickpost import ClickPostClient, Poll, SharedState
    from returns_orchestration.window import Window

    OpenClient = Callable[[Callable[[float], None], SharedState | None], ClickPostClient]
    """Opens a client that waits between requests by the function given, and whose rate limit is
    shared by the state given."""


LOOK_SECONDS = 0.5
"""Between two looks for an interruption while no reply comes in."""

HOPELESS = (CredentialsRefused, AskedToWait)
"""Errors of one window that every other window would meet, too."""


def poll_all(  # noqa: C901 - one loop: submit, wait, judge
    windows: Sequence[Window],
    open_client: OpenClient,
    max_concurrency: int,
    is_interrupted: Callable[[], bool],
    rate_limit_in: SharedState | None = None,
) -> Iterator[tuple[Window, Poll | ApiError]]:
    """Poll ``windows``, at most ``max_concurrency`` at once; yields each window's poll or error.

    Raises an error that concerns every window alike, once the requests in flight have ended:
    CredentialsRefused; AskedToWait; NoConnection if no window was answered at all, or as many
    windows in a row as are in flight found no connection; Interrupted once ``is_interrupted``;
    SettingsError before anything is sent; LakeUnwritable where the rate limit cannot be reached.
    """
    if not windows:
        return
    waiting = iter(windows)
    in_flight: dict[Future[Poll], Window] = {}
    unanswered = max_concurrency  # no answer yet: the first silence is one too many
    stopped = threading.Event()
    stopped_by: ReturnsError | None = None

    def sleep(seconds: float) -> None:
        if stopped.wait(seconds):
            raise CancelledError  # a return would send all waiting requests at once

    pool = ThreadPoolExecutor(max_concurrency, thread_name_prefix="clickpost")
    with open_client(sleep, rate_limit_in) as client:
        try:
            while True:
                if stopped_by is None and is_interrupted():
                    stopped_by = Interrupted("Interrupted.")
                    stopped.set()
                while (
                    stopped_by is None
                    and len(in_flight) < max_concurrency
                    and (window := next(waiting, None))
                ):
                    in_flight[pool.submit(client.poll, window)] = window
                if not in_flight:
                    break
                done, _ = wait(in_flight, LOOK_SECONDS, FIRST_COMPLETED)
                while done:
                    future = done.pop()
                    result, window = _result(future), in_flight.pop(future)
                    del future  # it holds the reply, too
                    if isinstance(result, ApiError):
                        unanswered += isinstance(result, NoConnection)
                        if isinstance(result, HOPELESS) or unanswered > max_concurrency:
                            stopped_by = stopped_by or result
                            stopped.set()
                        # A failure after the stop shows nothing about its own window.
                        if stopped_by is None:
                            yield window, result
                    elif result is not None:
                        unanswered = 0
                        given = [(window, result)]
                        del result  # the hour is made before this goes on, and needs the memory
                        yield given.pop()
        finally:
            # Ends the waits between attempts; requests in flight end by their own time-out.
            stopped.set()
            pool.shutdown(wait=True, cancel_futures=True)
    if stopped_by is not None:
        raise stopped_by


def _result(future: Future[Poll]) -> Poll | ApiError | None:
    """The result of a poll; None if its wait was ended before it was sent."""
    try:
        return future.result()
    except ApiError as error:
        return error
    except CancelledError:
        return None
