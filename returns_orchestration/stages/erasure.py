"""What is blanked in a record so that it no longer shows whose return it is, and in which records.

Only keys known to hold no personal data keep their values: a key that nobody has seen may hold a
name. Structure, keys and the kept values stay as they are spelled, so that the record is read as
before, but for the blanked columns. It becomes the same whenever it is blanked again.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from returns_orchestration import tables
from returns_orchestration.stages import values
from returns_orchestration.stages.typing import Refused, decode, is_by_number, json_in
from returns_orchestration.stages.vocabulary import IDENTIFIER, KEYS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from returns_orchestration.lake.forgotten import Receipt
    from returns_orchestration.stages.typing import RecordReader
    from returns_orchestration.window import Window

PERSONAL: Final = frozenset(
    {
        "customer_comment",
        "customer_name",
        "customer_uploaded_images",
        "images",
        "location",
        "pickup_info",
        "remark",
        "return_address",
        "return_phone_number",
        "return_pickup_address",
        "return_pickup_phone_number",
    }
)
"""Known keys, wherever they are, whose values are or may be about a person."""

KEPT: Final = frozenset().union(*KEYS.values()) - PERSONAL
"""Keys whose values stay."""

PERSONAL_COLUMNS: Final = frozenset(c.name for c in tables.RETURNS.columns if c.key in PERSONAL)
"""The columns of `returns` that may hold an address, or what a courier noted of a person."""

ERASED: Final = "(erased)"
"""In the place of a key that is no identifier, and may be a name or an address."""

PHONE_DIGITS: Final = 10
"""A number counts as the same with and without the code of its country."""

_EMAIL: Final = re.compile(r"[^\s@<>\"',;:()]+@[^\s@<>\"',;:()]+")
_PHONE: Final = re.compile(r"\+?\d(?:[\s().-]*\d){6,14}")


def blanked(record: str) -> str:
    """The record's text without personal data; "" where it is no JSON at all."""
    content = decode(record)
    return "" if content is None else _spelled(_blanked(content, kept=True))


def people_in(record: str) -> set[str]:
    """The e-mail addresses and telephone numbers in a record, as ``email`` and ``phone`` give."""
    found: set[str] = set()
    content = decode(record)
    leaves = [(record, False)] if content is None else _leaves(content, kept=True)
    for text, kept in leaves:
        found |= {email(address) for address in _EMAIL.findall(text)}
        if not kept:  # what is kept are numbers of parcels and orders
            found |= {phone(number) for number in _PHONE.findall(text)}
    return found


def email(text: str) -> str:
    """An e-mail address as it is compared."""
    return f"email:{text.strip().strip('.').casefold()}"


def phone(text: str) -> str:
    """A telephone number as it is compared: its last digits."""
    return f"phone:{''.join(filter(str.isdecimal, text))[-PHONE_DIGITS:]}"


def reference(text: str) -> str:
    """A return's reference, exactly as served, among addresses and numbers."""
    return f"reference:{text}"


def can_be_found(person: str) -> bool:
    """Whether ``email``, ``phone`` or ``reference`` was given one that can be found."""
    kind, _, value = person.partition(":")
    if kind == "reference":
        return True
    return bool(_EMAIL.fullmatch(value) if kind == "email" else _PHONE.fullmatch(value))


def hashed(person: str, salt: bytes) -> str:
    """A keyed hash of an address or number, so that what is kept is none."""
    return hmac.new(salt, person.encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Shown:
    """What a record shows: its return, when that was requested, and the people in it.

    ``requested_at`` is None for a record that cannot be used, which may have no ``reference``.
    """

    reference: str | None
    requested_at: datetime | None
    people: frozenset[str]

    @classmethod
    def of(cls, record: str, reader: RecordReader) -> Shown:
        """Of a record's text, with the reader for the zone of its poll."""
        head, people = reader.head(decode(record)), people_in(record)
        found, requested_at = (head.reference, None) if isinstance(head, Refused) else head
        if found is not None:
            people.add(reference(found))
        return cls(found, requested_at, frozenset(people))


class Blanking:
    """Which records are to be blanked: those that receipts mean, and all of hours that are old.

    A receipt means the returns of its references, and every record that holds one of its addresses
    or numbers, but not what the same person requested later.
    """

    def __init__(self, receipts: Iterable[Receipt], old: datetime | None) -> None:
        """``old``: records of hours that had ended by then are blanked; None for none."""
        self._old = old
        self._until: dict[bytes, dict[str, datetime]] = {}
        for receipt in receipts:
            until = self._until.setdefault(bytes.fromhex(receipt.salt), {})
            until |= {
                digest: max(receipt.at, until.get(digest, receipt.at)) for digest in receipt.hashes
            }

    @property
    def has_old(self) -> bool:
        """Whether records may be too old."""
        return self._old is not None

    def concerns(self, window: Window) -> bool:
        """Whether a record of ``window`` may be meant."""
        return bool(self._until) or self.is_old(window)

    def means(self, window: Window, found: str) -> bool:
        """Whether the return with the reference ``found`` is to be blanked in ``window``."""
        shown = Shown(found, None, frozenset({reference(found)}))
        return self.is_old(window) or self._is_meant(window, shown)

    def is_old(self, window: Window) -> bool:
        """Whether every record of ``window`` is to be blanked."""
        return self._old is not None and window.end <= self._old

    def of(self, window: Window, records: Sequence[str], reader: RecordReader) -> list[str]:
        """The records of a poll of ``window``, some of them blanked."""
        if self.is_old(window):
            return [blanked(record) for record in records]
        if not self._until:
            return list(records)
        shown = ((record, Shown.of(record, reader)) for record in records)
        return [blanked(r) if self._is_meant(window, of) else r for r, of in shown]

    def _is_meant(self, window: Window, shown: Shown) -> bool:
        requested_at = shown.requested_at or window.start
        for salt, until in self._until.items():
            for person in shown.people:
                at = until.get(hashed(person, salt))
                is_return = person.startswith("reference:")
                if at is not None and (is_return or requested_at <= at + ZONES_DIFFER):
                    return True
        return False


ZONES_DIFFER: Final = timedelta(days=1)
"""A request time may be read in a wrong zone, so this much later it is still the person's."""


def _blanked(value: object, *, kept: bool) -> object:
    """``value`` under a key whose values are ``kept``, or not."""
    if isinstance(value, dict):
        by_number = is_by_number(value)
        return {
            _key(key, number): _blanked(inner, kept=kept and (by_number or key in KEPT))
            for number, (key, inner) in enumerate(value.items())
        }
    if isinstance(value, list):
        return [_blanked(inner, kept=kept) for inner in value]
    if isinstance(value, str):
        inner = json_in(value) if kept else None
        if isinstance(inner, dict | list):
            return _spelled(_blanked(inner, kept=True))
        return value if kept else ""
    return value if kept else None


def _key(key: str, number: int) -> str:
    is_plain = IDENTIFIER.fullmatch(key) or key in KEPT or key.isdecimal()
    return key if is_plain else f"{ERASED} {number}"


def _leaves(value: object, *, kept: bool) -> Iterator[tuple[str, bool]]:
    """The texts and numbers in ``value``, keys included, and whether they would be kept."""
    if isinstance(value, dict):
        by_number = is_by_number(value)
        for key, inner in value.items():
            is_kept = kept and (by_number or key in KEPT)
            if not is_kept:
                yield key, False
            yield from _leaves(inner, kept=is_kept)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, kept=kept)
    elif isinstance(value, str):
        inner = json_in(value)
        if isinstance(inner, dict | list):
            yield from _leaves(inner, kept=kept)
        else:
            yield value, kept
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield _spelled(value), kept


def _spelled(value: object) -> str:
    """JSON text; a number is spelled as it was received."""
    if isinstance(value, dict):
        inner = ", ".join(f"{json.dumps(key)}: {_spelled(v)}" for key, v in value.items())
        return f"{{{inner}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_spelled, value))}]"
    if isinstance(value, values.Spelled):
        return value.text
    return json.dumps(value)
