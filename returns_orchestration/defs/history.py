"""What only Dagster's instance knows about hours: how often each was polled, and the last error.

Both read the event log's tables directly, grouped in the database: Dagster's public calls load
every event, which for years of hours takes minutes. The tables' names and columns are not public
(Dagster 1.13); this is the only file that names them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    SqlEventLogStorageTable,
)
from dagster._serdes import deserialize_value

from returns_orchestration.defs.checks import NAMES
from returns_orchestration.trust.hours import Asked

if TYPE_CHECKING:
    from collections.abc import Iterable

RAW = "raw_returns"
BATCH = 500
"""Partitions in one query: below what any database allows as parameters."""


def polls(instance: dg.DagsterInstance) -> dict[str, Asked]:
    """For every hour ever polled, by partition key: how often, and when last (to the second)."""
    events = SqlEventLogStorageTable.c
    query = (
        sa.select(events.partition, sa.func.count(), sa.func.max(events.timestamp))
        .where(events.asset_key == dg.AssetKey(RAW).to_string())
        .where(events.dagster_event_type == dg.DagsterEventType.ASSET_MATERIALIZATION.value)
        .group_by(events.partition)
    )
    return {
        partition: Asked(int(count), _utc(at))
        for partition, count, at in _rows(instance, query)
        if partition is not None
    }


def last_errors(instance: dg.DagsterInstance, partitions: Iterable[str]) -> dict[str, str]:
    """Why each of ``partitions`` failed last, where it did, by partition key."""
    checks = AssetCheckExecutionsTable.c
    keys = list(partitions)
    found: dict[str, str] = {}
    for at in range(0, len(keys), BATCH):
        query = (
            sa.select(checks.partition, checks.evaluation_event)
            .where(checks.asset_key == dg.AssetKey(RAW).to_string())
            .where(checks.check_name == NAMES[RAW])
            .where(checks.partition.in_(keys[at : at + BATCH]))
            .order_by(checks.id)
        )
        for partition, event in _rows(instance, query):
            words = _description(event)
            if words:
                found[partition] = words
    return found


def _description(event: str | None) -> str:
    """The words of a failed evaluation, without the claim's name."""
    if not event:
        return ""
    entry: Any = deserialize_value(event)
    evaluation = entry.dagster_event.event_specific_data
    said = getattr(evaluation, "description", None) or ""
    return str(said).removeprefix("the window was read: cannot tell (").removesuffix(")")


def _rows(instance: dg.DagsterInstance, query: sa.Select[Any]) -> list[Any]:
    storage: Any = instance.event_log_storage
    with storage.index_connection() as connection:
        return list(connection.execute(query).fetchall())


def _utc(at: datetime) -> datetime:
    """Dagster stores naive UTC."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
