"""From a record's JSON text to typed values: the only place that depends on a record's shape.

One record becomes a ``Typed`` (usable), or a ``Refused`` with the reason. No function raises on a
record, whatever it holds. The place of ``additional`` is not certain (the vendor's page lists it
after the fields of webhook_payload), so it is looked for in the record and in the payload.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeGuard
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from returns_orchestration import tables
from returns_orchestration.errors import ZoneUnknown
from returns_orchestration.stages import values, vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
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

PHOTOS: Final = "photos"
IMAGES: Final = "images"
"""Where photos are looked for in items without `customer_uploaded_images`."""

LONGEST_NUMBER: Final = 1_000
WRAPS: Final = 4
"""Wrappings of an object or list that are removed: as text, in a list, by number."""

_NUMBERED: Final = re.compile(r"[0-9]{1,9}")

OPENS: Final = ("{", "[", '"')
"""The beginnings of a JSON text that may hold an object or a list."""


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
    """A record that cannot be used, and why; its ``reference``, where it has one."""

    reason: str
    reference: str | None = None


_DECODER: Final = msgspec.json.Decoder(float_hook=values.Spelled)
_MINUS_ZERO: Final = re.compile(rf'"{tables.REFERENCE.key}"\s*:\s*-0\s*[,}}]')
"""A reference that the fast decoder takes for 0."""

_BRACKETS: Final = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[{]|[\]}]', re.DOTALL)
BYTE_ORDER_MARK: Final = "\ufeff"
DEEPEST: Final = 100
"""Levels of nested lists and objects that are read; known records have five."""


def decode(record: str) -> object:
    """The content of the JSON text; None where it cannot be decoded at all.

    A byte order mark before it is passed over, as in a reply.
    """
    record = record.removeprefix(BYTE_ORDER_MARK)
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
    """The same text with null for all values deeper than DEEPEST."""
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
    """A number that Python refuses to read for its length keeps its digits."""
    is_odd = digits == "-0" or len(digits) >= LONGEST_NUMBER
    return values.Spelled(digits) if is_odd else int(digits)


class RecordReader:
    """Reads records; ``zone`` is the zone of naive times in replies (CLICKPOST_TIME_ZONE)."""

    def __init__(self, zone: ZoneInfo, untold: Iterable[str] = ()) -> None:
        """``untold``: words that no reported new key may hold, such as the API's key."""
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
            "drop_store_id": values.identifier,
            "pickup_region": values.region,
            "description": values.title,
            PHOTOS: values.length,
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
        content = unwrapped(content)
        if not isinstance(content, dict):
            return Refused("the record is not a JSON object")
        reference, _ = values.reference(content.get(tables.REFERENCE.key))
        if reference is None:
            return Refused("no usable return_reference_number")
        requested_at, _ = self._moment(content.get(tables.REQUESTED_AT.key))
        if requested_at is None:
            return Refused("no readable Return Request Timestamp", reference)
        return reference, requested_at  # type: ignore[return-value]

    def read(self, record: str) -> Typed | Refused:
        """One record, typed."""
        content = decode(record)
        head = self.head(content)
        return head if isinstance(head, Refused) else self.typed(content, *head)

    def typed(self, content: object, reference: str, requested_at: datetime) -> Typed:
        """A decoded record that has a head, typed."""
        record, flagged = unwrapped(content), set[str]()
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
        webhook = payload_of(object_under(content, tables.WEBHOOK, flagged), flagged)
        inner = object_under(webhook, tables.ADDITIONAL, flagged)
        outer = object_under(content, tables.ADDITIONAL, flagged)
        additional = {**inner, **{k: v for k, v in outer.items() if values.is_given(v)}}
        latest: Object = {}
        for holder in (additional, webhook, content):
            latest = latest or object_under(holder, tables.LATEST, flagged)
        places = {
            tables.RECORD: content,
            tables.WEBHOOK: webhook,
            tables.PICKUP: object_under(webhook, tables.PICKUP, flagged),
            tables.ADDITIONAL: additional,
            tables.LATEST: latest,
        }
        read: list[object] = []
        for name, place, key, reader in self._fields:
            value = places[place].get(key)
            if place == tables.ADDITIONAL and not values.is_given(value):
                value = _first_given(key, (webhook, content), value)
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
        read: list[object] = []
        odd: list[str] = []
        for name, key, reader in self._item_fields:
            given = content.get(IMAGES if name == PHOTOS and key not in content else key)
            value, clean = reader(given)
            read.append(value)
            if not clean:
                odd.append(name)
        return Item(tuple(read), tuple(odd))

    def moment(self, value: object) -> tuple[datetime | None, bool]:
        """A time, and whether it was written as usual; naive ones are of this reader's zone."""
        read, clean = self._moment(value)
        return read, clean  # type: ignore[return-value]


def _first_given(key: str, holders: Sequence[Object], value: object) -> object:
    """What stands in for ``value``, which is not given: that of the first holder that has one."""
    if key == tables.REFERENCE.key:  # the record's own number is no repetition of itself
        return value
    for holder in holders:
        value = holder.get(key)
        if values.is_given(value):
            break
    return value


def payload_of(webhook: Object, flagged: set[str]) -> Object:
    """The webhook comes bare or as {"payload": ..., "internal": ...}; both were seen."""
    if "waybill" in webhook or not values.is_given(webhook.get("payload")):
        return webhook
    odd: set[str] = set()
    payload = object_under(webhook, "payload", odd)
    if odd:
        flagged.add(tables.WEBHOOK)
    return payload


def object_under(holder: Object, key: str, flagged: set[str]) -> Object:
    """The object under ``key``: {} if there is none; a wrapped one is read and listed."""
    value = holder.get(key)
    if isinstance(value, dict) and not is_by_number(value):
        return value
    if not values.is_given(value):
        return {}
    flagged.add(key)
    found = unwrapped(value)
    return found if isinstance(found, dict) and not is_by_number(found) else {}


def _items(additional: Object, webhook: Object, content: Object, flagged: set[str]) -> list[object]:
    """The item list, from the first place that has one; a wrapped one is read and listed."""
    for holder in (additional, webhook, content):
        value = holder.get(tables.ITEM)
        if not values.is_given(value):
            continue
        if isinstance(value, list) and not any(map(_is_wrapped, value)):
            return value
        flagged.add(tables.ITEM)
        found = _flat(value)
        if found:
            return found
    return []


def unwrapped(value: object) -> object:
    """An object wrapped as JSON text, alone in a list, or alone by number; else ``value``."""
    for _ in range(WRAPS):
        if _is_json(value):
            value = decode(_bare(value))
        elif isinstance(value, list) and len(value) == 1:
            (value,) = value
        elif isinstance(value, dict) and len(value) == 1 and is_by_number(value):
            (value,) = value.values()
        else:
            break
    return value


def json_in(value: str) -> object:
    """What a text holds that looks like JSON; None where it does not, or is none."""
    return decode(_bare(value)) if _is_json(value) else None


def _is_json(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and _bare(value)[:1] in OPENS


def _bare(text: str) -> str:
    """Without the characters that may precede a JSON text."""
    return text.lstrip("\ufeff\u200b \t\r\n")


def is_by_number(value: object) -> TypeGuard[Object]:
    """Whether an object is a list in another form: its keys are numbers."""
    return isinstance(value, dict) and bool(value) and all(map(_NUMBERED.fullmatch, value))


def _is_wrapped(item: object) -> bool:
    return is_by_number(item) or isinstance(item, list) or _is_json(item)


def _flat(value: object, wraps: int = WRAPS) -> list[object]:
    """The elements of a list written as JSON text, in lists, or as an object by number."""
    if not wraps:
        return []
    if _is_json(value):
        return _flat(decode(_bare(value)), wraps - 1)
    if is_by_number(value):
        value = [value[key] for key in sorted(value, key=int)]
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        return []
    found: list[object] = []
    for element in value:
        inner = _flat(element, wraps - 1)
        found += inner if inner or isinstance(element, list) else [element]
    return found
