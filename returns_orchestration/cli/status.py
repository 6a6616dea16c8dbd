"""`status [FROM TO]`: one line an hour."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from returns_orchestration.cli.backfill import chosen_windows
from returns_orchestration.errors import ReturnsError, SettingsError
from returns_orchestration.settings import load_settings
from returns_orchestration.window import Window, last_settled

if TYPE_CHECKING:
    from returns_orchestration.settings import Settings
    from returns_orchestration.state.status import HourState


def status(
    from_: Annotated[
        str | None, typer.Argument(metavar="[FROM", help="First hour or day; default RETURNS_START")
    ] = None,
    to: Annotated[
        str | None, typer.Argument(metavar="TO]", help="Where to stop; default the newest hour")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
) -> None:
    """Show the state of every hour; exits 1 if one is missing or damaged."""
    if (from_ is None) != (to is None):
        raise SettingsError("FROM without TO.", next_step="Give both, or none for all hours.")
    settings = load_settings()
    newest = last_settled(datetime.now(UTC), settings.settle)
    if from_ is None and newest.start < settings.start:
        raise SettingsError(
            f"No hour has settled since RETURNS_START, {Window(settings.start).text}.",
            next_step="Set RETURNS_START earlier, or wait.",
        )
    windows = chosen_windows(settings, from_ or Window(settings.start).text, to or newest.next.text)
    found = read_states(settings, windows)
    if as_json:
        typer.echo(json.dumps([_plain(state) for state in found], indent=1))
    else:
        print_states(found)
    from returns_orchestration.state.hours import FAULTS  # noqa: PLC0415 - polars is slow to import

    if any(state.state in FAULTS for state in found):
        raise typer.Exit(1)


def read_states(settings: Settings, windows: list[Window]) -> list[HourState]:
    """The states of ``windows``, from the lake, and from what Dagster knows that the lake lacks."""
    from returns_orchestration.lake import Lake, open_store  # noqa: PLC0415 - polars is slow to import
    from returns_orchestration.state.status import states  # noqa: PLC0415

    lake = Lake(open_store(settings.lake))
    known = _known_to_dagster(settings, windows)
    return list(states(lake, windows, settings.report_time_zone, known))


def _known_to_dagster(settings: Settings, windows: list[Window]) -> dict[Window, str]:
    """See States; nothing where there is no instance, or it cannot be read, which is shown."""
    from returns_orchestration.defs.history import newest_polls  # noqa: PLC0415 - Dagster is slow to import
    from returns_orchestration.defs.instance import (  # noqa: PLC0415
        CONFIGURATION,
        dagster_home,
        open_instance,
    )

    if not (dagster_home(settings) / CONFIGURATION).is_file():
        return {}
    try:
        with open_instance(settings) as instance:
            return newest_polls(instance, windows)
    except ReturnsError as error:
        typer.echo(f"{error} Polls that only Dagster knows of are not seen.", err=True)
        return {}


def print_states(found: list[HourState]) -> None:
    """One line an hour, however long, and a line that sums them up."""
    typer.echo(
        "hour              state       returns   items  rejected  polls  late  "
        "first polled         last polled          error"
    )
    for state in found:
        line = (
            f"{state.hour:<16}  {state.state:<10}  {state.returns:>7}  {state.items:>6}  "
            f"{state.rejected:>8}  {state.polls:>5}  {state.late:>4}  "
            f"{_short(state.first_polled_at):<19}  {_short(state.last_polled_at):<19}  "
            f"{' '.join((state.error or '').split())}"
        )
        typer.echo(line.rstrip())
    from returns_orchestration.state.hours import STATES  # noqa: PLC0415 - polars is slow to import

    totals = Counter(state.state for state in found)
    typer.echo(
        ", ".join(
            f"{totals[name]} {name}"
            for name in STATES
            if totals[name] or name in {"complete", "empty", "missing"}
        )
    )


def _short(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M:%S}"


def _plain(state: HourState) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(state)
    return plain
