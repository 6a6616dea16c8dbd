"""The figures added up: one function for each table of the page, of plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import polars as pl

from returns_orchestration import tables
from returns_orchestration.stages.aggregates import NOT_GIVEN, nearest
from returns_orchestration.stages.days import STEPS as ALL_STEPS
from returns_orchestration.stages.vocabulary import spelled_mode
from returns_orchestration.state.open_returns import BEFORE_PICKUP

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import date

    from returns_orchestration.report.figures import Figures, Options, Period

REFERENCE: Final = tables.REFERENCE.name
OTHERS: Final = "All others"
STYLES_SHOWN: Final = 15
REASONS_SHOWN: Final = 7
MODES_SHOWN: Final = 6
AGES: Final = ((1, "under 1 day"), (3, "1 to 3 days"), (7, "3 to 7"), (14, "7 to 14"),
               (30, "14 to 30"), (None, "over 30"))  # fmt: skip
"""Upper ends in days of the ages of open returns, and their names."""

STUCK_SHOWN: Final = 15
STEPS: Final = ALL_STEPS[1:]
"""Those that a return takes after it is placed."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Items of one reason, now and before; ``before`` is None where nothing is known of it."""

    name: str
    items: int
    share: float
    share_before: float | None


def reasons(figures: Figures) -> list[Reason]:
    """By items, most first."""
    now = _summed(figures.now.reasons, "return_reason", "items")
    before = _summed(figures.before.reasons, "return_reason", "items") if figures.before else None
    all_now, all_before = sum(now.values()), sum(before.values()) if before else 0
    return [
        Reason(
            name,
            items,
            items / all_now,
            before.get(name, 0) / all_before if before is not None and all_before else None,
        )
        for name, items in _most_first(now)
        if all_now
    ]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Items by style and reason; each row has its style's name and all its items."""

    reasons: list[str]
    rows: list[tuple[str, str, int, list[int]]]


def styled(items: pl.DataFrame, options: Options) -> pl.DataFrame:
    """``items`` with the columns ``style`` and ``reason``, never null."""
    style = sku = pl.col("sku")
    if options.style_pattern:
        found = sku.str.extract(options.style_pattern, 1)
        style = pl.when(found != "").then(found).otherwise(sku)
    return items.with_columns(
        style=style.fill_null(NOT_GIVEN), reason=pl.col("return_reason").fill_null(NOT_GIVEN)
    )


def matrix(figures: Figures, flagged: Collection[str] = ()) -> Matrix:
    """The styles with most items, by the most frequent reasons and those that are ``flagged``."""
    items = styled(figures.now.items, figures.options)
    names = [name for name, _ in _most_first(_counted(items, "reason"))]
    shown = [name for at, name in enumerate(names) if at < REASONS_SHOWN or name in flagged]
    rest = [name for name in names if name not in shown]
    by_style = _most_first(_counted(items, "style"))[:STYLES_SHOWN]
    cells = _counted_by_two(items, "style", "reason")
    described = descriptions(items)
    rows = [
        (
            style,
            described.get(style, ""),
            total,
            [cells.get((style, reason), 0) for reason in shown]
            + ([sum(cells.get((style, reason), 0) for reason in rest)] if rest else []),
        )
        for style, total in by_style
    ]
    return Matrix([*shown, *([OTHERS] if rest else [])], rows)


def descriptions(items: pl.DataFrame) -> dict[str, str]:
    """The most frequent description of each style; the first of the alphabet where two tie."""
    found = (
        items.drop_nulls("description")
        .group_by("style", "description")
        .len()
        .sort(["style", "len", "description"], descending=[False, True, False])
        .group_by("style", maintain_order=True)
        .first()
    )
    return dict(found.select("style", "description").iter_rows())


def weeks(days: Sequence[date]) -> list[tuple[date, date]]:
    """Weeks of seven days that end with the last of ``days``; the first may be shorter."""
    found: list[tuple[date, date]] = []
    last = days[-1]
    while last >= days[0]:
        first = max(days[0], last - timedelta(days=6))
        found.insert(0, (first, last))
        last = first - timedelta(days=1)
    return found


def modes(period: Period) -> tuple[list[str], list[tuple[date, date, int, list[int]]]]:
    """Names of refund modes, and for each week its returns and those of each mode."""
    names = [name for name, _ in _most_first(_summed(period.modes, "refund_mode", "returns"))]
    shown, rest = names[:MODES_SHOWN], names[MODES_SHOWN:]
    rows = []
    for first, last in weeks(period.days):
        of_week = period.modes.filter(pl.col("day").is_between(first, last))
        by_mode = _summed(of_week, "refund_mode", "returns")
        counts = [by_mode.get(name, 0) for name in shown]
        counts += [sum(by_mode.get(name, 0) for name in rest)] if rest else []
        rows.append((first, last, sum(counts), counts))
    return [*shown, *([OTHERS] if rest else [])], rows


def kept_share(period: Period, options: Options) -> float | None:
    """The share of returns whose refund mode keeps the money with the brand."""
    by_mode = _summed(period.modes, "refund_mode", "returns")
    total, kept = sum(by_mode.values()), {spelled_mode(mode) for mode in options.kept_modes}
    return sum(by_mode.get(mode, 0) for mode in kept) / total if total else None


@dataclass(frozen=True, slots=True)
class Courier:
    """The returns of one courier.

    ``awb_s`` and ``pickup_s`` are the half and the nine tenths of the waits for an AWB, after the
    request, and for a pickup, after the AWB, in seconds. ``late`` of ``due`` returns were not
    picked up in time.
    """

    name: str
    returns: int
    with_awb: int
    awb_s: tuple[float | None, float | None]
    pickup_s: tuple[float | None, float | None]
    late: int
    due: int
    received: int


def couriers(
    period: Period, pickup: timedelta, opened: pl.DataFrame | None = None
) -> list[Courier]:
    """By returns, most first; those without a courier last.

    ``opened`` are the open returns, with their last looks; without it a look counts only where it
    brought something.
    """
    looks = (tables.OPEN_RETURNS.empty() if opened is None else opened).select(
        REFERENCE, "last_looked_at"
    )
    looked = pl.max_horizontal("last_polled_at", "last_looked_at")
    rows = period.returns.join(looks, on=REFERENCE, how="left").with_columns(
        to_awb=(pl.col("awb_at") - pl.col("requested_at")).dt.total_seconds(),
        to_pickup=(pl.col("picked_up_at") - pl.col("awb_at")).dt.total_seconds(),
        looked=(looked - pl.col("awb_at")).dt.total_seconds(),
    )
    limit = pickup.total_seconds()
    waits = pl.col("picked_up_at").is_null() & pl.col("state").is_in(BEFORE_PICKUP)
    # Due is a return that still waits when it was looked at after the limit, or was picked up.
    is_late = (pl.col("to_pickup") > limit) | (waits & (pl.col("looked") > limit))
    is_due = is_late | (pl.col("to_pickup") <= limit)
    found: list[Courier] = []
    for (name,), of_one in rows.group_by("cp_name"):
        found.append(
            Courier(
                "" if name is None else str(name),
                of_one.height,
                int(of_one.get_column("awb").is_not_null().sum()),
                _waits(of_one.get_column("to_awb")),
                _waits(of_one.get_column("to_pickup")),
                int(of_one.select(is_late.fill_null(value=False).sum()).item()),
                int(of_one.select(is_due.fill_null(value=False).sum()).item()),
                int((of_one.get_column("state") == "received").sum()),
            )
        )
    return sorted(found, key=lambda one: (not one.name, -one.returns, one.name))


def awb_waits(period: Period) -> tuple[float | None, float | None]:
    """Half and nine tenths of the waits for an AWB, in seconds."""
    frame = period.returns
    return _waits((frame["awb_at"] - frame["requested_at"]).dt.total_seconds())


def _waits(seconds: pl.Series) -> tuple[float | None, float | None]:
    """Negative ones, of clocks that disagree, are left out."""
    some = sorted(seconds.drop_nulls().filter(seconds.drop_nulls() >= 0))
    return nearest(some, 50), nearest(some, 90)


def funnel(period: Period) -> list[tuple[date, date, int, list[int], list[float | None]]]:
    """For each week its returns, how many reached each of STEPS, and half the wait for it."""
    frame = period.returns
    at = {
        "approved": pl.col("approved_at"),
        "courier assigned": pl.col("awb_at"),
        "picked up": pl.col("picked_up_at"),
        "received": pl.col("received_at"),
    }
    reached = [pl.lit(value=False)] * (len(STEPS) + 1)
    # A later step implies the earlier ones, which no look may have shown.
    for place in range(len(STEPS) - 1, -1, -1):
        step = STEPS[place]
        here = at[step].is_not_null() | (pl.col("state") == step)
        if step == "picked up":
            here |= pl.col("state").is_in(["on its way", "exchange"])
        reached[place] = reached[place + 1] | here.fill_null(value=False)
    rows = []
    for first, last in weeks(period.days):
        of_week = frame.filter(pl.col("day").is_between(first, last))
        counts = [int(of_week.select(one.sum()).item()) for one in reached[:-1]]
        halves = [
            _waits(
                of_week.select((at[step] - pl.col("requested_at")).dt.total_seconds()).to_series()
            )[0]
            for step in STEPS
        ]
        rows.append((first, last, of_week.height, counts, halves))
    return rows


def open_by_age(opened: pl.DataFrame) -> list[tuple[str, list[int]]]:
    """For each state the open returns by AGES, the states with most first."""
    by_state: dict[str, list[int]] = {}
    for state, hours in opened.select(pl.col("state").fill_null(NOT_GIVEN), "age_h").iter_rows():
        row = by_state.setdefault(state, [0] * len(AGES))
        place = next(i for i, (days, _) in enumerate(AGES) if days is None or hours < days * 24)
        row[place] += 1
    return sorted(by_state.items(), key=lambda one: (-sum(one[1]), one[0]))


def stuck(opened: pl.DataFrame) -> pl.DataFrame:
    """The open returns that are stuck, oldest first."""
    return opened.drop_nulls("stuck")


def by_weekday(period: Period, zone: str) -> list[list[int]]:
    """Returns by weekday, Monday first, and hour of the day."""
    grid = [[0] * 24 for _ in range(7)]
    local = period.returns.select(at=pl.col("requested_at").dt.convert_time_zone(zone))
    counted = local.group_by(day=pl.col("at").dt.weekday() - 1, hour=pl.col("at").dt.hour()).len()
    for day, hour, number in counted.iter_rows():
        grid[day][hour] = number
    return grid


def returns_by_day(period: Period) -> list[int]:
    """Returns of each day."""
    by_day = _counted(period.returns, "day")
    return [by_day.get(day, 0) for day in period.days]


def quantity(period: Period) -> int:
    """All units of items, as the daily tables sum them."""
    return int(period.reasons.get_column("quantity").sum())


def delivered(period: Period) -> tuple[int, int]:
    """Webhooks that came, and those that were lost."""
    frame = period.delivery
    return int(frame.get_column("both").sum()), int(frame.get_column("poll_only").sum())


def _summed(frame: pl.DataFrame, by: str, what: str) -> dict[str, int]:
    return dict(frame.group_by(by).agg(pl.col(what).sum()).iter_rows())


def _counted(frame: pl.DataFrame, by: str) -> dict[object, int]:
    return dict(frame.group_by(by).len().iter_rows())


def _counted_by_two(frame: pl.DataFrame, one: str, other: str) -> dict[tuple[str, str], int]:
    return {(a, b): number for a, b, number in frame.group_by(one, other).len().iter_rows()}


def _most_first(counts: dict[str, int] | dict[object, int]) -> list[tuple[str, int]]:
    found: Iterable[tuple[str, int]] = counts.items()  # type: ignore[assignment]
    return sorted(found, key=lambda one: (-one[1], one[0]))
