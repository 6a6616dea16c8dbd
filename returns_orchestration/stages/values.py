"""How one value of a record is read: text, number, flag, moment.

Each reader takes what JSON held and gives ``(value, clean)``. ``clean`` is False where the value
was converted from another type or could not be read (then it is None), and the column's name goes
into the row's ``quality``. No reader raises. Which value goes where is said in ``tables.py``.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from zoneinfo import ZoneInfo

    Reader = Callable[[object], tuple[object, bool]]

INT64: Final = range(-(2**63), 2**63)
ABSENT: Final = frozenset({"", "None"})
"""Texts that mean null, after trimming."""

EPOCH_SECONDS: Final = (946_684_800, 4_102_444_800)
"""2000-01-01 to 2100-01-01: what a bare number must lie in to be believed as an epoch time."""

_SHAPE = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:[.,]([0-9]{1,9}))?"
    r"\s*(?:([Zz])|([+-])([0-9]{2}):?([0-5][0-9])?)?"
)
_EPOCH = re.compile(r"[0-9]{10}(?:[0-9]{3})?(?:\.[0-9]{1,9})?")
_WHOLE = re.compile(r"([+-]?[0-9]{1,19})(?:\.0*)?")


def text(value: object) -> tuple[str | None, bool]:  # noqa: PLR0911 - a case a line
    """Trimmed, white space folded to one blank; "" and "None" are null; numbers become text."""
    if value is None:
        return None, True
    if isinstance(value, str):
        folded = " ".join(value.split())
        if not folded.isascii():
            whole = folded.encode("utf-8", "replace").decode()
            if whole != folded:  # half of a surrogate pair, which no file can hold
                return whole, False
        return (None if folded in ABSENT else folded), True
    if isinstance(value, bool):
        return None, False
    if isinstance(value, int):
        return str(value), False
    if isinstance(value, float) and value.is_integer():
        return str(int(value)), False
    if isinstance(value, float) and value - value == 0:
        return repr(value), False
    return None, False


def number(value: object) -> tuple[int | None, bool]:  # noqa: PLR0911 - a case a line
    """A whole number of 64 bits; "25" and 2.0 are converted, 2.5 and true are unreadable."""
    if value is None:
        return None, True
    if isinstance(value, bool):
        return None, False
    if isinstance(value, int):
        return (value, True) if value in INT64 else (None, False)
    if isinstance(value, float):
        return (_of_64_bits(int(value)) if value.is_integer() else None), False
    if isinstance(value, str):
        stripped = value.strip()
        if stripped in ABSENT:
            return None, True
        match = _WHOLE.fullmatch(stripped)
        return (_of_64_bits(int(match[1])) if match else None), False
    return None, False


def _of_64_bits(whole: int) -> int | None:
    """``None in INT64`` would count through all of it, so only a number may be asked about."""
    return whole if whole in INT64 else None


def courier(value: object) -> tuple[int | None, bool]:
    """A number in which -1 means that there is no courier yet: null."""
    read, clean = number(value)
    return (None if read == -1 else read), clean


def flag(value: object) -> tuple[bool | None, bool]:
    """True or false; the same as text, or 1 and 0, are converted."""
    if value is None or isinstance(value, bool):
        return value, True
    if isinstance(value, int) and value in (0, 1):
        return bool(value), False
    if isinstance(value, str):
        stripped = value.strip()
        if stripped in ABSENT:
            return None, True
        return {"true": True, "false": False, "1": True, "0": False}.get(stripped.lower()), False
    return None, False


def moment_reader(zone: ZoneInfo) -> Reader:
    """A reader of times; ``zone`` is that of naive values. Gives aware UTC datetimes.

    Read are ISO 8601 with T or a blank, 0 to 9 fractional digits (cut to microseconds), Z, an
    offset or no zone, second 60 as the second after 59, and epoch seconds or milliseconds between
    the years 2000 and 2100 (a number is a conversion and listed as one).
    """

    def moment(value: object) -> tuple[datetime | None, bool]:  # noqa: PLR0911 - a case a line
        if value is None:
            return None, True
        if isinstance(value, str):
            stripped = value.strip()
            if stripped in ABSENT:
                return None, True
            match = _SHAPE.fullmatch(stripped)
            if match:
                read = _from_parts(match, zone)
                return read, read is not None
            if _EPOCH.fullmatch(stripped):
                return _from_epoch(float(stripped)), False
            return None, False
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return _from_epoch(value), False
        return None, False

    return moment


def _from_parts(match: re.Match[str], zone: ZoneInfo) -> datetime | None:
    year, month, day, hour, minute, second, fraction, utc, sign, off_hours, off_minutes = (
        match.groups()
    )
    leap = second == "60"
    micros = int((fraction or "0")[:6].ljust(6, "0"))
    try:
        read = datetime(  # noqa: DTZ001 - the zone follows below
            int(year), int(month), int(day), int(hour), int(minute), 59 if leap else int(second)
        ).replace(microsecond=micros)
        if utc:
            read = read.replace(tzinfo=UTC)
        elif sign:
            offset = timedelta(hours=int(off_hours), minutes=int(off_minutes or 0))
            read = read.replace(tzinfo=timezone(-offset if sign == "-" else offset))
            read = read.astimezone(UTC)
        else:
            read = read.replace(tzinfo=zone).astimezone(UTC)
        return read + timedelta(seconds=1) if leap else read
    except (ValueError, OverflowError):
        return None


def _from_epoch(value: float) -> datetime | None:
    first, last = EPOCH_SECONDS
    for per_second in (1, 1000):
        if first * per_second <= value < last * per_second:
            whole, rest = divmod(value, per_second)
            micros = round(rest * 1_000_000 / per_second)
            if per_second == 1:
                micros = round((value - int(value)) * 1_000_000)
            return datetime.fromtimestamp(int(whole), tz=UTC) + timedelta(microseconds=micros)
    return None
