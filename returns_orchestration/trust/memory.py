"""What a sensor remembers from one look to the next, as the text of its cursor.

It stays small after years: complete hours are spans, and only those that fail are listed.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from returns_orchestration.trust.attempts import Attempt
from returns_orchestration.trust.spans import Spans
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from returns_orchestration.trust.due import Choice

NEVER: Final = Window(datetime(1, 1, 1, tzinfo=UTC))
"""Before every hour there is."""


class Memory:
    """Hours that need no look any more, attempts at those that fail, where the patrol goes on."""

    def __init__(
        self,
        complete: Spans,
        attempts: dict[Window, Attempt],
        next_patrol: str = "",
        rules: str = "",
        polled: dict[Window, datetime] | None = None,
    ) -> None:
        """``rules`` is the digest of the settings and the package that wrote the cursor.

        ``polled`` says when hours were last polled, as far as it was looked up.
        """
        self.complete = complete
        self.attempts = attempts
        self.polled = polled or {}
        self._next_patrol = next_patrol
        self._rules = rules

    @classmethod
    def read(cls, cursor: str | None) -> Memory:
        """From a cursor; nothing is remembered where there is none.

        Attempts in the cursor of an earlier release are forgotten: their hours are asked for anew.
        """
        plain = json.loads(cursor) if cursor else {}
        attempts = {
            Window.from_key(key): _attempt(noted) for key, noted in plain.get("waiting", {}).items()
        }
        complete = Spans(plain.get("complete", ()))
        polled = {
            Window.from_key(key): datetime.fromisoformat(at)
            for key, at in plain.get("polled", {}).items()
        }
        return cls(complete, attempts, plain.get("patrol", ""), plain.get("rules", ""), polled)

    def wake_on_change(self, rules: str, now: datetime) -> None:
        """Let no hour wait where the settings or the package changed: the fault may be corrected.

        ``rules`` is a digest of both. It stands in the cursor, since a daemon loads the project
        anew every minute, and nothing that was made at load lives longer.
        """
        if rules != self._rules:
            self._rules = rules
            self.attempts = {w: attempt.awake(now) for w, attempt in self.attempts.items()}

    def unknown(self, first: Window, newest: Window, now: datetime, limit: int) -> list[Window]:
        """The hours to look at: those that fail, and the ``limit`` newest that are not known.

        A stubborn one only when it may be asked for, or was and the outcome is not known, so that
        it is no burden. Attempts at hours after ``newest`` are forgotten: a clock that was ahead
        made them, and those hours come yet.
        """
        self.attempts = {w: a for w, a in self.attempts.items() if w <= newest}
        failing = [
            w
            for w, a in self.attempts.items()
            if not (a.has_failed and a.is_stubborn(now)) or a.may_be_made(now)
        ]
        known = Spans(self.complete.pairs())
        known.add(self.attempts)
        return [*failing, *known.newest_outside(first, newest, limit)]

    def patrol(self, limit: int) -> list[Window]:
        """The next complete hours to look at again."""
        begin = Window.from_key(self._next_patrol) if self._next_patrol else NEVER
        found = self.complete.around(begin, limit)
        self._next_patrol = found[-1].next.key if found else ""
        return found

    def after(self, choice: Choice) -> Memory:
        """The same with the attempts that ``choice`` leaves."""
        complete, polled = self.complete, self.polled
        return Memory(complete, choice.attempts, self._next_patrol, self._rules, polled)

    def write(self) -> str:
        """The cursor."""
        waiting = {window.key: _noted(attempt) for window, attempt in self.attempts.items()}
        polled = {window.key: at.isoformat() for window, at in self.polled.items()}
        plain = {"complete": self.complete.pairs(), "waiting": waiting, "polled": polled}
        return json.dumps(plain | {"patrol": self._next_patrol, "rules": self._rules})


def _noted(attempt: Attempt) -> list[object]:
    since, again_at = attempt.since.isoformat(), attempt.again_at.isoformat()
    return [attempt.tries, since, again_at, attempt.has_failed, attempt.was_woken]


def _attempt(noted: list[Any]) -> Attempt:
    tries, since, again_at, has_failed, was_woken = noted
    since, again_at = datetime.fromisoformat(since), datetime.fromisoformat(again_at)
    return Attempt(tries, since, again_at, has_failed, was_woken)
