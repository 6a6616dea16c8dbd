"""How one value of a record is read: text, number, flag, moment.

Each reader takes a value from JSON and gives ``(value, clean)``. ``clean`` is False where the value
was converted from another type or could not be read (then it is None), and the column's name goes
into the row's ``quality``. No reader raises. ``tables/`` declares the column of each value.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo
    from zoneinfo import ZoneInfo

    Reader = Callable[[object], tuple[object, bool]]

INT64: Final = range(-(2**63), 2**63)
EXACT: Final = 2**53
"""Up to this number a float holds every whole number."""

MOST: Final = 1_000_000
"""A quantity of a larger size is invalid."""

LONGEST_TITLE: Final = 120

MOST_MARKS: Final = 300
"""Text with more combining marks in a row keeps its form; 30 are the most that Unicode expects."""

ABSENT: Final = frozenset({"", "None"})
"""Texts that mean null, after trimming."""

LONGEST_TIME: Final = 64
"""The longest text that is remembered with the time it is read as."""

FIRST, LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2101, 1, 1, tzinfo=UTC)
"""Times before the year 2000 or after 2100 are invalid: zero values, or refused by some readers."""

_SHAPE = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:[.,]([0-9]{1,9}))?"
    r"\s*(?:([Zz])|([+-])([0-9]{2}):?([0-5][0-9])?)?"
)
_EPOCH = re.compile(r"[0-9]{10}(?:[0-9]{3})?(?:\.[0-9]{1,9})?")
_WHOLE = re.compile(r"([+-]?[0-9]{1,19})(?:\.0*)?")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_ESCAPED = re.compile(r"[\ud800-\udfff]|\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_PINCODE = re.compile(r"([1-9][0-9]{2}) ?[0-9]{3}")
_NO_WIDTH = str.maketrans("", "", "\u200b\ufeff")


class Spelled(float):
    """A JSON number whose digits a Python number would lose: its value, and how it is written.

    It has a point or an exponent, is ``-0``, or has more digits than Python reads.
    """

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> Self:
        """From the digits of the reply."""
        self = super().__new__(cls, text)
        self.text = text
        return self


def text(value: object) -> tuple[str | None, bool]:  # noqa: PLR0911 - a case a line
    """NFC, trimmed, white space folded to one blank; "" and "None" are null; numbers become text.

    U+200B and U+FEFF are removed, and format characters at both ends. Half of a surrogate pair,
    which no file can hold, is escaped.
    """
    if value is None:
        return None, True
    if isinstance(value, str):
        if value.isascii():  # as most texts are: told at once
            folded = " ".join(value.split())
            return (None if folded in ABSENT else folded), True
        whole = _SURROGATE.sub(_escape, value)
        folded = _folded(whole)
        return (None if folded in ABSENT else folded), whole == value
    if isinstance(value, bool):
        return None, False
    if isinstance(value, int):
        return str(value), False
    if isinstance(value, float):
        whole_number = _whole(value)
        if whole_number is not None:
            return str(whole_number), False
        if isinstance(value, Spelled):
            return value.text, False
        return (repr(value) if value - value == 0 else None), False
    return None, False


def reference(value: object) -> tuple[str | None, bool]:
    """The spelling of a return's reference, exactly as served; "", "None" and blanks are null.

    Two spellings never become one: numbers keep their digits, text its white space and its form.
    In text with half of a surrogate pair, which is escaped, or with text like such an escape, each
    backslash is doubled.
    """
    if isinstance(value, str):
        if text(value)[0] is None:
            return None, True
        if _ESCAPED.search(value) is None:
            return value, True
        doubled = value.replace("\\", "\\\\")
        return _SURROGATE.sub(_escape, doubled), _SURROGATE.search(value) is None
    if isinstance(value, Spelled):
        return value.text, False
    return text(value)


def is_given(value: object) -> bool:
    """Whether a value is given: not null, not a text that means null, not an empty container."""
    if isinstance(value, str):
        return (value.strip() if value.isascii() else _folded(value)) not in ABSENT
    return value is not None and value not in ([], {})


def _escape(surrogate: re.Match[str]) -> str:
    return f"\\u{ord(surrogate[0]):04x}"


def _folded(value: str) -> str:
    if value.isascii():
        return " ".join(value.split())
    plain = value.translate(_NO_WIDTH)
    if _longest_marks(plain) <= MOST_MARKS:
        plain = unicodedata.normalize("NFC", plain)
    begin, end = 0, len(plain)
    while begin < end and _is_invisible(plain[begin]):
        begin += 1
    while begin < end and _is_invisible(plain[end - 1]):
        end -= 1
    return " ".join(plain[begin:end].split())


def _longest_marks(value: str) -> int:
    """The most combining marks in a row; NFC sorts them in quadratic time."""
    if len(value) <= MOST_MARKS:
        return 0
    most = run = 0
    for character in value:
        run = run + 1 if unicodedata.combining(character) else 0
        most = max(most, run)
    return most


def _is_invisible(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) == "Cf"


def number(value: object) -> tuple[int | None, bool]:  # noqa: PLR0911 - a case a line
    """A whole number of 64 bits; "25" and 2.0 are converted, 2.5 and true are unreadable."""
    if value is None:
        return None, True
    if isinstance(value, bool):
        return None, False
    if isinstance(value, int):
        return (value, True) if value in INT64 else (None, False)
    if isinstance(value, float):
        return _of_64_bits(_whole(value)), False
    if isinstance(value, str):
        stripped = _folded(value)
        if stripped in ABSENT:
            return None, True
        match = _WHOLE.fullmatch(stripped)
        return _of_64_bits(int(match[1]) if match else None), False
    return None, False


def quantity(value: object) -> tuple[int | None, bool]:
    """A number of pieces, at most a million in size."""
    read, clean = number(value)
    return (read, clean) if read is None or abs(read) <= MOST else (None, False)


def _whole(value: float) -> int | None:
    """The whole number that a float is written as; None if not whole, or beyond 64 bits."""
    if not value.is_integer() or abs(value) > INT64.stop:
        return None
    if abs(value) <= EXACT:
        return int(value)
    exact = Decimal(value.text) if isinstance(value, Spelled) else Decimal(value)
    return int(exact) if exact == exact.to_integral_value() else None


def _of_64_bits(whole: int | None) -> int | None:
    return whole if whole is not None and whole in INT64 else None


def courier(value: object) -> tuple[int | None, bool]:
    """A number in which -1 means that there is no courier yet: null."""
    read, clean = number(value)
    return (None if read == -1 else read), clean


def identifier(value: object) -> tuple[str | None, bool]:
    """A text that may as well be a number, as it is spelled."""
    read, clean = text(value)
    return read, clean or (isinstance(value, int) and read is not None)


def region(value: object) -> tuple[str | None, bool]:
    """The first 3 digits of an Indian pincode, which has 6; others are unreadable."""
    read, clean = identifier(value)
    found = _PINCODE.fullmatch(read or "")
    return (found[1], clean) if found else (None, read is None)


def title(value: object) -> tuple[str | None, bool]:
    """A text of at most 120 characters; what is longer is cut."""
    read, clean = text(value)
    return (None if read is None else read[:LONGEST_TITLE].rstrip()), clean


def length(value: object) -> tuple[int | None, bool]:
    """How many values a list holds; a text is one, which was seen."""
    if isinstance(value, list):
        return sum(map(is_given, value)), True
    return (int(is_given(value)), True) if isinstance(value, str) else (None, value is None)


def flag(value: object) -> tuple[bool | None, bool]:
    """True or false; the same as text, or 1 and 0, are converted."""
    if value is None or isinstance(value, bool):
        return value, True
    if isinstance(value, int) and value in (0, 1):
        return bool(value), False
    if isinstance(value, str):
        stripped = _folded(value)
        if stripped in ABSENT:
            return None, True
        return {"true": True, "false": False, "1": True, "0": False}.get(stripped.lower()), False
    return None, False


def moment_reader(zone: ZoneInfo) -> Reader:
    """A reader of times; ``zone`` is that of naive values. Gives aware UTC datetimes.

    It reads ISO 8601 with T or a blank, 0 to 9 fractional digits (cut to microseconds), Z, an
    offset or no zone, second 60 as the second after 59, and epoch seconds or milliseconds (a number
    is a conversion and listed as one), all of them in the years 2000 to 2100.
    """

    # A record has most of its times several times, and is read when it lands and when it is built.
    @lru_cache(maxsize=4096)
    def of_text(value: str) -> tuple[datetime | None, bool]:
        stripped = _folded(value)
        if stripped in ABSENT:
            return None, True
        match = _SHAPE.fullmatch(stripped)
        if match:
            read = _from_parts(match, zone)
            return read, read is not None
        return (_from_epoch(float(stripped)) if _EPOCH.fullmatch(stripped) else None), False

    def moment(value: object) -> tuple[datetime | None, bool]:
        if value is None:
            return None, True
        if isinstance(value, str):
            return of_text(value) if len(value) <= LONGEST_TIME else of_text.__wrapped__(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return _from_epoch(value), False
        return None, False

    return moment


def _from_parts(match: re.Match[str], zone: ZoneInfo) -> datetime | None:
    year, month, day, hour, minute, second, fraction, utc, sign, off_hours, off_minutes = (
        match.groups()
    )
    leap = second == "60"
    micros = int(fraction[:6].ljust(6, "0")) if fraction else 0
    try:
        of: tzinfo = zone
        if utc:
            of = UTC
        elif sign:
            offset = timedelta(hours=int(off_hours), minutes=int(off_minutes or 0))
            of = timezone(-offset if sign == "-" else offset)
        at = int(hour), int(minute), 59 if leap else int(second), micros
        read = datetime(int(year), int(month), int(day), *at, tzinfo=of)
        read = read if utc else read.astimezone(UTC)
        read = read + timedelta(seconds=1) if leap else read
    except (ValueError, OverflowError):
        return None
    return read if FIRST <= read < LAST else None


def _from_epoch(value: float) -> datetime | None:
    first, last = FIRST.timestamp(), LAST.timestamp()
    for per_second in (1, 1000):
        if first * per_second <= value < last * per_second:
            whole, rest = divmod(value, per_second)
            micros = round(rest * 1_000_000 / per_second)
            if per_second == 1:
                micros = round((value - int(value)) * 1_000_000)
            return datetime.fromtimestamp(int(whole), tz=UTC) + timedelta(microseconds=micros)
    return None
