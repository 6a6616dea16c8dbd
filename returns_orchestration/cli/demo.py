"""`demo`: 48 hours of the simulator's returns through the whole pipeline, and what came out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import typer
from rich.console import Console
from rich.table import Table

from returns_orchestration import tables
from returns_orchestration.cli.backfill import chosen_windows, run_backfill
from returns_orchestration.cli.status import read_states
from returns_orchestration.env_file import project_folder
from returns_orchestration.settings import load_settings
from returns_orchestration.simulator import Simulator, SimulatorOptions

if TYPE_CHECKING:
    from returns_orchestration.settings import Settings
    from returns_orchestration.window import Window

FROM, TO = "2026-11-07T00:00", "2026-11-09T00:00"
"""Two fixed days, a Saturday and a Sunday: every run of the demo shows the same returns."""


def demo() -> None:
    """Start the bundled simulator, poll 48 hours of it through Dagster, show what came out."""
    console = Console(highlight=False)
    options = SimulatorOptions(returns_per_hour=6)
    folder = project_folder() / "data" / "demo"
    with Simulator(options).running() as base_url:
        settings = load_settings(
            CLICKPOST_BASE_URL=base_url,
            CLICKPOST_KEY=options.key,
            CLICKPOST_USER_NAME=options.user_name,
            CLICKPOST_MAX_REQUESTS_PER_SECOND="50",
            CLICKPOST_TIME_ZONE="UTC",
            RETURNS_LAKE=str(folder / "lake"),
            RETURNS_START="2026-01-01T00:00:00Z",
        )
        console.print(f"The simulator answers on {base_url}.")
        windows = chosen_windows(settings, FROM, TO)
        began = time.monotonic()
        good = run_backfill(settings, windows, repoll=False, console=console)
        console.print(f"It took {time.monotonic() - began:.1f} seconds.\n")
    show(settings, windows, console)
    states = read_states(settings, windows)
    late = sum(state.late for state in states)
    empty = sum(state.state == "empty" for state in states)
    console.print(
        f"{len(states)} hours: {len(states) - empty} with returns, {empty} empty, {late} late."
    )
    console.print(
        f"The tables lie in {settings.lake}; see them in Dagster's UI with `make dev`.",
        soft_wrap=True,
    )
    if not good:
        raise typer.Exit(1)


def show(settings: Settings, windows: list[Window], console: Console) -> None:
    """Rows of every table, and both aggregates summed over the two days."""
    rows = Table("table", box=None, pad_edge=False)
    for column in ("files", "rows"):
        rows.add_column(column, justify="right")
    for name in ("raw_returns", "returns", "return_items", "rejected_returns"):
        files = _files(settings, name, windows)
        count = pl.scan_parquet(files).select(pl.len()).collect().item()
        rows.add_row(name, str(len(files)), str(count))
    console.print(rows, "")
    for aggregate in tables.AGGREGATES:
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
