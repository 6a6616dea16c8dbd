"""Looking at a whole lake at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from pathlib import Path

    from returns_orchestration.lake import Lake
    from returns_orchestration.lake.store import Store


def bytes_of(store: Store, below: str = "") -> dict[str, bytes | None]:
    """Every file of the lake with its bytes."""
    return {path: store.get(path) for path in store.list(below)}


def rows(folder: Path, table: str) -> pl.DataFrame:
    """All rows of a table, read as a user reads them."""
    return pl.scan_parquet(f"{folder}/{table}/**/*.parquet").collect()


def references(lake: Lake) -> list[str]:
    """The references of all rows of `returns`, repeated ones repeated."""
    found: list[str] = []
    for path in lake.store.list("returns"):
        content = lake.store.get(path)
        assert content is not None
        found += pl.read_parquet(content).get_column("return_reference_number").to_list()
    return sorted(found)
