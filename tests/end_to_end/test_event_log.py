"""The event log that stores an hour at once equals Dagster's own; either reads the other.

The events come from real runs. Two storages are compared row by row.
"""

from __future__ import annotations

import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
import yaml
from dagster import AssetCheckKey, EventLogEntry
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationPlanned,
)
from dagster._core.events import DagsterEvent
from dagster._core.loader import LoadingContextForTest
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.partition_status_cache import AssetPartitionStatus
from dagster_shared.record import replace
from support.world import HASTY, World, hours

from returns_orchestration.defs.code_location import build_defs
from returns_orchestration.defs.event_batches import BATCH_SIZE, BatchedEvents
from returns_orchestration.defs.event_log import OPEN_RUNS, PooledSqliteEventLogStorage
from returns_orchestration.defs.instance import (
    RangeResult,
    run_range,
    shipped_configuration,
)
from returns_orchestration.defs.registry import ASSETS, HOURLY

OURS = shipped_configuration()
DAGSTERS = yaml.safe_dump({"telemetry": {"enabled": False}})
KEY = dg.AssetKey("numbers")
WINDOWS = hours("2026-11-07T06:00", "2026-11-07T12:00")
BAD = WINDOWS[2]
RAW = dg.AssetKey("raw_returns").to_string()
KEYS = {dg.AssetKey(asset).to_string() for asset in HOURLY}
TABLES = ("event_logs", "asset_keys", "asset_event_tags", "asset_check_executions")

DIES = """
import os, signal, sys
import sqlalchemy as sa
from returns_orchestration.cli import main

of_the_index = sys.argv.pop(1) == "index"
RAW = '''SELECT count(*) FROM event_logs
WHERE dagster_event_type = 'ASSET_MATERIALIZATION' AND asset_key LIKE '%raw_returns%' '''

@sa.event.listens_for(sa.Engine, "commit")
def commits(connection):
    path = connection.engine.url.database
    if "/history/runs/" in path and path.endswith("/index.db") == of_the_index:
        if connection.connection.dbapi_connection.execute(RAW).fetchone()[0] >= 2:
            os.kill(os.getpid(), signal.SIGKILL)

main()
"""
"""The command line, which dies before a database commits the second hour that it polled."""


def home(folder: Path, configuration: str, monkeypatch: pytest.MonkeyPatch) -> dg.DagsterInstance:
    folder.mkdir(exist_ok=True)
    (folder / "dagster.yaml").write_text(configuration)
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    return dg.DagsterInstance.from_config(str(folder))


@dg.asset(partitions_def=dg.StaticPartitionsDefinition([str(n) for n in range(8)]))
def numbers() -> int:
    return 1


@pytest.mark.parametrize(("first", "second"), [(OURS, DAGSTERS), (DAGSTERS, OURS)])
def test_either_storage_continues_after_the_other(
    first: str, second: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for configuration, partitions in ((first, "012"), (second, "345")):
        with home(tmp_path / "home", configuration, monkeypatch) as instance:
            for key in partitions:
                assert dg.materialize([numbers], instance=instance, partition_key=key).success
            seen = set(instance.get_materialized_partitions(KEY))
    assert seen == set("012345")


def test_few_databases_of_runs_stay_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with home(tmp_path / "home", OURS, monkeypatch) as instance:
        for key in range(8):
            dg.materialize([numbers], instance=instance, partition_key=str(key))
        storage = instance.event_log_storage
        assert isinstance(storage, PooledSqliteEventLogStorage)
        assert isinstance(storage, SqliteEventLogStorage)
        assert len(storage._engines) <= OPEN_RUNS + 1


def run(world: World, instance: dg.DagsterInstance, **more: bool) -> RangeResult:
    definitions = build_defs(world.settings, retry=HASTY)
    return run_range(definitions, instance, WINDOWS, missing_only=more.get("missing_only", False))


def run_with_a_bad_hour(world: World, instance: dg.DagsterInstance) -> RangeResult:
    world.simulator.faults = [f"503:*:{BAD.text}"]
    result = run(world, instance)
    world.simulator.faults = []
    return result


def events_of(instance: dg.DagsterInstance, run_id: str) -> list[EventLogEntry]:
    records = instance.event_log_storage.get_records_for_run(run_id).records
    return [record.event_log_entry for record in records]


def rows(database: Path, table: str) -> list[dict[str, Any]]:
    """All rows in order, without the moment of their insertion into SQLite."""
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        found = connection.execute(f"SELECT * FROM {table} ORDER BY id")  # noqa: S608 - our words
        return [{k: row[k] for k in row.keys() if k != "create_timestamp"} for row in found]  # noqa: SIM118 - of a Row


def of_type(told: list[dict[str, Any]], event_type: str) -> list[dict[str, Any]]:
    return [row for row in told if row["dagster_event_type"] == event_type]


def databases(base: Path) -> dict[str, Path]:
    return {path.stem: path for path in base.glob("*.db")}


def assert_same_rows(ours: Path, dagsters: Path) -> None:
    assert databases(ours).keys() == databases(dagsters).keys()
    for name, database in databases(ours).items():
        for table in TABLES:
            assert rows(database, table) == rows(databases(dagsters)[name], table), (name, table)


def without_target(event: EventLogEntry) -> EventLogEntry:
    told: Any = event.dagster_event
    if told is None or told.event_type != dg.DagsterEventType.ASSET_CHECK_EVALUATION:
        return event
    said = replace(told.event_specific_data, target_materialization_data=None)
    return event._replace(dagster_event=told._replace(event_specific_data=said))


@contextmanager
def writes_counted() -> Iterator[Counter[str]]:
    """How many transactions that wrote something each database of events has committed."""
    counted: Counter[str] = Counter()

    def commits(connection: sa.Connection) -> None:
        path = Path(str(connection.engine.url.database))
        driver: Any = connection.connection.dbapi_connection
        if path.parent.name == "runs" and driver.in_transaction:
            counted["index" if path.stem == "index" else "run"] += 1

    sa.event.listen(sa.Engine, "commit", commits)
    try:
        yield counted
    finally:
        sa.event.remove(sa.Engine, "commit", commits)


def test_every_row_is_as_dagster_stores_it_one_by_one(
    new_world: Callable[..., World], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planned events, hours, days, a failed hour, an hour polled again: ids and all."""
    world = new_world()
    dagsters = SqliteEventLogStorage(str(tmp_path / "dagsters"))
    with home(tmp_path / "home", OURS, monkeypatch) as instance:
        for result in (run_with_a_bad_hour(world, instance), run(world, instance)):
            for event in events_of(instance, result.run_id):
                dagsters.store_event(event)
    assert_same_rows(tmp_path / "home" / "history" / "runs", tmp_path / "dagsters")


def shown(world: World, instance: dg.DagsterInstance, result: RangeResult) -> dict[str, Any]:
    """The UI's view of a run: events of each hour, states of hours, targets of checks."""
    storage: Any = instance.event_log_storage
    index = Path(storage.path_for_shard("index"))
    of_id = {
        row["id"]: (row["dagster_event_type"], row["asset_key"], row["partition"])
        for row in rows(index, "event_logs")
    }
    checks = {
        (row["asset_key"], row["partition"]): (
            row["execution_status"],
            of_id[row["evaluation_event_storage_id"]][0],
            of_id.get(row["materialization_event_storage_id"]),
        )
        for row in rows(index, "asset_check_executions")
    }
    current = {
        (info.check_key, info.partition_key)
        for info in storage.get_asset_check_partition_info(
            [AssetCheckKey(dg.AssetKey(name), asset.check.name) for name, asset in ASSETS.items()]
        )
        if info.is_current
    }
    graph = build_defs(world.settings).resolve_asset_graph()
    states, versions = {}, {}
    for asset in HOURLY:
        key = dg.AssetKey(asset)
        states[asset] = instance.get_status_by_partition(
            key, [window.key for window in WINDOWS], graph.get(key).partitions_def
        )
        versions[asset] = set(
            storage.get_latest_tags_by_partition(
                key, dg.DagsterEventType.ASSET_MATERIALIZATION, ["dagster/data_version"]
            )
        )
    log: dict[Any, list[Any]] = {}
    for event in events_of(instance, result.run_id):
        told: Any = event.dagster_event
        asset = told and (told.asset_key or getattr(told.event_specific_data, "asset_key", None))
        partition = told and (told.partition or getattr(told.event_specific_data, "partition", ""))
        log.setdefault(partition, []).append((told and told.event_type, asset))
    # Whether the poll or the tables of an hour come first depends on the storage, see StepEvents.
    logged = {partition: sorted(map(str, events)) for partition, events in log.items()}
    return {"checks": checks, "current": current, "states": states, "tags": versions, "log": logged}


def test_the_ui_shows_the_same_as_with_dagsters_own(
    new_world: Callable[..., World], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for name, configuration in (("ours", OURS), ("dagsters", DAGSTERS)):
        world = new_world()
        with home(tmp_path / name, configuration, monkeypatch) as instance:
            result = run_with_a_bad_hour(world, instance)
            assert not result.success
            found.append(shown(world, instance, result))
            again = run(world, instance)
            assert again.success
            found.append(shown(world, instance, again))
    ours, ours_again, dagsters, dagsters_again = found
    assert ours["states"]["returns"][BAD.key] == AssetPartitionStatus.FAILED
    assert len(ours_again["current"]) >= len(HOURLY) * len(WINDOWS)
    assert ours == dagsters
    assert ours_again == dagsters_again


def states_by(instance: dg.DagsterInstance, world: World) -> dict[str, Any]:
    """What its pages show of the partitions of all assets and checks, at the first look."""
    storage: Any = instance.event_log_storage
    graph = build_defs(world.settings).resolve_asset_graph()
    assets = [(key := dg.AssetKey(name), graph.get(key).partitions_def) for name in ASSETS]
    checks = [
        (AssetCheckKey(key, ASSETS[key.path[-1]].check.name), partitions)
        for key, partitions in assets
    ]
    with storage.index_connection() as connection:
        connection.execute(sa.text("UPDATE asset_keys SET cached_status_data = NULL"))
    context = LoadingContextForTest(instance)
    states = storage.get_asset_check_state(checks)
    return {
        "assets": list(storage.get_asset_status_cache_values(assets, context)),
        "newest": {key: state.latest_storage_id for key, state in states.items()},
        "checks": {
            (key, status): subset.value is True or sorted(subset.value.get_partition_keys())
            for key, state in states.items()
            for status, subset in state.subsets.items()
            if subset.value
        },
        "under way": {key: set(state.in_progress_runs) for key, state in states.items()},
    }


def test_the_states_of_all_hours_are_those_that_dagster_adds_up(
    new_world: Callable[..., World], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = new_world()
    hour = dg.HourlyPartitionsDefinition(start_date=WINDOWS[0].start, timezone="UTC")
    folder = tmp_path / "home"
    with (
        home(folder, DAGSTERS, monkeypatch) as dagsters,
        home(folder, OURS, monkeypatch) as instance,
    ):
        storage = instance.event_log_storage
        assert not isinstance(dagsters.event_log_storage, BatchedEvents)
        assert not run_with_a_bad_hour(world, instance).success
        first = states_by(instance, world)
        assert first == states_by(dagsters, world)
        assert len({status for _, status in first["checks"]}) > 1
        assert run(world, instance).success
        job = build_defs(world.settings).resolve_implicit_global_asset_job_def()
        under_way = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
        planned = AssetCheckEvaluationPlanned(
            asset_key=dg.AssetKey("returns"),
            check_name=ASSETS["returns"].check.name,
            partitions_subset=hour.subset_with_partition_keys(
                [WINDOWS[1].key]
            ).to_serializable_subset(),
        )
        instance.report_dagster_event(
            DagsterEvent(
                event_type_value=dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED.value,
                job_name=under_way.job_name,
                event_specific_data=planned,
            ),
            under_way.run_id,
        )
        second = states_by(instance, world)
        assert second == states_by(dagsters, world)
    assert any(under_way.run_id in runs for runs in second["under way"].values())
    assert first["checks"] != second["checks"]
    # What was kept is read again, and a later look finds the same.
    context = LoadingContextForTest(instance)
    key = dg.AssetKey("returns")
    partitions = build_defs(world.settings).resolve_asset_graph().get(key).partitions_def
    [kept] = storage.get_asset_status_cache_values([(key, partitions)], context)
    assert kept in second["assets"]


def test_events_of_assets_are_small_and_those_of_steps_are_whole(
    new_world: Callable[..., World], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths = []
    for name, configuration in (("ours", OURS), ("dagsters", DAGSTERS)):
        world = new_world()
        with home(tmp_path / name, configuration, monkeypatch) as instance:
            result = run(world, instance)
            index = tmp_path / name / "history" / "runs" / "index.db"
            stored = rows(index, "event_logs")
            made = of_type(stored, "ASSET_MATERIALIZATION")
            made += of_type(stored, "ASSET_CHECK_EVALUATION")
            lengths.append(sum(len(row["event"]) for row in made))
            told = [event.dagster_event for event in events_of(instance, result.run_id)]
        steps = [one for one in told if one and one.event_type == dg.DagsterEventType.STEP_START]
        assert steps
        assert all(one.step_handle and one.logging_tags for one in steps)
    assert lengths[0] < 0.85 * lengths[1]


def test_an_hour_is_one_transaction_of_each_database(
    new_world: Callable[..., World], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planned events of a run for all its hours are one more, without any setting."""
    monkeypatch.delenv(BATCH_SIZE, raising=False)
    world = new_world()
    with home(tmp_path / "home", OURS, monkeypatch) as instance, writes_counted() as counted:
        assert run(world, instance).success
    days, planned, of_a_run = 2, 1, 20
    assert counted["index"] <= len(WINDOWS) + days + planned + of_a_run
    assert counted["run"] <= len(WINDOWS) + days + planned + of_a_run


@pytest.mark.parametrize("database", ["run", "index"])
def test_after_a_kill_before_a_commit_an_hour_is_whole_or_absent(
    database: str, new_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill at the second hour: the run's database has it only if its own commit came before."""
    world = new_world()
    span = WINDOWS[0].text, WINDOWS[-1].next.text
    base = world.folder / "dagster_home" / "history" / "runs"
    killed = world.process(sys.executable, "-c", DIES, database, "backfill", *span)
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    for name, path in databases(base).items():
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        told = rows(path, "event_logs")
        made: dict[str, set[str]] = {}
        for row in of_type(told, "ASSET_MATERIALIZATION"):
            made.setdefault(row["partition"], set()).add(row["asset_key"])
        polled = [hour for hour, assets in made.items() if assets == KEYS]
        assert len(polled) == (2 if name != "index" and database == "index" else 1)
        # An adjacent hour that was made again was not polled, and the polled hour comes last.
        assert all(assets in (KEYS, KEYS - {RAW}) for assets in made.values())
        judged = of_type(told, "ASSET_CHECK_EVALUATION")
        # An asset has its check for each of its made hours, and some have one for news.
        made_of = Counter(row["asset_key"] for row in of_type(told, "ASSET_MATERIALIZATION"))
        checks = {dg.AssetKey(name).to_string(): asset for name, asset in ASSETS.items()}
        assert len(judged) == sum(
            hours * (1 if checks[asset].news is None else 2) for asset, hours in made_of.items()
        )
    of_the_index = of_type(rows(base / "index.db", "event_logs"), "ASSET_MATERIALIZATION")
    tagged = [row["event_id"] for row in rows(base / "index.db", "asset_event_tags")]
    assert tagged == [row["id"] for row in of_the_index]
    of_checks = rows(base / "index.db", "asset_check_executions")
    targets = {row["materialization_event_storage_id"] for row in of_checks} - {None}
    assert targets <= set(tagged)
    assert {row["partition"] for row in of_checks if row["execution_status"] == "SUCCEEDED"} == {
        row["partition"] for row in of_the_index
    }

    again = world.run("backfill", *span)
    assert again.returncode == 0, again.stdout + again.stderr
    with home(world.folder / "dagster_home", OURS, monkeypatch) as instance:
        for asset in HOURLY:
            known = set(instance.get_materialized_partitions(dg.AssetKey(asset)))
            assert known == {window.key for window in WINDOWS}


def test_every_check_targets_an_hour_of_its_own_run_with_several_writers(
    new_world: Callable[..., World], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with home(tmp_path / "home", OURS, monkeypatch) as instance:
        events = events_of(instance, run(new_world(), instance).run_id)
    base = tmp_path / "together"
    PooledSqliteEventLogStorage(str(base)).dispose()  # two that make the index at once can fail

    def write(run_id: str) -> None:
        storage = PooledSqliteEventLogStorage(str(base))
        of_run = [without_target(event)._replace(run_id=run_id) for event in events]
        for at in range(0, len(of_run), 30):
            with storage.holding():
                for event in of_run[at : at + 30]:
                    storage.store_event(event)
        storage.dispose()

    runs = [f"run-{n}" for n in range(4)]
    with ThreadPoolExecutor(len(runs)) as pool:
        list(pool.map(write, runs))
    mirrored = {row["id"]: row for row in rows(base / "index.db", "event_logs")}
    assert sorted(mirrored) == list(range(1, len(mirrored) + 1))
    for run_id in runs:
        assert len(rows(base / f"{run_id}.db", "event_logs")) == len(events)
    checks = rows(base / "index.db", "asset_check_executions")
    targeting = [row for row in checks if row["materialization_event_storage_id"]]
    assert len(targeting) > len(runs) * len(WINDOWS)
    for check in targeting:
        judged = mirrored[check["materialization_event_storage_id"]]
        same = ("asset_key", "partition", "run_id")
        assert [judged[name] for name in same] == [check[name] for name in same]


def test_with_other_tables_events_are_stored_as_dagster_stores_them(
    new_world: Callable[..., World], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table is missing here that older releases did not have."""
    world = new_world()
    index = tmp_path / "home" / "history" / "runs" / "index.db"
    with home(tmp_path / "home", OURS, monkeypatch) as instance:
        assert instance.event_log_storage
    with closing(sqlite3.connect(index)) as connection:
        connection.execute("DROP TABLE asset_event_tags")
    with home(tmp_path / "home", OURS, monkeypatch) as instance:
        assert run(world, instance).success
        for asset in HOURLY:
            known = set(instance.get_materialized_partitions(dg.AssetKey(asset)))
            assert known == {window.key for window in WINDOWS}
    checks = [
        row for row in rows(index, "asset_check_executions") if row["execution_status"] != "PLANNED"
    ]
    assert len(checks) >= len(HOURLY) * len(WINDOWS)
    of_hours = [row for row in checks if row["partition"]]
    assert all(row["materialization_event_storage_id"] for row in of_hours)


def test_events_before_an_error_are_stored(
    new_world: Callable[..., World], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with home(tmp_path / "home", OURS, monkeypatch) as instance:
        events = events_of(instance, run(new_world(), instance).run_id)
    storage = PooledSqliteEventLogStorage(str(tmp_path / "cut"))
    dagsters = SqliteEventLogStorage(str(tmp_path / "dagsters"))

    def cut_short() -> None:
        with storage.holding():
            for event in events:
                storage.store_event(event)
                dagsters.store_event(event)
            raise OSError("the lake")

    with pytest.raises(OSError, match="the lake"):
        cut_short()
    storage.dispose()
    assert_same_rows(tmp_path / "cut", tmp_path / "dagsters")
