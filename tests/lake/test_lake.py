from __future__ import annotations

from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import polars as pl
import pytest
from records import assigned, at
from rows import HOUR, folded, poll

from returns_orchestration import tables
from returns_orchestration.errors import LakeDamaged
from returns_orchestration.lake import Lake
from returns_orchestration.lake.partitions import to_parquet
from returns_orchestration.lake.records import FileRecord
from returns_orchestration.stages import aggregates
from returns_orchestration.stages.ownership import items_frame, returns_frame
from returns_orchestration.window import Day, Ever, Window

FACTS = {"returns": 1, "items": 1, "rejected": 0, "late": 0}


DAY = Day(date(2026, 11, 9), ZoneInfo("Asia/Kolkata"))


def frames(*, full: bool = True, window: Window = HOUR) -> dict[str, pl.DataFrame]:
    found = [folded(poll(assigned()))] if full else []
    returns, items = returns_frame(found), items_frame(found)
    return {
        "returns": returns,
        "return_items": items,
        "refund_modes_hourly": aggregates.refund_modes(
            tables.REFUND_MODES_HOURLY, window.start, returns, items
        ),
        "return_reasons_hourly": aggregates.return_reasons(
            tables.RETURN_REASONS_HOURLY, window.start, items
        ),
        "rejected_returns": tables.REJECTED_RETURNS.empty(),
    }


def daily_frames(day: Day, *, full: bool = True) -> dict[str, pl.DataFrame]:
    modes, reasons = tables.MADE_DAILY
    made = frames(full=full)
    returns, items = made["returns"], made["return_items"]
    return {
        modes.name: aggregates.refund_modes(modes, day.date, returns, items),
        reasons.name: aggregates.return_reasons(reasons, day.date, items),
    }


@pytest.fixture
def published(lake: Lake) -> Lake:
    """Two hours, the later one empty, with a poll each; two days likewise; and one for ever."""
    for window, full in ((HOUR, True), (HOUR.next, False)):
        served = ("{}",) if full else ()
        assert lake.create_poll(window, 1, at(20), served)
        file = lake.read_new_poll(window, 1).file
        lake.record_poll(window, 1, at(20), file, {}, len(served))
        lake.publish(window, frames(full=full, window=window), ["p"], FACTS)
    for day, full in ((DAY, True), (Day(date(2026, 11, 10), DAY.zone), False)):
        lake.publish(day, daily_frames(day, full=full), ["p"], FACTS)
    ages = {name: [1] for name in tables.LATENESS.schema.names()}
    lake.publish(Ever(), {tables.LATENESS.name: tables.LATENESS.frame(ages)}, [], FACTS)
    row = {name: [at(11)] if name == "noted_at" else [None] for name in tables.ALERTS.schema}
    alert = tables.ALERTS.frame({**row, "event": ["opened"]})
    lake.store.create(lake.path(tables.ALERTS, DAY, "00000001.parquet"), to_parquet(alert))
    return lake


def test_a_path_is_made_of_table_and_hour(lake: Lake) -> None:
    assert lake.path(tables.RETURNS, HOUR) == "returns/date=2026-11-09/hour=11/part-0.parquet"
    assert lake.uri(tables.RETURNS, HOUR).endswith("/lake/returns/date=2026-11-09/hour=11")


def test_what_was_published_is_read_and_what_never_was_is_none(published: Lake) -> None:
    for name, frame in frames().items():
        read = published.read(tables.BY_NAME[name], HOUR)
        assert read is not None
        assert read.equals(frame)
    assert published.read(tables.RETURNS, Window(at(3))) is None


def test_a_day_stands_beside_its_hours_and_is_none_of_them(published: Lake, folder: Path) -> None:
    path = "refund_modes_daily/date=2026-11-09/part-0.parquet"
    assert published.path(tables.REFUND_MODES_DAILY, DAY) == path
    assert published.uri(tables.REFUND_MODES_DAILY, DAY).endswith(path.rpartition("/")[0])
    assert (folder / "_records/date=2026-11-09/tables.json").exists()
    assert published.made(DAY).period == "2026-11-09"  # type: ignore[union-attr]
    assert published.entries().keys() == {HOUR, HOUR.next}
    for name, frame in daily_frames(DAY).items():
        read = published.read(tables.BY_NAME[name], DAY)
        assert read is not None
        assert read.equals(frame)


@pytest.mark.parametrize("table", tables.TABLES, ids=lambda table: table.name)
def test_polars_and_duckdb_read_exactly_the_rows_with_one_schema(
    table: tables.Table, published: Lake, folder: Path
) -> None:
    glob = f"{folder}/{table.name}/**/*.parquet"
    files = sorted(Path(folder / table.name).rglob("*"))
    parquet = [file for file in files if file.is_file()]
    assert len(parquet) == (1 if table in {tables.LATENESS, tables.ALERTS} else 2)
    for file in parquet:
        assert pl.read_parquet(file, hive_partitioning=False).schema == table.schema
    in_polars = pl.scan_parquet(glob).collect()
    assert in_polars.schema == table.schema
    expected = 0 if table is tables.REJECTED_RETURNS else 1
    assert in_polars.height == expected
    in_duckdb = duckdb.sql(f"SELECT * FROM read_parquet('{glob}', hive_partitioning = false)")  # noqa: S608
    assert in_duckdb.columns == table.schema.names()
    assert in_duckdb.pl().cast(dict(table.schema)).equals(in_polars)
    assert published.entry(HOUR).made


def test_duckdb_left_to_itself_takes_the_hour_from_the_path(published: Lake, folder: Path) -> None:
    """The README's advice, hive_partitioning = false, stands as long as this holds."""
    glob = f"{folder}/{tables.REFUND_MODES_HOURLY.name}/**/*.parquet"
    assert duckdb.sql(f"SELECT hour FROM '{glob}'").fetchall() == [(11,)]  # noqa: S608
    right = f"SELECT hour FROM read_parquet('{glob}', hive_partitioning = false)"  # noqa: S608
    assert duckdb.sql(right).pl()["hour"].dt.convert_time_zone("UTC").to_list() == [at(11)]
    assert published.entry(HOUR.next).made


def test_the_same_frame_gives_the_same_bytes() -> None:
    for name, frame in frames().items():
        again = frames()[name]
        assert to_parquet(frame) == to_parquet(again)
        assert to_parquet(frame) == to_parquet(pl.read_parquet(to_parquet(frame)))


def test_files_are_compressed_with_zstd(published: Lake, folder: Path) -> None:
    for file in folder.rglob("*.parquet"):
        codecs = duckdb.sql(f"SELECT DISTINCT compression FROM parquet_metadata('{file}')")  # noqa: S608
        rows = pl.read_parquet(file, hive_partitioning=False).height
        assert codecs.fetchall() == ([("ZSTD",)] if rows else [])
    assert published.entry(HOUR).made


def test_a_table_published_twice_is_written_once(published: Lake, folder: Path) -> None:
    stamps = {file: file.stat().st_mtime_ns for file in folder.rglob("*") if file.is_file()}
    record, changed = published.publish(HOUR, frames(), ["p"], FACTS)
    assert changed == set()
    assert record == published.made(HOUR)
    now = {file: file.stat().st_mtime_ns for file in folder.rglob("*") if file.is_file()}
    assert now == stamps


def test_only_the_table_that_differs_is_written_again(published: Lake) -> None:
    other = frames() | {"returns": frames()["returns"].with_columns(status=pl.lit("NEW"))}
    record, changed = published.publish(HOUR, other, ["p"], FACTS)
    assert changed == {"returns"}
    assert published.made(HOUR) == record
    assert published.read(tables.RETURNS, HOUR).equals(other["returns"])  # type: ignore[union-attr]


@pytest.mark.parametrize("table", tables.MADE_HOURLY, ids=lambda table: table.name)
def test_a_flipped_bit_anywhere_in_a_file_is_damage(
    table: tables.Table, published: Lake, folder: Path
) -> None:
    file = folder / published.path(table, HOUR)
    content = file.read_bytes()
    for place in range(0, len(content), max(1, len(content) // 50)):
        file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(LakeDamaged, match=str(published.path(table, HOUR))):
            published.read(table, HOUR)
    file.write_bytes(content)
    assert published.read(table, HOUR) is not None


@pytest.mark.parametrize("damage", ["flipped", "torn", "missing", "swapped"])
def test_a_poll_that_is_not_as_recorded_is_damage(
    damage: str, published: Lake, folder: Path
) -> None:
    (record,) = published.polls(HOUR)
    assert published.served(record) == ["{}"]
    file = folder / record.file.path
    content = file.read_bytes()
    if damage == "flipped":
        file.write_bytes(content[:20] + bytes([content[20] ^ 4]) + content[21:])
    elif damage == "torn":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "swapped":
        file.write_bytes((folder / published.polls(HOUR.next)[0].file.path).read_bytes())
    else:
        file.unlink()
    with pytest.raises(LakeDamaged, match=record.file.path):
        published.served(record)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"window": 3}', b"\xff\xfe"])
@pytest.mark.parametrize("name", ["poll-0001.json", "tables.json"])
def test_a_record_that_cannot_be_read_is_damage_and_names_its_path(
    name: str, content: bytes, published: Lake
) -> None:
    path = f"_records/{HOUR.path}/{name}"
    published.store.put(path, content)
    look = published.made if name == "tables.json" else published.polls
    with pytest.raises(LakeDamaged, match=path):
        look(HOUR)


def test_a_damaged_record_of_tables_is_replaced_by_the_next_publish(published: Lake) -> None:
    published.store.put(f"_records/{HOUR.path}/tables.json", b"{")
    published.publish(HOUR, frames(), ["p"], FACTS)
    assert published.read(tables.RETURNS, HOUR) is not None


def test_new_data_without_its_own_time_is_damage(lake: Lake) -> None:
    path = lake.path(tables.RAW_RETURNS, HOUR, "poll-0001.parquet")
    lake.store.put(path, to_parquet(tables.RAW_RETURNS.empty()))
    assert lake.unrecorded_polls(HOUR) == [1]
    with pytest.raises(LakeDamaged, match=path):
        lake.read_new_poll(HOUR, 1)


def test_entries_tell_polls_tables_and_strays_of_every_hour(published: Lake) -> None:
    file = FileRecord.of("x", b"", 0)
    published.record_poll(HOUR.next, 12, at(21), file, {HOUR: 2, Window(at(15)): 1}, 0)
    entries = published.entries()
    assert entries[HOUR].polls == (1,)
    assert entries[HOUR].made
    assert entries[HOUR].strays == (HOUR.next,)
    assert entries[HOUR.next].polls == (1, 12)
    assert entries[Window(at(15))].strays == (HOUR.next,)
    assert not entries[Window(at(15))].polls
    assert entries[HOUR] == published.entry(HOUR)


@pytest.mark.parametrize("stranger", ["poll-x.json", "poll-0001 (1).json", "strays-from-x", "a"])
def test_files_of_others_among_the_records_are_no_polls(stranger: str, published: Lake) -> None:
    before = published.entry(HOUR)
    published.store.put(f"_records/{HOUR.path}/{stranger}", b"?")
    published.store.put(f"raw_returns/{HOUR.path}/{stranger}.parquet", b"?")
    assert published.entry(HOUR) == before
    assert published.unrecorded_polls(HOUR) == []
