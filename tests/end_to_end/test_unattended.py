"""Days without intervention: a clock drives every schedule and sensor; the test runs the runs.

The simulator, the pipeline and the automation use one clock that the test sets. There is no sleep.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from support.unattended import START, Unattended, polls_of
from support.world import World

from returns_orchestration.defs.instance import open_instance
from returns_orchestration.defs.lost_runs import UNDER_WAY
from returns_orchestration.lake import Lake, open_store
from returns_orchestration.state.status import states
from returns_orchestration.window import Window, windows_between


@pytest.fixture
def unattended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_world: Callable[..., World]
) -> Iterator[Unattended]:
    world = new_world(
        {"RETURNS_START": START.isoformat(), "RETURNS_REPOLL_AFTER_HOURS": "1,6,24"},
        returns_per_hour=3,
        late_share=0.3,
        late_by=(timedelta(minutes=15), timedelta(hours=20)),
        mps_share=0.0,
    )
    home = str(tmp_path / "home")
    monkeypatch.setenv("DAGSTER_HOME", home)
    with open_instance(world.settings) as instance:
        yield Unattended(world, instance, home)


def a_run_fails_in_part(unattended: Unattended) -> None:
    """The run that recovers five hours; in two of them the API fails."""
    first = Window.of(unattended.now - timedelta(hours=6))
    outage = list(windows_between(first.start, unattended.now - timedelta(hours=1)))
    bad, good = [outage[1], outage[3]], [outage[0], outage[2], outage[4]]
    unattended.world.simulator.faults = [f"503:*:{bad[0].text},{bad[1].text}"]
    unattended.live_to(unattended.now + timedelta(minutes=10))
    assert unattended.landed(outage) == good
    unattended.world.simulator.faults = []
    unattended.live_to(unattended.now + timedelta(minutes=30))
    assert unattended.asked(good) == [["ok"]] * len(good)
    for outcomes in unattended.asked(bad):
        assert set(outcomes[:-1]) == {"503"}
        assert outcomes[-1] == "ok"


def a_run_is_killed(unattended: Unattended) -> None:
    """The run that recovers sixteen hours, when it has landed eight, at twenty past the hour.

    All later steps happen before the next hour, in which hours reach an age.
    """
    first = Window.of(unattended.now - timedelta(hours=16))
    outage = list(windows_between(first.start, unattended.now))
    landed, hanging = outage[:8], outage[8:]
    unattended.live_to(unattended.now + timedelta(minutes=10), daemon=False)
    unattended.world.simulator.faults = [f"hang:*:{','.join(w.text for w in hanging)}"]
    unattended.kill_after = len(outage)
    unattended.live_to(unattended.now + timedelta(minutes=10))
    assert unattended.landed(outage) == landed
    (run,) = unattended.instance.get_runs(dg.RunsFilter(statuses=UNDER_WAY))
    assert run.status is dg.DagsterRunStatus.STARTED
    unattended.live_to(unattended.now + timedelta(minutes=30))
    assert not unattended.instance.get_runs(dg.RunsFilter(statuses=UNDER_WAY))
    assert unattended.landed(outage) == outage
    assert unattended.asked(landed) == [["ok"]] * len(landed)
    assert unattended.asked(hanging) == [["hang", "ok"]] * len(hanging)


@pytest.mark.long
def test_days_with_outages_are_completed_automatically(unattended: Unattended) -> None:
    world = unattended.world
    unattended.live_to(START + timedelta(hours=20))
    world.simulator.faults = ["meta-400-repr:*"]  # the API is down for eight hours
    unattended.live_to(START + timedelta(hours=28))
    world.simulator.faults = []
    unattended.live_to(START + timedelta(hours=34))
    unattended.live_to(START + timedelta(hours=39), daemon=False)
    a_run_fails_in_part(unattended)
    unattended.live_to(START + timedelta(hours=42))
    unattended.kill_next = True
    unattended.live_to(START + timedelta(hours=48))
    unattended.live_to(START + timedelta(hours=63), daemon=False)
    a_run_is_killed(unattended)
    unattended.live_to(START + timedelta(hours=68))
    world.simulator.faults = ["503:*:2026-11-03T21:00"]  # one hour fails for most of a day
    unattended.live_to(START + timedelta(hours=90))
    world.simulator.faults = []
    unattended.live_to(START + timedelta(hours=72 + 25))

    days = list(windows_between(START, START + timedelta(days=3)))
    found = list(states(Lake(open_store(str(world.lake))), days, world.settings.report_time_zone))
    assert {state.state for state in found} <= {"complete", "empty"}
    truths = world.simulator.dataset.returns_between(START, days[-1].end, unattended.now)
    served = {t.reference for t in truths}
    inside = pl.col("requested_at").is_between(days[0].start, days[-1].end, closed="left")
    rows = world.scan("returns").filter(inside)
    assert set(rows.get_column("return_reference_number")) == served
    assert rows.height == len(served)
    for key, outcomes in polls_of(world).items():
        if Window.of(datetime.fromisoformat(key).replace(tzinfo=UTC)) in days:
            assert outcomes.count("ok") <= 1 + len(world.settings.repoll_after_hours), key


@pytest.mark.long
def test_one_hour_that_always_fails_costs_few_requests(
    unattended: Unattended,
) -> None:
    """Pauses grow to an hour, a success ends its pause once, and after a day it is polled daily."""
    bad = Window(START + timedelta(hours=2))
    unattended.world.simulator.faults = [f"503:*:{bad.text}"]
    unattended.only = {"missing_hours"}
    unattended.live_to(START + timedelta(days=2, hours=4))
    start = bad.start.strftime("%Y-%m-%dT%H:%M:%S")
    asked = [r.time for r in unattended.world.simulator.requests if r.start_time == start]
    attempts = sorted(set(asked))  # the repeats of one attempt share one moment of this clock
    days = Counter((at - attempts[0]) // timedelta(days=1) for at in attempts)
    assert 24 <= days[0] <= 29
    assert 1 <= days[1] <= 2
    others = windows_between(START, START + timedelta(days=2))
    assert {w for w in others if not unattended.landed([w])} == {bad}


def test_five_years_of_hours_are_polled_in_bounded_ticks(unattended: Unattended) -> None:
    sensor = unattended.repository.get_sensor_def("missing_hours")
    unattended.now = START + timedelta(days=5 * 365)
    with dg.build_sensor_context(
        unattended.instance, repository_def=unattended.repository
    ) as context:
        data = sensor.evaluate_tick(context)
    assert data.run_requests
    assert len(data.run_requests) <= 3
    assert len(json.dumps(data.cursor)) < 50_000
