"""`demo`: the last 48 hours of the simulator's returns through the whole pipeline."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table

from returns_orchestration.cli import demo_lake
from returns_orchestration.cli.backfill import run_backfill
from returns_orchestration.cli.status import chosen_hours, read_states
from returns_orchestration.cli.webhooks import rows_of, summary
from returns_orchestration.settings import load_settings
from returns_orchestration.words import count

if TYPE_CHECKING:
    from returns_orchestration.settings import Settings
    from returns_orchestration.window import Window

NEXT = (
    ("status --demo --by-day", "the state of the hours, a line a day"),
    ("report --demo", "a page for people: what came back, and why"),
    ("webhooks --demo", "which webhooks were lost, a line an hour"),
    ("verify --demo", "every file against its checksum"),
    ("dev --demo", "Dagster's UI on http://127.0.0.1:3000"),
)


def demo() -> None:
    """Start the bundled simulator, poll 48 hours of it through Dagster, show what came out."""
    from returns_orchestration.cli import demo_simulator  # noqa: PLC0415 - slow to import

    console = Console(highlight=False)
    demo_lake.prepare()
    demo_lake.use()
    with demo_simulator.simulator() as base_url:
        settings = load_settings()
        console.print(f"The simulator answers on {base_url}.")
        windows = chosen_hours(settings)
        began = time.monotonic()
        good = run_backfill(settings, windows, repoll=False, console=console)
        console.print(f"It took {time.monotonic() - began:.1f} seconds.\n")
    deliver(settings, windows)
    show(settings, windows, console)
    states = read_states(settings, windows)
    late = sum(state.late for state in states)
    empty = sum(state.state == "empty" for state in states)
    console.print(
        f"{count(len(states), 'hour')}: {len(states) - empty} with returns, {empty} empty; "
        f"{count(late, 'late return')}."
    )
    rows = rows_of(settings, windows[0].text, windows[-1].next.text)
    console.print(f"Webhooks of the same hours: {summary(rows)}", soft_wrap=True)
    console.print(f"The tables are in {settings.lake}.\n", soft_wrap=True)
    program = own_name()
    console.print("Next:")
    for command, meaning in NEXT:
        console.print(f"  {program} {command:<23}  {meaning}", soft_wrap=True)
    if not good:
        raise typer.Exit(1)


def deliver(settings: Settings, windows: list[Window]) -> None:
    """Bring in the webhooks of ``windows``, a few of which were lost, and make what follows."""
    from returns_orchestration.cli import demo_simulator  # noqa: PLC0415 - see `demo`
    from returns_orchestration.flow.from_settings import build_pipeline  # noqa: PLC0415 - polars is slow to import
    from returns_orchestration.flow.imports import import_webhooks  # noqa: PLC0415

    pipeline = build_pipeline(settings)
    names = pipeline.lake.names()
    # What came to the receiver of `dev` is there.
    for file in demo_simulator.received(w for w in windows if not names.hour(w).listened):
        import_webhooks(pipeline.lake, file, start=settings.start, now=pipeline.clock())
    if pipeline.webhooks is not None:
        pipeline.webhooks.run({window.start.date() for window in windows})
    pipeline.all_time.build()


def own_name() -> str:
    """What to type for this program: with its folder, unless the shell finds it without."""
    script = Path(sys.argv[0])
    found = shutil.which(script.name)
    if found is not None and Path(found).resolve() == script.resolve():
        return script.name
    return os.path.relpath(script) if script.is_relative_to(Path.cwd()) else str(script)


def show(settings: Settings, windows: list[Window], console: Console) -> None:
    """Rows of every table, and the counts by mode and by reason summed over all hours."""
    import polars as pl  # noqa: PLC0415 - see `backfill`

    from returns_orchestration.tables.counts import REFUND_MODES, RETURN_REASONS  # noqa: PLC0415

    rows = Table("table", box=None, pad_edge=False)
    for column in ("files", "rows"):
        rows.add_column(column, justify="right")
    for name in ("raw_returns", "returns", "return_items", "rejected_returns"):
        files = _files(settings, name, windows)
        found = pl.scan_parquet(files).select(pl.len()).collect().item()
        rows.add_row(name, str(len(files)), str(found))
    console.print(rows, "")
    for aggregate in (REFUND_MODES, RETURN_REASONS):
        name, by = aggregate.hourly.name, aggregate.by.name
        summed = (
            pl.scan_parquet(_files(settings, name, windows))
            .group_by(by)
            .agg(pl.col("returns", "items", "quantity").sum())
            .sort(["returns", by], descending=[True, False])
            .collect()
        )
        table = Table(by.replace("_", " "), box=None, pad_edge=False)
        for column in ("returns", "items", "quantity"):
            table.add_column(column, justify="right")
        for row in summed.iter_rows():
            table.add_row(*map(str, row))
        console.print(table, "")


def _files(settings: Settings, table: str, windows: list[Window]) -> list[Path]:
    folders = (Path(settings.lake, table, window.path) for window in windows)
    return [file for folder in folders for file in sorted(folder.glob("*.parquet"))]
