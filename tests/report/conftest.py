"""Figures made by hand, for the tests of what is counted and shown."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from returns_orchestration import tables
from returns_orchestration.report import figures as rooms
from returns_orchestration.report.figures import Figures, Hours, Options, Period
from returns_orchestration.tables import Table
from returns_orchestration.window import Window

INDIA = ZoneInfo("Asia/Kolkata")
FIRST = date(2026, 11, 9)
NOON = datetime(2026, 11, 9, 6, 30, tzinfo=UTC)
"""Of FIRST, in India."""

OPTIONS = Options(
    days=28,
    style_pattern="^([A-Z]+)-",
    kept_modes=("Credits", "Exchange"),
    stuck_hours=(48, 72, 168),
    start=datetime(2026, 1, 1, tzinfo=UTC),
)
Rows = list[dict[str, Any]]


def frame(table: Table, rows: Rows, columns: tuple[str, ...] = ()) -> pl.DataFrame:
    """Rows of a table in some columns; what is not given is null."""
    wanted = list(columns) or table.schema.names()
    schema = {name: table.schema[name] for name in wanted}
    return pl.DataFrame([{name: row.get(name) for name in wanted} for row in rows], schema=schema)


def returned(number: int = 1, /, day: date = FIRST, **changes: Any) -> Rows:
    """Rows of `returns_daily`, all alike."""
    return [{"day": day, "requested_at": NOON, **changes} for _ in range(number)]


def item(number: int, sku: str, reason: str | None, /, day: date = FIRST, **more: Any) -> Rows:
    """Rows of `return_items_daily`, all alike."""
    return [{"day": day, "sku": sku, "return_reason": reason, **more} for _ in range(number)]


def counted(name: str, day: date, **counts: int) -> Rows:
    """Rows of a daily table of counts: a group, and its returns, items and quantity."""
    return [
        {"day": day, name: group.replace("_", " "), "returns": n, "items": n, "quantity": n}
        for group, n in counts.items()
    ]


def delivered(day: date, both: int, poll_only: int, **more: Any) -> Rows:
    """A row of `webhook_delivery_daily`."""
    return [{"day": day, "both": both, "poll_only": poll_only, "webhook_only": 0, **more}]


def period(
    first: date = FIRST,
    last: date = FIRST,
    *,
    returns: Rows = [],  # noqa: B006 - not changed
    items: Rows = [],  # noqa: B006
    modes: Rows = [],  # noqa: B006
    reasons: Rows = [],  # noqa: B006
    delivery: Rows = [],  # noqa: B006
) -> Period:
    """The rows of some days."""
    return Period(
        first,
        last,
        frame(tables.RETURNS_DAILY, returns, rooms.RETURNS_SHOWN),
        frame(tables.RETURN_ITEMS_DAILY, items, rooms.ITEMS_SHOWN),
        frame(tables.REFUND_MODES.daily, modes),
        frame(tables.RETURN_REASONS.daily, reasons),
        frame(tables.WEBHOOK_DELIVERY_DAILY, delivery),
    )


def hours(day: date = FIRST, lacking: tuple[tuple[int, str], ...] = (), **states: int) -> Hours:
    """The hours of a day, 24 complete ones unless others are given; ``lacking`` are UTC hours."""
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
    named = [(Window(begin + timedelta(hours=hour)), state) for hour, state in lacking]
    return Hours(day, Counter(states or {"complete": 24}), named, 0)


def opened(*rows: dict[str, Any]) -> pl.DataFrame:
    """Rows of `open_returns`."""
    usual = {"requested_at": NOON, "as_of": NOON, "age_h": 0, "stale": False, "state": "placed"}
    return frame(tables.OPEN_RETURNS, [usual | row for row in rows])


def figures(now: Period | None = None, before: Period | None = None, **changes: Any) -> Figures:
    """Figures of one whole day, unless others are given."""
    now = now or period()
    of_days = changes.get("hours") or [hours(day) for day in now.days]
    given = {
        "states": sum((one.states for one in of_days), Counter()),
        "zone": INDIA,
        "as_of": datetime(2026, 11, 24, 3, tzinfo=UTC),
        "options": OPTIONS,
        "hours": [hours(day) for day in now.days],
        "open_returns": opened(),
    }
    return Figures(now=now, before=before, **given | changes)
