"""What alerts remember of one lake besides its index of hours, and one look that refreshes it.

The outcomes of requests, the claims that fail, the returns of each hour of the last ten weeks and
the mix of each day of the last month. A look stops when its time is up: the hours that it did not
reach are unknown and come next.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from returns_orchestration import tables
from returns_orchestration.lake.news import NewName  # noqa: TC001 - msgspec
from returns_orchestration.state import mix, news
from returns_orchestration.state.budget import portions
from returns_orchestration.state.failing_claims import UNREAD, Failing, forget, remember
from returns_orchestration.state.hour_index import Cause, HourIndex
from returns_orchestration.state.hours import States
from returns_orchestration.state.spans import Spans
from returns_orchestration.window import Day, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from returns_orchestration.alerts.kinds import Key
    from returns_orchestration.alerts.life_cycle import Incident
    from returns_orchestration.alerts.outbox import Outbox
    from returns_orchestration.lake import Lake, Names
    from returns_orchestration.settings import Settings
    from returns_orchestration.state.delivery import Delivery
    from returns_orchestration.state.failing_claims import Evaluation
    from returns_orchestration.state.health import Storage
    from returns_orchestration.state.hour_index import Found
    from returns_orchestration.state.hours import Verdict

COUNTED: Final = timedelta(weeks=10)
AT_ONCE: Final = 168
"""Hours looked at in one listing."""

READ: Final = tables.RAW_RETURNS.name
CLOCKED: Final = (
    "began_at",
    "resumed_at",
    "progress_at",
    "relieved_at",
    "appeared_at",
    "asked_at",
)
"""The times that a watch remembers."""

HOURLY: Final = frozenset({READ, *(table.name for table in tables.MADE_HOURLY)})
DAILY: Final = frozenset(table.name for table in tables.MADE_DAILY)


class Watch(HourIndex, kw_only=True):
    """The memory itself; kept in the lake as ``_alerts/seen.json``.

    ``began_at`` is when the watch began on this lake, ``resumed_at`` when it last began again after
    a pause; ``progress_at`` when an hour that was missing then was last recovered; ``relieved_at``
    when the cause of missing hours was over. Hours in ``appeared`` were overdue when they were
    first found missing, as after RETURNS_START was set to an earlier hour; the last ones were found
    at ``appeared_at``. ``asked_at`` is the time of the newest outcome of any request, and
    ``refused`` the refusal of credentials that no later outcome contradicts. ``new_names`` wait to
    be acknowledged. ``has_webhooks``: they came, so each look includes them. ``reported`` is the
    last day of the newest report that was looked for.
    """

    began_at: datetime
    resumed_at: datetime
    progress_at: datetime
    relieved_at: datetime
    appeared: Spans = msgspec.field(default_factory=Spans)
    appeared_at: datetime | None = None
    asked_at: datetime | None = None
    has_webhooks: bool = False
    reported: date | None = None
    refused: Cause | None = None
    failing: dict[str, Failing] = msgspec.field(default_factory=dict)
    counts: dict[int, int] = msgspec.field(default_factory=dict)
    mixes: dict[str, mix.DayMix] = msgspec.field(default_factory=dict)
    mixed: dict[str, str] = msgspec.field(default_factory=dict)
    new_names: list[NewName] = msgspec.field(default_factory=list)

    @classmethod
    def first(cls, now: datetime) -> Watch:
        """A watch that begins ``now``."""
        return cls(began_at=now, resumed_at=now, progress_at=now, relieved_at=now)

    def correct_clock(self, now: datetime) -> None:
        """Replace times in the future by ``now``: a clock that was ahead must delay nothing."""
        super().correct_clock(now)
        for name in CLOCKED:
            setattr(self, name, (moment := getattr(self, name)) and min(moment, now))
        for entry in self.failing.values():
            entry.periods = {period: min(at, now) for period, at in entry.periods.items()}


@dataclass(frozen=True, kw_only=True, slots=True)
class Situation:
    """All that detectors look at.

    ``opened`` are the open incidents and ``found`` is what the sensor `missing_hours` found, None
    where it cannot be read; ``newest`` is the newest hour that is due, and ``absent`` names
    credentials that are not set. ``storage`` is None where it was not measured, ``delivery`` where
    webhooks never came.
    """

    watch: Watch
    opened: Mapping[Key, Incident]
    outboxes: Mapping[str, Outbox]
    found: Found | None
    newest: Window
    absent: str
    settings: Settings
    now: datetime
    storage: Storage | None = None
    delivery: Delivery | None = None


@dataclass(slots=True)
class Look:
    """One look at the hours of a lake: takes in new evaluations and the hours they touch.

    ``may_go_on`` returns whether there is time for more hours; ``known`` is for States.
    """

    at: Situation
    lake: Lake
    names: Names
    may_go_on: Callable[[], bool]
    known: Callable[[Sequence[Window]], Mapping[Window, str]]

    def take_in(self, evaluations: Sequence[Evaluation], first: Window) -> None:
        """Everything: the evaluations, the hours since ``first`` they touch, and unknown ones."""
        watch, found = self.at.watch, self.at.found
        remember(watch.failing, evaluations)
        forget(watch.failing, self.at.now)
        # A check without a partition is about all time and gives no verdict on one hour.
        partitioned = [evaluation for evaluation in evaluations if evaluation.period]
        for evaluation in partitioned:
            if evaluation.asset == READ:
                self._read_outcome(evaluation)
            elif evaluation.asset in HOURLY:
                self._read_block(evaluation)
        if any(evaluation.check == news.CHECK for evaluation in evaluations):
            waiting = self.lake.news.waiting()
            watch.new_names = news.unacknowledged(waiting, self.at.settings.acknowledged)
        watch.trim(first)
        touched = sorted({e.period for e in partitioned if e.asset in HOURLY}, reverse=True)
        damaged = found.windows if found else ()
        ordered = watch.worth_a_look(map(Window.from_key, touched), damaged, first, self.at.newest)
        for some in portions(ordered, AT_ONCE, self.may_go_on):
            known = self.known(some)  # first, else a poll kept in between seems to be lost
            self.names.load_hours(some)
            states = States(self.lake, self.names, self.at.settings.report_time_zone, known)
            self._note({window: states.of(window) for window in some})
        days = {e.period for e in evaluations if e.asset in DAILY}
        today = Day.of(self.at.now, self.at.settings.report_time_zone)
        mix.refresh(watch, self.lake, self.names, today, days)
        oldest = Window.of(self.at.now - COUNTED).number
        watch.counts = {at: count for at, count in watch.counts.items() if at >= oldest}

    def _read_outcome(self, evaluation: Evaluation) -> None:
        """Whether the API was read, and if not, why."""
        watch, period, check = self.at.watch, evaluation.period, evaluation.check
        unread = next((claim for claim in evaluation.failed if claim.name in UNREAD), None)
        watch.asked_at = max(watch.asked_at or evaluation.at, evaluation.at)
        if unread is None:
            if period in watch.causes and watch.causes[period].check in {"", check}:
                del watch.causes[period]
            if watch.refused is not None and watch.refused.check in {"", check}:
                watch.refused = None
            return
        cause = watch.causes[period] = Cause(error=unread.cause, at=evaluation.at, check=check)
        if unread.cause == "CredentialsRefused":
            # The first of several refusals in a row is kept: it shows since when.
            watch.refused = watch.refused or cause
        elif unread.cause in {"HourBlocked", "LakeDamaged", "RequestRefused"}:
            watch.refused = None  # it was answered, or not even asked for

    def _read_block(self, evaluation: Evaluation) -> None:
        """Whether a check keeps an hour from being published."""
        causes, period, check = self.at.watch.causes, evaluation.period, evaluation.check
        if any(claim.weight == "blocks" for claim in evaluation.failed):
            causes[period] = Cause(error="HourBlocked", at=evaluation.at, check=check)
        elif period in causes and causes[period].check == check:
            del causes[period]

    def _note(self, verdicts: Mapping[Window, Verdict]) -> None:
        """Put the states of hours into the index, and the returns of whole ones into the counts."""
        watch, missing = self.at.watch, Spans(self.at.watch.missing.pairs())
        known = Spans([*missing.pairs(), *watch.whole.pairs()])
        left = Spans(watch.appeared.pairs())
        watch.note({w: verdict.state for w, verdict in verdicts.items()}, self.at.now)
        whole = watch.whole
        policy = self.at.settings.alert_policy
        overdue = self.at.now - policy.settle - policy.grace
        new = [w for w in verdicts if w in watch.missing and w not in known and w.end <= overdue]
        if new:
            watch.appeared.add(new)
            watch.appeared_at = self.at.now
        watch.appeared.discard([w for w in verdicts if w not in watch.missing])
        for window, verdict in verdicts.items():
            number = window.number
            if window not in whole:
                watch.counts.pop(number, None)
                continue
            if window in missing and (window.end <= watch.resumed_at or window in left):
                watch.progress_at = self.at.now
            if verdict.state == "waived":  # how many returns it had is not known
                watch.counts.pop(number, None)
            elif self.at.now - window.start <= COUNTED:
                watch.counts[number] = self.names.hour(window).made[0].returns
