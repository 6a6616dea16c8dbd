"""What is noted of every file of the lake, as JSON beside the tables.

A poll's record is written after its data, a made hour's after all of its tables: a file that no
record names is unfinished business of a killed run, and is finished or replaced by the next one.
A record ends with its seal, the sha256 of all bytes before it, which every reading checks: a bit
that flipped anywhere in it is found, and so is a record without a seal.
"""

from __future__ import annotations

import hashlib
from datetime import datetime  # noqa: TC003 - msgspec reads the annotations
from typing import Final, TypeVar

import msgspec

from returns_orchestration.errors import LakeDamaged
from returns_orchestration.lake.aside import rebuild_advice

R = TypeVar("R", bound=msgspec.Struct)

_SEAL: Final = b',\n "seal": "%s"\n}\n'
_SEAL_LENGTH: Final = len(_SEAL % hashlib.sha256().hexdigest().encode())


class FileRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One Parquet file: where it stands, its size in bytes, rows and sha256 (hexadecimal)."""

    path: str
    size: int
    rows: int
    sha256: str

    @classmethod
    def of(cls, path: str, content: bytes, rows: int) -> FileRecord:
        """The record of ``content``."""
        digest = hashlib.sha256(content).hexdigest()
        return cls(path=path, size=len(content), rows=rows, sha256=digest)


def poll_name(window: str, number: int) -> str:
    """What a poll is called, ``2026-11-09-11:00/poll-0001``; ``window`` is a partition key."""
    return f"{window}/poll-{number:04d}"


class PollRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A poll that was kept: the ``number``-th of its ``window`` (a partition key), from 1.

    ``homes`` counts its usable records by the hour they were requested in, ``rejected`` the others.
    ``zone`` is the CLICKPOST_TIME_ZONE under which it was sent, which its naive times are of; "" in
    records of earlier releases.
    """

    window: str
    number: int
    polled_at: datetime
    written_at: datetime
    file: FileRecord
    homes: dict[str, int]
    rejected: int
    zone: str = ""

    @property
    def name(self) -> str:
        """What a made hour's record calls it, ``2026-11-09-11:00/poll-0001``."""
        return poll_name(self.window, self.number)


class MadeRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The tables made of one hour, one day or all time: of what, their files, and counts.

    ``made_of`` names every poll that an hour was made of, or every hour that a day was;
    ``facts`` holds counts: returns, items, rejected, late. Of an hour, ``polled_at`` has the times
    of its own kept polls, and ``first_seen``, by the age in hours of the poll that served them
    first, how many returns it holds, and how many of these an earlier poll of theirs had missed;
    ``homes`` are other hours that records of its polls were requested in.
    """

    period: str
    written_at: datetime
    made_of: list[str]
    files: dict[str, FileRecord]
    facts: dict[str, int]
    polled_at: list[datetime] = []
    first_seen: dict[int, tuple[int, int]] = {}
    homes: list[str] = []


class Waiver(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody's word that an hour need not be polled: ``why``, and when it was said."""

    window: str
    waived_at: datetime
    why: str


class LostPoll(msgspec.Struct, frozen=True, kw_only=True):
    """A poll that was found bad and set aside: its number is not given again."""

    window: str
    number: int
    set_aside_at: datetime


def encode(record: PollRecord | MadeRecord | Waiver | LostPoll) -> bytes:
    """The record as indented JSON, for people too, with its seal as the last field."""
    body = msgspec.json.format(msgspec.json.encode(record), indent=1).removesuffix(b"\n}")
    return body + _seal(body)


def decode_poll(content: bytes, path: str) -> PollRecord:
    """Raises LakeDamaged, naming ``path``, where the content is no sealed record of a poll."""
    return _decode(content, path, PollRecord)


def decode_made(content: bytes, path: str) -> MadeRecord:
    """Raises LakeDamaged, naming ``path``, where the content is no sealed record of tables."""
    return _decode(content, path, MadeRecord)


def decode_waiver(content: bytes, path: str) -> Waiver:
    """Raises LakeDamaged, naming ``path``, where the content is no sealed waiver."""
    return _decode(content, path, Waiver)


def decode_lost(content: bytes, path: str) -> LostPoll:
    """Raises LakeDamaged, naming ``path``, where the content is no sealed note of a lost poll."""
    return _decode(content, path, LostPoll)


def is_torn(content: bytes) -> bool:
    """Whether a record that cannot be read has lost its end, and not only other bytes."""
    return not content.endswith(b'"\n}\n')


def _seal(body: bytes) -> bytes:
    return _SEAL % hashlib.sha256(body).hexdigest().encode()


def _decode(content: bytes, path: str, kind: type[R]) -> R:
    body, seal = content[:-_SEAL_LENGTH], content[-_SEAL_LENGTH:]
    if seal == _seal(body):
        try:
            return msgspec.json.decode(content, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            pass
    message = f"The record {path} is not what was written."
    raise LakeDamaged(message, next_step=rebuild_advice(path))
