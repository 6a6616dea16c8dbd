"""A year from the simulator through `backfill`, compared with a run an hour and with bare work.

``backfill`` runs as a user runs it, in one job, over a new lake and a new DAGSTER_HOME, against the
simulator in a separate process that takes 20 ms to answer. Its memory is the most the process held
up to one month, from there to four, and from there to the end, each measured separately. The peer
makes hours one by one, a process and a run for each, as Dagster does without ranges; it makes only
a few, and the time of a year is that of one hour times its hours. The floor sends the same requests
with the same client, as many at once, and puts the same bytes as the same files; it does not
decode, judge or record.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from benchmarks.figures import YEAR_HOURS, Figure, in_words, timed
from benchmarks.history import hours_from
from benchmarks.site import Ended, Memory, Site
from returns_orchestration.errors import ApiError
from returns_orchestration.flow.from_settings import build_pipeline
from returns_orchestration.lake import open_store
from returns_orchestration.lake.entry_names import read_name
from returns_orchestration.lake.journal import folder_of
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

START = "2025-01-01T00:00:00Z"
RETURNS_AN_HOUR = 20
LATENCY_MS = 20
SIMULATED = ("--returns", str(RETURNS_AN_HOUR), "--latency", str(LATENCY_MS))

SELECTED = "raw_returns,returns,return_items,refund_modes_hourly,return_reasons_hourly"

MONTHS = (1, 4, 12)
SECONDS_ASKED = 15 * 60
PEAK_ASKED_MB = 600
SAME_MEMORY = 1.05
"""Two peaks of one process can differ by that much without a cause."""
TIMES_ASKED = 40


@dataclass
class Backfilled:
    """A backfill: the lake it made, its time, seconds at each of MONTHS, and the memory."""

    site: Site
    windows: list[Window]
    seconds: float = 0.0
    processor_seconds: float = 0.0
    reached: list[float] = field(default_factory=list)
    memory: Memory = field(default_factory=Memory)

    @property
    def seconds_an_hour(self) -> float:
        """Its time for each hour."""
        return self.seconds / len(self.windows)

    @property
    def marks(self) -> list[int]:
        """The numbers of hours in MONTHS of it."""
        return [max(1, len(self.windows) * month // MONTHS[-1]) for month in MONTHS]


def measure(
    folder: Path, hours: int, single_runs: int, say: Callable[[str], None]
) -> tuple[list[Figure], Path]:
    """The figures, and the lake that the backfill made."""
    with Site(folder / "simulator").simulator(*SIMULATED) as base_url:
        done = _backfill(_site(folder / "year", base_url), hours)
        say(f"backfill of {hours:,} hours: {in_words(done.seconds)}")
        single = _single_runs(_site(folder / "single", base_url), done.windows[:single_runs])
        say(f"{single_runs} runs of an hour, {in_words(single.seconds)} each")
        floor = _floor(_site(folder / "floor", base_url), done)
        say(f"the same requests and files alone: {in_words(floor)}")
    return [*_of_time(done, single, single_runs, floor), *_of_course(done)], done.site.lake


def _site(folder: Path, base_url: str) -> Site:
    variables = {
        "CLICKPOST_BASE_URL": base_url,
        "CLICKPOST_KEY": "simulator-key",
        "CLICKPOST_USER_NAME": "simulator-user",
        "CLICKPOST_MAX_REQUESTS_PER_SECOND": "10000",
        "RETURNS_START": START,
    }
    return Site(folder, variables)


def _backfill(site: Site, hours: int) -> Backfilled:
    done = Backfilled(site, hours_from(site.settings.start, hours))
    # Hours are made in order except a few in flight: the entry of the last hour of a month shows
    # that the month is done.
    ends = [folder_of(done.windows[mark - 1].key) for mark in done.marks[:-1]]
    began = time.perf_counter()

    def at_look(pid: int) -> None:
        done.memory.look(pid)
        at = len(done.reached)
        if at < len(ends) and any(site.lake.glob(f"{ends[at]}made-*.json")):
            done.reached.append(time.perf_counter() - began)
            done.memory.mark(pid)

    span = done.windows[0].text, done.windows[-1].next.text
    ended = site.product("backfill", *span, "--jobs", "1", at_look=at_look).or_die()
    done.seconds, done.processor_seconds = ended.seconds, ended.processor_seconds
    while len(done.reached) < len(MONTHS):  # the end, and parts too short to be seen
        done.memory.mark()
        done.reached.append(done.seconds)
    return done


def _single_runs(site: Site, windows: Sequence[Window]) -> Ended:
    """The mean time of an hour where each of ``windows`` is a separate run and process."""
    module = "-m", "returns_orchestration.definitions"
    ended = [
        site.run(
            *("dagster", "asset", "materialize", "--select", SELECTED),
            *("--partition", window.key, *module),
        ).or_die()
        for window in windows
    ]
    seconds = sum(one.seconds for one in ended) / len(ended)
    processor_seconds = sum(one.processor_seconds for one in ended) / len(ended)
    return replace(ended[-1], seconds=seconds, processor_seconds=processor_seconds)


def _floor(site: Site, done: Backfilled) -> float:
    """Seconds of the same requests and, as each is answered, the files of its hour."""
    files: dict[Window | None, list[tuple[str, bytes]]] = {}
    for path in sorted(done.site.lake.rglob("*")):
        if path.is_file():
            name = path.relative_to(done.site.lake).as_posix()
            files.setdefault(_window_of(name), []).append((name, path.read_bytes()))
    store = open_store(str(site.lake))

    def poll_and_put() -> None:
        for window, result in build_pipeline(site.settings).poll_all(done.windows):
            if isinstance(result, ApiError):
                raise result
            for name, content in files.get(window, ()):
                store.put(name, content)
        for name, content in files.get(None, ()):  # those of days
            store.put(name, content)

    with site.entered():
        return timed(poll_and_put)[0]


def _window_of(path: str) -> Window | None:
    """The hour that a file of the lake is about; None for one of a day."""
    folder, _, name = path.rpartition("/")
    entry = read_name(name)
    return Window.from_path(f"{folder}/hour={entry.at}/" if entry else path)


def _of_time(done: Backfilled, single: Ended, runs: int, floor: float) -> list[Figure]:
    hours = len(done.windows)
    full = hours == YEAR_HOURS
    an_hour = _an_hour(done.seconds_an_hour, done.processor_seconds / hours)
    alone = _an_hour(single.seconds, single.processor_seconds)
    return [
        Figure(
            f"`backfill` of {hours:,} hours, {an_hour}",
            in_words(done.seconds),
            f"the same requests and files alone: {in_words(floor)}",
            done.seconds / floor,
            f"< {SECONDS_ASKED // 60} minutes",
            done.seconds < SECONDS_ASKED if full else None,
        ),
        Figure(
            f"a run and a process for each hour, {alone}, of {runs}",
            f"{in_words(single.seconds * hours)} for {hours:,}",
            f"`backfill`: {in_words(done.seconds)}",
            single.seconds / done.seconds_an_hour,
            f"backfill {TIMES_ASKED} times faster",
            single.seconds >= TIMES_ASKED * done.seconds_an_hour if full else None,
        ),
    ]


def _an_hour(seconds: float, of_processor: float) -> str:
    return f"{in_words(seconds)} an hour ({in_words(of_processor)} of the processor)"


def _of_course(done: Backfilled) -> list[Figure]:
    hours = len(done.windows)
    full = hours == YEAR_HOURS
    first, last = done.marks[0], done.marks[-1] - done.marks[1]
    early = done.reached[0] / first
    late = (done.reached[-1] - done.reached[1]) / last
    to_one, to_four, to_twelve = done.memory.peaks
    four = max(to_one, to_four)
    return [
        Figure(
            f"`backfill` of {hours:,} hours, last two thirds, an hour",
            in_words(late),
            f"first twelfth, start-up included, an hour: {in_words(early)}",
            late / early,
        ),
        Figure(
            f"`backfill` of {hours:,} hours, peak memory",
            f"{max(four, to_twelve):.0f} MB",
            f"at one twelfth: {to_one:.0f} MB",
            max(four, to_twelve) / to_one,
            f"< {PEAK_ASKED_MB} MB",
            max(four, to_twelve) < PEAK_ASKED_MB if full else None,
        ),
        Figure(
            "the same, peak of the last two thirds",
            f"{to_twelve:.0f} MB",
            f"up to one third: {four:.0f} MB",
            to_twelve / four,
            f"no higher, to {SAME_MEMORY - 1:.0%}",
            to_twelve <= four * SAME_MEMORY if full else None,
        ),
    ]
