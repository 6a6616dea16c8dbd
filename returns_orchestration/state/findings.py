"""What `verify` finds: a file, what is wrong with it, and what mends it.

Also which folders a lake has, so that a stranger's file is known as one. Whether the files are what
was recorded is for ``verify`` to know.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from returns_orchestration import tables
from returns_orchestration.lake.journal import EVER, JOURNAL, read_name
from returns_orchestration.lake.lake import BACKUP, RECORDS_BEFORE
from returns_orchestration.lake.names import date_of_folder, dates_in
from returns_orchestration.lake.news import NEWS
from returns_orchestration.lake.poll_log import POLL_LOG
from returns_orchestration.lake.quarantine import QUARANTINE, QUARANTINE_BEFORE, span_of
from returns_orchestration.lake.trial import TRIAL
from returns_orchestration.state.changes import REPORTED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from returns_orchestration.lake.store import Store
    from returns_orchestration.window import Window

Kind = Literal["torn", "altered", "missing", "foreign", "unfinished", "unreadable"]
Remedy = Literal["make", "poll", "quarantine", "entry", "finish", "look"]

REMEDIES: Final[dict[Remedy, str]] = {
    "make": "`rebuild` makes it again",
    "poll": "`rebuild` quarantines the poll, then the hour is to be polled again",
    "quarantine": "`rebuild` quarantines it",
    "entry": "`rebuild` writes it again",
    "finish": "left by a killed run; the next run of the hour finishes it, and so does `rebuild`",
    "look": "look at its permissions and at the disk",
}

SELF_NAMED: Final = {
    tables.ALERTS.name: re.compile(r"[0-9]{8}-(?P<sha256>[0-9a-f]{16})\.parquet"),
    POLL_LOG: re.compile(r"(?P<sha256>[0-9a-f]{16})\.json"),
}
"""What is written once, in a folder of its date, with no entry beside it.

Folder to the pattern of a file's name; its group ``sha256`` is the beginning of the content's
own, by which it is verified.
"""

PASSED_OVER: Final = frozenset(
    {"_alerts", REPORTED, NEWS, QUARANTINE, QUARANTINE_BEFORE, RECORDS_BEFORE, BACKUP}
)
"""Folders of the lake that hold no tables: the state of what runs, evidence, an earlier format."""

_FORMAT: Final = re.compile(r"format-[0-9]+\.json")


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
    def is_fault(self) -> bool:
        """Whether all is not well because of it; what a killed run left is finished by the next."""
        return self.kind != "unfinished"

    @property
    def is_of_a_poll(self) -> bool:
        """Whether a poll is to be quarantined, also one of which that was begun by a killed run."""
        return self.remedy == "poll" or (self.remedy == "quarantine" and self.number > 0)

    @property
    def text(self) -> str:
        """What is wrong with which file, and what to do."""
        return f"{self.kind:<10}  {self.path}: {REMEDIES[self.remedy]}"

    @property
    def span(self) -> str:
        """FROM and TO for `rebuild`."""
        return span_of(self.path)


def dates(store: Store) -> list[date]:
    """Every date under which anything stands, oldest first."""
    folders = (*(table.name for table in tables.TABLES), *SELF_NAMED, JOURNAL)
    return sorted({day for folder in folders for day in dates_in(store, folder)})


def strangers(store: Store) -> Iterator[str]:
    """Files beside the tables and beside the dates, where nothing of ours stands."""
    folders, files = store.children("")
    yield from files
    lateness = tables.LATENESS.name
    ours = {*tables.BY_NAME, *SELF_NAMED, JOURNAL}
    for folder in folders:
        if folder in PASSED_OVER:
            continue
        if folder not in ours:
            yield from store.list(folder)
            continue
        below, names = store.children(folder)
        for child in below:
            if folder == lateness or date_of_folder(child) is None:
                yield from store.list(f"{folder}/{child}")
        for name in names:
            is_ours = (
                _of_the_journal(name)
                if folder == JOURNAL
                else folder == lateness and name == "part-0.parquet"
            )
            if not is_ours:
                yield f"{folder}/{name}"


def _of_the_journal(name: str) -> bool:
    """Whether a file beside the dates of the journal is one of ours."""
    read = read_name(name)
    is_of_all_time = read is not None and (read.at, read.kind) == (EVER, "made")
    return is_of_all_time or _FORMAT.fullmatch(name) is not None or name.startswith(TRIAL)
