"""What a sensor remembers from one look to the next, as the text of its cursor.

It stays small after years: complete hours are spans, and only those that fail are listed.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from returns_orchestration.trust.due import Attempt
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
        loaded: str = "",
    ) -> None:
        """``loaded`` names the loading of the project that wrote the cursor."""
        self.complete = complete
        self.attempts = attempts
        self._next_patrol = next_patrol
        self._loaded = loaded

    @classmethod
    def read(cls, cursor: str | None) -> Memory:
        """From a cursor; nothing is remembered where there is none."""
        plain = json.loads(cursor) if cursor else {}
        attempts = {
            Window.from_key(key): Attempt(tries, datetime.fromisoformat(at))
            for key, (tries, at) in plain.get("attempts", {}).items()
        }
        complete = Spans(plain.get("complete", ()))
        return cls(complete, attempts, plain.get("patrol", ""), plain.get("loaded", ""))

    def wake(self, loaded: str, now: datetime) -> None:
        """Let no hour wait where the project was loaded anew: somebody may have mended something.

        A right key counts from the next look on, and not after an hour. Stubborn hours have had
        their time; they stay as they are.
        """
        if loaded != self._loaded:
            self._loaded = loaded
            self.attempts = {
                w: a if a.is_stubborn else a.awake(now) for w, a in self.attempts.items()
            }

    def unknown(self, first: Window, newest: Window, now: datetime, limit: int) -> list[Window]:
        """The hours to look at: those that fail, and the ``limit`` newest that are not known.

        Stubborn ones only when they may be asked for, so that they are no burden. Attempts at hours
        after ``newest`` are forgotten: a clock that was ahead made them, and those hours come yet.
        """
        self.attempts = {w: a for w, a in self.attempts.items() if w <= newest}
        failing = [w for w, a in self.attempts.items() if not a.is_stubborn or a.may_be_made(now)]
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
        return Memory(self.complete, choice.attempts, self._next_patrol, self._loaded)

    def write(self) -> str:
        """The cursor."""
        attempts = {w.key: [a.tries, a.again_at.isoformat()] for w, a in self.attempts.items()}
        plain = {"complete": self.complete.pairs(), "attempts": attempts}
        return json.dumps(plain | {"patrol": self._next_patrol, "loaded": self._loaded})
