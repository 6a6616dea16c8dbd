"""The lake in DuckDB and dbt, made from the declarations of the tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from flow.conftest import FakeApi
from support.records import at, returned

from returns_orchestration import tables
from returns_orchestration.lake import Lake
from returns_orchestration.report import views
from returns_orchestration.window import windows_between


@pytest.fixture
def filled(lake: Lake, folder: Path) -> Path:
    FakeApi(lambda w: [returned(w.key, w.start)]).run(lake, list(windows_between(at(0), at(3))))
    return folder


def there(folder: Path) -> list[str]:
    return [t.name for t in tables.TABLES if list(folder.glob(f"{t.name}/**/*.parquet"))]


def test_there_is_a_view_of_each_table_with_its_columns_and_types(
    filled: Path, tmp_path: Path
) -> None:
    file = tmp_path / "returns.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute(views.sql(str(filled), there(filled)))
    with duckdb.connect(str(file), read_only=True) as connection:
        for table in tables.TABLES:
            found = connection.sql(f"DESCRIBE {table.name}").fetchall()
            assert [(name, kind) for name, kind, *_ in found] == [
                (column.name, views.DUCKDB_TYPES[column.dtype]) for column in table.columns
            ], table.name
        (rows,) = connection.sql("SELECT count(*) FROM returns").fetchall()
        assert rows == (3,)
        (rows,) = connection.sql("SELECT count(*) FROM webhook_events").fetchall()
        assert rows == (0,)  # there are no files of it yet


def test_a_view_shows_what_is_written_later(filled: Path, lake: Lake, tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "v.duckdb")) as connection:
        connection.execute(views.sql(str(filled), there(filled)))
        FakeApi(lambda w: [returned(w.key, w.start)]).run(lake, list(windows_between(at(3), at(5))))
        assert connection.sql("SELECT count(*) FROM returns").fetchall() == [(5,)]


def test_made_twice_the_views_are_the_same(filled: Path, tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "v.duckdb")) as connection:
        for _ in range(2):
            connection.execute(views.sql(str(filled), there(filled)))
        (count,) = connection.sql(
            "SELECT count(*) FROM duckdb_views() WHERE NOT internal"
        ).fetchall()
        assert count == (len(tables.TABLES),)


def test_a_quote_in_the_place_of_the_lake_stays_a_quote(tmp_path: Path) -> None:
    odd = tmp_path / "it's"
    FakeApi(lambda w: [returned(w.key, w.start)]).run(
        Lake(_store(odd)), list(windows_between(at(0), at(1)))
    )
    with duckdb.connect() as connection:
        connection.execute(views.sql(str(odd), there(odd)))
        assert connection.sql("SELECT count(*) FROM returns").fetchall() == [(1,)]


def _store(folder: Path) -> Any:
    from returns_orchestration.lake.store import FolderStore  # noqa: PLC0415

    return FolderStore(folder)


@pytest.mark.parametrize(
    ("lake", "expected"),
    [
        (
            "s3://bucket/lake",
            ("LOAD httpfs;", "TYPE s3,", "'s3://bucket/lake/returns/**/*.parquet'"),
        ),
        ("gs://bucket/lake/", ("LOAD httpfs;", "TYPE gcs,", "'gs://bucket/lake/returns/**")),
        ("az://box/lake", ("LOAD azure;", "TYPE azure,", "'az://box/lake/returns/**")),
    ],
)
def test_an_object_store_is_read_with_credentials_that_are_found(
    lake: str, expected: tuple[str, ...]
) -> None:
    statements = views.sql(lake, ["returns"])
    assert all(text in statements for text in expected)


def test_the_sources_of_dbt_name_each_table_and_column() -> None:
    found = yaml.safe_load(views.dbt_sources("/srv/lake/"))
    (source,) = found["sources"]
    assert source["meta"]["external_location"] == (
        "read_parquet('/srv/lake/{name}/**/*.parquet', hive_partitioning = false, "
        "union_by_name = true)"
    )
    named = {table["name"]: table for table in source["tables"]}
    assert list(named) == [table.name for table in tables.TABLES]
    for table in tables.TABLES:
        columns = named[table.name]["columns"]
        assert [column["name"] for column in columns] == table.schema.names()
        assert [("data_tests" in column) for column in columns] == [
            not column.nullable for column in table.columns
        ]
