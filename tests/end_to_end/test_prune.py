"""`prune` on a home with old and new runs: what goes, what stays, what is asked for."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.test_utils import freeze_time
from support.mortal_run import execute
from support.postgres import Database
from support.ticks import add_tick, ticks
from support.world import HASTY, World, hours

from returns_orchestration.alerts.state import FOLDER
from returns_orchestration.defs import history
from returns_orchestration.defs.code_location import build_defs
from returns_orchestration.defs.compact import compact
from returns_orchestration.defs.event_log import PAGE_BYTES
from returns_orchestration.defs.instance import open_instance, range_tags
from returns_orchestration.defs.keys import Keys
from returns_orchestration.defs.registry import ASSETS, DAILY, HOURLY
from returns_orchestration.window import Window

OLD = hours("2026-09-01T00:00", "2026-09-01T07:00")
NEW = hours("2026-10-11T00:00", "2026-10-11T03:00")
LATER = NEW[-1].end + timedelta(hours=1)
PARTITIONED = (*HOURLY, *DAILY)


class Home:
    """A DAGSTER_HOME with runs of September and October, and ticks of both.

    Its events are in the files of SQLite, or in ``database``.
    """

    def __init__(
        self, world: World, instance: dg.DagsterInstance, database: Database | None = None
    ) -> None:
        self.world = world
        self.database = database
        self.instance = instance
        self.now = OLD[0].start
        world.set_clock(lambda: self.now)
        self.definitions = build_defs(world.settings, clock=lambda: self.now, retry=HASTY)
        self.at("2026-09-01T06:10", failing=OLD[5]).poll(OLD[:6])
        self.at("2026-09-01T07:10", failing=OLD[6]).poll(OLD[6:])
        self.at("2026-09-01T09:00").run(
            "repoll", run_config={"ops": {"poll_again": {"config": {"hours": [OLD[0].key]}}}}
        )
        self.at("2026-09-01T09:10").poll([OLD[5]])
        self.at("2026-09-02T01:40").run("report")
        self.look("incidents")
        self.at("2026-10-11T03:10").poll(NEW)
        self.run("report")
        self.look("incidents")
        self.now = LATER

    def at(self, moment: str, failing: Window | None = None) -> Home:
        self.now = datetime.fromisoformat(moment).replace(tzinfo=UTC)
        self.world.simulator.faults = [f"503:*:{failing.text}"] if failing else []
        return self

    def poll(self, windows: list[Window]) -> None:
        self.run("hourly", tags=range_tags(windows))

    def run(self, job: str, **asked: Any) -> dg.ExecuteInProcessResult:
        return execute(
            self.definitions, self.instance, self.now, job=job, **{"run_config": {}} | asked
        )

    def look(self, name: str) -> dg.SensorExecutionData:
        repository = self.definitions.get_repository_def()
        with dg.build_sensor_context(self.instance, repository_def=repository) as context:
            found = repository.get_sensor_def(name).evaluate_tick(context)
        for event in found.asset_events:
            self.instance.report_runless_asset_event(event)
        return found

    def shown(self) -> dict[str, Any]:
        """What Dagster shows of each partition: whether it is made, failed, and its checks."""
        storage: Any = self.instance.event_log_storage
        found: dict[str, Any] = {}
        for name in PARTITIONED:
            key = dg.AssetKey(name)
            found[name] = set(self.instance.get_materialized_partitions(key))
            attempts = (
                storage.get_latest_asset_partition_materialization_attempts_without_materializations
            )
            for partition, (run_id, _) in attempts(key).items():
                run = self.instance.get_run_by_id(run_id)
                found[f"{name} {partition}"] = run and run.status
        for asset in ASSETS.values():
            key = dg.AssetCheckKey(dg.AssetKey(asset.name), asset.check.name)
            for info in storage.get_asset_check_partition_info([key]):
                materialized = info.latest_materialization_storage_id
                found[f"{key} {info.partition_key}"] = (
                    info.latest_execution_status,
                    info.latest_target_materialization_storage_id,
                    materialized,
                )
        return found

    def asks(self) -> list[dict[str, str]]:
        return [dict(request.tags) for request in self.look("missing_hours").run_requests or []]

    def databases(self) -> set[str]:
        folder = Path(os.environ["DAGSTER_HOME"], "history", "runs")
        return {path.stem for path in folder.glob("*-*.db")}

    def rows(self, query: str) -> list[Any]:
        if self.database is not None:
            return self.database.rows(query)
        path = Path(os.environ["DAGSTER_HOME"], "history", "runs", "index.db")
        with sqlite3.connect(path) as database:
            return list(database.execute(query))


@pytest.fixture
def home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_world: Callable[..., World]
) -> Iterator[Home]:
    world = new_world({"RETURNS_START": OLD[0].start.isoformat()}, returns_per_hour=3)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    with open_instance(world.settings) as instance:
        yield Home(world, instance)


@pytest.fixture(params=["files", "PostgreSQL"])
def either(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    new_world: Callable[..., World],
) -> Iterator[Home]:
    """A home of each kind."""
    if request.param == "files":
        yield request.getfixturevalue("home")
        return
    database: Database = request.getfixturevalue("database")
    world = new_world({"RETURNS_START": OLD[0].start.isoformat()}, returns_per_hour=3)
    monkeypatch.setenv("DAGSTER_HOME", str(database.configure(tmp_path / "home")))
    with open_instance(world.settings) as instance:
        yield Home(world, instance, database)


def test_runs_older_than_the_setting_go_and_dagster_shows_every_hour_as_before(
    either: Home,
) -> None:
    before, asked, polls = either.shown(), either.asks(), newest_polls(either)
    assert f"{OLD[6].key}" in str(before)  # the hour that failed
    old = {run.run_id for run in either.instance.get_runs() if is_of_september(either, run)}
    assert len(old) == 5

    assert either.run("prune").success

    kept = {run.run_id for run in either.instance.get_runs()}
    failed = either.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
    assert kept & old == {failed[0].run_id}  # its hour is shown as failed
    assert either.shown() == before
    assert either.asks() == asked
    assert newest_polls(either) == polls


def test_only_the_newest_event_of_a_partition_stays_of_old_ones(either: Home) -> None:
    either.run("prune")
    doubled = either.rows(
        "select asset_key, partition, count(*) from event_logs where timestamp < '2026-09-10'"
        " and dagster_event_type = 'ASSET_MATERIALIZATION' group by 1, 2 having count(*) > 1"
    )
    assert doubled == []
    assert either.rows(
        "select distinct dagster_event_type from event_logs where timestamp < '2026-09-10'"
        " and run_id not in (select run_id from event_logs where dagster_event_type ="
        " 'ASSET_MATERIALIZATION_PLANNED')"
    ) == [("ASSET_MATERIALIZATION",)]
    assert either.rows(
        "select count(*) from asset_event_tags where event_id not in (select id from event_logs)"
    ) == [(0,)]
    assert either.rows(
        "select asset_key, check_name, partition from asset_check_executions"
        " where evaluation_event_timestamp < '2026-09-10' group by 1, 2, 3 having count(*) > 1"
    ) in ([], [('["raw_returns"]', "hour_is_whole", OLD[6].key)])


def test_polls_again_that_succeeded_and_superseded_events_stay_for_two_days(either: Home) -> None:
    again = {"ops": {"poll_again": {"config": {"hours": [NEW[0].key]}}}}
    either.at("2026-10-11T05:00").run("repoll", run_config=again)
    either.at("2026-10-11T05:10", failing=NEW[1]).run(
        "repoll", run_config={"ops": {"poll_again": {"config": {"hours": [NEW[1].key]}}}}
    )
    either.at("2026-10-11T05:20").poll([NEW[1]])
    superseded = (
        "select count(*) from event_logs where dagster_event_type = 'ASSET_MATERIALIZATION' and "
        """asset_key = '["raw_returns"]' and partition = '2026-10-11-00:00'"""
    )

    def kept() -> list[tuple[str, bool]]:
        runs = either.instance.get_runs()
        october = [run for run in runs if not is_of_september(either, run)]
        return sorted((run.job_name, run.is_success) for run in october if run.job_name != "prune")

    before = either.shown()
    either.at("2026-10-13T00:00").run("prune")
    assert ("repoll", True) in kept()
    assert either.rows(superseded) == [(2,)]
    either.at("2026-10-13T12:00").run("prune")
    assert either.rows(superseded) == [(1,)]
    assert ("repoll", True) not in kept()
    assert {("hourly", True), ("repoll", False), ("report", True)} <= {*kept()}
    assert either.shown() == before


def test_databases_and_logs_go_with_their_runs(home: Home) -> None:
    logs = Path(os.environ["DAGSTER_HOME"], "storage")
    for run_id in home.databases():
        (logs / run_id / "compute_logs").mkdir(parents=True, exist_ok=True)
        (logs / run_id / "compute_logs" / "step.err").write_text("a line")
    home.run("prune")
    known = {run.run_id for run in home.instance.get_runs()}
    assert home.databases() == known
    assert {path.name for path in logs.iterdir() if "-" in path.name} <= known


def test_old_databases_and_logs_of_runs_that_dagster_deleted_go_too(home: Home) -> None:
    gone = next(run for run in home.instance.get_runs() if is_of_september(home, run)).run_id
    logs = Path(os.environ["DAGSTER_HOME"], "storage")
    lines = logs / gone / "compute_logs" / "step.err"
    lines.parent.mkdir(parents=True, exist_ok=True)
    lines.write_text("a line")
    sensor = logs / "__repository__" / "incidents" / "tick.err"
    sensor.parent.mkdir(parents=True, exist_ok=True)
    sensor.write_text("a line")
    young = sensor.with_name("young.err")
    young.write_text("a line")
    home.instance.delete_run(gone)
    database = Path(os.environ["DAGSTER_HOME"], "history", "runs", f"{gone}.db")
    assert database.exists()
    september = OLD[0].start.timestamp()
    for path in (lines, logs / gone, sensor, database, *database.parent.glob(f"{gone}.db-*")):
        os.utime(path, (september, september))
    october = LATER.timestamp()
    os.utime(young, (october, october))
    home.run("prune")
    assert not database.exists()
    assert not (logs / gone).exists()
    assert not sensor.exists()
    assert young.exists()


def test_old_ticks_go_and_those_of_others_stay(either: Home) -> None:
    for name in ("missing_hours", "of_another_project"):
        for at in (OLD[0].start, LATER):
            add_tick(either.instance, name, at)
    either.run("prune")
    assert ticks(either.instance, "missing_hours") == [LATER]
    assert ticks(either.instance, "of_another_project") == [LATER, OLD[0].start]


def test_old_events_without_a_run_go_but_for_the_newest(home: Home) -> None:
    folder = Path(os.environ["DAGSTER_HOME"], "history", "runs")
    september = "select count(*) from event_logs where timestamp < '2026-10-01' and run_id = ''"
    for day in ("2026-09-03T00:00", "2026-09-04T00:00", "2026-10-11T03:30"):
        home.at(day)
        report_alerts(home)
    home.now = LATER
    home.run("prune")
    assert home.rows(september) == [(0,)]
    with sqlite3.connect(folder / ".db") as database:
        assert list(database.execute(september)) == [(0,)]
    assert home.instance.get_latest_materialization_event(dg.AssetKey("alerts")) is not None


def test_runs_of_another_project_stay(either: Home) -> None:
    @dg.op
    def nothing() -> None:
        pass

    @dg.job
    def hourly() -> None:  # a job of the same name
        nothing()

    @dg.asset
    def theirs() -> None:
        pass

    either.at("2026-09-01T00:00")
    definitions = dg.Definitions(assets=[theirs], jobs=[hourly])
    for job in ("hourly", "__ASSET_JOB"):
        execute(definitions, either.instance, either.now, job=job, run_config={})
    both = {run.run_id for run in either.instance.get_runs(limit=2)}
    either.now = LATER
    either.run("prune")
    assert both <= {run.run_id for run in either.instance.get_runs()}
    assert either.instance.get_latest_materialization_event(dg.AssetKey("theirs")) is not None


def test_a_second_call_has_nothing_left_to_do(either: Home) -> None:
    either.run("prune")
    before = either.shown()
    either.world.run("prune", DAGSTER_HOME=os.environ["DAGSTER_HOME"])
    done = either.run("prune")
    lines = [
        e.user_message for e in either.instance.all_logs(done.run_id) if "Removed" in e.message
    ]
    assert lines[0].startswith("Removed 0 runs, 0 events and 0 files")
    assert either.shown() == before


def test_copies_of_unreadable_alert_files_go(home: Home) -> None:
    folder = home.world.lake / FOLDER
    names = ["state-unreadable-20260901T000000.json", "seen-unreadable-20261011T000000.json"]
    for name in names:
        (folder / name).write_bytes(b"{")
    home.run("prune")
    assert [(folder / name).exists() for name in names] == [False, True]
    assert (folder / "state.json").exists()


def test_the_command_says_how_much_went_and_how_large_the_home_is(home: Home) -> None:
    """Seen from November, all runs here are old."""
    done = home.world.run(
        "prune", DAGSTER_HOME=os.environ["DAGSTER_HOME"], RETURNS_KEEP_RUNS_DAYS="1"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    removed, size = done.stdout.splitlines()
    assert removed.startswith("Removed ")
    assert " runs, " in removed
    assert size.startswith("DAGSTER_HOME takes ")
    (free,) = home.rows("pragma freelist_count")[0]
    (pages,) = home.rows("pragma page_count")[0]
    assert free < 0.2 * pages


def test_the_command_says_how_much_went_from_postgresql(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    new_world: Callable[..., World],
    database: Database,
) -> None:
    world = new_world({"RETURNS_START": OLD[0].start.isoformat()}, returns_per_hour=3)
    monkeypatch.setenv("DAGSTER_HOME", str(database.configure(tmp_path / "home")))
    with open_instance(world.settings) as instance:
        Home(world, instance, database)
    before = database.rows("SELECT count(*) FROM runs")[0][0]
    done = world.run("prune", DAGSTER_HOME=os.environ["DAGSTER_HOME"], RETURNS_KEEP_RUNS_DAYS="1")
    assert done.returncode == 0, done.stdout + done.stderr
    removed, room = done.stdout.splitlines()
    assert removed.startswith("Removed ")
    assert room == (
        "PostgreSQL uses the free room for new runs. VACUUM FULL would give it to the disk."
    )
    assert database.rows("SELECT count(*) FROM runs")[0][0] < before / 2


def test_a_new_index_has_large_pages(home: Home) -> None:
    assert home.rows("pragma page_size") == [(PAGE_BYTES,)]
    assert home.rows("pragma journal_mode") == [("wal",)]


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("is_open", [False, True])
def test_the_index_of_an_earlier_release_gets_them_once_no_other_has_it_open(
    tmp_path: Path, *, is_open: bool
) -> None:
    copy = tmp_path / "copy"
    index = copy / "history" / "runs" / "index.db"
    index.parent.mkdir(parents=True)
    with sqlite3.connect(Path(os.environ["DAGSTER_HOME"], "history/runs/index.db")) as source:
        before = list(source.execute("select * from event_logs order by id"))
        with closing(sqlite3.connect(index)) as old:
            source.backup(old)
            old.execute("pragma journal_mode=delete")
            old.execute("pragma page_size=4096")
            old.execute("vacuum")
            old.execute("pragma journal_mode=wal")
    with closing(sqlite3.connect(index)) as other:
        if is_open:
            other.execute("select count(*) from event_logs").fetchone()
        assert compact(copy) == ""
        rows = list(other.execute("select * from event_logs order by id"))
    with closing(sqlite3.connect(index)) as seen:
        assert seen.execute("pragma page_size").fetchone() == (4096 if is_open else PAGE_BYTES,)
        assert seen.execute("pragma journal_mode").fetchone() == ("wal",)
    assert rows == before


def newest_polls(home: Home) -> dict[Window, str]:
    return history.newest_polls(home.instance, [*OLD, *NEW], Keys())


def is_of_september(home: Home, run: dg.DagsterRun) -> bool:
    record = home.instance.get_run_record_by_id(run.run_id)
    return record is not None and (record.end_time or 0) < NEW[0].start.timestamp()


def report_alerts(home: Home) -> None:
    with freeze_time(home.now):
        home.instance.report_runless_asset_event(dg.AssetMaterialization("alerts"))
