"""`incidents`: what is wrong now, from the lake alone."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from returns_orchestration.cli.output import say
from returns_orchestration.settings import load_settings
from returns_orchestration.words import be, count, utc

ASLEEP = timedelta(minutes=30)
"""Without a look for that long the list is not to be trusted."""


def incidents(
    every: Annotated[
        bool,
        typer.Option("--all", help="Also what is resolved, for 30 days, and what sent no message."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
) -> None:
    """List the open incidents; exits 1 if there is one, or if the last look is too old."""
    settings = load_settings()
    from returns_orchestration.alerts import listing  # noqa: PLC0415 - only where needed
    from returns_orchestration.alerts.state import read_state  # noqa: PLC0415
    from returns_orchestration.lake import Lake, open_store  # noqa: PLC0415

    state = read_state(Lake(open_store(settings.lake)))
    if state is None:
        say(
            "The sensor `incidents` has not looked at this lake yet. Start Dagster's daemon, as "
            "`make dev` does.",
            err=True,
        )
        raise typer.Exit(1)
    if not as_json:
        say(f"Last look: {utc(state.looked_at)} UTC (noted every 5 minutes)")
    known = listing.in_order(i for i in state.incidents if every or i.is_open)
    shown = [*known, *(state.silent if every else ())]
    if as_json:
        typer.echo(
            json.dumps([listing.plain(noted, settings.wording) for noted in shown], indent=1)
        )
    else:
        lines = [listing.HEADER, *(listing.cells(noted, settings.wording) for noted in shown)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for line in lines if shown else ():
            say("  ".join(map(str.ljust, line, widths)).rstrip())
        still = sum(incident.is_open for incident in known)
        say(f"{count(still, 'incident')} {be(still)} open.")
    asleep = datetime.now(UTC) - state.looked_at > ASLEEP
    if asleep:
        say(
            f"The last look was at {utc(state.looked_at)} UTC. Check that Dagster's daemon runs "
            "and that its sensor `incidents` is on.",
            err=True,
        )
    if asleep or any(incident.is_open for incident in known):
        raise typer.Exit(1)
