"""A run over the tables of webhooks: which hours and days are looked at, in which order."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from returns_orchestration.errors import LakeDamaged
from returns_orchestration.flow.outcomes import Failed, Stopped
from returns_orchestration.flow.outcomes import Made as MadeHour
from returns_orchestration.flow.webhooks.days import MatchedDayBuilder
from returns_orchestration.flow.webhooks.events import EventBuilder
from returns_orchestration.flow.webhooks.holders import Holders
from returns_orchestration.flow.webhooks.matches import MatchBuilder
from returns_orchestration.stages.rules import Rules
from returns_orchestration.state.hours import States, is_made
from returns_orchestration.window import Day, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import date

    from returns_orchestration.errors import ReturnsError
    from returns_orchestration.flow.hours import HourPipeline
    from returns_orchestration.flow.webhooks.rules import WebhookRules
    from returns_orchestration.lake import Made, Names
    from returns_orchestration.stages.typing import RecordReader

RECENT_DAYS: Final = 4
"""Dates that each run looks at: until the verdicts of an hour are final, and its last re-poll."""

ROUNDS: Final = 4
"""A match may put marks that concern another hour, whose match is then built once more."""


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
        holders = Holders(self._lake)
        self._events = EventBuilder(self._lake, reader, rules.start, holders)
        self._matches = MatchBuilder(self._lake, rules, holders)
        self._days = MatchedDayBuilder(self._lake, self.zone, rules.lost_after)

    def run(self, dates: Collection[date] = ()) -> WebhookRun:
        """Build what does not follow on the last days, and on ``dates``. Raises LakeError."""
        done, now = WebhookRun(), self._hours.clock()
        looked_at = self.recent(now) | set(dates)
        names = self.look(looked_at)
        if names is None:
            return done
        touched: set[Window] = set()
        for window in names.hours():
            if self._events.is_stale(names, window):
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
                w for w in over - done.failed.keys() if self._matches.is_stale(names, w, now)
            )
            if not stale:
                break
            for window in stale:
                self._guarded(done, window, partial(self._match, names, window, now, done, over))
        for day in self._days.of(names, over):
            self._make_day(names, day, done)
        return done

    def _receive(
        self, names: Names, window: Window, done: WebhookRun, touched: set[Window]
    ) -> None:
        made = self._events.build(names, window, touched)
        if made is not None:
            done.received[window] = made

    def _match(
        self, names: Names, window: Window, now: datetime, done: WebhookRun, over: set[Window]
    ) -> None:
        done.matched[window] = self._matches.build(names, window, now, over)

    def _make_day(self, names: Names, day: Day, done: WebhookRun) -> None:
        if self._days.is_stale(names, day):
            made = self._days.build(names, day, done.failed)
            if made is not None:
                done.days[day] = made

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
        self._matches.drop_cache()
        self._expected = self._lake.webhooks.expected()
        if not self._expected and not self._lake.webhooks.have_come():
            return None
        names = self._lake.names()
        names.load_hours(Window(datetime.combine(day, time(), UTC)) for day in sorted(dates))
        return names

    def due(self, names: Names, dates: Collection[date]) -> set[date]:
        """Those of ``dates`` on which something is to be built."""
        now = self._hours.clock()
        found = {w.start.date() for w in names.hours() if self._events.is_stale(names, w)}
        found |= {window.start.date() for window in self._unmade(names)}
        compared = self._compared(names, dates, now)
        found |= {w.start.date() for w in compared if self._matches.is_stale(names, w, now)}
        for window in compared:
            if any(self._days.is_stale(names, day) for day in self._days.of(names, [window])):
                found.add(window.start.date())
        return found.intersection(dates)

    def _unmade(self, names: Names) -> list[Window]:
        """The hours with copies in webhooks that are to be made, or whose days are.

        Hours that were polled are followed by their days in the sensor for missing hours.
        """
        unmade = _not_of_all(names)
        hours = ((window, names.hour(window)) for window in names.hours())
        of_webhooks = ((w, of) for w, of in hours if of.placed and not of.polls and not of.damaged)
        made = {window for window, of in of_webhooks if any(made.returns for made in of.made)}
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
