"""Changes of the tables since a cursor: for a copy of the lake that follows it.

A cursor records the files that its holder has: a digest of each hour's and day's files, by their
names, sizes and tags. A tag changes each time a file is put (`Store.versions`). So a comparison of
two listings for equality finds a change: no clock counts, no file is opened, and a run need not
note anything for it. A change is found whatever its cause: a poll, a run that was killed between a
file and its entry, a rebuild, a quarantine, a person who deletes a file.

At least once, never missed: the listing comes before the copy. A file that is replaced in between
has another tag by then, and the next look finds it. A file that is listed twice does no harm. A
holder killed during a copy has some files of the new cursor and some of the old one: a look since
both lists all differences from either, also a file that was copied, and is gone.

The newest dates are kept table by table in a cursor, those before hour by hour, and old ones, which
hardly change, date by date; so it stays small. Where an old date changes, all of it is listed.

What counts: every file below the folder of a table, foreign ones included, as readers read them.
What does not: the folders that begin with ``_``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from returns_orchestration import tables
from returns_orchestration.errors import SettingsError
from returns_orchestration.lake.many import side_by_side
from returns_orchestration.window import Ever, Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from returns_orchestration.lake.many import Version
    from returns_orchestration.lake.store import Store
    from returns_orchestration.tables import Table

    Digests = dict[str, str]

REPORTED: Final = "_changes"
"""The folder of the cursor up to which the asset `changed_hours` was materialized."""

BY_TABLE: Final = 5
"""The newest dates, of which a cursor has each table of each hour."""

BY_HOUR: Final = 35
"""The newest dates, of which a cursor has each hour: a month of polls, and some more."""

VERSION: Final = "1"
_DATED: Final = re.compile(r"date=[0-9]{4}-[0-9]{2}-[0-9]{2}")
_HOUR: Final = re.compile(r"hour=(?:[01][0-9]|2[0-3])")
_DIGEST_BYTES: Final = 9
"""72 bits; in base64 they are 12 letters."""

_HOURLY: Final = (tables.RAW_RETURNS, *tables.MADE_HOURLY)
_NAMES_HOURLY: Final = frozenset(table.name for table in _HOURLY)
_PLACES: Final = {table.name: place for place, table in enumerate(tables.TABLES)}


class Cursor(msgspec.Struct, frozen=True, kw_only=True):
    """The files that there were: digests by folder, by hour and by date.

    Dates from ``by_table`` on are kept by folder (``returns/date=D/hour=HH``), those from
    ``by_hour`` on by hour (``date=D/hour=HH``, and ``date=D/`` for files of no hour), all before
    by date (``date=D``). Files without a date are kept by table.
    """

    by_table: str = ""
    by_hour: str = ""
    digests: dict[str, str] = {}

    @property
    def name(self) -> str:
        """Sixteen digits that are the same for the same files, as the text begins with them."""
        return hashlib.sha256(self._content).hexdigest()[:16]

    @property
    def text(self) -> str:
        """The cursor on one line, of letters, digits, ``-``, ``_`` and ``.``."""
        packed = base64.urlsafe_b64encode(zlib.compress(self._content, 9)).decode().rstrip("=")
        return f"{VERSION}.{self.name}.{packed}"

    @property
    def _content(self) -> bytes:
        return json.dumps(msgspec.to_builtins(self), sort_keys=True).encode()

    @classmethod
    def read_all(cls, text: str) -> list[Cursor]:
        """The cursors of a text, one a line. Raises SettingsError for an invalid one."""
        return [cls.read(line) for line in text.splitlines()]

    @classmethod
    def read(cls, text: str) -> Cursor:
        """The cursor of a text. Raises SettingsError where it is invalid."""
        version, _, rest = text.strip().partition(".")
        name, _, packed = rest.partition(".")
        cursor = None
        if version == VERSION:
            try:
                content = zlib.decompress(
                    base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4))
                )
                cursor = msgspec.json.decode(content, type=cls)
            except (ValueError, zlib.error, msgspec.MsgspecError):
                pass
        if cursor is None or cursor.name != name:
            raise SettingsError(
                "This is no cursor of `changes`, or a part of one.",
                next_step="Give the text that `changes` printed last, or leave --since out to list "
                "everything.",
            )
        return cursor


class File(NamedTuple):
    """A file of the lake: its path, and its size in bytes."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Change:
    """One table of one hour, day or of all time that was written; ``files`` are all it has now.

    ``period`` is ``2026-11-09T11:00``, ``2026-11-09`` or ``ever``. ``folder`` holds its files; a
    date does not include the files of its hours, nor all time those of dates. Without files it is
    gone, or never was: where a whole hour or date is listed, every folder that it may have had is
    listed, too.
    """

    table: str
    period: str
    folder: str
    files: tuple[File, ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes since a cursor, in order of period and flow, and the cursor from now on."""

    changes: list[Change]
    cursor: Cursor

    def by_table(self) -> dict[str, list[Change]]:
        """The changes of each table that has any, in flow order."""
        found: dict[str, list[Change]] = defaultdict(list)
        for change in sorted(self.changes, key=lambda c: (_PLACES[c.table], c.period)):
            found[change.table].append(change)
        return dict(found)


@dataclass(slots=True)
class _Listing:
    """The files of each folder, and the digests by folder."""

    files: dict[str, list[Version]] = field(default_factory=lambda: defaultdict(list))

    @property
    def digests(self) -> Digests:
        return {
            folder: _digest(f"{file.path} {file.size} {file.tag}" for file in files)
            for folder, files in self.files.items()
        }


def changes_since(store: Store, *since: Cursor, first: str = "") -> Changes:
    """The differences from any cursor of ``since``; no cursor: from the beginning.

    Raises LakeError. With ``first``, a date as text, and one cursor, earlier dates and tables of
    all time are not looked at: the new cursor keeps the old digests of these, and a later look
    without ``first`` finds their changes.
    """
    since = since or (Cursor(),)
    first = first if len(since) == 1 else ""
    listing = _list(store, first)
    now = listing.digests
    folders: set[str] = set()
    for cursor in since:
        known = {key: digest for key, digest in cursor.digests.items() if _is_in(key, first)}
        changed = _differing(_folded(now, cursor.by_table, cursor.by_hour), known)
        folders |= {f for f in now if _key(f, cursor.by_table, cursor.by_hour) in changed}
        folders |= {folder for key in changed for folder in _possible(key)}
    left = {key: digest for key, digest in since[0].digests.items() if not _is_in(key, first)}
    found = [_change(folder, listing.files.get(folder, [])) for folder in folders]
    found.sort(key=lambda change: (change.period, _PLACES[change.table]))
    return Changes(found, _cursor({**left, **now}))


def reported(store: Store, name: str) -> Cursor | None:
    """The cursor of that name, as `report` has put it; None where it is lost. Raises LakeError."""
    content = store.get(_place_of(name)) if name else None
    try:
        return None if content is None else Cursor.read(content.decode())
    except (SettingsError, UnicodeDecodeError):  # all is reported again, and a new one is put
        return None


def report(store: Store, cursor: Cursor, before: str) -> None:
    """Keep a cursor that is about to be reported, and that of the name ``before``, and no others.

    Raises LakeError. A sensor killed before its report still has the name ``before``, and reports
    the same changes and later ones. A second call changes nothing.
    """
    store.put(_place_of(cursor.name), f"{cursor.text}\n".encode())
    kept = {_place_of(cursor.name), _place_of(before)}
    _, files = store.children(REPORTED)
    store.delete_many(sorted({f"{REPORTED}/{file}" for file in files} - kept))


def _place_of(name: str) -> str:
    return f"{REPORTED}/{name}.txt"


def _list(store: Store, first: str) -> _Listing:
    """The files of all tables, side by side; ``first`` is a date or "" for all."""
    listing = _Listing()

    def look(table: Table) -> Sequence[Version]:
        return store.versions(table.name, f"{table.name}/date={first}" if first else "")

    for of_table in side_by_side(look, tables.TABLES):
        for file in of_table:
            folder = _folder(file.path)
            if _is_in(folder, first):
                listing.files[folder].append(file)
    return listing


def _cursor(digests: Digests) -> Cursor:
    """The newest dates that there are stay as they are, older ones are folded."""
    dates = sorted({date for key in digests if (date := _date_of(key))}, reverse=True)
    by_table = dates[:BY_TABLE][-1] if dates else ""
    by_hour = dates[:BY_HOUR][-1] if dates else ""
    folded = _folded(digests, by_table, by_hour)
    return Cursor(by_table=by_table, by_hour=by_hour, digests=folded)


def _folded(digests: Mapping[str, str], by_table: str, by_hour: str) -> Digests:
    """``digests`` in their final form: an hour's digest is a digest of its folders' digests.

    A date's digest is a digest of its hours': so the hours of a cursor can be folded later, without
    a listing.
    """
    for to, key_of in ((by_table, _hour_of), (by_hour, _day_of)):
        kept: Digests = {}
        groups: dict[str, list[str]] = defaultdict(list)
        for key, digest in digests.items():
            date = _date_of(key)
            if date and date < to and key_of(key) != key:
                groups[key_of(key)].append(f"{key} {digest}")
            else:
                kept[key] = digest
        digests = kept | {key: _digest(lines) for key, lines in groups.items()}
    return dict(digests)


def _folder(path: str) -> str:
    """The folder of a file's hour or day; the table's own folder for all other files."""
    table, date, hour, *_ = (*path.split("/"), "", "")
    if _DATED.fullmatch(date) is None:
        return table
    is_of_an_hour = table in _NAMES_HOURLY and _HOUR.fullmatch(hour)
    return f"{table}/{date}/{hour}" if is_of_an_hour else f"{table}/{date}"


def _key(folder: str, by_table: str, by_hour: str) -> str:
    """The key of ``folder`` in a cursor."""
    date = _date_of(folder)
    if not date or date >= by_table:
        return folder
    return _hour_of(folder) if date >= by_hour else _day_of(folder)


def _hour_of(key: str) -> str:
    """``date=D/hour=HH``, or ``date=D/``, of a folder with a date."""
    if key.startswith("date="):
        return key
    _, date, hour = (*key.split("/"), "")[:3]
    return f"{date}/{hour}"


def _day_of(key: str) -> str:
    """``date=D`` of a folder with a date, or of an hour."""
    return f"date={_date_of(key)}"


def _date_of(key: str) -> str:
    """The date of a key; "" where it has none."""
    return key.partition("date=")[2].partition("/")[0]


def _is_in(key: str, first: str) -> bool:
    """Whether a look from ``first`` on covers ``key``."""
    return not first or _date_of(key) >= first


def _possible(key: str) -> Iterator[str]:
    """The folders that a key may stand for, whether or not they are there."""
    if not key.startswith("date="):
        yield key
        return
    date, by_hour, hour = key.partition("/")
    if hour:
        yield from (f"{table.name}/{key}" for table in _HOURLY)
        return
    yield from (f"{table}/{date}" for table in _PLACES)
    if not by_hour:
        for table in _HOURLY:
            yield from (f"{table.name}/{date}/hour={number:02d}" for number in range(24))


def _differing(one: Mapping[str, str], other: Mapping[str, str]) -> set[str]:
    return {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}


def _digest(lines: Iterable[str]) -> str:
    content = "\n".join(sorted(lines)).encode("utf-8", "surrogateescape")
    return base64.b64encode(hashlib.sha256(content).digest()[:_DIGEST_BYTES]).decode()


def _change(folder: str, files: Iterable[Version]) -> Change:
    table = folder.partition("/")[0]
    window = Window.from_path(folder)
    period = window.text if window else _date_of(folder) or Ever().key
    return Change(table, period, folder, tuple(File(file.path, file.size) for file in files))
