"""Each private name of Dagster that the package uses, in one list, and that it is there.

Dagster may change these in any minor version; so its versions are bounded by minor. After raising
the bound this test shows first what is gone.
"""

from __future__ import annotations

import ast
import inspect
from collections import defaultdict
from importlib import import_module
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster_postgres import PostgresEventLogStorage
from dagster_webserver.webserver import DagsterWebserver

from returns_orchestration.defs.event_batches import COLUMNS, INHERITED, BatchedEvents
from returns_orchestration.defs.event_log import PooledSqliteEventLogStorage
from returns_orchestration.defs.index_queries import IndexQueries
from returns_orchestration.defs.postgres import BatchingPostgresEventLogStorage
from returns_orchestration.defs.years import StatesOfYears

PACKAGE = Path(__file__).parents[1] / "returns_orchestration"

EVALUATION = "dagster._core.definitions.asset_checks.asset_check_evaluation"
USED = {
    "dagster": {"_check"},
    EVALUATION: {
        "AssetCheckEvaluation",
        "AssetCheckEvaluationPlanned",
        "AssetCheckEvaluationTargetMaterializationData",
    },
    "dagster._core.asset_graph_view.serializable_entity_subset": {"SerializableEntitySubset"},
    "dagster._core.definitions.partitions.context": {"partition_loading_context"},
    "dagster._core.definitions.partitions.subset.time_window": {"TimeWindowPartitionsSubset"},
    "dagster._core.definitions.partitions.utils.time_window": {"PersistedTimeWindow"},
    "dagster._core.storage.asset_check_state": {"AssetCheckState"},
    "dagster._core.storage.event_log.base": {"AssetRecord"},
    "dagster._core.storage.partition_status_cache": {
        "AssetStatusCacheValue",
        "build_failed_and_in_progress_partition_subset",
        "get_last_planned_storage_id",
    },
    "dagster._core.definitions.data_version": {"DATA_VERSION_TAG"},
    "dagster._core.events": {
        "ASSET_CHECK_EVENTS",
        "ASSET_EVENTS",
        "EVENT_TYPE_TO_PIPELINE_RUN_STATUS",
    },
    "dagster._core.events.log": {"EventLogEntry"},
    "dagster._core.execution.backfill": {"BulkActionStatus"},
    "dagster._core.loader": {"LoadingContext"},
    "dagster._core.launcher": {"CheckRunHealthResult", "LaunchRunContext", "WorkerStatus"},
    "dagster._core.scheduler.instigation": {
        "InstigatorState",
        "ScheduleInstigatorData",
        "SensorInstigatorData",
    },
    "dagster._core.storage.asset_check_execution_record": {
        "AssetCheckExecutionRecordStatus",
        "AssetCheckExecutionResolvedStatus",
        "AssetCheckPartitionInfo",
    },
    "dagster._core.storage.event_log.schema": {
        "AssetCheckExecutionsTable",
        "AssetEventTagsTable",
        "AssetKeyTable",
        "SqlEventLogStorageTable",
    },
    "dagster._core.storage.event_log.sql_event_log": {"SqlEventLogStorage"},
    "dagster._core.storage.event_log.sqlite.sqlite_event_log": {
        "INDEX_SHARD_NAME",
        "SqliteEventLogStorage",
    },
    "dagster._core.storage.runs.schema": {"RunTagsTable", "RunsTable"},
    "dagster._core.storage.schedules.schema": {"JobTable"},
    "dagster._core.storage.tags": {"GRPC_INFO_TAG"},
    "dagster_postgres": {"DagsterPostgresStorage", "PostgresEventLogStorage"},
    "dagster._grpc.types": {"ExecuteRunArgs"},
    "dagster._serdes": {"ConfigurableClassData", "deserialize_value", "pack_value"},
    "dagster_celery.config": {"TASK_EXECUTE_JOB_NAME"},
    "dagster_celery.launcher": {"CeleryRunLauncher"},
    "dagster_celery.tags": {"DAGSTER_CELERY_QUEUE_TAG"},
    "dagster_celery.tasks": {"create_execute_job_task", "create_resume_job_task"},
    "dagster_postgres.auth": {"PgTokenProvider"},
    "dagster_postgres.utils": {
        "create_pg_engine",
        "get_token_provider_from_config",
        "pg_url_from_config",
    },
    "dagster_shared.record": {"replace"},
    "dagster_webserver.cli": {"cli"},
    "dagster_webserver.webserver": {"DagsterWebserver"},
}
"""Module to the names taken from it."""

CALLED = {
    "event_log_storage": {
        "_get_assets_details",
        "_get_latest_unpartitioned_materialization_storage_ids",
        "get_latest_asset_partition_materialization_attempts_without_materializations",
        "has_table",
        "index_connection",
        "path_for_shard",
        "run_connection",
    },
    "run_storage": {"connect"},
    "schedule_storage": {"_add_or_update_instigators_table", "connect"},
}
"""Storage to its methods that no page of Dagster's documents promises."""


def imported() -> dict[str, set[str]]:
    """What the package takes from private modules of Dagster, and from its other packages."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and is_private(node.module):
                found[node.module] |= {alias.name for alias in node.names}
            elif isinstance(node, ast.Import):
                for module, _, name in (alias.name.rpartition(".") for alias in node.names):
                    if module.startswith("dagster"):
                        found[module].add(name)
    return dict(found)


def is_private(module: str) -> bool:
    root, *rest = module.split(".")
    return root.startswith("dagster") and (root != "dagster" or any(p[0] == "_" for p in rest))


def test_the_list_is_what_the_package_uses() -> None:
    assert imported() == USED


@pytest.mark.parametrize("module", USED)
def test_every_name_is_there(module: str) -> None:
    there = import_module(module)
    for name in USED[module]:
        assert hasattr(there, name) or import_module(f"{module}.{name}"), name


@pytest.mark.parametrize(
    ("ours", "dagsters", "known"),
    [
        (
            PooledSqliteEventLogStorage,
            SqliteEventLogStorage,
            {
                "_connect",
                "_has_asset_key_col_on_connection",
                "get_asset_check_partition_info",
                "get_asset_status_cache_values",
                "store_event",
            },
        ),
        (
            BatchingPostgresEventLogStorage,
            PostgresEventLogStorage,
            {"has_table", "store_event", "store_event_batch"},
        ),
    ],
)
def test_the_methods_that_are_overridden_have_the_same_parameters(
    ours: type, dagsters: type, known: set[str]
) -> None:
    own = {
        name: method
        for part in reversed([ours, BatchedEvents, StatesOfYears, IndexQueries])
        for name, method in vars(part).items()
    }
    overridden = {name for name in own if name in dir(dagsters)} - set(vars(object))
    assert known <= overridden
    for name in overridden - {"__init__", "__module__"}:
        there, here = inspect.getattr_static(dagsters, name), own[name]
        if inspect.isfunction(there) and inspect.isfunction(here):
            assert list(inspect.signature(here).parameters) == list(
                inspect.signature(there).parameters
            ), name
    for name in INHERITED:
        assert hasattr(dagsters, name), name


def test_the_methods_that_are_called_are_there() -> None:
    assert hasattr(DagsterWebserver, "build_middleware")
    assert hasattr(PostgresEventLogStorage, "index_transaction")
    for name in ("_initdb", "conn_string_for_shard"):
        assert hasattr(SqliteEventLogStorage, name), name


def test_the_tables_have_the_columns_that_are_written() -> None:
    for table, columns in COLUMNS.items():
        assert set(table.columns.keys()) == columns


def test_the_storage_in_postgresql_has_what_the_rate_limit_connects_by() -> None:
    made = inspect.getsource(PostgresEventLogStorage.__init__)
    assert "self.postgres_url = " in made
    assert "self._token_provider = " in made


def test_the_methods_of_the_storages_are_there(tmp_path: Path) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        for storage, methods in CALLED.items():
            for method in methods:
                assert callable(getattr(getattr(instance, storage), method)), method
