"""Frames to Parquet bytes and back; the same frame always gives the same bytes.

Where the bytes go, and whether they are what was written, is for ``partitions`` to know.
"""

from __future__ import annotations

import io
from datetime import datetime
from typing import Final

import polars as pl

from returns_orchestration.errors import LakeDamaged

_POLLED_AT: Final = "polled_at"


def to_parquet(frame: pl.DataFrame, polled_at: datetime | None = None) -> bytes:
    """The frame as Parquet bytes, zstd; the same frame always gives the same bytes.

    ``polled_at`` goes into the file's own metadata, since a poll without rows has no other place.
    """
    metadata = None if polled_at is None else {_POLLED_AT: polled_at.isoformat()}
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd", statistics=True, metadata=metadata)
    return buffer.getvalue()


def polled_at_of(content: bytes) -> datetime | None:
    """When the poll was sent, as the file of a poll says of itself; None for any other file."""
    said = pl.read_parquet_metadata(io.BytesIO(content)).get(_POLLED_AT)
    return None if said is None else datetime.fromisoformat(said)


def from_parquet(content: bytes, path: str) -> pl.DataFrame:
    """The frame; LakeDamaged, naming ``path``, where the content is no Parquet."""
    try:
        return pl.read_parquet(io.BytesIO(content), use_statistics=False)
    except (pl.exceptions.PolarsError, OSError):
        message = f"The file {path} is no readable Parquet."
    raise LakeDamaged(message)
