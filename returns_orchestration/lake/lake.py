"""The tables of the lake for an hour or a day, read and written whole; and its other parts.

A path is a pure function of table and period. Nothing is read without being held against the
journal (a flipped bit in Parquet reads back wrong without an error), and what is found to be
otherwise is noted there, so that the hour counts as damaged from then on.

Order of writes: what is no longer true is taken out of the journal, then all files side by side,
then the entry. So a reader of the journal never trusts what is not there, wherever a run was
killed.

What does not live here: polls (``polls``), and entries that are not of tables (``entries``).
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from returns_orchestration import tables
from returns_orchestration.errors import LakeDamaged, LakeError
from returns_orchestration.lake.advice import missing
from returns_orchestration.lake.entries import Entries, content_of
from returns_orchestration.lake.entry_kinds import (
    MADE,
    FileRecord,
    Made,
    MadeName,
    Waived,
    decode,
    encode,
    made_path,
)
from returns_orchestration.lake.entry_names import read_name
from returns_orchestration.lake.forgotten import Receipts
from returns_orchestration.lake.format import Format
from returns_orchestration.lake.journal import JOURNAL, folder_of
from returns_orchestration.lake.names import Names
from returns_orchestration.lake.news import News
from returns_orchestration.lake.parquet import from_parquet, to_parquet
from returns_orchestration.lake.poll_log import PollLog
from returns_orchestration.lake.polls import Polls
from returns_orchestration.lake.quarantine import copy_to_quarantine
from returns_orchestration.lake.redelivered import Redelivered
from returns_orchestration.lake.repolls import Repolls
from returns_orchestration.lake.trial import try_store
from returns_orchestration.lake.webhooks import Webhooks, entry_path
from returns_orchestration.window import Day, Ever, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import polars as pl

    from returns_orchestration.lake.entry_kinds import Received
    from returns_orchestration.lake.store import Store
    from returns_orchestration.tables import Table

    Period = Window | Day | Ever

P = TypeVar("P", Window, Day, Ever)

REPORTS: Final = "reports"
"""The folder of pages for people."""

REPORT_PAGES: Final = f"{REPORTS}/returns"
"""The folder of the report, with a folder for each day with which one ended."""

KEPT_ENTRIES: Final = 1_000
KEPT_REFERENCES: Final = 10_000
"""Made entries kept at hand, more than a month of them; those of large hours are read again."""


class Lake:
    """The lake on a store; ``clock`` gives the time at which an entry is written."""

    def __init__(self, store: Store, clock: Callable[[], datetime] | None = None) -> None:
        self._clock = clock or (lambda: datetime.now(UTC))
        self.store = store
        self.format = Format(store)
        self.entries = Entries(store)
        self.polls = Polls(store, self.format, self.entries, self._clock)
        self.poll_log = PollLog(store)
        self.news = News(store)
        self.receipts = Receipts(store)
        self.webhooks = Webhooks(store)
        self.redelivered = Redelivered(store)
        self.repolls = Repolls(store)
        self._made: OrderedDict[str, Made] = OrderedDict()

    def path(self, table: Table, period: Period, file: str = "part-0.parquet") -> str:
        """Where a file of ``table`` for an hour or a day stands."""
        return "/".join(part for part in (table.name, period.path, file) if part)

    def uri(self, table: Table, period: Period) -> str:
        """The address of the hour's or day's folder in ``table``."""
        return self.store.uri("/".join(part for part in (table.name, period.path) if part))

    def check_writable(self) -> None:
        """Try what a poll needs, and remove what killed writers left. Raises LakeError."""
        try_store(self.store, self._clock())

    def names(self) -> Names:
        """An empty look at the journal. Raises LakeOlder or LakeNewer for another format."""
        self.format.ensure()
        return Names(self.store)

    def waive(self, window: Window, why: str) -> None:
        """Note that ``window`` need not be polled, and why."""
        self.format.ensure(begin=True)
        entry = Waived(period=window.key, why=why, at=self._clock())
        self.store.put(entry.path, encode(entry))

    def waiver(self, window: Window) -> Waived:
        """Why and when ``window`` was waived. Raises LakeDamaged, also where it was not."""
        found: Waived = self.entries.get(f"{folder_of(window.key)}waived.json")  # type: ignore[assignment]
        return found

    def drop_cache(self) -> None:
        """Keep nothing at hand: what is asked for next is read."""
        self.polls.drop_cache()
        self._made.clear()

    def received(self, names: Names, entry: Received) -> pl.DataFrame:
        """The deliveries of a file; a bad one is noted, so that its hour counts as damaged."""
        try:
            return self.webhooks.read(entry)
        except LakeDamaged:
            self.entries.note_damaged(names, entry_path(entry))
            raise

    # ---- what was made

    def made(self, period: Period, names: Names, kind: str = "made") -> Made | None:
        """What was made of ``period``, or None. Raises LakeDamaged.

        ``kind`` is that of its entry, see MADE. Where a killed run left two entries, it is not
        known which of them is true.
        """
        found = self.made_names(period, names, kind)
        return self.read_made(period, found[0], kind) if len(found) == 1 else None

    def made_names(self, period: Period, names: Names, kind: str = "made") -> list[MadeName]:
        """What the names of a period's made entries say."""
        if isinstance(period, Window):
            of_hour: list[MadeName] = getattr(names.hour(period), kind)
            return of_hour
        if isinstance(period, Day):
            return names.day(period.date, kind)
        read = [read_name(name) for name in self.store.children(JOURNAL)[1]]
        return [MadeName.of(name.arguments) for name in read if name and name.kind == kind]

    def read_made(self, period: Period, name: MadeName, kind: str = "made") -> Made:
        """The made entry of that name. Raises LakeDamaged; one that is altered is noted first."""
        path = made_path(period, name, kind)
        known = self._made.get(path)
        if known is not None:
            self._made.move_to_end(path)
            return known
        return self._kept(path, self._decoded(path, content_of(self.store, path)))

    def _decoded(self, path: str, content: bytes) -> Made:
        try:
            made: Made = decode(content, path)
        except LakeDamaged:
            with suppress(LakeError):  # the error says it, and the next reader notes it
                self.entries.note_damaged(Names(self.store), path)
            raise
        return made

    def read_all_made(self, found: Mapping[P, MadeName], kind: str = "made") -> dict[P, Made]:
        """The made entries of many hours or days, read side by side; a damaged one is left out."""
        paths = {period: made_path(period, name, kind) for period, name in found.items()}
        # Taken first: to keep another one may drop them.
        read = {p: self._made[path] for p, path in paths.items() if path in self._made}
        unknown = {period: path for period, path in paths.items() if period not in read}
        contents = self.store.get_many(list(unknown.values()))
        for (period, path), content in zip(unknown.items(), contents, strict=True):
            if content is not None:
                with suppress(LakeDamaged):
                    read[period] = self._kept(path, self._decoded(path, content))
        return read

    def _kept(self, path: str, made: Made) -> Made:
        if len(made.references) <= KEPT_REFERENCES:
            self._made[path] = made
            if len(self._made) > KEPT_ENTRIES:
                self._made.popitem(last=False)
        return made

    def publish(  # noqa: PLR0913 - what its entry says
        self,
        names: Names,
        period: Period,
        frames: Mapping[str, pl.DataFrame],
        *,
        inputs: str,
        rules: str,
        made_of: list[str],
        facts: dict[str, int],
        first_seen: Mapping[int, tuple[int, int]] | None = None,
        references: bytes = b"",
        check_files: bool = False,
    ) -> tuple[Made, set[str]]:
        """Put the tables made of ``period`` and note them; gives the names of those that changed.

        A file that stands there with the same bytes is left alone, and so is an entry that would
        say the same: twice is the same as once. Without frames the tables are taken away. With
        ``check_files`` each file is read and compared; without, the entry before says what it is.
        """
        contents = {
            name: to_parquet(frame, statistics=tables.BY_NAME[name].statistics)
            for name, frame in frames.items()
        }
        files = {
            name: FileRecord.of(
                self.path(tables.BY_NAME[name], period), content, frames[name].height
            )
            for name, content in contents.items()
        }
        kind = kind_of(frames)
        before = self.made_or_none(period, names, kind)
        changed = self._changed(files, contents, before, check_files=check_files)
        made = MADE[kind](
            period=period.key,
            inputs=inputs,
            rules=rules,
            written_at=self._clock(),
            made_of=made_of,
            files=files,
            facts=facts,
            first_seen=dict(first_seen or {}),
            references=references,
        )
        same = before and msgspec.structs.replace(made, written_at=before.written_at) == before
        if before and same and not changed:
            return before, set()
        # Whatever an entry says: a killed run may have removed it before the files.
        gone = [] if frames else self._paths(period, kind)
        if changed or gone:
            self.invalidate(names, period, kind)
            self.format.keep_replaced([*(files[name].path for name in changed), *gone])
            self.store.delete_many(gone)
            self.store.put_many({files[name].path: contents[name] for name in sorted(changed)})
        self.entries.put(names, made)
        self._kept(made.path, made)
        others = [name for name in self.made_names(period, names, kind) if name != made.name]
        self.entries.remove(names, [made_path(period, name, kind) for name in others])
        return made, changed

    def _changed(
        self,
        files: Mapping[str, FileRecord],
        contents: Mapping[str, bytes],
        before: Made | None,
        *,
        check_files: bool,
    ) -> set[str]:
        """The tables whose file is not there, or is another one."""
        if check_files:
            there = self.store.get_many([file.path for file in files.values()])
            found = zip(files, there, strict=True)
            return {name for name, content in found if content != contents[name]}
        old = before.files if before is not None else {}
        return {name for name, file in files.items() if old.get(name) != file}

    def invalidate(self, names: Names, period: Period, kind: str = "made") -> None:
        """Take out of the journal that the tables of ``period`` are made: they are about not to be.

        Listed anew, as another process may have made them meanwhile: killed between the files and
        the entry, this one would leave its files under the entry of that other one.
        """
        if isinstance(period, Window):
            names.refresh([period])
        elif isinstance(period, Day):
            names.load(period.date, period.date)
        found = self.made_names(period, names, kind)
        self.entries.remove(names, [made_path(period, name, kind) for name in found])

    def withdraw(self, names: Names, period: Period, kind: str = "made") -> None:
        """Take away what was made of ``period``, its entry first. Raises LakeError."""
        self.invalidate(names, period, kind)
        self.store.delete_many(self._paths(period, kind))

    def _paths(self, period: Period, kind: str) -> list[str]:
        """Where the tables of a period stand that an entry of ``kind`` records."""
        by_kind = HOURLY_BY if isinstance(period, Window) else DAILY_BY
        return [self.path(table, period) for table in by_kind.get(kind, ())]

    def quarantine_tables(self, names: Names, window: Window) -> list[str]:
        """Copy the tables of ``window`` that are not as noted out of the way; where to.

        They are about to be made again, in their place. Raises LakeError.
        """
        entries = [self.made_or_none(window, names, kind) for kind in MADE]
        files = [file for made in entries if made for file in made.files.values()]
        contents = self.store.get_many([file.path for file in files])
        altered = [
            file.path
            for file, content in zip(files, contents, strict=True)
            if content is not None and FileRecord.of(file.path, content, file.rows) != file
        ]
        return [place for path in altered if (place := copy_to_quarantine(self.store, path))]

    def read(self, table: Table, period: Period, names: Names) -> pl.DataFrame | None:
        """The rows of ``table``, held against the journal and in today's columns; None if not made.

        A column that was not there when the file was made is null.
        """
        made = self.made(period, names, kind_of([table.name]))
        if made is None or table.name not in made.files:
            return None
        return table.conform(self._read(made.files[table.name], made.path))

    def read_many(
        self, table: Table, periods: Iterable[P], names: Names, *, note: bool = True
    ) -> dict[P, pl.DataFrame]:
        """The rows of ``table`` of those of ``periods`` that are made, read side by side.

        As `read` gives them. Raises LakeDamaged; without ``note`` an altered file is not noted, as
        the caller reads again: two processes that publish one hour at once cross for a moment.
        """
        kind = kind_of([table.name])
        found = {p: of[0] for p in periods if len(of := self.made_names(p, names, kind)) == 1}
        made = self.read_all_made(found, kind)
        for period in found.keys() - made.keys():
            self.read_made(period, found[period], kind)  # raises why it could not be read
        files = {
            period: (made[period].files[table.name], made[period].path)
            for period in found
            if table.name in made[period].files
        }
        contents = self.store.get_many([file.path for file, _ in files.values()])
        return {
            period: table.conform(self._checked(file, entry if note else None, content))
            for (period, (file, entry)), content in zip(files.items(), contents, strict=True)
        }

    def made_or_none(self, period: Period, names: Names, kind: str = "made") -> Made | None:
        """An entry that cannot be read is replaced by a publish, and is no reason to fail it."""
        found = self.made_names(period, names, kind)
        if len(found) != 1:
            return None
        path = made_path(period, found[0], kind)
        with suppress(LakeDamaged):  # not noted: it is about to be replaced
            return self._made.get(path) or self._kept(
                path, decode(content_of(self.store, path), path)
            )
        return None

    def _read(self, file: FileRecord, entry: str) -> pl.DataFrame:
        return self._checked(file, entry, content_of(self.store, file.path))

    def _checked(self, file: FileRecord, entry: str | None, content: bytes | None) -> pl.DataFrame:
        if content is None:
            raise missing(file.path)
        if FileRecord.of(file.path, content, file.rows) != file:
            raise self.entries.found_damaged(file.path, entry)
        return from_parquet(content, file.path)


def kind_of(made: Iterable[str]) -> str:
    """The kind of entry that records the tables of these names."""
    first = next(iter(made), "")
    return next((kind for kind, names in _RECORDED_BY.items() if first in names), "made")


HOURLY_BY: Final = {
    "made": tables.MADE_HOURLY,
    "events": tables.WEBHOOKS_RECEIVED,
    "matched": tables.WEBHOOKS_MATCHED,
}
DAILY_BY: Final = {"made": tables.MADE_DAILY, "matched": tables.WEBHOOKS_DAILY}
"""The tables that each kind of entry records, of an hour and of a day."""

_RECORDED_BY: Final = {
    kind: {table.name for table in (*HOURLY_BY[kind], *DAILY_BY.get(kind, ()))} for kind in MADE
}
