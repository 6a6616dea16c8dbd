"""A table of some time as one file: CSV, Excel, Parquet or Arrow.

Rows are read as everything here is read: held against the journal, in today's columns. They pass
through a folder of parts, so that memory stays flat however long the time is. The file appears
whole or not at all.
"""

from __future__ import annotations

import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import polars as pl

from returns_orchestration import tables
from returns_orchestration.errors import SettingsError
from returns_orchestration.lake.journal import JOURNAL
from returns_orchestration.lake.names import dates_in
from returns_orchestration.report.downloads import FORMULA
from returns_orchestration.window import Day, Ever

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date
    from zoneinfo import ZoneInfo

    from returns_orchestration.lake import Lake
    from returns_orchestration.tables import Table

Format = Literal["csv", "xlsx", "parquet", "arrow"]
FORMATS: Final = get_args(Format)

OF_HOURS: Final = (*tables.MADE_HOURLY, *tables.WEBHOOKS_RECEIVED, *tables.WEBHOOKS_MATCHED)
OF_DAYS: Final = (*tables.MADE_DAILY, *tables.WEBHOOKS_DAILY)
EXPORTED: Final = (*OF_HOURS, *OF_DAYS, *tables.OF_ALL_TIME)
"""The tables that can be exported; the others are files of their own kind."""

DAYS_AT_ONCE: Final = 7
ONE_DAY: Final = timedelta(days=1)
EXCEL_ROWS: Final = 1_048_575
"""Rows of a sheet below the titles."""

CREATED: Final = datetime(2026, 1, 1)  # noqa: DTZ001 - Excel knows no zone
EXACT: Final = 10**15
"""From here on a number of Excel loses digits, so it is written as text."""

EXCEL_CELL: Final = 32_767
"""Characters of a cell; the rest of a longer text is left out."""


def export(  # noqa: PLR0913, PLR0917 - what, of when, and how
    lake: Lake,
    table: Table,
    start: datetime,
    end: datetime,
    zone: ZoneInfo,
    kind: Format,
    out: Path,
) -> tuple[int, list[str]]:
    """Write the rows of the hours or days of [``start``, ``end``) to ``out``.

    Gives their number, and the hours or days of that time that are not made. Days are those of
    ``zone`` from the date of ``start`` until before that of ``end``. Raises LakeError, and
    SettingsError where the format cannot hold them or the file cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=".export-") as folder:
            parts, rows, absent = [Path(folder, "part-0.parquet")], 0, list[str]()
            table.empty().write_parquet(parts[0])
            for frame in _frames(lake, table, start, end, zone, absent):
                rows += frame.height
                parts.append(Path(folder, f"part-{len(parts)}.parquet"))
                frame.write_parquet(parts[-1])
            written = Path(folder, f"whole.{kind}")
            whole = pl.scan_parquet(parts, hive_partitioning=False)
            if kind == "parquet":
                whole.sink_parquet(written, compression="zstd")
            elif kind == "arrow":
                whole.sink_ipc(written)
            elif kind == "csv":
                _as_text(whole, table).sink_csv(written, include_bom=True)
            else:
                _write_excel(parts, table, rows, written)
            written.replace(out)
    except OSError as error:
        raise SettingsError(
            f"{out} cannot be written: {error.strerror}.", next_step="Choose another with --out."
        ) from None
    return rows, absent


def _frames(  # noqa: PLR0913, PLR0917 - see export
    lake: Lake,
    table: Table,
    start: datetime,
    end: datetime,
    zone: ZoneInfo,
    absent: list[str],
) -> Iterator[pl.DataFrame]:
    """The rows in the order of time, those of a few days at once; ``absent`` gets what lacks."""
    if table in tables.OF_ALL_TIME:
        frame = lake.read(table, Ever(), lake.names())
        yield from [] if frame is None else [frame]
        return
    lake.format.ensure()
    known = dates_in(lake.store, JOURNAL)
    if not known:
        return
    first = max(start.date(), known[0] - ONE_DAY)
    last = min(end.date(), known[-1] + ONE_DAY)
    while first <= last:
        until = first + DAYS_AT_ONCE * ONE_DAY
        some = [
            period
            for n in range(DAYS_AT_ONCE)
            for period in _periods(table, first + n * ONE_DAY, start, end, zone)
        ]
        names = lake.names()
        names.load(first - ONE_DAY, until)
        rows = lake.read_many(table, some, names)
        absent += [period.key for period in some if period not in rows]
        found = [rows[period] for period in some if period in rows]
        if sum(frame.height for frame in found):
            yield pl.concat(found)
        first = until


def _periods(
    table: Table, day: date, start: datetime, end: datetime, zone: ZoneInfo
) -> Sequence[Any]:
    """The hours of a UTC date, or the day of that date, as far as they are in the time."""
    if table in OF_HOURS:
        return [w for w in Day(day, tables.UTC_DAYS).windows if start <= w.start < end]
    return [Day(day, zone)] if start.date() <= day < end.date() else []


def _as_text(whole: pl.LazyFrame, table: Table) -> pl.LazyFrame:
    """Lists joined, and texts that a spreadsheet would run marked as text."""
    lists = [name for name, kind in table.schema.items() if isinstance(kind, pl.List)]
    texts = [name for name, kind in table.schema.items() if kind == pl.String] + lists
    joined = whole.with_columns(pl.col(name).list.join("; ") for name in lists)
    return joined.with_columns(
        pl.when(pl.col(name).str.contains(f"^{FORMULA.pattern}"))
        .then(pl.lit("'") + pl.col(name))
        .otherwise(pl.col(name))
        .alias(name)
        for name in texts
    )


def _write_excel(parts: Sequence[Path], table: Table, rows: int, out: Path) -> None:
    """One sheet. Times are in UTC, without a zone, which Excel does not have."""
    import xlsxwriter  # type: ignore[import-untyped]  # noqa: PLC0415 - only where it is asked for

    if rows > EXCEL_ROWS:
        raise SettingsError(
            f"{rows:,} rows do not fit into a sheet of Excel, which has {EXCEL_ROWS:,}.",
            next_step="Export a shorter time, or --format csv or parquet.",
        )
    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    with xlsxwriter.Workbook(out, options) as book:
        book.set_properties({"created": CREATED})  # so that the same rows give the same bytes
        sheet = book.add_worksheet(table.name[:31])
        bold = book.add_format({"bold": True})
        forms: dict[pl.DataType, Any] = {
            tables.TIME: book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
            tables.DAY: book.add_format({"num_format": "yyyy-mm-dd"}),
        }
        for column, name in enumerate(table.schema):
            sheet.write_string(0, column, name, bold)
        sheet.freeze_panes(1, 0)
        at = 0
        for part in parts:
            for row in pl.read_parquet(part, hive_partitioning=False).iter_rows():
                at += 1
                for place, (kind, value) in enumerate(zip(table.schema.values(), row, strict=True)):
                    _write_cell(sheet, at, place, value, forms.get(kind))


def _write_cell(sheet: Any, row: int, column: int, value: Any, form: Any) -> None:  # noqa: ANN401
    """A value of any column; ``form`` is that of times and days."""
    if value is None:
        return
    if isinstance(value, list):
        value = "; ".join(map(str, value))
    if isinstance(value, int) and abs(value) >= EXACT:
        value = str(value)
    if isinstance(value, str):
        sheet.write_string(row, column, value[:EXCEL_CELL])
    elif isinstance(value, datetime):
        sheet.write_datetime(row, column, value.replace(tzinfo=None), form)
    elif form is not None:
        sheet.write_datetime(row, column, value, form)
    else:
        sheet.write(row, column, value)
