"""A Celery worker for whole runs, one at a time: what `serve worker` starts.

Broker, result backend and queue are those of the run launcher in DAGSTER_HOME's dagster.yaml, so
that they are said once. Needs the extra `celery`.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import dagster as dg
from dagster_celery.tasks import create_execute_job_task, create_resume_job_task

from returns_orchestration.defs.celery_launcher import NOT_REDIS, PatientCeleryRunLauncher

if TYPE_CHECKING:
    from celery import Celery  # type: ignore[import-untyped]


def worker_app() -> tuple[Celery, str]:
    """The Celery app with Dagster's tasks, and the name of its queue."""
    # Closed before the worker forks: no connection to the database is shared.
    with dg.DagsterInstance.get() as instance:
        launcher = instance.run_launcher
    if not isinstance(launcher, PatientCeleryRunLauncher):
        sys.exit(
            "dagster.yaml in DAGSTER_HOME names no broker, so there are no runs to take. "
            "Put deploy/celery/dagster.yaml there."
        )
    if not launcher.is_redis:
        sys.exit(f"{NOT_REDIS} Correct CELERY_BROKER_URL.")
    create_execute_job_task(launcher.celery)
    create_resume_job_task(launcher.celery)
    return launcher.celery, launcher.default_queue


def main() -> None:
    """Take runs from the queue until SIGTERM or SIGINT; the one at work is finished first."""
    app, queue = worker_app()
    # Names differ also between workers on one machine, and between containers.
    name = f"--hostname=returns-{os.getpid()}@%h"
    app.worker_main(["worker", f"--queues={queue}", "--concurrency=1", name, "--loglevel=INFO"])


if __name__ == "__main__":
    main()
