"""The eight figures at the top of the page, and the same for a message and for plots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from returns_orchestration.report import counts, standouts
from returns_orchestration.report.numbers import (
    NONE,
    change,
    grouped,
    percent,
    points,
    share,
    span_text,
    wait,
)

if TYPE_CHECKING:
    from returns_orchestration.report.figures import Figures


MOST_STANDOUTS: Final = 4
"""In a message of nine lines."""


class Line(NamedTuple):
    """One figure: its name, its value, and how it was before."""

    name: str
    value: str
    more: str


def lines(figures: Figures) -> list[Line]:
    """The eight figures."""
    now, before, options = figures.now, figures.before, figures.options
    items, items_before = now.items.height, before.items.height if before else None
    kept = counts.kept_share(now, options)
    kept_before = counts.kept_share(before, options) if before else None
    half, _ = counts.awb_waits(now)
    has_awb = share(int(now.returns["awb"].is_not_null().sum()), now.returns.height)
    half_before = counts.awb_waits(before)[0] if before else None
    opened = figures.open_returns
    stuck = 0 if opened is None else counts.stuck(opened).height
    came, lost = counts.delivered(now)
    before_webhooks = counts.delivered(before) if before else (0, 0)
    rate_before = before_webhooks[0] / sum(before_webhooks) if sum(before_webhooks) else None
    hours, good, _ = figures.whole_hours
    returns, returns_before = now.returns.height, before.returns.height if before else None
    return [
        Line("Hours complete", share(good, hours), f"{grouped(good)} of {grouped(hours)}"),
        Line(
            "Webhooks delivered",
            share(came, came + lost),
            points(came / (came + lost), rate_before) if came + lost else "no webhooks",
        ),
        Line("Returns", grouped(returns), change(returns, returns_before)),
        Line("Items", grouped(items), change(items, items_before)),
        Line("Kept as credit or exchange", percent(kept), points(kept, kept_before)),
        Line(
            "From request to AWB",
            wait(half),
            f"half take less; {has_awb} have one"
            if half_before is None
            else f"half take less, before {wait(half_before)}; {has_awb} have one",
        ),
        Line("Open returns", NONE if opened is None else grouped(opened.height), "of all days"),
        Line(
            "Stuck",
            NONE if opened is None else grouped(stuck),
            "" if opened is None else f"{share(stuck, opened.height)} of the open ones",
        ),
    ]


def numbers(figures: Figures) -> dict[str, int]:
    """The counts among them, for plots."""
    came, lost = counts.delivered(figures.now)
    hours, good, waived = figures.whole_hours
    opened, of_open = figures.open_returns, {}
    if opened is not None:
        of_open = {"open": opened.height, "stuck": counts.stuck(opened).height}
    return {
        "returns": figures.now.returns.height,
        "items": figures.now.items.height,
        "quantity": counts.quantity(figures.now),
        **of_open,
        "hours not complete": hours - good - waived,
        "webhooks delivered": came,
        "webhooks lost": lost,
    }


def title(figures: Figures) -> str:
    """``Returns, 28 Oct to 24 Nov 2026``."""
    return f"Returns, {span_text(figures.now.first, figures.now.last)}"


def digest(figures: Figures, place: str) -> list[str]:
    """At most nine lines of text: two figures in each, where the report is, what stands out."""
    texts = [
        f"{one.name}: {one.value}" + (f" ({one.more})" if one.more else "")
        for one in lines(figures)
    ]
    pairs = [". ".join(texts[at : at + 2]) + "." for at in range(0, len(texts), 2)]
    found = [one.text for one in standouts.find(figures)]
    shown = found if len(found) <= MOST_STANDOUTS else found[: MOST_STANDOUTS - 1]
    more = len(found) - len(shown)
    rest = [f"And {more} more in the report."] if more else []
    return [*pairs, f"The report: {place}", *shown, *rest]
