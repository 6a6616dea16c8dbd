"""`status [FROM TO]`: one line an hour."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from returns_orchestration.cli.backfill import chosen_windows
from returns_orchestration.errors import SettingsError
from returns_orchestration.settings import load_settings
from returns_orchestration.window import Window, last_settled

if TYPE_CHECKING:
    from returns_orchestration.settings import Settings
    from returns_orchestration.trust.hours import HourState

STYLES = {"complete": "green", "empty": "dim", "missing": "red"}


def status(
    from_: Annotated[
        str | None, typer.Argument(metavar="[FROM", help="First hour or day; default RETURNS_START")
    ] = None,
    to: Annotated[
        str | None, typer.Argument(metavar="TO]", help="Where to stop; default the newest hour")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
) -> None:
    """Say of every hour whether it is complete, empty or missing; exits 1 if one is missing."""
    if (from_ is None) != (to is None):
        raise SettingsError("FROM without TO.", next_step="Give both, or none for all hours.")
    settings = load_settings()
    newest = last_settled(datetime.now(UTC), settings.settle)
    windows = chosen_windows(settings, from_ or Window(settings.start).text, to or newest.next.text)
    found = read_states(settings, windows)
    if as_json:
        typer.echo(json.dumps([_plain(state) for state in found], indent=1))
    else:
        print_states(found, Console(highlight=False))
    if any(state.state == "missing" for state in found):
        raise typer.Exit(1)


def read_states(settings: Settings, windows: list[Window]) -> list[HourState]:
    """The states of ``windows``, from the lake and, if it is there, from Dagster's instance."""
    from returns_orchestration.defs import history  # noqa: PLC0415 - Dagster is slow to import
    from returns_orchestration.defs.instance import dagster_home, open_instance  # noqa: PLC0415
    from returns_orchestration.lake import Lake, open_store  # noqa: PLC0415
    from returns_orchestration.trust.hours import missing, states  # noqa: PLC0415

    lake = Lake(open_store(settings.lake))
    if not dagster_home(settings).is_dir():
        return list(states(lake, windows))
    with open_instance(settings) as instance:
        unpolled, _ = missing(lake, windows)
        errors = history.last_errors(instance, [window.key for window in unpolled])
        return list(states(lake, windows, history.polls(instance), errors))


def print_states(found: list[HourState], console: Console) -> None:
    """A table of the hours, and a line that sums them up."""
    table = Table(box=None, pad_edge=False)
    for name in ("hour", "state"):
        table.add_column(name, no_wrap=True)
    for name in ("returns", "items", "rejected", "polls", "late"):
        table.add_column(name, justify="right")
    table.add_column("first polled", no_wrap=True)
    table.add_column("last polled", no_wrap=True)
    table.add_column("error", overflow="fold")
    for state in found:
        counts = (state.returns, state.items, state.rejected, state.polls, state.late)
        table.add_row(
            state.hour,
            f"[{STYLES[state.state]}]{state.state}[/]",
            *map(str, counts),
            _short(state.first_polled_at),
            _short(state.last_polled_at),
            (state.error or "").replace("[", r"\["),
        )
    console.print(table)
    totals = {name: sum(s.state == name for s in found) for name in STYLES}
    console.print(", ".join(f"{count} {name}" for name, count in totals.items()))


def _short(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M:%S}"


def _plain(state: HourState) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(state)
    return plain
