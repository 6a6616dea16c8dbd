"""The bare loop: httpx, msgspec and polars, as many files as the product's, each of them synced.

Four threads each ask for an hour, decode it, make its seven tables and write them, with a JSON file
about the poll and one about the tables. Then each day gets its seven tables and a JSON file. Each
file is written beside its place, synced and renamed, and its folder is synced. So this is about the
least that a program in Python can do that leaves as many durable files.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import polars as pl

from benchmarks.peers.script import CONNECTIONS, Asked, run

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

Row = dict[str, Any]


class Reply(msgspec.Struct):
    """The records of a reply, each as it was received."""

    result: list[msgspec.Raw]


def poll_all(asked: Asked) -> None:
    """Poll and write all hours, then write their days."""
    days: dict[str, list[tuple[pl.DataFrame, pl.DataFrame]]] = defaultdict(list)
    with httpx.Client(timeout=60) as client, ThreadPoolExecutor(CONNECTIONS) as pool:
        made = pool.map(partial(_hour, asked, client), asked.starts)
        for start, returns_and_items in zip(asked.starts, made, strict=True):
            days[f"date={start:%Y-%m-%d}"].append(returns_and_items)
    for day, hours in days.items():
        returns = pl.concat([of_returns for of_returns, _ in hours], how="diagonal")
        items = pl.concat([of_items for _, of_items in hours], how="diagonal")
        _write(asked.folder, day, "_daily", _tables_of_day(returns, items))
        _put(asked.folder / "journal" / day / "day.json", msgspec.json.encode({"rows": len(items)}))


def _hour(asked: Asked, client: httpx.Client, start: datetime) -> tuple[pl.DataFrame, pl.DataFrame]:
    reply = client.get(asked.url, params=asked.parameters(start)).raise_for_status()
    records = msgspec.json.decode(reply.content, type=Reply).result
    place = f"date={start:%Y-%m-%d}/hour={start:%H}"
    poll = {"records": len(records), "sha256": hashlib.sha256(reply.content).hexdigest()}
    raw = pl.DataFrame({"record": [bytes(record).decode() for record in records]})
    _write(asked.folder, place, "", {"raw_returns": raw})
    _put(asked.folder / "journal" / place / "poll.json", msgspec.json.encode(poll))
    tables = _tables_of_hour([msgspec.json.decode(record) for record in records])
    made = _write(asked.folder, place, "", tables)
    _put(asked.folder / "journal" / place / "made.json", msgspec.json.encode(made))
    return tables["returns"], tables["return_items"]


def _tables_of_hour(records: list[Row]) -> dict[str, pl.DataFrame]:
    returns: list[Row] = []
    items: list[Row] = []
    for record in records:
        flat, of_it = _flat(record)
        returns.append(flat)
        items += of_it
    of_returns, of_items = _frame(returns), _frame(items)
    states = ("return_reference_number", "latest_clickpost_status_code", "latest_timestamp")
    return {
        "returns": of_returns,
        "return_items": of_items,
        "return_states": of_returns.select(pl.col(name) for name in states),
        "rejected_returns": of_returns.head(0),
        "refund_modes_hourly": _counted(of_items, "refund_mode"),
        "return_reasons_hourly": _counted(of_items, "return_reason"),
    }


def _flat(record: Row) -> tuple[Row, list[Row]]:
    """The row of a return, and those of its items."""
    payload = record.pop("webhook_payload", None) or {}
    additional = payload.pop("additional", None) or {}
    latest = additional.pop("latest_status", None) or {}
    items = additional.pop("item_info", None) or []
    flat = {name: value for name, value in record.items() if not isinstance(value, dict)}
    for prefix, fields in (("webhook", payload), ("latest", latest), ("additional", additional)):
        flat |= {f"{prefix}_{name}": v for name, v in fields.items() if not isinstance(v, dict)}
    reference = record.get("return_reference_number")
    return flat, [{"return_reference_number": reference, **item} for item in items]


def _frame(rows: list[Row]) -> pl.DataFrame:
    return pl.DataFrame(rows, infer_schema_length=None, strict=False)


def _counted(items: pl.DataFrame, *by: str) -> pl.DataFrame:
    sums = (
        pl.col("return_reference_number").n_unique().alias("returns"),
        pl.len().alias("items"),
        pl.col("quantity").cast(pl.Int64, strict=False).sum(),
    )
    return items.group_by(by).agg(*sums).sort(by)


def _tables_of_day(returns: pl.DataFrame, items: pl.DataFrame) -> dict[str, pl.DataFrame]:
    return {
        "returns": returns,
        "return_items": items,
        "refund_modes": _counted(items, "refund_mode"),
        "return_reasons": _counted(items, "return_reason"),
        "skus": _counted(items, "sku", "return_reason"),
        "couriers": returns.group_by("cp_id").len(),
        "funnel": returns.group_by("latest_clickpost_status_code").len(),
    }


def _write(folder: Path, place: str, suffix: str, tables: dict[str, pl.DataFrame]) -> Row:
    """Write ``tables``; gives the size of each file."""
    sizes = {}
    for name, frame in tables.items():
        buffer = BytesIO()
        frame.write_parquet(buffer, compression="zstd")
        sizes[name] = len(buffer.getvalue())
        _put(folder / f"{name}{suffix}" / place / "part-0.parquet", buffer.getvalue())
    return sizes


def _put(path: Path, content: bytes) -> None:
    """Write a file that is whole, and stays, or is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


if __name__ == "__main__":
    run(lambda asked: partial(poll_all, asked))
