"""A week without hands: a clock drives every schedule and sensor, and the test runs what they ask.

The simulator, the pipeline and the automation live by one clock that the test sets. Nothing sleeps.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from dagster._core.test_utils import freeze_time
from world import HASTY, World

from returns_orchestration.definitions import build_defs
from returns_orchestration.defs.instance import open_instance
from returns_orchestration.lake import Lake, open_store
from returns_orchestration.trust.hours import states
from returns_orchestration.window import Window, windows_between

START = datetime(2026, 11, 1, tzinfo=UTC)


class Unattended:
    """Dagster's daemon by hand: ticks at their times, runs at once, in this process."""

    def __init__(self, world: World, instance: dg.DagsterInstance) -> None:
        self.world = world
        self.instance = instance
        self.now = START
        world.set_clock(lambda: self.now)
        self.definitions = build_defs(world.settings, clock=lambda: self.now, retry=HASTY)
        self.repository = self.definitions.get_repository_def()
        self.cursors: dict[str, str | None] = {}
        self.launched: set[str] = set()
        self.runs = 0
        self.kill_next = False

    def live_to(self, end: datetime, *, daemon: bool = True) -> None:
        """Advance the clock in steps of ten minutes; without a daemon nothing is evaluated."""
        while self.now < end:
            self.now += timedelta(minutes=10)
            if daemon:
                self.tick()

    def tick(self) -> None:
        schedule = self.repository.get_schedule_def("live_hour")
        if self.now.minute == int(schedule.cron_schedule.split()[0]):
            with dg.build_schedule_context(
                self.instance, scheduled_execution_time=self.now, repository_def=self.repository
            ) as at:
                data = schedule.evaluate_tick(at)
            self.launch(data.run_requests or [], schedule.job_name)
        for name in ("missing_hours", "late_returns"):
            sensor = self.repository.get_sensor_def(name)
            with dg.build_sensor_context(
                self.instance, cursor=self.cursors.get(name), repository_def=self.repository
            ) as at:
                data = sensor.evaluate_tick(at)
            self.cursors[name] = data.cursor
            self.launch(data.run_requests or [], sensor.job_name)

    def launch(self, requests: list[dg.RunRequest], job_name: str) -> None:
        for request in requests:
            assert request.run_key
            if request.run_key in self.launched:
                continue
            self.launched.add(request.run_key)
            if self.kill_next:  # it was taken from the queue and died before it did anything
                self.kill_next = False
                continue
            self.runs += 1
            with freeze_time(self.now):  # Dagster's own clock: the times of its events
                self.repository.get_job(job_name).execute_in_process(
                    instance=self.instance,
                    raise_on_error=False,
                    partition_key=request.partition_key,
                    tags=request.tags,
                    run_config={
                        **request.run_config,
                        "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
                    },
                )


@pytest.fixture
def unattended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_world: Callable[..., World]
) -> Iterator[Unattended]:
    world = new_world(
        {"RETURNS_START": START.isoformat()},
        returns_per_hour=3,
        late_share=0.3,
        late_by=(timedelta(minutes=15), timedelta(hours=40)),
        mps_share=0.0,
    )
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    with open_instance(world.settings) as instance:
        yield Unattended(world, instance)


def polls_of(world: World) -> dict[str, list[str]]:
    """Window to the outcomes of its polls, in order: fault or 'ok'."""
    found: dict[str, list[str]] = {}
    for request in world.simulator.requests:
        found.setdefault(str(request.start_time), []).append(request.fault or "ok")
    return found


def test_a_week_with_outages_is_complete_without_a_hand(unattended: Unattended) -> None:
    world = unattended.world
    unattended.live_to(START + timedelta(hours=30))
    world.simulator.faults = ["meta-400-repr:*"]  # the API is out for eight hours
    unattended.live_to(START + timedelta(hours=38))
    world.simulator.faults = []
    unattended.live_to(START + timedelta(hours=60))
    unattended.live_to(START + timedelta(hours=65), daemon=False)
    unattended.live_to(START + timedelta(hours=80))
    unattended.kill_next = True
    unattended.live_to(START + timedelta(hours=100))
    world.simulator.faults = ["503:*:2026-11-05T05:00"]  # one hour dead for two days
    unattended.live_to(START + timedelta(hours=150))
    world.simulator.faults = []
    unattended.live_to(START + timedelta(hours=168 + 73))

    week = list(windows_between(START, START + timedelta(days=7)))
    found = list(states(Lake(open_store(str(world.lake))), week))
    assert {state.state for state in found} <= {"complete", "empty"}
    truths = world.simulator.dataset.returns_between(START, week[-1].end, unattended.now)
    served = {t.reference for t in truths}
    inside = pl.col("requested_at").is_between(week[0].start, week[-1].end, closed="left")
    rows = world.scan("returns").filter(inside)
    assert set(rows.get_column("return_reference_number")) == served
    assert rows.height == len(served)
    for key, outcomes in polls_of(world).items():
        if Window.of(datetime.fromisoformat(key).replace(tzinfo=UTC)) in week:
            assert outcomes.count("ok") <= 1 + len(world.settings.repoll_after_hours), key


def test_five_years_of_hours_are_asked_for_in_bounded_ticks(unattended: Unattended) -> None:
    sensor = unattended.repository.get_sensor_def("missing_hours")
    unattended.now = START + timedelta(days=5 * 365)
    with dg.build_sensor_context(
        unattended.instance, repository_def=unattended.repository
    ) as context:
        data = sensor.evaluate_tick(context)
    assert data.run_requests
    assert len(data.run_requests) <= 3
    assert len(json.dumps(data.cursor)) < 50_000
