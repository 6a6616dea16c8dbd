"""`backfill FROM TO`: poll what is missing and make all tables, through Dagster."""

from __future__ import annotations

import math
import os
import signal
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from returns_orchestration.cli.backfill_watch import Watch, news_of
from returns_orchestration.cli.output import worded
from returns_orchestration.cli.verify import chosen_span
from returns_orchestration.errors import SettingsError
from returns_orchestration.network import trusted_certificates
from returns_orchestration.settings import load_settings
from returns_orchestration.window import CHUNK_HOURS, Window, last_settled, windows_between
from returns_orchestration.words import count, duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dagster import DagsterInstance

    from returns_orchestration.lake import Lake
    from returns_orchestration.settings import Settings

SECONDS_AN_HOUR = 0.04
"""Making and recording one hour on two cores, measured; the API's own time comes on top."""

OF_ANOTHER_JOB = 0.3
"""How much faster it is by each job after the first: two jobs on two cores, measured over 336
hours."""

MOST_JOBS = 4
"""Jobs unless `--jobs` says more: each takes a core and 300 MB."""

HANDS_OVER = os.name != "nt"
"""Whether a process can be given an open connection, as each job is; Windows cannot."""

WORTH_SAYING = timedelta(seconds=30)
"""What the ceiling of requests must cost before a line is due to it."""

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
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes side by side; default: one for each week, "
            f"at most the cores and {MOST_JOBS}.",
        ),
    ] = None,
) -> None:
    """Poll the missing hours of [FROM, TO) and build their tables, through Dagster.

    Hours that fail are named with the cause, all others are kept, and it exits 1. Run again, it
    polls only what is still missing. Ctrl-C ends it once open requests are answered.
    """
    settings = load_settings()
    trusted_certificates()  # else the run fails, and only the UI shows why
    windows = chosen_windows(settings, from_, to)
    console = _Console(highlight=False)
    if not run_backfill(settings, windows, repoll=repoll, console=console, jobs=jobs):
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
    settings: Settings,
    windows: list[Window],
    *,
    repoll: bool,
    console: Console,
    jobs: int | None = None,
) -> bool:
    """Run the ranges of ``windows`` that need it; True if every hour is there at the end."""
    with _interruption(console) as interruption:
        return _run_backfill(
            settings, windows, interruption, repoll=repoll, console=console, jobs=jobs
        )


def _run_backfill(  # noqa: PLR0913 - the options of the command, and how it is stopped
    settings: Settings,
    windows: list[Window],
    interruption: threading.Event,
    *,
    repoll: bool,
    console: Console,
    jobs: int | None,
) -> bool:
    from returns_orchestration.cli.backfill_jobs import Order, Workers  # noqa: PLC0415 - slow to import
    from returns_orchestration.lake import Lake, open_store  # noqa: PLC0415

    settings.credentials()
    Lake(open_store(settings.lake, brief=True)).check_writable()
    lake = Lake(open_store(settings.lake))
    with Workers(_jobs(jobs, len(windows), settings)) as workers:
        from returns_orchestration.defs.history import newest_polls, unreported  # noqa: PLC0415 - Dagster is slow to import
        from returns_orchestration.defs.instance import open_instance, ranges  # noqa: PLC0415
        from returns_orchestration.defs.keys import Keys  # noqa: PLC0415

        keys = Keys.of_settings(settings)
        with open_instance(settings) as instance:
            known = newest_polls(instance, windows, keys)
            to_poll, to_make, good = _sorted_out(settings, lake, windows, known)
            # A run that was killed in between may have made an hour and not have told Dagster.
            untold = [window for window in unreported(instance, windows, keys) if window in good]
            due = windows if repoll else sorted({*to_poll, *to_make, *untold})
            calls = len(windows) if repoll else len(to_poll)
            jobs = _jobs(jobs, len(due), settings)
            workers.keep(jobs)
            console.print(_plan(settings, windows, calls, len(due) - calls, jobs), soft_wrap=True)
            if not due:
                return True
            watch = Watch(due, console)
            with watch.progress:
                if jobs == 1:
                    _run_here(settings, ranges(due), instance, interruption, watch, repoll=repoll)
                else:
                    order = Order(settings, missing_only=not repoll)
                    chunks = list(ranges(due, _chunk(len(due), jobs)))
                    workers.run(order, chunks, interruption, watch)
            known = newest_polls(instance, windows, keys)
    # Another run may have made some of them meanwhile: what counts is what is there.
    to_poll, to_make, _ = _sorted_out(settings, lake, windows, known)
    return watch.report(windows, {*to_poll, *to_make})


def _run_here(  # noqa: PLR0913 - what is run, and who follows it
    settings: Settings,
    chunks: Iterable[list[Window]],
    instance: DagsterInstance,
    interruption: threading.Event,
    watch: Watch,
    *,
    repoll: bool,
) -> None:
    """Run ``chunks`` in this process, one after the other, until something stops them all."""
    from returns_orchestration.defs.code_location import build_defs  # noqa: PLC0415 - Dagster is slow to import
    from returns_orchestration.defs.instance import run_range  # noqa: PLC0415
    from returns_orchestration.defs.keys import Keys  # noqa: PLC0415

    definitions = build_defs(
        settings,
        on_outcome=lambda outcome: watch.on_news(news_of(outcome)),
        interruption=interruption,
    )
    keys = Keys.of_settings(settings)
    for chunk in chunks:
        result = run_range(definitions, instance, chunk, missing_only=not repoll, keys=keys)
        watch.on_run(chunk, "" if result.success else result.failure)
        if watch.stopped:
            break


def _jobs(asked: int | None, hours: int, settings: Settings) -> int:
    """The processes for so many hours: the start of a further one is small beside a week."""
    if not HANDS_OVER:
        return 1
    has_affinity = hasattr(os, "sched_getaffinity")  # the cores that this process may use
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    wanted = asked or min(cores, MOST_JOBS, hours // CHUNK_HOURS)
    return max(1, min(wanted, hours, settings.max_concurrency))


def _chunk(hours: int, jobs: int) -> int:
    """The hours of a run, at most a week, so that all jobs end at about the same time."""
    rounds = math.ceil(hours / (CHUNK_HOURS * jobs))
    return math.ceil(hours / (rounds * jobs))


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


class _Console(Console):
    """A console whose messages are in the words of the account."""

    def print(self, *objects: Any, **options: Any) -> None:  # noqa: ANN401 - as rich has it
        super().print(*(worded(o) if isinstance(o, str) else o for o in objects), **options)


def _plan(settings: Settings, windows: list[Window], calls: int, to_make: int, jobs: int) -> str:
    """What will be asked for and about how long it takes, in a sentence."""
    building = SECONDS_AN_HOUR / (1 + OF_ANOTHER_JOB * (jobs - 1))
    asking = 1 / settings.max_requests_per_second
    seconds = calls * max(asking, building) + to_make * building
    span = f"{windows[0].text} to {windows[-1].next.text}"
    if not calls and not to_make:
        return f"{span}: {count(len(windows), 'hour')}, none missing; no call needed."
    more = f", {count(to_make, 'hour')} to build or to report without a call" if to_make else ""
    hours, about = count(len(windows), "hour"), duration(timedelta(seconds=seconds))
    text = f"{span}: {hours}, {count(calls, 'call')}{more}, about {about}."
    without = timedelta(seconds=(calls + to_make) * building)
    if timedelta(seconds=seconds) - without < WORTH_SAYING:
        return text
    return (
        f"{text}\nCLICKPOST_MAX_REQUESTS_PER_SECOND={settings.max_requests_per_second:g} is what "
        f"takes so long; without it, it would take about {duration(without)}."
    )
