"""What alerts remember of the lake's hours, so that a tick is as cheap after five years.

Complete hours are spans; only hours that are new, touched by a run, or missing are looked at, and
a few complete ones in turn. Of the last ten weeks each hour's returns are remembered, of the last
weeks each day's mix. A look stops when its time is up: what it did not come to is unknown, which is
not missing, and comes next.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from returns_orchestration import tables
from returns_orchestration.alerts.mix import DayMix, most_frequent
from returns_orchestration.alerts.verdicts import UNREAD, Failing, forget, remember
from returns_orchestration.errors import LakeDamaged
from returns_orchestration.state.hours import States
from returns_orchestration.state.spans import Spans
from returns_orchestration.window import HOUR, Day, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from zoneinfo import ZoneInfo

    from returns_orchestration.alerts.facts import Evaluation
    from returns_orchestration.lake import Lake
    from returns_orchestration.state.hours import Verdict

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
COUNTED: Final = timedelta(weeks=10)
MIXED: Final = timedelta(days=30)
MISSING_AGAIN: Final = 200
"""Missing hours looked at again by each look, the newest first; a run that mends one is seen."""

RECENT: Final = 72
"""The newest complete hours, looked at again by each look; `missing_hours` looks at the others."""

AT_ONCE: Final = 168
"""Hours looked at in one listing."""

NEEDS_NOTHING: Final = frozenset({"complete", "empty", "waived", "outdated"})
"""States of an hour of which all that was served is in its tables."""

NEW_HOURS: Final = 1_000
DAMAGED: Final = 168
"""Damaged hours that one look goes to."""

CAUSES: Final = 400
LOST: Final = 2_000
READ: Final = tables.RAW_RETURNS.name
HOURLY: Final = frozenset({READ, *(table.name for table in tables.MADE_HOURLY)})
DAILY: Final = frozenset(table.name for table in tables.MADE_DAILY)


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """Why an hour was not read or not published: the error's type, its words, and when."""

    error: str
    words: str
    at: datetime


class Seen(msgspec.Struct, kw_only=True):
    """The memory itself; kept in the lake as ``_alerts/seen.json``.

    ``began_at`` is when the watch began on this lake, ``resumed_at`` when it last began again after
    a pause; ``progress_at`` when an hour that was missing then was mended last; ``relieved_at``
    when what had kept hours from coming was over; ``asked_at`` the newest outcome of any request,
    good or bad, and ``refused`` the refusal of credentials that nothing has contradicted since.
    ``lost`` are hours that were complete and are not now, since when: a run may be at work on them.
    ``mixed`` names, of each day whose mix is known, what it was made of when it was read.
    ``damaged`` are hours of which a file is not what was recorded, since when that is known.
    """

    began_at: datetime
    resumed_at: datetime
    progress_at: datetime
    relieved_at: datetime
    asked_at: datetime | None = None
    refused: Cause | None = None
    complete: list[list[str]] = []
    missing: list[list[str]] = []
    lost: dict[str, datetime] = {}
    damaged: dict[str, datetime] = {}
    causes: dict[str, Cause] = {}
    failing: dict[str, Failing] = {}
    counts: dict[int, int] = {}
    mixes: dict[str, DayMix] = {}
    mixed: dict[str, str] = {}

    @classmethod
    def first(cls, now: datetime) -> Seen:
        """A watch that begins ``now``."""
        return cls(began_at=now, resumed_at=now, progress_at=now, relieved_at=now)

    def believe_until(self, now: datetime) -> None:
        """Take what is still to come for ``now``: nothing may wait for a clock that was ahead."""
        self.began_at = min(self.began_at, now)
        self.resumed_at = min(self.resumed_at, now)
        self.progress_at = min(self.progress_at, now)
        self.relieved_at = min(self.relieved_at, now)
        self.asked_at = None if self.asked_at is None else min(self.asked_at, now)
        self.lost = {key: min(at, now) for key, at in self.lost.items()}
        self.damaged = {key: min(at, now) for key, at in self.damaged.items()}
        for entry in self.failing.values():
            entry.periods = {period: min(at, now) for period, at in entry.periods.items()}


def number_of(window: Window) -> int:
    """The hour's number since 1970, as the rhythm counts them."""
    return (window.start - EPOCH) // HOUR


def window_of(number: int) -> Window:
    """The hour of a number."""
    return Window(EPOCH + number * HOUR)


def newest_of(spans: Spans, limit: int, last: Window | None = None) -> list[Window]:
    """Up to ``limit`` hours of the set, the newest first, none of them after ``last``."""
    found: list[Window] = []
    for start, end in reversed(spans.pairs()):
        window = Window.from_key(end).previous
        window = window if last is None else min(window, last)
        while window.key >= start and len(found) < limit:
            found.append(window)
            window = window.previous
    return found


class Look:
    """One look at the hours of a lake: takes new verdicts in, then looks at what they touch."""

    def __init__(  # noqa: PLR0913 - what a look is made of
        self,
        seen: Seen,
        lake: Lake,
        zone: ZoneInfo,
        *,
        now: datetime,
        may_go_on: Callable[[], bool],
        known: Callable[[Sequence[Window]], Mapping[Window, str]],
    ) -> None:
        """``may_go_on`` says whether there is time for another hour; ``known`` is for States."""
        self.seen = seen
        self._lake = lake
        self._names = lake.names()
        self._zone = zone
        self._now = now
        self._may_go_on = may_go_on
        self._known = known
        self.complete = Spans(seen.complete)
        self.missing = Spans(seen.missing)

    def take_in(
        self,
        evaluations: Sequence[Evaluation],
        damaged: Sequence[Window],
        first: Window,
        newest: Window,
    ) -> None:
        """Everything: the verdicts, the hours of [first, newest] they touch, and unknown ones.

        ``damaged`` are hours that another look found so, wherever they lie.
        """
        remember(self.seen.failing, evaluations)
        forget(self.seen.failing, self._now)
        touched = sorted({e.period for e in evaluations if e.asset in HOURLY}, reverse=True)
        for said in evaluations:
            self._read_outcome(said)
        self.seen.damaged = {
            key: at for key, at in self.seen.damaged.items() if Window.from_key(key) >= first
        }
        concerned = [Window.from_key(key) for key in touched]
        ordered = self._order(concerned, damaged, first, newest)
        for at in range(0, len(ordered), AT_ONCE):
            if not self._may_go_on():
                break
            some = ordered[at : at + AT_ONCE]
            known = self._known(some)  # first, or a poll kept in between seems to be lost
            self._names.load_hours(some)
            states = States(self._lake, self._names, self._zone, known)
            for window in some:
                self._look_at(window, states.of(window))
        days = {e.period for e in evaluations if e.asset in DAILY}
        self._read_mixes(days if self.seen.mixed else days | self._days_before())
        self._trim()

    def _read_outcome(self, said: Evaluation) -> None:
        """Whether the API was read, and if not, why."""
        if said.asset != READ:
            return
        unread = next((claim for claim in said.failed if claim.name in UNREAD), None)
        if self.seen.asked_at is None or said.at > self.seen.asked_at:
            self.seen.asked_at = said.at
        if unread is None:
            self.seen.causes.pop(said.period, None)
            self.seen.refused = None
            return
        cause = Cause(error=unread.cause, words=unread.figures, at=said.at)
        self.seen.causes[said.period] = cause
        if unread.cause == "CredentialsRefused":
            # Since when, not how often: the first refusal of a row is kept.
            self.seen.refused = self.seen.refused or cause
        elif unread.cause in {"HourBlocked", "LakeDamaged", "RequestRefused"}:
            self.seen.refused = None  # it was answered, or not even asked for

    def _order(
        self, touched: list[Window], found: Sequence[Window], first: Window, newest: Window
    ) -> list[Window]:
        """What to look at, what is most worth knowing first."""
        known = Spans([*self.complete.pairs(), *self.missing.pairs()])
        again = newest_of(self.missing, MISSING_AGAIN)
        recent = newest_of(self.complete, RECENT, newest)
        damaged = [*(Window.from_key(key) for key in self.seen.damaged), *found][:DAMAGED]
        unknown = known.newest_outside(first, newest, NEW_HOURS)
        ordered = [*touched, *unknown, *damaged, *again, *recent]
        return [window for window in dict.fromkeys(ordered) if first <= window <= newest]

    def _look_at(self, window: Window, verdict: Verdict) -> None:
        if verdict.state == "damaged":
            self.seen.damaged.setdefault(window.key, self._now)
        else:
            self.seen.damaged.pop(window.key, None)
        if verdict.state in NEEDS_NOTHING:
            if window.end <= self.seen.resumed_at and newest_of(self.missing, 1, window) == [
                window
            ]:
                self.seen.progress_at = self._now
            self.complete.add([window])
            self.missing.discard([window])
            self.seen.causes.pop(window.key, None)
            self.seen.lost.pop(window.key, None)
            self._count(window, verdict)
            return
        if newest_of(self.complete, 1, window) == [window]:
            self.seen.lost.setdefault(window.key, self._now)
        self.complete.discard([window])
        self.seen.counts.pop(number_of(window), None)
        if verdict.state == "missing" or window.key in self.seen.causes:
            self.missing.add([window])
        else:  # a run is about to make it: that is not known to be missing
            self.missing.discard([window])

    def _count(self, window: Window, verdict: Verdict) -> None:
        if self._now - window.start > COUNTED:
            return
        if verdict.state == "waived":  # how many returns it had is not known
            self.seen.counts.pop(number_of(window), None)
        else:
            self.seen.counts[number_of(window)] = self._names.hour(window).made[0].returns

    def _days_before(self) -> set[str]:
        today = Day.of(self._now, self._zone).date
        return {(today - timedelta(days=n)).isoformat() for n in range(MIXED // timedelta(days=1))}

    def _read_mixes(self, days: Iterable[str]) -> None:
        oldest = Day.of(self._now - MIXED, self._zone).key
        for key in sorted(days):
            if key < oldest:
                continue
            day = Day(date.fromisoformat(key), self._zone)
            standing = " ".join(name.text for name in self._names.day(day.date))
            if self.seen.mixed.get(key) == standing:
                continue
            try:
                made = self._lake.made(day, self._names)
                reasons = self._lake.read(tables.RETURN_REASONS.daily, day, self._names)
                modes = self._lake.read(tables.REFUND_MODES.daily, day, self._names)
            except LakeDamaged:
                continue  # its hours tell of it, and the next making mends it
            self.seen.mixed[key] = standing
            if made is not None and reasons is not None and modes is not None:
                self.seen.mixes[key] = DayMix(
                    returns=made.facts.get("returns", 0),
                    reasons=most_frequent(dict(reasons.select("return_reason", "returns").rows())),
                    modes=most_frequent(dict(modes.select("refund_mode", "returns").rows())),
                )

    def _trim(self) -> None:
        seen = self.seen
        oldest = number_of(Window.of(self._now - COUNTED))
        seen.counts = {at: count for at, count in seen.counts.items() if at >= oldest}
        oldest_day = Day.of(self._now - MIXED, self._zone).key
        seen.mixes = {day: mix for day, mix in sorted(seen.mixes.items()) if day >= oldest_day}
        seen.mixed = {day: name for day, name in seen.mixed.items() if day >= oldest_day}
        seen.lost = dict(sorted(seen.lost.items(), key=lambda pair: pair[1])[-LOST:])
        newest = sorted(seen.causes.items(), key=lambda pair: pair[1].at)[-CAUSES:]
        seen.causes = dict(newest)
        seen.complete, seen.missing = self.complete.pairs(), self.missing.pairs()
