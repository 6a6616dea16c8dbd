"""`upgrade`: a lake of a release before 0.2 in today's format, without a call; and back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from returns_orchestration.cli.output import say
from returns_orchestration.errors import SettingsError
from returns_orchestration.settings import dagster_home, load_settings
from returns_orchestration.words import count

if TYPE_CHECKING:
    from datetime import date

    from returns_orchestration.flow.upgrade import Upgraded
    from returns_orchestration.lake import Lake
    from returns_orchestration.settings import Settings


def upgrade(
    time_zone: Annotated[
        str | None,
        typer.Option(
            "--time-zone",
            help="CLICKPOST_TIME_ZONE under which the old polls were sent; default: today's.",
        ),
    ] = None,
    drop_old: Annotated[
        bool, typer.Option("--drop-old", help="Remove what was kept of the earlier format.")
    ] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Go back, as long as nothing new was polled.")
    ] = False,
) -> None:
    """Convert a lake of an earlier release, without a request to the API; the old records stay.

    Stop the daemon first. After a kill, run it again: it goes on where it was.
    """
    if drop_old and undo:
        raise SettingsError("--drop-old and --undo at once.", next_step="Give one of them.")
    settings = load_settings()
    zone = read_zone(time_zone) if time_zone else settings.time_zone.key
    from returns_orchestration.flow.from_settings import build_pipeline  # noqa: PLC0415 - polars is slow to import
    from returns_orchestration.flow.upgrade import has_old_records, is_upgraded  # noqa: PLC0415

    pipeline = build_pipeline(settings)
    lake = pipeline.lake
    if not has_old_records(lake):
        say(f"{settings.lake} holds nothing of an earlier release.")
        return
    _ensure_quiet(settings)
    if drop_old:
        _drop(lake)
    elif undo:
        _undo(lake)
    elif is_upgraded(lake):
        say(
            f"{settings.lake} has today's format already; `upgrade --drop-old` removes what was "
            "kept of the earlier one."
        )
    else:
        lake.check_writable()
        _report(_upgrade(settings, pipeline, zone))


def read_zone(text: str) -> str:
    """The name of an IANA zone. Raises SettingsError."""
    try:
        return ZoneInfo(text).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SettingsError(
            f"{text!r} is no time zone.", next_step="Write an IANA name, such as Asia/Kolkata."
        ) from None


def _upgrade(settings: Settings, pipeline: object, zone: str) -> Upgraded:
    from returns_orchestration.defs.history import answers_of  # noqa: PLC0415 - Dagster is slow to import
    from returns_orchestration.defs.instance import (  # noqa: PLC0415
        CONFIGURATION,
        open_instance,
    )
    from returns_orchestration.flow.upgrade import Upgrader  # noqa: PLC0415

    last = [time.monotonic()]

    def show(day: date) -> None:
        if time.monotonic() - last[0] > 5:
            last[0] = time.monotonic()
            say(f"at {day}")

    upgrader = Upgrader(pipeline, zone, show)  # type: ignore[arg-type]
    if not (dagster_home(settings) / CONFIGURATION).is_file():
        return upgrader.upgrade()
    with open_instance(settings) as instance:
        return upgrader.upgrade(answers_of(instance))


def _ensure_quiet(settings: Settings) -> None:
    """Raise SettingsError where a daemon or a run may be at work on the lake."""
    from returns_orchestration.defs.instance import (  # noqa: PLC0415 - Dagster is slow to import
        CONFIGURATION,
        at_work,
        open_instance,
    )

    if not (dagster_home(settings) / CONFIGURATION).is_file():
        return
    with open_instance(settings) as instance:
        found = at_work(instance)
    if found:
        raise SettingsError(
            f"{found} in {dagster_home(settings)}.",
            next_step="Stop the daemon (`make dev`, or its service), wait a minute, and run the "
            "same again.",
        )


def _drop(lake: Lake) -> None:
    from returns_orchestration.flow.upgrade import drop_old, is_upgraded  # noqa: PLC0415

    if not is_upgraded(lake):
        raise SettingsError(
            "The lake was not brought over yet.",
            next_step="Run `returns-orchestration upgrade` first.",
        )
    say(f"Removed {count(drop_old(lake), 'file')} of the earlier format.")


def _undo(lake: Lake) -> None:
    from returns_orchestration.flow.upgrade import polls_since, undo  # noqa: PLC0415

    polls = polls_since(lake)
    if polls:
        raise SettingsError(
            f"{count(polls, 'poll')} newer than the upgrade would be lost.",
            next_step="Stay with this release; nothing was changed.",
        )
    restored = undo(lake)
    say(f"The lake has its earlier format again; {count(restored, 'table')} restored.")


def _report(done: Upgraded) -> None:
    for words in done.damaged:
        say(f"damaged     {words}")
    for error in done.failed:
        say(f"failed      {error}")
    say(
        f"Upgraded {count(done.polls, 'poll')} and rebuilt {count(done.hours, 'hour')}; "
        f"{count(done.replaced, 'table')} changed, and a copy of each was kept. "
        "`returns-orchestration upgrade --undo` goes back, `--drop-old` removes what was kept."
    )
    if done.failed or done.damaged:
        raise typer.Exit(1)
