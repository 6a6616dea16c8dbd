"""What a command prints, in the words of its account.

A command about one account prints by `say`. So each next step that it names has `--account`. A
command about all accounts gives `say` the settings of the account that a message is about. JSON is
printed as it is.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import typer

from returns_orchestration.errors import ReturnsError
from returns_orchestration.settings import load_settings
from returns_orchestration.settings.wording import SINGLE, Wording

if TYPE_CHECKING:
    from returns_orchestration.settings import Settings


@cache
def _of_this_command() -> Wording:
    """The words of the account that this command is about, if it is about one."""
    try:
        return load_settings().wording
    except ReturnsError:  # the command itself has said so, or it is about all accounts
        return SINGLE


begin_command = _of_this_command.cache_clear
"""Forget the account of an earlier command of this process."""


def worded(text: str, settings: Settings | None = None) -> str:
    """``text`` in the words of the account of ``settings``, or of this command."""
    return (settings.wording if settings else _of_this_command())(text)


def say(text: str, settings: Settings | None = None, *, err: bool = False) -> None:
    """Print ``text``, with ``err`` on standard error."""
    typer.echo(worded(text, settings), err=err)
