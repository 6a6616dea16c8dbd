"""Frames to Parquet bytes and back; the same frame always gives the same bytes.

``lake`` decides where the bytes go, and checks that they are unchanged.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

import polars as pl

from returns_orchestration import tables
from returns_orchestration.errors import LakeDamaged
from returns_orchestration.lake.advice import rebuild_advice

if TYPE_CHECKING:
    from collections.abc import Sequence

_POLLED_AT: Final = "polled_at"
_NOTED_AT: Final = "noted_at"
_ZONE: Final = "zone"
_TAIL: Final = 8
"""Bytes after the footer: its length, little-endian, and the format's mark."""


def to_parquet(
    frame: pl.DataFrame, metadata: dict[str, str] | None = None, *, statistics: bool = True
) -> bytes:
    """The frame as Parquet bytes, zstd; the same frame always gives the same bytes."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd", statistics=statistics, metadata=metadata)
    return buffer.getvalue()


class PollFile(NamedTuple):
    """The content of a poll's file: when it was sent and noted, under which zone, and its rows.

    ``zone`` is "" in files of releases before 0.2, whose ``noted_at`` is ``polled_at``.
    """

    polled_at: datetime
    noted_at: datetime
    zone: str
    frame: pl.DataFrame


def poll_to_parquet(
    served: Sequence[str], polled_at: datetime, noted_at: datetime, zone: str, name: str
) -> bytes:
    """The file of a poll: its metadata holds its times and its zone; it has a seal.

    A poll without rows has no other place for its time. A poll cannot be made again, so its file
    must prove that it is whole without its entry, too, and before it is parsed: polars ends the
    process over some flipped bits. The seal is the sha256 of all other bytes and of its ``name``,
    so that one poll is not taken for another. It is right before the footer, where readers do not
    look: they find the footer from the end, and pages from the start.
    """
    frame = tables.RAW_RETURNS.frame(
        {
            "polled_at": [polled_at] * len(served),
            "position": list(range(len(served))),
            "record": list(served),
        }
    )
    noted = {
        _POLLED_AT: polled_at.isoformat(),
        _NOTED_AT: noted_at.isoformat(timespec="seconds"),
        _ZONE: zone,
    }
    return _sealed(to_parquet(frame, noted), name)


def poll_from_parquet(content: bytes, path: str, name: str) -> PollFile | None:
    """The content of the file of the poll ``name``; None if it is not a whole poll."""
    if not is_whole(content, name):
        return None
    frame = from_parquet(content, path)
    noted = pl.read_parquet_metadata(io.BytesIO(content))
    sent = noted.get(_POLLED_AT)
    if sent is None or frame.schema != tables.RAW_RETURNS.schema:
        return None
    polled_at = datetime.fromisoformat(sent)
    noted_at = datetime.fromisoformat(noted.get(_NOTED_AT, sent))
    return PollFile(polled_at, noted_at.replace(microsecond=0), noted.get(_ZONE, ""), frame)


def webhooks_to_parquet(frame: pl.DataFrame, name: str) -> bytes:
    """The file of webhooks ``name``, of rows of raw_webhooks, with a seal as a poll's file has."""
    return _sealed(to_parquet(frame), name)


def is_whole(content: bytes, name: str) -> bool:
    """Whether the file of the poll or of the webhooks ``name`` is unchanged, by its own seal."""
    at = _footer(content)
    begin = at - hashlib.sha256().digest_size
    return begin >= 0 and _seal(content[:begin], content[at:], name) == content[begin:at]


def _sealed(content: bytes, name: str) -> bytes:
    at = _footer(content)
    return content[:at] + _seal(content[:at], content[at:], name) + content[at:]


def _seal(before: bytes, after: bytes, name: str) -> bytes:
    digest = hashlib.sha256(before)
    digest.update(after)
    digest.update(name.encode())
    return digest.digest()


def _footer(content: bytes) -> int:
    """Where the footer begins, by the end of the file; may be negative in a damaged one."""
    end = len(content) - _TAIL
    return end - int.from_bytes(content[max(end, 0) : max(end, 0) + 4], "little")


def from_untrusted(content: bytes) -> pl.DataFrame | None:
    """The frame of a file that is not as it was written; None where it cannot be read.

    It is read in a process of its own, as polars ends the process over some flipped bits.
    """
    done = subprocess.run(  # noqa: S603 - our own interpreter, our own code
        [sys.executable, "-c", _READ], input=content, capture_output=True, check=False
    )
    return pl.read_ipc(io.BytesIO(done.stdout)) if done.returncode == 0 else None


_READ: Final = """
import io, sys, polars
frame = polars.read_parquet(io.BytesIO(sys.stdin.buffer.read()), use_statistics=False)
out = io.BytesIO()
frame.write_ipc(out)
sys.stdout.buffer.write(out.getvalue())
"""


def from_parquet(content: bytes, path: str) -> pl.DataFrame:
    """The frame; LakeDamaged, naming ``path``, where the content is no Parquet."""
    try:
        return pl.read_parquet(io.BytesIO(content), use_statistics=False)
    except (pl.exceptions.PolarsError, OSError):
        message = f"The file {path} is no readable Parquet."
    raise LakeDamaged(message, next_step=rebuild_advice(path))
