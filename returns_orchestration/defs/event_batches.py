"""Events of an hour in one write, whatever database Dagster's event log is in.

Dagster 1.13 stores each event by itself: it connects, commits and closes up to three times for it.
``event_log`` (SQLite) and ``postgres`` extend its storages by what stands here.

Where Dagster's tables are not the ones known here, each event is stored as Dagster stores it.
"""

from __future__ import annotations

import os
import threading
from abc import abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from dagster import DagsterEventType
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluation,
    AssetCheckEvaluationPlanned,
)
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData as Target,
)
from dagster._core.events import ASSET_EVENTS
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecordStatus as Status,
)
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetEventTagsTable,
    AssetKeyTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster_shared.record import replace

from returns_orchestration.defs.index_queries import IndexQueries
from returns_orchestration.defs.years import StatesOfYears

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from dagster import DagsterInstance
    from dagster._core.events.log import EventLogEntry

BATCH_SIZE: Final = "DAGSTER_EVENT_BATCH_SIZE"
"""The variable that limits how many consecutive events Dagster hands over in one call."""

PLANNED_AT_ONCE = 2_000
"""More than a run of a week plans: 6 materializations an hour, and 6 checks."""

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

RECORD: Final = (
    '{"__class__": "EventLogRecord", "event_log_entry": %s, "storage_id": %d}'  # as of Dagster 1.13
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
    if isinstance(storage, BatchedEvents):
        with storage.holding():
            yield
    else:
        yield


def is_holding(instance: DagsterInstance) -> bool:
    """Whether events that this thread logs now are stored later, together."""
    storage = instance.event_log_storage
    return isinstance(storage, BatchedEvents) and storage.held is not None


def awaiting_storage(instance: DagsterInstance, partition: str) -> set[str]:
    """The assets of which a materialization of ``partition`` was logged and is not yet stored.

    Its id is not known before. A check of it is logged without a target and gets it when stored.
    """
    storage = instance.event_log_storage
    if not isinstance(storage, BatchedEvents):
        return set()
    made = (_materialized(event) for event in storage.held or ())
    return {found[0] for found in made if found and found[1] == partition}


def settled_connection(instance: DagsterInstance) -> AbstractContextManager[sa.Connection]:
    """A connection to the index, for those that read events by their ids, in order.

    While it is open, no batch can appear whose ids are lower than others that it has seen.
    """
    storage: Any = instance.event_log_storage
    return storage.settled() if isinstance(storage, BatchedEvents) else storage.index_connection()


class BatchedEvents(StatesOfYears, IndexQueries, SqlEventLogStorage):
    """Mixed into one of Dagster's storages: holds a thread's events, then stores them together."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - of the storage
        """Hold nothing yet."""
        self._known: set[str] = set()
        self._of_thread = threading.local()
        # Dagster reads it again for each planned event, and has no other way to set it.
        os.environ.setdefault(BATCH_SIZE, str(PLANNED_AT_ONCE))
        super().__init__(*arguments, **options)  # type: ignore[no-untyped-call]

    @abstractmethod
    def _store_together(self, batch: Batch) -> None:
        """Store all of ``batch``, or nothing."""

    def settled(self) -> AbstractContextManager[sa.Connection]:
        """See ``settled_connection``."""
        return self.index_connection()

    def has_table(self, table_name: str) -> bool:
        """Whether there is a table. Dagster asks for every event; a table never goes away."""
        if table_name not in self._known and super().has_table(table_name):  # type: ignore[safe-super]
            self._known.add(table_name)
        return table_name in self._known

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
                self._store_together(Batch(run_id, events, _targets(events)))

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
                self._store_together(Batch(run_id, list(of_run)))

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

    def _note_assets(self, index: sa.Connection, batch: Batch) -> None:
        """The tags of the batch's events, and the index's row of each asset, once for each."""
        found = [n for n in batch.ids if batch.events[n].dagster_event_type in ASSET_EVENTS]
        events = [batch.events[n] for n in found]
        self._store_asset_event_tags(index, events, [batch.ids[n] for n in found])
        entries: dict[str, dict[str, Any]] = {
            asset: {} for asset in map(_asset, batch.events) if asset
        }
        # An asset's last event of each type counts; types write different columns, or the same.
        newest = {(_asset(batch.events[n]), batch.events[n].dagster_event_type): n for n in found}
        for (asset, _), n in sorted(newest.items(), key=lambda pair: batch.ids[pair[1]]):
            if asset:
                entries[asset] |= self._asset_values(batch, n)
        for asset, values in entries.items():
            if values:
                self._put_asset(index, asset, values)

    def _asset_values(self, batch: Batch, n: int) -> dict[str, Any]:
        event = batch.events[n]
        if event.dagster_event_type == DagsterEventType.ASSET_MATERIALIZATION:
            # What Dagster makes here, of the event's text that is already made.
            return {
                "last_materialization": RECORD % (batch.rows[n]["event"], batch.ids[n]),
                "last_run_id": batch.run_id,
                "last_materialization_timestamp": datetime.fromtimestamp(event.timestamp, UTC),
            }
        values: dict[str, Any] = self._get_asset_entry_values(
            event, batch.ids[n], has_asset_key_index_cols=True
        )
        return values

    def _put_asset(self, index: sa.Connection, asset: str, values: Mapping[str, Any]) -> None:
        # There nearly always is a row: Dagster inserts first, fails and updates then.
        if not index.execute(UPDATE_ASSET, {"of_asset": asset, **values}).rowcount:
            index.execute(INSERT_ASSET, {"asset_key": asset, **values})

    def _note_checks(self, index: sa.Connection, batch: Batch) -> list[str]:
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


@dataclass
class Batch:
    """Events of one run that are stored together, by their place among them."""

    run_id: str
    events: list[EventLogEntry]
    targets: Mapping[int, int] = field(default_factory=dict)
    """From an evaluation to the materialization of the batch that it judges."""
    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    ids: dict[int, int] = field(default_factory=dict)
    """Ids in the index, of the events that are there."""

    def write(self, row: Callable[[EventLogEntry], dict[str, Any]]) -> None:
        """Make the rows that need no id. Before the first id: that one makes others wait."""
        self.rows = {n: row(event) for n, event in enumerate(self.events) if n not in self.targets}

    def aim(self, row: Callable[[EventLogEntry], dict[str, Any]]) -> None:
        """Make the rows of evaluations, each with the id of what it judges."""
        for n, target in self.targets.items():
            self.events[n] = _targeting(self.events[n], self.ids[target])
            self.rows[n] = row(self.events[n])


def _lean(event: EventLogEntry) -> EventLogEntry:
    """The event without what Dagster reads from events of steps only.

    The newest events of an asset and its checks stay for ever, and this was a fifth of them.
    """
    told = event.dagster_event
    if told is None or told.event_type not in OF_ASSETS:
        return event
    lean = told._replace(step_handle=None, node_handle=None, logging_tags={})
    return event._replace(dagster_event=lean)


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
