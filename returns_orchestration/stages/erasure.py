"""What is blanked in a record so that it no longer shows whose return it is, and in which records.

Only keys known to hold no personal data keep their values: a key that nobody has seen may hold a
name. Structure, keys and the kept values stay as they are spelled, so that the record is read as
before, but for the blanked columns. It becomes the same whenever it is blanked again.
"""

from __future__ import annotations

import html
import json
import re
import unicodedata
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import unquote

from returns_orchestration import tables
from returns_orchestration.lake.forgotten import hashed
from returns_orchestration.stages import values
from returns_orchestration.stages.typing import Refused, decode, is_by_number, json_in
from returns_orchestration.stages.vocabulary import IDENTIFIER, KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from returns_orchestration.lake.forgotten import Receipt
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

PERSONAL_COLUMNS: Final = frozenset(
    column.name for column in tables.RETURNS.columns if {column.key, column.place} & PERSONAL
)
"""The columns of `returns` that hold a part of an address, or what a courier noted of a person."""

COUNTED: Final = frozenset({"customer_uploaded_images", "images"})
"""Personal keys of lists whose length stays, as it is a column of `return_items`."""

CONTAINERS: Final = frozenset(
    {"additional", "internal", "item_info", "latest_status", "payload", "webhook_payload"}
)
"""Kept keys of objects and lists; any other value of theirs may be about a person."""

FREE_TEXT: Final = frozenset({"description", "return_reason", "return_sub_reason"})
"""Kept keys with words of a person: addresses and telephone numbers in them are removed.

Values of all other kept keys stay as they are, whatever they hold: they count and identify.
"""

ERASED: Final = "(erased)"
"""In the place of personal text, and of a key that may be a name or an address."""

DEEPEST: Final = 30
"""Levels that are looked into; the shapes that ClickPost sends have six."""

PHONE_DIGITS: Final = 10
"""A number counts as the same with and without the code of its country."""

FEWEST_DIGITS, MOST_DIGITS = 7, 15
"""Of a telephone number, with the code of its country."""

_EMAIL: Final = re.compile(r"[\w.+'-]+@[\w-]+(?:\.[\w-]+)+")
_EDGES: Final = "'.-+_"
"""Characters that may stand beside an address as well as in it."""

_DIGITS: Final = re.compile(r"\d+")
_GAP: Final = re.compile(r"[^\w]{1,3}|_")
"""What may stand between the digits of one number."""

_WRITTEN_PHONE: Final = re.compile(r"(?<!\w)\+?\d(?:[\s().-]{0,2}\d){9,14}(?!\d)")
"""A number in free text that is surely one: others may be dates, sizes and names of reasons."""

_ONE_PHONE: Final = re.compile(r"[+\d\s().-]+")


def blanked(record: str) -> str:
    """The record's text without personal data; "" where it is no JSON at all."""
    content = decode(record)
    return "" if content is None else _spelled(_blanked(content))


def people_in(record: str) -> set[str]:
    """The e-mail addresses and telephone numbers in a record, as ``email`` and ``phone`` give."""
    content = decode(record)
    found = _emails(record)  # an object may have a key twice, of which one value is decoded
    for text, is_number in [(record, False)] if content is None else _texts(content):
        found |= _emails(text)
        if not is_number:
            found |= _phones(text)
    return found


def email(text: str) -> str:
    """An e-mail address as it is compared."""
    return f"email:{_plain(text).strip().strip('.').casefold()}"


def phone(text: str) -> str:
    """A telephone number as it is compared: its last digits."""
    return f"phone:{_digits(_plain(text))[-PHONE_DIGITS:]}"


def reference(text: str) -> str:
    """A return's reference, exactly as served, among addresses and numbers."""
    return f"reference:{text}"


def email_given(text: str) -> str | None:
    """The address that somebody gave; None where that is not just one."""
    found = email(text)
    return found if _EMAIL.fullmatch(found.removeprefix("email:")) else None


def phone_given(text: str) -> str | None:
    """The number that somebody gave; None where that is not just one."""
    plain = _plain(text).strip()
    digits = len(_digits(plain))
    is_one = _ONE_PHONE.fullmatch(plain) and FEWEST_DIGITS <= digits <= MOST_DIGITS
    return phone(plain) if is_one else None


def _plain(text: str) -> str:
    """Text as it is searched: in one form, without characters of no width, not escaped."""
    if "&" in text:
        text = html.unescape(text)
    if "%40" in text:
        text = unquote(text)
    if text.isascii():
        return text
    normal = unicodedata.normalize("NFKC", text)
    return "".join(c for c in normal if unicodedata.category(c) != "Cf")


def _digits(text: str) -> str:
    return "".join(str(unicodedata.decimal(c)) for c in text if c.isdecimal())


def _emails(text: str) -> set[str]:
    if "@" not in text and "%40" not in text and "&" not in text and text.isascii():
        return set()
    found = _EMAIL.findall(_plain(text))
    return {email(address) for one in found for address in (one, one.strip(_EDGES))}


def _phones(text: str) -> set[str]:
    """Every number that groups of digits beside each other may be."""
    plain, found = _plain(text), set[str]()
    groups = list(_DIGITS.finditer(plain))
    for first, group in enumerate(groups):
        digits, end = "", group.start()
        for other in groups[first:]:
            between = plain[end : other.start()]
            if digits and not _GAP.fullmatch(between):
                break
            digits, end = digits + _digits(other[0]), other.end()
            if len(digits) > MOST_DIGITS:
                break
            if len(digits) >= FEWEST_DIGITS:
                found.add(f"phone:{digits[-PHONE_DIGITS:]}")
    return found


class HeadReader(Protocol):
    """Reads of which return a decoded record is, and when that was requested."""

    def head(self, content: object) -> tuple[str, datetime] | Refused:
        """Reference and request time, or why it has none."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a record shows: its return, when that was requested, and addresses and numbers.

    ``requested_at`` is None for a record that cannot be used, which may have no ``reference``.
    """

    reference: str | None
    requested_at: datetime | None
    people: frozenset[str]

    @classmethod
    def of(cls, record: str, reader: HeadReader) -> Shown:
        """Of a record's text, with the reader for the zone of its poll."""
        head, people = reader.head(decode(record)), people_in(record)
        found, requested_at = (head.reference, None) if isinstance(head, Refused) else head
        return cls(found, requested_at, frozenset(people))

    def shows(self, wanted: frozenset[str]) -> frozenset[str]:
        """Those of ``wanted`` that it shows, references among them."""
        return (self.people | {reference(self.reference or "")}) & wanted


class Blanking:
    """Which records are to be blanked: those that receipts mean, and all of hours that are old.

    A receipt means the returns of its references, and every record that holds one of its addresses
    or numbers, but not what the same person requested later. A record that holds one makes its
    return a person's, too: ``found`` are the references of such returns that no receipt has yet.
    ``held`` counts blanked records that still show an address or number.
    """

    def __init__(self, receipts: Sequence[Receipt], old: datetime | None) -> None:
        """``old``: records of hours that had ended by then are blanked; None for none."""
        self.found: set[str] = set()
        self.held = 0
        self._old = old
        self._until: dict[bytes, dict[str, datetime]] = {}
        for receipt in receipts:
            until = self._until.setdefault(bytes.fromhex(receipt.salt), {})
            for digest in receipt.hashes:
                until[digest] = max(receipt.at, until.get(digest, receipt.at))

    @property
    def has_old(self) -> bool:
        """Whether records may be too old."""
        return self._old is not None

    def concerns(self, window: Window | None) -> bool:
        """Whether a record of ``window`` may be meant; None for a file of a whole day."""
        return bool(self._until) or (self.has_old if window is None else self.is_old(window))

    def take_found(self) -> list[str]:
        """The references found so far, as they are compared; they are known from then on."""
        found, self.found = sorted(map(reference, self.found)), set()
        for person in found:
            for salt, until in self._until.items():
                until[hashed(person, salt)] = max(until.values())
        return found

    def means(self, window: Window, found: str) -> bool:
        """Whether the return with the reference ``found`` is to be blanked in ``window``."""
        return self.is_old(window) or self._knows(reference(found))

    def is_old(self, window: Window) -> bool:
        """Whether every record of ``window`` is to be blanked."""
        return self._old is not None and window.end <= self._old

    def of(self, window: Window, records: Sequence[str], reader: HeadReader) -> list[str]:
        """The records of a poll of ``window``, some of them blanked."""
        if self.is_old(window):
            return [blanked(record) for record in records]
        if not self._until:
            return list(records)
        shown = [Shown.of(record, reader) for record in records]
        for each in shown:
            found = each.reference
            is_new = found is not None and not self._knows(reference(found))
            if found is not None and is_new and self._shows_one(window, each):
                self.found.add(found)
        return [
            self._blanked(record, window, reader) if self._is_meant(window, each) else record
            for record, each in zip(records, shown, strict=True)
        ]

    def _blanked(self, record: str, window: Window, reader: HeadReader) -> str:
        text = blanked(record)
        self.held += self._shows_one(window, Shown.of(text, reader))
        return text

    def _is_meant(self, window: Window, shown: Shown) -> bool:
        found = shown.reference
        is_known = found is not None and (found in self.found or self._knows(reference(found)))
        return is_known or self._shows_one(window, shown)

    def _knows(self, person: str) -> bool:
        return any(hashed(person, salt) in until for salt, until in self._until.items())

    def _shows_one(self, window: Window, shown: Shown) -> bool:
        """Whether it holds an address or number of a receipt that is not younger than it."""
        requested_at = shown.requested_at or window.start
        for salt, until in self._until.items():
            for person in shown.people:
                at = until.get(hashed(person, salt))
                if at is not None and requested_at <= at + ZONES_DIFFER:
                    return True
        return False


ZONES_DIFFER: Final = timedelta(days=1)
"""A request time may be read in a wrong zone, so this much later it is still the person's."""


def _blanked(value: object, depth: int = 0) -> object:
    """``value``, which should be an object or a list of objects, without what is personal."""
    if depth > DEEPEST:
        return ERASED
    if isinstance(value, dict):
        by_number = is_by_number(value)
        return dict(
            (key, _blanked(inner, depth + 1))
            if by_number or key in CONTAINERS
            else (key, _kept(key, inner, depth + 1))
            if key in KEPT
            else (_key(key, number), _counted(inner) if key in COUNTED else _emptied(inner))
            for number, (key, inner) in enumerate(value.items())
        )
    if isinstance(value, list):
        return [_blanked(inner, depth + 1) for inner in value]
    if isinstance(value, str):
        inner = json_in(value)
        if inner is not None:
            return _spelled(_blanked(inner, depth + 1))
        return ERASED if values.is_given(value) else value
    return value if value is None or isinstance(value, bool) else 0


def _kept(key: str, value: object, depth: int) -> object:
    """``value`` of a kept key, which should be a text or a number."""
    if depth > DEEPEST:
        return ERASED
    if isinstance(value, dict):
        by_number = is_by_number(value)
        return {
            name if by_number else _key(name, number): _kept(key, inner, depth + 1)
            if by_number or name in KEPT
            else _emptied(inner)
            for number, (name, inner) in enumerate(value.items())
        }
    if isinstance(value, list):
        return [_kept(key, inner, depth + 1) for inner in value]
    if isinstance(value, str):
        inner = json_in(value)
        if isinstance(inner, dict | list):
            return _spelled(_kept(key, inner, depth + 1))
        return without_people(value) if key in FREE_TEXT else value
    is_number = key in FREE_TEXT and not isinstance(value, bool | None)
    return ERASED if is_number and _WRITTEN_PHONE.search(_spelled(value)) else value


def without_people(text: str) -> str:
    """Free text without addresses and telephone numbers; untouched where it has none."""
    if not _emails(text) and not _WRITTEN_PHONE.search(_plain(text)):
        return text
    return _WRITTEN_PHONE.sub(ERASED, _EMAIL.sub(ERASED, _plain(text)))


def _emptied(value: object) -> object:
    """Nothing, of the same kind as ``value``."""
    empty: dict[type, object] = {dict: {}, list: [], str: ""}
    return next((none for kind, none in empty.items() if isinstance(value, kind)), None)


def _counted(value: object) -> object:
    """As many values as ``value`` has, without what they are."""
    if isinstance(value, list):
        return [ERASED if values.is_given(inner) else "" for inner in value]
    if value is None or isinstance(value, str):
        return ERASED if values.is_given(value) else value
    return {}  # no list, as before


def _key(key: str, number: int) -> str:
    return key if IDENTIFIER.fullmatch(key) or key in KEPT else f"{ERASED} {number}"


def _texts(content: object) -> Iterator[tuple[str, bool]]:
    """The texts in ``content``, also as numbers and keys; and whether it numbers a parcel or order.

    Without recursion: what is not kept may be nested as deeply as a decoder takes.
    """
    left: list[tuple[object, bool, str | None]] = [(content, True, None)]
    while left:
        value, kept, under = left.pop()
        if isinstance(value, dict):
            by_number = is_by_number(value)
            for key, inner in value.items():
                if not by_number and key not in KEPT:
                    yield key, False
                is_kept = kept and (by_number or key in KEPT)
                is_leaf = not by_number and key not in CONTAINERS
                left.append((inner, is_kept, key if is_leaf else under))
        elif isinstance(value, list):
            left += [(inner, kept, under) for inner in value]
        elif isinstance(value, str) and (inner := json_in(value)) is not None:
            left.append((inner, kept, under))
        elif isinstance(value, str) or (
            isinstance(value, int | float | values.Spelled) and not isinstance(value, bool)
        ):
            text = value if isinstance(value, str) else _spelled(value)
            yield text, kept and under is not None and under not in FREE_TEXT


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
