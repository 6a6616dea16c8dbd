"""Tables, hours and paths: what stands in the lake for one hour, read and written whole.

A path is a pure function of table and hour. Nothing is read without being held against its record
(a flipped bit in Parquet reads back wrong without an error), and nothing is written that is there.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from returns_orchestration import tables
from returns_orchestration.errors import LakeDamaged
from returns_orchestration.lake import entries, records
from returns_orchestration.lake.aside import move_aside, rebuild_advice
from returns_orchestration.lake.entries import MADE, RECORDS, WAIVER, HourEntry
from returns_orchestration.lake.parquet import (
    from_parquet,
    poll_from_parquet,
    poll_to_parquet,
    to_parquet,
)
from returns_orchestration.lake.poll_log import PollLog
from returns_orchestration.lake.records import (
    FileRecord,
    LostPoll,
    MadeRecord,
    PollRecord,
    Waiver,
    poll_name,
)
from returns_orchestration.lake.trial import try_store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import polars as pl

    from returns_orchestration.lake.store import Store
    from returns_orchestration.tables import Table
    from returns_orchestration.window import Day, Ever, Window

    Period = Window | Day | Ever

_POLL_DATA: Final = re.compile(r"poll-([0-9]{4,})\.parquet")


class NewPoll(NamedTuple):
    """A poll's data before it has a record: when and under which zone it was sent, rows, file."""

    polled_at: datetime
    frame: pl.DataFrame
    file: FileRecord
    zone: str


class Lake:
    """The lake on a store; ``clock`` tells the time at which a record is written."""

    def __init__(self, store: Store, clock: Callable[[], datetime] | None = None) -> None:
        self.store = store
        self.poll_log = PollLog(store)
        self._clock = clock or (lambda: datetime.now(UTC))

    def path(self, table: Table, period: Period, file: str = "part-0.parquet") -> str:
        """Where a file of ``table`` for an hour or a day stands."""
        return _joined(table.name, period.path, file)

    def uri(self, table: Table, period: Period) -> str:
        """The address of the hour's or day's folder in ``table``."""
        return self.store.uri(_joined(table.name, period.path))

    def check_writable(self) -> None:
        """Try what a poll needs, and remove what killed writers left. Raises LakeError."""
        try_store(self.store, self._clock())

    # ---- names: what there is

    def entry(self, window: Window) -> HourEntry:
        """What there is of ``window``, from one listing of its records."""
        return entries.read_entries(self.store.list(f"{RECORDS}/{window.path}")).get(
            window, HourEntry()
        )

    def entries(self) -> dict[Window, HourEntry]:
        """What there is of every hour, from one listing of all records."""
        return entries.read_entries(self.store.list(RECORDS))

    def waive(self, window: Window, why: str) -> None:
        """Note that ``window`` need not be polled, and why."""
        waiver = Waiver(window=window.key, waived_at=self._clock(), why=why)
        self.store.put(f"{RECORDS}/{window.path}/{WAIVER}", records.encode(waiver))

    def waiver(self, window: Window) -> Waiver | None:
        """The waiver of ``window``, or None."""
        path = f"{RECORDS}/{window.path}/{WAIVER}"
        content = self.store.get(path)
        return None if content is None else records.decode_waiver(content, path)

    # ---- polls

    def polls(self, window: Window, entry: HourEntry | None = None) -> list[PollRecord]:
        """The kept polls of ``window``, oldest number first; those of ``entry`` if it is given."""
        entry = self.entry(window) if entry is None else entry
        return [self.poll(window, number) for number in entry.polls]

    def poll(self, window: Window, number: int) -> PollRecord:
        """The record of the ``number``-th kept poll of ``window``."""
        path = self.poll_record_path(window, number)
        record = records.decode_poll(self._get(path), path)
        if (record.window, record.number) != (window.key, number):
            raise _of_another(path)
        return record

    def unrecorded_polls(self, window: Window) -> list[int]:
        """Numbers of polls whose data stands there and whose record does not: a run was killed.

        What is left of a poll that was set aside is none.
        """
        entry = self.entry(window)
        known = {*entry.polls, *dict(entry.lost)}
        files = self.store.list(f"{tables.RAW_RETURNS.name}/{window.path}")
        found = [_POLL_DATA.fullmatch(path.rsplit("/", 1)[-1]) for path in files]
        return sorted({int(poll[1]) for poll in found if poll} - known)

    def create_poll(
        self,
        window: Window,
        number: int,
        polled_at: datetime,
        served: tuple[str, ...],
        zone: str = "",
    ) -> bool:
        """Put the data of a poll; False if that number is taken. Its record follows separately."""
        content = poll_to_parquet(served, polled_at, poll_name(window.key, number), zone)
        return self.store.create(self.poll_path(window, number), content)

    def read_new_poll(self, window: Window, number: int) -> NewPoll:
        """A poll's data before it has a record."""
        path = self.poll_path(window, number)
        content = self._get(path)
        name = poll_name(window.key, number)
        read = poll_from_parquet(content, path, name)
        if read is None:
            message = f"The file {path} is no whole poll of this lake."
            raise LakeDamaged(message, next_step=rebuild_advice(path))
        polled_at, frame, zone = read
        return NewPoll(polled_at, frame, FileRecord.of(path, content, frame.height), zone)

    def record_poll(  # noqa: PLR0913, PLR0917 - each is a field of the record
        self,
        window: Window,
        number: int,
        polled_at: datetime,
        file: FileRecord,
        homes: Mapping[Window, int],
        rejected: int,
        zone: str = "",
    ) -> PollRecord:
        """Note a poll whose data stands; pointers from other hours first, lest one be missed."""
        record = PollRecord(
            window=window.key,
            number=number,
            polled_at=polled_at,
            written_at=self._clock(),
            file=file,
            homes={home.key: count for home, count in sorted(homes.items())},
            rejected=rejected,
            zone=zone,
        )
        for home in homes:
            if home != window:
                self.store.create(entries.pointer_path(home, window), b"")
        self.store.put(self.poll_record_path(window, number), records.encode(record))
        return record

    def set_poll_aside(self, window: Window, number: int) -> list[str]:
        """Move a poll that is bad, and its record, out of the way; where to.

        First its number is noted as lost, so that it is never given again and the hour is known to
        be polled again; killed anywhere, the same again ends it.
        """
        self.note_lost(window, number)
        # Its record first: what nobody names nobody reads.
        paths = (self.poll_record_path(window, number), self.poll_path(window, number))
        return [place for place in (move_aside(self.store, path) for path in paths) if place]

    def note_lost(self, window: Window, number: int) -> None:
        """Note that a poll is lost until another is kept, and anew where the note is damaged."""
        entry = self.entry(window)
        path = entries.lost_path(window, number, dict(entry.lost).get(number, entry.next_number))
        with suppress(LakeDamaged):
            content = self.store.get(path)
            if content is not None and records.decode_lost(content, path):
                return
        lost = LostPoll(window=window.key, number=number, set_aside_at=self._clock())
        self.store.put(path, records.encode(lost))

    def served(self, poll: PollRecord) -> list[str]:
        """The records of a kept poll, as served; LakeDamaged if its file is not as noted."""
        return self._read(poll.file).get_column("record").to_list()

    def poll_path(self, window: Window, number: int) -> str:
        """Where the data of a poll stands."""
        return self.path(tables.RAW_RETURNS, window, f"poll-{number:04d}.parquet")

    @staticmethod
    def poll_record_path(window: Window, number: int) -> str:
        """Where the record of a poll stands."""
        return f"{RECORDS}/{window.path}/poll-{number:04d}.json"

    @staticmethod
    def made_path(period: Period) -> str:
        """Where the record of the tables made of ``period`` stands."""
        return _joined(RECORDS, period.path, MADE)

    # ---- made tables

    def made(self, period: Period) -> MadeRecord | None:
        """The record of the tables made of ``period``, or None."""
        path = self.made_path(period)
        content = self.store.get(path)
        if content is None:
            return None
        made = records.decode_made(content, path)
        if made.period != period.key:
            raise _of_another(path)
        return made

    def publish(  # noqa: PLR0913, PLR0917 - what its record says
        self,
        period: Period,
        frames: Mapping[str, pl.DataFrame],
        made_of: list[str],
        facts: dict[str, int],
        polled_at: Sequence[datetime] = (),
        first_seen: Mapping[int, tuple[int, int]] | None = None,
        homes: Sequence[str] = (),
    ) -> tuple[MadeRecord, set[str]]:
        """Put the tables made of ``period`` and note them; which tables changed is told.

        A file that stands there with the same bytes is left alone, and so is a record that would
        say the same: twice is the same as once.
        """
        files: dict[str, FileRecord] = {}
        changed: set[str] = set()
        for name, frame in frames.items():
            path = self.path(tables.BY_NAME[name], period)
            content = to_parquet(frame)
            files[name] = FileRecord.of(path, content, frame.height)
            if self.store.get(path) != content:
                self.store.put(path, content)
                changed.add(name)
        known = self._made_or_none(period)
        record = MadeRecord(
            period=period.key,
            written_at=self._clock(),
            made_of=made_of,
            files=files,
            facts=facts,
            polled_at=list(polled_at),
            first_seen=dict(first_seen or {}),
            homes=list(homes),
        )
        if known and msgspec.structs.replace(record, written_at=known.written_at) == known:
            return known, changed
        self.store.put(self.made_path(period), records.encode(record))
        return record, changed

    def read(self, table: Table, period: Period) -> pl.DataFrame | None:
        """The rows of ``table`` for ``period``, held against the record; None if never made."""
        made = self.made(period)
        return None if made is None else self._read(made.files[table.name])

    def _made_or_none(self, period: Period) -> MadeRecord | None:
        """A record that cannot be read is replaced by a publish, and is no reason to fail it."""
        try:
            return self.made(period)
        except LakeDamaged:
            return None

    def content(self, file: FileRecord) -> bytes:
        """The bytes of a file; LakeDamaged if they are not as noted."""
        content = self._get(file.path)
        if FileRecord.of(file.path, content, file.rows) != file:
            message = f"The file {file.path} is not what was recorded when it was written."
            raise LakeDamaged(message, next_step=rebuild_advice(file.path))
        return content

    def _read(self, file: FileRecord) -> pl.DataFrame:
        return from_parquet(self.content(file), file.path)

    def _get(self, path: str) -> bytes:
        content = self.store.get(path)
        if content is None:
            message = f"The file {path} is missing."
            raise LakeDamaged(message, next_step=rebuild_advice(path))
        return content


def _joined(*parts: str) -> str:
    return "/".join(part for part in parts if part)


def _of_another(path: str) -> LakeDamaged:
    message = f"The record {path} is one of another hour or day."
    return LakeDamaged(message, next_step=rebuild_advice(path))
