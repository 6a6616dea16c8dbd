"""`export TABLE [FROM TO]`: the rows of a table as one file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from returns_orchestration.cli.output import say
from returns_orchestration.cli.verify import chosen_span
from returns_orchestration.errors import SettingsError
from returns_orchestration.settings import load_settings
from returns_orchestration.words import count, listed

if TYPE_CHECKING:
    from returns_orchestration.report.exports import Format

DEFAULT = "csv"


def export(
    table: Annotated[
        str, typer.Argument(metavar="TABLE", help="The table, such as returns_daily.")
    ],
    from_: Annotated[str | None, typer.Argument(metavar="[FROM", help="First hour or day.")] = None,
    to: Annotated[str | None, typer.Argument(metavar="TO]", help="Where to stop.")] = None,
    kind: Annotated[str, typer.Option("--format", help="csv, xlsx, parquet or arrow.")] = DEFAULT,
    out: Annotated[
        Path | None,
        typer.Option(help="The file; default: a name here, of account, table and time."),
    ] = None,
) -> None:
    """Write the rows of a table of [FROM, TO) to one file.

    Hourly tables have the hours of that time in UTC, daily tables its days in
    RETURNS_REPORT_TIME_ZONE. `lateness` and `open_returns` need no time. Times are in UTC. In CSV
    and Excel a text that a spreadsheet would take for a formula stays text. A file that is there
    is replaced, once the new one is whole. Exits 1 where hours or days of that time are not made.
    """
    settings = load_settings()
    from returns_orchestration import tables  # noqa: PLC0415 - polars is slow to import
    from returns_orchestration.lake import Lake, open_store  # noqa: PLC0415
    from returns_orchestration.report import exports  # noqa: PLC0415

    known = {one.name: one for one in exports.EXPORTED}
    if table not in known:
        raise SettingsError(
            f"The table {table!r} cannot be exported.", next_step=f"One of: {', '.join(known)}."
        )
    if kind not in exports.FORMATS:
        raise SettingsError(
            f"There is no format {kind!r}.", next_step=f"One of: {', '.join(exports.FORMATS)}."
        )
    chosen: Format = kind  # type: ignore[assignment]
    of_all_time = known[table] in tables.OF_ALL_TIME
    if (from_ is None or to is None) and not of_all_time:
        raise SettingsError("FROM and TO are missing.", next_step=f"export {table} FROM TO")
    if known[table] in exports.OF_DAYS and any("T" in (text or "") for text in (from_, to)):
        raise SettingsError(
            f"{table} has days, and FROM or TO is an hour.", next_step="Write days, as 2026-11-09."
        )
    start = end = datetime.now(UTC)
    if from_ is not None and to is not None:
        start, end = chosen_span(from_, to)
    spans = [] if of_all_time else [str(from_), str(to)]
    of_account = [settings.account] if settings.account else []
    name = "_".join([*of_account, table, *spans]).replace(":", "")
    place = out or Path(f"{name}.{kind}")
    lake = Lake(open_store(settings.lake))
    zone = settings.report_time_zone
    rows, absent = exports.export(lake, known[table], start, end, zone, chosen, place)
    say(f"{count(rows, 'row')} in {place.resolve()}")
    if absent:
        say(f"Not made, so without rows: {listed(absent)}.")
        raise typer.Exit(1)
