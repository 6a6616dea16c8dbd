"""Runs the commands of the shipped units as systemd does: each is started again when it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from support.world import World

UNITS = sorted((Path(__file__).parents[2] / "deploy/systemd").glob("*.service"))
INSTALLED = "/opt/returns-orchestration/bin/returns-orchestration"
SCRIPT = str(Path(sys.executable).with_name("returns-orchestration"))
RESTART_SECONDS = 1
CODE_SERVER, DAEMON, WEBSERVER = "code-server", "daemon", "webserver"
RECEIVER = "receive"
MARK = "SUPERVISED_AS"


class Supervisor:
    """Each part with all that it starts, as in a control group of its own.

    ``variables`` are the environment of what is started from then on, ``starts`` counts. A part
    in ``held`` is not started again until it is taken out.
    """

    def __init__(self, world: World, port: int, log: Path | None = None) -> None:
        self.variables = dict(world.environment_of_processes)
        self.starts: dict[str, int] = {}
        self.held: set[str] = set()
        self._log = log
        self._folder = world.folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._marks: dict[str, str] = {}
        self._ending = False
        self._pause = threading.Event()
        self._threads = []
        for unit in UNITS:
            (command,) = re.findall(r"^ExecStart=(.+)$", unit.read_text(), re.MULTILINE)
            if command.endswith(f" {WEBSERVER}"):
                command += f" --port {port}"
            if command.endswith(f" {RECEIVER}") and "RETURNS_WEBHOOK_KEYS" not in self.variables:
                continue
            thread = threading.Thread(
                target=self._keep, args=(command.replace(INSTALLED, SCRIPT).split(),)
            )
            self._threads.append(thread)
            thread.start()

    def _keep(self, command: list[str]) -> None:
        part = RECEIVER if RECEIVER in command else command[2]
        while not self._ending:
            if part not in self.held:
                self._start(part, command)
            self._pause.wait(RESTART_SECONDS)

    def _start(self, part: str, command: list[str]) -> None:
        self.starts[part] = self.starts.get(part, 0) + 1
        self._marks[part] = f"{MARK}={uuid.uuid4()}"
        with Path(self._log or os.devnull).open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - our own command
                command,
                cwd=self._folder,
                env=self.variables | dict([self._marks[part].split("=")]),
                start_new_session=True,
                stdout=log if self._log else None,
                stderr=log if self._log else None,
            )
        self._processes[part] = process
        process.wait()
        self.signal(part, signal.SIGKILL)  # what it has left, as systemd does

    def signal(self, part: str, number: int) -> None:
        """Send a signal to a part and all that it has started, in whatever session."""
        if number == signal.SIGKILL:
            kill_marked(self._marks[part])
            return
        for process in marked(self._marks[part]):
            with suppress(ProcessLookupError):
                os.kill(process, number)

    def end(self) -> None:
        """Stop all parts."""
        self._ending = True
        for part, process in self._processes.items():
            self.signal(part, signal.SIGCONT)
            process.send_signal(signal.SIGTERM)
        for thread in self._threads:
            thread.join()


def kill_marked(mark: str) -> None:
    """Kill all processes with ``mark``, and what they start meanwhile."""
    while found := marked(mark):
        for process in found:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


def marked(mark: str) -> list[int]:
    """The processes that have ``mark`` in their environment, which those that they start inherit.

    As root of no control group a test has no other way to find what a killed parent has left.
    """
    found: list[int] = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark.encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


@contextmanager
def supervised(world: World, port: int, log: Path | None = None) -> Iterator[Supervisor]:
    """The three services; their output goes to ``log``."""
    supervisor = Supervisor(world, port, log)
    try:
        yield supervisor
    finally:
        supervisor.end()


def wait_for(what: str, is_so: Callable[[], bool], seconds: float = 300) -> None:
    """Return once it is so. Raises AssertionError after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"after {seconds:.0f} s: {what}"
        threading.Event().wait(0.5)


def materialized(port: int) -> int:
    """How many hours of `returns` the UI shows as materialized."""
    query = """{ assetNodeOrError(assetKey: {path: ["returns"]}) { ... on AssetNode {
        partitionStats { numMaterialized } } } }"""
    with suppress(httpx.HTTPError, KeyError, TypeError):
        answer = httpx.post(
            f"http://127.0.0.1:{port}/graphql", json={"query": query}, timeout=20, trust_env=False
        )
        return int(answer.json()["data"]["assetNodeOrError"]["partitionStats"]["numMaterialized"])
    return 0
