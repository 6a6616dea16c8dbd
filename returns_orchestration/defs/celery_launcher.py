"""Runs on Celery workers: the run launcher of deploy/celery/dagster.yaml.

It is Dagster's own but for some things. A run whose worker the broker cannot tell about counts as
running: Dagster would end it, though it may only be that the broker was started again. It knows
whether a run may still wait in the broker, for `lost_runs`. A run that a person terminates is shown
as such. Needs the extra `celery`; imported by no module but ``celery_worker``.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import dagster._check as check
from celery.result import denied_join_result  # type: ignore[import-untyped]
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import pack_value
from dagster_celery.config import TASK_EXECUTE_JOB_NAME
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_QUEUE_TAG
from kombu.exceptions import ChannelError

if TYPE_CHECKING:
    import dagster as dg
    from dagster._core.launcher import LaunchRunContext

NOT_REDIS: Final = "The broker of runs must be Redis."

_log = logging.getLogger(__name__)


class PatientCeleryRunLauncher(CeleryRunLauncher):
    """Configured like Dagster's ``CeleryRunLauncher``."""

    def launch_run(self, context: LaunchRunContext) -> None:
        """Hand a run to the broker."""
        # By its name: Dagster defines the task anew for each run, of which Celery warns each time.
        run = context.dagster_run
        origin = check.not_none(run.job_code_origin)
        arguments = ExecuteRunArgs(origin, run.run_id, None, set_exit_code_on_failure=True)
        task = self.celery.signature(
            TASK_EXECUTE_JOB_NAME,
            kwargs={"execute_job_args_packed": pack_value(arguments)},
            immutable=True,
        )
        # Nobody waits for the result. A connection that listens for it holds the daemon up for 20
        # seconds when it ends.
        with denied_join_result():
            self._launch_celery_task_run(run, task, routing_key=TASK_EXECUTE_JOB_NAME)

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Running, unless the broker knows that the run's task has failed or ended."""
        try:
            known = super().check_run_worker_health(run)
        except Exception as error:  # noqa: BLE001 - a client's errors say nothing about the run
            return CheckRunHealthResult(WorkerStatus.RUNNING, _not_known(error))
        if known.status is WorkerStatus.UNKNOWN:
            return CheckRunHealthResult(WorkerStatus.RUNNING, known.msg)
        return known

    def messages_in_queue_of(self, run: dg.DagsterRun) -> int | None:
        """How many messages wait in the queue of ``run``; None if the broker does not answer."""
        try:
            return self._messages(run.tags.get(DAGSTER_CELERY_QUEUE_TAG, self.default_queue))
        except Exception as error:  # noqa: BLE001 - each transport has errors of its own
            _log.warning("%s", _not_known(error))
            return None

    def broker_fault(self) -> str:
        """Why the broker cannot be used, in a sentence; "" if it answers."""
        try:
            if not self.is_redis:
                return NOT_REDIS
            self._messages(self.default_queue)
        except Exception as error:  # noqa: BLE001 - as above
            return _not_known(error)
        return ""

    @property
    def is_redis(self) -> bool:
        """Whether the broker is Redis. In no other one `lost_runs` finds the runs that wait."""
        with self.celery.connection_for_read() as connection:
            return bool(connection.transport.driver_type == "redis")

    def _messages(self, queue: str) -> int:
        with self.celery.connection_for_read() as connection:
            try:
                return int(connection.channel().queue_declare(queue, passive=True).message_count)
            except ChannelError:  # Redis has no empty queues
                return 0

    def terminate(self, run_id: str) -> bool:
        """End the run's task. Dagster's own lets the run look alive afterwards."""
        if (run := self._instance.get_run_by_id(run_id)) is not None:
            self._instance.report_run_canceling(run)
        return bool(super().terminate(run_id))


def _not_known(error: Exception) -> str:
    """Without the error's text, which may hold the broker's address and password."""
    return f"The broker of runs does not answer ({type(error).__name__})."
