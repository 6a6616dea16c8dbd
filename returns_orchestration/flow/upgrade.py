"""From the format of releases before 0.2 to that of today, without a call; and back.

First every kept poll gets its entry in the journal, with the zone under which it was sent and the
marks in the hours that its records live in; then all tables are made again from raw, which writes
only differing files; last the lake is marked with today's format. Until then no other command
accepts it. The earlier files stay: the old records unread, and a copy of each table that was
replaced. After a kill anywhere, a second run completes it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from returns_orchestration.errors import LakeDamaged, ReturnsError
from returns_orchestration.flow.outcomes import Failed, Made, Stopped
from returns_orchestration.lake.entry_kinds import INPUTS, UNKNOWN_SHA, Lost, Poll, Waived
from returns_orchestration.lake.entry_names import read_name
from returns_orchestration.lake.format import BACKUP, MARKER, RECORDS_BEFORE
from returns_orchestration.lake.format_1 import OldPoll, OldWaiver, read, read_path
from returns_orchestration.lake.journal import JOURNAL
from returns_orchestration.lake.names import Names, dates_in
from returns_orchestration.lake.poll_log import POLL_LOG
from returns_orchestration.stages.landing import finish_unnoted
from returns_orchestration.stages.typing import Refused, decode
from returns_orchestration.window import Window, windows_between

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from returns_orchestration.flow.hours import HourPipeline
    from returns_orchestration.lake import Lake
    from returns_orchestration.lake.format_1 import OldRecord
    from returns_orchestration.lake.poll_log import Answer

AT_ONCE: Final = timedelta(days=7)
"""Hours made by one run."""

DELETED_AT_ONCE: Final = 500


@dataclass(slots=True)
class Upgraded:
    """The result of an upgrade; ``damaged`` names unreadable records, and the consequence."""

    polls: int = 0
    hours: int = 0
    replaced: int = 0
    damaged: list[str] = field(default_factory=list)
    failed: list[ReturnsError] = field(default_factory=list)


class Upgrader:
    """Converts the lake of ``pipeline``; polls without a zone were sent under ``zone``."""

    def __init__(
        self, pipeline: HourPipeline, zone: str, on_date: Callable[[date], None] | None = None
    ) -> None:
        self._pipeline = pipeline
        self._lake: Lake = pipeline.lake
        self._zone = zone
        self._on_date = on_date or (lambda _: None)
        self._upgraded = Upgraded()

    def upgrade(self, answers: Iterable[Answer] = ()) -> Upgraded:
        """The whole upgrade; ``answers`` are polls and errors from Dagster's log.

        Raises LakeError where the lake cannot be read or written: then run the same again.
        """
        lake = self._lake
        lake.format.begin_upgrade()
        dates = dates_in(lake.store, RECORDS_BEFORE)
        for day in dates:
            self._on_date(day)
            self._bring_over(day)
        self._remember(answers)
        if dates:
            self._make(dates[0], dates[-1])
            self._pipeline.all_time.build()
        lake.format.end_upgrade(_inputs(lake))
        return self._upgraded

    # ---- polls

    def _bring_over(self, day: date) -> None:
        """The entries of one date that do not depend on the content of the tables."""
        store, names = self._lake.store, Names(self._lake.store)
        paths = list(store.list(f"{RECORDS_BEFORE}/date={day.isoformat()}"))
        read_paths = [(path, old) for path in paths if (old := read_path(path))]
        contents = dict(zip(paths, store.get_many(paths), strict=True))
        lost = {(old.window, old.number) for _, old in read_paths if old.kind == "lost"}
        for path, old in sorted(read_paths, key=lambda pair: pair[1].kind == "poll"):
            if old.kind == "poll" and (old.window, old.number) not in lost:
                self._poll(names, path, old, contents[path])
            elif old.kind == "lost":
                self._lost(names, old)
            elif old.kind == "waived":
                self._waived(names, path, old, contents[path])
            elif old.other is not None:
                self._lake.entries.mark(names, old.other, [old.window])
                if old.kind == "linked":
                    self._lake.entries.mark(names, old.window, [old.other])
        for window in {old.window for _, old in read_paths}:
            try:
                finish_unnoted(self._lake, names, self._pipeline.reader, window, self._zone)
            except LakeDamaged as error:
                self._upgraded.damaged.append(str(error))

    def _poll(self, names: Names, path: str, old: OldRecord, content: bytes | None) -> None:
        if any(poll.number == old.number for poll in names.hour(old.window).polls):
            self._upgraded.polls += 1
            return
        record = read(content, OldPoll)
        if record is None or (record.window, record.number) != (old.window.key, old.number):
            self._upgraded.damaged.append(
                f"The record {path} is damaged; its poll is noted again from its file."
            )
            return  # as a poll whose record a killed run did not write
        poll = Poll(
            period=record.window,
            number=record.number,
            polled_at=record.polled_at,
            noted_at=record.written_at.replace(microsecond=0),
            rows=record.file.rows,
            size=record.file.size,
            sha256=record.file.sha256[:16],
            zone=record.zone or self._zone,
        )
        try:
            self._lake.entries.mark(names, old.window, self._homes(poll))
        except LakeDamaged as error:  # its hour is damaged, which `status` shows
            self._upgraded.damaged.append(str(error))
        self._lake.entries.put(names, poll)
        self._upgraded.polls += 1

    def _homes(self, poll: Poll) -> set[Window]:
        """The hours that the records of a poll live in, under its zone."""
        reader = self._pipeline.reader.of_poll(poll.zone)
        heads = [reader.head(decode(record)) for record in self._lake.polls.served(poll)]
        return {Window.of(head[1]) for head in heads if not isinstance(head, Refused)}

    def _lost(self, names: Names, old: OldRecord) -> None:
        entry = Lost(
            period=old.window.key,
            number=old.number,
            sha256=UNKNOWN_SHA,
            next_number=old.following,
        )
        self._lake.entries.put(names, entry)

    def _waived(self, names: Names, path: str, old: OldRecord, content: bytes | None) -> None:
        record = read(content, OldWaiver)
        if record is None:
            self._upgraded.damaged.append(
                f"The waiver {path} is damaged; give it again with `returns-orchestration waive`."
            )
        elif not names.hour(old.window).waived:
            entry = Waived(period=old.window.key, why=record.why, at=record.waived_at)
            self._lake.entries.put(names, entry)

    def _remember(self, answers: Iterable[Answer]) -> None:
        """Put the polls of Dagster's log into the log of polls, for dates that have none there."""
        known = set(self._lake.poll_log.dates())
        by_date: dict[date, list[Answer]] = defaultdict(list)
        for answer in answers:
            by_date[Window.from_key(answer.hour).start.date()].append(answer)
        for day, found in by_date.items():
            if day not in known:
                self._lake.poll_log.add(found)

    # ---- tables

    def _make(self, first: date, last: date) -> None:
        """The tables of all hours, newest first. Raises LakeError."""
        end = datetime.combine(last, time(), UTC) + timedelta(days=1)
        start = datetime.combine(first, time(), UTC)
        while end > start:
            begin = max(start, end - AT_ONCE)
            self._on_date(begin.date())
            names = Names(self._lake.store)
            names.load(begin.date(), end.date())
            windows = [w for w in windows_between(begin, end) if names.hour(w).polls]
            for outcome in self._pipeline.run(
                windows, poll=False, missing_only=True, check_files=True
            ):
                self._take_note(outcome)
            end = begin

    def _take_note(self, outcome: object) -> None:
        if isinstance(outcome, Made):
            self._upgraded.hours += 1
            self._upgraded.replaced += len(outcome.built.changed)
        elif isinstance(outcome, Failed):
            self._upgraded.failed.append(outcome.error)
        elif isinstance(outcome, Stopped):
            raise outcome.error


def is_upgraded(lake: Lake) -> bool:
    """Whether the lake has today's format."""
    return lake.store.get(MARKER) is not None


def has_old_records(lake: Lake) -> bool:
    """Whether there are records of an earlier format."""
    return next(iter(lake.store.list(RECORDS_BEFORE)), None) is not None


def polls_since(lake: Lake) -> int:
    """How many polls were kept, or corrected, after the upgrade, which the old records lack."""
    marked = lake.store.get(MARKER)
    known = msgspec.json.decode(marked).get("inputs", 0) if marked else _inputs(lake)
    return max(0, _inputs(lake) - int(known))


def _inputs(lake: Lake) -> int:
    """How many entries there are of kinds that decide what tables hold."""
    names = (read_name(path.rpartition("/")[2]) for path in lake.store.list(JOURNAL))
    return sum(name is not None and name.kind in INPUTS for name in names)


def undo(lake: Lake) -> int:
    """Go back to the earlier format; returns how many tables were put back. Raises LakeError.

    After a kill in between, a second call completes it.
    """
    store = lake.store
    store.delete(MARKER)  # from now on the lake is of the earlier format
    restored = 0
    for path in store.list(BACKUP):
        content, table = store.get(path), path.removeprefix(f"{BACKUP}/")
        if content:
            store.put(table, content)
            restored += 1
        elif content is not None:
            store.delete(table)
    for folder in (JOURNAL, POLL_LOG, BACKUP):
        _delete_all(lake, folder)
    return restored


def drop_old(lake: Lake) -> int:
    """Remove the files of the earlier format; returns how many. Raises LakeError."""
    return sum(_delete_all(lake, folder) for folder in (RECORDS_BEFORE, BACKUP))


def _delete_all(lake: Lake, folder: str) -> int:
    paths = list(lake.store.list(folder))
    for at in range(0, len(paths), DELETED_AT_ONCE):
        lake.store.delete_many(paths[at : at + DELETED_AT_ONCE])
    return len(paths)
