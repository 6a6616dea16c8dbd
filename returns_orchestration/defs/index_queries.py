"""Questions of Dagster's pages about all partitions of an asset, answered from indexes alone.

Dagster reads the rows of all events for them, of two kilobytes each: for 43,800 hours most of a
minute, and what is read is most of the database (Dagster 1.13, two cores). Where an asset was
wiped, the time of each event counts, which no index has: then Dagster answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from dagster import DagsterEventType
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecordStatus,
    AssetCheckPartitionInfo,
)
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    SqlEventLogStorageTable,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dagster import AssetCheckKey, AssetKey

EVENTS: Final = SqlEventLogStorageTable.c
CHECKS: Final = AssetCheckExecutionsTable.c
MADE: Final = DagsterEventType.ASSET_MATERIALIZATION.value
PLANNED: Final = DagsterEventType.ASSET_MATERIALIZATION_PLANNED.value

VERDICTS: Final = sa.text(
    "CREATE INDEX IF NOT EXISTS idx_verdicts ON asset_check_executions (asset_key, check_name, "
    "partition, evaluation_event_storage_id, execution_status, materialization_event_storage_id, "
    "run_id)"
)
"""An index of our own, as Dagster has none with the statuses; those of events are Dagster's."""


class IndexQueries:
    """Mixed into a storage of events; each method gives what Dagster's gives."""

    def get_materialized_partitions(
        self, asset_key: AssetKey, before_cursor: int | None = None, after_cursor: int | None = None
    ) -> set[str]:
        """See Dagster's, which reads the id of each event, too."""
        storage: Any = super()
        if self._is_wiped(asset_key):
            made: set[str] = storage.get_materialized_partitions(
                asset_key, before_cursor, after_cursor
            )
            return made
        query = sa.select(EVENTS.partition).distinct().where(*_made(asset_key))
        if before_cursor:
            query = query.where(EVENTS.id < before_cursor)
        if after_cursor:
            query = query.where(EVENTS.id > after_cursor)
        with storage.index_connection() as connection:
            return set(connection.execute(query).scalars())

    def get_latest_asset_partition_materialization_attempts_without_materializations(
        self, asset_key: AssetKey, after_storage_id: int | None = None
    ) -> Mapping[str, tuple[str, int]]:
        """See Dagster's, which reads the newest events of all partitions to find the few."""
        storage: Any = super()
        if self._is_wiped(asset_key):
            attempts: Mapping[str, tuple[str, int]] = (
                storage.get_latest_asset_partition_materialization_attempts_without_materializations(
                    asset_key, after_storage_id
                )
            )
            return attempts
        with storage.index_connection() as connection:
            rows = connection.execute(_attempts(asset_key, after_storage_id)).all()
        return {partition: (run_id, event_id) for partition, run_id, event_id in rows}

    def get_asset_check_partition_info(
        self,
        keys: Sequence[AssetCheckKey],
        after_storage_id: int | None = None,
        partition_keys: Sequence[str] | None = None,
    ) -> Sequence[AssetCheckPartitionInfo]:
        """See Dagster's, which reads every result twice."""
        infos: list[AssetCheckPartitionInfo] = []
        for key in keys:
            if (
                after_storage_id is not None
                or partition_keys is not None
                or self._is_wiped(key.asset_key)
            ):
                storage: Any = super()
                infos += storage.get_asset_check_partition_info(
                    [key], after_storage_id, partition_keys
                )
            else:
                infos += self._infos(key)
        return infos

    def _infos(self, key: AssetCheckKey) -> list[AssetCheckPartitionInfo]:
        """The newest result of each partition."""
        storage: Any = self
        asset = key.asset_key
        results = (
            sa.select(
                CHECKS.partition,
                CHECKS.execution_status,
                CHECKS.evaluation_event_storage_id,
                CHECKS.materialization_event_storage_id,
                CHECKS.run_id,
            )
            .where(CHECKS.asset_key == asset.to_string(), CHECKS.check_name == key.name)
            .where(CHECKS.evaluation_event_storage_id.is_not(None))
            .order_by(CHECKS.id)
        )
        newest_made = sa.select(EVENTS.partition, sa.func.max(EVENTS.id)).where(*_made(asset))
        with storage.index_connection() as connection:
            newest = {row[0]: row for row in connection.execute(results)}
            rows = connection.execute(newest_made.group_by(EVENTS.partition))
            made: dict[str, int] = {row[0]: row[1] for row in rows}
        whole = storage._get_latest_unpartitioned_materialization_storage_ids([asset])  # noqa: SLF001 - Dagster's
        of_whole = whole.get(asset) or 0
        return [
            AssetCheckPartitionInfo(
                check_key=key,
                partition_key=partition,
                latest_execution_status=AssetCheckExecutionRecordStatus(status),
                latest_planned_run_id=run_id,
                latest_check_event_storage_id=event_id,
                latest_materialization_storage_id=max(made.get(partition) or 0, of_whole) or None,
                latest_target_materialization_storage_id=target,
            )
            for partition, status, event_id, target, run_id in newest.values()
        ]

    def _is_wiped(self, asset_key: AssetKey) -> bool:
        storage: Any = self
        details = storage._get_assets_details([asset_key])  # noqa: SLF001 - Dagster's
        return any(found and found.last_wipe_timestamp for found in details)


def _made(asset_key: AssetKey) -> tuple[sa.ColumnElement[bool], ...]:
    """The materializations of partitions."""
    return (
        EVENTS.asset_key == asset_key.to_string(),
        EVENTS.dagster_event_type == MADE,
        EVENTS.partition.is_not(None),
    )


def _attempts(asset_key: AssetKey, after_storage_id: int | None) -> sa.Select[Any]:
    """Partition, run and id of the planned materializations that are newer than any made one."""
    planned = SqlEventLogStorageTable.alias("planned").c
    newest_made = (
        sa.select(sa.func.max(EVENTS.id))
        .where(*_made(asset_key), EVENTS.partition == planned.partition)
        .scalar_subquery()
    )
    newest_planned = (
        sa.select(sa.func.max(planned.id).label("id"))
        .where(planned.asset_key == asset_key.to_string(), planned.dagster_event_type == PLANNED)
        .where(planned.partition.is_not(None), planned.id > (after_storage_id or 0))
        .group_by(planned.partition)
        .having(sa.func.max(planned.id) > sa.func.coalesce(newest_made, 0))
        .subquery()
    )
    return sa.select(EVENTS.partition, EVENTS.run_id, EVENTS.id).join(
        newest_planned, EVENTS.id == newest_planned.c.id
    )
