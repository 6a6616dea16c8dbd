"""How counts, times, lists and a merchant's own names are written, in every message and list.

One place for all of them, so that terminals, alerts and Dagster's UI agree.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

LISTED: Final = 10
"""Names that a list shows before it counts the rest."""

NEWEST: Final = 3
LONGEST_NAME: Final = 40

_PERSONAL: Final = re.compile(r"\S*@\S*|\S*://\S*|\S*[A-Za-z]\.[a-z]{2,}\b\S*|\+?\d[\d ()-]{4,}")
"""What looks like an address of mail, a link or a number."""

_HARMLESS: Final = str.maketrans("<>[]`*|&~#", "‹›()'·/+-·")  # noqa: RUF001 - look-alikes on purpose
"""Letters that call people or make links and formats in chats, Markdown or HTML, and others."""


def count(number: int, noun: str) -> str:
    """``1 hour``, ``14 hours``, ``2,000 retries``; ``noun`` is the singular."""
    if number == 1:
        return f"1 {noun}"
    several = re.sub("([^aeiou])y$", r"\1ie", noun) + "s"
    return f"{number:,} {several}"


def be(number: int, one: str = "is", several: str = "are") -> str:
    """The verb that goes with a count."""
    return one if number == 1 else several


def duration(time: timedelta) -> str:
    """``40 seconds``, ``12 minutes``, ``5 hours 30 minutes`` or ``3 days``."""
    seconds = max(round(time.total_seconds()), 1)
    if seconds < 90:
        return count(seconds, "second")
    minutes = round(seconds / 60)
    if minutes < 120:
        return count(minutes, "minute")
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return count(hours, "hour") + (f" {count(minutes, 'minute')}" if minutes else "")
    return count(round(hours / 24), "day")


def utc(moment: datetime) -> str:
    """A moment as messages and lists write it, ``2026-11-09 11:00``."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"


def partition(key: str) -> str:
    """A partition key as messages write it: ``2026-11-09 11:00``; a day stays as it is."""
    return f"{key[:10]} {key[11:]}".rstrip() or "all time"


def listed(names: Iterable[str], most: int = LISTED) -> str:
    """The first ``most`` names, and how many more there are."""
    found = list(names)
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more


def newest(texts: Sequence[str], what: str = "") -> str:
    """The last texts, and how many earlier ones there are."""
    more = len(texts) - NEWEST
    earlier = f" and {more} earlier {what}".rstrip() if more > 0 else ""
    return ", ".join(texts[-NEWEST:]) + earlier


def redacted_name(name: str) -> str:
    """A reason or mode on one line, truncated, without what looks like a number or an address.

    A merchant's customers may have written it: it must not call a channel, make a link, or steer a
    terminal, wherever it is shown.
    """
    visible = "".join(
        letter for letter in " ".join(name.split()) if unicodedata.category(letter)[0] != "C"
    )
    plain = _PERSONAL.sub("…", visible).translate(_HARMLESS)
    return plain if len(plain) <= LONGEST_NAME else plain[: LONGEST_NAME - 1] + "…"


def plain_id(text: str) -> str:
    """A reference, SKU or style on one line, truncated; its digits stay, as it is no free text."""
    plain = printable(text).translate(_HARMLESS)
    return plain if len(plain) <= LONGEST_NAME else plain[: LONGEST_NAME - 1] + "…"


def printable(text: str) -> str:
    """Text for a terminal, which what ClickPost sent must not steer."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )
