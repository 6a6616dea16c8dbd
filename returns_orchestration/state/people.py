"""Which records of the lake hold an e-mail address or a telephone number.

For the question what is held about a person. All kept polls are read, an hour at a time; tables are
made of them, so nothing else holds more, but for quarantined files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from returns_orchestration.errors import LakeDamaged
from returns_orchestration.lake.parquet import from_parquet
from returns_orchestration.lake.quarantine import QUARANTINE, QUARANTINE_BEFORE
from returns_orchestration.stages.erasure import people_in
from returns_orchestration.stages.typing import Refused, decode
from returns_orchestration.window import Window, windows_between

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    import polars as pl

    from returns_orchestration.lake import Lake, Names
    from returns_orchestration.stages.typing import RecordReader

AT_ONCE: Final = timedelta(days=31)
"""How much of the journal is listed at once."""

_COPY: Final = re.compile(r"\.parquet\.[0-9a-f]{8}$")


@dataclass(frozen=True, slots=True)
class Held:
    """A record: the ``position`` in poll ``number`` of ``window``.

    ``reference`` and ``requested_at`` are None for a rejected record.
    """

    window: Window
    number: int
    position: int
    reference: str | None
    requested_at: datetime | None


@dataclass(slots=True)
class Holdings:
    """The records found, quarantined files that hold some, and files that could not be read."""

    records: list[Held] = field(default_factory=list)
    quarantined: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


def find_holdings(
    lake: Lake, reader: RecordReader, person: str, span: tuple[Window, Window]
) -> Holdings:
    """All that is held of ``person``, as ``erasure.email`` and ``phone`` give it, in ``span``."""
    found = Holdings()
    first, last = span
    begin = first.start
    while begin < last.end:
        end = min(begin + AT_ONCE, last.end)
        windows = list(windows_between(begin, end))
        names = lake.names()
        names.load_hours(windows)
        for window in windows:
            found.records += _in_hour(lake, names, reader, window, person, found.unread)
        begin = end
    for path in _quarantined(lake):
        try:
            records = from_parquet(lake.store.get(path) or b"", path)
        except LakeDamaged:
            found.unread.append(f"{path} cannot be read; it may hold some.")
            continue
        if "record" in records.columns and _holds(records.get_column("record"), person):
            found.quarantined.append(path)
    return found


def _in_hour(  # noqa: PLR0913, PLR0917 - what an hour is
    lake: Lake,
    names: Names,
    reader: RecordReader,
    window: Window,
    person: str,
    unread: list[str],
) -> Iterator[Held]:
    hour = names.hour(window)
    for poll in hour.polls:
        try:
            records = lake.served(poll)
        except LakeDamaged as error:
            unread.append(str(error))
            continue
        of_poll = reader.of_poll(hour.zone_of(poll))
        for position, record in enumerate(records):
            if person in people_in(record):
                head = of_poll.head(decode(record))
                reference, requested_at = (None, None) if isinstance(head, Refused) else head
                yield Held(window, poll.number, position, reference, requested_at)


def _quarantined(lake: Lake) -> Iterator[str]:
    for folder in (QUARANTINE, QUARANTINE_BEFORE):
        yield from (path for path in lake.store.list(folder) if _COPY.search(path))


def _holds(records: pl.Series, person: str) -> bool:
    return any(person in people_in(record) for record in records if record)
