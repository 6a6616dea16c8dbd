"""`alert --test`: whether each channel of RETURNS_ALERT_URLS can be reached.

A channel is called by its scheme and number, since all else in its URL may be a secret.
"""

from __future__ import annotations

from typing import Annotated

import typer

from returns_orchestration.cli.output import say
from returns_orchestration.errors import SettingsError
from returns_orchestration.settings import load_settings


def alert(
    test: Annotated[
        bool, typer.Option("--test", help="Send a message that says it is a test.")
    ] = False,
) -> None:
    """Send a test message to each channel and print the result; exits 1 if one fails."""
    if not test:
        raise SettingsError(
            "Nothing to do.", next_step="Send a test with `returns-orchestration alert --test`."
        )
    settings = load_settings()
    from returns_orchestration.alerts.delivery import Channels  # noqa: PLC0415 - only where needed
    from returns_orchestration.alerts.messages import Author  # noqa: PLC0415

    channels = Channels(settings.alert_urls)
    if not channels.names:
        raise SettingsError(
            "RETURNS_ALERT_URLS is not set: alerts go to the log and to the lake's table alerts.",
            next_step="Set it to one or more Apprise URLs, such as jsons://host/path.",
        )
    message, failed = Author.of(settings).test(), False
    for name in channels.names:
        fault = channels.post(name, message)
        failed = failed or bool(fault)
        say(f"FAIL  {name}: {fault}" if fault else f"ok    {name}: the message was accepted")
    if failed:
        raise typer.Exit(1)
