"""Dagster as it is deployed, one step at a time: requests of the UI, steps of the daemon.

The code server and its runs are processes; the tests run the daemon's loops by hand, so that they
need not wait for their 30 seconds.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.execution.backfill import BULK_ACTION_TERMINAL_STATUSES, PartitionBackfill
from dagster._core.remote_representation.external import RemoteRepository
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._daemon.backfill import execute_backfill_iteration
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from dagster_graphql.test.utils import execute_dagster_graphql

from returns_orchestration.defs.instance import CONFIGURATION, open_instance, shipped_configuration
from returns_orchestration.defs.lost_runs import UNDER_WAY
from returns_orchestration.defs.registry import HOURLY
from returns_orchestration.settings import Settings
from returns_orchestration.window import Window

PROJECT = Path(__file__).parents[2]
WAIT_AT_THE_END = "code_servers:\n  wait_for_local_processes_on_shutdown: true\n"
ROUNDS = 6
"""The most looks at a backfill of one run before the test fails; two or three should do."""

AWAITED = 180.0
"""Seconds until a test fails that waits for processes; a request without an answer takes 60."""

LOOK_EVERY = 0.2

LAUNCH = """mutation ($what: LaunchBackfillParams!) {
  launched: launchPartitionBackfill(backfillParams: $what) {
    ... on LaunchBackfillSuccess { backfillId }
    __typename ... on Error { message }
  }
}"""
REPEAT = """mutation ($what: ReexecutionParams!) {
  launched: reexecutePartitionBackfill(reexecutionParams: $what) {
    ... on LaunchBackfillSuccess { backfillId }
    __typename ... on Error { message }
  }
}"""
REPEAT_RUN = """mutation ($what: ReexecutionParams!) {
  launched: launchRunReexecution(reexecutionParams: $what) {
    ... on LaunchRunSuccess { run { runId } }
    __typename ... on Error { message }
  }
}"""
COUNTS = """query ($id: String!) {
  partitionBackfillOrError(backfillId: $id) {
    ... on PartitionBackfill {
      assetBackfillData {
        assetBackfillStatuses {
          ... on AssetPartitionsStatusCounts {
            assetKey { path } numPartitionsMaterialized numPartitionsFailed
          }
        }
      }
    }
  }
}"""


class Deployment:
    """A workspace with a running code server, and the daemon's loops."""

    def __init__(self, instance: dg.DagsterInstance, workspace: WorkspaceProcessContext) -> None:
        self.instance = instance
        self._workspace = workspace
        self._queue = QueuedRunCoordinatorDaemon(interval_seconds=1)

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The answer of the UI's server."""
        context = self._workspace.create_request_context()
        answer = execute_dagster_graphql(context, query, variables)
        assert not answer.errors
        assert "message" not in answer.data.get("launched", {}), answer.data
        return dict(answer.data)

    def repository(self) -> tuple[dict[str, str], RemoteRepository]:
        """The project as the code server shows it, and how a query names it."""
        (location,) = self._workspace.create_request_context().code_locations
        (found,) = location.get_repositories().values()
        return {"repositoryLocationName": location.name, "repositoryName": found.name}, found

    def backfill(self, windows: Sequence[Window], prefix: Sequence[str] = ()) -> str:
        """Like *Materialize all*; ``prefix`` is that of an account's assets."""
        what = {
            "assetSelection": [{"path": [*prefix, name]} for name in HOURLY],
            "partitionNames": [window.key for window in windows],
        }
        return str(self.ask(LAUNCH, what=what)["launched"]["backfillId"])

    def repeat(self, backfill: str, strategy: str) -> str:
        """Like *Re-execute* on a backfill's page; ``strategy`` as there."""
        what = {"parentRunId": backfill, "strategy": strategy}
        return str(self.ask(REPEAT, what=what)["launched"]["backfillId"])

    def repeat_run(self, run: str, strategy: str) -> str:
        """Like *Re-execute* on a run's page."""
        what = {"parentRunId": run, "strategy": strategy}
        return str(self.ask(REPEAT_RUN, what=what)["launched"]["run"]["runId"])

    def look(self) -> None:
        """One look at the backfills and one at the queue."""
        errors = execute_backfill_iteration(self._workspace, logging.getLogger(__name__))
        assert [error for error in errors if error] == []
        list(self._queue.run_iteration(self._workspace))

    def finish(self, backfill: str) -> PartitionBackfill:
        """Look until the backfill has ended."""
        for _ in range(ROUNDS):
            self.look()
            self.finish_runs()
            found = self.instance.get_backfill(backfill)
            assert found
            if found.status in BULK_ACTION_TERMINAL_STATUSES:
                return found
        message = f"The backfill has not ended after {ROUNDS} looks."
        raise AssertionError(message)

    def finish_runs(self) -> None:
        """Start the queued runs, one after another, until the last process has ended."""
        until(self._has_no_runs)

    def _has_no_runs(self) -> bool:
        list(self._queue.run_iteration(self._workspace))
        statuses = [dg.DagsterRunStatus.QUEUED, *UNDER_WAY]
        return not self.instance.get_runs(dg.RunsFilter(statuses=statuses))

    def kill(self, run: str) -> None:
        """Kill the run's process by a signal that it cannot catch."""
        records = self.instance.get_records_for_run(run, of_type=dg.DagsterEventType.ENGINE_EVENT)
        pids = [
            entry.value
            for record in records.records
            if (data := record.event_log_entry.dagster_event.event_specific_data) is not None
            if (entry := data.metadata.get("pid")) is not None
        ]
        os.kill(int(pids[0]), signal.SIGKILL)

    def counts(self, backfill: str) -> dict[str, tuple[int, int]]:
        """By asset, the hours that the backfill's page shows as completed and as failed."""
        found = self.ask(COUNTS, id=backfill)["partitionBackfillOrError"]["assetBackfillData"]
        return {
            status["assetKey"]["path"][0]: (
                status["numPartitionsMaterialized"],
                status["numPartitionsFailed"],
            )
            for status in found["assetBackfillStatuses"]
        }


@contextmanager
def deployed(
    settings: Settings, home: Path, configuration: str | None = None
) -> Iterator[Deployment]:
    """The project's workspace with its code server; they read the settings in the environment.

    The instance is the project's own, by the shipped ``configuration`` if none is given; its code
    server is waited for at the end.
    """
    home.mkdir()
    text = configuration or shipped_configuration()
    (home / CONFIGURATION).write_text(text + WAIT_AT_THE_END)
    target = WorkspaceFileTarget([str(PROJECT / "workspace.yaml")])
    with (
        open_instance(settings) as instance,
        WorkspaceProcessContext(instance, target) as workspace,
    ):
        yield Deployment(instance, workspace)


def until(condition: Callable[[], bool]) -> None:
    """Wait for another process."""
    never = threading.Event()
    for _ in range(int(AWAITED / LOOK_EVERY)):
        if condition():
            return
        never.wait(LOOK_EVERY)
    message = f"Waited {AWAITED:.0f} seconds in vain."
    raise AssertionError(message)
