"""The command line, ``returns-orchestration COMMAND``: thin, each command a file of its own name.

Exit codes: 0 all is well, 1 something is missing or failed, 2 the call or a setting makes no sense.
Dagster is imported by the commands that need it, when they run: it takes more than a second.
"""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from importlib.metadata import version
from typing import Annotated, NoReturn

import typer

from returns_orchestration.cli import (
    acknowledge,
    alert,
    backfill,
    changes,
    demo,
    doctor,
    incidents,
    rebuild,
    rezone,
    show,
    simulate,
    status,
    upgrade,
    verify,
    waive,
)
from returns_orchestration.env_file import exposed_env_file
from returns_orchestration.errors import ReturnsError, SettingsError

app = typer.Typer(
    name="returns-orchestration",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
app.command("backfill")(backfill.backfill)
app.command("status")(status.status)
app.command("show")(show.show)
app.command("changes")(changes.changes)
app.command("verify")(verify.verify)
app.command("rebuild")(rebuild.rebuild)
app.command("rezone")(rezone.rezone)
app.command("upgrade")(upgrade.upgrade)
app.command("doctor")(doctor.doctor)
app.command("waive")(waive.waive)
app.command("acknowledge")(acknowledge.acknowledge)
app.command("incidents")(incidents.incidents)
app.command("alert")(alert.alert)
app.command("simulate")(simulate.simulate)
app.command("demo")(demo.demo)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"returns-orchestration {version('returns-orchestration')}")
        raise typer.Exit


@app.callback()
def _before(
    context: typer.Context,
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """ClickPost's returns, hour by hour, complete and re-pollable."""
    warning = exposed_env_file()  # `doctor` has a line of its own for it
    if warning and context.invoked_subcommand != "doctor":
        typer.echo(f"returns-orchestration: warning: {warning}", err=True)


def main() -> None:
    """Run a command; an error of ours is one message on standard error, never a traceback."""
    # Each repeat of a request is worth a line in a run's log in the UI, and none here, where the
    # progress bar stands and the last word on an hour is said at the end.
    logging.getLogger("returns_orchestration").setLevel(logging.ERROR)
    try:
        app()
    except ReturnsError as error:
        _end(error)
    except BrokenPipeError:
        # The reader went away (`| head`); Python would complain once more when it flushes.
        with suppress(OSError):
            sys.stdout.close()
        sys.exit(1)
    except Exception as error:
        # Whatever command it was: only one that has loaded Dagster can have met its storage.
        if "dagster" not in sys.modules:
            raise
        from returns_orchestration.defs.instance import fault_of_instance  # noqa: PLC0415

        known = fault_of_instance(error)
        if known is None:
            raise
        _end(known)


def _end(error: ReturnsError) -> NoReturn:
    sys.stderr.write(f"returns-orchestration: {error}\n")
    sys.exit(2 if isinstance(error, SettingsError) else 1)
