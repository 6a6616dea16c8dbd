"""From a record's JSON text to typed values: the only place that knows the shape of a record.

One record becomes a ``Typed`` (usable), or a ``Refused`` with the reason. Nothing raises on a
record, whatever it holds. Where ClickPost nests ``additional`` is not certain (the vendor's page
lists it after the fields of webhook_payload), so it is looked for in the record and in the payload.
"""

from __future__ import annotations

import json
import re
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
WRAPS: Final = 4
"""Wrappings of an object or list that are taken off: as text, in a list, by number."""

OPENS: Final = ("{", "[", '"')
"""How a JSON text begins that may hold an object or a list."""


def _mode(value: object) -> tuple[str | None, bool]:
    """A refund mode; see `vocabulary.spelled_mode`."""
    read, clean = values.text(value)
    return (None if read is None else vocabulary.spelled_mode(read)), clean


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


_DECODER: Final = msgspec.json.Decoder(float_hook=values.Spelled)
_MINUS_ZERO: Final = re.compile(rf'"{tables.REFERENCE.key}"\s*:\s*-0\s*[,}}]')
"""A reference that the fast decoder takes for 0."""

_BRACKETS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)
DEEPEST: Final = 100
"""Lists and objects inside each other that are looked at; what is known of a record has five."""


def decode(record: str) -> object:
    """What the JSON text holds; None where it cannot be decoded at all."""
    try:
        if _MINUS_ZERO.search(record) is None:
            return _DECODER.decode(record)
    except (msgspec.DecodeError, UnicodeError):
        pass
    except RecursionError:
        record = _shallow(record)
    try:
        # NaN, lone surrogates or a raw line break in a comment: the standard library is more
        # tolerant.
        return json.loads(record, parse_int=_int, parse_float=values.Spelled, strict=False)
    except ValueError:
        return None
    except RecursionError:
        return decode(_shallow(record))


def _shallow(record: str) -> str:
    """The same text with null for whatever stands deeper than DEEPEST."""
    kept: list[str] = []
    depth = begin = 0
    for found in _BRACKETS.finditer(record):
        if found[0] in "[{":
            depth += 1
            if depth == DEEPEST:
                kept += (record[begin : found.start()], "null")
        elif found[0] in "]}":
            if depth == DEEPEST:
                begin = found.end()
            depth -= 1
    return "".join((*kept, record[begin:]))


def _int(digits: str) -> object:
    """A number that Python refuses to read for its length stays text, and is unreadable later."""
    if digits == "-0":
        return values.Spelled(digits)
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
        # Columns that are not read by their type alone.
        own: dict[str, Reader] = {
            "cp_id": values.courier,
            "webhook_cp_id": values.courier,
            "refund_mode": _mode,
            "quantity": values.quantity,
        }
        self._moment = readers[tables.TIME]
        self._fields = tuple(
            (
                column.name,
                column.place,
                column.key,
                own.get(column.name, readers[column.dtype]),
            )
            for column in RETURN_FIELDS
        )
        self._item_fields = tuple(
            (column.name, column.key, own.get(column.name, readers[column.dtype]))
            for column in ITEM_FIELDS
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
        content = _unwrapped(content)
        if not isinstance(content, dict):
            return Refused("the record is not a JSON object")
        reference, _ = values.reference(content.get(tables.REFERENCE.key))
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
        record, flagged = _unwrapped(content), set[str]()
        if not isinstance(record, dict):
            message = "only a JSON object has a head"
            raise TypeError(message)
        if record is not content:
            flagged.add(tables.RECORD)
        content = record
        for column in (tables.REFERENCE, tables.REQUESTED_AT):
            reader = values.reference if column is tables.REFERENCE else self._moment
            if not reader(content.get(column.key))[1]:
                flagged.add(column.name)
        webhook = self._payload(_object(content, tables.WEBHOOK, flagged))
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
    def _payload(webhook: Object) -> Object:
        """The webhook comes bare or as {"payload": ..., "internal": ...}; both were seen."""
        if "waybill" in webhook:
            return webhook
        payload = _unwrapped(webhook.get("payload"))
        return payload if isinstance(payload, dict) else webhook


def _object(holder: Object, key: str, flagged: set[str]) -> Object:
    """The object under ``key``: {} if null, absent or []; a wrapped one is read and listed."""
    value = holder.get(key)
    if value is None or value == []:
        return {}
    if isinstance(value, str) and value.strip() in values.ABSENT:
        return {}
    found = _unwrapped(value)
    if found is not value or not isinstance(found, dict):
        flagged.add(key)
    return found if isinstance(found, dict) else {}


def _items(additional: Object, webhook: Object, content: Object, flagged: set[str]) -> list[object]:
    """The item list, from the first place that has one; a wrapped one is read and listed."""
    for holder in (additional, webhook, content):
        value = holder.get(tables.ITEM)
        if value is None or value in ([], {}):
            continue
        if isinstance(value, str) and value.strip() in values.ABSENT:
            continue
        if isinstance(value, list) and not any(map(_is_wrapped, value)):
            return value
        flagged.add(tables.ITEM)
        found = _flat(value)
        if found:
            return found
    return []


def _unwrapped(value: object) -> object:
    """An object that stands as JSON text, alone in a list, or under "0"; else ``value``."""
    for _ in range(WRAPS):
        if isinstance(value, str) and value.lstrip()[:1] in OPENS:
            value = decode(value)
        elif isinstance(value, list) and len(value) == 1:
            (value,) = value
        elif isinstance(value, dict) and len(value) == 1 and isinstance(value.get("0"), dict):
            value = value["0"]
        else:
            break
    return value


def _is_wrapped(item: object) -> bool:
    if isinstance(item, dict):
        return bool(item) and all(key.isdecimal() for key in item)
    return isinstance(item, list) or (isinstance(item, str) and item.lstrip()[:1] in OPENS)


def _flat(value: object, wraps: int = WRAPS) -> list[object]:
    """The elements of a list that stands as JSON text, in lists, or as an object by number."""
    if not wraps:
        return []
    if isinstance(value, str) and value.lstrip()[:1] in OPENS:
        return _flat(decode(value), wraps - 1)
    if isinstance(value, dict):
        if not _is_wrapped(value):
            return [value]
        value = [value[key] for key in sorted(value, key=int)]
    if not isinstance(value, list):
        return []
    found: list[object] = []
    for element in value:
        inner = _flat(element, wraps - 1)
        found += inner if inner or isinstance(element, list) else [element]
    return found
