"""Reading a whole lake at once."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import polars as pl

from returns_orchestration import tables
from returns_orchestration.lake.journal import JOURNAL
from returns_orchestration.lake.poll_log import POLL_LOG
from returns_orchestration.lake.quarantine import QUARANTINE
from returns_orchestration.lake.store import LOCK, TEMPORARY
from returns_orchestration.lake.trial import TRIAL

if TYPE_CHECKING:
    from pathlib import Path

    from returns_orchestration.lake import Lake
    from returns_orchestration.lake.store import Store


OF_ALL_TIME = tuple(f"{table.name}/" for table in tables.OF_ALL_TIME)
"""The folders of tables that are made once a day, whatever else happens."""

Counts = tuple[Counter[tuple[Any, str]], Counter[tuple[Any, str]], Counter[tuple[Any, str]]]


def bytes_of(store: Store, below: str = "") -> dict[str, bytes | None]:
    """Every file of the lake with its bytes.

    Without the log, to which each poll adds, and without what a killed trial of the store left.
    """
    left = (POLL_LOG, f"{JOURNAL}/{TRIAL}")
    paths = (path for path in store.list(below) if not path.startswith(left))
    return {path: store.get(path) for path in paths}


def outside_quarantine(store: Store) -> dict[str, bytes | None]:
    """The same without quarantined files, which nothing reads."""
    files = bytes_of(store)
    return {path: content for path, content in files.items() if not path.startswith(QUARANTINE)}


def files_of(lake: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes.

    Without the log, to which each poll adds, and the empty file that `replace` locks.
    """
    files = (p for p in sorted(lake.rglob("*")) if p.is_file() and POLL_LOG not in p.parts)
    found = {str(path.relative_to(lake)): path.read_bytes() for path in files}
    found.pop(f"{TEMPORARY}/{LOCK}", None)
    return found


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


def placed(store: Store, table: str) -> pl.DataFrame | None:
    """All rows of a table, each with the place of its file; None for no file."""
    frames = [
        pl.read_parquet(content).with_columns(
            place=pl.lit(path.partition("/")[2].rpartition("/")[0])
        )
        for path, content in bytes_of(store, table).items()
        if content is not None
    ]
    return pl.concat(frames) if frames else None


def rows_with_place(store: Store, table: str, *columns: str) -> Counter[tuple[Any, ...]]:
    """How often each row of ``columns``, one of which may be ``place``, occurs in a table."""
    frame = placed(store, table)
    return Counter(() if frame is None else frame.select(columns).rows())


def counted(store: Store, table: str) -> Counts:
    """Returns, items and quantity of an aggregate, by period and mode."""
    frame = placed(store, table)
    counts = Counter[Any](), Counter[Any](), Counter[Any]()
    for period, mode, *numbers in () if frame is None else frame.drop("place").rows():
        for count, number in zip(counts, numbers, strict=True):
            count[period, mode] += number
    return counts


def tables_of(files: dict[str, bytes]) -> dict[str, bytes]:
    """The files of a lake that a reader reads."""
    return {path: content for path, content in files.items() if not path.startswith("_")}
