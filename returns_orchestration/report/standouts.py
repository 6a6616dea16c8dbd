"""What differs from usual beyond chance: the sentences at the top of the page.

A count is compared with the count that would be expected, and stands out where it is further away
than chance moves it; small counts never do. Hours that are not complete, lost webhooks and many
stuck returns are named whatever is usual.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Final

import polars as pl

from returns_orchestration.report import counts
from returns_orchestration.report.numbers import day_text, grouped, hours_text, percent, share, wait
from returns_orchestration.words import be, count, listed, plain_id, redacted_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from returns_orchestration.report.figures import Figures

FAR: Final = 5.0
"""Standard deviations of chance. Hundreds of cells are looked at each day."""

MANY_STUCK: Final = 0.1
"""The share of open returns from which those that are stuck are named."""

FEW: Final = 10
"""Counts below this never stand out."""

LISTED_HOURS: Final = 4
MOST: Final = 3
"""Sentences of one kind."""

EXPECTED_DELIVERY: Final = 0.99
LAST_DAYS: Final = 7


@dataclass(frozen=True, slots=True)
class Standout:
    """One sentence; ``section`` is the id of the part of the page that shows it.

    ``subject`` names the courier, or the style and the reason, that it is about.
    """

    section: str
    text: str
    subject: tuple[str, ...] = ()


def find(figures: Figures) -> list[Standout]:
    """All of them, the most important kinds first."""
    return [
        *_lacking(figures),
        *_styles(figures),
        *_modes(figures),
        *_stuck(figures),
        *_couriers(figures),
        *_webhooks(figures),
    ]


def _lacking(figures: Figures) -> Iterator[Standout]:
    lacking = figures.lacking
    if lacking:
        days = listed(day_text(day) for day in figures.partial)
        show = be(len(figures.partial), "shows", "show")
        hours = f"{count(len(lacking), 'hour')} {be(len(lacking))} not complete"
        named = hours_text(lacking, figures.zone, LISTED_HOURS)
        yield Standout("completeness", f"{hours}, so {days} {show} too little: {named}.")


def _stuck(figures: Figures) -> Iterator[Standout]:
    """Where many of the open returns are stuck, whatever is usual."""
    if figures.open_returns is None:
        return
    rows, opened = counts.stuck(figures.open_returns), figures.open_returns.height
    if rows.height < FEW or rows.height < opened * MANY_STUCK:
        return
    by_rule = rows.group_by("stuck").len().sort(["len", "stuck"], descending=[True, False])
    causes = ", ".join(f"{grouped(number)} have {rule}" for rule, number in by_rule.iter_rows())
    yield Standout(
        "open", f"{grouped(rows.height)} of {grouped(opened)} open returns are stuck: {causes}."
    )


def _webhooks(figures: Figures) -> Iterator[Standout]:
    came, lost = counts.delivered(figures.now)
    if lost < FEW or came / (came + lost) >= EXPECTED_DELIVERY:
        return
    worst = figures.now.delivery.sort(["poll_only", "day"], descending=[True, False]).row(
        0, named=True
    )
    before = ""
    if figures.before is not None:
        came_before, lost_before = counts.delivered(figures.before)
        if came_before + lost_before:
            before = f", after {share(came_before, came_before + lost_before)} in the time before"
    yield Standout(
        "webhooks",
        f"{grouped(lost)} webhooks of ClickPost did not arrive: {share(came, came + lost)} were "
        f"delivered{before}. The worst day was {day_text(worst['day'])}, with "
        f"{grouped(worst['poll_only'])}. The API brought these returns.",
    )


def _styles(figures: Figures) -> Iterator[Standout]:
    """Reasons of a style that are more frequent than before, or than among all styles."""
    now = counts.styled(figures.now.items, figures.options)
    cells = dict(_by_cell(now))
    totals = dict(now.group_by("style").len().iter_rows())
    before: dict[tuple[str, str], int] = {}
    totals_before: dict[str, int] = {}
    if figures.before is not None:
        earlier = counts.styled(figures.before.items, figures.options)
        before = dict(_by_cell(earlier))
        totals_before = dict(earlier.group_by("style").len().iter_rows())
    all_reasons = dict(now.group_by("reason").len().iter_rows())
    found = []
    for (style, reason), items in cells.items():
        usual = before.get((style, reason), 0)
        if totals_before.get(style, 0) >= 2 * FEW:
            far = _apart(items, totals[style], usual, totals_before[style])
            says, limit = f"{grouped(usual)} times in the time before", FAR
        else:
            expected = totals[style] * all_reasons[reason] / now.height
            far = (items - expected) / sqrt(max(expected, 1))
            says, limit = f"about {grouped(round(expected))} would be usual for a style", 2 * FAR
        if items >= FEW and far > limit:
            found.append((-far, style, reason, items, says))
    described = counts.descriptions(now)
    for _, style, reason, items, says in sorted(found)[:MOST]:
        name = plain_id(style)
        if style in described:
            name += f" ({redacted_name(described[style])})"
        text = f"{name} came back {grouped(items)} times for “{redacted_name(reason)}”; {says}."
        yield Standout("styles", text, (style, reason))


def _by_cell(items: pl.DataFrame) -> Iterator[tuple[tuple[str, str], int]]:
    for style, reason, number in items.group_by("style", "reason").len().iter_rows():
        yield (style, reason), number


def _apart(part: int, whole: int, other_part: int, other_whole: int) -> float:
    """By how many standard deviations one share exceeds another; both are counted, and vary."""
    share_of_both = (part + other_part) / (whole + other_whole)
    spread = sqrt(share_of_both * (1 - share_of_both) * (1 / whole + 1 / other_whole))
    return (part / whole - other_part / other_whole) / spread if spread else 0.0


def _modes(figures: Figures) -> Iterator[Standout]:
    """Modes that are much rarer in the last week than before."""
    frame = figures.now.modes
    if figures.before is not None:
        frame = pl.concat([figures.before.modes, frame])
    last = figures.now.days[-LAST_DAYS:]
    recent = frame.filter(pl.col("day") >= last[0])
    earlier = frame.filter(pl.col("day") < last[0])
    whole, whole_before = (int(one.get_column("returns").sum()) for one in (recent, earlier))
    if not whole or not whole_before:
        return
    by_mode = dict(recent.group_by("refund_mode").agg(pl.col("returns").sum()).iter_rows())
    before = earlier.group_by("refund_mode").agg(pl.col("returns").sum())
    found = []
    for mode, number in before.iter_rows():
        expected = whole * number / whole_before
        far = (by_mode.get(mode, 0) - expected) / sqrt(max(expected, 1))
        if expected >= FEW and far < -FAR and by_mode.get(mode, 0) < expected / 4:
            found.append((far, mode, by_mode.get(mode, 0), expected))
    for _, mode, number, expected in sorted(found)[:MOST]:
        times = "no longer chosen" if not number else f"chosen {grouped(number)} times"
        yield Standout(
            "modes",
            f"The refund mode “{redacted_name(mode)}” was {times} in the last {len(last)} days; "
            f"about {grouped(round(expected))} returns would be usual.",
        )


def _couriers(figures: Figures) -> Iterator[Standout]:
    """Couriers that are late more often than the others together."""
    all_of_them = [
        one
        for one in counts.couriers(figures.now, figures.options.pickup, figures.open_returns)
        if one.name
    ]
    found = []
    for one in all_of_them:
        late, due = (
            sum(getattr(other, name) for other in all_of_them if other != one)
            for name in ("late", "due")
        )
        if not due:
            continue
        expected = one.due * late / due
        far = (one.late - expected) / sqrt(max(expected, 1))
        if one.late >= FEW and far > FAR:
            found.append((-far, one, late / due))
    limit = wait(figures.options.pickup.total_seconds())
    for _, one, others in sorted(found, key=lambda each: each[0])[:MOST]:
        yield Standout(
            "couriers",
            f"{redacted_name(one.name)} picks up late: {share(one.late, one.due)} of its returns "
            f"waited for over {limit} after the AWB, and {percent(others)} of those of the other "
            "couriers.",
            (one.name,),
        )
