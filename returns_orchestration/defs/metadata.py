"""Metadata of an asset and of its hours, for the UI: schema, figures, a small picture."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

import dagster as dg
import polars as pl

from returns_orchestration import tables
from returns_orchestration.defs.pictures import bars
from returns_orchestration.state.lateness import by_configured_age
from returns_orchestration.state.open_returns import STUCK

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from returns_orchestration.flow.build import Accounting
    from returns_orchestration.flow.outcomes import Polled
    from returns_orchestration.lake import Poll
    from returns_orchestration.tables import Table
    from returns_orchestration.window import Day

    Shown = dict[str, dg.MetadataValue]

LATENESS_ROWS: Final = 50
"""Ages listed on the asset's page; the file has all."""

COUNTED: Final = ("returns", "items", "quantity")
ROWS: Final = {
    tables.RETURNS: "returns",
    tables.RETURNS_DAILY: "returns",
    tables.RETURN_ITEMS: "items",
    tables.RETURN_ITEMS_DAILY: "items",
    tables.REJECTED_RETURNS: "rejected",
}
"""Tables whose rows are counted, and the name of the count."""

OVERLAPPING: Final = (
    tables.RETURN_REASONS.hourly,
    tables.RETURN_REASONS.daily,
    tables.SKUS_DAILY,
)
"""Tables whose rows count one return more than once, so that their returns do not add up."""

TOP_REASON: Final = "share of the top reason"

CHART_BARS: Final = 8
"""Bars in a picture; the less frequent groups share the last one."""


def of_definition(table: Table) -> dict[str, dg.TableSchema]:
    """The table's columns, for the asset's page."""
    return {
        "dagster/column_schema": dg.TableSchema(
            columns=[
                dg.TableColumn(
                    column.name,
                    type=column.type_name,
                    description=column.meaning,
                    constraints=dg.TableColumnConstraints(nullable=column.nullable),
                )
                for column in table.columns
            ]
        )
    }


def of_file(size: int, rows: int, uri: str) -> Shown:
    """Row count, bytes and place of an hour's files."""
    return {
        "dagster/partition_row_count": dg.MetadataValue.int(rows),
        "dagster/uri": dg.MetadataValue.text(uri),
        "bytes": dg.MetadataValue.int(size),
    }


def of_counts(table: Table, frame: pl.DataFrame) -> Shown:
    """Returns, items and quantity, so that Dagster's plots draw these and not file sizes."""
    found: dict[str, int] = {
        name: int(frame.get_column(name).sum())
        for name in COUNTED
        if name in frame.columns and (name != "returns" or table not in OVERLAPPING)
    }
    if table in ROWS:
        found[ROWS[table]] = frame.height
    shown: Shown = {name: dg.MetadataValue.int(number) for name, number in found.items()}
    if table in {tables.RETURN_REASONS.hourly, tables.RETURN_REASONS.daily} and found["items"]:
        top = int(frame.get_column("items").max() or 0)  # type: ignore[arg-type]
        shown[TOP_REASON] = dg.MetadataValue.float(round(top / found["items"], 4))
    return shown


def of_polls(polls: Sequence[Poll]) -> Shown:
    """How many polls brought something, and when."""
    return {
        "kept_polls": dg.MetadataValue.int(len(polls)),
        "first_polled_at": dg.MetadataValue.text(polls[0].polled_at.isoformat()),
        "last_kept_poll_at": dg.MetadataValue.text(polls[-1].polled_at.isoformat()),
    }


POLLED_AT = "polled_at"
"""When the poll of an event was made, ISO 8601; sensors read it again."""


def of_poll(polled: Polled | None) -> Shown:
    """The poll of this run: requests, pages, bytes, seconds; nothing if it asked for nothing."""
    if polled is None:
        return {}
    return {
        POLLED_AT: dg.MetadataValue.text(polled.landed.polled_at.isoformat()),
        "brought_something_new": dg.MetadataValue.bool(polled.landed.kept),
        "requests": dg.MetadataValue.int(polled.poll.requests),
        "pages": dg.MetadataValue.int(polled.poll.pages),
        "reply_bytes": dg.MetadataValue.int(polled.poll.bytes),
        "seconds": dg.MetadataValue.float(round(polled.poll.seconds, 3)),
        "served": dg.MetadataValue.int(polled.landed.served),
        "rejected": dg.MetadataValue.int(polled.landed.rejected),
        "vanished": dg.MetadataValue.int(polled.landed.vanished),
        "result_was_null": dg.MetadataValue.bool(polled.poll.null_result),
    }


def of_accounting(accounting: Accounting | None) -> Shown:
    """Served = kept + duplicate + rejected."""
    if accounting is None:
        return {}
    names = ("served", "kept", "duplicate", "rejected")
    return {name: dg.MetadataValue.int(getattr(accounting, name)) for name in names}


def chart_name(zone: ZoneInfo) -> str:
    """The name under which a day's chart is shown."""
    return f"chart of the day in {zone.key}"


def chart_of_day(frame: pl.DataFrame, by: str, day: Day) -> dg.MetadataValue:
    """The returns of a day by the column ``by``, as an inline picture."""
    summed = frame.select(by, "returns").sort(["returns", by], descending=[True, False])
    return _bars(_top(summed, by).rows(), f"Returns by {by.replace('_', ' ')}, {day.key}")


def chart_of_lateness(frame: pl.DataFrame, ages: Sequence[int]) -> dg.MetadataValue:
    """The late returns by the configured age at which a poll brought them, as an inline picture."""
    all_returns = int(frame.get_column("returns").sum())
    found = by_configured_age(frame, ages)
    rows = [(f"{age} h, {polls} polls", late) for age, (polls, late) in found.items()]
    total = sum(late for _, late in rows)
    title = f"Late returns by the age of the poll: {total} of {all_returns} returns"
    return _bars(rows, title)


def of_table(rows: int, uri: str) -> Shown:
    """Row count and place of a table of all time."""
    return {
        "dagster/row_count": dg.MetadataValue.int(rows),
        "dagster/uri": dg.MetadataValue.text(uri),
    }


def of_lateness(frame: pl.DataFrame, ages: Sequence[int]) -> Shown:
    """The informative rows of `lateness`, and a picture of the late returns."""
    shown = frame.filter((pl.col("late") > 0) | (pl.col("polls") > 1)).head(LATENESS_ROWS)
    lines = ["| poll age (hours) | polls | returns | late |", "|---|---|---|---|"]
    lines += [
        f"| {age} | {polls} | {returns} | {late} |" for age, polls, returns, late in shown.rows()
    ]
    return {
        "late": dg.MetadataValue.int(int(frame.get_column("late").sum())),
        "ages": dg.MetadataValue.md("\n".join(lines)),
        "chart": chart_of_lateness(frame, ages),
    }


def of_open_returns(frame: pl.DataFrame) -> Shown:
    """How many returns are open, stuck and stale."""
    stuck = frame.get_column("stuck").drop_nulls()
    return {
        "open": dg.MetadataValue.int(frame.height),
        "stuck": dg.MetadataValue.int(stuck.len()),
        "stale": dg.MetadataValue.int(int(frame.get_column("stale").sum())),
        **{f"stuck: {rule}": dg.MetadataValue.int(int((stuck == rule).sum())) for rule in STUCK},
    }


def _bars(rows: Sequence[tuple[str, int]], title: str) -> dg.MetadataValue:
    """A horizontal bar chart: a Markdown image that holds its SVG."""
    content = base64.b64encode(bars(rows, title).encode()).decode()
    return dg.MetadataValue.md(f"![{title}](data:image/svg+xml;base64,{content})")


def _top(summed: pl.DataFrame, by: str) -> pl.DataFrame:
    """The most frequent groups, and one for all others where there are more."""
    if summed.height <= CHART_BARS:
        return summed
    top, others = summed.head(CHART_BARS - 1), summed.slice(CHART_BARS - 1)
    name = pl.lit(f"{others.height} others").alias(by)
    return pl.concat([top, others.select(name, pl.col("returns").sum()).head(1)])
