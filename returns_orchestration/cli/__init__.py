"""The command line, ``returns-orchestration COMMAND``: thin, each command a file of its own name.

Exit codes: 0 all is well, 1 something is missing or failed, 2 a wrong call or setting; `health`
alone has codes of its own.
Dagster is imported by the commands that need it, when they run: it takes more than a second.
"""

from __future__ import annotations

import inspect
import logging
import os
import sys
import traceback
from contextlib import ExitStack, suppress
from functools import wraps
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from returns_orchestration.cli import (
    acknowledge,
    alert,
    backfill,
    changes,
    config,
    demo,
    demo_lake,
    dev,
    doctor,
    export,
    forget,
    health,
    incidents,
    metrics,
    prune,
    rebuild,
    receive,
    redeliver,
    report,
    rezone,
    serve,
    show,
    simulate,
    status,
    upgrade,
    verify,
    views,
    waive,
    webhooks,
)
from returns_orchestration.cli.config import print_warnings
from returns_orchestration.errors import ReturnsError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

app = typer.Typer(
    name="returns-orchestration",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)

Demo = Annotated[
    bool, typer.Option("--demo", help="Work on the demo's lake, with the demo's settings.")
]
Account = Annotated[
    str, typer.Option("--account", metavar="NAME", help="The account of RETURNS_ACCOUNTS.")
]


def _command(run: Callable[..., None], *, asks: bool = False) -> None:
    """Add a command, with ``--demo`` and ``--account``.

    ``asks``: it sends requests, which the demo's simulator answers.
    """

    @wraps(run)
    def command(*arguments: object, demo: bool, account: str, **options: object) -> None:
        with ExitStack() as stack:
            if demo:
                demo_lake.use()
            if account:
                os.environ["RETURNS_ACCOUNT"] = account
            if demo and asks:
                stack.enter_context(demo_lake.simulator())
            if run not in {dev.dev, doctor.doctor}:  # which print them in their own place
                print_warnings()
            run(*arguments, **options)

    signature = inspect.signature(run, eval_str=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    added = [
        inspect.Parameter("account", keyword, default="", annotation=Account),
        inspect.Parameter("demo", keyword, default=False, annotation=Demo),
    ]
    parameters = [*signature.parameters.values(), *added]
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    app.command(run.__name__)(command)


_command(backfill.backfill, asks=True)
_command(status.status)
_command(show.show)
_command(changes.changes)
_command(verify.verify)
_command(rebuild.rebuild)
_command(rezone.rezone)
_command(forget.forget)
_command(upgrade.upgrade)
_command(doctor.doctor, asks=True)
_command(config.config)
_command(waive.waive)
_command(acknowledge.acknowledge)
_command(incidents.incidents)
_command(alert.alert)
_command(health.health)
_command(metrics.metrics)
_command(prune.prune)
_command(dev.dev)
_command(serve.serve)
_command(receive.receive)
_command(webhooks.webhooks)
_command(report.report)
_command(export.export)
_command(views.views)
_command(redeliver.redeliver)
app.command("demo")(demo.demo)
app.command("simulate")(simulate.simulate)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"returns-orchestration {version('returns-orchestration')}")
        raise typer.Exit


@app.callback()
def _before(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """ClickPost's returns, hour by hour, complete and re-pollable."""


def main() -> None:
    """Run a command; an error of ours is one message on standard error, never a traceback."""
    # Each repeat of a request is worth a line in a run's log in the UI, and none here, where the
    # progress bar stands and the last word on an hour is said at the end.
    logging.getLogger("returns_orchestration").setLevel(logging.ERROR)
    try:
        if sys.argv[1:2] == ["health"]:
            _probe()
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


USAGE_ERROR: type[Any] = typer.BadParameter.__mro__[1]
"""Typer's class of all wrong calls, which has no public name."""


def _probe() -> NoReturn:
    """Run `health`; a wrong call or setting is 3 there, as 2 is critical."""
    try:
        sys.exit(app(standalone_mode=False))
    except USAGE_ERROR as error:
        error.show()
    except ReturnsError as error:
        sys.stderr.write(f"returns-orchestration: {error}\n")
    except Exception:  # noqa: BLE001 - whatever it is, it is not known how things are
        traceback.print_exc()
    sys.exit(health.UNKNOWN)


def _end(error: ReturnsError) -> NoReturn:
    sys.stderr.write(f"returns-orchestration: {error}\n")
    sys.exit(2 if isinstance(error, SettingsError) else 1)
