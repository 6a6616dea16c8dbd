"""A table as one file: the same rows in each format, read by the libraries that people use."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pandas as pd
import polars as pl
import pytest
from flow.conftest import FakeApi
from report.conftest import INDIA
from support.records import at, item, returned, with_items

from returns_orchestration import tables
from returns_orchestration.errors import LakeDamaged, SettingsError
from returns_orchestration.lake import Lake
from returns_orchestration.lake.store import FolderStore
from returns_orchestration.report import exports
from returns_orchestration.report.exports import Format, export
from returns_orchestration.window import windows_between

FORMULA = '=HYPERLINK("http://x.example")'
FORMATS: tuple[Format, ...] = ("csv", "xlsx", "parquet", "arrow")


@pytest.fixture(scope="module")
def polled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days and a half; each hour has a return of two items, one for a reason like a formula."""
    folder = tmp_path_factory.mktemp("lake")
    lake = Lake(FolderStore(folder), lambda: at(900))

    def served(window: Any) -> list[dict[str, Any]]:
        items = [item("S-1", quantity=2), item("S-2", return_reason=FORMULA, refund_mode="-1+1")]
        one = with_items(items)
        base = returned(window.key, window.start)
        return [base | {"webhook_payload": one["webhook_payload"]}]

    FakeApi(served, now=at(900), always_at=at(800)).run(lake, list(windows_between(at(0), at(60))))
    return folder


@pytest.fixture
def lake_of(polled: Path) -> Lake:
    return Lake(FolderStore(polled), lambda: at(900))


def exported(lake: Lake, table: tables.Table, kind: Format, out: Path, *span: datetime) -> int:
    start, end = span or (at(0), at(60))
    rows, absent = export(lake, table, start, end, INDIA, kind, out)
    assert absent == []
    return rows


def read(kind: Format, file: Path) -> pd.DataFrame:
    if kind == "csv":
        return pd.read_csv(file, encoding="utf-8-sig")
    if kind == "xlsx":
        return pd.read_excel(file)
    return pd.read_parquet(file) if kind == "parquet" else pl.read_ipc(file).to_pandas()


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_has_the_same_rows(kind: Format, lake_of: Lake, tmp_path: Path) -> None:
    file = tmp_path / f"items.{kind}"
    assert exported(lake_of, tables.RETURN_ITEMS, kind, file) == 120
    found = read(kind, file)
    assert list(found.columns) == tables.RETURN_ITEMS.schema.names()
    assert len(found) == 120
    assert found["quantity"].sum() == 180
    assert found["return_reference_number"].nunique() == 60
    assert pd.to_datetime(found["requested_at"], utc=True).min() == pd.Timestamp(at(0))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_duckdb_reads_it(kind: Format, lake_of: Lake, tmp_path: Path) -> None:
    file = tmp_path / f"items.{kind}"
    exported(lake_of, tables.RETURN_ITEMS, kind, file)
    (found,) = duckdb.sql(f"SELECT count(*), sum(quantity) FROM '{file}'").fetchall()  # noqa: S608
    assert found == (120, 180)


def test_excel_takes_no_text_for_a_formula(lake_of: Lake, tmp_path: Path) -> None:
    file = tmp_path / "items.xlsx"
    exported(lake_of, tables.RETURN_ITEMS, "xlsx", file)
    sheet = openpyxl.load_workbook(file).active
    titles = [cell.value for cell in sheet[1]]
    reason, mode, at_ = (titles.index(n) for n in ("return_reason", "refund_mode", "requested_at"))
    row = sheet[3]
    assert (row[reason].value, row[reason].data_type) == (FORMULA, "s")
    assert (row[mode].value, row[mode].data_type) == ("-1+1", "s")
    assert row[reason].hyperlink is None
    assert row[at_].value == datetime(2026, 11, 9)  # noqa: DTZ001 - Excel knows no zone
    assert sheet.freeze_panes == "A2"


def test_csv_marks_what_a_spreadsheet_would_run(lake_of: Lake, tmp_path: Path) -> None:
    file = tmp_path / "items.csv"
    exported(lake_of, tables.RETURN_ITEMS, "csv", file)
    content = file.read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    found = pd.read_csv(file, encoding="utf-8-sig")
    assert set(found["return_reason"]) == {"Size Issue", f"'{FORMULA}"}
    assert set(found["refund_mode"]) == {"UPI", "'-1+1"}


def test_lists_are_joined_where_a_format_has_none(lake_of: Lake, tmp_path: Path) -> None:
    for kind in FORMATS:
        exported(lake_of, tables.RETURNS, kind, tmp_path / f"r.{kind}")
    assert set(read("csv", tmp_path / "r.csv")["sources"]) == {"poll"}
    assert set(read("xlsx", tmp_path / "r.xlsx")["sources"]) == {"poll"}
    kept = pl.read_parquet(tmp_path / "r.parquet", hive_partitioning=False)
    assert kept.schema == tables.RETURNS.schema
    assert pl.read_ipc(tmp_path / "r.arrow").equals(kept)


def test_hours_are_in_utc_and_days_in_the_zone(lake_of: Lake, tmp_path: Path) -> None:
    file = tmp_path / "x.parquet"
    assert exported(lake_of, tables.RETURNS, "parquet", file, at(5), at(7)) == 2
    span = datetime(2026, 11, 10, tzinfo=UTC), datetime(2026, 11, 11, tzinfo=UTC)
    assert exported(lake_of, tables.RETURNS_DAILY, "parquet", file, *span) == 24
    days = pl.read_parquet(file, hive_partitioning=False)["day"]
    assert set(days) == {date(2026, 11, 10)}


def test_an_empty_time_is_a_file_of_no_rows(lake_of: Lake, tmp_path: Path) -> None:
    for kind in FORMATS:
        file = tmp_path / f"none.{kind}"
        assert exported(lake_of, tables.REJECTED_RETURNS, kind, file) == 0
        found = read(kind, file)
        assert (len(found), list(found.columns)) == (0, tables.REJECTED_RETURNS.schema.names())


def test_hours_that_are_not_made_are_named(lake: Lake, tmp_path: Path) -> None:
    windows = list(windows_between(at(0), at(5)))
    lacking = windows[2]
    FakeApi(lambda w: [returned(w.key, w.start)]).run(lake, [w for w in windows if w != lacking])
    file = tmp_path / "r.csv"
    rows, absent = export(lake, tables.RETURNS, at(0), at(5), INDIA, "csv", file)
    assert (rows, absent) == (4, [lacking.key])


@pytest.mark.parametrize("kind", FORMATS)
def test_the_same_rows_give_the_same_bytes(kind: Format, lake_of: Lake, tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.{kind}" for name in "ab"]
    for file in files:
        exported(lake_of, tables.RETURNS, kind, file)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_folder_that_cannot_be_written_is_named(lake_of: Lake, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="cannot be written"):
        exported(lake_of, tables.RETURNS, "csv", tmp_path / "file" / "r.csv")


def test_a_table_of_all_time_needs_no_time(lake_of: Lake, tmp_path: Path) -> None:
    FakeApi(lambda _: [], now=at(900)).pipeline(lake_of).all_time.build()
    file = tmp_path / "o.parquet"
    now = datetime.now(UTC)
    assert exported(lake_of, tables.OPEN_RETURNS, "parquet", file, now, now) == 60


def test_what_cannot_be_read_leaves_the_file_that_is_there(lake: Lake, tmp_path: Path) -> None:
    FakeApi(lambda w: [returned(w.key, w.start)]).run(lake, list(windows_between(at(0), at(3))))
    path = "returns/date=2026-11-09/hour=01/part-0.parquet"
    lake.store.put(path, bytes(reversed(lake.store.get(path) or b"")))
    file = tmp_path / "r.csv"
    file.write_text("before")
    with pytest.raises(LakeDamaged, match=path):
        exported(Lake(lake.store), tables.RETURNS, "csv", file)
    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file] or {p.name for p in tmp_path.iterdir()} <= {
        "r.csv", "lake",
    }  # fmt: skip


def test_more_rows_than_a_sheet_has_are_refused(
    lake_of: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "EXCEL_ROWS", 119)
    with pytest.raises(SettingsError, match="120 rows do not fit") as refused:
        exported(lake_of, tables.RETURN_ITEMS, "xlsx", tmp_path / "x.xlsx")
    assert "--format csv" in str(refused.value)
    assert list(tmp_path.iterdir()) == []
