"""One run of a job in a separate process, at a given moment: the tests kill it.

As a script it reads the run and the moment from its standard input.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime
from typing import Any

import dagster as dg
from dagster._core.test_utils import freeze_time

from returns_orchestration.defs.code_location import build_defs
from returns_orchestration.defs.instance import open_instance
from returns_orchestration.settings import load_settings
from support.world import HASTY, World

AWAITED = 60.0
"""Seconds until a test fails that waits for a process; a healthy one needs five."""


def run_and_kill(  # noqa: PLR0917 - what a run is
    world: World,
    home: str,
    job: str,
    request: dg.RunRequest,
    now: datetime,
    requests: int,
) -> None:
    """Start ``request`` as of ``now`` and kill it once it has sent that many ``requests``."""
    reached = world.when_asked(requests)
    asked = {
        "now": now.isoformat(),
        "job": job,
        "tags": dict(request.tags),
        "run_config": dict(request.run_config),
    }
    with subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, __file__],
        env=world.environment_of_processes
        | {"DAGSTER_HOME": home, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdin
            process.stdin.write(json.dumps(asked))
            process.stdin.close()
            assert reached.wait(AWAITED), "The run did not come to where it was to be killed."
            assert process.poll() is None
        finally:
            process.kill()


def execute(
    definitions: dg.Definitions, instance: dg.DagsterInstance, now: datetime, **asked: Any
) -> dg.ExecuteInProcessResult:
    """Run a job as of ``now``, which is the time of Dagster's events, too."""
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with freeze_time(now):
        return (
            definitions.get_repository_def()
            .get_job(asked.pop("job"))
            .execute_in_process(
                instance=instance,
                raise_on_error=False,
                run_config={**asked.pop("run_config"), **quiet},
                **asked,
            )
        )


def main() -> None:
    """The run comes as JSON; the settings come from the environment as usual."""
    asked: dict[str, Any] = json.load(sys.stdin)
    now = datetime.fromisoformat(asked.pop("now"))
    settings = load_settings()
    with open_instance(settings) as instance:
        execute(build_defs(settings, clock=lambda: now, retry=HASTY), instance, now, **asked)


if __name__ == "__main__":
    main()
