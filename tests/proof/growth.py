"""DAGSTER_HOME over weeks: bounded by pruning, while Dagster shows every hour and asks for none.

The daemon's loops are run by hand under a clock that the proof sets, an hour a step, with all runs
that it asks for. Ticks are stored as often as the real daemon stores them.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dagster as dg
import sqlalchemy as sa
from dagster._core.scheduler.instigation import TickStatus
from dagster._core.storage.schedules.schema import JobTickTable
from proof.result import Result
from support.ticks import add_tick
from support.unattended import START, Unattended
from support.world import KEY, USER_NAME, World

from returns_orchestration.defs.health import bytes_in
from returns_orchestration.defs.instance import open_instance
from returns_orchestration.defs.prune import PRUNE
from returns_orchestration.defs.registry import HOURLY
from returns_orchestration.simulator import Simulator, SimulatorOptions
from returns_orchestration.state.health import home_limit
from returns_orchestration.window import windows_between

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
FIRST = START + timedelta(minutes=10)
"""Steps are at ten minutes past, when the schedule of the newest hour is due."""

A_DAY_AT_MOST = 1_500_000 + 80_000_000 // 365
"""Bytes by which the home may grow in a day once there is something to prune; the second part is
for `return_states`, an hourly asset more."""

KEPT = 7
"""RETURNS_KEEP_RUNS_DAYS of a long run."""

SETTLED = 14
"""Days after which, beyond those that are kept, growth is judged: most ages are reached by then."""

TICKS = TickStatus.SKIPPED, TickStatus.SUCCESS


class Growing(Unattended):
    """The daemon by hand, with its ticks in Dagster's storage."""

    def live_a_day(self) -> None:
        """24 hours, with what is scheduled once a day."""
        for _ in range(24):
            self.now += HOUR
            self.tick()
        self.launch([dg.RunRequest()], PRUNE)
        self._purge_skipped()

    def look(self, name: str) -> None:
        """A tick of the sensor, and as many stored ones as the daemon makes in an hour."""
        runs = len(self.launched)
        super().look(name)
        every = self.repository.get_sensor_def(name).minimum_interval_seconds or 30
        status = TICKS[len(self.launched) > runs]
        self._store(name, status, HOUR // timedelta(seconds=every))

    def _store(self, name: str, status: TickStatus, number: int) -> None:
        tick = add_tick(self.instance, name, self.now, status, self.cursors.get(name))
        storage: Any = self.instance.schedule_storage
        copied = [c for c in JobTickTable.c if c.name not in {"id", "status"}]
        one = sa.select(*copied).where(JobTickTable.c.id == tick.tick_id)
        with storage.connect() as connection:
            row = dict(connection.execute(one).mappings().one())
            skipped = {**row, "status": TickStatus.SKIPPED.value}
            connection.execute(JobTickTable.insert(), [skipped] * (number - 1))

    def _purge_skipped(self) -> None:
        """What the daemon does by `retention` in dagster.yaml."""
        for state in self.instance.all_instigator_state():
            kept = self.instance.get_tick_retention_settings(state.instigator_type)
            for status, days in kept.items():
                if days < 0:  # for ever
                    continue
                before = self.now - timedelta(days=days)
                self.instance.purge_ticks(
                    state.instigator_origin_id, state.selector_id, before.timestamp(), [status]
                )


def bounded(cases: int, seed: int) -> Result:
    """``cases`` days."""
    result = Result(seed)
    logging.getLogger("returns_orchestration").setLevel(logging.CRITICAL)
    keep = 1 if cases < KEPT + SETTLED else KEPT
    options = SimulatorOptions(key=KEY, user_name=USER_NAME, seed=seed, late_share=0.15)
    variables = {"RETURNS_START": START.isoformat(), "RETURNS_KEEP_RUNS_DAYS": str(keep)}
    simulator = Simulator(options)
    with (
        tempfile.TemporaryDirectory() as folder,
        simulator.running() as base_url,
        patch.dict(os.environ, DAGSTER_HOME=f"{folder}/home"),
    ):
        world = World(Path(folder), simulator, base_url, variables)
        with open_instance(world.settings) as instance:
            daemon = Growing(world, instance, f"{folder}/home")
            daemon.now = FIRST
            sizes = []
            for _ in range(cases):
                daemon.live_a_day()
                sizes.append(bytes_in(Path(folder, "home")))
                result.tried += 1
            result.faults += _faults(daemon, sizes, keep)
            lake = bytes_in(world.lake)
            files = sum(len(names) for _, _, names in os.walk(f"{folder}/home"))
    result.notes = (
        f"from {sizes[0] / 1e6:.1f} to {sizes[-1] / 1e6:.1f} MB and {files:,} files with "
        f"RETURNS_KEEP_RUNS_DAYS={keep}; the lake has {lake / 1e6:.1f} MB"
    )
    return result


def _faults(daemon: Growing, sizes: list[int], keep: int) -> Iterator[str]:
    steady = sizes[min(keep + SETTLED, len(sizes) - 2) :]
    growth = (steady[-1] - steady[0]) / (len(steady) - 1)
    if len(sizes) > keep + SETTLED + 1 and growth > A_DAY_AT_MOST:
        yield f"the home grows by {growth / 1e6:.2f} MB a day: {sizes}"
    for day, size in enumerate(sizes, 1):
        if size > (limit := home_limit(24 * day, timedelta(days=keep))):
            yield f"after {day} days the home has {size:,} bytes: the alert begins at {limit:,}"
    old = daemon.now - timedelta(days=keep + 1)
    if runs := daemon.instance.get_runs(dg.RunsFilter(updated_before=old)):
        yield f"{len(runs)} runs that ended before {old} are there"
    hours = list(windows_between(START, (daemon.now - HOUR).replace(minute=0)))
    for asset in HOURLY:
        made = daemon.instance.get_materialized_partitions(dg.AssetKey(asset))
        if lacking := {window.key for window in hours} - made:
            yield f"Dagster does not show {len(lacking)} hours of {asset}"
    ages = daemon.world.settings.repoll_after_hours
    asked = Counter(str(request.start_time) for request in daemon.world.simulator.requests)
    for window in hours:
        reached = sum(_is_reached(window.end, age, daemon.now) for age in ages)
        if asked[window.start.strftime("%Y-%m-%dT%H:%M:%S")] > 1 + reached:
            yield f"{window.text} was asked for too often"


def _is_reached(end: datetime, age: int, now: datetime) -> bool:
    return end + timedelta(hours=age) <= now
