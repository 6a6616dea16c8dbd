"""A world for the end-to-end tests: the simulator on a real port, a lake, a Dagster home.

Commands run in separate processes, without mocks; `run_cold` starts them as a user does.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import polars as pl

from returns_orchestration.clickpost import RetryPolicy, Timeouts
from returns_orchestration.flow.from_settings import build_pipeline
from returns_orchestration.flow.hours import HourPipeline
from returns_orchestration.lake import Lake, open_store
from returns_orchestration.settings import Settings, load_settings
from returns_orchestration.simulator import RequestRecord, Simulator
from returns_orchestration.window import Window, read_hour, windows_between
from support import forked
from support.lakes import files_of

KEY = "canary-KEY+&%/ 7f3a"
USER_NAME = "canary user@brand"
LIMIT = 300.0
"""Seconds after which a command has hung."""


class Hasty(RetryPolicy):
    """Waits a thousandth of a second where the API asks for up to a minute."""

    def granted(self, retry_after: float | None) -> float:
        return min(super().granted(retry_after), 0.001)


HASTY = Hasty(base_seconds=0.001, slowest_seconds=0.002)
BRIEF = Timeouts(connect=5, read=5, write=5, pool=5, total=20)
"""Longer than any answer takes on a loaded machine."""
SHORT = Timeouts(connect=2, read=1, write=2, pool=2, total=5)
"""For tests without an answer; on a loaded machine a real answer may seem to be missing."""


@dataclass
class World:
    """One simulator, one lake, one DAGSTER_HOME."""

    folder: Path
    simulator: Simulator
    base_url: str
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def lake(self) -> Path:
        return self.folder / "lake"

    @property
    def environment(self) -> dict[str, str]:
        """Every setting of this world, as environment variables."""
        return {
            "CLICKPOST_BASE_URL": self.base_url,
            "CLICKPOST_KEY": self.simulator.options.key,
            "CLICKPOST_USER_NAME": self.simulator.options.user_name,
            "CLICKPOST_MAX_REQUESTS_PER_SECOND": "1000",
            "RETURNS_LAKE": str(self.lake),
        } | self.variables

    @property
    def settings(self) -> Settings:
        return load_settings(env_file=self.folder / "none", **self.environment)

    def set_clock(self, clock: Callable[[], datetime]) -> None:
        """Set the simulator's clock to ``clock`` from now on."""
        self.simulator._desk.clock = clock

    def pipeline(self, timeouts: Timeouts = BRIEF) -> HourPipeline:
        """The pipeline with short waits, for tests that need no Dagster."""
        return build_pipeline(self.settings, retry=HASTY, timeouts=timeouts)

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """A command of the console script, with this world's settings; its imports are done."""
        environment = self.environment_of_processes | more
        return forked.run(arguments, self.folder, environment, LIMIT)

    def run_cold(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """The same as a user starts it; it takes seconds."""
        script = Path(sys.executable).with_name("returns-orchestration")
        return self.process(str(script), *arguments, **more)

    def process(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - our own command
            arguments,
            cwd=self.folder,
            env=self.environment_of_processes | more,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )

    @contextmanager
    def started(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """A command, under way, in a group of its own; its output is one stream.

        It ends with the test.
        """
        with subprocess.Popen(  # noqa: S603 - our own command
            [str(Path(sys.executable).with_name("returns-orchestration")), *arguments],
            cwd=self.folder,
            env=self.environment_of_processes,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                yield process
            except BaseException:
                process.terminate()
                raise

    @property
    def environment_of_processes(self) -> dict[str, str]:
        # Where `make` runs the tests, its variables would change what another `make` prints.
        others = ("CLICKPOST", "RETURNS", "MAKE", "MFLAGS")
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(others)}
        home = {"DAGSTER_HOME": str(self.folder / "dagster_home"), "COLUMNS": "200"}
        return inherited | home | self.environment

    def when_asked(self, requests: int) -> threading.Event:
        """An event that is set once the simulator has received that many more ``requests``."""
        journal, reached = self.simulator._journal, threading.Event()
        note, enough = journal.note, len(journal.records()) + requests

        def noting(record: RequestRecord) -> None:
            note(record)
            if len(journal.records()) >= enough:
                reached.set()

        journal.note = noting  # type: ignore[method-assign]
        return reached

    def scan(self, table: str) -> pl.DataFrame:
        """A reader's view of a table."""
        return pl.scan_parquet(f"{self.lake}/{table}/**/*.parquet").collect()

    def files(self) -> dict[str, bytes]:
        """Every file of the lake, without the log of polls, to which each poll adds."""
        return files_of(self.lake)

    def landed(self, windows: list[Window]) -> list[Window]:
        """The ``windows`` with a kept poll."""
        names = Lake(open_store(self.settings.lake)).names()
        return [window for window in windows if names.hour(window).polls]

    def asked(self) -> list[str]:
        """The start_time of every request so far."""
        return [str(request.start_time) for request in self.simulator.requests]


def hours(start: str, end: str) -> list[Window]:
    """The windows of [start, end)."""
    return list(windows_between(read_hour(start), read_hour(end)))
