"""Warm commands that a proof starts and kills, or changes before they begin.

A process that is killed five hundred times cannot import for two seconds each time.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess

from support.forked import become, context, main
from support.world import World

TOO_LONG = 1_200
"""Seconds after which a command hangs. Ten thousand returns take minutes beside other work."""

SAID = "said.txt"

Before = tuple[Callable[..., None], tuple[object, ...]]
Process = ForkServerProcess


class Warm:
    """Starts commands of the console script for ``world``; their output goes to ``said``."""

    def start(self, world: World, *arguments: str, before: Before | None = None) -> Process:
        """Start a command; ``before`` is called in its process first, with its arguments."""
        return self.call(world, main, *arguments, before=before)

    def call(
        self,
        world: World,
        function: Callable[..., None],
        *arguments: str,
        before: Before | None = None,
    ) -> Process:
        """Call ``function`` in a process that has the environment and the folder of ``world``."""
        world.folder.mkdir(parents=True, exist_ok=True)
        process = context().Process(
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


def _called(
    environment: dict[str, str],
    folder: str,
    function: Callable[..., None],
    arguments: tuple[str, ...],
    before: Before | None,
) -> None:
    become(environment, folder, _output)
    if before is not None:
        call, given = before
        call(*given)
    function(*arguments)


def _output() -> tuple[int, int]:
    output = os.open(SAID, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    return output, output
