"""A repeated run does not poll again windows polled since the first failed run that it repeats."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.test_utils import create_run_for_test, freeze_time

from returns_orchestration.defs.repeats import PARENT_BACKFILL, failing_since

BEGIN = datetime(2026, 11, 7, tzinfo=UTC)
ATTEMPTS = [BEGIN + timedelta(hours=number) for number in range(4)]

CHAINS = [
    # The outcomes of the earlier attempts, oldest first; the place in ATTEMPTS of the first one of
    # the unbroken row of failed ones.
    ("", None),
    ("failed", 0),
    ("succeeded", None),
    ("failed failed", 0),
    ("failed succeeded", None),
    ("succeeded failed", 1),
    ("failed succeeded failed", 2),
    ("succeeded failed failed", 1),
]

chains = pytest.mark.parametrize(
    ("ended", "first"),
    [([word == "succeeded" for word in words.split()], first) for words, first in CHAINS],
    ids=[words or "none" for words, _ in CHAINS],
)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


def add_run(
    instance: dg.DagsterInstance, at: datetime, parent: str | None, *, succeeded: bool | None
) -> dg.DagsterRun:
    statuses = {
        True: dg.DagsterRunStatus.SUCCESS,
        False: dg.DagsterRunStatus.FAILURE,
        None: dg.DagsterRunStatus.STARTED,
    }
    with freeze_time(at):
        return create_run_for_test(
            instance, status=statuses[succeeded], parent_run_id=parent, root_run_id=parent
        )


def add_backfill(
    instance: dg.DagsterInstance, at: datetime, parent: str | None, *, succeeded: bool
) -> PartitionBackfill:
    complete, failed = BulkActionStatus.COMPLETED_SUCCESS, BulkActionStatus.COMPLETED_FAILED
    backfill = PartitionBackfill(
        backfill_id=f"backfill-{at:%H}",
        status=complete if succeeded else failed,
        from_failure=False,
        tags={} if parent is None else {PARENT_BACKFILL: parent},
        backfill_timestamp=at.timestamp(),
    )
    instance.add_backfill(backfill)
    return backfill


@chains
def test_a_run_counts_from_the_first_of_the_failed_runs_that_it_repeats(
    instance: dg.DagsterInstance, ended: list[bool], first: int | None
) -> None:
    parent = None
    for at, succeeded in zip(ATTEMPTS, ended, strict=False):
        parent = add_run(instance, at, parent, succeeded=succeeded).run_id
    run = add_run(instance, ATTEMPTS[-1], parent, succeeded=None)
    assert failing_since(instance, run) == (None if first is None else ATTEMPTS[first])


@chains
def test_a_backfill_counts_from_the_first_of_the_failed_ones_that_it_repeats(
    instance: dg.DagsterInstance, ended: list[bool], first: int | None
) -> None:
    parent = None
    for at, succeeded in zip(ATTEMPTS, ended, strict=False):
        parent = add_backfill(instance, at, parent, succeeded=succeeded).backfill_id
    tags = {} if parent is None else {PARENT_BACKFILL: parent}
    run = create_run_for_test(instance, tags=tags)
    assert failing_since(instance, run) == (None if first is None else ATTEMPTS[first])


def test_a_failed_run_of_a_repeated_backfill_counts_from_the_backfill_that_failed(
    instance: dg.DagsterInstance,
) -> None:
    backfill = add_backfill(instance, BEGIN, None, succeeded=False)
    with freeze_time(BEGIN + timedelta(hours=1)):
        run = create_run_for_test(
            instance,
            tags={PARENT_BACKFILL: backfill.backfill_id},
            status=dg.DagsterRunStatus.FAILURE,
        )
    again = create_run_for_test(instance, parent_run_id=run.run_id, root_run_id=run.run_id)
    assert failing_since(instance, again) == BEGIN


def test_a_run_deleted_from_the_instance_spares_no_poll(instance: dg.DagsterInstance) -> None:
    run = create_run_for_test(instance, tags={PARENT_BACKFILL: "wiped"})
    assert failing_since(instance, run) is None
