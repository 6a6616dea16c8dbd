"""A year's returns by reason and month, as a reader asks for them, from hourly and daily files.

polars and DuckDB read `return_reasons_hourly` (a file an hour), compared with the same rows in one
file: this shows the cost of so many files; and `return_reasons_daily` (a file a day, in the
report's zone, so its months begin some hours apart), compared with the hourly files. The same
question goes to the rows of items, and to those of returns, by refund mode: a month of the report's
zone there, which rows of a day have as `day`, and rows of an hour have by their time. Medians of
five, after the files were read once; DuckDB's session is open before.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import duckdb
import polars as pl

from benchmarks.figures import Figure, in_words, timed

if TYPE_CHECKING:
    from pathlib import Path

GOES = 5
COUNTS = ("returns", "items", "quantity")
HOURLY, DAILY = "return_reasons_hourly", "return_reasons_daily"
ZONE = "Asia/Kolkata"
"""The report's zone by default; it has no summer time."""
ZONE_MINUTES = 330
Ask = Callable[..., list[tuple[object, ...]]]

MONTHS: dict[str, tuple[pl.Expr, str]] = {
    "requested_at": (
        pl.col("requested_at").dt.convert_time_zone(ZONE).dt.date(),
        # A time with a zone is only cut into months with DuckDB's icu, which has to be downloaded.
        f"(make_timestamp(epoch_us(requested_at)) + interval {ZONE_MINUTES} minutes)",
    ),
    "day": (pl.col("day"), "day"),
}
"""The date in ``ZONE`` of a row of an hour and of one of a day, in polars and in DuckDB."""

ROWS: dict[tuple[str, str], tuple[str, list[str]]] = {
    ("returns", "returns_daily"): ("refund_mode", []),
    ("return_items", "return_items_daily"): ("return_reason", ["quantity"]),
}
"""Tables of rows, by hour and by day: the column that they are grouped by, and what is added up."""


def measure(lake: Path, folder: Path, say: Callable[[str], None]) -> list[Figure]:
    """The figures of both tables of ``lake``; ``folder`` takes the file of the comparison."""
    folder.mkdir(parents=True)
    one = folder / "one.parquet"
    files = {table: f"{lake / table}/**/*.parquet" for table in (HOURLY, DAILY)}
    pl.read_parquet(files[HOURLY], hive_partitioning=False).write_parquet(one)
    read: dict[str, list[object]] = {}
    hourly, daily = _size(lake / HOURLY), _size(lake / DAILY)
    figures = [
        _of_size(HOURLY, hourly, "the same rows in one file", (1, one.stat().st_size)),
        _of_size(DAILY, daily, "the hourly ones", hourly),
    ]
    with duckdb.connect() as session:
        asks: dict[str, Ask] = {
            "polars": by_month_polars,
            "DuckDB": partial(by_month_duckdb, session),
        }
        for engine, ask in asks.items():
            many, by_hour = timed(partial(ask, files[HOURLY], "hour_start"), GOES)
            floor, _ = timed(partial(ask, str(one), "hour_start"), GOES)
            days, by_day = timed(partial(ask, files[DAILY], "day"), GOES)
            figures += [
                _of_time(HOURLY, engine, many, "the same rows in one file", floor),
                _of_time(DAILY, engine, days, "the hourly ones", many),
            ]
            read.setdefault(HOURLY, []).append(by_hour)
            read.setdefault(DAILY, []).append(by_day)
        of_rows: dict[str, Ask] = {"polars": rows_polars, "DuckDB": partial(rows_duckdb, session)}
        for (table, daily_table), (column, total) in ROWS.items():
            for engine, rows in of_rows.items():
                of_hours, of_days = (
                    timed(partial(rows, f"{lake / name}/**/*.parquet", time, column, total), GOES)
                    for name, time in ((table, "requested_at"), (daily_table, "day"))
                )
                figures.append(_of_time(daily_table, engine, of_days[0], f"`{table}`", of_hours[0]))
                read.setdefault(table, []).extend([of_hours[1], of_days[1]])
    for table, answers in read.items():
        if any(answer != answers[0] for answer in answers):
            message = f"polars and DuckDB, or hours and days, have different rows of {table}"
            raise RuntimeError(message)
    say("read returns by reason and month")
    return figures


def by_month_polars(files: str, time: str) -> list[tuple[object, ...]]:
    """Month, reason and counts by polars."""
    return (
        pl.scan_parquet(files, hive_partitioning=False)
        .group_by(pl.col(time).dt.strftime("%Y-%m").alias("month"), "return_reason")
        .agg(pl.col(COUNTS).sum())
        .sort("month", "return_reason")
        .collect()
        .rows()
    )


def by_month_duckdb(
    session: duckdb.DuckDBPyConnection, files: str, time: str
) -> list[tuple[object, ...]]:
    """Month, reason and counts by DuckDB, which must not take `hour=HH` for a column."""
    counts = ", ".join(f"sum({count})::bigint" for count in COUNTS)
    # A time with a zone is only cut into months with DuckDB's icu, which has to be downloaded.
    month = f"strftime(make_timestamp(epoch_us({time})), '%Y-%m')"
    query = (
        f"select {month} as month, return_reason, {counts} "  # noqa: S608 - our own names
        "from read_parquet($files, hive_partitioning = false) group by all order by all"
    )
    return session.execute(query, {"files": files}).fetchall()


def rows_polars(files: str, time: str, column: str, total: list[str]) -> list[tuple[object, ...]]:
    """Month, value of ``column``, rows and sums of ``total`` by polars, from rows of returns.

    ``time`` is a key of ``MONTHS``.
    """
    return (
        pl.scan_parquet(files, hive_partitioning=False)
        .group_by(MONTHS[time][0].dt.truncate("1mo").alias("month"), column)
        .agg(pl.len().cast(pl.Int64), *(pl.col(name).sum() for name in total))
        .sort("month", column)
        .collect()
        .rows()
    )


def rows_duckdb(
    session: duckdb.DuckDBPyConnection, files: str, time: str, column: str, total: list[str]
) -> list[tuple[object, ...]]:
    """The same by DuckDB."""
    sums = "".join(f", sum({name})::bigint" for name in total)
    query = (
        f"select date_trunc('month', {MONTHS[time][1]})::date as month, "  # noqa: S608
        f"{column}, count(*){sums} from read_parquet($files, hive_partitioning = false) "
        f"group by all order by month, {column} nulls first"
    )
    return session.execute(query, {"files": files}).fetchall()


def _size(folder: Path) -> tuple[int, int]:
    """Files and bytes below ``folder``."""
    sizes = [file.stat().st_size for file in folder.rglob("*.parquet")]
    return len(sizes), sum(sizes)


def _of_size(table: str, size: tuple[int, int], what: str, other: tuple[int, int]) -> Figure:
    shown, beside = (f"{files:,} files, {total / 1e6:.3g} MB" for files, total in (size, other))
    return Figure(f"size of `{table}`", shown, f"{what}: {beside}", size[1] / other[1])


def _of_time(table: str, engine: str, seconds: float, what: str, other: float) -> Figure:
    return Figure(
        f"`{table}` by reason and month, {engine}",
        in_words(seconds),
        f"{what}: {in_words(other)}",
        seconds / other,
    )
