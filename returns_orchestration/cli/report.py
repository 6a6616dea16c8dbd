"""`report [FROM TO]`: the page for people who look at returns, as one file."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated

import typer

from returns_orchestration.cli.output import say
from returns_orchestration.errors import SettingsError
from returns_orchestration.settings import load_settings


def report(
    from_: Annotated[
        str | None, typer.Argument(metavar="[FROM", help="First day; default: RETURNS_REPORT_DAYS.")
    ] = None,
    to: Annotated[str | None, typer.Argument(metavar="TO]", help="The day after the last.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write this file and not the lake.")] = None,
    days: Annotated[
        int | None, typer.Option(help="Days of the newest report, with --out.", min=1, max=366)
    ] = None,
) -> None:
    """Make the report of days that are over, by default of the newest ones.

    Days are those of RETURNS_REPORT_TIME_ZONE. The report is one HTML file, which asks for nothing
    from anywhere: open it, print it, mail it. Other days than the usual ones need --out. Prints
    what stands out. Exits 1 where a day is not complete, as its figures are too low.
    """
    settings = load_settings()
    if days and from_:
        raise SettingsError("FROM and --days exclude each other.", next_step="Give one of them.")
    if out is None and (days or from_):
        raise SettingsError(
            "Only the usual report goes into the lake.", next_step="Name a file with --out."
        )
    from returns_orchestration.defs.reports import options_of  # noqa: PLC0415 - Dagster is slow to import
    from returns_orchestration.lake import Lake, open_store  # noqa: PLC0415 - polars is slow
    from returns_orchestration.report import files, page, standouts, summary  # noqa: PLC0415
    from returns_orchestration.report.figures import gather  # noqa: PLC0415

    first, last = _first_and_last(from_, to)
    lake = Lake(open_store(settings.lake))
    figures = gather(lake, settings.report_time_zone, options_of(settings, days), first, last)
    if figures is None:
        say("The lake has no whole day yet: the first report is made when a day is over.")
        raise typer.Exit(1)
    if out is None:
        place = lake.store.uri(files.put(lake, figures))
    else:
        place = str(out.resolve())
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(page.page(figures), encoding="utf-8")
        except OSError as error:
            raise SettingsError(
                f"{out} cannot be written: {error.strerror}.", next_step="Choose another file."
            ) from None
    say(f"{summary.title(figures)}:")
    for line in summary.lines(figures):
        more = f"  {line.more}" if line.more else ""
        say(f"  {line.name:<27} {line.value:>10}{more}")
    for one in standouts.find(figures):
        say(f"! {one.text}")
    say(f"The report is {place}")
    if figures.partial:
        raise typer.Exit(1)


def _first_and_last(from_: str | None, to: str | None) -> tuple[date | None, date | None]:
    """The days from FROM to the day before TO; two None without them."""
    if (from_ is None) != (to is None):
        raise SettingsError("FROM without TO.", next_step="Give both days, or none.")
    if from_ is None or to is None:
        return None, None
    first, last = _day(from_), _day(to) - timedelta(days=1)
    if last < first:
        raise SettingsError(
            f"FROM {from_} is not before TO {to}.",
            next_step="TO is not included: give the day after it.",
        )
    return first, last


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise SettingsError(
            f"{text!r} is not a day.", next_step="Write it as 2026-11-09."
        ) from None
