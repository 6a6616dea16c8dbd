"""A round: hours whose tables are made, and which are published together.

Called by ``hours``.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from returns_orchestration.flow.build import UnpublishedHour
    from returns_orchestration.stages.landing import Landed
    from returns_orchestration.window import Window

ROUND_HOURS: Final = 1
ROUND_ROWS: Final = 5_000
ROUND_SECONDS: Final = 1.0
"""When a round of hours is published, whichever comes first: their files wait for the disk or the
store side by side, and what a killed run repeats stays small, as does what is held in memory.

One hour: eight processes that fill one lake in rounds of 24 take more than twice as long."""


class Round:
    """Hours that are made and wait to be published together, each with the poll just taken."""

    def __init__(self) -> None:
        self.hours: dict[Window, tuple[UnpublishedHour, Landed | None]] = {}
        self._rows = 0
        self._since = 0.0

    def is_due(self) -> bool:
        """Whether it is time to publish them."""
        if not self.hours:
            return False
        is_late = time.monotonic() - self._since >= ROUND_SECONDS
        return is_late or len(self.hours) >= ROUND_HOURS or self._rows >= ROUND_ROWS

    def add(self, made: UnpublishedHour, landed: Landed | None) -> None:
        """One more hour."""
        if not self.hours:
            self._since = time.monotonic()
        self.hours[made.window] = made, landed
        self._rows += made.rows
