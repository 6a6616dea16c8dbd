"""Dagster's daemon by hand: a clock that the test sets drives every schedule and sensor.

As under the real one, the definitions are loaded again at each tick.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from returns_orchestration.defs.code_location import build_defs
from returns_orchestration.window import Window
from support.mortal_run import execute, run_and_kill
from support.world import HASTY, World

START = datetime(2026, 11, 1, tzinfo=UTC)
STEP = timedelta(minutes=10)


class Unattended:
    """Dagster's daemon by hand: ticks at their times, runs at once, in this process."""

    def __init__(self, world: World, instance: dg.DagsterInstance, home: str) -> None:
        self.world = world
        self.instance = instance
        self.home = home
        self.now = START
        world.set_clock(lambda: self.now)
        self.load()
        self.cursors: dict[str, str | None] = {}
        self.launched: set[str] = set()
        self.shown: list[Any] = []
        self.kill_next = False
        self.kill_after = 0
        self.only: set[str] | None = None  # sensors to evaluate, where others do not matter

    def load(self) -> None:
        """Load the definitions again, as the daemon does each minute: objects made at load go."""
        self.definitions = build_defs(self.world.settings, clock=lambda: self.now, retry=HASTY)
        self.repository = self.definitions.get_repository_def()

    def live_to(self, end: datetime, *, daemon: bool = True, step: timedelta = STEP) -> None:
        """Advance the clock in steps; without a daemon no tick is evaluated."""
        while self.now < end:
            self.now += step
            if daemon:
                self.tick()

    def tick(self) -> None:
        self.load()
        for schedule in self.repository.schedule_defs:
            minute, hour, *_ = schedule.cron_schedule.split()
            if self.now.minute == int(minute) and hour in {"*", str(self.now.hour)}:
                self.schedule(schedule.name)
        names = [sensor.name for sensor in self.repository.sensor_defs]
        # `incidents` is evaluated after all others.
        for name in sorted(names, key=lambda name: (name == "incidents", name)):
            if self.only is None or name in self.only:
                self.look(name)

    def schedule(self, name: str) -> None:
        """A tick of the schedule ``name``, whatever the time."""
        schedule = self.repository.get_schedule_def(name)
        with dg.build_schedule_context(
            self.instance, scheduled_execution_time=self.now, repository_def=self.repository
        ) as at:
            data = schedule.evaluate_tick(at)
        self.launch(data.run_requests or [], schedule.job_name)

    def look(self, name: str) -> None:
        """A tick of the sensor ``name``."""
        sensor = self.repository.get_sensor_def(name)
        with dg.build_sensor_context(
            self.instance, cursor=self.cursors.get(name), repository_def=self.repository
        ) as at:
            asked = sensor.evaluate_tick(at)
        self.cursors[name] = asked.cursor
        self.shown += asked.asset_events
        if asked.run_requests:
            named = {request.job_name for request in asked.run_requests} - {None}
            self.launch(asked.run_requests, named.pop() if named else sensor.job_name)

    def launch(self, requests: Sequence[dg.RunRequest], job_name: str) -> None:
        for request in requests:
            # Dagster launches a schedule's tick once; a sensor's request once for its key.
            key = f"{job_name} {request.run_key or self.now}"
            if key in self.launched:
                continue
            self.launched.add(key)
            if self.kill_next:  # it was taken from the queue and died before its first step
                self.kill_next = False
            elif self.kill_after and job_name == "hourly":
                run_and_kill(self.world, self.home, job_name, request, self.now, self.kill_after)
                self.kill_after = 0
                self.world.simulator.faults = []
            else:
                execute(
                    self.definitions,
                    self.instance,
                    self.now,
                    job=job_name,
                    partition_key=request.partition_key,
                    tags=dict(request.tags),
                    run_config=dict(request.run_config),
                )

    def asked(self, windows: list[Window]) -> list[list[str]]:
        """For each window the outcomes of its polls, in order: fault or 'ok'."""
        found = polls_of(self.world)
        return [found.get(window.start.strftime("%Y-%m-%dT%H:%M:%S"), []) for window in windows]

    def landed(self, windows: list[Window]) -> list[Window]:
        return self.world.landed(windows)


def polls_of(world: World) -> dict[str, list[str]]:
    """By window, the outcomes of its polls, in order: fault or 'ok'."""
    found: dict[str, list[str]] = {}
    for request in world.simulator.requests:
        found.setdefault(str(request.start_time), []).append(request.fault or "ok")
    return found
