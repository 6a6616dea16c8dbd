"""The tables of webhooks: events by the hour of receipt, matches by the hour of request, and days.

Everything follows from names in the journal: an hour of receipt from its `received` entries; an
hour of request from its polls' tables, from the events of the hours that its `webhooks` marks name,
and from which verdicts are final; a day from the matches of its hours. Webhooks that a return was
placed are copies of it, which `placed` entries name; the hours of returns with such copies are
built here, too. So a run looks at some dates, builds what does not follow, and a second run finds
nothing to do. An hour whose files cannot be read fails alone.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

import polars as pl

from returns_orchestration import tables
from returns_orchestration.errors import LakeDamaged
from returns_orchestration.flow.hours import Failed, Stopped
from returns_orchestration.flow.hours import Made as MadeHour
from returns_orchestration.flow.relocated import held_in_reach
from returns_orchestration.lake import entry_kinds, journal
from returns_orchestration.lake.entry_names import name_of_hour
from returns_orchestration.lake.names import sources_of
from returns_orchestration.lake.parquet import from_parquet
from returns_orchestration.stages import matches
from returns_orchestration.stages.erasure import Blanking
from returns_orchestration.stages.landing import is_good
from returns_orchestration.stages.ownership import hash_of
from returns_orchestration.stages.rules import Rules
from returns_orchestration.stages.webhooks import (
    FATES,
    GUESSED,
    Placed,
    blanked_bodies,
    tables_of_receipt,
)
from returns_orchestration.state.hours import States, is_made
from returns_orchestration.window import Day, Window, days_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import date

    from returns_orchestration.errors import ReturnsError
    from returns_orchestration.flow.hours import HourPipeline
    from returns_orchestration.lake import Lake, Made, Names
    from returns_orchestration.lake.entry_kinds import MadeName
    from returns_orchestration.lake.poll_log import Answer
    from returns_orchestration.lake.webhooks import Blank
    from returns_orchestration.stages.typing import RecordReader

RECENT_DAYS: Final = 4
"""Dates that each run looks at: until the verdicts of an hour are final, and its last re-poll."""

LACKING_AFTER: Final = timedelta(hours=24)
"""A return that a poll sent this long after the hour does not serve is lacking."""

NEAR: Final = 14
"""Hours on each side in which a return is looked for, as a time may be read in another zone."""

ROUNDS: Final = 4
"""A match may put marks that concern another hour, whose match is then built once more."""

KEPT_HOURS: Final = 100
"""Hours whose references are kept at hand."""


@dataclass(frozen=True, slots=True)
class WebhookRules:
    """The settings by which webhooks are judged.

    ``lost_after`` is the age from which a webhook counts as lost; ``polls_late``: an age of
    RETURNS_REPOLL_AFTER_HOURS is 24 or more; ``start`` is the first hour there is.
    """

    lost_after: timedelta
    polls_late: bool
    start: datetime


@dataclass(slots=True)
class WebhookRun:
    """What a run built: entries by hour of receipt, hour of request and day, and what failed.

    ``built`` are the hours of returns.
    """

    received: dict[Window, Made] = field(default_factory=dict)
    built: set[Window] = field(default_factory=set)
    matched: dict[Window, Made] = field(default_factory=dict)
    days: dict[Day, Made] = field(default_factory=dict)
    failed: dict[Window, ReturnsError] = field(default_factory=dict)


class WebhookPipeline:
    """Builds the tables of webhooks of the lake of ``hours``, which builds hours of returns.

    ``reader`` is for the zone of their times.
    """

    def __init__(self, hours: HourPipeline, reader: RecordReader, rules: WebhookRules) -> None:
        self._hours = hours
        self._lake = hours.lake
        self.reader = reader
        self.zone = hours.days.zone
        self._rules = rules
        self._expected: list[tuple[Window, Window]] = []
        self._asked: dict[date, dict[str, list[Answer]]] = {}
        self._held: OrderedDict[tuple[Window, str], frozenset[bytes]] = OrderedDict()

    def run(self, dates: Collection[date] = ()) -> WebhookRun:
        """Build what does not follow on the last days, and on ``dates``. Raises LakeError."""
        done, now = WebhookRun(), self._hours.clock()
        looked_at = self.recent(now) | set(dates)
        names = self.look(looked_at)
        if names is None:
            return done
        touched: set[Window] = set()
        for window in names.hours():
            if self._is_stale_receipt(names, window):
                receive = partial(self._receive, names, window, done, touched)
                self._guarded(done, window, receive)
        unmade = self._unmade(names)
        if unmade:
            self._build(unmade, done)
            names = self.look(looked_at) or names
        over = {*self._compared(names, looked_at, now)}
        over |= {window for window in touched if self._may_be_compared(names, window, now)}
        for _ in range(ROUNDS):
            stale = sorted(
                w for w in over - done.failed.keys() if self._is_stale_match(names, w, now)
            )
            if not stale:
                break
            for window in stale:
                self._guarded(done, window, partial(self._match, names, window, now, done, over))
        for day in self._days_of(names, over):
            self._make_day(names, day, done)
        return done

    def _build(self, windows: Sequence[Window], done: WebhookRun) -> None:
        """Make hours of returns, and what follows from them."""
        for outcome in self._hours.run(windows, poll=False):
            if isinstance(outcome, Stopped):
                raise outcome.error
            if isinstance(outcome, Failed):
                done.failed[outcome.window] = outcome.error
            elif isinstance(outcome, MadeHour):
                done.built.add(outcome.window)

    def recent(self, now: datetime) -> set[date]:
        """The dates that each run looks at."""
        return {now.date() - timedelta(days=n) for n in range(RECENT_DAYS)}

    def look(self, dates: Collection[date]) -> Names | None:
        """The names of ``dates`` and those beside them; None where webhooks never came.

        Raises LakeError.
        """
        self._lake.format.ensure()
        self._asked.clear()
        self._expected = self._lake.webhooks.expected()
        if not self._expected and not self._lake.webhooks.have_come():
            return None
        names = self._lake.names()
        names.load_hours(Window(datetime.combine(day, time(), UTC)) for day in sorted(dates))
        return names

    def due(self, names: Names, dates: Collection[date]) -> set[date]:
        """Those of ``dates`` on which something is to be built."""
        now = self._hours.clock()
        found = {w.start.date() for w in names.hours() if self._is_stale_receipt(names, w)}
        found |= {window.start.date() for window in self._unmade(names)}
        compared = self._compared(names, dates, now)
        found |= {w.start.date() for w in compared if self._is_stale_match(names, w, now)}
        for window in compared:
            if any(self._is_stale_day(names, day) for day in self._days_of(names, [window])):
                found.add(window.start.date())
        return found.intersection(dates)

    def _unmade(self, names: Names) -> list[Window]:
        """The hours with copies in webhooks that are to be made, or whose days are.

        Hours that were polled are followed by their days in the sensor for missing hours.
        """
        unmade = _not_of_all(names)
        hours = ((window, names.hour(window)) for window in names.hours())
        told = ((w, of) for w, of in hours if of.placed and not of.polls and not of.damaged)
        made = {window for window, of in told if any(made.returns for made in of.made)}
        others = sorted(made.difference(unmade))
        if not others:
            return unmade
        states = States(self._lake, names, self.zone)
        return unmade + [window for window in others if not states.is_followed(window)]

    def _compared(self, names: Names, dates: Collection[date], now: datetime) -> list[Window]:
        """The hours of ``dates`` whose webhooks are compared with polls."""
        hours = (window for window in names.hours() if window.start.date() in dates)
        return [window for window in hours if self._may_be_compared(names, window, now)]

    def _may_be_compared(self, names: Names, window: Window, now: datetime) -> bool:
        """Whether an hour is over, not before the start, and has webhooks or should have them."""
        if not Window(self._rules.start) <= window or window.end > now:
            return False
        hour = names.hour(window)
        has_some = bool(hour.webhooks or hour.listened)
        return has_some or any(first <= window <= last for first, last in self._expected)

    def _guarded(self, done: WebhookRun, window: Window, build: Callable[[], None]) -> None:
        try:
            build()
        except LakeDamaged as error:
            done.failed[window] = error

    # ---- by the hour of receipt

    def _is_stale_receipt(self, names: Names, window: Window) -> bool:
        hour = names.hour(window)
        if hour.damaged:  # it is mended first
            return False
        if not hour.received:  # its files were quarantined
            return bool(hour.events)
        return not _follows(hour.events, self._made_of_receipt(names, window))

    def _made_of_receipt(self, names: Names, window: Window) -> list[str]:
        hour = names.hour(window)
        files = sorted(entry.arguments for entry in hour.received)
        blanked = [f"blanked {digest}" for digest in sorted(hour.blanked)]
        start = f"start {Window(self._rules.start).text}"
        return [f"zone {self.reader.zone.key}", start, *files, *blanked]

    def _receive(
        self, names: Names, window: Window, done: WebhookRun, touched: set[Window]
    ) -> None:
        """Build the events of an hour; ``touched`` gets the hours of request that they concern."""
        made_of = self._made_of_receipt(names, window)
        raw = [self._lake.received(names, entry) for entry in names.hour(window).received]
        found = tables_of_receipt(pl.concat([tables.RAW_WEBHOOKS.empty(), *raw]), self.reader)
        events = found.frames[tables.WEBHOOK_EVENTS.name]
        # First, so that no hour is missed by a run that is killed after the entry.
        homes = self._concerned(names, events)
        self._mark(names, window, homes)
        touched |= homes
        self._place(names, window, found.placed)
        if not raw:
            self._lake.withdraw(names, window, "events")
            return
        facts = {
            "returns": events.get_column(tables.REFERENCE.name).n_unique(),
            "deliveries": found.deliveries,
            **{fate: getattr(found, fate) for fate in FATES},
        }
        done.received[window] = self._publish(names, window, found.frames, made_of, facts)

    def _concerned(self, names: Names, events: pl.DataFrame) -> set[Window]:
        """The hours whose matches use ``events``.

        Each placed event concerns the hour that has its return; another event does where polls
        have not brought its return.
        """
        found: set[Window] = set()
        rows = events.select(tables.REFERENCE.name, tables.REQUESTED_AT.name, "is_placed").rows()
        for reference, requested_at, is_placed in rows:
            home = Window.of(requested_at)
            if home < Window(self._rules.start):
                continue
            holder = self._holder(names, home, reference)
            if is_placed and holder not in {None, home}:
                # Before it is a copy in its own hour: so that it is at no time in two.
                self._lake.entries.mark(names, home, [holder])
            if is_placed or holder is None:
                found |= {home, holder or home}  # a poll of the first may bring it yet
        return found

    def _place(self, names: Names, window: Window, placed: Mapping[Window, Placed]) -> None:
        """Note which webhooks of ``window`` are copies of returns, by the hour of request."""
        there = {home: placed[home] for home in placed if home >= Window(self._rules.start)}
        before = self._homes_before(window) | set(names.hours())
        gone = {home for home in before - there.keys() if self._has_placed(names, home, window)}
        for home in sorted(gone | there.keys()):
            of_home = there.get(home, Placed(window.start))
            entry = entry_kinds.Placed(
                period=home.key,
                hour=name_of_hour(window),
                newest=of_home.newest,
                zone=self.reader.zone.key,
                deliveries=of_home.deliveries,
                bodies=journal.digest_of_inputs(of_home.bodies),
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

    @staticmethod
    def _has_placed(names: Names, home: Window, window: Window) -> bool:
        return any(one.came == window for one in names.hour(home).placed)

    def _mark(self, names: Names, window: Window, homes: Iterable[Window]) -> None:
        for home in homes:
            if window not in names.hour(home).webhooks:
                hour = name_of_hour(window)
                self._lake.entries.put(names, entry_kinds.Webhooks(period=home.key, hour=hour))

    def _holder(self, names: Names, home: Window, reference: str) -> Window | None:
        """The hour whose tables have a return; None for none.

        It is ``home``, one near it, or any that ``flow/relocated`` has found to share a return
        with it.
        """
        number = hash_of(reference)
        near = {Window.from_number(home.number + far) for far in range(-NEAR, NEAR + 1)}
        near.update(sources_of(home, names))
        for window in sorted(near, key=lambda window: (abs(window.number - home.number), window)):
            if number in self._references(names, window):
                return window
        return None

    def _references(self, names: Names, window: Window) -> frozenset[bytes]:
        made = names.hour(window).made
        if len(made) != 1 or not made[0].returns:
            return frozenset()
        key = window, made[0].text
        if key not in self._held:
            entry = self._lake.made_or_none(window, names)
            plain = entry.references if entry else b""
            self._held[key] = frozenset(plain[at : at + 8] for at in range(0, len(plain), 8))
            if len(self._held) > KEPT_HOURS:
                self._held.popitem(last=False)
        return self._held[key]

    # ---- by the hour of request

    def _is_stale_match(self, names: Names, window: Window, now: datetime) -> bool:
        hour = names.hour(window)
        of_others = any(names.hour(came).damaged for came in hour.webhooks)
        if (not hour.made and not hour.webhooks) or hour.damaged or of_others:
            return False
        return not _follows(hour.matched, self._made_of_match(names, window, now))

    def _made_of_match(self, names: Names, window: Window, now: datetime) -> list[str]:
        """What a match is made of: tables of polls, events, times of listening, and finality."""
        near = (window.previous, window, window.next)
        polls = [f"{w.key} {made.text}" for w in near for made in names.hour(w).made]
        events = [
            f"events {w.key} {made.text}"
            for w in sorted(names.hour(window).webhooks)
            for made in names.hour(w).events
        ]
        listened = [f"listened {entry.arguments}" for entry in names.hour(window).listened]
        lost = f"lost after {self._rules.lost_after}"
        return [*polls, *events, *sorted(listened), lost, str(self._finality(names, window, now))]

    def _finality(self, names: Names, window: Window, now: datetime) -> matches.Finality:
        good = [poll for poll in names.hour(window).polls if is_good(poll, window)]
        edge = window.end + LACKING_AFTER
        of_lacking = any(poll.polled_at >= edge for poll in good)
        if good and not of_lacking and now >= edge:
            of_lacking = not self._rules.polls_late or self._was_asked_since(window, edge)
        # Polls that are not in the tables yet may have brought it.
        of_lacking = of_lacking and is_made(window, names)
        return matches.Finality(now >= window.end + self._rules.lost_after, of_lacking)

    def _was_asked_since(self, window: Window, edge: datetime) -> bool:
        """Whether a poll since ``edge`` brought nothing new."""
        day = window.start.date()
        if day not in self._asked:  # each hour of the date asks, and more than once
            self._asked[day] = self._lake.poll_log.of(day)
        answers = self._asked[day].get(window.key, ())
        return any(not answer.error and answer.at >= edge for answer in answers)

    def _match(
        self, names: Names, window: Window, now: datetime, done: WebhookRun, over: set[Window]
    ) -> None:
        """Build the matches of an hour; hours that turn out to be concerned join ``over``."""
        made_of = self._made_of_match(names, window, now)
        polled = self._lake.read(tables.RETURNS, window, names)
        events = self._events_of(names, window, polled, over)
        finality = self._finality(names, window, now)
        if finality.of_lacking:
            events = self._without_those_elsewhere(window, events, polled)
        found = matches.match(polled, events, finality)
        spans = [(entry.begin, entry.until) for entry in names.hour(window).listened]
        delivery = matches.delivery_of_hour(
            window.start, found, matches.listened(spans), self._rules.lost_after
        )
        frames = {
            tables.WEBHOOK_MATCHES.name: found,
            tables.WEBHOOK_DELIVERY_HOURLY.name: delivery,
        }
        facts = {
            "returns": found.height,
            "references": _distinct(polled, events),
            **_facts(delivery, found),
        }
        done.matched[window] = self._publish(names, window, frames, made_of, facts)

    def _events_of(
        self, names: Names, window: Window, polled: pl.DataFrame | None, over: set[Window]
    ) -> pl.DataFrame:
        """The events about the returns of ``window``, of all hours in which they came."""
        frames = [tables.WEBHOOK_EVENTS.empty()]
        known = set() if polled is None else set(polled.get_column(tables.REFERENCE.name))
        for came in sorted(names.hour(window).webhooks):
            events = self._lake.read(tables.WEBHOOK_EVENTS, came, names)
            if events is None:
                continue
            mine: list[bool] = []
            columns = events.select(tables.REFERENCE.name, tables.REQUESTED_AT.name).rows()
            for reference, requested_at in columns:
                is_mine = reference in known
                if not is_mine and window.holds(requested_at):
                    holder = self._holder(names, window, reference)
                    is_mine = holder in {None, window}
                    if holder not in {None, window}:  # a poll has shown since where it lives
                        self._mark(names, came, [holder])
                        over.add(holder)
                mine.append(is_mine)
            frames.append(events.filter(pl.Series(mine, dtype=pl.Boolean)))
        return pl.concat(frames)

    def _without_those_elsewhere(
        self, window: Window, events: pl.DataFrame, polled: pl.DataFrame | None
    ) -> pl.DataFrame:
        """``events`` without those of returns whose request time was a guess, and a wrong one.

        No webhook that they were placed links their hours, so they are looked for before polls are
        said to lack them.
        """
        known = [] if polled is None else polled.get_column(tables.REFERENCE.name).to_list()
        reference, is_guess = pl.col(tables.REFERENCE.name), pl.col("requested_at_from") == GUESSED
        of_guess = (is_guess & ~pl.col("is_placed")).all().over(reference)
        guessed = events.filter(of_guess & ~reference.is_in(known)).get_column(
            tables.REFERENCE.name
        )
        hashes = {one: hash_of(one) for one in guessed}
        if not hashes:
            return events
        held = held_in_reach(self._lake, window, set(hashes.values()))
        elsewhere = [one for one, number in hashes.items() if number in held]
        return events.filter(~reference.is_in(elsewhere))

    # ---- days

    def _made_of_day(self, names: Names, day: Day) -> list[str]:
        made_of = [f"zone {day.zone.key}", f"lost after {self._rules.lost_after}"]
        return made_of + [
            f"{window.key} {made.text}"
            for window in day.windows
            for made in names.hour(window).matched
        ]

    def _is_stale_day(self, names: Names, day: Day) -> bool:
        return not _follows(names.day(day.date, "matched"), self._made_of_day(names, day))

    def _days_of(self, names: Names, windows: Iterable[Window]) -> list[Day]:
        """The days that have matches of ``windows``."""
        compared = (window for window in windows if names.hour(window).matched)
        return sorted({day for window in compared for day in days_of(window, self.zone)})

    def _make_day(self, names: Names, day: Day, done: WebhookRun) -> None:
        if not self._is_stale_day(names, day):
            return
        windows = [window for window in day.windows if names.hour(window).matched]
        made_of = self._made_of_day(names, day)
        try:
            read = [self._lake.read(tables.WEBHOOK_MATCHES, window, names) for window in windows]
        except LakeDamaged as error:
            done.failed[windows[0]] = error
            return
        inside = pl.col("requested_at").is_between(day.start, day.end, closed="left")
        rows = pl.concat(
            [tables.WEBHOOK_MATCHES.empty(), *(frame for frame in read if frame is not None)]
        ).filter(inside)
        delivery = matches.delivery_of_day(
            day.date, rows, self._listened_in(names, day), self._rules.lost_after
        )
        frames = {tables.WEBHOOK_DELIVERY_DAILY.name: delivery}
        facts = {"returns": rows.height, **_facts(delivery, rows)}
        done.days[day] = self._publish(names, day, frames, made_of, facts)

    def _publish(
        self,
        names: Names,
        period: Window | Day,
        frames: dict[str, pl.DataFrame],
        made_of: list[str],
        facts: dict[str, int],
    ) -> Made:
        made, _ = self._lake.publish(
            names,
            period,
            frames,
            inputs=journal.digest_of_inputs(made_of),
            rules=Rules.of_today().webhooks,
            made_of=made_of,
            facts=facts,
        )
        return made

    @staticmethod
    def _listened_in(names: Names, day: Day) -> int:
        """Seconds of a day in which a receiver could take webhooks."""
        total = 0
        for window in day.windows:
            first = max(0, round((day.start - window.start).total_seconds()))
            last = min(3600, round((day.end - window.start).total_seconds()))
            spans = [
                (max(entry.begin, first), min(entry.until, last))
                for entry in names.hour(window).listened
            ]
            total += matches.listened(span for span in spans if span[0] < span[1])
        return total


def _not_of_all(names: Names) -> list[Window]:
    """The hours with copies in webhooks that are not made of all their sources.

    Or, where there is no poll, by rules of before: the sensor makes the others again.
    """
    today = Rules.of_today().hours
    hours = ((window, names.hour(window)) for window in names.hours())
    return [
        window
        for window, hour in hours
        if hour.placed
        and hour.has_copies
        and not hour.damaged
        and (not is_made(window, names) or (not hour.polls and hour.made[0].rules != today))
    ]


def _follows(made: Sequence[MadeName], made_of: list[str]) -> bool:
    """Whether there is one entry, made of these and by the rules of today."""
    wanted = journal.digest_of_inputs(made_of), Rules.of_today().webhooks
    return len(made) == 1 and (made[0].inputs, made[0].rules) == wanted


def _distinct(polled: pl.DataFrame | None, events: pl.DataFrame) -> int:
    """The references of both sources, each once."""
    of_polls = set() if polled is None else set(polled.get_column(tables.REFERENCE.name))
    return len(of_polls.union(events.get_column(tables.REFERENCE.name)))


def _facts(delivery: pl.DataFrame, found: pl.DataFrame) -> dict[str, int]:
    names = (*matches.VERDICTS, "deliveries", "doubled", "late", "listening_s")
    counts = {name: int(delivery.get_column(name)[0]) for name in names}
    return counts | matches.by_lag(found)


def blanking_as_received(
    lake: Lake,
    reader: RecordReader,
    keep_raw: timedelta | None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Blank:
    """Blanks deliveries before they are put into ``lake``, as receipts and RETURNS_RAW_DAYS ask.

    The function raises LakeDamaged where a receipt cannot be read: then nothing may land.
    """

    def blank(window: Window, raw: pl.DataFrame) -> pl.DataFrame:
        old = None if keep_raw is None else clock() - keep_raw
        blanking = Blanking(lake.receipts.all(), old)
        if not blanking.concerns(window):
            return raw
        found = blanked_bodies(raw, window, blanking, reader)
        if blanking.found:  # first, so that what is blanked here is blanked elsewhere, too
            lake.receipts.add(lake.receipts.of(blanking.take_found(), clock()))
        return found

    return blank
