"""The records of releases before 0.2, which were in ``_records/``: read for `upgrade` alone.

An hour had a file for each kept poll, for each poll that was found bad, a waiver, the record of its
tables, and empty marks of windows that served its returns (``strays-from-``) or shared a
return with it (``moved-between-here-and-``). Records of tables are not read: tables are made again.
"""

from __future__ import annotations

import re
from datetime import datetime  # noqa: TC003 - msgspec reads the annotations
from typing import Final, NamedTuple, TypeVar

import msgspec

from returns_orchestration.lake.entry_kinds import FileRecord  # noqa: TC001 - msgspec
from returns_orchestration.lake.journal import unsealed
from returns_orchestration.window import Window

R = TypeVar("R", bound=msgspec.Struct)

_POLL: Final = re.compile(r"poll-([0-9]{4,})\.json")
_LOST: Final = re.compile(r"poll-([0-9]{4,})-lost-before-([0-9]{4,})\.json")
_MARK: Final = re.compile(
    r"(strays-from|moved-between-here-and)-([0-9]{4}-[0-9]{2}-[0-9]{2})T([0-9]{2})"
)


class OldPoll(msgspec.Struct, frozen=True, kw_only=True):
    """The record of a kept poll; ``zone`` is "" where the release did not note it."""

    window: str
    number: int
    polled_at: datetime
    written_at: datetime
    file: FileRecord
    zone: str = ""


class OldWaiver(msgspec.Struct, frozen=True, kw_only=True):
    """A person's declaration that an hour need not be polled."""

    window: str
    waived_at: datetime
    why: str


class OldRecord(NamedTuple):
    """One file of the old records; ``number`` and ``following`` are those of a poll."""

    window: Window
    kind: str
    number: int = 0
    following: int = 0
    other: Window | None = None


def read_path(path: str) -> OldRecord | None:
    """The old record at ``path``; None for a record of tables and for a foreign file."""
    window, name = Window.from_path(path), path.rpartition("/")[2]
    if window is None:
        return None
    if poll := _POLL.fullmatch(name):
        return OldRecord(window, "poll", int(poll[1]))
    if lost := _LOST.fullmatch(name):
        return OldRecord(window, "lost", int(lost[1]), int(lost[2]))
    if mark := _MARK.fullmatch(name):
        other = Window.from_path(f"date={mark[2]}/hour={mark[3]}")
        kind = "from" if mark[1] == "strays-from" else "linked"
        return OldRecord(window, kind, other=other) if other else None
    return OldRecord(window, "waived") if name == "waived.json" else None


def read(content: bytes | None, kind: type[R]) -> R | None:
    """A sealed record; None where it does not match its seal."""
    body = None if content is None else unsealed(content)
    if content is None or body is None:
        return None
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
