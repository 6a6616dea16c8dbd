"""Runs the product and its peers over the same hours, and makes the table of them.

All poll the same simulator, a process that answers without latency and without oddities, with no
ceiling on the requests of a second, four requests in flight and no webhooks. The lines are measured
in turn, twice; the faster one of the two counts, as other work on the machine only adds.

Start-up is left out. A peer's clock starts when all is imported and prepared. The product is
measured as a command, from the start of its process to its end, and so is a `backfill` of an hour
that is there already: it imports, opens the lake and Dagster's instance, and finds nothing to do.
The time of this one, the least of three, is taken off. The start of further jobs stays.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from benchmarks.figures import Figure, in_words
from benchmarks.history import hours_from
from benchmarks.peers.script import CONNECTIONS
from benchmarks.site import ROOT, Ended, Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from returns_orchestration.window import Window

START: Final = datetime(2025, 1, 1, tzinfo=UTC)
RETURNS_AN_HOUR: Final = 20
HOURS: Final = 336
SINGLE_RUNS: Final = 4
"""Runs of an hour each in plain Dagster; an hour costs the same however many there are."""
FULL_ROUNDS: Final = 2

WITH_DLT: Final = ROOT / ".venv-peers" / "bin" / "python"
PAGE: Final = ROOT / "docs" / "explanation" / "performance.md"

PRODUCT, TWO_JOBS, BARE, DLT, RANGE, HOURLY = (
    "`backfill --jobs 1`",
    "`backfill --jobs 2`",
    "bare loop: httpx, msgspec, polars, fsync",
    "dlt, one `pipeline.run`",
    "plain Dagster, one run over the range",
    "plain Dagster, a run an hour",
)
LACKS: Final = {
    BARE: "Dagster, checks, retry, rate limit, odd records, late returns, start after a kill, "
    "state of each hour",
    DLT: "files by hour, empty hours, the raw text, items and counts as tables of ours, checks, "
    "fsync, start by hour",
    RANGE: "the raw text, days, checks, fsync, retry, concurrency, odd records, late returns, "
    "good hours when one fails",
    HOURLY: "the same; a process for each run comes on top",
}
"""What each of them does not do, where the product does."""

TIMES_BARE_ASKED: Final = {PRODUCT: 4.0, TWO_JOBS: 2.5}


@dataclass(frozen=True, slots=True)
class Measured:
    """One line: the time of ``hours`` without start-up, and the files that were left by it."""

    name: str
    hours: int
    seconds: float
    processor_seconds: float
    files: int

    @property
    def seconds_an_hour(self) -> float:
        """Its time for each hour."""
        return self.seconds / self.hours


class Times(msgspec.Struct):
    """What the script of a peer prints."""

    seconds: float
    processor_seconds: float


def measure(folder: Path, hours: int, say: Callable[[str], None]) -> tuple[list[Figure], str]:
    """The figures with a target, and the table of all peers in Markdown; a trial has one round."""
    folder.mkdir(parents=True)
    rounds, single_runs = (FULL_ROUNDS, SINGLE_RUNS) if hours == HOURS else (1, 1)
    served = "--returns", str(RETURNS_AN_HOUR), "--no-rhythm", "--oddities", "0"
    best: dict[str, Measured] = {}
    with Site(folder / "simulator").simulator(*served) as base_url:
        for at in range(rounds):
            for found in _round(folder / f"round-{at}", base_url, hours, single_runs):
                say(f"{found.name}: {in_words(found.seconds_an_hour)} an hour")
                known = best.get(found.name, found)
                best[found.name] = min(known, found, key=lambda one: one.seconds)
    if DLT not in best:
        say("dlt is left out: it is not in .venv-peers. `make bench` installs it.")
    figures = [_of_bare(best[name], best[BARE], hours) for name in TIMES_BARE_ASKED]
    return figures, table(list(best.values()))


def _round(folder: Path, base_url: str, hours: int, single_runs: int) -> Iterator[Measured]:
    folder.mkdir()
    peer = partial(run_peer, base_url, folder)
    for name, jobs in ((PRODUCT, 1), (TWO_JOBS, 2)):
        site = Site(folder / f"jobs-{jobs}", variables(base_url))
        yield of_product(site, hours, name, jobs)
    yield peer(BARE, "bare_loop", hours=hours)
    if _has_dlt():
        yield peer(DLT, "dlt_pipeline", hours=hours, python=str(WITH_DLT))
    yield peer(RANGE, "plain_dagster", "range", hours=max(1, hours // 4))
    yield peer(HOURLY, "plain_dagster", "hourly", hours=single_runs)


def variables(base_url: str) -> dict[str, str]:
    """The settings of the product here."""
    return {
        "CLICKPOST_BASE_URL": base_url,
        "CLICKPOST_KEY": "simulator-key",
        "CLICKPOST_USER_NAME": "simulator-user",
        "CLICKPOST_MAX_CONCURRENCY": str(CONNECTIONS),
        "CLICKPOST_MAX_REQUESTS_PER_SECOND": "10000",
        "RETURNS_START": f"{START:%Y-%m-%dT%H:%M:%SZ}",
    }


def of_product(site: Site, hours: int, name: str, jobs: int) -> Measured:
    """A backfill of ``hours``, after that of the hour before them, without start-up."""
    before, *windows = hours_from(site.settings.start, 1 + hours)
    start_up = start_up_of(site, before)
    there = files_in(site.lake)
    ended = backfilled(site, windows, "--jobs", str(jobs))
    return Measured(
        name,
        hours,
        ended.seconds - start_up.seconds,
        ended.processor_seconds - start_up.processor_seconds,
        files_in(site.lake) - there,
    )


def start_up_of(site: Site, window: Window) -> Ended:
    """A backfill of ``window``, which is made first, that finds nothing to do."""
    backfilled(site, [window])
    idle = [backfilled(site, [window]) for _ in range(3)]
    return min(idle, key=lambda one: one.seconds)


def backfilled(
    site: Site,
    windows: list[Window],
    *options: str,
    at_look: Callable[[int], None] | None = None,
) -> Ended:
    """A backfill of ``windows``."""
    span = windows[0].text, windows[-1].next.text
    return site.product("backfill", *span, *options, at_look=at_look).or_die()


def run_peer(  # noqa: PLR0913 - what is run, and what it is given
    base_url: str,
    folder: Path,
    name: str,
    script: str,
    *options: str,
    hours: int,
    skipped: int = 0,
    python: str = sys.executable,
) -> Measured:
    """The script of a peer over ``hours``, from RETURNS_START on but for ``skipped`` of them.

    What it makes is in a new folder in ``folder``.
    """
    made = Path(tempfile.mkdtemp(prefix=f"{script}-", dir=folder)) / "made"
    start = START + timedelta(hours=skipped)
    command = [python, "-m", f"benchmarks.peers.{script}"]
    given = [base_url, f"{start:%Y-%m-%dT%H:%M:%S}", str(hours), str(made), *options]
    ended = subprocess.run(  # noqa: S603 - our own scripts
        [*command, *given],
        cwd=made.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT), "DAGSTER_DISABLE_TELEMETRY": "yes"},
        capture_output=True,
        text=True,
        check=False,
    )
    Ended(0, 0, ended.returncode, ended.stdout + ended.stderr).or_die()
    times = msgspec.json.decode(ended.stdout.splitlines()[-1], type=Times)
    return Measured(name, hours, times.seconds, times.processor_seconds, files_in(made))


def files_in(folder: Path) -> int:
    """The files below ``folder``."""
    return sum(1 for path in folder.rglob("*") if path.is_file())


def _has_dlt() -> bool:
    if not WITH_DLT.exists():
        return False
    return not subprocess.run([WITH_DLT, "-c", "import dlt"], check=False).returncode  # noqa: S603 - our own environment


def _of_bare(ours: Measured, bare: Measured, hours: int) -> Figure:
    ratio, asked = ours.seconds / bare.seconds, TIMES_BARE_ASKED[ours.name]
    return Figure(
        f"{ours.name} of {hours} hours without latency and start-up, {ours.files:,} files",
        f"{in_words(ours.seconds_an_hour)} an hour",
        f"{bare.files:,} files by a bare loop with fsync: {in_words(bare.seconds_an_hour)}",
        ratio,
        f"at most {asked:g}",
        ratio <= asked if hours == HOURS else None,
    )


COLUMNS: Final = (
    f"{RETURNS_AN_HOUR} returns an hour",
    "ms an hour",
    "of the processor",
    "files",
    "ms a file",
    "of the processor",
    f"beside {PRODUCT}",
    "what it does not do",
)


def table(lines: list[Measured]) -> str:
    """The lines as a table in Markdown; the first is the one that all are compared with."""
    product = lines[0]
    text = f"| {' | '.join(COLUMNS)} |\n|---|{'---:|' * (len(COLUMNS) - 2)}---|\n"
    for line in lines:
        wall, processor = 1000 * line.seconds, 1000 * line.processor_seconds
        cells = (
            line.name,
            _three_digits(wall / line.hours),
            _three_digits(processor / line.hours),
            f"{line.files:,} of {line.hours} hours",
            _three_digits(wall / line.files),
            _three_digits(processor / line.files),
            _three_digits(line.seconds_an_hour / product.seconds_an_hour),
            LACKS.get(line.name, ""),
        )
        text += f"| {' | '.join(cells)} |\n"
    return text


def _three_digits(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def write_into(page: str, text: str) -> str:
    """``page`` with ``text`` in the place of the table that it has."""
    begin, end = "<!-- beside peers -->\n", "<!-- end of beside peers -->"
    before, rest = page.split(begin)
    return before + begin + text + end + rest.split(end)[1]
