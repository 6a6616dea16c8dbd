"""The eight figures at the top of the page, and the same for a message and for plots."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from returns_orchestration.report import counts, standouts
from returns_orchestration.report.numbers import (
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
    stuck = counts.stuck(figures).height
    came, lost = counts.delivered(now)
    before_webhooks = counts.delivered(before) if before else (0, 0)
    rate_before = before_webhooks[0] / sum(before_webhooks) if sum(before_webhooks) else None
    hours, good = figures.whole_hours
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
        Line("Open returns", grouped(figures.open_returns.height), "of all days"),
        Line(
            "Stuck", grouped(stuck), share(stuck, figures.open_returns.height) + " of the open ones"
        ),
    ]


def numbers(figures: Figures) -> dict[str, int]:
    """The counts among them, for plots."""
    came, lost = counts.delivered(figures.now)
    hours, good = figures.whole_hours
    return {
        "returns": figures.now.returns.height,
        "items": figures.now.items.height,
        "quantity": counts.quantity(figures.now),
        "open": figures.open_returns.height,
        "stuck": counts.stuck(figures).height,
        "hours not complete": hours - good,
        "webhooks delivered": came,
        "webhooks lost": lost,
    }


def title(figures: Figures) -> str:
    """``Returns, 28 Oct to 24 Nov 2026``."""
    return f"Returns, {span_text(figures.now.first, figures.now.last)}"


def digest(figures: Figures) -> list[str]:
    """A few lines of text: two figures in each, and what stands out."""
    texts = [
        f"{one.name}: {one.value}" + (f" ({one.more})" if one.more else "")
        for one in lines(figures)
    ]
    pairs = [". ".join(texts[at : at + 2]) + "." for at in range(0, len(texts), 2)]
    return pairs + [one.text for one in standouts.find(figures)]
