"""Moments as whole microseconds since 1970 in UTC, and how the API spells and reads them.

Integers, because the boundary rules depend on single microseconds, and because integers compare and
add faster than datetimes. Datetimes appear only at the room's outer surface.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

Micros: TypeAlias = int
TimeStyle: TypeAlias = Literal["zulu", "whole", "naive", "offset", "epoch"]

MILLISECOND: Micros = 1_000
SECOND: Micros = 1_000_000
MINUTE: Micros = 60 * SECOND
HOUR: Micros = 60 * MINUTE

INDIA = timezone(timedelta(hours=5, minutes=30))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ONE = timedelta(microseconds=1)
_QUERY_FORMAT = "%Y-%m-%dT%H:%M:%S"
_QUERY_LENGTH = len("2026-11-09T11:00:00")


def to_micros(moment: datetime) -> Micros:
    """Microseconds since 1970 of an aware datetime; ValueError for a naive one."""
    if moment.tzinfo is None:
        message = f"the simulator needs a time with a zone, got {moment.isoformat()}"
        raise ValueError(message)
    return (moment - _EPOCH) // _ONE


def from_micros(moment: Micros) -> datetime:
    """The aware UTC datetime of a moment."""
    return _EPOCH + timedelta(microseconds=moment)


def utc_now() -> datetime:
    """The default clock: the machine's time, aware, in UTC."""
    return datetime.now(UTC)


def hour_of(moment: Micros) -> Micros:
    """The start of the UTC hour that holds the moment."""
    return moment - moment % HOUR


def whole_second(moment: Micros) -> Micros:
    """The moment with its fraction cut off."""
    return moment - moment % SECOND


@lru_cache(maxsize=32)
def zone_named(name: str) -> tzinfo:
    """The zone of that IANA name; ValueError for an unknown one."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        message = f"zone must be an IANA name such as UTC or Asia/Kolkata, got {name!r}"
        raise ValueError(message) from None


def spell(moment: Micros, zone: tzinfo, style: TimeStyle = "zulu") -> str | int:
    """One moment as a record spells it.

    zulu    2026-11-09T11:00:48.702402Z   the usual one; wall time of `zone`, labelled Z
    whole   2026-11-09T11:00:48Z          without the fraction
    naive   2026-11-09 11:00:48.702402    a space, no label; wall time of `zone`
    offset  2026-11-09T16:30:48.702402+05:30   India's wall time, honestly labelled
    epoch   1794222048                    Unix seconds, a number
    """
    if style == "epoch":
        return moment // SECOND
    instant = from_micros(moment)
    if style == "offset":
        return instant.astimezone(INDIA).isoformat(timespec="microseconds")
    wall = instant if zone is UTC else instant.astimezone(zone)
    wall = wall.replace(tzinfo=None)
    if style == "naive":
        return wall.isoformat(sep=" ", timespec="microseconds")
    return wall.isoformat(timespec="seconds" if style == "whole" else "microseconds") + "Z"


def read_query_time(text: str, zone: tzinfo) -> Micros:
    """start_time or end_time, strictly YYYY-MM-DDThh:mm:ss, as wall time of `zone`.

    ValueError when the text is anything else: a fraction, a zone or a space is refused, so that a
    client that sends them fails here and not in production.
    """
    if len(text) != _QUERY_LENGTH or not text.isascii():
        message = "not YYYY-MM-DDThh:mm:ss"
        raise ValueError(message)
    return to_micros(datetime.strptime(text, _QUERY_FORMAT).replace(tzinfo=zone))
