"""Commands in separate processes that start warm: forked from one that has imported Dagster.

A process that is killed five hundred times cannot import for two seconds each time. The fork server
of multiprocessing only imports, so no thread and no file is inherited.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerProcess

from support.world import World

PRELOADED = ["returns_orchestration.cli", "returns_orchestration.definitions", "proof.warm"]
TOO_LONG = 120
"""Seconds after which a command that should take one counts as hanging."""

SAID = "said.txt"

Before = tuple[Callable[..., None], tuple[object, ...]]
Process = ForkServerProcess


class Warm:
    """Starts commands of the console script for ``world``; their output goes to ``said``."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")

    def start(self, world: World, *arguments: str, before: Before | None = None) -> Process:
        """Start a command; ``before`` is called in its process first, with its arguments."""
        return self.call(world, _main, *arguments, before=before)

    def call(
        self,
        world: World,
        function: Callable[..., None],
        *arguments: str,
        before: Before | None = None,
    ) -> Process:
        """Call ``function`` in a process that has the environment and the folder of ``world``."""
        world.folder.mkdir(parents=True, exist_ok=True)
        process = self._context.Process(
            target=_called,
            args=(world.environment_of_processes, str(world.folder), function, arguments, before),
        )
        process.start()
        return process

    def run(self, world: World, *arguments: str) -> str:
        """Run a command to its end; gives its output if it did not exit with 0."""
        process = self.start(world, *arguments)
        process.join(TOO_LONG)
        if process.exitcode is None:
            process.kill()
            process.join()
        return "" if process.exitcode == 0 else f"exit {process.exitcode}: {said(world)}"


def said(world: World) -> str:
    """The output of the newest command of ``world``."""
    return (world.folder / SAID).read_text(errors="replace")[-1_500:]


@contextlib.contextmanager
def warm() -> Iterator[Warm]:
    """Give the fork server the import path of this process."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    try:
        yield Warm()
    finally:
        os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)


def _called(
    environment: dict[str, str],
    folder: str,
    function: Callable[..., None],
    arguments: tuple[str, ...],
    before: Before | None,
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    output = os.open(SAID, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    if before is not None:
        call, given = before
        call(*given)
    function(*arguments)


def _main(*arguments: str) -> None:
    from returns_orchestration.cli import main  # noqa: PLC0415 - preloaded where this is called

    sys.argv = ["returns-orchestration", *arguments]
    main()
