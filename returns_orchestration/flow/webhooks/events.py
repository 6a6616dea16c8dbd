"""The events of an hour of receipt: what its webhooks say, and which hours they concern."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import polars as pl

from returns_orchestration import tables
from returns_orchestration.errors import LakeDamaged
from returns_orchestration.flow.webhooks.rules import follows, publish
from returns_orchestration.lake import entry_kinds
from returns_orchestration.lake.entry_names import name_of_hour
from returns_orchestration.lake.journal import digest_of_inputs
from returns_orchestration.lake.parquet import from_parquet
from returns_orchestration.stages.webhooks import FATES, Placed, tables_of_receipt
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from returns_orchestration.flow.webhooks.holders import Holders
    from returns_orchestration.lake import Lake, Made, Names
    from returns_orchestration.stages.typing import RecordReader


class EventBuilder:
    """Builds the events of hours of receipt of ``lake``; ``start`` is the first hour there is."""

    def __init__(self, lake: Lake, reader: RecordReader, start: datetime, holders: Holders) -> None:
        self._lake = lake
        self._reader = reader
        self._start = start
        self._holders = holders

    def is_stale(self, names: Names, window: Window) -> bool:
        """Whether the events of an hour do not follow from its files."""
        hour = names.hour(window)
        if hour.damaged:  # it is mended first
            return False
        if not hour.received:  # its files were quarantined
            return bool(hour.events)
        return not follows(hour.events, self._made_of(names, window))

    def build(self, names: Names, window: Window, touched: set[Window]) -> Made | None:
        """Build the events of an hour; ``touched`` gets the hours of request that they concern.

        None where its files were quarantined: what was made of them is taken away.
        """
        made_of = self._made_of(names, window)
        raw = [self._lake.received(names, entry) for entry in names.hour(window).received]
        found = tables_of_receipt(pl.concat([tables.RAW_WEBHOOKS.empty(), *raw]), self._reader)
        events = found.frames[tables.WEBHOOK_EVENTS.name]
        # First, so that no hour is missed by a run that is killed after the entry.
        homes = self._concerned(names, events)
        self._lake.entries.mark_webhooks(names, window, homes)
        touched |= homes
        self._place(names, window, found.placed)
        if not raw:
            self._lake.withdraw(names, window, "events")
            return None
        facts = {
            "returns": events.get_column(tables.REFERENCE.name).n_unique(),
            "deliveries": found.deliveries,
            **{fate: getattr(found, fate) for fate in FATES},
        }
        return publish(self._lake, names, window, found.frames, made_of, facts)

    def _made_of(self, names: Names, window: Window) -> list[str]:
        hour = names.hour(window)
        files = sorted(entry.arguments for entry in hour.received)
        blanked = [f"blanked {digest}" for digest in sorted(hour.blanked)]
        start = f"start {Window(self._start).text}"
        return [f"zone {self._reader.zone.key}", start, *files, *blanked]

    def _concerned(self, names: Names, events: pl.DataFrame) -> set[Window]:
        """The hours whose matches use ``events``.

        Each placed event concerns the hour that has its return; another event does where polls
        have not brought its return.
        """
        found: set[Window] = set()
        rows = events.select(tables.REFERENCE.name, tables.REQUESTED_AT.name, "is_placed").rows()
        for reference, requested_at, is_placed in rows:
            home = Window.of(requested_at)
            if home < Window(self._start):
                continue
            holder = self._holders.holder(names, home, reference)
            if is_placed and holder not in {None, home}:
                # Before it is a copy in its own hour: so that it is at no time in two.
                self._lake.entries.mark(names, home, [holder])
            if is_placed or holder is None:
                found |= {home, holder or home}  # a poll of the first may bring it yet
        return found

    def _place(self, names: Names, window: Window, placed: Mapping[Window, Placed]) -> None:
        """Note which webhooks of ``window`` are copies of returns, by the hour of request."""
        there = {home: placed[home] for home in placed if home >= Window(self._start)}
        before = self._homes_before(window) | set(names.hours())
        gone = {home for home in before - there.keys() if _has_placed(names, home, window)}
        for home in sorted(gone | there.keys()):
            of_home = there.get(home, Placed(window.start))
            entry = entry_kinds.Placed(
                period=home.key,
                hour=name_of_hour(window),
                newest=of_home.newest,
                zone=self._reader.zone.key,
                deliveries=of_home.deliveries,
                bodies=digest_of_inputs(of_home.bodies),
            )
            self._lake.entries.put_placed(names, entry)

    def _homes_before(self, window: Window) -> set[Window]:
        """The hours of request in the file of events that stands there, whatever its entry says."""
        path = self._lake.path(tables.WEBHOOK_EVENTS, window)
        with suppress(LakeDamaged, pl.exceptions.ColumnNotFoundError):
            content = self._lake.store.get(path)
            if content is not None:
                times = from_parquet(content, path).get_column(tables.REQUESTED_AT.name)
                return {Window.of(at) for at in times}
        return set()


def _has_placed(names: Names, home: Window, window: Window) -> bool:
    return any(one.came == window for one in names.hour(home).placed)
