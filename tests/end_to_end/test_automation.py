"""Single ticks of the schedules and sensors, over a real instance and a real lake."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from support.world import HASTY, World, hours

from returns_orchestration.alerts.kinds import HoursDamaged
from returns_orchestration.alerts.state import is_notified
from returns_orchestration.defs import automation
from returns_orchestration.defs.code_location import build_defs
from returns_orchestration.defs.instance import open_instance, run_range
from returns_orchestration.defs.registry import HOURLY
from returns_orchestration.flow.from_settings import build_pipeline
from returns_orchestration.lake.store import FolderStore
from returns_orchestration.stages import rules
from returns_orchestration.state.memory import FILES_EVERY
from returns_orchestration.state.status import states
from returns_orchestration.window import Window, windows_between

START, END = hours("2026-11-07T06:00", "2026-11-07T18:00")[::11]
WEEK = timedelta(days=7)
MONTH = timedelta(days=31)


@pytest.fixture
def world(new_world: Callable[..., World]) -> World:
    return new_world(
        {"RETURNS_START": START.start.isoformat()}, returns_per_hour=3, late_share=0.5,
        late_by=(timedelta(minutes=80), timedelta(minutes=100)), mps_share=0.0,
    )  # fmt: skip


@pytest.fixture
def instance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: World
) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    with open_instance(world.settings) as opened:
        yield opened


def tick(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    cursor: str | None,
    sensor: str = "missing_hours",
) -> dg.SensorResult:
    repository = definitions.get_repository_def()
    with dg.build_sensor_context(instance, cursor=cursor, repository_def=repository) as context:
        return repository.get_sensor_def(sensor).evaluate_tick(context)


def asked_for(data: dg.SensorResult) -> list[tuple[str, str]]:
    return [
        (
            request.tags["dagster/asset_partition_range_start"],
            request.tags["dagster/asset_partition_range_end"],
        )
        for request in data.run_requests or []
    ]


def test_an_hour_that_is_no_longer_complete_is_found(
    world: World, instance: dg.DagsterInstance
) -> None:
    now = END.end + timedelta(minutes=30)
    world.set_clock(lambda: now)
    definitions = build_defs(world.settings, clock=lambda: now, retry=HASTY)
    pipeline = world.pipeline()
    windows = list(windows_between(START.start, END.end))
    assert run_range(definitions, instance, windows, missing_only=True).success
    first = tick(definitions, instance, None)
    assert not first.run_requests

    # A later poll with changes lands, and its run is killed before it makes a table.
    world.set_clock(lambda: END.end + WEEK)
    odd = windows[5]
    [(_, poll)] = pipeline.poll_all([odd])
    assert pipeline.land(pipeline.lake.names(), poll).kept
    data = tick(definitions, instance, first.cursor)
    assert (odd.key, odd.key) in asked_for(data)
    assert all(start == end for start, end in asked_for(data))
    assert len(asked_for(data)) <= 3  # adjacent hours that depend on its polls


def test_the_tables_of_all_time_are_assets_with_pictures_and_checks(
    world: World, instance: dg.DagsterInstance
) -> None:
    definitions = build_defs(world.settings, clock=lambda: END.end + MONTH, retry=HASTY)
    windows = list(windows_between(START.start, END.end))
    job = definitions.resolve_job_def("report")
    world.set_clock(lambda: END.end + timedelta(minutes=30))
    assert list(world.pipeline().run(windows))
    world.set_clock(lambda: END.end + MONTH)
    assert list(world.pipeline().run(windows))
    result = job.execute_in_process(instance=instance)
    assert result.success
    table = world.scan("lateness")
    assert table.get_column("returns").sum() == world.scan("returns").height
    assert table.get_column("late").sum() > 0
    events = result.asset_materializations_for_node("all_time_tables")
    event, of_open_returns = events
    assert "data:image/svg+xml;base64," in str(event.metadata["chart"].value)
    assert "| poll age (hours) |" in str(event.metadata["ages"].value)
    late, opened = result.get_asset_check_evaluations()
    assert not late.passed  # half of all returns came when the last age was long over
    assert late.severity is dg.AssetCheckSeverity.WARN
    assert opened.passed
    assert of_open_returns.metadata["open"].value == world.scan("open_returns").height > 0


def test_the_definitions_load_as_a_whole(world: World) -> None:
    """As the daemon loads them: names of jobs and steps share one namespace."""
    dg.Definitions.validate_loadable(build_defs(world.settings))


def test_hours_unknown_to_dagster_are_reported_without_a_call(
    world: World, instance: dg.DagsterInstance
) -> None:
    """A run was killed between an hour's files and its events, or DAGSTER_HOME was lost."""
    now = END.end + timedelta(minutes=30)
    world.set_clock(lambda: now)
    definitions = build_defs(world.settings, clock=lambda: now, retry=HASTY)
    windows = list(windows_between(START.start, END.end))
    assert list(world.pipeline().run(windows))
    calls = len(world.asked())
    data = tick(definitions, instance, None)
    assert asked_for(data) == [(START.key, END.key)]
    assert run_range(definitions, instance, windows, missing_only=True).success
    assert len(world.asked()) == calls
    for asset in HOURLY:
        found = instance.get_materialized_partitions(dg.AssetKey(asset))
        assert set(found) == {window.key for window in windows}
    assert not tick(definitions, instance, data.cursor).run_requests


def test_an_hour_reported_late_to_dagster_is_still_polled_again(
    world: World, instance: dg.DagsterInstance
) -> None:
    now = END.end + timedelta(minutes=30)
    world.set_clock(lambda: now)
    pipeline = build_pipeline(world.settings, clock=lambda: now, retry=HASTY)
    windows = list(windows_between(START.start, END.end))
    assert list(pipeline.run(windows))
    now = END.end + WEEK
    definitions = build_defs(world.settings, clock=lambda: now, retry=HASTY)
    assert run_range(definitions, instance, windows, missing_only=True).success
    repository = definitions.get_repository_def()
    with dg.build_sensor_context(instance, repository_def=repository) as context:
        data = repository.get_sensor_def("late_returns").evaluate_tick(context)
    [request] = data.run_requests or []
    config = request.run_config["ops"]["poll_again"]["config"]
    assert config["hours"] == [window.key for window in windows]


def test_an_idle_look_for_late_returns_reads_nothing_of_the_lake(
    world: World, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = END.end + timedelta(minutes=30)
    world.set_clock(lambda: now)
    windows = list(windows_between(START.start, END.end))
    assert list(build_pipeline(world.settings, clock=lambda: now, retry=HASTY).run(windows))
    read: list[str] = []
    known = dict(vars(FolderStore))
    for name in ("get", "get_many", "list", "between", "children"):

        def noted(self: FolderStore, *what: Any, name: str = name) -> Any:
            read.append(f"{name} {what}")
            return known[name](self, *what)

        monkeypatch.setattr(FolderStore, name, noted)
    cursor, reads = None, []
    definitions = build_defs(world.settings, clock=lambda: now, retry=HASTY)
    for _ in range(3):
        repository = definitions.get_repository_def()
        with dg.build_sensor_context(instance, cursor=cursor, repository_def=repository) as context:
            data = repository.get_sensor_def("late_returns").evaluate_tick(context)
        assert not data.run_requests
        cursor = data.cursor
        reads.append(len(read))
        now += timedelta(minutes=5)
    assert reads[0] > 0
    assert reads == [reads[0]] * 3


def states_of(world: World, windows: list[Window]) -> set[str]:
    lake = world.pipeline().lake
    return {line.state for line in states(lake, windows, world.settings.report_time_zone)}


@pytest.mark.parametrize("recent", [automation.RECENT, timedelta(0)], ids=["recent", "old"])
def test_outdated_hours_are_made_again_newest_first_and_without_a_call(
    world: World, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, recent: timedelta
) -> None:
    """A release with other rules: the tables stay readable until they are rebuilt by them."""
    monkeypatch.setattr(automation, "RECENT", recent)
    now = END.end + timedelta(minutes=30)
    world.set_clock(lambda: now)
    windows = list(windows_between(START.start, END.end))
    definitions = build_defs(world.settings, clock=lambda: now, retry=HASTY)
    assert run_range(definitions, instance, windows, missing_only=True).success
    data = tick(definitions, instance, None)
    assert not data.run_requests
    calls, tables = len(world.asked()), world.scan("returns")

    monkeypatch.setattr(rules, "VERSION", rules.VERSION + 1)
    monkeypatch.setattr(automation, "HEAL_LIMIT", 4)
    assert states_of(world, windows) == {"outdated"}
    assert world.scan("returns").equals(tables)
    made: list[Window] = []
    while len(made) < len(windows):
        data = tick(definitions, instance, data.cursor)
        [(first, last)] = asked_for(data)
        chunk = list(windows_between(Window.from_key(first).start, Window.from_key(last).end))
        assert chunk == windows[len(windows) - len(made) - 4 : len(windows) - len(made)]
        assert run_range(definitions, instance, chunk, missing_only=True).success
        assert states_of(world, chunk) <= {"complete", "empty"}
        made += chunk
    assert states_of(world, windows) <= {"complete", "empty"}
    assert not tick(definitions, instance, data.cursor).run_requests
    assert len(world.asked()) == calls
    assert world.scan("returns").equals(tables)


def test_damage_that_the_patrol_finds_is_notified_first_and_then_repaired(
    world: World, instance: dg.DagsterInstance
) -> None:
    """The alerts themselves do not look at these hours."""
    windows = list(windows_between(START.start, START.start + timedelta(days=6)))
    now = windows[-1].end + timedelta(minutes=30)
    world.set_clock(lambda: now)
    definitions = build_defs(world.settings, clock=lambda: now, retry=HASTY)
    assert run_range(definitions, instance, windows, missing_only=True).success
    missing = tick(definitions, instance, None)
    incidents = tick(definitions, instance, None, "incidents")
    odd, calls = windows[5], len(world.asked())
    (world.lake / "return_items" / odd.path / "part-0.parquet").unlink()
    ticks = 0
    while states_of(world, [odd]) == {"damaged"}:
        now, ticks = now + timedelta(hours=4), ticks + 1
        missing = tick(definitions, instance, missing.cursor)
        incidents = tick(definitions, instance, incidents.cursor, "incidents")
        if (odd.key, odd.key) in asked_for(missing):  # besides the hours that are new since then
            assert is_notified(world.pipeline().lake, HoursDamaged)
            assert run_range(definitions, instance, [odd], missing_only=True).success
        assert ticks < 7 * 6
    assert len(world.asked()) == calls
    assert states_of(world, windows) <= {"complete", "empty"}


def test_a_lost_file_is_notified_first_and_then_repaired_without_a_call(
    world: World, instance: dg.DagsterInstance
) -> None:
    now = END.end + timedelta(minutes=30)
    world.set_clock(lambda: now)
    windows = list(windows_between(START.start, END.end))
    definitions = build_defs(world.settings, clock=lambda: now, retry=HASTY)
    assert run_range(definitions, instance, windows, missing_only=True).success
    missing = tick(definitions, instance, None)
    incidents = tick(definitions, instance, None, "incidents")
    before, calls = world.files(), len(world.asked())

    odd, lake = windows[5], world.pipeline().lake
    (world.lake / "return_items" / odd.path / "part-0.parquet").unlink()
    now += FILES_EVERY
    missing = tick(definitions, instance, missing.cursor)
    assert not missing.run_requests
    assert states_of(world, [odd]) == {"damaged"}
    now += timedelta(minutes=1)  # a look that lists no files forgets nothing
    missing = tick(definitions, instance, missing.cursor)
    assert not missing.run_requests
    tick(definitions, instance, incidents.cursor, "incidents")
    assert is_notified(lake, HoursDamaged)
    missing = tick(definitions, instance, missing.cursor)
    assert asked_for(missing) == [(odd.key, odd.key)]
    assert run_range(definitions, instance, [odd], missing_only=True).success
    assert len(world.asked()) == calls
    assert states_of(world, windows) <= {"complete", "empty"}
    after = {p: c for p, c in world.files().items() if not p.startswith(("_alerts", "alerts"))}
    assert after.keys() == {p for p in before if not p.startswith(("_alerts", "alerts"))}
    assert {p for p in after if p[0] != "_" and after[p] != before[p]} == set()
    now += FILES_EVERY
    assert not tick(definitions, instance, missing.cursor).run_requests


def test_a_damaged_table_is_quarantined_and_a_second_one_is_repaired_in_the_cooldown(
    world: World, instance: dg.DagsterInstance
) -> None:
    now = END.end + timedelta(minutes=30)
    world.set_clock(lambda: now)
    windows = list(windows_between(START.start, END.end))
    definitions = build_defs(world.settings, clock=lambda: now, retry=HASTY)
    assert run_range(definitions, instance, windows, missing_only=True).success
    missing = tick(definitions, instance, None)
    incidents = tick(definitions, instance, None, "incidents")
    for number, odd in enumerate(windows[4:6]):
        path = world.lake / "returns" / odd.path / "part-0.parquet"
        path.write_bytes(b"garbage of %d" % number)
        now += FILES_EVERY
        missing = tick(definitions, instance, missing.cursor)
        assert not missing.run_requests
        incidents = tick(definitions, instance, incidents.cursor, "incidents")
        missing = tick(definitions, instance, missing.cursor)
        assert asked_for(missing) == [(odd.key, odd.key)]
        assert run_range(definitions, instance, [odd], missing_only=True).success
        (copy,) = world.lake.glob(f"_quarantine/returns/{odd.path}/part-0.parquet.*")
        assert copy.read_bytes() == b"garbage of %d" % number
        now += timedelta(minutes=1)
        missing = tick(definitions, instance, missing.cursor)
        incidents = tick(definitions, instance, incidents.cursor, "incidents")
    assert states_of(world, windows) <= {"complete", "empty"}
