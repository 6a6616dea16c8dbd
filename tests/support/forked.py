"""Commands in separate processes that start warm: forked from one that has imported Dagster.

A command takes 50 ms then, and up to three seconds where it must import first. Each still has a
process, an environment, a folder and outputs of its own. The fork server of multiprocessing only
imports, so no thread and no file is inherited.
"""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import cache
from multiprocessing import connection, forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path
from unittest.mock import patch

PROJECT = Path(__file__).parents[2]
PRELOADED = ["returns_orchestration.cli", "returns_orchestration.definitions", "support.world"]

OUT, ERR = "stdout", "stderr"

_one_at_a_time = threading.Lock()
"""Held to start and to end a process: each start also reads how the others ended, once for all."""


@cache
def context() -> ForkServerContext:
    """What starts processes by the fork server, which begins now if it has not yet.

    It imports in the project's folder and without settings, whatever the test at hand has set.
    """
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(PRELOADED)
    ours = ("CLICKPOST", "RETURNS", "DAGSTER")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    clean["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    with contextlib.chdir(PROJECT), patch.dict(os.environ, clean, clear=True):
        forkserver.ensure_running()
    return found


def run(
    arguments: tuple[str, ...], folder: Path, environment: dict[str, str], seconds: float
) -> subprocess.CompletedProcess[str]:
    """Run a command of the console script to its end, like `subprocess.run`."""
    with tempfile.TemporaryDirectory() as outputs:
        with _one_at_a_time:
            given = (arguments, str(folder), environment, outputs)
            process = context().Process(target=_called, args=given)
            process.start()
        if not connection.wait([process.sentinel], seconds):
            process.kill()
            raise subprocess.TimeoutExpired(arguments, seconds)
        with _one_at_a_time:
            process.join()
            code = process.exitcode
            process.close()
        assert code is not None
        out, err = (Path(outputs, name).read_text(encoding="utf-8") for name in (OUT, ERR))
        return subprocess.CompletedProcess(arguments, code, out, err)


def become(
    environment: dict[str, str], folder: str, outputs: Callable[[], tuple[int, int]]
) -> None:
    """Take over what a new process would have been started with."""
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(folder)
    for number, output in enumerate(outputs(), start=1):
        os.dup2(output, number)


def main(*arguments: str) -> None:
    """The console script."""
    from returns_orchestration.cli import main  # noqa: PLC0415 - preloaded where this is called

    sys.argv = ["returns-orchestration", *arguments]
    sys.exit(main())  # type: ignore[func-returns-value]


def _called(
    arguments: tuple[str, ...], folder: str, environment: dict[str, str], outputs: str
) -> None:
    def opened() -> tuple[int, int]:
        out, err = (
            os.open(Path(outputs, name), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            for name in (OUT, ERR)
        )
        return out, err

    become(environment, folder, opened)
    try:
        main(*arguments)
    finally:
        # multiprocessing ends its processes without these, which a command's own end runs.
        atexit._run_exitfuncs()
