"""Runs whose process is gone: they are ended here, since Dagster does not end them.

Dagster notices that a run's process died only while the code server that started it lives. After a
restart of the machine, or where a command was killed, the run stays under way in its record: its
hours count as busy, its backfill waits, and as it holds the one place of the pool no other run
starts. A run that a code server of `serve` has started ends with it, so after a restart it is ended
at once; of another one only its silence shows that it is gone. A run that was handed to a broker
may wait there for as long as all workers are busy or down: it is lost only if no message waits and
no worker has begun it. The hours that the run had landed are kept. The rest is asked for again,
after a first attempt without a pause.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

import dagster as dg
from dagster._core.storage.tags import GRPC_INFO_TAG

from returns_orchestration.defs.automation import LOST, LOST_AT_TAG
from returns_orchestration.defs.instance import IN_PROGRESS
from returns_orchestration.defs.registry import ASSETS, RETURNS_REPORT, WEBHOOKS_ARRIVED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from returns_orchestration.defs.keys import Keys

SILENCE: Final = timedelta(minutes=20)
"""How long a run may log no event before it counts as lost.

The slowest poll is given up after 5 minutes (120 s of waiting, 180 s of reading), and an hour is
logged when the next two were polled: a living run logs an event at least every quarter of an hour.
A run that is ended here although it lives goes on and keeps the hours that it lands."""

TAKEN: Final = timedelta(minutes=5)
"""How long a worker may take from a run's message to the run's begin; seconds are usual."""

HANDED_OVER_TAG: Final = "dagster-celery/task_id"
"""On a run for which a broker was given a message."""

CODE_SERVER_SINCE: Final = "CODE_SERVER_SINCE"
"""The variable by which `serve` and `dev` tell a code server when it was started."""

_MINUTES: Final = int(SILENCE.total_seconds() // 60)

OURS: Final = (*ASSETS, RETURNS_REPORT.name, WEBHOOKS_ARRIVED.name)
"""The assets by which a run from the UI is known as this project's."""

UNDER_WAY: Final = [status for status in IN_PROGRESS if status is not dg.DagsterRunStatus.QUEUED]
"""A queued run has no process to lose: it starts when there is place."""


@runtime_checkable
class Broker(Protocol):
    """A run launcher whose runs wait in a broker, like that of ``celery_launcher``."""

    def messages_in_queue_of(self, run: dg.DagsterRun) -> int | None:
        """How many messages wait in the queue of ``run``; None if the broker does not answer."""

    def broker_fault(self) -> str:
        """Why the broker cannot be used, in a sentence; "" if it answers."""


def lost_runs_sensor(clock: Callable[[], datetime], keys: Keys) -> dg.SensorDefinition:
    """Ends lost runs, so that their hours are asked for again and others may start."""

    @dg.sensor(
        name=keys.named("lost_runs"),
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Ends runs of this project whose process is gone, as after a restart.",
    )
    def lost_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        now = clock()
        # Of runs whose message is gone from the broker: since when. A lost cursor only delays.
        taken: dict[str, str] = json.loads(context.cursor or "{}")
        lost = list(_lost(context.instance, now, keys, taken))
        context.update_cursor(json.dumps(taken))
        ended = [_end(context.instance, run, words, now) for run, words in lost]
        return dg.SkipReason(f"Ended: {', '.join(ended)}." if ended else "No run is lost.")

    return lost_runs


def _lost(
    instance: dg.DagsterInstance, now: datetime, keys: Keys, taken: dict[str, str]
) -> Iterator[tuple[dg.DagsterRun, str]]:
    """The runs of this project that are under way by their record only, and how that shows.

    ``taken`` is brought up to date.
    """
    since = os.environ.get(CODE_SERVER_SINCE)
    before = dict(taken)
    taken.clear()
    for record in instance.get_run_records(dg.RunsFilter(statuses=UNDER_WAY)):
        run = record.dagster_run
        if not (keys.is_tagged(run) or keys.is_run(run, (), OURS)):
            continue
        if (broker := _broker_of(instance, run)) is not None:
            empty_since = before.get(run.run_id)
            if empty_since is None and broker.messages_in_queue_of(run) == 0:
                empty_since = now.isoformat()
            if empty_since is not None:
                taken[run.run_id] = empty_since
                if abs(now - datetime.fromisoformat(empty_since)) >= TAKEN:
                    yield run, "Its message left the broker, and no worker has begun it since."
            continue
        last = _last_sign(instance, record)
        # Only a run that a code server has started, or was about to start, is such a one.
        is_launched = GRPC_INFO_TAG in run.tags or run.status is dg.DagsterRunStatus.STARTING
        if since and is_launched and last < datetime.fromisoformat(since):
            yield run, "Its process ended with the code server that had started it."
        # An event far ahead is from a wrong clock: such a run would never count as lost.
        elif abs(now - last) >= SILENCE:
            yield (
                run,
                f"It has logged nothing for {_MINUTES} minutes, so its process counts as gone.",
            )


def _broker_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Broker | None:
    """The broker in which ``run`` may wait; None for one that has begun, or was not handed over."""
    if run.status is not dg.DagsterRunStatus.STARTING or HANDED_OVER_TAG not in run.tags:
        return None
    launcher = instance.run_launcher
    return launcher if isinstance(launcher, Broker) else None


def _last_sign(instance: dg.DagsterInstance, record: dg.RunRecord) -> datetime:
    """The time of the run's newest event; of its creation, where there is none."""
    run_id = record.dagster_run.run_id
    newest = instance.get_records_for_run(run_id, limit=1, ascending=False).records
    if not newest:
        return record.create_timestamp.astimezone(UTC)
    return datetime.fromtimestamp(newest[0].event_log_entry.timestamp, UTC)


def _end(instance: dg.DagsterInstance, run: dg.DagsterRun, words: str, now: datetime) -> str:
    instance.add_run_tags(run.run_id, LOST | {LOST_AT_TAG: now.isoformat()})
    if run.status is dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run, words)
    else:
        instance.report_run_failed(run, words)
    return run.run_id
