"""Facts about hours that only Dagster's instance holds: how often each was polled, the last error.

These functions read the event log's tables directly, grouped in the database: Dagster's public
calls load every event: minutes for years of hours.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import dagster as dg
import sqlalchemy as sa
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData as Target,
)
from dagster._core.definitions.data_version import DATA_VERSION_TAG
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetEventTagsTable,
    SqlEventLogStorageTable,
)
from dagster._serdes import deserialize_value

from returns_orchestration.defs.checks import FAILED_CLAIMS
from returns_orchestration.defs.event_batches import awaiting_storage, settled_connection
from returns_orchestration.defs.keys import PLAIN, Keys
from returns_orchestration.defs.metadata import POLLED_AT
from returns_orchestration.defs.registry import ASSETS
from returns_orchestration.lake.poll_log import Answer
from returns_orchestration.state import claims
from returns_orchestration.state.failing_claims import UNREAD, Evaluation, FailedClaim

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from returns_orchestration.window import Window

RAW = "raw_returns"
T = TypeVar("T")

OVERLAP = 50
"""Events read twice, in case one that was written at the same time was not yet visible."""

BATCH = 500
"""Partitions, rows or runs in one query: below what any database allows as parameters."""


def newest_event(instance: dg.DagsterInstance) -> int:
    """The id of the newest event; 0 if there is none."""
    with settled_connection(instance) as connection:
        return (
            connection.execute(sa.select(sa.func.max(SqlEventLogStorageTable.c.id))).scalar() or 0
        )


def evaluations(
    instance: dg.DagsterInstance, after: int, limit: int, keys: Keys
) -> tuple[list[Evaluation], int]:
    """Up to ``limit`` verdicts of checks after the event ``after``, oldest first, and the last id.

    The table of checks is updated in place; the log is not, so nothing is missed. A few earlier
    events are read again, since of two that are written at once the lower id can appear later.
    """
    events = SqlEventLogStorageTable.c
    query = (
        sa.select(events.id, events.event)
        .where(events.dagster_event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION.value)
        .where(events.id > after - OVERLAP)
        .order_by(events.id)
        .limit(limit)
    )
    with settled_connection(instance) as connection:
        rows = list(connection.execute(query).fetchall())
    found = [judged for _, event in rows if (judged := _evaluation(event, keys))]
    return found, max(after, rows[-1][0] if rows else after)


def _evaluation(event: str, keys: Keys) -> Evaluation | None:
    """The verdict of an event; None where it is about an asset of another deployment."""
    entry: Any = deserialize_value(event)
    data = entry.dagster_event.event_specific_data
    asset = keys.name(data.asset_key)
    if asset is None:
        return None
    noted = data.metadata.get(FAILED_CLAIMS)
    if data.passed:
        failed: tuple[FailedClaim, ...] = ()
    elif noted is None:  # without claims: the check itself failed
        failed = (FailedClaim(name=data.check_name, weight="error", verdict="fails", figures=""),)
    else:
        failed = tuple(FailedClaim(**claim) for claim in noted.value)
    return Evaluation(
        asset,
        data.partition or "",
        datetime.fromtimestamp(entry.timestamp, UTC),
        failed,
        data.check_name,
    )


def newest_materializations(
    instance: dg.DagsterInstance, run_id: str, assets: Collection[str], partition: str, keys: Keys
) -> dict[str, Target]:
    """By asset, its newest materialization of one hour or day, as a check in ``run_id`` targets it.

    One query for all assets of an hour: a query for each took a tenth of an hour's time. Without
    those that were logged and are yet to be stored, see ``awaiting_storage``.
    """
    events = SqlEventLogStorageTable.c
    awaiting = awaiting_storage(instance, partition)
    stored = {a for a in assets if keys.of(a).to_user_string() not in awaiting}
    if not stored:
        return {}
    names = {keys.of(asset).to_string(): asset for asset in stored}
    query = (
        _materializations(keys.all_of(stored), events.asset_key, sa.func.max(events.id))
        .where(events.partition == partition)
        .group_by(events.asset_key)
    )
    now = datetime.now(UTC).timestamp()
    return {
        names[key]: Target(storage_id=int(newest), run_id=run_id, timestamp=now)
        for key, newest in _rows(instance, query)
    }


def unreported(instance: dg.DagsterInstance, windows: Sequence[Window], keys: Keys) -> list[Window]:
    """The ``windows`` without a poll in Dagster's log: a run was killed, or the home is new."""
    known: set[str] = set()
    for some in batches([window.key for window in windows]):
        events = SqlEventLogStorageTable.c
        raw = _materializations([keys.of(RAW)], events.partition)
        query = raw.where(events.partition.in_(some))
        known |= {partition for (partition,) in _rows(instance, query.distinct())}
    return [window for window in windows if window.key not in known]


def is_unpublished(instance: dg.DagsterInstance, window: Window, keys: Keys) -> bool:
    """Whether the check of `raw_returns` fails for an hour only because it was not published.

    Then it passes once the hour is made, though no new poll judges it again.
    """
    checks = AssetCheckExecutionsTable.c
    query = (
        sa.select(checks.execution_status, checks.evaluation_event)
        .where(checks.asset_key == keys.of(RAW).to_string())
        .where(checks.check_name == ASSETS[RAW].check.name)
        .where(checks.partition == window.key)
        .where(checks.execution_status.in_(["SUCCEEDED", "FAILED"]))
        .order_by(checks.id.desc())
        .limit(1)
    )
    newest = [event for status, event in _rows(instance, query) if status == "FAILED"]
    found = [judged for event in newest if (judged := _evaluation(event, keys)) is not None]
    return any({claim.name for claim in judged.failed} <= claims.OF_PUBLISHING for judged in found)


def newest_polls(
    instance: dg.DagsterInstance, windows: Sequence[Window], keys: Keys
) -> dict[Window, str]:
    """By window, the beginning of the sha256 of the newest kept poll in Dagster's log.

    It is the data version of the newest materialization of `raw_returns`.
    """
    by_key = {window.key: window for window in windows}
    newest = newest_versions(instance, [RAW], list(by_key), keys)
    return {by_key[partition]: sha for (_, partition), sha in newest.items()}


def newest_versions(
    instance: dg.DagsterInstance, assets: Sequence[str], partitions: Sequence[str], keys: Keys
) -> dict[tuple[str, str], str]:
    """By asset and partition, the data version of its newest materialization in Dagster's log."""
    events, tags = SqlEventLogStorageTable.c, AssetEventTagsTable.c
    found: dict[tuple[str, str], str] = {}
    storage: Any = instance.event_log_storage
    if not storage.has_table(AssetEventTagsTable.name):  # an older Dagster's, without versions
        return found
    names = {keys.of(asset).to_string(): asset for asset in assets}
    columns = (events.asset_key, events.partition)
    for some in batches(partitions):
        newest = (
            _materializations(keys.all_of(assets), sa.func.max(events.id).label("id"), *columns)
            .where(events.partition.in_(some))
            .group_by(*columns)
            .subquery()
        )
        query = (
            sa.select(newest.c.asset_key, newest.c.partition, tags.value)
            .join(AssetEventTagsTable, tags.event_id == newest.c.id)
            .where(tags.key == DATA_VERSION_TAG)
        )
        found |= {(names[key], period): sha for key, period, sha in _rows(instance, query)}
    return found


def answers_of(instance: dg.DagsterInstance) -> Iterator[Answer]:
    """The log's facts about polls that left nothing in the lake of an earlier release.

    Those that brought nothing new, and by hour the last error that no poll has followed.
    """
    events = SqlEventLogStorageTable.c
    kind = events.dagster_event_type
    materialized = (kind == dg.DagsterEventType.ASSET_MATERIALIZATION.value) & (
        events.asset_key == dg.AssetKey(RAW).to_string()
    )
    judged = kind == dg.DagsterEventType.ASSET_CHECK_EVALUATION.value
    errors: dict[str, Answer] = {}
    after = 0
    while True:
        query = (
            sa.select(events.id, events.event)
            .where(materialized | judged)
            .where(events.id > after)
            .order_by(events.id)
            .limit(BATCH)
        )
        rows = _rows(instance, query)
        if not rows:
            break
        for _, event in rows:
            answer = _answer(event)
            if answer is None:
                continue
            if answer.error:
                errors[answer.hour] = answer
            else:
                errors.pop(answer.hour, None)
                yield answer
        after = rows[-1][0]
    yield from errors.values()


def _answer(event: str) -> Answer | None:
    """The poll that an event of `raw_returns` reports, if it brought nothing new or failed."""
    entry: Any = deserialize_value(event)
    noted_at = datetime.fromtimestamp(entry.timestamp, UTC)
    if entry.dagster_event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
        judged = _evaluation(event, PLAIN)
        failed = judged.failed if judged else ()
        unread = next((claim for claim in failed if claim.name in UNREAD), None)
        if judged is None or unread is None or judged.asset != RAW or not judged.period:
            return None
        return Answer(hour=judged.period, at=noted_at, error=unread.figures)
    materialization = entry.dagster_event.event_specific_data.materialization
    shown, partition = materialization.metadata, materialization.partition
    if partition is None or POLLED_AT not in shown:
        return None
    polled_at = datetime.fromisoformat(shown[POLLED_AT].value)
    if shown["brought_something_new"].value:  # the lake has it; it ends an error all the same
        return None
    return Answer(hour=partition, at=min(polled_at, noted_at))


def _materializations(
    assets: Iterable[dg.AssetKey],
    *columns: sa.ColumnElement[Any],
) -> sa.Select[Any]:
    """The materializations of ``assets``, as a query for ``columns``."""
    events = SqlEventLogStorageTable.c
    return (
        sa.select(*columns)
        .where(events.asset_key.in_([asset.to_string() for asset in assets]))
        .where(events.dagster_event_type == dg.DagsterEventType.ASSET_MATERIALIZATION.value)
    )


def batches(keys: Sequence[T]) -> Iterator[Sequence[T]]:
    """Parts of at most ``BATCH``."""
    return (keys[at : at + BATCH] for at in range(0, len(keys), BATCH))


def _rows(instance: dg.DagsterInstance, query: sa.Select[Any]) -> list[Any]:
    storage: Any = instance.event_log_storage
    with storage.index_connection() as connection:
        return list(connection.execute(query).fetchall())
