"""`acknowledge [NAME...]`: new keys, status codes and refund modes that somebody has read of.

They are news and no fault: no number is wrong, and the check `new_names_are_acknowledged` warns of
them until they are acknowledged here or in RETURNS_ACKNOWLEDGED.
"""

from __future__ import annotations

from typing import Annotated

import typer

from returns_orchestration.cli.output import say
from returns_orchestration.errors import SettingsError
from returns_orchestration.settings import load_settings
from returns_orchestration.words import count


def acknowledge(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="The names, as this command lists them."),
    ] = None,
) -> None:
    """Acknowledge new keys, status codes and refund modes; without a NAME, list them."""
    settings = load_settings()
    from returns_orchestration.lake import Lake, open_store  # noqa: PLC0415 - polars is slow to import
    from returns_orchestration.state.news import unacknowledged  # noqa: PLC0415
    from returns_orchestration.window import Window  # noqa: PLC0415

    news = Lake(open_store(settings.lake)).news
    waiting = unacknowledged(news.waiting(), settings.acknowledged)
    if not names:
        for name in waiting:
            since = f"since {Window.from_key(name.hour).text}" if name.hour else ""
            say(f"{name.kind:<5} {name.name}  {since}".rstrip())
        say(f"{count(len(waiting), 'new name')} to acknowledge.")
        return
    from returns_orchestration.defs import checks  # noqa: PLC0415 - Dagster is slow to import
    from returns_orchestration.defs.instance import open_instance  # noqa: PLC0415
    from returns_orchestration.defs.keys import Keys  # noqa: PLC0415

    unknown = sorted(set(names) - {name.name for name in waiting})
    if unknown:
        raise SettingsError(
            f"Not among the new names: {', '.join(unknown)}.",
            next_step="List them with `returns-orchestration acknowledge`.",
        )
    chosen = [name for name in waiting if name.name in names]
    for name in chosen:
        news.acknowledge(name)
    left = [name for name in waiting if name not in chosen]
    # So that the check in Dagster's UI need not wait for the next run.
    evaluation = checks.evaluation_of_names(Keys.of_settings(settings), left)
    with open_instance(settings) as instance:
        instance.report_runless_asset_event(evaluation)
    say(f"{len(chosen)} acknowledged, {len(left)} left.")
