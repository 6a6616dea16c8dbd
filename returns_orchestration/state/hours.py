"""The state of an hour: one rule, for commands, sensors and alerts alike.

The first line that holds is the state:

- ``waived``: a person declared it, and no good poll is kept
- ``missing``: no good poll is kept, whatever webhooks brought, or Dagster's log shows a kept poll
  that the lake lacks
- ``damaged``: a file does not match its record, or a poll was lost and not replaced since
- ``unfinished``: its tables or its days do not use every kept poll
- ``outdated``: they use them, by an older schema, version of the rules or format
- ``empty``: complete, and has no return
- ``complete``

A poll is good if it was sent after the end of its hour. All of it follows from the names in the
journal, and from the names and sizes of the tables' files where these were listed; the entry of a
day is opened only where it lacks inputs. The reference gives the meaning of a state for the reader;
``due`` decides what is due because of it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal

from returns_orchestration import tables
from returns_orchestration.errors import LakeDamaged
from returns_orchestration.lake import journal
from returns_orchestration.lake.entry_kinds import UNKNOWN_SHA
from returns_orchestration.lake.names import inputs_of
from returns_orchestration.stages.landing import is_good
from returns_orchestration.stages.rules import Rules
from returns_orchestration.state.days import (
    days_concerned,
    inputs_of_day,
    is_left_behind,
    made_of_hour,
    made_of_zone,
)
from returns_orchestration.window import Day

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from zoneinfo import ZoneInfo

    from returns_orchestration.lake import Lake, Names
    from returns_orchestration.lake.names import HourNames
    from returns_orchestration.tables import Table
    from returns_orchestration.window import Window

State = Literal["waived", "missing", "damaged", "unfinished", "outdated", "empty", "complete"]
STATES: Final[tuple[State, ...]] = (
    "complete",
    "empty",
    "outdated",
    "unfinished",
    "missing",
    "damaged",
    "waived",
)
DONE: Final[frozenset[State]] = frozenset({"complete", "empty", "waived"})
"""States of an hour that needs no action."""

READABLE: Final[frozenset[State]] = frozenset({"complete", "empty", "outdated"})
"""States of an hour whose returns are all in its tables; of an outdated one by older rules."""
FAULTS: Final = frozenset({"missing", "damaged"})
"""States in which a command exits with 1."""

LACKING: Final = "Dagster's log shows a newer poll than the lake has: it was restored."
LOST: Final = "A poll was found damaged and quarantined."
DAMAGED: Final = "A file does not match its record."
UNFINISHED: Final = "It was polled, and its tables or its days are not made of all its polls yet."


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state of one hour; ``needs_poll``: the API is to be asked; ``why``: the cause."""

    state: State
    needs_poll: bool = False
    why: str = ""

    @property
    def needs_making(self) -> bool:
        """Whether it is to be made again from the lake, without a call."""
        return not self.needs_poll and self.state in {"damaged", "unfinished", "outdated"}


class States:
    """Judges hours by ``names``, by the rules of today and by the zone of the days.

    ``known`` has, by hour, the beginning of the sha256 of the newest kept poll in Dagster's log.
    """

    def __init__(
        self,
        lake: Lake,
        names: Names,
        zone: ZoneInfo,
        known: Mapping[Window, str] | None = None,
    ) -> None:
        self._lake = lake
        self._names = names
        self._zone = zone
        self._known = known or {}
        self._rules = Rules.of_today()
        self._uses: dict[Day, tuple[str, frozenset[str]]] = {}
        self._left_behind: dict[Day, bool] = {}

    def of(self, window: Window) -> Verdict:  # noqa: PLR0911 - a line of the table each
        """The state of ``window``: the first line of the table that holds."""
        hour = self._names.hour(window)
        has_good = any(is_good(poll, window) for poll in hour.polls)
        unnoted = self._unnoted(window)
        if is_waived(window, self._names):
            return Verdict("waived")
        if self._lacks(window, hour):
            return Verdict("missing", needs_poll=True, why=LACKING)
        if not has_good and not unnoted:
            return Verdict("missing", needs_poll=True, why=LOST if hour.lost else "")
        if hour.has_lost_a_poll:
            return Verdict("damaged", needs_poll=True, why=LOST)
        if hour.damaged or self._has_other_sizes(window, hour):
            return Verdict("damaged", why=DAMAGED)
        if unnoted or not is_made(window, self._names) or not self.is_followed(window):
            return Verdict("unfinished", why=UNFINISHED)
        if self._is_outdated(window, hour):
            return Verdict("outdated")
        return Verdict("complete" if hour.made[0].returns else "empty")

    def is_followed(self, window: Window) -> bool:
        """Whether every day that counts rows of ``window`` was made of its present tables.

        Not while a day beside them is left behind by another zone: it counts them, too.
        """
        days = self._days(window)
        return all(self._follows(day, window) for day in days) and not any(
            self._is_left_behind(day) for day in self._beside(window, days)
        )

    def other_files(self, window: Window) -> list[str]:
        """Recorded files of ``window`` that a listing shows absent or of another size."""
        sizes = {
            self._lake.polls.path(window, poll.number): poll.file[0]
            for poll in self._names.hour(window).polls
        }
        made = self._lake.made_or_none(window, self._names)
        sizes |= {file.path: file.size for file in made.files.values()} if made else {}
        found: list[str] = []
        for path, size in sizes.items():
            listed = self._names.files(path.partition("/")[0], window.start.date())
            if listed is not None and listed.get(path) != size:
                found.append(path)
        return found

    def is_due(self, day: Day) -> bool:
        """Whether ``day`` is to be made again: its inputs, rules or files differ."""
        made = self._names.day(day.date)
        return (
            len(made) != 1
            or made[0].inputs != inputs_of_day(day, self._names)
            or made[0].rules != self._rules.days
            or self._sizes_differ(day, tables.MADE_DAILY, made[0].sizes)
        )

    def _days(self, window: Window) -> list[Day]:
        return days_concerned(window, self._names, self._zone)

    def _beside(self, window: Window, days: Collection[Day]) -> list[Day]:
        """The other days that ``window`` may lie in, in whatever zone."""
        near: list[Day] = []
        with suppress(OverflowError):  # no day is made at the ends of the calendar
            date = window.start.date()
            near += [Day(date + timedelta(days=n), self._zone) for n in (-1, 0, 1)]
        return [day for day in near if day not in days]

    def _is_left_behind(self, day: Day) -> bool:
        if day not in self._left_behind:
            self._left_behind[day] = is_left_behind(day, self._lake, self._names)
        return self._left_behind[day]

    def _lacks(self, window: Window, hour: HourNames) -> bool:
        known = self._known.get(window)
        lost = {sha for number, sha, _ in hour.lost if number}  # 0 was a note and no poll
        if known is None or UNKNOWN_SHA in lost:  # which may be the one that is known
            return False
        return known not in {poll.sha256 for poll in hour.polls} | lost

    def _unnoted(self, window: Window) -> list[int]:
        """Polls without an entry, as far as files were listed."""
        listed = self._names.files(tables.RAW_RETURNS.name, window.start.date())
        return [] if listed is None else self._names.unnoted(window)

    def _has_other_sizes(self, window: Window, hour: HourNames) -> bool:
        day = window.start.date()
        listed = self._names.files(tables.RAW_RETURNS.name, day)
        if listed is not None and any(
            listed.get(self._lake.polls.path(window, poll.number)) != poll.file[0]
            for poll in hour.polls
        ):
            return True
        if len(hour.made) != 1 or hour.made[0].rules != self._rules.hours:
            return False
        return self._sizes_differ(window, tables.MADE_HOURLY, hour.made[0].sizes)

    def _sizes_differ(self, period: Window | Day, made: Sequence[Table], sizes: str) -> bool:
        """Whether the files of some tables, if they were listed, have other sizes than recorded."""
        found: dict[str, int] = {}
        for table in made:
            date = period.date if isinstance(period, Day) else period.start.date()
            listed = self._names.files(table.name, date)
            if listed is None:
                return False
            path = self._lake.path(table, period)
            if path in listed:
                found[path] = listed[path]
        return journal.digest_of_sizes(found) != sizes

    def _follows(self, day: Day, window: Window) -> bool:
        made = self._names.day(day.date)
        if len(made) != 1 or self._sizes_differ(day, tables.MADE_DAILY, made[0].sizes):
            return False
        expected, uses = self._used_by(day)
        if made[0].inputs == expected:
            return True
        return {made_of_zone(self._zone), made_of_hour(window, self._names)} <= uses

    def _used_by(self, day: Day) -> tuple[str, frozenset[str]]:
        """The digest of the inputs that a day should have, and its inputs if they differ."""
        if day not in self._uses:
            expected, uses = inputs_of_day(day, self._names), frozenset[str]()
            if self._names.day(day.date)[0].inputs != expected:
                try:
                    made = self._lake.made(day, self._names)
                    uses = frozenset(made.made_of if made else ())
                except LakeDamaged:  # making the day again mends it
                    pass
            self._uses[day] = expected, uses
        return self._uses[day]

    def _is_outdated(self, window: Window, hour: HourNames) -> bool:
        return hour.made[0].rules != self._rules.hours or any(
            self._names.day(day.date)[0].rules != self._rules.days for day in self._days(window)
        )


def is_waived(window: Window, names: Names) -> bool:
    """Whether a person declared that ``window`` is not needed, and no good poll of it is kept."""
    hour = names.hour(window)
    return hour.waived and not any(is_good(poll, window) for poll in hour.polls)


def is_made(window: Window, names: Names) -> bool:
    """Whether the tables of ``window`` were made of exactly the sources that there are now."""
    made = names.hour(window).made
    return len(made) == 1 and made[0].inputs == inputs_of(window, names)
