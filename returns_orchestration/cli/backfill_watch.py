"""Follows a backfill: its progress, the hours that failed and why, and what stopped it.

What becomes of an hour comes from this process or from another one, see ``backfill_jobs``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from returns_orchestration.words import be, count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from returns_orchestration.flow.outcomes import Outcome
    from returns_orchestration.window import Window


class News(NamedTuple):
    """What became of ``window``: it was made, or it failed as ``words`` say.

    Without a window it is what stopped the whole run.
    """

    window: Window | None
    words: str = ""


def news_of(outcome: Outcome) -> News | None:
    """What an outcome of the pipeline means for a backfill; None where it means nothing."""
    from returns_orchestration.flow.outcomes import Failed, Made, Stopped  # noqa: PLC0415 - see `backfill`

    if isinstance(outcome, Stopped):
        return News(None, str(outcome.error))
    if isinstance(outcome, Failed):
        return News(outcome.window, str(outcome.error))
    return News(outcome.window) if isinstance(outcome, Made) else None


class Watch:
    """Follows a backfill: its progress, the hours that failed and why, and what stopped it."""

    def __init__(self, due: list[Window], console: Console) -> None:
        self._console = console
        self._waiting = set(due)
        self._failed: dict[Window, str] = {}
        self._lost: list[str] = []
        self._of_lost: set[Window] = set()
        self.stopped = ""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self.progress = Progress(*columns, TimeRemainingColumn(), console=console, transient=True)
        self._task = self.progress.add_task("hours", total=len(due))
        self._said = 0

    def on_news(self, news: News | None) -> None:
        """Take note of what became of an hour."""
        if news is None:
            return
        if news.window is None:
            self.stopped = self.stopped or news.words  # the others only end because of the first
            return
        if news.words:
            self._failed[news.window] = news.words
        if news.window in self._waiting:
            self._waiting.discard(news.window)
            self.progress.advance(self._task)
            self._say()

    def _say(self) -> None:
        """Where no bar can be drawn, a line for every tenth of the way."""
        task = self.progress.tasks[0]
        tenths = int(10 * task.completed / (task.total or 1))
        if tenths > self._said and not self._console.is_terminal:
            self._said = tenths
            self._console.print(
                f"{task.completed:.0f} of {count(int(task.total or 0), 'hour')} tried"
            )

    def on_run(self, windows: Sequence[Window], failure: str) -> None:
        """The run of ``windows`` ended, with ``failure`` where it did not succeed.

        A failure that no hour explains stops the backfill.
        """
        if failure and not self.stopped and not self._failed.keys() & set(windows):
            self.stopped = failure

    def on_lost(self, windows: Sequence[Window], how: str) -> None:
        """The process that ran ``windows`` ended before they were done; ``how`` says by what."""
        span = f"{windows[0].text} to {windows[-1].next.text}"
        self._lost.append(
            f"The process of the hours {span} {how}. What it had kept stays; run the same again. "
            "If memory is short, take fewer --jobs."
        )
        self._of_lost |= set(windows)

    def report(self, windows: list[Window], bad: set[Window]) -> bool:
        """Say what failed and why, and how many hours are there; True if all is well."""
        say = self._console.print
        failed = [words for _, words in sorted(self._failed.items())]
        for words in (*failed, *self._lost):
            say(f"failed: {words}", style="red", soft_wrap=True, markup=False)
        if self.stopped:
            say(f"stopped: {self.stopped}", style="red", soft_wrap=True, markup=False)
        if self.stopped and self._waiting:
            say(f"Not polled: {count(len(self._waiting), 'hour')}; the tables of before stay.")
        good = len(windows) - len(bad)
        left = f", {len(bad)} {be(len(bad))} not." if bad else "."
        say(
            f"{good} of {count(len(windows), 'hour')} {be(len(windows))} complete{left}",
            soft_wrap=True,
        )
        unexplained = bad - self._failed.keys() - self._of_lost
        if unexplained and not self.stopped:
            say(
                f"Another process has changed {count(len(unexplained), 'hour')} of these "
                "meanwhile: run the same again when it is done.",
                soft_wrap=True,
            )
        kept = len(self._failed.keys() & set(windows) - bad)
        if kept:
            say(f"{kept} of these failed now; what stood there before stays.", soft_wrap=True)
        return not bad and not self._failed and not self._lost and not self.stopped
