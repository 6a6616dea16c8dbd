"""`dev`: Dagster's UI and daemon on this machine, with the simulator where no key is set."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import httpx
import typer

from returns_orchestration.cli import demo_lake
from returns_orchestration.cli.config import print_warnings
from returns_orchestration.env_file import ENV_FILE_VARIABLE, env_file
from returns_orchestration.errors import SettingsError
from returns_orchestration.settings import load_settings
from returns_orchestration.settings_source import sources

if TYPE_CHECKING:
    from types import FrameType

    from returns_orchestration.settings import Settings

HOST = "127.0.0.1"
START_SECONDS = 180.0
"""How long Dagster may take until its UI answers."""

END_SECONDS = 20.0


def dev(
    port: Annotated[int, typer.Option(help="Port of the UI.", min=1, max=65535)] = 3000,
    simulator_port: Annotated[
        int, typer.Option(help="Port of the simulator, if it is needed.", min=1, max=65535)
    ] = demo_lake.SIMULATOR_PORT,
) -> None:
    """Serve Dagster's UI on this machine and run its daemon, until Ctrl-C.

    Where no credentials are set, the simulator answers in place of ClickPost, and its returns go to
    the demo's lake.
    """
    settings = load_settings()
    is_demo = demo_lake.is_used()
    if not is_demo and settings.key is None and settings.user_name is None:
        typer.echo("No credentials are set, so this is the demo, with invented returns.")
        demo_lake.prepare()
        demo_lake.use()
        is_demo = True
    print_warnings()
    _ensure_free(port)
    with ExitStack() as stack:
        if is_demo:
            stack.enter_context(demo_lake.simulator(simulator_port))
        if sources()["RETURNS_DAGSTER_URL"] == "default":
            os.environ["RETURNS_DAGSTER_URL"] = f"http://{HOST}:{port}"
        settings = load_settings()
        # Dagster's command reads a .env in its folder over the environment, and ours does not.
        # So it runs in another folder, and is told where both are.
        os.environ["RETURNS_LAKE"] = settings.lake
        if env_file().is_file():
            os.environ[ENV_FILE_VARIABLE] = str(env_file().absolute())
        typer.echo(f"The lake is {settings.lake}. Dagster starts, which takes some seconds ...")
        raise typer.Exit(_serve(port, settings))


def _ensure_free(port: int) -> None:
    """Raise SettingsError where another program listens on ``port``."""
    try:
        with socket.create_server((HOST, port)):
            pass
    except OSError:
        raise SettingsError(
            f"Port {port} is taken by another program, perhaps an earlier `dev`.",
            next_step="End that program, or choose another port with --port.",
        ) from None


def _serve(port: int, settings: Settings) -> int:
    """Run `dagster dev` until it ends or a signal comes; the exit code."""
    from returns_orchestration.defs.instance import dagster_home, open_instance  # noqa: PLC0415 - Dagster is slow to import

    with open_instance(settings):  # makes DAGSTER_HOME and its databases, or says why not
        pass
    module = "returns_orchestration.definitions"
    # Dagster says of its own command that another one is newer: no news for whoever runs ours.
    quiet = ("-W", "ignore:Function")
    command = [sys.executable, *quiet, "-m", "dagster", "dev", "--host", HOST, "--port", str(port)]
    command += ["--module-name", module, "--log-level", "warning"]
    dagster = subprocess.Popen(command, cwd=dagster_home(settings), start_new_session=True)  # noqa: S603 - our own command
    stopped = False

    def stop(_: int, __: FrameType | None) -> None:
        nonlocal stopped
        if not stopped:
            typer.echo("Stopping, which takes up to 20 seconds ...")
        stopped = True
        dagster.send_signal(signal.SIGINT)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    try:
        if _answers(dagster, port):
            typer.echo(f"Dagster's UI: http://{HOST}:{port} (Ctrl-C ends it)")
        code = dagster.wait()
    finally:
        _end(dagster)
    return 0 if stopped else code or 1


def _answers(dagster: subprocess.Popen[bytes], port: int) -> bool:
    """Whether the UI answers in time; False once Dagster has ended."""
    deadline = time.monotonic() + START_SECONDS
    while dagster.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(f"http://{HOST}:{port}/server_info", trust_env=False).is_success:
                return True
        except httpx.HTTPError:
            time.sleep(0.2)
    return False


def _end(dagster: subprocess.Popen[bytes]) -> None:
    """End Dagster and the processes that it started."""
    try:
        dagster.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(dagster.pid, signal.SIGKILL)
        dagster.wait()
