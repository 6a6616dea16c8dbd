"""The command line, ``returns-orchestration COMMAND``: thin, each command a file of its own name.

Exit codes: 0 all is well, 1 something is missing or failed, 2 a wrong call or setting; `health`
alone has codes of its own.
Dagster is imported by the commands that need it, when they run: it takes more than a second.
"""

from __future__ import annotations

import atexit
import gc
import inspect
import logging
import os
import sys
import traceback
from contextlib import ExitStack, suppress
from functools import wraps
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from returns_orchestration.errors import ReturnsError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

COMMANDS = (
    "backfill",
    "status",
    "show",
    "changes",
    "verify",
    "rebuild",
    "rezone",
    "forget",
    "upgrade",
    "doctor",
    "config",
    "waive",
    "acknowledge",
    "incidents",
    "alert",
    "health",
    "metrics",
    "prune",
    "dev",
    "serve",
    "receive",
    "webhooks",
    "report",
    "export",
    "views",
    "redeliver",
    "demo",
    "simulate",
)
"""Each is the function of this name, in the module of this name, in the order of `--help`."""

ASKING = {"backfill", "doctor"}
"""They send requests, which the demo's simulator answers."""

WARNING_THEMSELVES = {"dev", "doctor"}
"""They print the warnings about settings in their own place."""

WITHOUT_OPTIONS = {"demo", "simulate"}
"""They have no lake to choose: no ``--demo`` and no ``--account``."""

Demo = Annotated[
    bool, typer.Option("--demo", help="Work on the demo's lake, with the demo's settings.")
]
Account = Annotated[
    str, typer.Option("--account", metavar="NAME", help="The account of RETURNS_ACCOUNTS.")
]


def build_app(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """The command line with the commands of ``names``; the modules of others are not imported."""
    app = typer.Typer(
        name="returns-orchestration",
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
        pretty_exceptions_enable=False,
    )
    app.callback()(_before)
    for name in names:
        run = getattr(import_module(f"{__name__}.{name}"), name)
        app.command(name)(run if name in WITHOUT_OPTIONS else _with_options(run))
    return app


def _with_options(run: Callable[..., None]) -> Callable[..., None]:
    """A command with ``--demo`` and ``--account``."""
    name = run.__name__

    @wraps(run)
    def command(*arguments: object, demo: bool, account: str, **options: object) -> None:
        from returns_orchestration.cli.config import print_warnings  # noqa: PLC0415 - `--help` needs none
        from returns_orchestration.cli.output import begin_command  # noqa: PLC0415

        with ExitStack() as stack:
            if demo:
                from returns_orchestration.cli import demo_lake  # noqa: PLC0415 - few use it

                demo_lake.use()
            if demo and name in ASKING:
                from returns_orchestration.cli import demo_simulator  # noqa: PLC0415 - slow to import

                stack.enter_context(demo_simulator.simulator())
            if account:
                os.environ["RETURNS_ACCOUNT"] = account
            begin_command()
            if name not in WARNING_THEMSELVES:
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
    return command


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"returns-orchestration {version('returns-orchestration')}")
        raise typer.Exit


def _before(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """ClickPost's returns, hour by hour, complete and re-pollable."""


OBJECTS_BEFORE_COLLECTION = 50_000
"""New objects before Python looks for unused ones; its usual 700 cost a tenth of a start."""


def prepare() -> None:
    """Prepare this process, which starts fast and ends fast, and leaves the terminal to us."""
    # Each repeat of a request is worth a line in a run's log in the UI, and none here, where the
    # progress bar stands and the last word on an hour is said at the end.
    logging.getLogger("returns_orchestration").setLevel(logging.ERROR)
    gc.set_threshold(OBJECTS_BEFORE_COLLECTION)
    # Else Python looks through all that Dagster has made once more: at the end, for half a second.
    atexit.register(gc.freeze)
    # httpx does without its own command line, which takes 30 ms to load.
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]


def main() -> None:
    """Run a command; an error of ours is one message on standard error, never a traceback."""
    prepare()
    try:
        app = build_app(_named(sys.argv[1:]))
        if sys.argv[1:2] == ["health"]:
            _probe(app)
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


def _named(arguments: Sequence[str]) -> Iterable[str]:
    """The command that is called, so that only its module is imported; all where none is."""
    if list(arguments) == ["--version"]:
        return ()
    called = arguments[0] if arguments else ""
    return (called,) if called in COMMANDS else COMMANDS


USAGE_ERROR: type[Any] = typer.BadParameter.__mro__[1]
"""Typer's class of all wrong calls, which has no public name."""


def _probe(app: typer.Typer) -> NoReturn:
    """Run `health`; a wrong call or setting is 3 there, as 2 is critical."""
    from returns_orchestration.cli.health import UNKNOWN  # noqa: PLC0415 - no other command needs it

    try:
        sys.exit(app(standalone_mode=False))
    except USAGE_ERROR as error:
        error.show()
    except ReturnsError as error:
        sys.stderr.write(f"returns-orchestration: {error}\n")
    except Exception:  # noqa: BLE001 - whatever it is, it is not known how things are
        traceback.print_exc()
    sys.exit(UNKNOWN)


def _end(error: ReturnsError) -> NoReturn:
    from returns_orchestration.cli.output import worded  # noqa: PLC0415 - an end without fault needs none

    sys.stderr.write(f"returns-orchestration: {worded(str(error))}\n")
    sys.exit(2 if isinstance(error, SettingsError) else 1)
