"""Services as processes of machines of their own, each with a folder that no other one sees."""

from __future__ import annotations

import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from support.postgres import Database
from support.redis_server import RedisServer
from support.supervisor import MARK, SCRIPT, kill_marked, marked
from support.world import World

CONFIGURATION = Path(__file__).parents[2] / "deploy/celery/dagster.yaml"


class Machine:
    """Some parts of `serve` on one machine. They may be killed and started again."""

    def __init__(
        self, folder: Path, configuration: str, variables: dict[str, str], parts: tuple[str, ...]
    ) -> None:
        self.home = folder / "dagster_home"
        self.home.mkdir(parents=True)
        (self.home / "dagster.yaml").write_text(configuration)
        self.log = folder / "log"
        self._folder, self._parts = folder, parts
        self._variables = variables | {"DAGSTER_HOME": str(self.home)}
        self._mark = ""
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start all parts."""
        self._mark = str(uuid.uuid4())
        for part in self._parts:
            with self.log.open("ab") as log:
                process = subprocess.Popen(  # noqa: S603 - our own command
                    [SCRIPT, "serve", part],
                    cwd=self._folder,
                    env=self._variables | {MARK: self._mark},
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            self._processes.append(process)

    def kill(self) -> None:
        """End all processes of the machine by a signal that they cannot catch."""
        if self._mark:
            kill_marked(f"{MARK}={self._mark}")
        for process in self._processes:
            process.wait()
        self._processes = []

    def stop(self) -> list[int]:
        """End the parts as a service manager does; their exit codes."""
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
        return [process.wait() for process in self._processes]

    @property
    def processor_seconds(self) -> float:
        """What its living processes, and those that they have waited for, have used so far."""
        ticks = 0
        for process in marked(f"{MARK}={self._mark}"):
            with suppress(OSError):
                stat = Path(f"/proc/{process}/stat").read_text()
                # After the name in brackets, which may have spaces: fields 14 to 17 of proc(5).
                ticks += sum(int(field) for field in stat.rpartition(")")[2].split()[11:15])
        return ticks / os.sysconf("SC_CLK_TCK")

    @property
    def said(self) -> str:
        """The output of its parts."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""


class Cluster:
    """Machines that share a broker, a database and the lake of ``world``, and nothing else."""

    def __init__(self, world: World, database: Database, broker: RedisServer) -> None:
        self.world = world
        self.database = database
        self.broker = broker
        self.configuration = CONFIGURATION.read_text()
        self.machines: dict[str, Machine] = {}

    @property
    def variables(self) -> dict[str, str]:
        """The environment of each machine, but for DAGSTER_HOME."""
        own = self.database.variables | self.broker.variables
        return self.world.environment_of_processes | own

    def machine(self, name: str, *parts: str) -> Machine:
        """A machine, which is started."""
        made = Machine(self.world.folder / name, self.configuration, self.variables, parts)
        self.machines[name] = made
        made.start()
        return made


@contextmanager
def cluster(world: World, database: Database) -> Iterator[Cluster]:
    """A broker, and machines that end with the block."""
    with RedisServer.running() as broker:
        made = Cluster(world, database, broker)
        try:
            yield made
        finally:
            for machine in made.machines.values():
                machine.kill()
