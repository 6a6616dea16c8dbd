"""One place to measure in: a lake, a DAGSTER_HOME, and settings without outside influence.

Commands run in separate processes, as a user runs them, without the variables of the caller's
shell. A process's peak is the VmHWM of /proc, which an exec resets; resource usage would inherit
the peak of the parent process.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from returns_orchestration.defs.instance import CONFIGURATION, shipped_configuration
from returns_orchestration.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from returns_orchestration.settings import Settings

ROOT = Path(__file__).parents[1]
LOOK_SECONDS = 0.05
"""Time between two looks at the memory of a process."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended.

    Seconds from its start to its end, seconds of the processor, its code, what it printed.
    """

    seconds: float
    processor_seconds: float
    code: int
    output: str

    def or_die(self) -> Ended:
        """Itself; RuntimeError with its last output if it failed: a failure gives no figure."""
        if self.code:
            last = "\n".join(self.output.splitlines()[-20:])
            message = f"a measured process ended with {self.code}:\n{last}"
            raise RuntimeError(message)
        return self


@dataclass(frozen=True)
class Site:
    """A folder that holds one lake and one DAGSTER_HOME; ``variables`` are its other settings."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True)
        (self.home / CONFIGURATION).write_text(shipped_configuration())

    @property
    def lake(self) -> Path:
        """RETURNS_LAKE."""
        return self.folder / "lake"

    @property
    def home(self) -> Path:
        """DAGSTER_HOME."""
        return self.folder / "dagster_home"

    @property
    def settings(self) -> Settings:
        """The settings that its commands have, too."""
        return load_settings(self.folder / "no.env", **self._ours)

    @property
    def _ours(self) -> dict[str, str]:
        return {"RETURNS_LAKE": str(self.lake)} | self.variables

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Set DAGSTER_HOME to this one, for measurements in this process."""
        before = os.environ.get("DAGSTER_HOME")
        os.environ["DAGSTER_HOME"] = str(self.home)
        try:
            yield
        finally:
            os.environ.pop("DAGSTER_HOME")
            if before is not None:
                os.environ["DAGSTER_HOME"] = before

    def product(self, *arguments: str, at_look: Callable[[int], None] | None = None) -> Ended:
        """A command of ``returns-orchestration``."""
        return self.run("returns-orchestration", *arguments, at_look=at_look)

    def run(
        self, script: str, *arguments: str, at_look: Callable[[int], None] | None = None
    ) -> Ended:
        """A script of this environment, to its end; ``at_look`` gets its process id meanwhile."""
        printed = self.folder / "printed.txt"
        with printed.open("wb") as output:
            spent, began = _processor_seconds(), time.perf_counter()
            process = self._start(script, *arguments, output=output.fileno())
            while process.poll() is None:
                if at_look:
                    at_look(process.pid)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(LOOK_SECONDS)
            seconds = time.perf_counter() - began
        spent = _processor_seconds() - spent
        return Ended(seconds, spent, process.returncode, printed.read_text())

    @contextmanager
    def simulator(self, *options: str) -> Iterator[str]:
        """The bundled simulator in a separate process; gives its base URL."""
        process = self._start("returns-orchestration", "simulate", "--port", "0", *options)
        try:
            assert process.stdout
            line = process.stdout.readline().decode()
            if not line.startswith("CLICKPOST_BASE_URL="):
                message = f"the simulator did not start: {line or process.stdout.read().decode()}"
                raise RuntimeError(message)
            yield line.strip().split("=", 1)[1]
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate()

    def _start(
        self, script: str, *arguments: str, output: int = subprocess.PIPE
    ) -> subprocess.Popen[bytes]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("CLICKPOST", "RETURNS", "DAGSTER"))
        }
        ours = {"DAGSTER_HOME": str(self.home), "DAGSTER_DISABLE_TELEMETRY": "yes"}
        return subprocess.Popen(  # noqa: S603 - scripts of this very environment
            [str(Path(sys.executable).with_name(script)), *arguments],
            cwd=self.folder,
            env=inherited | ours | self._ours,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def _processor_seconds() -> float:
    """Processor seconds of all ended processes; only one runs here at a time."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime


class Memory:
    """Follows the memory of one process: the most it held, in MB, from one mark to the next."""

    def __init__(self) -> None:
        self.peaks: list[float] = []
        self._peak = 0.0

    def look(self, pid: int) -> None:
        """Note the most that was held so far; a process that has just ended gives no value."""
        with suppress(OSError):
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            held = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
            self._peak = max(self._peak, *(int(kilobytes) / 1024 for kilobytes in held), 0.0)

    def mark(self, pid: int | None = None) -> None:
        """Begin again, at the current memory of the process ``pid``."""
        self.peaks.append(self._peak)
        self._peak = 0.0
        if pid is not None:
            with suppress(OSError):  # it has just ended
                Path(f"/proc/{pid}/clear_refs").write_text("5")  # sets VmHWM to what is held now
