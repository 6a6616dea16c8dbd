"""The memory of a sensor from one look to the next, as the text of its cursor.

Its index of hours holds the complete ones; attempts at hours that fail are beside it.
"""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from returns_orchestration.state.attempts import Attempt
from returns_orchestration.state.hour_index import HourIndex, decode, encode
from returns_orchestration.state.spans import Spans
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from returns_orchestration.state.due import Choice

HOUR: Final = timedelta(hours=1)

ROUND: Final = timedelta(days=6)
"""Time within which each date is looked at again; a week, less the time a daemon may be down."""

GROWTH: Final = 3
"""Additional dates that a round is planned for: a young lake grows while it is looked at."""

FILES_EVERY: Final = timedelta(minutes=15)
"""How often the files of the newest days are listed, besides the journal at each look."""


class Memory:
    """The index of hours, attempts at those that fail, and the place of the patrol."""

    def __init__(  # noqa: PLR0913 - what a cursor holds
        self,
        hours: HourIndex,
        attempts: dict[Window, Attempt],
        *,
        rules: str = "",
        polled: dict[Window, datetime] | None = None,
        ages: dict[int, datetime | None] | None = None,
        patrol: date | None = None,
        patrolled_at: datetime | None = None,
        files_at: datetime | None = None,
        made_by: str = "",
        handed_over: str | None = None,
    ) -> None:
        """``rules`` is the digest of the settings and the package that wrote the cursor.

        ``made_by`` names the rules by which tables were made then, where it is about tables;
        ``polled`` gives when hours were last polled, as far as it was looked up, of which a cursor
        holds the hour; ``ages`` since when they are polled again at which age, None where that is
        not known; ``patrol`` is the date that was looked at last in turn, ``patrolled_at`` when it
        was due; ``files_at`` is when the files of the newest days were last listed; ``handed_over``
        is the text that the alerts were given last, None where that is not known.
        """
        self.hours = hours
        self.attempts = attempts
        self.polled = polled or {}
        self.ages = ages
        self.files_at = files_at
        self.handed_over = handed_over
        self._patrol = patrol
        self._patrolled_at = patrolled_at
        self._rules = rules
        self._made_by = made_by

    @classmethod
    def read(cls, cursor: str | None) -> Memory:
        """From a cursor; an empty memory without one.

        Attempts in the cursor of an earlier release are forgotten: their hours are asked for again.
        """
        plain = json.loads(cursor) if cursor else {}
        attempts = {
            Window.from_key(key): _attempt(noted) for key, noted in plain.get("waiting", {}).items()
        }
        ages = plain.get("ages")
        patrol = plain.get("patrolled")
        return cls(
            decode(cursor, HourIndex) if cursor else HourIndex(),
            attempts,
            rules=plain.get("rules", ""),
            polled=dict(_polled(plain.get("polled_after", []))),
            ages=ages and {int(age): _time(since) for age, since in ages.items()},
            patrol=date.fromisoformat(patrol) if patrol else None,
            patrolled_at=_time(plain.get("patrolled_at")),
            files_at=_time(plain.get("files_at")),
            made_by=plain.get("made_by", ""),
            handed_over=plain.get("handed_over"),
        )

    def is_of(self, rules: str) -> bool:
        """Whether the cursor was written under the same settings, by the same package."""
        return self._rules == rules

    def wake_on_change(self, rules: str, now: datetime) -> None:
        """End all waits where the settings or the package changed: the fault may be corrected.

        ``rules`` is a digest of both. The cursor holds it, since a daemon loads the project again
        every minute, and objects made at load do not live longer.
        """
        if rules != self._rules:
            self._rules = rules
            self.attempts = {w: attempt.awake(now) for w, attempt in self.attempts.items()}

    def wake_lost(self, lost: Mapping[Window, datetime], now: datetime) -> None:
        """End the wait of hours whose first attempt was lost with its process.

        ``lost`` gives when that was noticed. A second attempt that is lost, too, may be the cause,
        as of a machine that it fills: its hours wait like those of any failed attempt.
        """
        for window, at in lost.items():
            attempt = self.attempts.get(window)
            if attempt is not None and attempt.tries == 1 and at >= attempt.since:
                self.attempts[window] = attempt.awake(now)

    def look_again_on_change(self, made_by: str) -> None:
        """Forget which hours are complete where tables are made by other rules now.

        Hours that are outdated by that are then found like missing ones, the newest first.
        """
        if made_by != self._made_by:
            self._made_by = made_by
            self.hours.complete = Spans()

    def look_again_since(self, first: Window) -> None:
        """Forget that hours since ``first`` are complete, as other ages may count for them now."""
        self.hours.complete = self.hours.complete.before(first)
        self.ages = None

    def unknown(self, first: Window, newest: Window, now: datetime, limit: int) -> list[Window]:
        """The hours to look at: those that fail, and the ``limit`` newest that are not known.

        A stubborn hour is included only when it may be asked for, or was and the outcome is not
        known, so that it is no burden. Attempts at hours after ``newest`` are forgotten: a clock
        that was ahead made them, and those hours are still to come.
        """
        self.attempts = {w: a for w, a in self.attempts.items() if w <= newest}
        failing = [
            w
            for w, a in self.attempts.items()
            if not (a.has_failed and a.is_stubborn(now)) or a.may_be_made(now)
        ]
        known = Spans(self.hours.complete.pairs())
        known.add(self.attempts)
        return [*failing, *known.newest_outside(first, newest, limit)]

    def patrol(self, first: date, last: date, now: datetime) -> date | None:
        """The next of the dates from ``first`` to ``last`` to be looked at again, if one is due.

        Each has its turn within ROUND, and not sooner: a look costs requests. The time counts from
        when the date before was due, so that late ticks are made up for.
        """
        days = (last - first).days + 1
        if days < 1:
            return None
        at = self._patrolled_at
        by_then = days + GROWTH
        due_at = now if at is None or not at <= now < at + ROUND else at + ROUND / by_then
        if now < due_at:
            return None
        after = self._patrol
        due = first if after is None or not first <= after < last else after + timedelta(days=1)
        self._patrol, self._patrolled_at = due, due_at
        return due

    def is_time_for_files(self, now: datetime) -> bool:
        """Whether the files of the newest days are to be listed again; if so, notes the time."""
        at = self.files_at
        if at is not None and at <= now < at + FILES_EVERY:
            return False
        self.files_at = now
        return True

    def after(self, choice: Choice) -> Memory:
        """The same with the attempts that ``choice`` leaves."""
        self.attempts = choice.attempts
        return self

    def write(self) -> str:
        """The cursor."""
        waiting = {window.key: _noted(attempt) for window, attempt in self.attempts.items()}
        plain = json.loads(encode(self.hours)) | {"waiting": waiting, "polled_after": self._runs()}
        if self.ages is not None:
            plain["ages"] = {age: at and at.isoformat() for age, at in self.ages.items()}
        times = {
            "patrolled": self._patrol,
            "patrolled_at": self._patrolled_at,
            "files_at": self.files_at,
        }
        noted = {name: at.isoformat() for name, at in times.items() if at is not None}
        plain["handed_over"] = self.handed_over
        return json.dumps(plain | noted | {"rules": self._rules, "made_by": self._made_by})

    def _runs(self) -> list[tuple[str, list[tuple[int, int]]]]:
        """When hours were last polled, as ``_polled`` reads it: a month of hours in 300 bytes.

        Each run of hours by its first, and then in pairs how many of them were polled so many whole
        hours after their ends. Ages are whole hours, too, so that says which are reached.
        """
        runs: list[tuple[str, list[tuple[int, int]]]] = []
        following: Window | None = None
        for window in sorted(self.polled):
            if window != following:
                runs.append((window.key, []))
            pairs = runs[-1][1]
            after = (self.polled[window] - window.end) // HOUR
            number, last = pairs.pop() if pairs else (0, after)
            pairs += [(number + 1, after)] if after == last else [(number, last), (1, after)]
            following = window.next
        return runs


def _polled(runs: object) -> Iterator[tuple[Window, datetime]]:
    """The hours of such runs, and the whole hour in which each was polled."""
    for key, pairs in runs if isinstance(runs, list) else ():
        window = Window.from_key(key)
        for number, after in pairs:
            for _ in range(number):
                yield window, window.end + after * HOUR
                window = window.next


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _noted(attempt: Attempt) -> list[object]:
    since, again_at = attempt.since.isoformat(), attempt.again_at.isoformat()
    return [attempt.tries, since, again_at, attempt.has_failed, attempt.was_woken]


def _attempt(noted: list[Any]) -> Attempt:
    tries, since, again_at, has_failed, was_woken = noted
    since, again_at = datetime.fromisoformat(since), datetime.fromisoformat(again_at)
    return Attempt(tries, since, again_at, has_failed, was_woken)
