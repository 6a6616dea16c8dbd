"""`backfill FROM TO`: poll what is missing and make all tables, through Dagster."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from returns_orchestration.cli.verify import chosen_span
from returns_orchestration.errors import SettingsError
from returns_orchestration.network import trusted_certificates
from returns_orchestration.settings import load_settings
from returns_orchestration.window import Window, last_settled, windows_between
from returns_orchestration.words import be, count, duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from returns_orchestration.flow.outcomes import Outcome
    from returns_orchestration.lake import Lake
    from returns_orchestration.settings import Settings

SECONDS_AN_HOUR = 0.08
"""Making and recording one hour on two cores, measured; the API's own time comes on top."""

From = Annotated[
    str, typer.Argument(metavar="FROM", help="First hour or day, UTC: 2026-11-09T11:00")
]
To = Annotated[str, typer.Argument(metavar="TO", help="Hour or day at which to stop, not included")]


def backfill(
    from_: From,
    to: To,
    repoll: Annotated[
        bool, typer.Option("--repoll", help="Poll every hour again, not only missing ones.")
    ] = False,
) -> None:
    """Poll the missing hours of [FROM, TO) and build their tables, through Dagster.

    Hours that fail are named with the cause, all others are kept, and it exits 1. Run again, it
    polls only what is still missing. Ctrl-C ends it once open requests are answered.
    """
    settings = load_settings()
    trusted_certificates()  # else the run fails, and only the UI shows why
    windows = chosen_windows(settings, from_, to)
    if not run_backfill(settings, windows, repoll=repoll, console=Console(highlight=False)):
        raise typer.Exit(1)


def chosen_windows(
    settings: Settings, from_: str, to: str, now: datetime | None = None
) -> list[Window]:
    """The hours of [FROM, TO) that exist and are over. Raises SettingsError if there are none."""
    start, end = chosen_span(from_, to)
    if start < settings.start:
        raise SettingsError(
            f"FROM {from_} is before the first hour there is, {Window(settings.start).text}.",
            next_step="Begin there, or set RETURNS_START earlier.",
        )
    newest = last_settled(now or datetime.now(UTC), settings.settle)
    if start > newest.start:
        raise SettingsError(
            f"The hour {from_} is not over yet, or less than RETURNS_SETTLE_MINUTES ago.",
            next_step=f"The newest hour that can be polled is {newest.text}.",
        )
    return list(windows_between(start, min(end, newest.end)))


def run_backfill(
    settings: Settings, windows: list[Window], *, repoll: bool, console: Console
) -> bool:
    """Run the ranges of ``windows`` that need it; True if every hour is there at the end."""
    with _interruption(console) as interruption:
        return _run_backfill(settings, windows, interruption, repoll=repoll, console=console)


def _run_backfill(
    settings: Settings,
    windows: list[Window],
    interruption: threading.Event,
    *,
    repoll: bool,
    console: Console,
) -> bool:
    from returns_orchestration.definitions import build_defs  # noqa: PLC0415 - Dagster is slow to import
    from returns_orchestration.defs.history import newest_polls, unreported  # noqa: PLC0415
    from returns_orchestration.defs.instance import open_instance, ranges, run_range  # noqa: PLC0415
    from returns_orchestration.defs.keys import Keys  # noqa: PLC0415
    from returns_orchestration.lake import Lake, open_store  # noqa: PLC0415

    settings.credentials()
    keys = Keys.of_settings(settings)
    Lake(open_store(settings.lake, brief=True)).check_writable()
    lake = Lake(open_store(settings.lake))
    with open_instance(settings) as instance:
        known = newest_polls(instance, windows, keys)
        to_poll, to_make, good = _sorted_out(settings, lake, windows, known)
        # A run that was killed in between may have made an hour and not have told Dagster.
        untold = [window for window in unreported(instance, windows, keys) if window in good]
        due = windows if repoll else sorted({*to_poll, *to_make, *untold})
        calls = len(windows) if repoll else len(to_poll)
        console.print(_plan(settings, windows, calls, len(due) - calls), soft_wrap=True)
        if not due:
            return True
        watch = _Watch(due, console)
        with watch.progress:
            definitions = build_defs(
                settings, on_outcome=watch.on_outcome, interruption=interruption
            )
            for chunk in ranges(due):
                result = run_range(definitions, instance, chunk, missing_only=not repoll, keys=keys)
                if not result.success and not watch.explains(chunk):
                    watch.stopped = result.failure
                if watch.stopped:
                    break
        known = newest_polls(instance, windows, keys)
    # Another run may have made some of them meanwhile: what counts is what is there.
    to_poll, to_make, _ = _sorted_out(settings, lake, windows, known)
    return watch.report(windows, {*to_poll, *to_make})


@contextmanager
def _interruption(console: Console) -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets; the second ends the process, which loses nothing.

    The signal is blocked, and a thread waits for it: Dagster and polars put handlers of their own
    in place of any other, and both would end the run in the midst of an hour. So it must be blocked
    before polars is imported, whose threads inherit that.
    """
    asked = threading.Event()
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield asked
        return

    def wait() -> None:
        signal.sigwait({signal.SIGINT})
        console.print("Stopping once open requests are answered; Ctrl-C again stops at once.")
        asked.set()
        signal.sigwait({signal.SIGINT})
        os._exit(130)

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    threading.Thread(target=wait, name="interruption", daemon=True).start()
    try:
        yield asked
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _sorted_out(
    settings: Settings, lake: Lake, windows: list[Window], known: Mapping[Window, str]
) -> tuple[list[Window], list[Window], set[Window]]:
    """Of ``windows``: those to be polled, those only to be made, and those that were made."""
    from returns_orchestration.state.hours import States  # noqa: PLC0415
    from returns_orchestration.state.status import look_at  # noqa: PLC0415

    judge = States(lake, look_at(lake, windows), settings.report_time_zone, known)
    verdicts = {window: judge.of(window) for window in windows}
    to_poll = [window for window, verdict in verdicts.items() if verdict.needs_poll]
    to_make = [window for window, verdict in verdicts.items() if verdict.needs_making]
    made = {w for w, verdict in verdicts.items() if verdict.state in {"complete", "empty"}}
    return to_poll, to_make, made


class _Watch:
    """Follows a backfill: its progress, the hours that failed and why, and what stopped it."""

    def __init__(self, due: list[Window], console: Console) -> None:
        self._console = console
        self._waiting = set(due)
        self._failed: dict[Window, str] = {}
        self.stopped = ""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self.progress = Progress(*columns, TimeRemainingColumn(), console=console, transient=True)
        self._task = self.progress.add_task("hours", total=len(due))
        self._said = 0

    def on_outcome(self, outcome: Outcome) -> None:
        """Take note of what became of an hour."""
        from returns_orchestration.flow.outcomes import Failed, Made, Stopped  # noqa: PLC0415

        if isinstance(outcome, Stopped):
            self.stopped = str(outcome.error)
        elif isinstance(outcome, Failed):
            self._failed[outcome.window] = str(outcome.error)
        if isinstance(outcome, Failed | Made) and outcome.window in self._waiting:
            self._waiting.discard(outcome.window)
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

    def explains(self, windows: list[Window]) -> bool:
        """Whether a failure of the run of ``windows`` is known already."""
        return bool(self.stopped) or bool(self._failed.keys() & set(windows))

    def report(self, windows: list[Window], bad: set[Window]) -> bool:
        """Say what failed and why, and how many hours are there; True if all is well."""
        say = self._console.print
        for _, words in sorted(self._failed.items()):
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
        unexplained = bad - self._failed.keys()
        if unexplained and not self.stopped:
            say(
                f"Another process has changed {count(len(unexplained), 'hour')} of these "
                "meanwhile: run the same again when it is done.",
                soft_wrap=True,
            )
        kept = len(self._failed.keys() & set(windows) - bad)
        if kept:
            say(f"{kept} of these failed now; what stood there before stays.", soft_wrap=True)
        return not bad and not self._failed and not self.stopped


def _plan(settings: Settings, windows: list[Window], calls: int, to_make: int) -> str:
    """What will be asked for and about how long it takes, in a sentence."""
    seconds = calls * max(1 / settings.max_requests_per_second, SECONDS_AN_HOUR)
    seconds += to_make * SECONDS_AN_HOUR
    span = f"{windows[0].text} to {windows[-1].next.text}"
    if not calls and not to_make:
        return f"{span}: {count(len(windows), 'hour')}, none missing; no call needed."
    more = f", {count(to_make, 'hour')} to build or to report without a call" if to_make else ""
    hours, about = count(len(windows), "hour"), duration(timedelta(seconds=seconds))
    return f"{span}: {hours}, {count(calls, 'call')}{more}, about {about}."
