"""Views of the lake for DuckDB, and its tables as sources of dbt: both made from ``tables``.

The data stay where they are: a view reads the files of the lake each time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import yaml  # type: ignore[import-untyped]

from returns_orchestration import tables

if TYPE_CHECKING:
    from collections.abc import Collection

    import polars as pl

    from returns_orchestration.tables import Column, Table

DUCKDB_TYPES: Final[dict[pl.DataType, str]] = {
    tables.TIME: "TIMESTAMP WITH TIME ZONE",
    tables.TEXT: "VARCHAR",
    tables.NUMBER: "BIGINT",
    tables.RATE: "DOUBLE",
    tables.FLAG: "BOOLEAN",
    tables.DAY: "DATE",
    tables.TEXTS: "VARCHAR[]",
}
SOURCE: Final = "returns"
"""The name of the source in dbt, `{{ source('returns', 'returns_daily') }}`; that of an account is
`returns_ACCOUNT`."""


def files_of(lake: str, table: str) -> str:
    """The files of a table, as DuckDB reads them."""
    place = f"{lake.rstrip('/')}/{table}/**/*.parquet".replace("'", "''")
    return f"read_parquet('{place}', hive_partitioning = false, union_by_name = true)"


def sql(lake: str, there: Collection[str]) -> str:
    """Statements that make a view for each table; of those not ``there`` yet it is empty.

    An object store needs DuckDB's extension httpfs, and credentials that it finds by itself.
    """
    lines = ["-- Views of the lake; made by `returns-orchestration views`."]
    if "://" in lake:
        kind = {"s3": "s3", "gs": "gcs", "az": "azure"}[lake.partition("://")[0]]
        extension = "azure" if kind == "azure" else "httpfs"
        lines += [
            f"INSTALL {extension};",
            f"LOAD {extension};",
            f"CREATE OR REPLACE SECRET lake (TYPE {kind}, PROVIDER credential_chain);",
        ]
    for table in tables.TABLES:
        body = f"SELECT * FROM {files_of(lake, table.name)}"  # noqa: S608 - names of ours
        if table.name not in there:
            body = f"SELECT {', '.join(map(_empty, table.columns))} WHERE false"
        lines.append(f"CREATE OR REPLACE VIEW {table.name} AS {body};")
        lines.append(f"COMMENT ON VIEW {table.name} IS {_text(f'One row per {table.grain}.')};")
    return "\n".join(lines) + "\n"


def dbt_sources(lake: str, account: str = "") -> str:
    """The tables of ``account`` as a ``sources.yml`` of dbt, which dbt-duckdb reads in place."""
    source = {
        "name": f"{SOURCE}_{account}" if account else SOURCE,
        "description": "Returns from ClickPost, as returns-orchestration keeps them.",
        "meta": {"external_location": files_of(lake, "{name}")},
        "tables": [_dbt_table(table) for table in tables.TABLES],
    }
    text: str = yaml.safe_dump(
        {"version": 2, "sources": [source]}, sort_keys=False, width=200, allow_unicode=True
    )
    return "# Made by `returns-orchestration views`.\n" + text


def _dbt_table(table: Table) -> dict[str, object]:
    return {
        "name": table.name,
        "description": f"One row per {table.grain}.",
        "columns": [_dbt_column(column) for column in table.columns],
    }


def _dbt_column(column: Column) -> dict[str, object]:
    found: dict[str, object] = {
        "name": column.name,
        "description": column.meaning,
        "data_type": DUCKDB_TYPES[column.dtype],
    }
    return found if column.nullable else found | {"data_tests": ["not_null"]}


def _empty(column: Column) -> str:
    return f'CAST(NULL AS {DUCKDB_TYPES[column.dtype]}) AS "{column.name}"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
