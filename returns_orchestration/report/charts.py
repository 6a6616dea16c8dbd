"""Charts of the page as SVG, drawn by vl-convert without a browser.

Colours are those of the page's style, as variables, so that a chart follows light and dark. Each
chart is drawn twice, wide and narrow: a wide one scaled down to a telephone could not be read.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Any, Final

from returns_orchestration.report.numbers import day_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

WIDE, NARROW = 900, 330
SERIES: Final = tuple(f"var(--series-{number})" for number in range(1, 8))
HATCHED: Final = "url(#hatched)"
MONDAY: Final = 0

_ARIA: Final = re.compile(r' (?:aria-[a-z]+|role|aria-roledescription)="[^"]*"')
_CONFIG: Final[dict[str, Any]] = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--ink)",
        "titleColor": "var(--ink)",
        "gridColor": "var(--line)",
        "domainColor": "var(--line)",
        "tickColor": "var(--line)",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
    },
    "legend": {"labelColor": "var(--ink)", "labelFontSize": 12, "symbolType": "square"},
}


def returns_by_day(
    days: Sequence[date], numbers: Sequence[int], means: Sequence[float | None], partial: set[date]
) -> str:
    """Bars of returns a day, hatched where a day is not whole, and the mean of seven days."""
    values = [
        {"day": day.isoformat(), "returns": number, "mean": mean, "partial": day in partial}
        for day, number, mean in zip(days, numbers, means, strict=True)
    ]
    bar = {
        "mark": {"type": "bar"},
        "encoding": {
            "y": {"field": "returns", "type": "quantitative", "title": "returns"},
            "fill": {
                "condition": {"test": "datum.partial", "value": HATCHED},
                "value": SERIES[0],
            },
        },
    }
    line = {
        "mark": {"type": "line", "stroke": "var(--ink)", "strokeWidth": 2},
        "encoding": {"y": {"field": "mean", "type": "quantitative", "title": "returns"}},
    }
    whole = partial.isdisjoint(days)
    label = "Returns of each day" + ("" if whole else "; hatched days are not complete")
    return _drawn(days, values, [bar, line], label)


def shares_by_week(weeks: Sequence[tuple[date, Sequence[int]]], names: Sequence[str]) -> str:
    """Bars of weeks, each by its last day, divided into the shares of ``names``."""
    values = [
        {"week": day_text(last), "name": name, "place": place, "count": of_week[place]}
        for last, of_week in weeks
        for place, name in enumerate(names)
    ]
    spec = {
        "data": {"values": values},
        "mark": {"type": "bar"},
        "encoding": {
            "y": {
                "field": "week",
                "type": "ordinal",
                "sort": None,
                "title": "week to",
            },
            "x": {
                "field": "count",
                "type": "quantitative",
                "stack": "normalize",
                "title": None,
                "axis": {"format": ".0%"},
            },
            "order": {"field": "place"},
            "fill": {
                "field": "name",
                "type": "nominal",
                "sort": None,
                "scale": {"domain": list(names), "range": list(SERIES[: len(names)])},
                "legend": {"orient": "bottom", "title": None, "columns": 0},
            },
        },
    }
    return _both(spec, 26 * len(weeks), "Share of each refund mode in each week")


def delivery_by_day(days: Sequence[date], delivered: Sequence[int], lost: Sequence[int]) -> str:
    """Webhooks that came, and those that were lost, of each day."""
    values = [
        {"day": day.isoformat(), "what": what, "place": place, "count": number}
        for place, (what, numbers) in enumerate((("lost", lost), ("delivered", delivered)))
        for day, number in zip(days, numbers, strict=True)
    ]
    bar = {
        "mark": {"type": "bar"},
        "encoding": {
            "y": {"field": "count", "type": "quantitative", "title": "webhooks"},
            "order": {"field": "place"},
            "fill": {
                "field": "what",
                "type": "nominal",
                "sort": None,
                "scale": {"domain": ["delivered", "lost"], "range": [SERIES[0], "var(--bad)"]},
                "legend": {"orient": "bottom", "title": None},
            },
        },
    }
    return _drawn(days, values, [bar], "Webhooks of each day, delivered and lost")


def _drawn(
    days: Sequence[date], values: list[dict[str, Any]], layers: list[dict[str, Any]], label: str
) -> str:
    """Layers over days, of which Mondays are named."""
    mondays = [day for day in days if day.weekday() == MONDAY] or list(days[:1])

    def spec(named: Sequence[date]) -> dict[str, Any]:
        texts = {day.isoformat(): day_text(day) for day in named}
        cases = "".join(f"datum.value == '{key}' ? '{text}' : " for key, text in texts.items())
        axis = {"values": list(texts), "labelAngle": 0, "labelExpr": f"{cases}''"}
        x = {"field": "day", "type": "ordinal", "title": None, "axis": axis}
        return {"data": {"values": values}, "encoding": {"x": x}, "layer": layers}

    return _figure(
        _svg(spec(mondays), WIDE, 180, label), _svg(spec(mondays[::2]), NARROW, 150, label)
    )


def _both(spec: dict[str, Any], height: int, label: str) -> str:
    narrow = dict(spec, encoding=dict(spec["encoding"]))
    fill = spec["encoding"]["fill"]
    narrow["encoding"]["fill"] = dict(fill, legend=dict(fill["legend"], columns=2))
    return _figure(_svg(spec, WIDE, height, label), _svg(narrow, NARROW, height, label))


def _figure(wide: str, narrow: str) -> str:
    return f'<div class="wide">{wide}</div><div class="narrow">{narrow}</div>'


def _svg(spec: dict[str, Any], width: int, height: int, label: str) -> str:
    """An image with a name: what it shows is in the table below it."""
    whole = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "config": _CONFIG,
        "width": width,
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        **spec,
    }
    import vl_convert  # noqa: PLC0415 - it brings an interpreter, and a run draws nothing

    drawn = _ARIA.sub("", vl_convert.vegalite_to_svg(whole, format_locale="en-IN"))
    return drawn.replace("<svg ", f'<svg role="img" aria-label="{escape(label)}" ', 1)
