"""The findings of `verify`: a file, its fault, and the remedy.

Also the folders of a lake, so that a foreign file is recognised. ``verify`` checks whether the
files match their records.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from returns_orchestration import tables
from returns_orchestration.lake.advice import span_of
from returns_orchestration.lake.entry_names import read_name
from returns_orchestration.lake.forgotten import FORGOTTEN
from returns_orchestration.lake.format import BACKUP, RECORDS_BEFORE
from returns_orchestration.lake.journal import EVER, JOURNAL
from returns_orchestration.lake.lake import REPORTS
from returns_orchestration.lake.names import date_of_folder, dates_in
from returns_orchestration.lake.news import NEWS
from returns_orchestration.lake.poll_log import POLL_LOG
from returns_orchestration.lake.quarantine import QUARANTINE, QUARANTINE_BEFORE
from returns_orchestration.lake.redelivered import REDELIVERED
from returns_orchestration.lake.repolls import REPOLLS
from returns_orchestration.lake.trial import TRIAL
from returns_orchestration.lake.webhooks import RECEIVERS
from returns_orchestration.state.changes import REPORTED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from returns_orchestration.lake.store import Store
    from returns_orchestration.window import Window

Kind = Literal["torn", "altered", "missing", "foreign", "unfinished", "unreadable"]
Remedy = Literal[
    "make", "poll", "webhooks", "quarantine", "entry", "finish", "forget", "restore", "look"
]

REMEDIES: Final[dict[Remedy, str]] = {
    "make": "`rebuild` makes it again",
    "poll": "`rebuild` quarantines the poll, then the hour is to be polled again",
    "webhooks": "restore it from a backup; without one, `rebuild` quarantines it, and what polls "
    "brought of its returns stays",
    "quarantine": "`rebuild` quarantines it",
    "entry": "`rebuild` writes it again",
    "finish": "left by a killed run or receiver; its next start or `rebuild` finishes it",
    "forget": "`forget` without options carries it out",
    "restore": "restore it from a backup; without one, move it away and forget the people of that "
    "time again",
    "look": "look at its permissions and at the disk",
}

SELF_NAMED: Final = {
    tables.ALERTS.name: re.compile(r"[0-9]{8}-(?P<sha256>[0-9a-f]{16})\.parquet"),
    POLL_LOG: re.compile(r"(?P<sha256>[0-9a-f]{16})\.json"),
}
"""Files that are written once, in a folder of their date, without an entry.

Folder to the pattern of a file's name; its group ``sha256`` is the beginning of the content's
own, by which it is verified.
"""

PASSED_OVER: Final = frozenset(
    {
        "_alerts",
        REPORTS,
        REPORTED,
        NEWS,
        FORGOTTEN,
        RECEIVERS,
        REDELIVERED,
        REPOLLS,
        QUARANTINE,
        QUARANTINE_BEFORE,
        RECORDS_BEFORE,
        BACKUP,
    }
)
"""What holds no tables in the lake: state of the pipeline, evidence, an earlier format."""

_FORMAT: Final = re.compile(r"format-[0-9]+\.json")


@dataclass(frozen=True, slots=True)
class Finding:
    """A file that is not as it should be.

    ``window`` and ``number`` name the poll where it is about one, and ``window`` the hour.
    """

    path: str
    kind: Kind
    remedy: Remedy
    window: Window | None = None
    number: int = 0

    @property
    def is_fault(self) -> bool:
        """Whether it is a fault; the remains of a killed run are not, as the next finishes them."""
        return self.kind != "unfinished"

    @property
    def is_of_a_poll(self) -> bool:
        """Whether a poll is to be quarantined, also where a killed run began that."""
        return self.remedy == "poll" or (self.remedy == "quarantine" and self.number > 0)

    @property
    def text(self) -> str:
        """The fault, the file, and the remedy."""
        return f"{self.kind:<10}  {self.path}: {REMEDIES[self.remedy]}"

    @property
    def span(self) -> str:
        """FROM and TO for `rebuild`."""
        return span_of(self.path)


def dates(store: Store) -> list[date]:
    """Every date that has files, oldest first."""
    folders = (*(table.name for table in tables.TABLES), *SELF_NAMED, JOURNAL)
    return sorted({day for folder in folders for day in dates_in(store, folder)})


def strangers(store: Store) -> Iterator[str]:
    """Foreign files beside the tables and beside the dates."""
    folders, files = store.children("")
    yield from files
    of_all_time = {table.name for table in tables.OF_ALL_TIME}
    ours = {*tables.BY_NAME, *SELF_NAMED, JOURNAL}
    for folder in folders:
        if folder in PASSED_OVER:
            continue
        if folder not in ours:
            yield from store.list(folder)
            continue
        below, names = store.children(folder)
        for child in below:
            if folder in of_all_time or date_of_folder(child) is None:
                yield from store.list(f"{folder}/{child}")
        for name in names:
            is_ours = (
                _of_the_journal(name)
                if folder == JOURNAL
                else folder in of_all_time and name == "part-0.parquet"
            )
            if not is_ours:
                yield f"{folder}/{name}"


def _of_the_journal(name: str) -> bool:
    """Whether a file beside the dates of the journal is one of ours."""
    read = read_name(name)
    is_of_all_time = read is not None and (read.at, read.kind) == (EVER, "made")
    return is_of_all_time or _FORMAT.fullmatch(name) is not None or name.startswith(TRIAL)
