"""How the report writes numbers: lakhs and crores, shares, changes, waits by their size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from returns_orchestration.words import listed

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date
    from zoneinfo import ZoneInfo

    from returns_orchestration.window import Window

NONE = "–"  # noqa: RUF001 - a dash for what there is not
LARGE_CHANGE = 10
"""Times as many, from which a change is a factor and no longer per cent."""


def grouped(number: int) -> str:
    """``12,34,567``: the last three digits, then pairs."""
    sign, digits = ("-" if number < 0 else ""), str(abs(number))
    head, tail = digits[:-3], digits[-3:]
    pairs: list[str] = []
    while head:
        head, pair = head[:-2], head[-2:]
        pairs.insert(0, pair)
    return sign + ",".join([*pairs, tail])


def share(part: float, whole: float) -> str:
    """``12.3%`` of a whole; a dash where there is none."""
    return percent(part / whole) if whole else NONE


def percent(value: float | None) -> str:
    """``12.3%`` for 0.123; a dash for None. What is not all is never written as 100%."""
    if value is None:
        return NONE
    text = f"{value:.1%}"
    if text == "100.0%":
        return "100%" if value >= 1 else "99.9%"
    if text in {"0.0%", "-0.0%"}:
        return "0%" if value == 0 else "under 0.1%"
    return text


def change(now: float, before: float | None) -> str:
    """``+12%`` beside the time before; "" where there was nothing to compare with."""
    if before is None or not before:
        return ""
    ratio = now / before
    if ratio >= LARGE_CHANGE:
        return f"{ratio:.0f} times as many"
    per_cent = round((ratio - 1) * 100)
    return f"{per_cent:+d}%" if per_cent else "no change"


def points(now: float | None, before: float | None) -> str:
    """``+1.2 points`` between two shares; "" where one is not known."""
    if now is None or before is None:
        return ""
    difference = round((now - before) * 100, 1)
    return f"{difference:+.1f} points" if difference else "no change"


def wait(seconds: float | None) -> str:
    """``2 s``, ``14 min``, ``3.0 h`` or ``2.5 d``, by its size; a dash for None."""
    if seconds is None:
        return NONE
    for limit, unit, length in ((120, "s", 1), (7_200, "min", 60), (172_800, "h", 3_600)):
        if seconds < limit:
            return f"{seconds / length:.1f} h" if unit == "h" else f"{seconds / length:.0f} {unit}"
    return f"{seconds / 86_400:.1f} d"


def span_text(first: date, last: date) -> str:
    """``28 Oct to 24 Nov 2026``."""
    if first == last:
        return f"{day_text(first)} {last.year}"
    year = f" {first.year}" if first.year != last.year else ""
    return f"{day_text(first)}{year} to {day_text(last)} {last.year}"


def hours_text(hours: Iterable[tuple[Window, str]], zone: ZoneInfo, most: int) -> str:
    """``20 Nov 12:30 missing``, in the zone, for each hour; the rest is counted."""
    texts = (
        f"{day_text(window.start.astimezone(zone))} {window.start.astimezone(zone):%H:%M} {state}"
        for window, state in hours
    )
    return listed(texts, most)


def day_text(day: date) -> str:
    """``24 Nov``."""
    return f"{day.day} {day:%b}"
