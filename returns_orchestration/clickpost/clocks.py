"""By whose clock an hour was polled: this machine's, or the API's where the two disagree.

The order of two polls, and whether an hour was over, must not depend on a clock that was wrong for
a while. Every HTTP server sends its time with each reply; that time decides where it is further off
than any reply takes. Called by ``client.py``; ``retry.py`` reads dates with it.

A cache in between may answer with an older reply, which has the date of that time; its ``Age``
gives how many seconds ago that was.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from returns_orchestration.errors import ClockAhead, NotOver, StaleReply
from returns_orchestration.words import duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from returns_orchestration.window import Window

AGREE: Final = timedelta(minutes=5)
"""Clocks that are further apart disagree: no reply takes that long."""

BELIEVED: Final = timedelta(days=31)
"""Beyond that the date is wrong, and not this machine's clock."""


_ZONES: Final = ("GMT", "UTC", "+0000", "-0000")
_WITHOUT_ZONE: Final = re.compile(r"[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} [0-9]{4}")
"""The oldest form of an HTTP date, that of C's asctime: ``Sun Nov  6 08:49:37 1994``."""


def read_http_date(text: str) -> datetime | None:
    """The moment of an HTTP date, aware, UTC; None for an unreadable one.

    HTTP dates are GMT. A date of another zone is not believed: the library takes an unknown name,
    such as IST, for GMT.
    """
    text = text.strip()
    zone = text.upper().rpartition(" ")[2]
    if zone not in _ZONES and not _WITHOUT_ZONE.fullmatch(text):
        return None
    try:
        moment = parsedate_to_datetime(text)
        # "-0000" is a date without a known zone, and asctime has no zone.
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


@dataclass(frozen=True, slots=True)
class ReplyTimes:
    """The times of one reply, all aware UTC.

    - ``now``: the time of the API's clock, or of ours where that is unknown
    - ``polled_at``: the time that the reply is from; that of its request unless a cache answered
    - ``clock_ahead``: how far our clock is ahead of the API's, which then decides; 0: both agree
    - ``age``: for how long a cache had kept the reply
    - ``earliest``: the time that the reply is from by the slower clock, where both are believed
    """

    now: datetime
    polled_at: datetime
    clock_ahead: timedelta
    age: timedelta
    earliest: datetime

    @classmethod
    def of(cls, sent_at: datetime, headers: Mapping[str, str]) -> ReplyTimes:
        """From a request ``sent_at`` by our clock, and the headers of its reply, lower case.

        A date that is more than 31 days off is not believed. Some caches write a date of their own:
        a date that agrees with our clock although the reply is older is the present time.
        """
        kept_for = read_age(headers.get("age"))
        theirs = read_http_date(headers.get("date") or "")
        if theirs is None or kept_for <= AGREE or abs(theirs - sent_at) > AGREE:
            theirs = time_told(headers.get("date"), kept_for)
        shown = theirs if theirs is not None and abs(theirs - sent_at) <= BELIEVED else sent_at
        at = shown if abs(shown - sent_at) > AGREE else sent_at
        earliest = min(at, shown) - kept_for
        return cls(theirs or sent_at, at - kept_for, sent_at - at, kept_for, earliest)


def read_age(text: str | None) -> timedelta:
    """The seconds of an ``Age`` header; 0 for an absent, negative or unreadable one.

    Also 0 for more than 31 days, which is no age of a reply.
    """
    digits = re.fullmatch(r"0*([0-9]{1,7})", (text or "").partition(",")[0].strip(), re.ASCII)
    age = timedelta(seconds=int(digits[1])) if digits else timedelta()
    return age if age <= BELIEVED else timedelta()


def time_told(date: str | None, age: timedelta = timedelta()) -> datetime | None:
    """The time of the API's clock, by the date of a reply and its age; UTC, to whole seconds.

    None for an absent or unreadable date.
    """
    theirs = read_http_date(date or "")
    try:
        return theirs and theirs + age
    except OverflowError:
        return None


def ensure_over(window: Window, times: ReplyTimes) -> None:
    """Raise where a reply is from before the end of ``window``, by either believed clock.

    NotOver: the hour was asked for too early, as by a run that was queued while the clock was
    ahead; ClockAhead: too early by ClickPost's clock; StaleReply: a cache had kept the reply.
    """
    if times.earliest >= window.end:
        return
    if times.age and times.earliest + times.age >= window.end:
        raise StaleReply(
            f"A cache answered for ClickPost with a reply of {duration(times.age)} ago, when the "
            "hour was not over."
        )
    sent_at = times.polled_at + times.age + times.clock_ahead
    if sent_at < window.end:
        raise NotOver(f"The hour was asked for before its end at {window.end:%Y-%m-%d %H:%M} UTC.")
    ahead = duration(sent_at - times.earliest)
    raise ClockAhead(
        f"This machine's clock is {ahead} ahead of ClickPost's, by which the hour is not over."
    )
