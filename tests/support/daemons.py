"""The real dagster-daemon over the project, in both forms in which it is deployed.

``module``: the daemon loads the project itself, and starts a new code server every minute.
``server``: a separate code server serves the project for as long as the daemon lives.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from returns_orchestration.defs.instance import open_instance
from returns_orchestration.window import Window, last_settled
from support.world import World

PROJECT = Path(__file__).parents[2]
FORMS = ("module", "server")
TOGETHER = timedelta(seconds=30)
"""Requests that are closer together belong to one attempt: the client repeats within seconds.

The sensor looks once a minute, and the last repeat of an attempt is less than that before the next.
"""

LOOK_EVERY = 1.0


@dataclass
class Daemon:
    """A running daemon, and its instance."""

    world: World
    instance: dg.DagsterInstance
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    code_servers: set[str] = field(default_factory=set)

    def ticks(self, sensor: str) -> int:
        """How often ``sensor`` was evaluated."""
        found = [s for s in self.instance.all_instigator_state() if s.instigator_name == sensor]
        return sum(
            len(self.instance.get_ticks(s.instigator_origin_id, s.selector_id)) for s in found
        )

    def look_at_code_servers(self) -> None:
        """Note the process ids of the code servers that run now."""
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                command = (folder / "cmdline").read_bytes().split(b"\0")
                variables = (folder / "environ").read_bytes().split(b"\0")
                here = f"DAGSTER_HOME={self.world.folder / 'dagster_home'}".encode()
                if here in variables and b"api" in command and b"grpc" in command:
                    self.code_servers.add(folder.name)

    def attempts(self) -> list[datetime]:
        """The times of requests to the simulator; those close together count as one attempt."""
        found: list[datetime] = []
        newest: datetime | None = None
        for request in self.world.simulator.requests:
            if newest is None or request.time - newest >= TOGETHER:
                found.append(request.time)
            newest = request.time
        return found

    def wait(self, condition: Callable[[Daemon], bool], limit: timedelta) -> None:
        """Return once ``condition`` is true. Raises AssertionError after ``limit`` or a death."""
        never = threading.Event()
        for _ in range(int(limit.total_seconds() / LOOK_EVERY)):
            dead = [process.args for process in self.processes if process.poll() is not None]
            assert not dead, f"ended by itself: {dead}"
            self.look_at_code_servers()
            if condition(self):
                return
            never.wait(LOOK_EVERY)
        message = f"Waited {limit} in vain; asked at {[f'{at:%H:%M:%S}' for at in self.attempts()]}"
        raise AssertionError(message)


def one_hour_due(now: datetime | None = None) -> tuple[Window, dict[str, str]]:
    """The only hour that is due now, and settings so that none follows for over 40 minutes."""
    now = now or datetime.now(UTC)
    settle = timedelta(minutes=(now.minute - 10) % 60)
    window = last_settled(now, settle)
    minutes = str(int(settle.total_seconds() // 60))
    return window, {"RETURNS_START": window.start.isoformat(), "RETURNS_SETTLE_MINUTES": minutes}


@contextmanager
def daemon(world: World, form: str) -> Iterator[Daemon]:
    """The project's daemon in one of FORMS, with the shipped dagster.yaml."""
    home = world.folder / "dagster_home"
    before = os.environ.get("DAGSTER_HOME")
    os.environ["DAGSTER_HOME"] = str(home)
    try:
        with open_instance(world.settings) as instance, ExitStack() as stack:
            found = Daemon(world, instance)
            workspace = PROJECT / "workspace.yaml"
            if form == "server":
                port = _free_port()
                module = ("-m", "returns_orchestration.definitions")
                served = ("code-server", "start", "--port", str(port), *module)
                found.processes.append(stack.enter_context(_process(world, "dagster", *served)))
                workspace = world.folder / "workspace.yaml"
                address = f"host: localhost, port: {port}, location_name: returns"
                workspace.write_text(f"load_from:\n  - grpc_server: {{{address}}}\n")
            command = ("run", "-w", str(workspace))
            found.processes.append(stack.enter_context(_process(world, "dagster-daemon", *command)))
            yield found
    finally:
        os.environ.pop("DAGSTER_HOME")
        if before is not None:
            os.environ["DAGSTER_HOME"] = before


@contextmanager
def _process(world: World, script: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A separate process group, whose output goes to a file and which ends with the block."""
    command = [str(Path(sys.executable).with_name(script)), *arguments]
    with (
        (world.folder / f"{script}.log").open("wb") as log,
        subprocess.Popen(  # noqa: S603 - Dagster's own command
            command,
            cwd=PROJECT,
            env=world.environment_of_processes,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
