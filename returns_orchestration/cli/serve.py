"""`serve PART`: one process of a deployment, as a service manager starts it."""

from __future__ import annotations

from typing import Annotated

import typer

from returns_orchestration.cli.services import HOST, PORT, Part, Services
from returns_orchestration.settings import load_accounts

CODE_SECONDS = 120.0
"""How long the code server may take until it answers; without it the other two are of no use."""


def serve(
    part: Annotated[Part, typer.Argument(metavar="PART", help=f"{', '.join(Part)}.")],
    host: Annotated[str, typer.Option(help="Address of the webserver.")] = HOST,
    port: Annotated[int, typer.Option(help="Port of the webserver.", min=1, max=65535)] = PORT,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="A webserver in which nothing can be started.")
    ] = False,
) -> None:
    """Run one PART, code-server, daemon, webserver or worker, until SIGTERM; for a service manager.

    Makes DAGSTER_HOME if it is absent, and ends with 1 if it is deleted meanwhile, to be started
    again. `dev` runs the first three. A worker takes runs from a broker, one at a time.
    """
    with Services(load_accounts()[0]) as services:
        if part in {Part.DAEMON, Part.WEBSERVER}:
            services.wait_until(services.code_server_answers, CODE_SECONDS)
        services.start(part, host, port, read_only=read_only)
        raise typer.Exit(services.run())
