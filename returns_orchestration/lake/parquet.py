"""Frames to Parquet bytes and back; the same frame always gives the same bytes.

Where the bytes go, and whether they are what was written, is for ``partitions`` to know.
"""

from __future__ import annotations

import hashlib
import io
from datetime import datetime
from typing import Final

import msgspec
import polars as pl

from returns_orchestration.errors import LakeDamaged
from returns_orchestration.lake.aside import rebuild_advice

_POLLED_AT: Final = "polled_at"
_SERVED: Final = "served_sha256"


def to_parquet(frame: pl.DataFrame, metadata: dict[str, str] | None = None) -> bytes:
    """The frame as Parquet bytes, zstd; the same frame always gives the same bytes."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd", statistics=True, metadata=metadata)
    return buffer.getvalue()


def poll_to_parquet(frame: pl.DataFrame, polled_at: datetime) -> bytes:
    """The file of a poll, which says in its metadata when that was and what was served.

    A poll without rows has no other place for its time; and a poll alone cannot be made again, so
    it can be told to be whole without its record, too.
    """
    said = {_POLLED_AT: polled_at.isoformat(), _SERVED: _digest(frame, polled_at)}
    return to_parquet(frame, said)


def poll_from_parquet(
    content: bytes, path: str, schema: pl.Schema
) -> tuple[datetime, pl.DataFrame] | None:
    """When a poll was sent and its rows; None if it is not of ``schema`` or not what it says.

    Raises LakeDamaged, naming ``path``, where it is no Parquet.
    """
    frame = from_parquet(content, path)
    metadata = pl.read_parquet_metadata(io.BytesIO(content))
    try:
        polled_at = datetime.fromisoformat(metadata[_POLLED_AT])
    except (KeyError, ValueError):
        return None
    if frame.schema != schema or metadata.get(_SERVED) != _digest(frame, polled_at):
        return None
    return polled_at, frame


def _digest(frame: pl.DataFrame, polled_at: datetime) -> str:
    digest = hashlib.sha256(polled_at.isoformat().encode())
    for column in frame.iter_columns():
        digest.update(msgspec.json.encode(column.to_physical().to_list()))
    return digest.hexdigest()


def from_parquet(content: bytes, path: str) -> pl.DataFrame:
    """The frame; LakeDamaged, naming ``path``, where the content is no Parquet."""
    try:
        return pl.read_parquet(io.BytesIO(content), use_statistics=False)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError):
        message = f"The file {path} is no readable Parquet."
    raise LakeDamaged(message, next_step=rebuild_advice(path))
