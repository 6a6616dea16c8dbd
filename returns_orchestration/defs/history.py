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
    AssetEventTagsTable,
    SqlEventLogStorageTable,
)
from dagster._serdes import deserialize_value

from returns_orchestration.defs.checks import NAMES
from returns_orchestration.trust.hours import Asked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

RAW = "raw_returns"

POLLED_AT_TAG = "returns_orchestration/polled_at"
"""Tag of a materialization of raw_returns: when its poll was sent, in an order that sorts."""

_TAG_FORMAT = "%Y%m%dT%H%M%S.%f"

BATCH = 500
"""Partitions in one query: below what any database allows as parameters."""


def polls(
    instance: dg.DagsterInstance, partitions: Sequence[str] | None = None
) -> dict[str, Asked]:
    """For every hour ever polled, by partition key: how often, and when last.

    With ``partitions`` only those are looked at.
    """
    found: dict[str, Asked] = {}
    for keys in [None] if partitions is None else _batches(partitions):
        found.update(_polls(instance, keys))
    return found


def _polls(instance: dg.DagsterInstance, keys: Sequence[str] | None) -> dict[str, Asked]:
    events, tags = SqlEventLogStorageTable.c, AssetEventTagsTable.c
    query = (
        sa.select(
            events.partition,
            sa.func.count(sa.distinct(tags.value)),
            sa.func.max(tags.value),
        )
        .select_from(SqlEventLogStorageTable)
        .join(AssetEventTagsTable, tags.event_id == events.id)
        .where(tags.key == POLLED_AT_TAG)
        .where(events.asset_key == dg.AssetKey(RAW).to_string())
        .where(events.dagster_event_type == dg.DagsterEventType.ASSET_MATERIALIZATION.value)
        .group_by(events.partition)
    )
    if keys is not None:
        query = query.where(events.partition.in_(keys))
    return {
        partition: Asked(int(count), read_polled_at(at))
        for partition, count, at in _rows(instance, query)
        if partition is not None
    }


def last_errors(instance: dg.DagsterInstance, partitions: Iterable[str]) -> dict[str, str]:
    """Why each of ``partitions`` failed last, where it did, by partition key."""
    checks = AssetCheckExecutionsTable.c
    found: dict[str, str] = {}
    for keys in _batches(list(partitions)):
        query = (
            sa.select(checks.partition, checks.evaluation_event)
            .where(checks.asset_key == dg.AssetKey(RAW).to_string())
            .where(checks.check_name == NAMES[RAW])
            .where(checks.partition.in_(keys))
            .order_by(checks.id)
        )
        for partition, event in _rows(instance, query):
            words = _description(event)
            if words:
                found[partition] = words
    return found


def _batches(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    return (keys[at : at + BATCH] for at in range(0, len(keys), BATCH))


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


def polled_at_tag(polled_at: datetime) -> str:
    """The tag's value; Dagster allows no colon in it."""
    return polled_at.astimezone(UTC).strftime(_TAG_FORMAT)


def read_polled_at(value: str) -> datetime:
    """The moment of a tag's value."""
    return datetime.strptime(value, _TAG_FORMAT).replace(tzinfo=UTC)
