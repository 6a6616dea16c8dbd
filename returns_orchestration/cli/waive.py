"""`waive HOUR --why`: an hour that need not be polled, said once and remembered.

A waived hour is not asked for by itself and not counted as missing; `status` says so, with the
reason, for ever. A poll that succeeds all the same, by hand, makes it complete as any other.
"""

from __future__ import annotations

from typing import Annotated

import typer

from returns_orchestration.cli.backfill import chosen_windows
from returns_orchestration.cli.output import say
from returns_orchestration.errors import SettingsError
from returns_orchestration.settings import load_settings
from returns_orchestration.window import Window, read_hour

LONGEST_REASON = 500


def waive(
    hour: Annotated[str, typer.Argument(metavar="HOUR", help="The hour, UTC: 2026-11-09T11:00")],
    why: Annotated[str, typer.Option("--why", help="The reason, shown ever after.")],
) -> None:
    """Declare, with a reason, that an hour need not be polled."""
    settings = load_settings()
    from returns_orchestration.lake import Lake, open_store  # noqa: PLC0415 - only where needed

    if "T" not in hour:
        raise SettingsError(f"{hour} is no hour.", next_step="Name one, such as 2026-11-09T11:00.")
    [window] = chosen_windows(settings, hour, Window(read_hour(hour)).next.text)
    reason = " ".join(why.split())
    if not 0 < len(reason) <= LONGEST_REASON:
        raise SettingsError(
            f"The reason has {len(reason)} characters.",
            next_step=f"Say why in 1 to {LONGEST_REASON}.",
        )
    lake = Lake(open_store(settings.lake))
    names = lake.names().hour(window)
    if names.polls:
        raise SettingsError(
            f"The hour {window.text} was polled; there is nothing to waive.",
            next_step="See it with `returns-orchestration status`.",
        )
    if names.waived:
        raise SettingsError(
            f"The hour {window.text} was waived already.",
            next_step="See the reason with `returns-orchestration status`.",
        )
    lake.waive(window, reason)
    say(f"{window.text} is waived: {reason}")
