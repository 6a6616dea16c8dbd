"""By whose clock an hour was polled: this machine's, or the API's where the two disagree.

Which of two polls is the newer, and whether an hour was over, must not hang on a clock that was
wrong for a while. Every HTTP server tells its time with each reply; so that decides, where it is
further off than any reply takes. Called by ``client.py``; ``pacing.py`` reads dates with it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from returns_orchestration.errors import ClockAhead

if TYPE_CHECKING:
    from returns_orchestration.window import Window

AGREE: Final = timedelta(minutes=5)
"""Clocks that are further apart disagree: no reply takes that long."""

BELIEVED: Final = timedelta(days=31)
"""Beyond that the date is the mistake, and not this machine's clock."""


def read_http_date(text: str) -> datetime | None:
    """The moment of an HTTP date, aware, UTC; None for an unreadable one."""
    try:
        moment = parsedate_to_datetime(text)
        # "-0000" is a date whose zone is not told; HTTP dates are GMT.
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def time_of_request(sent_at: datetime, date: str | None) -> datetime:
    """When a request was sent: ``sent_at`` by our clock, or the reply's ``date`` if they disagree.

    A date that is more than 31 days off is not believed. Both in UTC; ``date`` is an HTTP date, to
    whole seconds, and may be absent or unreadable.
    """
    theirs = read_http_date(date or "")
    return theirs if theirs is not None and AGREE < abs(theirs - sent_at) <= BELIEVED else sent_at


def ensure_over(window: Window, polled_at: datetime, clock_ahead: timedelta) -> None:
    """Raise ClockAhead where ``window`` was asked for before its end by a clock that is ahead."""
    if clock_ahead > timedelta(0) and polled_at < window.end:
        minutes = clock_ahead // timedelta(minutes=1)
        raise ClockAhead(
            f"This machine's clock is {minutes} minutes ahead of ClickPost's, by which the hour "
            "is not over."
        )
