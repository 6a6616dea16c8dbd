"""A lake as other engines read it: by its folder and by a glob, the same rows as with polars."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from support import webhooks
from support.records import returned
from support.world import World, hours

from returns_orchestration import tables
from returns_orchestration.flow.outcomes import Failed, Stopped
from returns_orchestration.lake import Lake
from returns_orchestration.window import Window

Rows = Counter[tuple[Any, ...]]
READ = [table for table in tables.TABLES if table is not tables.ALERTS]
"""There are no alerts here; their files have the same form as the others."""


@pytest.fixture(scope="module")
def lake(new_world_of_module: Callable[..., World]) -> World:
    """Eight hours around the end of a day in India, one of them without returns."""
    windows = hours("2026-11-07T15:00", "2026-11-07T23:00")
    world = new_world_of_module(
        {"RETURNS_START": windows[0].start.isoformat()}, returns_per_hour=4, unusable=0.2
    )
    pipeline = world.pipeline()
    outcomes = list(pipeline.run(windows))
    assert not [outcome for outcome in outcomes if isinstance(outcome, Failed | Stopped)]
    pipeline.all_time.build()
    put_webhooks(pipeline.lake, windows[1])
    return world


def put_webhooks(lake: Lake, window: Window) -> None:
    """Three returns that only webhooks tell of, one that is no return, and what becomes of them."""
    placed = [window.start + timedelta(minutes=minute) for minute in (5, 10, 15)]
    sent = [
        (at + timedelta(minutes=1), webhooks.webhook(returned(f"W{at.minute}", at)))
        for at in placed
    ]
    webhooks.received(lake, *sent, (window.start, b'{"order_id": 7'))
    assert not webhooks.pipeline(lake, window.start + timedelta(hours=48)).run().failed


def plain(value: Any) -> Any:
    """A value of any engine as Python's own, times in UTC."""
    if isinstance(value, pd.Timestamp):
        value = value.to_pydatetime()
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return tuple(map(plain, value))
    return None if value is None or value is pd.NaT or value != value else value  # noqa: PLR0124 - NaN


def rows_of(table: tables.Table, records: list[dict[str, Any]]) -> Rows:
    return Counter(tuple(plain(row[name]) for name in table.schema) for row in records)


def polars_folder(folder: str, _: tables.Table) -> list[dict[str, Any]]:
    return pl.scan_parquet(folder).collect().to_dicts()


def polars_glob(folder: str, _: tables.Table) -> list[dict[str, Any]]:
    return pl.scan_parquet(f"{folder}/**/*.parquet").collect().to_dicts()


def pandas_folder(folder: str, _: tables.Table) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pd.read_parquet(folder, dtype_backend="pyarrow").to_dict(
        "records"
    )
    return found


def pyarrow_folder(folder: str, _: tables.Table) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(folder).to_pylist()
    return found


def pyarrow_dataset(folder: str, _: tables.Table) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pads.dataset(folder, partitioning="hive").to_table().to_pylist()
    return found


def duckdb_glob(folder: str, table: tables.Table) -> list[dict[str, Any]]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        names = ", ".join(f'"{name}"' for name in table.schema)
        found = connection.sql(f"SELECT {names} FROM '{folder}/**/*.parquet'")  # noqa: S608
        return found.pl().to_dicts()


READERS: dict[str, Callable[[str, tables.Table], list[dict[str, Any]]]] = {
    "polars, folder": polars_folder,
    "polars, glob": polars_glob,
    "pandas, folder": pandas_folder,
    "pyarrow, folder": pyarrow_folder,
    "pyarrow, dataset": pyarrow_dataset,
    "DuckDB, glob": duckdb_glob,
}


def expected(lake: World, table: tables.Table) -> Rows:
    """Every row of every file, each read alone."""
    found = Rows()
    for file in sorted((lake.lake / table.name).rglob("*.parquet")):
        frame = pl.read_parquet(file, hive_partitioning=False)
        assert frame.schema == table.schema, file
        found += rows_of(table, frame.to_dicts())
    assert found or table is tables.REJECTED_RETURNS
    return found


@pytest.mark.parametrize("table", READ, ids=lambda table: table.name)
@pytest.mark.parametrize("reader", READERS)
def test_every_engine_reads_the_rows_as_they_are(
    reader: str, table: tables.Table, lake: World
) -> None:
    found = READERS[reader](str(lake.lake / table.name), table)
    assert rows_of(table, found) == expected(lake, table)


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    """Spark 3 or later on this machine; it needs Java."""
    sql = pytest.importorskip("pyspark.sql", reason="pyspark is not installed")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java, which is not installed")
    session = (
        sql.SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )
    yield session
    session.stop()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("how", ["folder", "glob"])
@pytest.mark.parametrize("table", READ, ids=lambda table: table.name)
def test_spark_reads_the_rows_as_they_are(
    table: tables.Table, how: str, lake: World, spark: Any
) -> None:
    """It does not support ``**``, so the glob names each level."""
    folder = lake.lake / table.name
    levels = len(next(folder.rglob("*.parquet")).relative_to(folder).parts)
    path = str(folder) if how == "folder" else str(folder.joinpath(*["*"] * levels))
    frame = spark.read.parquet(path).select(*table.schema)
    found = [row.asDict() for row in frame.collect()]
    assert rows_of(table, found) == expected(lake, table)
