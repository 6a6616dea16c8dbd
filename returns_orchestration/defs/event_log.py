"""Dagster's SQLite event log with its connections kept open and the events of an hour in one write.

Dagster 1.13 opens, commits and closes a connection three times for each event, and each close
writes the log back into the database. That is 131 ms for the 18 events of an hour; with connections
kept open and `synchronous=NORMAL` it is 33 ms (two cores), and with one transaction of each
database for the whole hour a fifth of that. A crash of the machine may then lose the last events,
but damages nothing, and the hours concerned are known from the lake. Chosen in dagster.yaml;
PostgreSQL needs none of this.

The tables' names and columns are not public (Dagster 1.13): only this file and ``history`` name
them. Where they are not the ones known here, each event is stored as Dagster stores it.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import sqlalchemy as sa
from dagster import DagsterEventType, DagsterInvariantViolationError, StringSource
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluation,
    AssetCheckEvaluationPlanned,
)
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData as Target,
)
from dagster._core.events import (
    ASSET_CHECK_EVENTS,
    ASSET_EVENTS,
    EVENT_TYPE_TO_PIPELINE_RUN_STATUS,
)
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecordStatus as Status,
)
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetEventTagsTable,
    AssetKeyTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.event_log.sqlite.sqlite_event_log import (
    INDEX_SHARD_NAME,
    SqliteEventLogStorage,
)
from dagster_shared.record import replace
from sqlalchemy.pool import QueuePool

from returns_orchestration.defs.years import StatesOfYears

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from dagster import DagsterInstance
    from dagster._core.events.log import EventLogEntry
    from dagster._serdes import ConfigurableClassData

OPEN_RUNS = 4
"""Databases of runs that are kept open beside the index; each run has one of its own."""

BUSY_SECONDS = 60

PAGE_BYTES: Final = 16_384
"""The page size of a new index. Most rows have two kilobytes, of which a page of 4,096, SQLite's
usual one, holds a single one: a quarter of the file would be empty."""

BATCH_SIZE: Final = "DAGSTER_EVENT_BATCH_SIZE"
"""The variable that limits how many consecutive events Dagster hands over in one call."""

PLANNED_AT_ONCE = 2_000
"""More than a run of a week plans: 6 materializations an hour, and 6 checks."""

MIRRORED = {*ASSET_EVENTS, *ASSET_CHECK_EVENTS, *EVENT_TYPE_TO_PIPELINE_RUN_STATUS}
"""The events that the index holds, too; all others are only in the database of their run."""

OF_ASSETS = {
    DagsterEventType.ASSET_MATERIALIZATION,
    DagsterEventType.ASSET_CHECK_EVALUATION,
}

COLUMNS = {
    SqlEventLogStorageTable: {
        "id", "run_id", "event", "dagster_event_type", "timestamp", "step_key", "asset_key",
        "partition",
    },
    AssetKeyTable: {
        "id", "asset_key", "last_materialization", "last_run_id", "asset_details",
        "wipe_timestamp", "last_materialization_timestamp", "tags", "create_timestamp",
        "cached_status_data",
    },
    AssetEventTagsTable: {"id", "event_id", "asset_key", "key", "value", "event_timestamp"},
    AssetCheckExecutionsTable: {
        "id", "asset_key", "check_name", "partition", "run_id", "execution_status",
        "evaluation_event", "evaluation_event_timestamp", "evaluation_event_storage_id",
        "materialization_event_storage_id", "create_timestamp",
    },
}  # fmt: skip
"""The tables that an event goes to, as of Dagster 1.13."""

INHERITED = (
    "_event_to_row",
    "_event_insert_timestamp",
    "_get_asset_entry_values",
    "_store_asset_event_tags",
)

# Made once: to make a statement takes longer than to execute it.
INSERT_EVENT = SqlEventLogStorageTable.insert()
INSERT_ASSET = AssetKeyTable.insert()
UPDATE_ASSET = AssetKeyTable.update().where(AssetKeyTable.c.asset_key == sa.bindparam("of_asset"))
INSERT_CHECK = AssetCheckExecutionsTable.insert()
UPDATE_CHECK = AssetCheckExecutionsTable.update().where(
    AssetCheckExecutionsTable.c.asset_key == sa.bindparam("of_asset"),
    AssetCheckExecutionsTable.c.check_name == sa.bindparam("of_check"),
    AssetCheckExecutionsTable.c.run_id == sa.bindparam("of_run"),
    AssetCheckExecutionsTable.c.partition.is_not_distinct_from(sa.bindparam("of_partition")),
)


@contextmanager
def stored_together(instance: DagsterInstance) -> Iterator[None]:
    """Events that this thread logs meanwhile are stored at the end, in one transaction.

    A storage of another class, or of another Dagster, stores each event as it comes.
    """
    storage = instance.event_log_storage
    if isinstance(storage, PooledSqliteEventLogStorage):
        with storage.holding():
            yield
    else:
        yield


def is_holding(instance: DagsterInstance) -> bool:
    """Whether events that this thread logs now are stored later, together."""
    storage = instance.event_log_storage
    return isinstance(storage, PooledSqliteEventLogStorage) and storage.held is not None


def awaiting_storage(instance: DagsterInstance, partition: str) -> set[str]:
    """The assets of which a materialization of ``partition`` was logged and is not yet stored.

    Its id is not known before. A check of it is logged without a target and gets it when stored.
    """
    storage = instance.event_log_storage
    if not isinstance(storage, PooledSqliteEventLogStorage):
        return set()
    made = (_materialized(event) for event in storage.held or ())
    return {found[0] for found in made if found and found[1] == partition}


class PooledSqliteEventLogStorage(StatesOfYears, SqliteEventLogStorage):
    """Uses the same files as the storage it extends, so either may be used at any time.

    ``home`` in dagster.yaml is DAGSTER_HOME.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        """Open nothing yet; ``base_dir`` holds one database for each run, and the index."""
        self._engines: OrderedDict[str, sa.Engine] = OrderedDict()
        self._known: set[str] = set()
        self._of_thread = threading.local()
        super().__init__(base_dir, inst_data)

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """See Dagster's ConfigurableClass."""
        return {"home": StringSource}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Self:
        """See Dagster's ConfigurableClass."""
        # Dagster reads it again for each planned event, and has no other way to set it.
        os.environ.setdefault(BATCH_SIZE, str(PLANNED_AT_ONCE))
        return cls(str(Path(config_value["home"]) / "history" / "runs"), inst_data)

    def has_table(self, table_name: str) -> bool:
        """Whether the index has a table. Dagster asks for every event; a table never goes away."""
        if table_name not in self._known and super().has_table(table_name):
            self._known.add(table_name)
        return table_name in self._known

    def _has_asset_key_col_on_connection(self, conn: sa.Connection, column_name: str) -> bool:
        """Whether a column is there; asked for every event, and it never goes away either."""
        known = f"asset_keys.{column_name}"
        if known not in self._known and super()._has_asset_key_col_on_connection(conn, column_name):
            self._known.add(known)
        return known in self._known

    def _initdb(self, engine: sa.Engine, for_index_shard: bool = False) -> None:  # noqa: FBT001, FBT002 - Dagster's
        if for_index_shard:
            sa.event.listen(engine, "connect", _with_large_pages)
        super()._initdb(engine, for_index_shard)

    @property
    def held(self) -> list[EventLogEntry] | None:
        """The events of this thread yet to be stored; None while each is stored at once."""
        return getattr(self._of_thread, "held", None)

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Hold this thread's events, then store them together, also after an error."""
        if self.held is not None or not self._is_as_known:
            yield
            return
        held = self._of_thread.held = []
        try:
            yield
        finally:
            self._of_thread.held = None
            for run_id, of_run in groupby(held, _run):
                events = list(of_run)
                self._store_together(_Batch(run_id, events, _targets(events)))

    def store_event(self, event: EventLogEntry) -> None:
        """Store it, or hold it until the others of its hour are there."""
        if self.held is not None and event.run_id:
            self.held.append(_lean(event))
        else:
            super().store_event(event)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store what Dagster hands over in one call: the planned events of a run."""
        for run_id, of_run in groupby(events, _run):
            # Events without a run have other rules, and come one by one.
            if self.held is not None or not run_id or not self._is_as_known:
                super().store_event_batch(list(of_run))
            else:
                self._store_together(_Batch(run_id, list(of_run)))

    @cached_property
    def _is_as_known(self) -> bool:
        """Whether Dagster's tables are those known here, and the index has them all."""
        if not all(hasattr(self, name) for name in INHERITED):
            return False
        with self.index_connection() as connection:
            there = sa.inspect(connection)
            return all(
                set(table.columns.keys()) == columns
                and there.has_table(table.name)
                and columns <= {str(column["name"]) for column in there.get_columns(table.name)}
                for table, columns in COLUMNS.items()
            )

    def _store_together(self, batch: _Batch) -> None:
        """One transaction of each database; that of the run's is committed first, as Dagster does.

        After a kill in between, the index lacks the hour, and the next run reports it.
        """
        # As many rows as possible are made now: the first id locks the index for other processes.
        batch.rows = {
            n: self._event_to_row(event)
            for n, event in enumerate(batch.events)
            if n not in batch.targets
        }
        mirrored = [n for n, e in enumerate(batch.events) if e.dagster_event_type in MIRRORED]
        doubled: list[str] = []
        with (
            self._db_lock,
            self._engine(INDEX_SHARD_NAME).begin() as index,
            self._engine(batch.run_id).begin() as run,
        ):
            if mirrored:
                # No other process writes until the commit, so the ids follow the first one's.
                first: Any = index.execute(INSERT_EVENT, batch.rows[mirrored[0]])
                ids = count(first.inserted_primary_key[0])
                batch.ids = dict(zip(mirrored, ids, strict=False))
            for n, target in batch.targets.items():
                batch.events[n] = _targeting(batch.events[n], batch.ids[target])
                batch.rows[n] = self._event_to_row(batch.events[n])
            run.execute(INSERT_EVENT, [batch.rows[n] for n in range(len(batch.events))])
            if mirrored[1:]:
                rows = [{"id": batch.ids[n], **batch.rows[n]} for n in mirrored[1:]]
                index.execute(INSERT_EVENT, rows)
            if mirrored:
                self._note_assets(index, batch)
                doubled = self._note_checks(index, batch)
        if doubled:
            raise DagsterInvariantViolationError(doubled[0])

    def _note_assets(self, index: sa.Connection, batch: _Batch) -> None:
        """The tags of the batch's events, and the index's row of each asset, once for each."""
        found = [(batch.events[n], i) for n, i in batch.ids.items()]
        found = [(event, i) for event, i in found if event.dagster_event_type in ASSET_EVENTS]
        self._store_asset_event_tags(index, [e for e, _ in found], [i for _, i in found])
        entries: dict[str, dict[str, Any]] = {
            asset: {} for asset in map(_asset, batch.events) if asset
        }
        # An asset's last event of each type counts; types write different columns, or the same.
        newest = {(_asset(event), event.dagster_event_type): (event, i) for event, i in found}
        for (asset, _), (event, i) in sorted(newest.items(), key=lambda pair: pair[1][1]):
            if asset:
                values = self._get_asset_entry_values(event, i, has_asset_key_index_cols=True)
                entries[asset] |= values
        for asset, values in entries.items():
            # There nearly always is a row: Dagster inserts first, fails and updates then.
            if values and not index.execute(UPDATE_ASSET, {"of_asset": asset, **values}).rowcount:
                index.execute(INSERT_ASSET, {"asset_key": asset, **values})

    def _note_checks(self, index: sa.Connection, batch: _Batch) -> list[str]:
        """A row for each planned check and partition, which its evaluation then replaces.

        Gives Dagster's own error messages where there were several rows to replace.
        """
        doubled = []
        for n, i in batch.ids.items():
            event = batch.events[n]
            data: Any = event.dagster_event and event.dagster_event.event_specific_data
            moment: Any = self._event_insert_timestamp(event)  # type: ignore[no-untyped-call]
            row = {
                "evaluation_event": batch.rows[n]["event"],
                "evaluation_event_timestamp": moment,
                "evaluation_event_storage_id": i,
            }
            if event.dagster_event_type == DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED:
                planned = [{**row, **part} for part in _planned(data, batch.run_id)]
                if planned:
                    index.execute(INSERT_CHECK, planned)
            elif event.dagster_event_type == DagsterEventType.ASSET_CHECK_EVALUATION:
                row |= _evaluated(data)
                of = {
                    "of_asset": data.asset_key.to_string(),
                    "of_check": data.check_name,
                    "of_run": batch.run_id,
                    "of_partition": data.partition,
                }
                replaced = index.execute(UPDATE_CHECK, {**of, **row}).rowcount
                if not replaced:
                    index.execute(INSERT_CHECK, {**_named(data, batch.run_id), **row})
                elif replaced > 1:
                    doubled.append(
                        f"Updated {replaced} rows for asset check evaluation "
                        f"{data.asset_check_key} as a result of duplicate AssetCheckPlanned events."
                    )
        return doubled

    @contextmanager
    def _connect(self, shard: str) -> Iterator[sa.Connection]:
        with self._db_lock, self._engine(shard).begin() as connection:
            yield connection

    def _engine(self, shard: str) -> sa.Engine:
        engine = self._engines.get(shard)
        if engine is None:
            engine = sa.create_engine(
                self.conn_string_for_shard(shard),
                poolclass=QueuePool,
                pool_size=1,
                # One thread at a time has it: the caller holds a lock.
                connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
            )
            sa.event.listen(engine, "connect", _write_ahead)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            self._engines[shard] = engine
            self._close_oldest()
        self._engines.move_to_end(shard)
        return engine

    def _close_oldest(self) -> None:
        runs = [shard for shard in self._engines if shard != INDEX_SHARD_NAME]
        for shard in runs[:-OPEN_RUNS]:
            self._engines.pop(shard).dispose()

    def close_run(self, run_id: str) -> None:
        """Close the database of a run that is going to be removed."""
        engine = self._engines.pop(run_id, None)
        if engine is not None:
            engine.dispose()
        self._initialized_dbs.discard(run_id)

    def dispose(self) -> None:
        """Close all connections."""
        super().dispose()
        while self._engines:
            self._engines.popitem()[1].dispose()


def _lean(event: EventLogEntry) -> EventLogEntry:
    """The event without what Dagster reads from events of steps only.

    The newest events of an asset and its checks stay for ever, and this was a quarter of them.
    """
    told = event.dagster_event
    if told is None or told.event_type not in OF_ASSETS:
        return event
    lean = told._replace(step_handle=None, node_handle=None, logging_tags={})
    return event._replace(dagster_event=lean)


def _with_large_pages(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own
    connection.execute(f"PRAGMA page_size={PAGE_BYTES}")


def _write_ahead(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own
    connection.execute("PRAGMA synchronous=NORMAL")


@dataclass
class _Batch:
    """Events of one run that are stored together, by their place among them."""

    run_id: str
    events: list[EventLogEntry]
    targets: Mapping[int, int] = field(default_factory=dict)
    """From an evaluation to the materialization of the batch that it judges."""
    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    ids: dict[int, int] = field(default_factory=dict)
    """Ids in the index, of the events that are mirrored there."""


def _run(event: EventLogEntry) -> str:
    return event.run_id


def _asset(event: EventLogEntry) -> str | None:
    key = event.dagster_event and event.dagster_event.asset_key
    return key.to_string() if key else None


def _materialized(event: EventLogEntry) -> tuple[str, str | None] | None:
    """Asset and partition if it is a materialization."""
    inner = event.dagster_event
    if inner is None or event.dagster_event_type != DagsterEventType.ASSET_MATERIALIZATION:
        return None
    assert inner.asset_key
    return inner.asset_key.to_user_string(), inner.partition


def _targets(events: Iterable[EventLogEntry]) -> dict[int, int]:
    """From an evaluation without a target to the last earlier materialization of its asset."""
    made: dict[tuple[str, str | None], int] = {}
    targets = {}
    for n, event in enumerate(events):
        found = _materialized(event)
        if found:
            made[found] = n
        data: Any = event.dagster_event and event.dagster_event.event_specific_data
        if isinstance(data, AssetCheckEvaluation) and data.target_materialization_data is None:
            judged = made.get((data.asset_key.to_user_string(), data.partition))
            if judged is not None:
                targets[n] = judged
    return targets


def _targeting(event: EventLogEntry, storage_id: int) -> EventLogEntry:
    inner: Any = event.dagster_event
    target = Target(storage_id=storage_id, run_id=event.run_id, timestamp=event.timestamp)
    data = replace(inner.event_specific_data, target_materialization_data=target)
    return event._replace(dagster_event=inner._replace(event_specific_data=data))


def _named(data: AssetCheckEvaluation | AssetCheckEvaluationPlanned, run_id: str) -> dict[str, Any]:
    return {
        "asset_key": data.asset_key.to_string(),
        "check_name": data.check_name,
        "run_id": run_id,
    }


def _planned(data: AssetCheckEvaluationPlanned, run_id: str) -> Iterator[dict[str, Any]]:
    """The rows of a planned check, one for each partition."""
    parts = data.partitions_subset.get_partition_keys() if data.partitions_subset else [None]
    for partition in parts:
        yield {
            **_named(data, run_id),
            "partition": partition,
            "execution_status": Status.PLANNED.value,
        }


def _evaluated(data: AssetCheckEvaluation) -> dict[str, Any]:
    target = data.target_materialization_data
    return {
        "partition": data.partition,
        "execution_status": (Status.SUCCEEDED if data.passed else Status.FAILED).value,
        "materialization_event_storage_id": target and target.storage_id,
    }
