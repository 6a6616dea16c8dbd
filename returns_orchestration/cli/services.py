"""The processes of a deployment: code server, daemon, webserver, workers; watched and ended.

The code server is separate from the daemon, which would else replace its own every minute (Dagster
1.13). It is one process: that of `dagster code-server start` has another one below it, which ends
30 seconds after a sleep of the machine began and is not started again. A service whose DAGSTER_HOME
is deleted or replaced would go on with open files of the old one for ever; here it ends, so that
its supervisor starts it on a new one.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import typer

from returns_orchestration.env_file import ENV_FILE_VARIABLE, env_file
from returns_orchestration.errors import SettingsError
from returns_orchestration.settings import dagster_home

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from returns_orchestration.settings import Settings

HOST: Final = "127.0.0.1"
PORT: Final = 3000
MODULE: Final = "returns_orchestration.definitions"
LONGEST_PATH: Final = 100
"""Characters of a socket's path; most systems allow 107 or 103."""

WATCH_SECONDS: Final = 0.5
END_SECONDS: Final = 20.0
END_SECONDS_OF_WORKER: Final = 300.0
"""A worker finishes the run at work; one that is cut off would be taken for lost after a while."""

CLOCK_BACK_SECONDS: Final = 120.0
"""A step back by more makes Dagster wait for the time that it has seen already."""


class Part(StrEnum):
    """A process of a deployment."""

    CODE_SERVER = "code-server"
    DAEMON = "daemon"
    WEBSERVER = "webserver"
    WORKER = "worker"

    @property
    def seconds_to_end(self) -> float:
        """How long it may take to end."""
        return END_SECONDS_OF_WORKER if self is Part.WORKER else END_SECONDS


class Services:
    """Some parts on one DAGSTER_HOME, which end together."""

    def __init__(self, settings: Settings, *, quiet: bool = False) -> None:
        """Make DAGSTER_HOME and the files in it. Raises LakeUnwritable or SettingsError."""
        from returns_orchestration.defs.instance import check_launcher, open_instance  # noqa: PLC0415 - Dagster is slow to import
        from returns_orchestration.defs.ticks import bring_back, complete_states  # noqa: PLC0415

        self._home = dagster_home(settings)
        # This makes the databases, or gives the reason why not.
        with open_instance(settings) as instance:
            check_launcher(instance)
            complete_states(instance)
            late = bring_back(instance, datetime.now(UTC))
        if late:
            typer.echo(
                f"The last ticks of {', '.join(sorted(late))} were in the future: the clock was "
                "ahead. They are brought back to now.",
                err=True,
            )
        self._level = "warning" if quiet else "info"
        # Dagster's commands read a .env in their folder over the environment, and ours do not. So
        # they run in another folder, and get the places of both.
        self._environment = os.environ | {"RETURNS_LAKE": settings.lakes}
        if settings.accounts is not None:
            self._environment["RETURNS_ACCOUNTS"] = str(settings.accounts)
        if env_file().is_file():
            self._environment[ENV_FILE_VARIABLE] = str(env_file().absolute())
        self._address = _address(self._home)
        self._workspace = _workspace(self._home, self._address)
        self._files = _opened(self._home)
        self._processes: dict[Part, subprocess.Popen[bytes]] = {}
        self._stopped = False

    def __enter__(self) -> Self:
        """Take Ctrl-C and SIGTERM as a wish to end all parts."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)
        return self

    def __exit__(self, *_: object) -> None:
        """End the parts and all processes that they started."""
        for part in reversed(self._processes):
            self._processes[part].send_signal(signal.SIGINT)
        for part, process in self._processes.items():
            _end(process, part.seconds_to_end)
        for file in self._files.values():
            os.close(file)

    def start(
        self, part: Part, host: str = HOST, port: int = PORT, *, read_only: bool = False
    ) -> None:
        """Start a part; ``host``, ``port`` and ``read_only`` are of the webserver."""
        at = ["--workspace", str(self._workspace)]
        quiet = ["--log-level", self._level]
        arguments = {
            Part.CODE_SERVER: [
                *("dagster", "api", "grpc", "--socket", str(self._address)),
                *("--module-name", MODULE, "--lazy-load-user-code", *quiet),
                "--use-python-environment-entry-point",
            ],
            Part.DAEMON: ["dagster._daemon", "run", *at, *quiet],
            Part.WEBSERVER: [
                *("returns_orchestration.defs.webserver", *at),
                *("--host", host, "--port", str(port)),
                *("--log-level", "warning", "--dagster-log-level", self._level),
                *(["--read-only"] if read_only else []),
            ],
            Part.WORKER: ["returns_orchestration.defs.celery_worker"],
        }[part]
        from returns_orchestration.defs.lost_runs import CODE_SERVER_SINCE  # noqa: PLC0415

        # Dagster notes of its own commands that newer ones exist: no news for a user of ours.
        command = [sys.executable, "-W", "ignore:Function", "-m", *arguments]
        since = {CODE_SERVER_SINCE: datetime.now(UTC).isoformat()}
        self._processes[part] = subprocess.Popen(  # noqa: S603 - our own command
            command, cwd=self._home, env=self._environment | since, start_new_session=True
        )

    def wait_until(self, is_ready: Callable[[], bool], seconds: float) -> bool:
        """Whether ``is_ready`` becomes true in time; False once a part has ended."""
        deadline = time.monotonic() + seconds
        while not (ready := is_ready()) and time.monotonic() < deadline:
            if self._stopped or any(p.poll() is not None for p in self._processes.values()):
                return False
            time.sleep(0.1)
        return ready

    def code_server_answers(self) -> bool:
        """Whether the code server accepts connections."""
        with socket.socket(socket.AF_UNIX) as connection, suppress(OSError):
            connection.connect(str(self._address))
            return True
        return False

    def run(self) -> int:
        """Wait for the end; the exit code: 0 after Ctrl-C or SIGTERM, else 1."""
        highest = _clock()  # of all that were seen: it may go ahead first
        while not self._stopped:
            now = _clock()
            highest = max(highest, now)
            if now < highest - CLOCK_BACK_SECONDS:
                typer.echo(
                    "The clock went back: the next start brings what Dagster has noted since back "
                    "to the present.",
                    err=True,
                )
                return 1
            for part, process in self._processes.items():
                if process.poll() is not None:
                    typer.echo(
                        f"The {part} ended by itself, exit code {process.returncode}.", err=True
                    )
                    return 1
            if not all(_is_in_place(path, file) for path, file in self._files.items()):
                typer.echo(
                    f"DAGSTER_HOME, {self._home}, was deleted, moved or replaced. The next start "
                    "makes a new one; what the lake holds is reported to it without a request.",
                    err=True,
                )
                return 1
            time.sleep(WATCH_SECONDS)
        return 0

    def _stop(self, _: int, __: FrameType | None) -> None:
        if not self._stopped:
            seconds = max((part.seconds_to_end for part in self._processes), default=END_SECONDS)
            typer.echo(f"Stopping, which takes up to {seconds:.0f} seconds ...")
        self._stopped = True


def _clock() -> float:
    """The time of day less a clock that nobody can set. It falls if somebody sets the time back."""
    return time.time() - time.monotonic()


def _address(home: Path) -> Path:
    """Where the code server listens; only this user may connect. Raises SettingsError."""
    beside = home / "code-server.sock"
    if len(str(beside)) <= LONGEST_PATH:
        return beside
    folder = Path(tempfile.gettempdir()) / f"returns-orchestration-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise SettingsError(
            f"{folder} belongs to another user.",
            next_step=f"Set DAGSTER_HOME to a path of at most {LONGEST_PATH - 17} characters.",
        )
    return folder / f"{sha256(str(home).encode()).hexdigest()[:16]}.sock"


def _workspace(home: Path, address: Path) -> Path:
    """A file by which daemon and webserver find the code server.

    Its location has the name that the project's workspace.yaml gives it: Dagster keeps the cursors
    of sensors by that name. Several services write the same file, so it is replaced whole.
    """
    file, new = home / "workspace.yaml", home / f".workspace-{os.getpid()}"
    server = {"socket": str(address), "location_name": MODULE}
    new.write_text(json.dumps({"load_from": [{"grpc_server": server}]}))  # JSON is YAML, too
    return new.replace(file)


def _opened(home: Path) -> dict[Path, int]:
    """Files of ``home``, kept open, by their paths."""
    names = ("dagster.yaml", "history/runs/index.db", "history/runs.db")
    paths = [home / name for name in names if (home / name).is_file()]
    return {path: os.open(path, os.O_RDONLY) for path in paths}


def _is_in_place(path: Path, file: int) -> bool:
    """Whether the open ``file`` is still the one at ``path``, and was not moved or replaced."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False


def _end(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait for the end of a process and of those that it started, then make it."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
