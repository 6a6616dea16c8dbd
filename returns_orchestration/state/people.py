"""Which records of the lake hold an e-mail address, a telephone number or a reference.

For the question what is held about a person. All kept polls and webhooks are read, an hour at a
time; tables are made of them, so nothing else holds more, but for quarantined files.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from returns_orchestration import tables
from returns_orchestration.errors import LakeDamaged, SpoolUnwritable
from returns_orchestration.lake.journal import JOURNAL
from returns_orchestration.lake.names import dates_in
from returns_orchestration.lake.quarantine import files_in_quarantine
from returns_orchestration.lake.webhooks import as_text
from returns_orchestration.stages.erasure import Shown
from returns_orchestration.stages.webhooks import BodyReader, text_of
from returns_orchestration.window import Window, windows_between

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    import polars as pl

    from returns_orchestration.lake import Lake, Names
    from returns_orchestration.stages.erasure import HeadReader
    from returns_orchestration.stages.typing import RecordReader

AT_ONCE: Final = timedelta(days=31)
"""How much of the journal is listed at once."""

HOLD_RECORDS: Final = frozenset({tables.RAW_RETURNS.name, tables.REJECTED_RETURNS.name})
"""The tables with records as received."""

HOLD_BODIES: Final = frozenset({tables.RAW_WEBHOOKS.name, tables.REJECTED_WEBHOOKS.name})
"""The tables with webhooks as received."""


@dataclass(frozen=True, slots=True)
class Held:
    """A record: the ``position`` in poll ``number`` of ``window``; or a webhook.

    A webhook has the ``instance`` that received it in ``window``, and its number there.
    ``requested_at`` is None for a rejected record, which may have no ``reference``; ``people`` are
    those of the wanted ones that it shows.
    """

    window: Window
    number: int
    position: int
    reference: str | None
    requested_at: datetime | None
    people: frozenset[str]
    instance: str = ""


@dataclass(slots=True)
class Holdings:
    """The records found, quarantined files that hold some, and files that could not be read.

    ``waiting`` counts webhooks that hold some and wait in the receiver's spool. ``people`` are
    those of the wanted ones that these webhooks and the quarantined files show.
    """

    records: list[Held] = field(default_factory=list)
    quarantined: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    people: set[str] = field(default_factory=set)
    waiting: int = 0


def find_holdings(
    lake: Lake,
    reader: RecordReader,
    people: Collection[str],
    span: tuple[Window, Window],
    spool: Iterable[bytes] = (),
) -> Holdings:
    """All that is held of ``people``, as ``erasure.email`` and others give them, in ``span``.

    ``spool`` are the bodies that the receiver has yet to bring into the lake.
    """
    wanted = frozenset(people)
    found = Holdings()
    first, last = span
    begin = first.start
    while begin < last.end:
        end = min(begin + AT_ONCE, last.end)
        windows = list(windows_between(begin, end))
        names = lake.names()
        names.load_hours(windows)
        for window in windows:
            found.records += _in_hour(lake, names, reader, window, wanted, found.unread)
            found.records += _in_webhooks(lake, names, reader, window, wanted, found.unread)
        begin = end
    for file in files_in_quarantine(lake.store):
        if file.table not in HOLD_RECORDS | HOLD_BODIES:
            continue
        frame = file.read(lake.store)
        column = "record" if file.table in HOLD_RECORDS else "body"
        heads = reader if file.table in HOLD_RECORDS else BodyReader(reader)
        if frame is None or column not in frame.columns:
            found.unread.append(f"{file.place} cannot be read; it may hold some.")
        elif shown := _shown(_texts(frame, column), heads, wanted):
            found.quarantined.append(file.place)
            found.people |= shown
    _look_into_spool(found, spool, BodyReader(reader), wanted)
    return found


def _look_into_spool(
    found: Holdings, spool: Iterable[bytes], heads: BodyReader, wanted: frozenset[str]
) -> None:
    try:
        for body in spool:
            if people := Shown.of(text_of(*as_text(body)), heads).shows(wanted):
                found.waiting += 1
                found.people |= people
    except SpoolUnwritable as error:
        found.unread.append(error.cause)


def whole_span(lake: Lake) -> tuple[Window, Window]:
    """The first and the last hour that may have a poll."""
    days = dates_in(lake.store, JOURNAL) or [datetime.now(UTC).date()]
    first, last = (
        datetime(day.year, day.month, day.day, tzinfo=UTC) for day in (days[0], days[-1])
    )
    return Window(first), Window(last + timedelta(hours=23))


def _in_hour(  # noqa: PLR0913, PLR0917 - what an hour is
    lake: Lake,
    names: Names,
    reader: RecordReader,
    window: Window,
    wanted: frozenset[str],
    unread: list[str],
) -> Iterator[Held]:
    hour = names.hour(window)
    for poll in hour.polls:
        try:
            records = lake.polls.served(poll)
        except LakeDamaged as error:
            unread.append(str(error))
            continue
        of_poll = reader.of_poll(hour.zone_of(poll))
        for position, record in enumerate(records):
            shown = Shown.of(record, of_poll)
            if people := shown.shows(wanted):
                at = window, poll.number, position
                yield Held(*at, shown.reference, shown.requested_at, people)


def _in_webhooks(  # noqa: PLR0913, PLR0917 - what an hour is
    lake: Lake,
    names: Names,
    reader: RecordReader,
    window: Window,
    wanted: frozenset[str],
    unread: list[str],
) -> Iterator[Held]:
    heads = BodyReader(reader)
    for entry in names.hour(window).received:
        try:
            raw = lake.webhooks.read(entry)
        except LakeDamaged as error:
            unread.append(str(error))
            continue
        for row in raw.iter_rows(named=True):
            shown = Shown.of(text_of(row["body"], row["encoding"]), heads)
            if people := shown.shows(wanted):
                at = window, entry.first, row["position"]
                yield Held(
                    *at, shown.reference, shown.requested_at, people, instance=row["instance"]
                )


def _texts(frame: pl.DataFrame, column: str) -> list[str]:
    """The records or bodies of a quarantined file, decoded where it says how."""
    texts = frame.get_column(column).to_list()
    if "encoding" not in frame.columns:
        return texts
    pairs = zip(texts, frame.get_column("encoding"), strict=True)
    return [text_of(text, encoding) if text else "" for text, encoding in pairs]


def _shown(records: Iterable[str], reader: HeadReader, wanted: frozenset[str]) -> frozenset[str]:
    people = (Shown.of(record, reader).shows(wanted) for record in records if record)
    return frozenset().union(*people)
