"""The lake's own memory: a lost DAGSTER_HOME costs no memory and no call."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from support.world import HASTY, World, hours

from returns_orchestration.defs.code_location import build_defs
from returns_orchestration.defs.instance import open_instance
from returns_orchestration.flow.from_settings import build_pipeline
from returns_orchestration.lake.poll_log import POLL_LOG
from returns_orchestration.state.status import last_polled, look_at

FROM, TO = "2026-11-07T00:00", "2026-11-07T06:00"
DEAD = "2026-11-07T03:00"


@pytest.fixture
def unpolled(new_world: Callable[..., World]) -> World:
    """Six hours, one of which always fails."""
    made = new_world({"RETURNS_START": FROM}, returns_per_hour=4, progress=False, late_share=0)
    made.simulator.faults = [f"meta-400-repr:*:{DEAD}"]
    return made


@pytest.fixture
def world(unpolled: World) -> World:
    """The same, polled twice."""
    made = unpolled
    assert made.run("backfill", FROM, TO).returncode == 1
    assert made.run("backfill", FROM, TO, "--repoll").returncode == 1
    return made


def status(world: World) -> list[dict[str, object]]:
    return list(json.loads(world.run("status", FROM, TO, "--json").stdout))


def test_polls_without_news_and_errors_survive_a_lost_dagster_home(world: World) -> None:
    before = status(world)
    assert [line["polls"] for line in before] == [2, 2, 2, 0, 2, 2]
    assert "refuses the request" in str(before[3]["error"])
    assert all(line["last_polled_at"] > line["first_polled_at"] for line in before if line["polls"])
    shutil.rmtree(world.folder / "dagster_home")
    assert status(world) == before


def test_a_lost_dagster_home_repeats_no_poll_of_an_age(
    unpolled: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, windows = unpolled, hours(FROM, TO)
    now = windows[-1].end
    world.set_clock(lambda: now)
    pipeline = build_pipeline(world.settings, clock=lambda: now, retry=HASTY)
    list(pipeline.run(windows))
    now += timedelta(hours=2)
    list(pipeline.run(windows))  # nothing new, at an age of two to seven hours
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "another_home"))
    definitions = build_defs(world.settings, clock=lambda: now, retry=HASTY)
    repository = definitions.get_repository_def()
    with (
        open_instance(world.settings) as instance,
        dg.build_sensor_context(instance, repository_def=repository) as context,
    ):
        data = repository.get_sensor_def("late_returns").evaluate_tick(context)
    assert not data.run_requests
    polled = last_polled(pipeline.lake, look_at(pipeline.lake, windows), windows)
    assert set(polled) == {window for window in windows if window.text != DEAD}
    assert set(polled.values()) == {now}


def test_a_damaged_line_of_the_poll_log_is_named_and_quarantined(world: World) -> None:
    torn = min((world.lake / POLL_LOG).rglob("*.json"))
    torn.write_bytes(torn.read_bytes()[:-5])
    found = world.run("verify")
    assert found.returncode == 1
    assert f"altered     {torn.relative_to(world.lake)}" in found.stdout
    assert world.run("rebuild", FROM, TO).returncode == 0
    assert not torn.exists()
    assert world.run("verify").returncode == 0
