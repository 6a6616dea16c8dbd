"""One, two and three Celery workers: `PYTHONPATH=tests:. python -m benchmarks.workers`.

Each number of workers makes the same hours in a lake, a database and a broker of its own; the lake
is in an S3 server (ministack where it is installed). The API takes 200 ms for each answer, there is
no rate limit, and a run asks for one hour at a time: so it is the API that limits a worker, and the
more so the more pages an hour has. The runs are handed over at once to workers that have done a run
before, as they live for days. The numbers take turns, forwards and back, so that other work on the
machine strikes all.

Needs what the tests of workers need: PostgreSQL, Redis, the extra `celery`, and ``tests`` on the
path.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import dagster as dg
import typer
from support import postgres, real_stores, redis_server
from support.deployment import Deployment, deployed
from support.machines import cluster
from support.world import World

from benchmarks.figures import Figure, in_words, table
from benchmarks.site import ROOT
from returns_orchestration.simulator import Simulator, SimulatorOptions
from returns_orchestration.window import Window, last_settled, windows_between
from returns_orchestration.words import count

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WORKERS = (1, 2, 3)
RUNS = 6
"""How many runs there are: each number of workers divides it."""

HOURS = 120
RETURNS, PAGES = 20, 1
"""Returns of an hour, and the requests that it takes."""

LATENCY = 0.2
ASKED = {2: 1.6}
"""How many times as fast as one worker that number is to be."""

LIMIT_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds from the begin of the first run to the end of the last one.

    ``workers`` are processor seconds of the workers, ``busy`` is the share of the machine's
    processor seconds that were used meanwhile, for this and for all else that it does.
    """

    seconds: float
    workers: float
    busy: float


def measure(
    folder: Path, say: Callable[[str], None], hours: int = HOURS, pages: int = PAGES
) -> list[Figure]:
    """A figure for each number of workers; ``hours`` is a multiple of RUNS."""
    took: dict[int, list[Took]] = defaultdict(list)
    for number in (*WORKERS, *reversed(WORKERS)):
        with tempfile.TemporaryDirectory(dir=folder) as new:
            took[number].append(_timed(Path(new), number, hours, pages))
        say(f"{count(number, 'worker')}: {in_words(took[number][-1].seconds)}")
    seconds = {number: statistics.median(t.seconds for t in took[number]) for number in WORKERS}
    return [_figure(number, hours, pages, seconds, took[number]) for number in WORKERS]


def _figure(
    number: int, hours: int, pages: int, seconds: dict[int, float], took: list[Took]
) -> Figure:
    times = seconds[WORKERS[0]] / seconds[number]
    alone = hours * pages * LATENCY / number
    own = statistics.median(each.workers for each in took) / hours
    busy = statistics.median(each.busy for each in took)
    asked = ASKED.get(number, 0.0)
    return Figure(
        f"{hours} hours of {count(pages, 'request')}, {count(number, 'worker')}",
        f"{in_words(seconds[number])}; processor time of an hour: {in_words(own)}",
        f"the API alone: {in_words(alone)}; all processors were busy {busy:.0%} of the time",
        times,
        f"at least {asked:g} times one worker",
        times >= asked if asked and (hours, pages) == (HOURS, PAGES) else None,
    )


def _timed(folder: Path, number: int, hours: int, pages: int) -> Took:
    """The hours on ``number`` workers, from when their runs were handed over."""
    newest = last_settled(datetime.now(UTC), timedelta(minutes=20))
    first = Window.from_number(newest.number - hours - number + 1)
    windows = list(windows_between(first.start, newest.end))
    options = SimulatorOptions(
        returns_per_hour=RETURNS,
        rhythm=False,
        page_size=RETURNS // pages if pages > 1 else None,
        latency=LATENCY,
    )
    simulator = Simulator(options)
    with ExitStack() as stack:
        base_url = stack.enter_context(simulator.running())
        _, store = stack.enter_context(real_stores.s3(folder))
        database = stack.enter_context(postgres.PostgresServer.running()).new_database()
        variables = {
            "RETURNS_LAKE": f"{store.address}/lake",
            "RETURNS_START": f"{first.start:%Y-%m-%dT%H:%M}",
            "CLICKPOST_MAX_CONCURRENCY": "1",
            "CLICKPOST_MAX_REQUESTS_PER_SECOND": "10000",
        }
        world = World(folder / "cluster", simulator, base_url, variables | store.variables)
        world.folder.mkdir()
        made = stack.enter_context(cluster(world, database))
        stack.enter_context(patch.dict(os.environ, made.variables))
        text = made.configuration.replace("default_limit: 2", f"default_limit: {RUNS}")
        home = Path(made.variables["DAGSTER_HOME"])
        deployment = stack.enter_context(deployed(world.settings, home, text))
        workers = [made.machine(f"worker-{at}", "worker") for at in range(number)]
        _run(deployment, [[window] for window in windows[:number]])
        length = hours // RUNS
        parts = [windows[at : at + length] for at in range(number, len(windows), length)]
        own = sum(worker.processor_seconds for worker in workers)
        machine, began = _processor_seconds(), time.perf_counter()
        seconds = _run(deployment, parts)
        busy = (_processor_seconds() - machine) / (time.perf_counter() - began)
        own = sum(worker.processor_seconds for worker in workers) - own
        return Took(seconds, own, busy / (os.cpu_count() or 1))


def _run(deployment: Deployment, parts: Sequence[Sequence[Window]]) -> float:
    """A run for each of ``parts``: seconds from the first one's begin to the last one's end.

    RuntimeError where one fails.
    """
    before = {run.run_id for run in deployment.instance.get_runs()}
    for part in parts:
        deployment.backfill(part)
    deployment.look()
    never, deadline = threading.Event(), time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < deadline:
        records = deployment.instance.get_run_records()
        runs = [record for record in records if record.dagster_run.run_id not in before]
        if len(runs) == len(parts) and all(run.dagster_run.is_finished for run in runs):
            break
        never.wait(0.5)
    if {run.dagster_run.status for run in runs} != {dg.DagsterRunStatus.SUCCESS}:
        message = f"not every run succeeded: {[run.dagster_run.status.value for run in runs]}"
        raise RuntimeError(message)
    return max(run.end_time or 0 for run in runs) - min(run.start_time or 0 for run in runs)


def _processor_seconds() -> float:
    """Processor seconds of the whole machine so far."""
    # Of user, nice, system, interrupts and what a hypervisor took, without idle and iowait.
    ticks = [int(n) for n in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return float(sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def lacks() -> str:
    """What this machine lacks for it; "" if it is all there."""
    return "there is no PostgreSQL" if postgres.missing() else redis_server.missing()


def main(hours: int = HOURS, pages: int = PAGES) -> None:
    """Measure and print the table; ``hours`` is a multiple of 6."""
    if absent := lacks():
        sys.exit(f"Not measured: {absent}.")
    typer.echo(table(measure(ROOT / "data", typer.echo, hours, pages)))


if __name__ == "__main__":
    typer.run(main)
