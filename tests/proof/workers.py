"""Hours on three Celery workers that share nothing but broker, database and store, under kills.

Each machine is a folder with processes of its own: three workers, one with code server and daemon.
The runs wait in Redis, Dagster's instance is in PostgreSQL, the lake in an S3 server. Kills by
SIGKILL come with the progress of the hours, and strike workers, the daemon's machine and the broker
in turn. The same hours in a folder with SQLite are what the tables must be. The API's clock stands
still, so that both are served the same. The S3 server is ministack where it is installed, and else
one of our own.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import dagster as dg
import polars as pl
from proof.corruption import findings
from proof.result import Result
from support import postgres, real_stores, redis_server
from support.deployment import Deployment, deployed
from support.machines import CONFIGURATION, Cluster, cluster
from support.postgres import PostgresServer
from support.world import World

from returns_orchestration.defs.code_location import build_defs
from returns_orchestration.defs.instance import IN_PROGRESS
from returns_orchestration.defs.lost_runs import SILENCE
from returns_orchestration.lake import Lake, open_store
from returns_orchestration.simulator import RequestRecord, Simulator, SimulatorOptions
from returns_orchestration.window import Window, last_settled, windows_between

WORKERS = 3
TARGETS = ("worker", "daemon", "broker")
MOST_HOURS = 8
"""Hours of a run, so that there are always more runs than workers."""

CEILING = 2
"""CLICKPOST_MAX_REQUESTS_PER_SECOND, of which three workers without a limit would send more."""

SPAN_SECONDS = 10.0
SILENT_SECONDS = 40.0
"""How long a run is silent until it counts as lost: `lost_runs` is given a clock that is ahead.

A living run may be ended by it, too. It goes on, and its hours are asked for twice."""

LOOK_SECONDS = 1.0
LIMIT_SECONDS = 90 * 60.0
TIMES = frozenset({"polled_at", "first_polled_at", "last_polled_at", "first_seen_at", "as_of"})
"""Columns that hold times of polls."""


def lacks() -> str:
    """What this machine lacks for it; "" if it is all there."""
    return "there is no PostgreSQL" if postgres.missing() else redis_server.missing()


def on_workers(cases: int, seed: int) -> Result:
    """``cases`` hours; one kill for each eleven, and at least one of each target."""
    dice, result = random.Random(seed), Result(seed)
    kills = list(itertools.islice(itertools.cycle(TARGETS), max(len(TARGETS), cases // 11)))
    dice.shuffle(kills)
    newest = last_settled(datetime.now(UTC), timedelta(minutes=20))
    first = Window.from_number(newest.number - cases + 1)
    windows = list(windows_between(first.start, newest.end))
    # By the API's clock no later hour is over, so no other one can be polled meanwhile.
    moment = newest.end + timedelta(minutes=1)
    options = SimulatorOptions(
        seed=dice.randrange(1_000_000),
        returns_per_hour=6,
        edge_rule="[]",
        edges=True,
        oddities=0.1,
        unusable=0.03,
        late_share=0.3,
        late_by=(timedelta(hours=1), timedelta(hours=40)),
    )
    simulator = Simulator(options, clock=lambda: moment)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        base_url = stack.enter_context(simulator.running())
        store, s3 = stack.enter_context(real_stores.s3(folder))
        database = stack.enter_context(PostgresServer.running()).new_database()
        variables = {
            "RETURNS_START": f"{first.start:%Y-%m-%dT%H:%M}",
            "RETURNS_SETTLE_MINUTES": "20",
            "RETURNS_REPOLL_AFTER_HOURS": "",
        }
        shared = {
            "RETURNS_LAKE": f"{s3.address}/lake",
            "CLICKPOST_MAX_REQUESTS_PER_SECOND": f"{CEILING}",
        }
        of_cluster = World(
            folder / "cluster", simulator, base_url, variables | shared | s3.variables
        )
        of_cluster.folder.mkdir()
        times = _times_of_requests(of_cluster)
        made = stack.enter_context(cluster(of_cluster, database))
        stack.enter_context(patch.dict(os.environ, made.variables))
        home = Path(os.environ["DAGSTER_HOME"])
        text = CONFIGURATION.read_text().replace("default_limit: 2", f"default_limit: {WORKERS}")
        with deployed(of_cluster.settings, home, text) as deployment:
            life = Life(made, deployment, windows, text)
            began = time.monotonic()
            result.faults += life.run(kills)
            seconds = time.monotonic() - began
        requests, densest = len(times), _densest(times)
        if densest > SPAN_SECONDS * CEILING + 1:
            result.faults.append(f"{densest} requests in {SPAN_SECONDS:.0f} s")
        alone = World(folder / "alone", simulator, base_url, variables)
        alone.folder.mkdir()
        result.faults += _wrong(of_cluster, alone, windows)
        result.tried = len(windows)
        counts = ", ".join(f"{kills.count(target)} of a {target}" for target in TARGETS)
        result.notes = (
            f"{len(kills)} kills, {counts}; the store was {store}; {requests} requests, at most "
            f"{densest} in {SPAN_SECONDS:.0f} s at a limit of {CEILING} a second; "
            f"{seconds / 60:.0f} minutes"
        )
    return result


class Life:
    """The machines at work, until all hours are there and no run is under way."""

    def __init__(
        self, made: Cluster, deployment: Deployment, windows: list[Window], configuration: str
    ) -> None:
        self._cluster = made
        self._instance = deployment.instance
        self._windows = windows
        self._lake = Lake(open_store(made.world.settings.lake))
        hours = min(MOST_HOURS, max(1, len(windows) // (2 * WORKERS)))
        for at in range(0, len(windows), hours):
            deployment.backfill(windows[at : at + hours])
        deployment.look()
        made.configuration = configuration
        self._daemon = made.machine("services", "code-server", "daemon")
        self._workers = [made.machine(f"worker-{n}", "worker") for n in range(WORKERS)]

    def run(self, kills: list[str]) -> Iterator[str]:
        """Kill as the hours proceed; gives the faults."""
        struck, ahead_at, cursor, never = 0, time.monotonic(), None, threading.Event()
        deadline = time.monotonic() + LIMIT_SECONDS
        while time.monotonic() < deadline:
            names = self._lake.names()
            done = sum(bool(names.hour(window).polls) for window in self._windows)
            if struck < len(kills) and done * (len(kills) + 1) >= (struck + 1) * len(self._windows):
                self._strike(kills[struck], struck)
                struck += 1
            elif done == len(self._windows) and not self._busy():
                yield from (f"only {struck} kills" for _ in range(struck < len(kills)))
                return
            if time.monotonic() - ahead_at > SILENT_SECONDS / 4:
                ahead_at = time.monotonic()
                cursor = self._end_lost(cursor)
            never.wait(LOOK_SECONDS)
        yield f"after {LIMIT_SECONDS:.0f} s {done} of {len(self._windows)} hours are there"

    def _busy(self) -> bool:
        return bool(self._instance.get_runs(dg.RunsFilter(statuses=IN_PROGRESS), limit=1))

    def _strike(self, target: str, number: int) -> None:
        """Kill it, and start it again."""
        if target == "broker":
            self._cluster.broker.kill()
            self._cluster.broker.start()
            return
        machine = self._daemon if target == "daemon" else self._workers[number % WORKERS]
        machine.kill()
        machine.start()

    def _end_lost(self, cursor: str | None) -> str | None:
        """A tick of `lost_runs` by a clock that makes SILENCE short."""
        now = datetime.now(UTC) + SILENCE - timedelta(seconds=SILENT_SECONDS)
        definitions = build_defs(self._cluster.world.settings, clock=lambda: now)
        repository = definitions.get_repository_def()
        with dg.build_sensor_context(
            self._instance, cursor=cursor, repository_def=repository
        ) as context:
            return repository.get_sensor_def("lost_runs").evaluate_tick(context).cursor


def _times_of_requests(world: World) -> list[float]:
    """The seconds at which requests reach the simulator, whose own clock stands still."""
    times: list[float] = []
    journal = world.simulator._journal
    note = journal.note

    def noting(record: RequestRecord) -> None:
        times.append(time.monotonic())
        note(record)

    journal.note = noting  # type: ignore[method-assign]
    return times


def _densest(times: list[float]) -> int:
    """The most requests in a span of ten seconds."""
    ordered, begin, most = sorted(times), 0, 0
    for end, at in enumerate(ordered):
        while ordered[begin] <= at - SPAN_SECONDS:
            begin += 1
        most = max(most, end - begin + 1)
    return most


def _wrong(shared: World, alone: World, windows: list[Window]) -> Iterator[str]:
    """How the lake of the workers differs from that of a folder, and the faults in itself."""
    yield from (finding.text for finding in findings(shared))
    span = windows[0].text, windows[-1].next.text
    told = shared.run("status", *span, "--json")
    if told.returncode:
        yield f"`status` exits with {told.returncode}: {told.stdout[-500:]}{told.stderr[-500:]}"
    hours = {hour["hour"]: hour for hour in json.loads(told.stdout or "[]")}
    for window in windows:
        hour = hours.get(window.text, {})
        if hour.get("state") not in {"complete", "empty"}:
            names = Lake(open_store(shared.settings.lake)).names()
            yield f"{window.text} is not complete, now with {names.hour(window)}: {hour}"
    done = alone.run("backfill", *span)
    if done.returncode:
        yield f"`backfill` in a folder exits with {done.returncode}: {done.stderr[-500:]}"
    yield from _different(_tables(shared), _tables(alone), windows)


def _tables(world: World) -> dict[str, bytes]:
    """Every file of a table of hours or days, by its path.

    Alerts are left out: they are about what happened, not about returns.
    """
    store = open_store(world.settings.lake)
    return {
        path: store.get(path)
        for path in store.list("")
        if path.endswith(".parquet") and "/date=" in path and not path.startswith(("_", "alerts"))
    }


def _different(
    ours: dict[str, bytes], theirs: dict[str, bytes], windows: list[Window]
) -> Iterator[str]:
    if not theirs:
        yield "the lake in a folder has no tables"
    # `lateness` counts by the age of polls, which is another here.
    compared = {path for path in theirs if not path.startswith("lateness")}
    tables = {path.split("/")[0] for path in compared}
    yield from (f"{path} is absent" for path in sorted(compared - ours.keys()))
    more = {path for path in ours.keys() - compared if path.split("/")[0] in tables}
    yield from (f"{path} is too much" for path in sorted(more))
    if len([path for path in compared if path.startswith("returns/")]) != len(windows):
        yield "not every hour is compared"
    for path in sorted(compared & ours.keys()):
        if ours[path] != theirs[path]:
            one, other = (pl.read_parquet(content) for content in (ours[path], theirs[path]))
            if not TIMES & set(one.columns):
                wrong = [n for n in other.columns if not one[n].equals(other[n])]
                yield f"{path} has other bytes, in {wrong}"
            elif not _rows(one).equals(_rows(other)):
                yield f"{path} has other rows"


def _rows(frame: pl.DataFrame) -> pl.DataFrame:
    """Without times of polls."""
    return frame.drop(TIMES & set(frame.columns))
