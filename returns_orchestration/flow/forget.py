"""Personal data is blanked in the lake: what receipts mean, and raw records that are too old.

Date by date: polls that a killed run left are noted, the records that are meant are blanked in the
file of each poll, and the hours concerned are made again; then come quarantined files. Every step
may be done twice and beside a running pipeline, and a receipt ends when nothing is left to do, so a
second call completes one that was killed anywhere. A receipt that another process has added
meanwhile is carried out, too: the files put by this one could show what that one has blanked.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Final

import polars as pl

from returns_orchestration import tables
from returns_orchestration.errors import LakeDamaged, LakeError, ReturnsError
from returns_orchestration.flow.outcomes import Failed, Made, Stopped
from returns_orchestration.lake import journal
from returns_orchestration.lake.entry_kinds import Blanked
from returns_orchestration.lake.format import BACKUP, RECORDS_BEFORE
from returns_orchestration.lake.parquet import to_parquet
from returns_orchestration.lake.quarantine import files_in_quarantine, put_in_quarantine
from returns_orchestration.stages.erasure import (
    FREE_TEXT,
    PERSONAL_COLUMNS,
    blanked,
    without_people,
)
from returns_orchestration.stages.landing import finish_unnoted
from returns_orchestration.stages.webhooks import blanked_bodies
from returns_orchestration.state.people import HOLD_BODIES, HOLD_RECORDS
from returns_orchestration.state.verify import Verifier
from returns_orchestration.window import Window, windows_between

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from returns_orchestration.flow.hours import HourPipeline
    from returns_orchestration.lake import Lake, Names, Poll
    from returns_orchestration.lake.entry_kinds import Received
    from returns_orchestration.lake.quarantine import Quarantined
    from returns_orchestration.stages.erasure import Blanking

RECENT: Final = timedelta(days=3)
"""So long after a receipt a run may still be under way that began before it."""

LANDING: Final = timedelta(hours=1)
HOLD_REASONS: Final = {
    tables.RETURN_ITEMS.name,
    tables.RETURN_ITEMS_DAILY.name,
    tables.SKUS_DAILY.name,
    tables.RETURN_REASONS.hourly.name,
    tables.RETURN_REASONS.daily.name,
}
HOLD_FIELDS: Final = (
    HOLD_RECORDS
    | HOLD_BODIES
    | {tables.RETURNS.name, tables.RETURNS_DAILY.name, tables.WEBHOOK_EVENTS.name}
)
"""The tables with fields of a person."""

PERSONAL_TABLES: Final = HOLD_FIELDS | HOLD_REASONS
"""The tables whose quarantined files may hold personal data."""

_ONE_DAY: Final = timedelta(days=1)


@dataclass(slots=True)
class Forgot:
    """What was done: ``records`` were blanked in ``polls`` and in files of ``webhooks``.

    ``hours`` of polls were made again.

    ``held`` counts blanked records that still show somebody, in what has to stay; ``removed`` are
    quarantined files that could not be read, ``errors`` what could not be done.
    """

    records: int = 0
    polls: int = 0
    webhooks: int = 0
    hours: int = 0
    quarantined: int = 0
    held: int = 0
    removed: list[str] = field(default_factory=list)
    errors: list[ReturnsError] = field(default_factory=list)


class EarlierCopies(LakeError):
    """The lake still has the files that an upgrade replaced, which nobody else may change."""

    next_step = (
        "Run `returns-orchestration upgrade --drop-old`, which removes them, then the same again."
    )

    def __init__(self) -> None:
        super().__init__("The lake keeps copies from before an upgrade, with personal data.")


class Forgetter:
    """Blanks what is to be blanked in the lake of ``pipeline``."""

    def __init__(self, pipeline: HourPipeline) -> None:
        self._pipeline = pipeline
        self._lake: Lake = pipeline.lake
        self._forgot = Forgot()

    def check(self) -> None:
        """Raise LakeError where nothing can be blanked."""
        self._lake.check_writable()
        self._lake.format.ensure()
        if any(any(self._lake.store.children(folder)) for folder in (BACKUP, RECORDS_BEFORE)):
            raise EarlierCopies

    def carry_out(self) -> Forgot:
        """Do what all receipts ask for in the whole lake, and end those that are open.

        Raises LakeError where the lake cannot be written, or a receipt cannot be read.
        """
        started = time.monotonic()
        receipts = self._lake.receipts.all()
        while True:
            blanking = self._pipeline.blanking(receipts)
            self._everywhere(blanking, since=None)
            self._note_found(blanking)
            known, receipts = receipts, self._lake.receipts.all()
            if receipts == known:
                break
        self._forgot.held = blanking.held
        self._lake.store.sweep(time.monotonic() - started)
        if not self._forgot.errors:
            for receipt in self._lake.receipts.open():
                self._lake.receipts.end(receipt, self._pipeline.clock(), self._forgot.records)
        return self._forgot

    def keep_up(self) -> Forgot:
        """What is left to do each day: open receipts, polls that landed beside one, old records.

        Raises LakeError, as ``carry_out`` does.
        """
        if self._lake.receipts.open():
            return self.carry_out()
        now = self._pipeline.clock()
        recent = [receipt for receipt in self._lake.receipts.all() if receipt.at > now - RECENT]
        since = min((receipt.at - LANDING for receipt in recent), default=now + _ONE_DAY)
        blanking = self._pipeline.blanking(recent)
        if recent or blanking.has_old:
            self._everywhere(blanking, since)
        return self.carry_out() if self._note_found(blanking) else self._forgot

    def _note_found(self, blanking: Blanking) -> bool:
        """Add a receipt for returns that were found: other records of theirs may not show whose."""
        if not blanking.found:
            return False
        own = self._lake.receipts.of(blanking.take_found(), self._pipeline.clock())
        self._lake.receipts.add(own)
        return True

    def _everywhere(self, blanking: Blanking, since: datetime | None) -> None:
        """The polls noted ``since`` then, those of old hours, and quarantined files."""
        self._forgot.errors.clear()  # of the look before
        verifier = Verifier(self._lake, self._pipeline.days.zone)
        for _, days in groupby(verifier.dates(), key=lambda day: (day.year, day.month)):
            self._in_dates(list(days), blanking, since)
        for file in list(files_in_quarantine(self._lake.store)):
            self._in_quarantine(file, blanking)

    def _in_dates(self, days: Sequence[date], blanking: Blanking, since: datetime | None) -> None:
        names = self._lake.names()
        names.load(days[0], days[-1])
        for table in (tables.RAW_RETURNS, tables.RAW_WEBHOOKS):
            names.load_files(table.name, days[0], days[-1])
        changed: set[Window] = set()
        webhooks = self._forgot.webhooks
        for window in _hours_of(days):
            self._guarded_webhooks(names, window, blanking, since)
            if not names.hour(window).polls and not names.unnoted(window):
                continue
            try:
                finish_unnoted(self._lake, names, self._pipeline.reader, window)
                if self._in_hour(names, window, blanking, since):
                    changed.add(window)
            except LakeDamaged as error:
                self._forgot.errors.append(error)
        if since is None:  # also where a killed call has not made a blanked hour, or its days
            erased = [window for window in _hours_of(days) if names.hour(window).erased]
            states = self._pipeline.states(erased)
            changed |= {window for window in erased if states.of(window).needs_making}
        for outcome in self._pipeline.run(sorted(changed), poll=False):
            self._forgot.hours += isinstance(outcome, Made)
            if isinstance(outcome, Failed | Stopped):
                self._forgot.errors.append(outcome.error)
        is_changed = since is None or self._forgot.webhooks > webhooks
        if self._pipeline.webhooks is not None and is_changed:
            done = self._pipeline.webhooks.run(days)
            self._forgot.errors += done.failed.values()

    def _guarded_webhooks(
        self, names: Names, window: Window, blanking: Blanking, since: datetime | None
    ) -> None:
        try:
            self._webhooks_of(names, window, blanking, since)
        except LakeDamaged as error:
            self._forgot.errors.append(error)

    def _webhooks_of(
        self, names: Names, window: Window, blanking: Blanking, since: datetime | None
    ) -> None:
        """Blank what is meant in the webhooks that came in ``window``."""
        self._lake.webhooks.finish_all(names, window)
        hour = names.hour(window)
        is_old = blanking.is_old(window) and hour.files_of_webhooks not in hour.blanked
        if not hour.received or not (since is None or window.end >= since or is_old):
            return
        for entry in hour.received:
            self._in_webhooks(names, window, entry, blanking)
        if is_old:
            note = Blanked(period=window.key, files=hour.files_of_webhooks)
            self._lake.entries.put(names, note)

    def _in_webhooks(
        self, names: Names, window: Window, entry: Received, blanking: Blanking
    ) -> None:
        raw = self._lake.webhooks.read(entry)
        blank = blanked_bodies(raw, window, blanking, self._pipeline.reader)
        # Another run may have read the earlier file, before or after the first of two entries. Its
        # tables do not name the second one, so they are made again.
        begun, ended = (
            journal.digest_of_inputs([entry.arguments, blank.write_json(), *more])
            for more in ((), ("replaced",))
        )
        there = names.hour(window).blanked
        if blank.equals(raw):
            if begun in there and ended not in there:  # a call was killed
                self._lake.entries.put(names, Blanked(period=window.key, files=ended))
            return
        self._lake.entries.put(names, Blanked(period=window.key, files=begun))
        self._lake.webhooks.replace(entry, blank)
        self._lake.entries.put(names, Blanked(period=window.key, files=ended))
        self._forgot.records += int((blank.get_column("body") != raw.get_column("body")).sum())
        self._forgot.webhooks += 1

    def _in_hour(
        self, names: Names, window: Window, blanking: Blanking, since: datetime | None
    ) -> bool:
        """Blank what is meant in the polls of ``window``; whether there was anything."""
        is_old, changed = blanking.is_old(window), False
        for poll in names.hour(window).polls:
            is_meant = since is None or poll.noted_at >= since
            if not is_meant and (not is_old or poll.is_blank):
                continue
            changed |= self._in_poll(names, window, poll, blanking)
        return changed

    def _in_poll(self, names: Names, window: Window, poll: Poll, blanking: Blanking) -> bool:
        records = self._lake.polls.served(poll)
        reader = self._pipeline.reader.of_poll(names.hour(window).zone_of(poll))
        blank = blanking.of(window, records, reader)
        count = sum(new != old for new, old in zip(blank, records, strict=True))
        is_old = blanking.is_old(window)
        if count or is_old:
            self._lake.polls.erase(names, poll, blank, is_blank=is_old)
        else:  # a killed run may have put its file without its entry
            self._lake.polls.keep_sound(names, poll, blanked)
        self._forgot.records += count
        self._forgot.polls += bool(count)
        return bool(count) or (is_old and not poll.is_blank)

    def _in_quarantine(self, file: Quarantined, blanking: Blanking) -> None:
        """Blank what is meant in a quarantined file; one that cannot be read is removed."""
        window = file.window
        if file.table not in PERSONAL_TABLES or not blanking.concerns(window):
            return
        frame = file.read(self._lake.store)
        if frame is None or not _is_readable(frame, file.table):
            self._lake.store.delete(file.place)
            self._forgot.removed.append(file.place)
            return
        if file.table in HOLD_REASONS:  # a reason may be a customer's own text
            changed = frame.with_columns(
                pl.Series(
                    name, [text and without_people(text) for text in frame[name]], dtype=pl.String
                )
                for name in sorted(FREE_TEXT & set(frame.columns))
            )
        elif file.table == tables.RETURNS_DAILY.name:
            changed = _without_personal(frame, blanking)
        elif window is None:
            return
        elif file.table in HOLD_BODIES:
            changed = blanked_bodies(frame, window, blanking, self._pipeline.reader)
        elif file.table in HOLD_RECORDS:
            records = frame.get_column("record").fill_null("").to_list()
            blank = blanking.of(window, records, self._pipeline.reader)
            changed = frame.with_columns(pl.Series("record", blank, dtype=pl.String))
        else:
            changed = _without_personal(frame, blanking, window)
        if not changed.equals(frame):
            put_in_quarantine(self._lake.store, file.path, to_parquet(changed))
            self._lake.store.delete(file.place)
            self._forgot.quarantined += 1


def _without_personal(
    frame: pl.DataFrame, blanking: Blanking, window: Window | None = None
) -> pl.DataFrame:
    """Typed rows, without the personal columns of those that are meant.

    ``window`` is their hour; None for rows of a day, each in the hour of its request.
    """
    rows = frame.select(tables.REFERENCE.name, tables.REQUESTED_AT.name).iter_rows()
    meant = [
        reference is not None
        and (window is not None or at is not None)
        and blanking.means(window or Window.of(at), reference)
        for reference, at in rows
    ]
    personal = (PERSONAL_COLUMNS | {"remark"}) & set(frame.columns)
    return frame.with_columns(
        pl.when(pl.Series(meant, dtype=pl.Boolean)).then(None).otherwise(pl.col(name)).alias(name)
        for name in sorted(personal)
    )


def _is_readable(frame: pl.DataFrame, table: str) -> bool:
    if table in HOLD_BODIES:
        return {frame.schema.get(name) for name in ("body", "encoding")} == {pl.String}
    if table in HOLD_REASONS:
        return frame.schema.get("return_reason") == pl.String
    if table in HOLD_RECORDS:
        return frame.schema.get("record") == pl.String
    head = [frame.schema.get(name) for name in (tables.REFERENCE.name, tables.REQUESTED_AT.name)]
    return head == [pl.String, tables.TIME]


def _hours_of(days: Sequence[date]) -> Iterator[Window]:
    for day in days:
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        yield from windows_between(start, start + _ONE_DAY)
