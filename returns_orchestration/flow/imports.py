"""Webhooks from a file: what another receiver has received, as lines of JSON.

Each line is an object with ``received_at``, a time with its zone, and ``body``, a text or the JSON
itself. The file's own digest takes the place of a receiver's name and a line's number that of a
delivery, so the same file again puts the same files. A file that has grown is another one, of which
only what is new is put. From the first of its times to the last, a file counts as a receiver that
listened: a return of that time whose webhook it lacks was lost.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import UTC, datetime
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


class _Line(msgspec.Struct):
    received_at: str
    body: msgspec.Raw


def import_webhooks(lake: Lake, file: Path, blank: Blank | None = None) -> Counter[Window]:
    """Put the deliveries of ``file`` into ``lake``; how many are new, by the hour of receipt.

    ``blank`` removes personal data that the lake is not to keep.

    The whole file is checked first. Raises SettingsError naming the first line that cannot be read,
    and LakeUnwritable.
    """
    instance = _digest(file)[:8]
    first, last = LAST, FIRST
    for delivery in _deliveries(file):
        first, last = min(first, delivery.received_at), max(last, delivery.received_at)
    lake.ensure_format(begin=True)
    names = lake.names()
    found: Counter[Window] = Counter()
    groups = groupby(_deliveries(file), key=lambda delivery: Window.of(delivery.received_at))
    for window, deliveries in groups:
        known = lake.webhooks.known(names, window)
        while some := list(islice(deliveries, AT_ONCE)):
            new = lake.webhooks.without(known, some, blank)
            if new:
                lake.webhooks.put(instance, new, blank)
                found[window] += len(new)
    lake.webhooks.listened(instance, first, last)
    return found


def _deliveries(file: Path) -> Iterator[Webhook]:
    decoder = msgspec.json.Decoder(_Line)
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                read = decoder.decode(line)
                given = datetime.fromisoformat(read.received_at)
                received_at = given.astimezone(UTC) if given.tzinfo else None
                body = _body(bytes(read.body))
            except (msgspec.MsgspecError, ValueError, OverflowError):
                received_at = None
            if received_at is None or not FIRST <= received_at < LAST:
                raise SettingsError(
                    f"Line {number} of {file} is no delivery; nothing was imported.",
                    next_step='Write each as {"received_at": "2026-11-09T11:00:48Z", "body": ...}.',
                )
            yield Webhook(number, received_at, "", redelivered=False, body=body)


def _body(plain: bytes) -> bytes:
    """A body given as text, or the JSON as it is written."""
    if plain.startswith(b'"'):
        return msgspec.json.decode(plain, type=str).encode()
    return plain


def _digest(file: Path) -> str:
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        reason = error.strerror or type(error).__name__
    raise SettingsError(f"{file} cannot be read: {reason}.", next_step="Name a file of JSON lines.")
