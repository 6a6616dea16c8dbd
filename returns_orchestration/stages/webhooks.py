"""From deliveries as received to events of returns: the tables by the hour of receipt.

A body is read by the code that reads `webhook_payload` of a poll, bare or wrapped. ClickPost sends
no delivery's number, so an event is identified by its content: the return, its status code, the
event, their time and the items. The order and the number of deliveries change no other column.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import polars as pl

from returns_orchestration import tables
from returns_orchestration.lake.webhooks import CHECK, body_of
from returns_orchestration.stages import values
from returns_orchestration.stages.typing import (
    RETURN_FIELDS,
    Refused,
    decode,
    object_under,
    payload_of,
    unwrapped,
)
from returns_orchestration.window import EPOCH, Window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from returns_orchestration.stages.erasure import Blanking
    from returns_orchestration.stages.typing import Object, RecordReader, Typed

PLACED_CODE: Final = 101
PLACED_EVENT: Final = 11
CODES_OF_RETURNS: Final = frozenset({101, 102})
EVENTS_OF_RETURNS: Final = frozenset({11, 22, 23, 29, 30, 31})

SECOND_DIGITS: Final = 10
"""The last digits of a reference are the Unix second of its request, in every known sample."""

GUESSED: Final = "reference"
"""Where the time of a request was read, if it is that second: it may be another number."""

OLDEST, NEWEST = timedelta(days=400), timedelta(days=1)
"""How far from its receipt a request may be, for these digits to be a time."""

AHEAD: Final = timedelta(hours=14)
"""How far ahead of its receipt a request may seem to be, as its time is read in another zone."""

_FIELDS: Final = {column.name: at for at, column in enumerate(RETURN_FIELDS)}
_QUALITY: Final = {
    "webhook_clickpost_status_code": "clickpost_status_code",
    "latest_clickpost_status_code": "clickpost_status_code",
    "webhook_notification_event": "notification_event",
    "notification_event_id": "notification_event",
    "webhook_waybill": "waybill",
    "webhook_cp_id": "cp_id",
    "webhook_account_code": "account_code",
    "webhook_remark": "remark",
    "webhook_at": "event_at",
    "self_shipped": "self_shipped",
    tables.WEBHOOK: tables.WEBHOOK,
}
"""What the reader of records flags, by the column of webhook_events that it concerns."""


@dataclass(frozen=True, slots=True)
class NotAReturn:
    """A usable body that is not about a return, and what it is."""

    what: str


@dataclass(frozen=True, slots=True)
class Event:
    """One body that is about a return; the columns of webhook_events that do not count.

    ``typed`` is what it says of the return, as a record of a poll says it.
    """

    reference: str
    requested_at: datetime
    requested_at_from: str
    event_at: datetime | None
    is_placed: bool
    code: int | None
    notification_event: int | None
    waybill: str | None
    cp_id: int | None
    account_code: str | None
    remark: str | None
    self_shipped: bool | None
    source: str | None
    shape: str
    quality: tuple[str, ...]
    items: tuple[tuple[object, ...], ...]
    typed: Typed

    def as_of(self, received_at: datetime) -> datetime:
        """The time as of which a body that was received then speaks; without one, the request.

        A time read in a wrong zone is harmless: one that is too late is that of the receipt, one
        that is too early loses to every poll.
        """
        return min(self.event_at or self.requested_at, received_at)

    @property
    def id(self) -> str:
        """32 digits that are the same for deliveries of one event."""
        at = self.event_at.isoformat() if self.event_at else None
        plain = [self.reference, self.code, self.notification_event, at, self.items]
        text = json.dumps(plain, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


FATES: Final = ("events", "doubled", "others", "rejected")
"""What becomes of deliveries: each counts as one of these."""


@dataclass(slots=True)
class Placed:
    """Deliveries, by instance their numbers; ``newest`` is the last time as of which one speaks."""

    newest: datetime
    deliveries: dict[str, list[int]] = field(default_factory=dict)
    bodies: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Received:
    """What came in one hour: its tables, and counts that account for every delivery.

    ``deliveries`` = ``events`` + ``doubled`` + ``others`` + ``rejected``; ``kinds`` counts the
    others by what they are. ``placed`` has, by the hour of request, the deliveries that say that a
    return was placed, one for each event.
    """

    frames: dict[str, pl.DataFrame]
    deliveries: int
    events: int
    doubled: int
    rejected: int
    kinds: Counter[str] = field(default_factory=Counter)
    placed: dict[Window, Placed] = field(default_factory=dict)

    @property
    def others(self) -> int:
        """Deliveries that are not about a return."""
        return self.kinds.total()


def read_body(  # noqa: PLR0911 - a case each
    reader: RecordReader, body: bytes, received_at: datetime
) -> Event | NotAReturn | Refused:
    """One body; no function raises on it, whatever it holds."""
    try:
        content = unwrapped(decode(body.decode()))
    except UnicodeDecodeError:
        return Refused("the body is no UTF-8 text")
    if not isinstance(content, dict):
        return Refused("the body is no JSON object")
    if CHECK in content:
        return NotAReturn("test of the way")
    flagged: set[str] = set()
    places = _places(content, flagged)
    reference = _reference(places)
    # Time and reference are read here; the other values as those of a poll's record.
    typed = reader.typed({tables.WEBHOOK: content}, reference or "", received_at)
    code, event = _code(typed), _event(typed, content)
    if reference is None:
        is_of_a_return = (
            typed.values[_FIELDS["is_rvp"]] is True
            or code in CODES_OF_RETURNS
            or event in EVENTS_OF_RETURNS
        )
        if is_of_a_return:
            return Refused("no usable return_reference_number")
        return NotAReturn("forward shipment or other event")
    is_placed = code == PLACED_CODE or (code is None and event == PLACED_EVENT)
    requested = _requested_at(reader, places, typed, reference, received_at, is_placed=is_placed)
    if requested is None:
        return Refused("no usable time of the request", reference)
    quality = {_QUALITY[name] for name in typed.quality | flagged if name in _QUALITY}
    return Event(
        reference=reference,
        requested_at=requested[0],
        requested_at_from=requested[1],
        event_at=typed.values[_FIELDS["webhook_at"]],  # type: ignore[arg-type]
        is_placed=is_placed,
        code=code,
        notification_event=event,
        waybill=typed.values[_FIELDS["webhook_waybill"]],  # type: ignore[arg-type]
        cp_id=typed.values[_FIELDS["webhook_cp_id"]],  # type: ignore[arg-type]
        account_code=typed.values[_FIELDS["webhook_account_code"]],  # type: ignore[arg-type]
        remark=typed.values[_FIELDS["webhook_remark"]],  # type: ignore[arg-type]
        self_shipped=typed.values[_FIELDS["self_shipped"]],  # type: ignore[arg-type]
        source=next(
            (found for place in places if (found := values.text(place.get("source"))[0])), None
        ),
        shape="bare" if places[1] is content else "wrapped",
        quality=tuple(sorted(quality)),
        items=tuple(item.values for item in typed.items),
        typed=replace(
            typed,
            requested_at=requested[0],
            # Its head is read here, and its keys are not those of the polling API.
            quality=typed.quality - {tables.REFERENCE.name, tables.REQUESTED_AT.name},
            new_keys=frozenset(),
        ),
    )


class BodyReader:
    """Reads whose return a body is about, as a RecordReader does that of a record."""

    def __init__(self, reader: RecordReader) -> None:
        self._reader = reader

    def head(self, content: object) -> tuple[str, datetime] | Refused:
        """Reference and time of the request, as far as the body itself has them."""
        content = unwrapped(content)
        if not isinstance(content, dict):
            return Refused("the body is no JSON object")
        places = _places(content, set())
        reference = _reference(places)
        if reference is None:
            return Refused("no usable return_reference_number")
        for place in places:
            at, _ = self._reader.moment(place.get("request_placed_time"))
            if at is not None:
                return reference, at
        return Refused("no readable time of the request", reference)


def text_of(body: str, encoding: str | None) -> str:
    """A body as it is searched for people; bytes that are no UTF-8 text as single letters."""
    return body if encoding is None else body_of(body, encoding).decode("latin-1")


def blanked_bodies(
    raw: pl.DataFrame, window: Window, blanking: Blanking, reader: RecordReader
) -> pl.DataFrame:
    """Rows that have a body, some of them blanked: those that ``blanking`` means."""
    encodings = raw.get_column("encoding").to_list()
    bodies = raw.get_column("body").to_list()
    texts = [text_of(body, encoding) for body, encoding in zip(bodies, encodings, strict=True)]
    found = blanking.of(window, texts, BodyReader(reader))
    kept = [new == old for new, old in zip(found, texts, strict=True)]
    new = [body if same else text for body, text, same in zip(bodies, found, kept, strict=True)]
    of_new = [encoding if same else None for encoding, same in zip(encodings, kept, strict=True)]
    return raw.with_columns(
        pl.Series("body", new, dtype=pl.String), pl.Series("encoding", of_new, dtype=pl.String)
    )


def _places(content: Object, flagged: set[str]) -> tuple[Object, Object, Object]:
    """Where a body may have a value that concerns the whole return, the likeliest first."""
    payload = payload_of(content, flagged)
    return object_under(payload, tables.ADDITIONAL, flagged), payload, content


def _reference(places: tuple[Object, ...]) -> str | None:
    found = (values.reference(place.get(tables.REFERENCE.key))[0] for place in places)
    return next((reference for reference in found if reference is not None), None)


def _code(typed: Typed) -> int | None:
    """The status code; a body without a scan has only that of latest_status."""
    own, latest = (
        typed.values[_FIELDS[name]]
        for name in ("webhook_clickpost_status_code", "latest_clickpost_status_code")
    )
    return own if own is not None else latest  # type: ignore[return-value]


def _event(typed: Typed, content: Object) -> int | None:
    """The notification event, which three places may have."""
    found = (
        typed.values[_FIELDS["webhook_notification_event"]],
        typed.values[_FIELDS["notification_event_id"]],
        values.number(content.get("notification_event_id"))[0],
    )
    return next((event for event in found if event is not None), None)  # type: ignore[return-value]


def _requested_at(  # noqa: PLR0913 - the places that it is read from
    reader: RecordReader,
    places: tuple[Object, ...],
    typed: Typed,
    reference: str,
    received_at: datetime,
    *,
    is_placed: bool,
) -> tuple[datetime, str] | None:
    # By the end of its hour, so that deliveries of one event in one hour give the same.
    latest = Window.of(received_at).end + AHEAD
    for place in places:
        at, _ = reader.moment(place.get("request_placed_time"))
        if at is not None and at <= latest:
            return at, "request_placed_time"
    event_at = typed.values[_FIELDS["webhook_at"]]
    if is_placed and isinstance(event_at, datetime) and event_at <= latest:
        return event_at, "timestamp"
    digits = reference[-SECOND_DIGITS:]
    if len(digits) == SECOND_DIGITS and digits.isascii() and digits.isdigit():
        at = EPOCH + timedelta(seconds=int(digits))
        if received_at - OLDEST <= at <= received_at + NEWEST:
            return at, GUESSED
    return None


Place = tuple["datetime", str, "datetime", str, int]
"""As of when it speaks, body, time of receipt, instance and number of a delivery."""


class _Group:
    """The deliveries of one event in one hour."""

    def __init__(self) -> None:
        self.body = ""
        self.copy: tuple[Place, Event] | None = None
        self.event: Event | None = None
        self.first_received_at: datetime | None = None
        self.deliveries = 0
        self.redelivered = 0

    def add(self, event: Event, place: Place, *, is_redelivered: bool) -> None:
        # Of bodies that differ in other values the smallest text counts: in any order the same.
        _, body, received_at, *_ = place
        if self.event is None or body < self.body:
            self.event, self.body = event, body
        if is_redelivered:
            self.redelivered += 1
            return
        if self.copy is None or place < self.copy[0]:
            self.copy = place, event
        self.deliveries += 1
        earliest = self.first_received_at or received_at
        self.first_received_at = min(earliest, received_at)


def tables_of_receipt(raw: pl.DataFrame, reader: RecordReader) -> Received:
    """The tables of the deliveries ``raw``, rows of raw_webhooks of one hour, in any order."""
    groups: dict[str, _Group] = {}
    rejected: list[tuple[object, ...]] = []
    kinds: Counter[str] = Counter()
    for row in raw.iter_rows(named=True):
        body = body_of(row["body"], row["encoding"])
        read = read_body(reader, body, row["received_at"])
        if isinstance(read, NotAReturn):
            kinds[read.what] += 1
        elif isinstance(read, Refused):
            place = (row["received_at"], row["instance"], row["position"])
            rejected.append((*place, read.reason, row["encoding"], row["body"]))
        else:
            here = row["body"], row["received_at"], row["instance"], row["position"]
            delivery = (read.as_of(row["received_at"]), *here)
            groups.setdefault(read.id, _Group()).add(
                read, delivery, is_redelivered=row["redelivered"]
            )
    rejected.sort(key=lambda row: row[:3])
    rows = sorted(_rows(groups), key=lambda row: (row[1], row[2], row[0]))
    return Received(
        {
            tables.WEBHOOK_EVENTS.name: _frame(tables.WEBHOOK_EVENTS, rows),
            tables.REJECTED_WEBHOOKS.name: _frame(tables.REJECTED_WEBHOOKS, rejected),
        },
        deliveries=raw.height,
        events=len(groups),
        doubled=raw.height - kinds.total() - len(rejected) - len(groups),
        rejected=len(rejected),
        kinds=kinds,
        placed=_placed(groups),
    )


def _placed(groups: dict[str, _Group]) -> dict[Window, Placed]:
    """The deliveries that are copies of returns; not those of `redeliver`, which polls brought."""
    found: dict[Window, Placed] = {}
    for group in groups.values():
        if group.copy is None:
            continue
        (as_of, body, _, instance, number), event = group.copy
        if not event.is_placed:
            continue
        of_hour = found.setdefault(Window.of(event.requested_at), Placed(as_of))
        of_hour.newest = max(of_hour.newest, as_of)
        of_hour.deliveries.setdefault(instance, []).append(number)
        of_hour.bodies.append(body)
    for of_hour in found.values():
        of_hour.deliveries = {i: sorted(n) for i, n in sorted(of_hour.deliveries.items())}
    return found


def _rows(groups: dict[str, _Group]) -> Iterator[tuple[object, ...]]:
    for number, group in groups.items():
        event = group.event
        if event is not None:
            yield (
                number,
                event.reference,
                event.requested_at,
                event.requested_at_from,
                event.event_at,
                event.is_placed,
                event.code,
                event.notification_event,
                event.waybill,
                event.cp_id,
                event.account_code,
                event.remark,
                event.self_shipped,
                event.source,
                group.first_received_at,
                group.deliveries,
                group.redelivered,
                event.shape,
                list(event.quality),
            )


def _frame(table: tables.Table, rows: list[tuple[object, ...]]) -> pl.DataFrame:
    names = table.schema.names()
    return table.frame({name: [row[at] for row in rows] for at, name in enumerate(names)})
