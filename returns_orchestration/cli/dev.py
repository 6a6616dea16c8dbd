"""`dev`: Dagster's UI and daemon on this machine, with the simulator where no key is set."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from returns_orchestration.cli import demo_lake
from returns_orchestration.cli.config import print_warnings
from returns_orchestration.cli.services import HOST, PORT, Part, Services
from returns_orchestration.errors import SettingsError
from returns_orchestration.settings import load_accounts
from returns_orchestration.settings.sources import sources

if TYPE_CHECKING:
    from returns_orchestration.settings import Settings

START_SECONDS = 180.0
"""How long Dagster may take until its UI answers."""


def dev(
    port: Annotated[int, typer.Option(help="Port of the UI.", min=1, max=65535)] = PORT,
    simulator_port: Annotated[
        int, typer.Option(help="Port of the simulator, if it is needed.", min=1, max=65535)
    ] = demo_lake.SIMULATOR_PORT,
) -> None:
    """Serve Dagster's UI on this machine and run its daemon, until Ctrl-C.

    Where no credentials are set, the simulator answers in place of ClickPost and sends webhooks,
    and its returns go to the demo's lake.
    """
    first = load_accounts()[0]
    is_demo = demo_lake.is_used()
    has_credentials = first.accounts or first.key or first.user_name
    if not (is_demo or has_credentials):
        typer.echo("No credentials are set, so this is the demo, with invented returns.")
        demo_lake.prepare()
        demo_lake.use()
        is_demo = True
    print_warnings()
    _ensure_free(port)
    with ExitStack() as stack:
        if is_demo:
            from returns_orchestration.cli import demo_simulator  # noqa: PLC0415 - slow to import

            stack.enter_context(demo_simulator.simulator(simulator_port))
            url = stack.enter_context(demo_simulator.receiver())
            typer.echo(f"The simulator sends webhooks to {url}, too; a few are lost.")
        settings = load_accounts()[0]
        if sources(settings)["RETURNS_DAGSTER_URL"] == "default":
            os.environ["RETURNS_DAGSTER_URL"] = f"http://{HOST}:{port}"
        typer.echo(f"The lake is {settings.lakes}. Dagster starts, which takes some seconds ...")
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
    """Run all parts until one ends or a signal comes; the exit code."""
    with Services(settings, quiet=True) as services:
        services.start(Part.CODE_SERVER)
        if services.wait_until(services.code_server_answers, START_SECONDS):
            services.start(Part.DAEMON)
            services.start(Part.WEBSERVER, port=port)
            if services.wait_until(lambda: _answers(port), START_SECONDS):
                typer.echo(f"Dagster's UI: http://{HOST}:{port} (Ctrl-C ends it)")
        return services.run()


def _answers(port: int) -> bool:
    import httpx  # noqa: PLC0415 - slow to import

    try:
        return httpx.get(f"http://{HOST}:{port}/server_info", trust_env=False).is_success
    except httpx.HTTPError:
        return False
