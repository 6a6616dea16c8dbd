"""What stands in the lake for an hour or a day, read and written whole.

A path is a pure function of table and period. Nothing is read without being held against the
journal (a flipped bit in Parquet reads back wrong without an error), and what is found to be
otherwise is noted there, so that the hour counts as damaged from then on.

Order of writes. A poll: its file, which takes the number; the marks in other hours; its entry.
Tables: what is no longer true is taken out of the journal, then all files side by side, then the
entry. So a reader of the journal never trusts what is not there, wherever a run was killed.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from returns_orchestration import tables
from returns_orchestration.errors import LakeDamaged, LakeError, LakeNewer, LakeOlder
from returns_orchestration.lake import journal
from returns_orchestration.lake.advice import rebuild_advice
from returns_orchestration.lake.entry_kinds import (
    MADE,
    UNKNOWN_SHA,
    Again,
    Damaged,
    Entry,
    Erased,
    FileRecord,
    From,
    Lost,
    Made,
    MadeName,
    Placed,
    Poll,
    Rezoned,
    To,
    Waived,
    decode,
    encode,
)
from returns_orchestration.lake.entry_names import came_of, hour_of, name_of_hour, read_name
from returns_orchestration.lake.forgotten import Receipts
from returns_orchestration.lake.journal import FORMAT, JOURNAL, folder_of
from returns_orchestration.lake.names import Names, date_of
from returns_orchestration.lake.news import News
from returns_orchestration.lake.parquet import (
    from_parquet,
    is_whole,
    poll_from_parquet,
    poll_to_parquet,
    to_parquet,
)
from returns_orchestration.lake.poll_log import PollLog
from returns_orchestration.lake.quarantine import (
    copy_to_quarantine,
    move_to_quarantine,
)
from returns_orchestration.lake.redelivered import Redelivered
from returns_orchestration.lake.repolls import Repolls
from returns_orchestration.lake.trial import try_store
from returns_orchestration.lake.webhooks import Webhooks, entry_path
from returns_orchestration.window import Day, Ever, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    import polars as pl

    from returns_orchestration.lake.entry_kinds import Received
    from returns_orchestration.lake.store import Store
    from returns_orchestration.tables import Table

    Period = Window | Day | Ever

P = TypeVar("P", Window, Day, Ever)

RECORDS_BEFORE: Final = "_records"
"""The folder of format 1, which `upgrade` brings over."""

BACKUP: Final = "_before_upgrade"
"""The folder of files that `upgrade` has replaced, for `upgrade --undo`."""

REPORTS: Final = "reports"
"""The folder of pages for people."""

REPORT_PAGES: Final = f"{REPORTS}/returns"
"""The folder of the report, with a folder for each day with which one ended."""

MARKER: Final = f"{JOURNAL}/format-{FORMAT}.json"
_MARKED: Final = b'{"format": %d}\n' % FORMAT
KEPT_BYTES: Final = 8_000_000
"""Bytes of polls that are kept at hand, as an hour is made of polls that were put just before."""

KEPT_ENTRIES: Final = 1_000
KEPT_REFERENCES: Final = 10_000
"""Made entries kept at hand, more than a month of them; those of large hours are read again."""


class Lake:
    """The lake on a store; ``clock`` gives the time at which an entry is written."""

    def __init__(self, store: Store, clock: Callable[[], datetime] | None = None) -> None:
        self.store = store
        self.poll_log = PollLog(store)
        self.news = News(store)
        self.receipts = Receipts(store)
        self.webhooks = Webhooks(store)
        self.redelivered = Redelivered(store)
        self.repolls = Repolls(store)
        self._clock = clock or (lambda: datetime.now(UTC))
        self._has_format = False
        self._keeps_replaced = False
        self._served: OrderedDict[tuple[str, str], tuple[list[str], int]] = OrderedDict()
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

    # ---- the journal

    def names(self) -> Names:
        """An empty look at the journal. Raises LakeOlder or LakeNewer for another format."""
        self.ensure_format()
        return Names(self.store)

    def ensure_format(self, *, begin: bool = False) -> None:
        """Raise LakeOlder or LakeNewer where this release does not write the lake's format.

        With ``begin`` a lake that is empty is given the format of this release.
        """
        if self._has_format:
            return
        if self.store.get(MARKER) is None:
            _, files = self.store.children(JOURNAL)
            # Another process may have put this release's own marker meanwhile.
            own = MARKER.rpartition("/")[2]
            others = [name for name in files if name.startswith("format-") and name != own]
            if others:
                raise LakeNewer(self.store.uri(""), others[-1])
            if own not in files and any(self.store.children(RECORDS_BEFORE)):
                raise LakeOlder(self.store.uri(""))
            if not begin:
                return
            self.store.create(MARKER, _MARKED)
        self._has_format = True

    def skip_format_check(self) -> None:
        """The format was checked under these very settings before: it is not asked for again."""
        self._has_format = True

    def begin_upgrade(self) -> None:
        """Write this release's format beside that of an earlier one, and keep what is replaced."""
        self._has_format = self._keeps_replaced = True

    def end_upgrade(self, inputs: int) -> None:
        """From now on the lake has this release's format, and ``inputs`` entries that count."""
        self.store.put(MARKER, b'{"format": %d, "inputs": %d}\n' % (FORMAT, inputs))
        self._keeps_replaced = False

    def put_entry(self, names: Names, entry: Entry) -> None:
        """Put an entry, in the place of a damaged one, too. Raises LakeUnwritable."""
        content = encode(entry)
        if not self.store.create(entry.path, content):
            self.store.put(entry.path, content)
        names.add(entry.path)

    def entry(self, path: str) -> Entry:
        """The entry at ``path``. Raises LakeDamaged."""
        found: Entry = decode(self._get(path), path)
        return found

    def remove_entries(self, names: Names, paths: Collection[str]) -> None:
        """Take entries out of the journal. Raises LakeUnwritable."""
        if paths:
            self.store.delete_many(list(paths))
        for path in paths:
            names.discard(path)

    def waive(self, window: Window, why: str) -> None:
        """Note that ``window`` need not be polled, and why."""
        self.ensure_format(begin=True)
        entry = Waived(period=window.key, why=why, at=self._clock())
        self.store.put(entry.path, encode(entry))

    def waiver(self, window: Window) -> Waived:
        """Why and when ``window`` was waived. Raises LakeDamaged, also where it was not."""
        found: Waived = self.entry(f"{folder_of(window.key)}waived.json")  # type: ignore[assignment]
        return found

    def mark(self, names: Names, window: Window, homes: Iterable[Window]) -> bool:
        """Note on both sides that ``window`` served returns of ``homes``; whether that was new."""
        new: list[Entry] = []
        for home in set(homes) - {window}:
            if window not in names.hour(home).came_from:
                new.append(From(period=home.key, hour=name_of_hour(window)))
            if home not in names.hour(window).went_to:
                new.append(To(period=window.key, hour=name_of_hour(home)))
        if new:
            self.store.put_many({entry.path: encode(entry) for entry in new})
        for entry in new:
            names.add(entry.path)
        return bool(new)

    # ---- polls

    def create_poll(  # noqa: PLR0913, PLR0917 - what the file says
        self,
        names: Names,
        window: Window,
        number: int,
        polled_at: datetime,
        served: tuple[str, ...],
        zone: str,
    ) -> Poll | None:
        """Put the file of a poll; None if that number is taken. Its entry follows separately."""
        self.ensure_format(begin=True)
        noted_at = self._clock().astimezone(UTC).replace(microsecond=0)
        content = poll_to_parquet(served, polled_at, noted_at, zone, poll_name(window, number))
        path = self.poll_path(window, number)
        if not self.store.create(path, content):
            return None
        names.add_file(tables.RAW_RETURNS.name, path, len(content))
        poll = _poll(window, number, polled_at, noted_at, len(served), zone, content)
        self._keep(path, poll.sha256, list(served), len(content))
        return poll

    def read_unnoted(self, window: Window, number: int) -> tuple[Poll, list[str]]:
        """A poll whose file stands without an entry, and its records. Raises LakeDamaged."""
        path = self.poll_path(window, number)
        content = self._get(path)
        read = poll_from_parquet(content, path, poll_name(window, number))
        if read is None:
            message = f"The file {path} is no whole poll of this lake."
            raise LakeDamaged(message, next_step=rebuild_advice(path))
        records: list[str] = read.frame.get_column("record").to_list()
        poll = _poll(
            window, number, read.polled_at, read.noted_at, len(records), read.zone, content
        )
        return poll, records

    def served(self, poll: Poll) -> list[str]:
        """The records of a kept poll, as served; LakeDamaged if its file is not as noted."""
        path = self.poll_path(Window.from_key(poll.period), poll.number)
        known = self._served.get((path, poll.file[1]))
        if known is not None:
            return known[0]
        content = self._get(path)
        if not is_file_of(content, poll):
            raise self._found_damaged(path, poll.path)
        records: list[str] = from_parquet(content, path).get_column("record").to_list()
        if _seal(content) == poll.file:
            self._keep(path, poll.file[1], records, len(content))
        return records

    def keep_sound(self, names: Names, poll: Poll, blank: Callable[[str], str]) -> bool:
        """Whether the file of a kept poll is sound; an erasure without its entry is noted.

        A file from before an erasure, which somebody has put back, is blanked whole by ``blank``.
        Raises LakeDamaged where it cannot be read now, which says nothing about it. A file whose
        records are at hand is not read again.
        """
        path = self.poll_path(Window.from_key(poll.period), poll.number)
        if (path, poll.file[1]) in self._served:
            return True
        content = self.store.get(path)
        if content is None or not is_file_of(content, poll):
            return False
        seal = _seal(content)
        if seal == poll.file:
            return True
        if seal in poll.files:
            self.erase(names, poll, [blank(record) for record in self.served(poll)], is_blank=True)
        else:
            self._note_erased(names, poll, content, is_blank=False)
        return True

    def erase(self, names: Names, poll: Poll, records: list[str], *, is_blank: bool) -> None:
        """Put ``records``, where some were blanked, in the place of those of a kept poll.

        ``is_blank``: no personal data is left in any. The file comes first: it has a seal of its
        own, so that readers trust it before the entry names it. A second call notes what a killed
        one has put. Raises LakeError.
        """
        window = Window.from_key(poll.period)
        path, name = self.poll_path(window, poll.number), poll_name(window, poll.number)
        content = poll_to_parquet(records, poll.polled_at, poll.noted_at, poll.zone, name)
        if self.store.get(path) != content:
            self.store.put(path, content)
            names.add_file(tables.RAW_RETURNS.name, path, len(content))
        self._note_erased(names, poll, content, is_blank=is_blank)

    def _note_erased(self, names: Names, poll: Poll, content: bytes, *, is_blank: bool) -> None:
        size, sha = _seal(content)
        if (size, sha) == poll.file and is_blank <= poll.is_blank:
            return
        entry = Erased(
            period=poll.period,
            number=poll.number,
            change=poll.erased[-1].change + 1 if poll.erased else 1,
            what="all" if is_blank else "some",
            size=size,
            sha256=sha,
        )
        self.put_entry(names, entry)

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

    def drop_cache(self) -> None:
        """Keep nothing at hand: what is asked for next is read."""
        self._served.clear()
        self._made.clear()

    def _keep(self, path: str, sha: str, records: list[str], size: int) -> None:
        self._served[path, sha] = records, size
        while len(self._served) > 1 and sum(s for _, s in self._served.values()) > KEPT_BYTES:
            self._served.popitem(last=False)

    def quarantine_poll(self, names: Names, window: Window, number: int) -> list[str]:
        """Move a poll that is bad, and its entry, out of the way; where to.

        First its number is noted as lost, so that it is never given again and the hour is known to
        be polled again; killed anywhere, the same again ends it. 0 is the number of what was noted
        and not kept.
        """
        hour = names.hour(window)
        # Not of hour.polls: who is killed after the note finds it no longer among those.
        begin = f"{window.start:%H}.poll-{number:04d}-"
        day = window.start.date()
        folder = journal.date_folder(day)
        entries = [f"{folder}/{name}" for name in names.of(day) if name.startswith(begin)]
        sha = next((p.sha256 for p in hour.polls if p.number == number), UNKNOWN_SHA)
        if number not in {lost for lost, _, _ in hour.lost} or not (number or hour.has_lost_a_poll):
            following = max(hour.next_number, number + 1)
            self.put_entry(
                names,
                Lost(period=window.key, number=number, sha256=sha, next_number=following),
            )
        data = self.poll_path(window, number)
        # Its entry first: what the journal does not name is not read.
        moved = [
            place for path in (*entries, data) if (place := move_to_quarantine(self.store, path))
        ]
        for path in entries:
            names.discard(path)
        self.clear_damaged(names, window, [data])
        return moved

    def poll_path(self, window: Window, number: int) -> str:
        """Where the file of a poll stands."""
        return self.path(tables.RAW_RETURNS, window, f"poll-{number:04d}.parquet")

    def again(self, names: Names, window: Window) -> list[Again]:
        """The replies that repeated what a newer poll of another window contradicts."""
        folder = f"{journal.date_folder(window.start.date())}/"
        found = [self._own_entry(names, folder + name) for name in names.hour(window).again]
        return [entry for entry in found if isinstance(entry, Again)]

    def placed(self, names: Names, window: Window) -> list[Placed]:
        """The webhooks that say that a return of ``window`` was placed. Raises LakeDamaged.

        An entry that another process has replaced since the listing is read anew.
        """
        while True:
            placed = names.hour(window).placed
            try:
                found = [self._own_entry(names, one.path) for one in placed]
            except LakeDamaged:
                names.refresh([window])
                if names.hour(window).placed == placed:
                    raise
            else:
                return [entry for entry in found if isinstance(entry, Placed)]

    def received(self, names: Names, entry: Received) -> pl.DataFrame:
        """The deliveries of a file; a bad one is noted, so that its hour counts as damaged."""
        try:
            return self.webhooks.read(entry)
        except LakeDamaged:
            self.note_damaged(names, entry_path(entry))
            raise

    def put_placed(self, names: Names, entry: Placed) -> None:
        """Put ``entry`` in the place of those of the same hour of receipt. Idempotent."""
        placed = names.hour(Window.from_key(entry.period)).placed
        before = [one.path for one in placed if name_of_hour(one.came) == entry.hour]
        if entry.path not in before:
            self.put_entry(names, entry)
        self.remove_entries(names, [path for path in before if path != entry.path])

    def _own_entry(self, names: Names, path: str) -> Entry:
        """An entry that tables are made of; one that is damaged is noted first."""
        try:
            return self.entry(path)
        except LakeDamaged:
            if self.store.get(path) is not None:
                self.note_damaged(names, path)
            raise

    def absent_entries(self, names: Names, window: Window, made_of: Iterable[str]) -> list[str]:
        """The entries of ``window`` itself among ``made_of`` that are no longer there.

        Without those of webhooks that a newer one has replaced.
        """
        begin = folder_of(window.key)
        there = set(names.of(window.start.date()))
        folder = f"{journal.date_folder(window.start.date())}/"
        absent = [p for p in made_of if p.startswith(begin) and p.removeprefix(folder) not in there]
        renewed = {one.came for one in names.hour(window).placed}
        return [
            path for path in absent if came_of(path) not in renewed and self.store.get(path) is None
        ]

    def bad_entries(self, names: Names, window: Window, kind: str) -> list[str]:
        """The entries of ``window`` of a kind in INPUTS that are not as they were written."""
        folder = f"{journal.date_folder(window.start.date())}/"
        begin = f"{window.start:%H}.{kind}-"
        bad: list[str] = []
        for name in names.hour(window).inputs:
            if not name.startswith(begin):
                continue
            content = self.store.get(folder + name)
            try:
                if content is not None:
                    decode(content, folder + name)
            except LakeDamaged:
                bad.append(folder + name)
        return bad

    def rezone(self, names: Names, window: Window, zone: str) -> int:
        """Note that the naive times of the kept polls of ``window`` are of ``zone``; how many."""
        hour = names.hour(window)
        changed = [poll for poll in hour.polls if hour.zone_of(poll) != zone]
        for poll in changed:
            change = hour.rezoned.get(poll.number, (0, ""))[0] + 1
            self.put_entry(
                names, Rezoned(period=window.key, number=poll.number, change=change, zone=zone)
            )
        return len(changed)

    # ---- what was found damaged

    def _found_damaged(self, path: str, entry: str) -> LakeDamaged:
        """Note that a file is not what ``entry`` says; the error to be raised.

        Not where that entry is gone: another process is about to replace the file.
        """
        with suppress(LakeError):  # the error says it, and the next reader notes it
            if self.store.get(entry) is not None:
                self.note_damaged(Names(self.store), path)
        message = f"The file {path} is not what was recorded when it was written."
        return LakeDamaged(message, next_step=rebuild_advice(path))

    def note_damaged(self, names: Names, path: str) -> None:
        """Note that the file or made entry at ``path`` is damaged; a day then counts as not made.

        A day can always be made again of its hours, and a table of all time is, once a day.
        """
        window, day = Window.from_path(path) or hour_of(path), date_of(path)
        if window is not None:
            self.put_entry(names, Damaged(period=window.key, file=path))
        elif day is not None:
            if path.startswith(JOURNAL):  # what is found bad is never deleted
                move_to_quarantine(self.store, path)
            of_day = Day(day, tables.UTC_DAYS)  # whose zone is no part of its key
            for kind in MADE:
                of_kind = [made_path(of_day, name, kind) for name in names.day(day, kind)]
                self.remove_entries(names, of_kind)

    def clear_damaged(
        self, names: Names, window: Window, files: Iterable[str] | None = None
    ) -> None:
        """Take the notes about ``files`` of ``window``, or about all, away: they are mended."""
        folder = journal.date_folder(window.start.date())
        damaged = {f"{folder}/{name}" for name in names.hour(window).damaged}
        if files is not None:
            damaged &= {Damaged(period=window.key, file=file).path for file in files}
        self.remove_entries(names, sorted(damaged))

    # ---- what was made

    def made(self, period: Period, names: Names, kind: str = "made") -> Made | None:
        """What was made of ``period``, or None. Raises LakeDamaged.

        ``kind`` is that of its entry, see MADE. Where a killed run left two entries, it is
        not known which of them is true.
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
        return self._kept(path, self._decoded(path, self._get(path)))

    def _decoded(self, path: str, content: bytes) -> Made:
        try:
            made: Made = decode(content, path)
        except LakeDamaged:
            with suppress(LakeError):  # the error says it, and the next reader notes it
                self.note_damaged(Names(self.store), path)
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
        contents = {name: to_parquet(frame) for name, frame in frames.items()}
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
            if self._keeps_replaced:
                self._keep_replaced([*(files[name].path for name in changed), *gone])
            self.store.delete_many(gone)
            self.store.put_many({files[name].path: contents[name] for name in sorted(changed)})
        self.put_entry(names, made)
        self._kept(made.path, made)
        others = [name for name in self.made_names(period, names, kind) if name != made.name]
        self.remove_entries(names, [made_path(period, name, kind) for name in others])
        return made, changed

    def _keep_replaced(self, paths: list[str]) -> None:
        """Copy files that are about to be replaced, each once, so that `upgrade --undo` can.

        The copy of a file that is not there is empty, which no Parquet file is.
        """
        for path, content in zip(paths, self.store.get_many(paths), strict=True):
            self.store.create(f"{BACKUP}/{path}", content or b"")

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
        self.remove_entries(names, [made_path(period, name, kind) for name in found])

    def withdraw(self, names: Names, period: Period, kind: str = "made") -> None:
        """Take away what was made of ``period``, its entry first. Raises LakeError."""
        self.invalidate(names, period, kind)
        self.store.delete_many(self._paths(period, kind))

    def _paths(self, period: Period, kind: str) -> list[str]:
        """Where the tables of a period stand that an entry of ``kind`` records."""
        by_kind = HOURLY_BY if isinstance(period, Window) else DAILY_BY
        return [self.path(table, period) for table in by_kind.get(kind, ())]

    def read(self, table: Table, period: Period, names: Names) -> pl.DataFrame | None:
        """The rows of ``table``, held against the journal and in today's columns; None if not made.

        A column that was not there when the file was made is null.
        """
        made = self.made(period, names, kind_of([table.name]))
        if made is None or table.name not in made.files:
            return None
        return table.conform(self._read(made.files[table.name], made.path))

    def read_many(self, table: Table, periods: Iterable[P], names: Names) -> dict[P, pl.DataFrame]:
        """The rows of ``table`` of those of ``periods`` that are made, read side by side.

        As `read` gives them. Raises LakeDamaged.
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
            period: table.conform(self._checked(file, entry, content))
            for (period, (file, entry)), content in zip(files.items(), contents, strict=True)
        }

    def made_or_none(self, period: Period, names: Names, kind: str = "made") -> Made | None:
        """An entry that cannot be read is replaced by a publish, and is no reason to fail it."""
        found = self.made_names(period, names, kind)
        if len(found) != 1:
            return None
        path = made_path(period, found[0], kind)
        with suppress(LakeDamaged):  # not noted: it is about to be replaced
            return self._made.get(path) or self._kept(path, decode(self._get(path), path))
        return None

    def _read(self, file: FileRecord, entry: str) -> pl.DataFrame:
        return self._checked(file, entry, self._get(file.path))

    def _checked(self, file: FileRecord, entry: str, content: bytes | None) -> pl.DataFrame:
        if content is None:
            raise _missing(file.path)
        if FileRecord.of(file.path, content, file.rows) != file:
            raise self._found_damaged(file.path, entry)
        return from_parquet(content, file.path)

    def _get(self, path: str) -> bytes:
        content = self.store.get(path)
        if content is None:
            raise _missing(path)
        return content


def _missing(path: str) -> LakeDamaged:
    return LakeDamaged(f"The file {path} is missing.", next_step=rebuild_advice(path))


def made_path(period: Period, name: MadeName, kind: str = "made") -> str:
    """Where a made entry stands."""
    return f"{folder_of(period.key)}{kind}-{name.text}.json"


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


def poll_name(window: Window, number: int) -> str:
    """What a poll is called, ``2026-11-09-11:00/poll-0001``."""
    return f"{window.key}/poll-{number:04d}"


def _poll(  # noqa: PLR0913, PLR0917 - what an entry says
    window: Window,
    number: int,
    polled_at: datetime,
    noted_at: datetime,
    rows: int,
    zone: str,
    content: bytes,
) -> Poll:
    return Poll(
        period=window.key,
        number=number,
        polled_at=polled_at,
        noted_at=noted_at,
        rows=rows,
        size=len(content),
        sha256=_sha(content),
        zone=zone,
    )


def is_file_of(content: bytes, poll: Poll) -> bool:
    """Whether ``content`` is the file of ``poll`` as noted, or another whole one of that poll.

    That is an erasure that is not noted yet, which has a seal of its own; or one from before it.
    """
    name = poll_name(Window.from_key(poll.period), poll.number)
    return _seal(content) in poll.files or is_whole(content, name)


def _seal(content: bytes) -> tuple[int, str]:
    """Size and sha256 of a file, as entries about polls have them."""
    return len(content), _sha(content)


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
