"""What `verify` finds: a file, what is wrong with it, and what mends it; and what stands where.

``listed`` tells of one date what stands in its hours and in the day, and which files are no place
of the lake at all. Whether the files are what was recorded is for ``verify`` to know.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Final, Literal

from returns_orchestration import tables
from returns_orchestration.lake.aside import ASIDE, span_of
from returns_orchestration.lake.entries import MADE, RECORDS
from returns_orchestration.lake.poll_log import POLL_LOG
from returns_orchestration.lake.trial import TRIAL
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from returns_orchestration.lake.store import Store

Kind = Literal["torn", "altered", "missing", "foreign", "unfinished", "unreadable"]
Remedy = Literal["make", "poll", "aside", "mark", "finish", "look"]

REMEDIES: Final[dict[Remedy, str]] = {
    "make": "`rebuild` makes it again",
    "poll": "`rebuild` sets the poll aside, then the hour is to be polled again",
    "aside": "`rebuild` sets it aside",
    "mark": "`rebuild` puts the mark again",
    "finish": "left by a killed run; the next run of the hour finishes it, and so does `rebuild`",
    "look": "look at its permissions and at the disk",
}

SELF_NAMED: Final = {
    tables.ALERTS.name: re.compile(r"[0-9]{8}-(?P<sha256>[0-9a-f]{16})\.parquet"),
    POLL_LOG: re.compile(r"(?P<sha256>[0-9a-f]{16})\.json"),
}
"""What is written once, in a folder of its date, with no record beside it.

Folder to the pattern of a file's name; its group ``sha256`` is the beginning of the content's
own, by which it is verified.
"""

STATES: Final = frozenset({"_alerts"})
"""Folders of the lake that hold the state of something that runs, and no tables."""

HOURLY: Final = (tables.RAW_RETURNS, *tables.MADE_HOURLY)
PART: Final = "part-0.parquet"
_DATE: Final = re.compile(r"date=([0-9]{4}-[0-9]{2}-[0-9]{2})")


@dataclass(frozen=True, slots=True)
class Finding:
    """A file that is not as it should be.

    ``window`` and ``number`` say which poll where it is about one, and ``window`` which hour.
    """

    path: str
    kind: Kind
    remedy: Remedy
    window: Window | None = None
    number: int = 0

    @property
    def text(self) -> str:
        """What is wrong with which file, and what to do."""
        return f"{self.kind:<10}  {self.path}: {REMEDIES[self.remedy]}"

    @property
    def span(self) -> str:
        """FROM and TO for `rebuild`."""
        return span_of(self.path)


@dataclass(slots=True)
class Listing:
    """What stands under one date: names by hour and folder, and paths in no hour's place."""

    hours: dict[Window, dict[str, set[str]]] = field(default_factory=dict)
    strangers: list[str] = field(default_factory=list)


def date_of(folder: str) -> date | None:
    """The date that a folder's name says, or None."""
    named = _DATE.fullmatch(folder)
    try:
        return date.fromisoformat(named[1]) if named else None
    except ValueError:
        return None


def listed(store: Store, day: date) -> Listing:
    """What stands under one date, in all folders."""
    found = Listing()
    for folder in (*(table.name for table in HOURLY), RECORDS):
        below = f"{folder}/date={day}"
        for path in store.list(below):
            _, _, name = path.removeprefix(below + "/").partition("/")
            window = Window.from_path(path) if name and "/" not in name else None
            if window is not None:
                names = found.hours.setdefault(window, defaultdict(set))
                names[folder].add(name)
            elif path != f"{RECORDS}/date={day}/{MADE}":  # that is the day's
                found.strangers.append(path)
    for folder in (*(table.name for table in tables.MADE_DAILY), *SELF_NAMED):
        for child in store.children(f"{folder}/date={day}")[0]:
            found.strangers += store.list(f"{folder}/date={day}/{child}")
    return found


def of_day(store: Store, day: date) -> dict[str, set[str]]:
    """The names of what stands in one day itself, by folder."""
    folders = (*(table.name for table in tables.MADE_DAILY), *SELF_NAMED, RECORDS)
    return {folder: set(store.children(f"{folder}/date={day}")[1]) for folder in folders}


def of_hour(store: Store, window: Window) -> dict[str, set[str]]:
    """The names of one hour by folder, as they are now."""
    names: dict[str, set[str]] = defaultdict(set)
    for folder in (*(table.name for table in HOURLY), RECORDS):
        below = f"{folder}/{window.path}/"
        names[folder] = {path.removeprefix(below) for path in store.list(below.rstrip("/"))}
    return names


def dates(store: Store) -> list[date]:
    """Every date under which anything stands, oldest first."""
    folders = (*(table.name for table in tables.TABLES), *SELF_NAMED, RECORDS)
    found = {date_of(child) for folder in folders for child in store.children(folder)[0]}
    return sorted(day for day in found if day)


def strangers(store: Store) -> Iterator[str]:
    """Files beside the tables and beside the dates, where nothing of ours stands."""
    folders, files = store.children("")
    yield from files
    lateness = tables.LATENESS.name
    ours = {*tables.BY_NAME, *SELF_NAMED, RECORDS}
    for folder in folders:
        if folder in {ASIDE, *STATES}:
            continue
        if folder not in ours:
            yield from store.list(folder)
            continue
        below, names = store.children(folder)
        for child in below:
            if folder == lateness or date_of(child) is None:
                yield from store.list(f"{folder}/{child}")
        known = {RECORDS: MADE, lateness: PART}.get(folder)
        for name in names:
            if name != known and not (folder == RECORDS and name.startswith(TRIAL)):
                yield f"{folder}/{name}"
