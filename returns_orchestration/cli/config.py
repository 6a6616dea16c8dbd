"""`config`: each setting as it is in force, and where its value comes from."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import typer
from pydantic import SecretStr

from returns_orchestration.env_file import env_file
from returns_orchestration.settings import Settings, dagster_home, load_accounts
from returns_orchestration.settings.sources import sources, warnings


def config() -> None:
    """Print each setting, its value and its source; secrets are masked."""
    for settings in load_accounts():
        if settings.account:
            typer.echo(f"[{settings.account}]")
        _print(settings)
    file = env_file()
    typer.echo(
        f"The file of settings is {file}" + ("." if file.is_file() else ", which is absent.")
    )


def _print(settings: Settings) -> None:
    places = sources(settings)
    rows = [
        (str(field.alias), _value(settings, name), places[str(field.alias)])
        for name, field in Settings.model_fields.items()
    ]
    home = "environment" if os.environ.get("DAGSTER_HOME") else "default"
    rows.append(("DAGSTER_HOME", str(dagster_home(settings)), home))
    widths = [max(len(row[at]) for row in rows) for at in (0, 1)]
    for name, value, source in rows:
        typer.echo(f"{name:<{widths[0]}}  {value:<{widths[1]}}  {source}")


def print_warnings() -> None:
    """What is probably not meant in the settings, one line each, on standard error."""
    for warning in warnings():
        typer.echo(f"returns-orchestration: warning: {warning}", err=True)


def _value(settings: Settings, name: str) -> str:
    if name == "alert_quiet_hours":
        begin, end = settings.alert_quiet_hours
        return f"{begin}-{end}" if begin != end else "-"
    return in_words(getattr(settings, name))


def in_words(value: object) -> str:
    """A setting's value as it is written in the environment; a secret as ``***``."""
    match value:
        case None | () | "":
            text = "-"
        case SecretStr():
            text = "***"
        case tuple():
            text = ",".join(map(in_words, value))
        case ZoneInfo():
            text = value.key
        case datetime():
            text = f"{value:%Y-%m-%dT%H:%M:%SZ}"
        case float():
            text = f"{value:g}"
        case timedelta():
            text = f"{value / timedelta(minutes=1):g}"
        case _:
            text = str(value)
    return text
