"""The runs that a run repeats: a window polled since the first of them is not polled again.

A failed run or backfill is repeated for the hours it did not bring; a successful one is repeated in
order to poll again. Where a repetition failed, too, the first of the failed ones counts.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from dagster._core.execution.backfill import BulkActionStatus

if TYPE_CHECKING:
    import dagster as dg

PARENT_BACKFILL: Final = "dagster/parent_backfill_id"

SUCCEEDED: Final = {BulkActionStatus.COMPLETED_SUCCESS, BulkActionStatus.COMPLETED}
"""Older releases of Dagster wrote the second one."""


def failing_since(instance: dg.DagsterInstance, run: dg.DagsterRun) -> datetime | None:
    """When the first of the failed runs or backfills that ``run`` repeats began; else None."""
    if not run.parent_run_id:
        return _failing_backfill_since(instance, run.tags.get(PARENT_BACKFILL))
    parent = instance.get_run_record_by_id(run.parent_run_id)
    if parent is None or parent.dagster_run.is_success:
        return None
    earlier = failing_since(instance, parent.dagster_run)
    return earlier or parent.create_timestamp.astimezone(UTC)


def _failing_backfill_since(instance: dg.DagsterInstance, parent: str | None) -> datetime | None:
    since = None
    while parent:
        backfill = instance.get_backfill(parent)
        if backfill is None or backfill.status in SUCCEEDED:
            break
        since = datetime.fromtimestamp(backfill.backfill_timestamp, UTC)
        parent = backfill.tags.get(PARENT_BACKFILL)
    return since
