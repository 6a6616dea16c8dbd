"""An API without HTTP, for the tests of the pipeline."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self
from zoneinfo import ZoneInfo

import pytest
from support.records import at, on_the_wire

from returns_orchestration.clickpost import Poll
from returns_orchestration.flow.days import DayBuilder
from returns_orchestration.flow.hours import HourPipeline
from returns_orchestration.flow.outcomes import Outcome
from returns_orchestration.stages.typing import RecordReader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from returns_orchestration.lake import Lake
    from returns_orchestration.window import Window


@dataclass
class FakeApi:
    """Serves what ``reply`` gives for a window: records, texts, or an error to be raised.

    Every poll is a second after the one before, or all at ``always_at``. Days are those of
    ``zone``; ``sent_under`` is CLICKPOST_TIME_ZONE.
    """

    reply: Callable[[Window], Sequence[Any]]
    always_at: datetime | None = None
    zone: str = "Asia/Kolkata"
    sent_under: str = "UTC"
    keep_raw: timedelta | None = None
    now: datetime = field(default_factory=lambda: at(20))
    asked: list[Window] = field(default_factory=list)
    errors: dict[Window, Exception] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def poll(self, window: Window) -> Poll:
        with self.lock:
            self.asked.append(window)
            polled_at = self.always_at or at(100) + timedelta(seconds=len(self.asked))
        if window in self.errors:
            raise self.errors[window]
        served = tuple(r if isinstance(r, str) else on_the_wire(r) for r in self.reply(window))
        return Poll(window, polled_at, served, 1, 1, sum(map(len, served)), 0.1, False, 0)  # noqa: FBT003

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def pipeline(self, lake: Lake, *, in_flight: int = 1) -> HourPipeline:
        return HourPipeline(
            lake,
            RecordReader(ZoneInfo(self.sent_under)),
            lambda *_: self,
            in_flight,
            days=DayBuilder(lake, ZoneInfo(self.zone), wait=lambda _: None),
            clock=lambda: self.now,
            keep_raw=self.keep_raw,
        )  # type: ignore[arg-type, return-value]

    def run(self, lake: Lake, windows: Sequence[Window], **options: Any) -> list[Outcome]:
        """Run the pipeline; one request in flight, so polls come in the order of windows."""
        return list(self.pipeline(lake).run(windows, **options))

    def states(
        self, lake: Lake, windows: Sequence[Window], known: Mapping[Window, str] | None = None
    ) -> list[str]:
        """The state of each of ``windows``, after one look at the lake."""
        judge = self.pipeline(lake).states(windows, known)
        return [judge.of(window).state for window in windows]

    @property
    def times_asked(self) -> Counter[Window]:
        return Counter(self.asked)


@pytest.fixture
def api_of() -> type[FakeApi]:
    """A fixture and no import: this file is not on the path."""
    return FakeApi
