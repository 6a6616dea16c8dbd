"""What becomes of hours in random histories: the pages show what Dagster's own storage adds up.

The same events go to an instance with our storage and to one with Dagster's, in SQLite and in
PostgreSQL. Runs end well or badly, go on or are deleted; hours are asked for and made in any order,
some by runs that did not plan them; assets are wiped; the pages are looked at in between.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import dagster as dg
import pytest
import sqlalchemy as sa
import yaml
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluation,
    AssetCheckEvaluationPlanned,
)
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData as Target,
)
from dagster._core.events import (
    AssetMaterializationPlannedData,
    DagsterEvent,
    StepMaterializationData,
)
from dagster._core.loader import LoadingContextForTest
from dagster._core.storage.event_log.schema import AssetKeyTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from support.postgres import CONFIGURATION, PostgresServer

from returns_orchestration.defs import event_log
from returns_orchestration.defs.event_batches import BatchedEvents
from returns_orchestration.defs.event_log import PooledSqliteEventLogStorage
from returns_orchestration.defs.instance import shipped_configuration

HOURS = dg.HourlyPartitionsDefinition(start_date=datetime(2024, 3, 1, tzinfo=UTC), timezone="UTC")
IN_TIME = [f"2024-03-01-{hour:02d}:00" for hour in range(6)]
KEYS = ["2024-02-29-23:00", *IN_TIME, "no hour", None, None]
"""The first is before the first partition, the last ones are none."""

ASSETS = [dg.AssetKey(["of", f"account_{n}"]) for n in range(4)]
CHECK = "hours_are_whole"
CHECKS = [dg.AssetCheckKey(asset, CHECK) for asset in ASSETS]
STATUSES = [
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELED,
]
JOB = "hourly"
EVENTS = 120
SEED = 2


class Two:
    """Two instances that live through the same history."""

    def __init__(self, instances: list[dg.DagsterInstance], random: Random) -> None:
        self._instances = instances
        self._random = random
        # One of each status, as each has a database of its own in SQLite, which takes long to make.
        self._runs = [self._begun(status) for status in STATUSES]
        self._to_check = set[tuple[dg.AssetKey, str | None, str]]()
        self.shown: Counter[str] = Counter()

    def live(self) -> None:
        """Let something happen."""
        asset, key = self._random.choice(ASSETS), self._random.choice(KEYS)
        number = self._random.randrange(len(STATUSES))
        run_id = self._runs[number]
        happening = self._random.random()
        if happening < 0.3:
            planned = AssetMaterializationPlannedData(asset, partition=key)
            self._store("ASSET_MATERIALIZATION_PLANNED", planned, run_id)
        elif happening < 0.6:
            made = dg.AssetMaterialization(asset, partition=key)
            self._store("ASSET_MATERIALIZATION", StepMaterializationData(made), run_id)
        elif happening < 0.7:
            self._plan_check(asset, key, run_id)
        elif happening < 0.95:
            self._to_check.add((asset, key, run_id))
            self._store("ASSET_CHECK_EVALUATION", self._checked(asset, key, run_id), run_id)
        elif happening < 0.97:
            for instance in self._instances:
                instance.delete_run(run_id)
            self._runs[number] = self._begun(STATUSES[number])
        else:
            for instance in self._instances:
                instance.wipe_assets([asset])

    def _plan_check(self, asset: dg.AssetKey, key: str | None, run_id: str) -> None:
        """At most once in a run, as Dagster allows."""
        if key not in IN_TIME or (asset, key, run_id) in self._to_check:
            return
        self._to_check.add((asset, key, run_id))
        hour = HOURS.subset_with_partition_keys([key]).to_serializable_subset()
        planned = AssetCheckEvaluationPlanned(
            asset_key=asset, check_name=CHECK, partitions_subset=hour
        )
        self._store("ASSET_CHECK_EVALUATION_PLANNED", planned, run_id)

    def _checked(self, asset: dg.AssetKey, key: str | None, run_id: str) -> AssetCheckEvaluation:
        """A verdict on the newest materialization, or on none."""
        storage = self._instances[0].event_log_storage
        kind = dg.DagsterEventType.ASSET_MATERIALIZATION
        newest = storage.get_latest_storage_id_by_partition(asset, kind, {key} if key else None)
        at = newest.get(key or "")
        return AssetCheckEvaluation(
            asset_key=asset,
            check_name=CHECK,
            passed=self._random.random() < 0.6,
            metadata={},
            target_materialization_data=Target(storage_id=at, run_id=run_id, timestamp=0.0)
            if at
            else None,
            partition=key,
        )

    def _begun(self, status: dg.DagsterRunStatus) -> str:
        run = dg.DagsterRun(JOB, run_id=str(uuid4()), status=status)
        for instance in self._instances:
            instance.add_run(run)
        return run.run_id

    def _store(self, event_type: str, data: Any, run_id: str) -> None:
        event = DagsterEvent(event_type, JOB, event_specific_data=data)
        moment = datetime.now(UTC).timestamp()
        for instance in self._instances:
            instance.report_dagster_event(event, run_id, timestamp=moment)

    def look(self) -> None:
        """Compare what the pages show, as they look, and what it is made of."""
        ours, dagsters = (self._of(instance) for instance in self._instances)
        assert ours == dagsters
        self.shown.update(status.value for _, status in ours["checks"])
        for value in filter(None, ours["pages"]):
            for state in ("materialized", "failed", "in_progress"):
                subset = getattr(value, f"deserialize_{state}_partition_subsets")(HOURS)
                self.shown[state] += len(subset)

    def forget(self) -> None:
        """Make the next look a first one."""
        for instance in self._instances:
            storage: Any = instance.event_log_storage
            with storage.index_connection() as connection:
                connection.execute(AssetKeyTable.update().values(cached_status_data=None))

    def _of(self, instance: dg.DagsterInstance) -> dict[str, Any]:
        storage: Any = instance.event_log_storage
        attempts = (
            storage.get_latest_asset_partition_materialization_attempts_without_materializations
        )
        context = LoadingContextForTest(instance)
        return {
            "made": [instance.get_materialized_partitions(asset) for asset in ASSETS],
            "made between": [
                instance.get_materialized_partitions(asset, before_cursor=120, after_cursor=30)
                for asset in ASSETS
            ],
            "attempts": [dict(attempts(asset)) for asset in ASSETS],
            "newer attempts": [dict(attempts(asset, after_storage_id=60)) for asset in ASSETS],
            "results": sorted(map(str, storage.get_asset_check_partition_info(CHECKS))),
            "newer results": sorted(
                map(str, storage.get_asset_check_partition_info(CHECKS, after_storage_id=60))
            ),
            "checks": {
                (key, status): sorted(subset.value.get_partition_keys())
                for key, state in storage.get_asset_check_state(
                    [(key, HOURS) for key in CHECKS]
                ).items()
                for status, subset in state.subsets.items()
                if subset.value
            },
            "pages": storage.get_asset_status_cache_values(
                [(asset, HOURS) for asset in ASSETS], context
            ),
        }


@pytest.fixture(params=["sqlite", "postgres"])
def instances(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[dg.DagsterInstance]]:
    """One with our storage, one with Dagster's."""
    ours, dagsters = yaml.safe_load(shipped_configuration()), {"telemetry": {"enabled": False}}
    variables = [{}, {}]
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres_of_session")
        ours = yaml.safe_load(CONFIGURATION.read_text())
        dagsters["storage"] = {"postgres": ours["storage"]["custom"]["config"]}
        variables = [server.new_database().variables for _ in variables]
    with ExitStack() as stack:
        opened = []
        for name, configuration, of_database in zip(
            ("ours", "dagsters"), (ours, dagsters), variables, strict=True
        ):
            home = tmp_path / name
            home.mkdir()
            (home / "dagster.yaml").write_text(yaml.safe_dump(configuration))
            monkeypatch.setenv("DAGSTER_HOME", str(home))
            for variable, value in of_database.items():
                monkeypatch.setenv(variable, value)
            opened.append(stack.enter_context(dg.DagsterInstance.from_config(str(home))))
            _ = opened[-1].event_log_storage
        yield opened


def test_the_states_of_hours_are_those_that_dagster_adds_up(
    instances: list[dg.DagsterInstance],
) -> None:
    ours, dagsters = (instance.event_log_storage for instance in instances)
    assert isinstance(ours, BatchedEvents)
    assert not isinstance(dagsters, BatchedEvents)
    two = Two(instances, Random(SEED))
    for number in range(1, EVENTS + 1):
        two.live()
        if number % 20 == 0:
            two.look()
        if number % 60 == 0:
            two.forget()
            two.look()
    assert min(two.shown[state] for state in ("materialized", "failed", "in_progress")) > 5


READ_BY_PARTITION = {"event_logs", "planned", "asset_check_executions"}
"""Tables, by their names in queries, that have a row or more for each partition."""

QUESTIONS: dict[str, Callable[[Any], object]] = {
    "made": lambda storage: storage.get_materialized_partitions(ASSETS[0]),
    "attempts": lambda storage: (
        storage.get_latest_asset_partition_materialization_attempts_without_materializations(
            ASSETS[0]
        )
    ),
    "results": lambda storage: storage.get_asset_check_partition_info(CHECKS[:1]),
}


@contextmanager
def statements_of(database: Path) -> Iterator[list[tuple[str, Any]]]:
    """The statements that meanwhile go to it."""
    found: list[tuple[str, Any]] = []

    def note(connection: sa.Connection, _: Any, statement: str, values: Any, *__: Any) -> None:
        if connection.engine.url.database == str(database):
            found.append((statement, values))

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)


@pytest.mark.parametrize("question", QUESTIONS)
def test_indexes_answer_also_in_a_home_of_dagsters_own(question: str, tmp_path: Path) -> None:
    SqliteEventLogStorage(str(tmp_path)).dispose()
    storage = PooledSqliteEventLogStorage(str(tmp_path))
    index = tmp_path / "index.db"
    with statements_of(index) as statements:
        QUESTIONS[question](storage)
    storage.dispose()
    with closing(sqlite3.connect(index)) as database:
        plans = [
            step
            for statement, values in statements
            if statement.startswith("SELECT")
            for *_, step in database.execute(f"EXPLAIN QUERY PLAN {statement}", values)
        ]
    steps = [step for step in plans if {*step.split()} & READ_BY_PARTITION]
    assert steps
    for step in steps:
        assert "COVERING INDEX" in step or "INTEGER PRIMARY KEY" in step


def test_a_home_that_another_process_writes_to_opens_without_the_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_log, "BUSY_SECONDS", 0)
    SqliteEventLogStorage(str(tmp_path)).dispose()
    with closing(sqlite3.connect(tmp_path / "index.db")) as writer:
        writer.execute("BEGIN IMMEDIATE")
        storage = PooledSqliteEventLogStorage(str(tmp_path))
        assert storage.get_asset_check_partition_info(CHECKS) == []
        storage.dispose()
        names = "SELECT count(*) FROM sqlite_master WHERE name = 'idx_verdicts'"
        assert writer.execute(names).fetchone() == (0,)
        writer.rollback()
        storage = PooledSqliteEventLogStorage(str(tmp_path))
        assert storage.get_asset_check_partition_info(CHECKS) == []
        storage.dispose()
        assert writer.execute(names).fetchone() == (1,)
