"""The journal: the facts of each hour and day, as sealed files that never change.

All entries of one date are in one folder, so that one listing of a few dates shows the state of
their hours. The name of an entry holds its period, its kind and its arguments, so a reader of the
listing need not open it, except for the figures of a made hour::

    _journal/date=2026-11-09/11.poll-0001-20261109T121003000000-20261109T121004-23-4711-9f86….json
    _journal/date=2026-11-09/11.made-<inputs>-<rules>-<sizes>-<returns>.json
    _journal/date=2026-11-09/day.made-….json

What lives here: the folders of entries, their seals and digests. What does not: the kinds of
entries (``entry_kinds``), what a name says (``entry_names``), and which names there are
(``names``).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from datetime import date

JOURNAL: Final = "_journal"
FORMAT: Final = 2
"""The format of the journal; 1 was the folder ``_records`` of releases before 0.2."""

DAY: Final = "day"
EVER: Final = "ever"
"""In the place of an hour: the tables of the day of the folder, and of all time."""

_SEAL: Final = b',\n "seal": "%s"\n}\n'
_SEAL_LENGTH: Final = len(_SEAL % hashlib.sha256().hexdigest().encode())


def folder_of(period: str) -> str:
    """The path of an entry of a period up to its kind, ``_journal/date=2026-11-09/11.``."""
    if period == EVER:
        return f"{JOURNAL}/{EVER}."
    day, hour = period[:10], period[11:13]
    return f"{JOURNAL}/date={day}/{hour or DAY}."


def date_folder(day: date) -> str:
    """The folder of one date."""
    return f"{JOURNAL}/date={day.isoformat()}"


def digest_of_sizes(sizes: dict[str, int]) -> str:
    """Eight digits that change when one of the files has another size or place."""
    return _digest((f"{path} {size}" for path, size in sorted(sizes.items())), 8)


def digest_of_inputs(names: Any) -> str:  # noqa: ANN401 - any iterable of text
    """Twelve digits that change with any of ``names``, in whatever order they come."""
    return _digest(sorted(names), 12)


def _digest(lines: Any, length: int) -> str:  # noqa: ANN401
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:length]


def sealed(plain: bytes) -> bytes:
    """A JSON object, indented, with a seal as its last field."""
    body = msgspec.json.format(plain, indent=1).removesuffix(b"\n}")
    return body + _seal(body)


def unsealed(content: bytes) -> bytes | None:
    """The bytes before the seal; None where the seal does not match them."""
    body, seal = content[:-_SEAL_LENGTH], content[-_SEAL_LENGTH:]
    return body if seal == _seal(body) else None


def is_torn(content: bytes) -> bool:
    """Whether an entry that cannot be read has lost its end, and not only other bytes."""
    return not content.endswith(b'"\n}\n')


def _seal(body: bytes) -> bytes:
    return _SEAL % hashlib.sha256(body).hexdigest().encode()
