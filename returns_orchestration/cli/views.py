"""`views`: the lake as views of DuckDB and as sources of dbt."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from returns_orchestration.cli.output import say
from returns_orchestration.errors import SettingsError
from returns_orchestration.settings import load_settings


def views(
    out: Annotated[
        Path | None,
        typer.Option(help="The folder for the three files; default: here, or the account's name."),
    ] = None,
) -> None:
    """Write views.sql, returns.duckdb and sources.yml, by which DuckDB and dbt read the lake.

    The data stay in the lake: the views read it in place, in a folder or a bucket. A table without
    a file has an empty view; write them again once it has some, and after an upgrade.
    `returns.duckdb` needs DuckDB: pip install duckdb. For a bucket, DuckDB loads its extension
    httpfs from the internet.
    """
    settings = load_settings()
    out = out or Path(settings.account)
    from returns_orchestration import tables  # noqa: PLC0415 - polars is slow to import
    from returns_orchestration.lake import open_store  # noqa: PLC0415
    from returns_orchestration.report import views as made  # noqa: PLC0415

    store = open_store(settings.lake)
    there = [table.name for table in tables.TABLES if next(iter(store.list(table.name)), None)]
    statements = made.sql(settings.lake, there)
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "views.sql").write_text(statements, encoding="utf-8")
        (out / "sources.yml").write_text(
            made.dbt_sources(settings.lake, settings.account), encoding="utf-8"
        )
    except OSError as error:
        raise SettingsError(
            f"{out} cannot be written: {error.strerror}.", next_step="Choose another with --out."
        ) from None
    say(f"{out / 'views.sql'}\n{out / 'sources.yml'}")
    try:
        import duckdb  # noqa: PLC0415 - only where it is asked for
    except ImportError:
        raise SettingsError(
            "DuckDB is not installed, so there is no returns.duckdb.",
            next_step="pip install duckdb, or run views.sql in a DuckDB of your own.",
        ) from None
    try:
        with duckdb.connect(str(out / "returns.duckdb")) as connection:
            connection.execute(statements)
    except duckdb.Error as error:
        raise SettingsError(
            f"DuckDB cannot read the lake: {error}",
            next_step="Run views.sql in a DuckDB that can.",
        ) from None
    say(str(out / "returns.duckdb"))
