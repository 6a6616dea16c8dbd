"""Webhooks from a file: what another receiver has received, as lines of JSON.

Each line is an object with ``received_at``, a time with its zone, and ``body``, a text or the JSON
itself. The file's own digest takes the place of a receiver's name and a line's number that of a
delivery, so the same file again puts the same files. A file that has grown is another one, of which
only what is new is put. From the first of its times to the last, a file counts as a receiver that
listened: a return of that time whose webhook it lacks was lost.
"""

from __future__ import annotations

import hashlib
from codecs import BOM_UTF8
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby, islice
from typing import TYPE_CHECKING, Final

import msgspec

from returns_orchestration.errors import SettingsError
from returns_orchestration.lake.webhooks import Webhook
from returns_orchestration.stages.values import FIRST, LAST
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from returns_orchestration.lake import Lake
    from returns_orchestration.lake.webhooks import Blank

AT_ONCE: Final = 4_000
"""Deliveries in one file of the lake."""


AHEAD: Final = timedelta(minutes=5)
"""How far ahead of this machine the clock of another receiver may be."""


class _Line(msgspec.Struct):
    received_at: str
    body: msgspec.Raw


_DECODER: Final = msgspec.json.Decoder(_Line)


@dataclass(frozen=True, slots=True)
class Imported:
    """What a file brought: how many new deliveries, by the hour of receipt.

    ``span`` is its first and its last time, None for a file without deliveries. ``is_cut_off``: its
    last line is not whole yet, and was left out.
    """

    hours: Counter[Window]
    span: tuple[datetime, datetime] | None
    is_cut_off: bool


def import_webhooks(
    lake: Lake, file: Path, *, start: datetime, now: datetime, blank: Blank | None = None
) -> Imported:
    """Put the deliveries of ``file``, as long as it is at first, into ``lake``.

    ``start`` is the first hour there is: before it nothing counts as lost. ``blank`` removes
    personal data that the lake is not to keep.

    The whole file is checked first. Raises SettingsError naming the first line that cannot be read
    or that was received after ``now``, and LakeUnwritable.
    """
    content = _Content(file, now)
    instance = content.digest()[:8]
    first, last = LAST, FIRST
    for delivery in content.deliveries():
        first, last = min(first, delivery.received_at), max(last, delivery.received_at)
    lake.format.ensure(begin=True)
    names = lake.names()
    found: Counter[Window] = Counter()
    groups = groupby(content.deliveries(), key=lambda delivery: Window.of(delivery.received_at))
    for window, deliveries in groups:
        known = lake.webhooks.known(names, window)
        while some := list(islice(deliveries, AT_ONCE)):
            new = lake.webhooks.without(known, some, blank)
            if new:
                lake.webhooks.put(instance, new, blank)
                found[window] += len(new)
    if max(first, start) <= last:
        lake.webhooks.listened(instance, max(first, start), last)
    return Imported(found, (first, last) if first <= last else None, content.is_cut_off)


class _Content:
    """The lines of a file as long as it was first: one that grows meanwhile stays the same here."""

    def __init__(self, file: Path, now: datetime) -> None:
        self._file = file
        self._latest = now + AHEAD
        self._size = 0
        self.is_cut_off = False

    def digest(self) -> str:
        """Of all of it, as hexadecimal digits."""
        digest = hashlib.sha256()
        try:
            with self._file.open("rb") as content:
                while some := content.read(1 << 20):
                    digest.update(some)
                    self._size += len(some)
        except OSError as error:
            reason = error.strerror or type(error).__name__
        else:
            return digest.hexdigest()
        raise SettingsError(
            f"{self._file} cannot be read: {reason}.", next_step="Name a file of JSON lines."
        )

    def deliveries(self) -> Iterator[Webhook]:
        """Each delivery, in the order of the lines. Raises SettingsError."""
        left = self._size
        with self._file.open("rb") as lines:
            for number, whole in enumerate(lines, 1):
                line = whole[:left]
                left -= len(line)
                if number == 1:
                    line = line.removeprefix(BOM_UTF8)
                if not line.strip():
                    continue
                read = self._read(number, line)
                if isinstance(read, Webhook):
                    yield read
                elif left or line.endswith(b"\n"):
                    raise SettingsError(
                        f"Line {number} of {self._file} {read}; nothing was imported.",
                        next_step="Write each as "
                        '{"received_at": "2026-11-09T11:00:48Z", "body": ...}.',
                    )
                else:  # another program is writing it
                    self.is_cut_off = True
                if not left:
                    return

    def _read(self, number: int, line: bytes) -> Webhook | str:
        """The delivery of a line, or what is wrong with it."""
        try:
            read = _DECODER.decode(line)
            body = _body(bytes(read.body))
        except (msgspec.MsgspecError, ValueError):
            return "is no JSON object with `received_at` and `body`"
        try:
            given = datetime.fromisoformat(read.received_at)
            received_at = given.astimezone(UTC)
        except (ValueError, OverflowError):
            return "has no time in `received_at`"
        if given.tzinfo is None:
            return "has a `received_at` without a zone"
        if not FIRST <= received_at <= self._latest:
            when = "in the future" if received_at > self._latest else "before the year 2000"
            return f"was received {when}, by its `received_at`"
        return Webhook(number, received_at, "", redelivered=False, body=body)


def _body(plain: bytes) -> bytes:
    """A body given as text, or the JSON as it is written."""
    if plain.startswith(b'"'):
        return msgspec.json.decode(plain, type=str).encode()
    return plain
