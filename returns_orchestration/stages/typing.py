"""From a record's JSON text to typed values: the only place that knows the shape of a record.

One record becomes a ``Typed`` (usable), or a ``Refused`` with the reason. Nothing raises on a
record, whatever it holds. Where ClickPost nests ``additional`` is not certain (the vendor's page
lists it after the fields of webhook_payload), so it is looked for in the record and in the payload.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from returns_orchestration import tables
from returns_orchestration.errors import ZoneUnknown
from returns_orchestration.stages import values, vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    Reader = Callable[[object], tuple[object, bool]]
    Object = dict[str, object]

RETURN_FIELDS: Final = tuple(
    column
    for column in tables.RETURNS.columns
    if column.place and column not in (tables.REFERENCE, tables.REQUESTED_AT)
)
"""The columns of `returns` that a single record fills, in order: the layout of Typed.values."""

ITEM_FIELDS: Final = tuple(
    column for column in tables.RETURN_ITEMS.columns if column.place == tables.ITEM
)
"""The columns of `return_items` that an item fills, in order: the layout of Item.values."""

LONGEST_NUMBER: Final = 1_000

COURIERS: Final = ("cp_id", "webhook_cp_id")


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a return; ``values`` in the order of ITEM_FIELDS."""

    values: tuple[object, ...]
    quality: tuple[str, ...]


@dataclass(slots=True)
class Typed:
    """One usable record; ``values`` in the order of RETURN_FIELDS."""

    reference: str
    requested_at: datetime
    values: tuple[object, ...]
    items: tuple[Item, ...]
    quality: frozenset[str]
    new_keys: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that cannot be used, and why."""

    reason: str


def decode(record: str) -> object:
    """What the JSON text holds; None where it cannot be decoded at all."""
    try:
        return msgspec.json.decode(record)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        # NaN, numbers past 64 bits, lone surrogates or a raw line break in a comment: the standard
        # library is more tolerant.
        try:
            return json.loads(record, parse_int=_whole, strict=False)
        except (ValueError, RecursionError):
            return None


def _whole(digits: str) -> int | str:
    """A number that Python refuses to read for its length stays text, and is unreadable later."""
    return int(digits) if len(digits) < LONGEST_NUMBER else digits


class RecordReader:
    """Reads records; ``zone`` is the zone of naive times in replies (CLICKPOST_TIME_ZONE)."""

    def __init__(self, zone: ZoneInfo, untold: Iterable[str] = ()) -> None:
        """``untold``: words that no new key is reported with, such as the API's key."""
        self.zone = zone
        self._of_zones: dict[str, RecordReader] = {}
        self._untold = frozenset(word.strip().casefold() for word in untold) - {""}
        readers: dict[object, Reader] = {
            tables.TEXT: values.text,
            tables.NUMBER: values.number,
            tables.FLAG: values.flag,
            tables.TIME: values.moment_reader(zone),
        }
        self._moment = readers[tables.TIME]
        self._fields = tuple(
            (
                column.name,
                column.place,
                column.key,
                values.courier if column.name in COURIERS else readers[column.dtype],
            )
            for column in RETURN_FIELDS
        )
        self._item_fields = tuple(
            (column.name, column.key, readers[column.dtype]) for column in ITEM_FIELDS
        )

    def of_poll(self, zone: str) -> RecordReader:
        """The reader for a poll sent under ``zone``, an IANA name; "" where it was not noted.

        Raises ZoneUnknown.
        """
        if zone in ("", self.zone.key):
            return self
        if zone not in self._of_zones:
            try:
                found = ZoneInfo(zone)
            except (ValueError, OSError, ZoneInfoNotFoundError):
                raise ZoneUnknown(zone) from None
            self._of_zones[zone] = RecordReader(found, self._untold)
        return self._of_zones[zone]

    def head(self, content: object) -> tuple[str, datetime] | Refused:
        """Reference number and request time of a decoded record, or why it has none."""
        if not isinstance(content, dict):
            return Refused("the record is not a JSON object")
        reference, _ = values.text(content.get(tables.REFERENCE.key))
        if reference is None:
            return Refused("no usable return_reference_number")
        requested_at, _ = self._moment(content.get(tables.REQUESTED_AT.key))
        if requested_at is None:
            return Refused("no readable Return Request Timestamp")
        return reference, requested_at  # type: ignore[return-value]

    def read(self, record: str) -> Typed | Refused:
        """One record, typed."""
        content = decode(record)
        head = self.head(content)
        return head if isinstance(head, Refused) else self.typed(content, *head)

    def typed(self, content: object, reference: str, requested_at: datetime) -> Typed:
        """A decoded record that has a head, typed."""
        if not isinstance(content, dict):
            message = "only a JSON object has a head"
            raise TypeError(message)
        flagged: set[str] = set()
        for column in (tables.REFERENCE, tables.REQUESTED_AT):
            reader = values.text if column is tables.REFERENCE else self._moment
            if not reader(content.get(column.key))[1]:
                flagged.add(column.name)
        webhook = self._unwrapped(_object(content, tables.WEBHOOK, flagged))
        inner = _object(webhook, tables.ADDITIONAL, flagged)
        outer = _object(content, tables.ADDITIONAL, flagged)
        additional = {**inner, **{k: v for k, v in outer.items() if v is not None}}
        latest: Object = {}
        for holder in (additional, webhook, content):
            latest = latest or _object(holder, tables.LATEST, flagged)
        places = {
            tables.RECORD: (content,),
            tables.WEBHOOK: (webhook,),
            tables.ADDITIONAL: (additional, webhook, content),
            tables.LATEST: (latest,),
        }
        read: list[object] = []
        for name, place, key, reader in self._fields:
            value: object = None
            for holder in places[place]:
                value = holder.get(key)
                # The record's own number is no repetition of itself.
                if value is not None or key == tables.REFERENCE.key:
                    break
            value, clean = reader(value)
            read.append(value)
            if not clean:
                flagged.add(name)
        found = _items(additional, webhook, content, flagged)
        new_keys = vocabulary.new_keys(
            (
                (tables.RECORD, content),
                (tables.WEBHOOK, webhook),
                (tables.ADDITIONAL, additional),
                (tables.LATEST, latest),
                *((tables.ITEM, item) for item in found),
            ),
            self._untold,
        )
        items = tuple(self._item(item) for item in found)
        return Typed(reference, requested_at, tuple(read), items, frozenset(flagged), new_keys)

    def _item(self, content: object) -> Item:
        if not isinstance(content, dict):
            return Item((None,) * len(self._item_fields), ("item_info",))
        read = [(name, *reader(content.get(key))) for name, key, reader in self._item_fields]
        return Item(
            tuple(value for _, value, _ in read),
            tuple(name for name, _, clean in read if not clean),
        )

    @staticmethod
    def _unwrapped(webhook: Object) -> Object:
        """The webhook comes bare or as {"payload": ..., "internal": ...}; both were seen."""
        payload = webhook.get("payload")
        return payload if isinstance(payload, dict) and "waybill" not in webhook else webhook


def _object(holder: Object, key: str, flagged: set[str]) -> Object:
    """The object under ``key``: {} if null, absent or []; JSON text is read and listed."""
    value = holder.get(key)
    if isinstance(value, dict):
        return value
    if value is None or value == []:
        return {}
    if isinstance(value, str):
        if value.strip() in values.ABSENT:
            return {}
        flagged.add(key)
        inner = decode(value)
        return inner if isinstance(inner, dict) else {}
    flagged.add(key)
    return {}


def _items(additional: Object, webhook: Object, content: Object, flagged: set[str]) -> list[object]:
    """The item list, from the first place that has one; a single object counts as a list of one."""
    for holder in (additional, webhook, content):
        value = holder.get(tables.ITEM)
        if isinstance(value, str) and value.strip() not in values.ABSENT:
            flagged.add(tables.ITEM)
            value = decode(value)
        if isinstance(value, dict) and value:
            flagged.add(tables.ITEM)
            return [value]
        if isinstance(value, list) and value:
            return value
        if value and not isinstance(value, (dict, str)):
            flagged.add(tables.ITEM)
    return []
