"""The expected tables, counted from the simulator's truth in plain Python, and the differences.

The product's code does not count here: an error in its aggregates must not agree with itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

import polars as pl
from support.world import World

from returns_orchestration.simulator.truth import TrueItem, TrueReturn
from returns_orchestration.window import Window

Counted = dict[tuple[object, str], tuple[int, int, int]]


def true_returns(world: World, windows: list[Window], moment: datetime) -> list[TrueReturn]:
    """The returns that the API shows for adjacent ``windows`` at ``moment``."""
    has_last_end = world.simulator.options.edge_rule == "[]"
    end = windows[-1].end + timedelta(microseconds=has_last_end)
    found = world.simulator.dataset.returns_between(windows[0].start, end, moment)
    return [true for true in found if true.usable]


def wrong_with_tables(
    world: World, windows: list[Window], moment: datetime, *, with_status: bool = True
) -> Iterator[str]:
    """Each table that differs from the simulator's ``windows`` at ``moment``.

    ``with_status`` is off where hours were not polled since statuses changed.
    """
    truth, zone = true_returns(world, windows, moment), world.settings.report_time_zone

    def hour(true: TrueReturn) -> datetime:
        """A return on the last end is in the last hour: the next one was never polled."""
        return min(Window.of(true.requested_at), windows[-1]).start

    def day(true: TrueReturn) -> object:
        return true.requested_at.astimezone(zone).date()

    expected: dict[str, object] = {
        "returns": sorted(_of_return(true, with_status=with_status) for true in truth),
        "return_items": Counter(_of_item(true, item) for true in truth for item in true.items),
        "refund_modes_hourly": _by_mode(truth, hour),
        "return_reasons_hourly": _by_reason(truth, hour),
        "refund_modes_daily": _by_mode(truth, day),
        "return_reasons_daily": _by_reason(truth, day),
    }
    for table, should in expected.items():
        if not any(world.lake.glob(f"{table}/**/*.parquet")):
            yield f"{table} has no file"
        elif (found := _read(table, world.scan(table), with_status=with_status)) != should:
            yield f"{table} is not the truth: {_difference(found, should)}"


def _of_return(true: TrueReturn, *, with_status: bool) -> tuple[object, ...]:
    status = true.status if with_status else ""
    return (true.reference, true.requested_at, status, true.refund_mode or "", true.pieces)


def _of_item(true: TrueReturn, item: TrueItem) -> tuple[object, ...]:
    return (true.reference, item.sku, item.quantity, item.return_reason, item.refund_mode)


def _read(table: str, frame: pl.DataFrame, *, with_status: bool) -> object:
    own = "return_reference_number"
    if table == "returns":
        mode = pl.col("refund_mode").fill_null("")
        status = pl.col("status") if with_status else pl.lit("").alias("status")
        return sorted(frame.select(own, "requested_at", status, mode, "pieces").rows())
    if table == "return_items":
        columns = frame.select(own, "sku", "quantity", "return_reason", "refund_mode")
        return Counter(columns.rows())
    counted: Counted = {}
    for period, group, *numbers in frame.rows():
        assert (period, group) not in counted, (table, period, group)
        counted[period, group] = tuple(numbers)  # type: ignore[assignment]
    return counted


def _by_mode(truth: Iterable[TrueReturn], period: object) -> Counted:
    """Returns by their own mode or that of their items; items by their own or the return's."""
    rows: list[tuple[object, str, int, int, int]] = []
    for true in truth:
        when = period(true)  # type: ignore[operator]
        modes = {item.refund_mode for item in true.items} - {None}
        agreed = next(iter(modes), None) if len(modes) < 2 else "Mixed"
        rows.append((when, true.refund_mode or agreed or "Not given", 1, 0, 0))
        for item in true.items:
            mode = item.refund_mode or true.refund_mode or "Not given"
            rows.append((when, mode, 0, 1, item.quantity or 0))
    return _summed(rows)


def _by_reason(truth: Iterable[TrueReturn], period: object) -> Counted:
    """A return counts once for each reason that one of its items has."""
    rows: list[tuple[object, str, int, int, int]] = []
    for true in truth:
        when = period(true)  # type: ignore[operator]
        reasons = [item.return_reason or "Not given" for item in true.items]
        rows += [(when, reason, 1, 0, 0) for reason in set(reasons)]
        rows += [
            (when, reason, 0, 1, item.quantity or 0)
            for reason, item in zip(reasons, true.items, strict=True)
        ]
    return _summed(rows)


def _summed(rows: Iterable[tuple[object, str, int, int, int]]) -> Counted:
    summed: Counted = {}
    for when, group, *numbers in rows:
        so_far = summed.get((when, group), (0, 0, 0))
        summed[when, group] = tuple(map(sum, zip(so_far, numbers, strict=True)))  # type: ignore[assignment]
    return summed


def _difference(found: object, expected: object) -> str:
    """A few of the rows on either side that the other has not."""
    one, other = (set(_rows(side)) for side in (found, expected))
    too_much, too_little = sorted(map(str, one - other)), sorted(map(str, other - one))
    return f"too much {too_much[:3]}, too little {too_little[:3]}"


def _rows(side: object) -> Iterable[object]:
    return side.items() if isinstance(side, dict) else side  # type: ignore[return-value]
