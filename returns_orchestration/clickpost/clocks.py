"""By whose clock an hour was polled: this machine's, or the API's where the two disagree.

Which of two polls is the newer, and whether an hour was over, must not hang on a clock that was
wrong for a while. Every HTTP server tells its time with each reply; so that decides, where it is
further off than any reply takes. Called by ``client.py``; ``pacing.py`` reads dates with it.

A cache between here and there may answer with an older reply, whose date is of then; it says with
``Age`` how many seconds ago that was.
"""

from __future__ import annotations

import re
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


_AGE_DIGITS: Final = 9
_ZONES: Final = ("GMT", "UTC", "+0000", "-0000")
_WITHOUT_ZONE: Final = re.compile(r"[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} [0-9]{4}")
"""The oldest form of an HTTP date, that of C's asctime: ``Sun Nov  6 08:49:37 1994``."""


def read_http_date(text: str) -> datetime | None:
    """The moment of an HTTP date, aware, UTC; None for an unreadable one.

    HTTP dates are GMT. One of another zone is not believed: the library takes a name that it does
    not know, such as IST, for GMT.
    """
    text = text.strip()
    zone = text.upper().rpartition(" ")[2]
    if zone not in _ZONES and not _WITHOUT_ZONE.fullmatch(text):
        return None
    try:
        moment = parsedate_to_datetime(text)
        # "-0000" is a date whose zone is not told, and asctime has none.
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def time_told(date: str | None, age: str | None = None) -> datetime | None:
    """What the API's clock shows, by the ``Date`` and ``Age`` of a reply; UTC, to whole seconds.

    ``age``: seconds since ``date``; absent, negative or unreadable it counts as none. None for no
    date, an unreadable one, and one whose reply is older than 31 days: it tells nothing of now.
    """
    theirs = read_http_date(date or "")
    said = re.fullmatch(r"0*([0-9]+)", (age or "").partition(",")[0].strip(), re.ASCII)
    if theirs is None or said is None:
        return theirs
    if len(said[1]) > _AGE_DIGITS or timedelta(seconds=int(said[1])) > BELIEVED:
        return None
    try:
        return theirs + timedelta(seconds=int(said[1]))
    except OverflowError:
        return None


def time_of_request(sent_at: datetime, theirs: datetime | None) -> datetime:
    """When a request was sent: ``sent_at`` by our clock, or ``theirs`` if the two disagree.

    One that is more than 31 days off is not believed. Both in UTC; ``theirs``: see ``time_told``.
    """
    return theirs if theirs is not None and AGREE < abs(theirs - sent_at) <= BELIEVED else sent_at


def ensure_over(window: Window, polled_at: datetime, clock_ahead: timedelta) -> None:
    """Raise ClockAhead where ``window`` was asked for before its end by a clock that is ahead."""
    if clock_ahead > timedelta(0) and polled_at < window.end:
        minutes = clock_ahead // timedelta(minutes=1)
        raise ClockAhead(
            f"This machine's clock is {minutes} minutes ahead of ClickPost's, by which the hour "
            "is not over."
        )
