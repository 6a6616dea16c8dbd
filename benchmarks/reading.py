"""A year's returns by reason and month, as a reader asks for them, from hourly and daily files.

polars and DuckDB read `return_reasons_hourly` (a file an hour), compared with the same rows in one
file: this shows the cost of so many files; and `return_reasons_daily` (a file a day, in the
report's zone, so its months begin some hours apart), compared with the hourly files. The same
question goes to the rows, `return_items` and `return_items_daily`. Medians of three, after the
files were read once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import polars as pl

from benchmarks.figures import Figure, in_words, timed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GOES = 3
COUNTS = ("returns", "items", "quantity")
HOURLY, DAILY = "return_reasons_hourly", "return_reasons_daily"
ROWS, ROWS_DAILY = "return_items", "return_items_daily"


def measure(lake: Path, folder: Path, say: Callable[[str], None]) -> list[Figure]:
    """The figures of both tables of ``lake``; ``folder`` takes the file of the comparison."""
    folder.mkdir(parents=True)
    one = folder / "one.parquet"
    files = {table: f"{lake / table}/**/*.parquet" for table in (HOURLY, DAILY)}
    pl.read_parquet(files[HOURLY], hive_partitioning=False).write_parquet(one)
    hourly, daily = _size(lake / HOURLY), _size(lake / DAILY)
    figures = [
        _of_size(HOURLY, hourly, "the same rows in one file", (1, one.stat().st_size)),
        _of_size(DAILY, daily, "the hourly ones", hourly),
    ]
    for engine, ask in (("polars", by_month_polars), ("DuckDB", by_month_duckdb)):
        many, _ = timed(lambda ask=ask: ask(files[HOURLY], "hour_start"), GOES)  # type: ignore[misc]
        floor, _ = timed(lambda ask=ask: ask(str(one), "hour_start"), GOES)  # type: ignore[misc]
        days, _ = timed(lambda ask=ask: ask(files[DAILY], "day"), GOES)  # type: ignore[misc]
        figures += [
            _of_time(HOURLY, engine, many, "the same rows in one file", floor),
            _of_time(DAILY, engine, days, "the hourly ones", many),
        ]
    many_rows, day_rows = (f"{lake / table}/**/*.parquet" for table in (ROWS, ROWS_DAILY))
    for engine, of_items in (("polars", items_polars), ("DuckDB", items_duckdb)):
        hours, by_hour = timed(lambda of=of_items: of(many_rows), GOES)  # type: ignore[misc]
        days, by_day = timed(lambda of=of_items: of(day_rows), GOES)  # type: ignore[misc]
        if by_hour != by_day:
            message = f"{engine} reads other rows from {ROWS_DAILY} than from {ROWS}"
            raise RuntimeError(message)
        figures.append(_of_time(ROWS_DAILY, engine, days, f"`{ROWS}`", hours))
    for table, time in ((HOURLY, "hour_start"), (DAILY, "day")):
        if by_month_polars(files[table], time) != by_month_duckdb(files[table], time):
            message = f"polars and DuckDB read different counts from {table}"
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


def by_month_duckdb(files: str, time: str) -> list[tuple[object, ...]]:
    """Month, reason and counts by DuckDB, which must not take `hour=HH` for a column."""
    counts = ", ".join(f"sum({count})::bigint" for count in COUNTS)
    # A time with a zone is only cut into months with DuckDB's icu, which has to be downloaded.
    month = f"strftime(make_timestamp(epoch_us({time})), '%Y-%m')"
    query = (
        f"select {month} as month, return_reason, {counts} "  # noqa: S608 - our own names
        "from read_parquet($files, hive_partitioning = false) group by all order by all"
    )
    with duckdb.connect() as connection:
        return connection.execute(query, {"files": files}).fetchall()


def items_polars(files: str) -> list[tuple[object, ...]]:
    """Month, reason, items and quantity by polars, from rows of items."""
    return (
        pl.scan_parquet(files, hive_partitioning=False)
        .group_by(pl.col("requested_at").dt.truncate("1mo").alias("month"), "return_reason")
        .agg(pl.len().cast(pl.Int64), pl.col("quantity").sum())
        .sort("month", "return_reason")
        .collect()
        .rows()
    )


def items_duckdb(files: str) -> list[tuple[object, ...]]:
    """The same by DuckDB."""
    query = (
        "select date_trunc('month', make_timestamp(epoch_us(requested_at))) as month, "
        "return_reason, count(*), sum(quantity)::bigint "
        "from read_parquet($files, hive_partitioning = false) "
        "group by all order by month, return_reason nulls first"
    )
    with duckdb.connect() as connection:
        return connection.execute(query, {"files": files}).fetchall()


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
