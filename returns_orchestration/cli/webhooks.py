"""`webhooks [FROM TO]`: what webhooks brought, by the hour; `webhooks import FILE`: from a file."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from returns_orchestration.cli.output import say
from returns_orchestration.cli.verify import chosen_span
from returns_orchestration.errors import SettingsError
from returns_orchestration.settings import load_settings
from returns_orchestration.window import HOUR, Window, windows_between
from returns_orchestration.words import count, utc

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from returns_orchestration.flow.imports import Imported
    from returns_orchestration.flow.webhooks.pipeline import WebhookRun
    from returns_orchestration.settings import Settings

HOURS_BY_DEFAULT = 24
IMPORT = "import"

COLUMNS = (
    ("hour (UTC)", 16),
    ("received", 8),
    ("returns", 7),
    ("both", 6),
    ("poll only", 9),
    ("webhook only", 12),
    ("undecided", 9),
    ("rate", 6),
    ("lag p50", 7),
    ("lag p99", 7),
    ("listening", 9),
)
SHOWN = (
    "received",
    "returns",
    "both",
    "poll_only",
    "webhook_only",
    "undecided",
    "rate",
    "lag_p50_s",
    "lag_p99_s",
    "listening_s",
)


def webhooks(
    from_: Annotated[
        str | None,
        typer.Argument(metavar="[FROM", help="First hour or day; or `import`; default: a day ago."),
    ] = None,
    to: Annotated[
        str | None, typer.Argument(metavar="TO]", help="Where to stop; or the file to import.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
) -> None:
    """Show which returns of [FROM, TO) webhooks brought, and which of them were lost.

    `received` are all webhooks that came in the hour. The others go by the hour of the request:
    `both` sources brought a return, `poll only` means that its webhook was lost, `webhook only`
    that polls lack it; `undecided` ones may still come. Lags are in seconds; `listening` are the
    seconds in which a receiver could take webhooks. Exits 1 when some were lost or polls lack some.

    `webhooks import FILE` brings in what another receiver has received: lines of JSON with
    `received_at`, a time with its zone, and `body`. The same file again changes nothing, and of one
    that has grown only the new lines count.
    """
    settings = load_settings()
    if from_ == IMPORT:
        _import(settings, to)
        return
    if (from_ is None) != (to is None):
        raise SettingsError("FROM without TO.", next_step="Give both, or none for the last day.")
    rows = rows_of(settings, from_, to)
    if as_json:
        typer.echo(json.dumps(rows))
    else:
        for line in _lines(rows):
            say(line)
    if any(row["poll_only"] or row["webhook_only"] for row in rows):
        raise typer.Exit(1)


def rows_of(settings: Settings, from_: str | None, to: str | None) -> list[dict[str, Any]]:
    """An object for each hour in which webhooks came, or of which they were compared with polls.

    What was not compared is None.
    """
    from returns_orchestration import tables  # noqa: PLC0415 - polars is slow to import
    from returns_orchestration.lake import Lake, open_store  # noqa: PLC0415

    if from_ is None or to is None:
        end = Window.of(datetime.now(UTC)).start
        start = end - HOURS_BY_DEFAULT * HOUR
    else:
        start, end = chosen_span(from_, to)
    lake = Lake(open_store(settings.lake))
    names, found = lake.names(), list[dict[str, Any]]()
    compared = tables.WEBHOOK_DELIVERY_HOURLY.schema.names()
    windows = list(windows_between(start, end))
    names.load_hours(windows)
    for window in windows:
        frame = lake.read(tables.WEBHOOK_DELIVERY_HOURLY, window, names)
        received = sum(entry.rows for entry in names.hour(window).received)
        row = dict.fromkeys(compared) if frame is None else frame.row(0, named=True)
        if frame is not None or received:
            del row["hour_start"]
            found.append({"hour": window.text, "received": received} | row)
    return found


def _lines(rows: list[dict[str, Any]]) -> Iterable[str]:
    if not rows:
        yield "No webhook came in this time, and none were compared with polls."
        return
    yield "  ".join(f"{title:<{width}}" for title, width in COLUMNS).rstrip()
    for row in rows:
        cells = [row["hour"], *(_cell(name, row[name]) for name in SHOWN)]
        aligned = [
            f"{cell:<{width}}" if at == 0 else f"{cell:>{width}}"
            for at, (cell, (_, width)) in enumerate(zip(cells, COLUMNS, strict=True))
        ]
        yield "  ".join(aligned)
    yield summary(rows)


def summary(rows: list[dict[str, Any]]) -> str:
    """How many were lost, and the rate of delivery."""
    both, lost, lacking = (
        sum(row[name] or 0 for row in rows) for name in ("both", "poll_only", "webhook_only")
    )
    rate = (
        f"{both / (both + lost):.1%} of webhooks were delivered" if both + lost else "no rate yet"
    )
    return f"{count(lost, 'webhook')} lost, {count(lacking, 'return')} that polls lack; {rate}."


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1%}" if name == "rate" else str(value)


def _import(settings: Settings, file: str | None) -> None:
    if file is None:
        raise SettingsError("`import` without a file.", next_step="Name the file: import FILE.")
    from returns_orchestration.flow.from_settings import build_pipeline  # noqa: PLC0415 - polars is slow to import
    from returns_orchestration.flow.imports import import_webhooks  # noqa: PLC0415
    from returns_orchestration.flow.webhooks.blanking import blanking_as_received  # noqa: PLC0415

    pipeline = build_pipeline(settings)
    lake, many = pipeline.lake, pipeline.webhooks
    if many is None:
        raise TypeError
    lake.check_writable()
    blank = blanking_as_received(lake, many.reader, settings.keep_raw)
    found = import_webhooks(
        lake, Path(file), start=settings.start, now=pipeline.clock(), blank=blank
    )
    done = many.run({hour.start.date() for hour in found.hours})
    say(
        f"Imported {count(found.hours.total(), 'delivery')} of {count(len(found.hours), 'hour')}; "
        f"{count(len(done.matched), 'hour')} compared with polls."
    )
    for line in _about(found, done):
        say(line)
    if done.failed:
        raise typer.Exit(1)


def _about(found: Imported, done: WebhookRun) -> Iterator[str]:
    """What follows from an import, and what is left to do."""
    if found.span:
        first, last = map(utc, found.span)
        yield (
            f"From {first} to {last} UTC the file counts as a receiver: a return of that time "
            "whose webhook it lacks was lost."
        )
    unusable = sum(
        done.received[hour].facts["rejected"] for hour in found.hours.keys() & done.received
    )
    if unusable:
        yield f"{count(unusable, 'delivery')} of these hours cannot be used: see rejected_webhooks."
    if found.is_cut_off:
        yield "The last line is not whole yet, and was left out: import the file again later."
    yield from (f"failed      {error}" for error in done.failed.values())
