"""Polls and tables of hours and days: files are read back, and damage is found."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import polars as pl
import pytest
from support.lakes import bytes_of
from support.records import assigned, at
from support.rows import HOUR, folded, poll, rows_of_day

from returns_orchestration import tables
from returns_orchestration.errors import LakeDamaged
from returns_orchestration.lake import Lake, Made, Names, Poll
from returns_orchestration.lake.entry_kinds import Again, Damaged
from returns_orchestration.lake.parquet import to_parquet
from returns_orchestration.lake.webhooks import Webhook
from returns_orchestration.stages.days import STEPS
from returns_orchestration.stages.frames import frames_of_day, frames_of_hour
from returns_orchestration.window import Day, Ever, Window

FACTS = {"returns": 1, "items": 1, "rejected": 0, "late": 0}
NONE = dict.fromkeys(FACTS, 0)
MADE: dict[str, Any] = {"inputs": "0a" * 6, "rules": "0b" * 4, "made_of": ["p"]}

DAY = Day(date(2026, 11, 9), ZoneInfo("Asia/Kolkata"))
NEXT_DAY = Day(date(2026, 11, 10), DAY.zone)


def frames(*, full: bool = True, window: Window = HOUR) -> dict[str, pl.DataFrame]:
    return frames_of_hour(window, [folded(poll(assigned()))] if full else [])


def daily_frames(day: Day, *, full: bool = True) -> dict[str, pl.DataFrame]:
    return frames_of_day(day, rows_of_day([folded(poll(assigned()))] if full else []))


def of_all_time() -> dict[str, pl.DataFrame]:
    ages = {name: [1] for name in tables.LATENESS.schema.names()}
    opened = {name: [None] for name in tables.OPEN_RETURNS.schema} | {
        "return_reference_number": ["A"],
        "requested_at": [at(11)],
        "as_of": [at(20)],
        "age_h": [9],
        "stale": [False],
    }
    return {
        tables.LATENESS.name: tables.LATENESS.frame(ages),
        tables.OPEN_RETURNS.name: tables.OPEN_RETURNS.frame(opened),
    }


def publish(
    lake: Lake,
    period: Window | Day | Ever = HOUR,
    made: dict[str, pl.DataFrame] | None = None,
    **more: Any,
) -> tuple[Made, set[str]]:
    """Publish tables, those of HOUR unless others are given, like a separate process."""
    fields = {"facts": FACTS, **MADE, **more}
    return lake.publish(lake.names(), period, frames() if made is None else made, **fields)


def polls(lake: Lake, window: Window = HOUR) -> list[Poll]:
    return lake.names().hour(window).polls


def read(lake: Lake, table: tables.Table, period: Window | Day | Ever = HOUR) -> pl.DataFrame:
    found = lake.read(table, period, lake.names())
    assert found is not None
    return found


@pytest.fixture
def published(lake: Lake) -> Lake:
    """Two hours, the later one empty, with a poll each; two days likewise; tables of all time."""
    names = lake.names()
    for window, full in ((HOUR, True), (HOUR.next, False)):
        kept = lake.polls.create(names, window, 1, at(20), ("{}",) if full else (), "UTC")
        assert kept
        lake.entries.put(names, kept)
        publish(lake, window, frames(full=full, window=window), facts=FACTS if full else NONE)
    for day, full in ((DAY, True), (NEXT_DAY, False)):
        publish(lake, day, daily_frames(day, full=full))
    publish(lake, Ever(), of_all_time(), made_of=[])
    row = {name: [at(11)] if name == "noted_at" else [None] for name in tables.ALERTS.schema}
    alert = tables.ALERTS.frame({**row, "event": ["opened"]})
    lake.store.create(lake.path(tables.ALERTS, DAY, "00000001.parquet"), to_parquet(alert))
    for window in (HOUR, HOUR.next):
        lake.webhooks.put("0f0f0f0f", [Webhook(1, window.start, "", redelivered=False, body=b"{}")])
        for made in (tables.WEBHOOKS_RECEIVED, tables.WEBHOOKS_MATCHED):
            publish(lake, window, {table.name: table.empty() for table in made}, facts=NONE)
    for day in (DAY, NEXT_DAY):
        publish(lake, day, {table.name: table.empty() for table in tables.WEBHOOKS_DAILY})
    lake.drop_cache()
    return lake


def test_a_path_is_made_of_table_and_hour(lake: Lake) -> None:
    assert lake.path(tables.RETURNS, HOUR) == "returns/date=2026-11-09/hour=11/part-0.parquet"
    assert lake.uri(tables.RETURNS, HOUR).endswith("/lake/returns/date=2026-11-09/hour=11")


def test_published_tables_are_read_and_others_are_none(published: Lake) -> None:
    for name, frame in frames().items():
        assert read(published, tables.BY_NAME[name]).equals(frame)
    assert published.read(tables.RETURNS, Window(at(3)), published.names()) is None


def test_a_day_is_stored_beside_its_hours_and_is_not_an_hour(published: Lake, folder: Path) -> None:
    path = "refund_modes_daily/date=2026-11-09/part-0.parquet"
    assert published.path(tables.REFUND_MODES.daily, DAY) == path
    assert published.uri(tables.REFUND_MODES.daily, DAY).endswith(path.rpartition("/")[0])
    assert len(list(folder.glob("_journal/date=2026-11-09/day.made-*.json"))) == 1
    names = published.names()
    made = published.made(DAY, names)
    assert made
    assert made.period == "2026-11-09"
    assert [made.name] == names.day(DAY.date)
    assert names.hours() == [HOUR, HOUR.next]
    for name, frame in daily_frames(DAY).items():
        assert read(published, tables.BY_NAME[name], DAY).equals(frame)


def test_the_tables_of_all_time_are_read_and_belong_to_no_date(
    published: Lake, folder: Path
) -> None:
    for name, frame in of_all_time().items():
        assert read(published, tables.BY_NAME[name], Ever()).equals(frame)
    assert len(list(folder.glob("_journal/ever.made-*.json"))) == 1


@pytest.mark.parametrize("table", tables.TABLES, ids=lambda table: table.name)
def test_polars_and_duckdb_read_exactly_the_rows_with_one_schema(
    table: tables.Table, published: Lake, folder: Path
) -> None:
    glob = f"{folder}/{table.name}/**/*.parquet"
    files = sorted(Path(folder / table.name).rglob("*"))
    parquet = [file for file in files if file.is_file()]
    assert len(parquet) == (1 if table in {*tables.OF_ALL_TIME, tables.ALERTS} else 2)
    for file in parquet:
        assert pl.read_parquet(file, hive_partitioning=False).schema == table.schema
    in_polars = pl.scan_parquet(glob).collect()
    assert in_polars.schema == table.schema
    empty = {tables.REJECTED_RETURNS, *tables.OF_WEBHOOKS[1:]}
    several = {tables.RAW_WEBHOOKS: 2, tables.FUNNEL_DAILY: len(STEPS)}
    expected = 0 if table in empty else several.get(table, 1)
    assert in_polars.height == expected
    in_duckdb = duckdb.sql(f"SELECT * FROM read_parquet('{glob}', hive_partitioning = false)")  # noqa: S608
    assert in_duckdb.columns == table.schema.names()
    assert in_duckdb.pl().cast(dict(table.schema)).equals(in_polars)
    assert published.names().hour(HOUR).made


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
    assert published.names().hour(HOUR).made


@pytest.mark.usefixtures("published")
def test_files_of_rows_of_a_day_have_no_statistics(folder: Path) -> None:
    with_statistics: dict[str, bool] = {}
    for name in tables.BY_NAME:
        for file in folder.glob(f"{name}/**/*.parquet"):
            columns = f"SELECT max(stats_max_value) FROM parquet_metadata('{file}')"  # noqa: S608
            found = duckdb.sql(columns).fetchall() != [(None,)]
            with_statistics[name] = with_statistics.get(name, False) or found
    for rows, of_days in (("returns", "returns_daily"), ("return_items", "return_items_daily")):
        assert with_statistics[rows]
        assert not with_statistics[of_days]


# ---- publishing


@pytest.mark.parametrize("check_files", [False, True], ids=["by the entry", "by the files"])
def test_a_table_published_twice_is_written_once(
    check_files: bool, published: Lake, folder: Path
) -> None:
    stamps = {file: file.stat().st_mtime_ns for file in folder.rglob("*") if file.is_file()}
    made, changed = publish(published, check_files=check_files)
    assert changed == set()
    assert made == published.made(HOUR, published.names())
    now = {file: file.stat().st_mtime_ns for file in folder.rglob("*") if file.is_file()}
    assert now == stamps


def test_only_a_changed_table_is_written_again(published: Lake, folder: Path) -> None:
    stamps = {file: file.stat().st_mtime_ns for file in folder.glob("*/*/*/part-0.parquet")}
    other = frames() | {"returns": frames()["returns"].with_columns(status=pl.lit("NEW"))}
    made, changed = publish(published, made=other)
    assert changed == {"returns"}
    assert published.made(HOUR, published.names()) == made
    assert read(published, tables.RETURNS).equals(other["returns"])
    written = {file for file, stamp in stamps.items() if file.stat().st_mtime_ns != stamp}
    assert written == {folder / published.path(tables.RETURNS, HOUR)}


@pytest.mark.parametrize(
    "other",
    [{"inputs": "f" * 12}, {"rules": "f" * 8}, {"made_of": ["q"]}, {"first_seen": {1: (1, 0)}}],
)
def test_tables_with_other_inputs_get_another_entry_and_keep_their_files(
    other: dict[str, Any], published: Lake
) -> None:
    before = bytes_of(published.store, "returns")
    made, changed = publish(published, **other)
    assert changed == set()
    assert bytes_of(published.store, "returns") == before
    names = published.names()
    assert names.hour(HOUR).made == [made.name], "the entry of before is gone"
    published.drop_cache()
    assert published.made(HOUR, names) == made


def test_the_name_of_an_entry_holds_the_facts_for_the_state_of_an_hour(published: Lake) -> None:
    names = published.names()
    (name,), (empty,) = names.hour(HOUR).made, names.hour(HOUR.next).made
    assert (name.inputs, name.rules, name.returns) == (MADE["inputs"], MADE["rules"], 1)
    assert (empty.inputs, empty.rules, empty.returns) == (MADE["inputs"], MADE["rules"], 0)
    assert name.sizes != empty.sizes


def test_two_entries_of_one_hour_count_as_none_until_it_is_published_again(published: Lake) -> None:
    """As a killed run may leave them: it is not known which one is right."""
    names = published.names()
    made = published.made(HOUR, names)
    assert made
    other = Made(
        period=HOUR.key,
        inputs="f" * 12,
        rules=made.rules,
        written_at=made.written_at,
        made_of=[],
        files=made.files,
        facts=made.facts,
    )
    published.entries.put(names, other)
    assert published.made(HOUR, names) is None
    assert published.read(tables.RETURNS, HOUR, names) is None
    publish(published)
    assert published.made(HOUR, published.names()) == made


def test_a_withdrawn_entry_is_deleted_with_its_files(published: Lake, folder: Path) -> None:
    names = published.names()
    published.withdraw(names, DAY)
    assert names.day(DAY.date) == published.names().day(DAY.date) == []
    assert names.day(NEXT_DAY.date)
    left = [file.parent.name for file in folder.glob("refund_modes_daily/*/*.parquet")]
    assert left == ["date=2026-11-10"]
    published.withdraw(names, DAY)


def test_a_file_of_an_earlier_release_is_read_with_current_columns(published: Lake) -> None:
    older = frames() | {"returns": frames()["returns"].drop("awbs").with_columns(gone=pl.lit(1))}
    publish(published, made=older)
    found = read(published, tables.RETURNS)
    assert found.schema == tables.RETURNS.schema
    assert found["awbs"].to_list() == [None]
    assert found.drop("awbs").equals(frames()["returns"].drop("awbs"))


def test_the_entries_of_many_hours_are_read_at_once_without_the_damaged_one(
    published: Lake,
) -> None:
    names = published.names()
    found = {window: names.hour(window).made[0] for window in (HOUR, HOUR.next)}
    assert published.read_all_made(found) == {w: published.made(w, names) for w in found}
    published.drop_cache()
    made = published.made(HOUR.next, names)
    assert made
    published.store.put(made.path, b"{")
    published.drop_cache()
    assert published.read_all_made(found).keys() == {HOUR}


def test_entries_at_hand_are_not_dropped_while_others_are_read(
    published: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = published.names()
    found = {window: names.hour(window).made[0] for window in (HOUR, HOUR.next)}
    monkeypatch.setattr("returns_orchestration.lake.lake.KEPT_ENTRIES", 1)
    published.drop_cache()
    assert published.made(HOUR.next, names)
    assert published.read_all_made(found).keys() == found.keys()


# ---- damage


@pytest.mark.parametrize("table", tables.MADE_HOURLY, ids=lambda table: table.name)
def test_a_flipped_bit_anywhere_in_a_file_is_damage(
    table: tables.Table, published: Lake, folder: Path
) -> None:
    file = folder / published.path(table, HOUR)
    content = file.read_bytes()
    for place in range(0, len(content), max(1, len(content) // 50)):
        file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(LakeDamaged, match=str(published.path(table, HOUR))):
            read(published, table)
    file.write_bytes(content)
    assert read(published, table) is not None


def test_damage_found_by_a_reader_is_noted_until_it_is_repaired(
    published: Lake, folder: Path
) -> None:
    path = published.path(tables.RETURNS, HOUR)
    content = (folder / path).read_bytes()
    (folder / path).write_bytes(content[:-1] + b"?")
    assert not published.names().hour(HOUR).damaged
    for _ in range(2):
        with pytest.raises(LakeDamaged):
            read(published, tables.RETURNS)
    names = published.names()
    mark = Damaged(period=HOUR.key, file=path)
    assert names.hour(HOUR).damaged == [mark.path.rpartition("/")[2]]
    assert published.entries.get(mark.path) == mark
    published.entries.clear_damaged(names, HOUR, [published.path(tables.RETURN_ITEMS, HOUR)])
    assert names.hour(HOUR).damaged, "another file is still damaged"
    published.entries.clear_damaged(names, HOUR, [path])
    assert names.hour(HOUR).damaged == published.names().hour(HOUR).damaged == []


def test_a_day_with_a_damaged_file_counts_as_not_made(published: Lake, folder: Path) -> None:
    file = folder / published.path(tables.REFUND_MODES.daily, DAY)
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(LakeDamaged, match="rebuild 2026-11-09 2026-11-10"):
        read(published, tables.REFUND_MODES.daily, DAY)
    names = published.names()
    assert names.day(DAY.date) == []
    assert names.day(NEXT_DAY.date)
    assert published.read(tables.REFUND_MODES.daily, DAY, names) is None
    publish(published, DAY, daily_frames(DAY))
    assert read(published, tables.REFUND_MODES.daily, DAY).equals(
        daily_frames(DAY)["refund_modes_daily"]
    )


def test_a_file_that_differs_from_its_entry_is_written_again_where_files_are_checked(
    published: Lake, folder: Path
) -> None:
    whole = bytes_of(published.store)
    path = published.path(tables.RETURNS, HOUR)
    (folder / path).write_bytes(b"torn")
    published.invalidate(published.names(), HOUR)
    _, changed = publish(published, check_files=True)
    assert changed == {"returns"}
    assert bytes_of(published.store) == whole


@pytest.mark.parametrize("damage", ["flipped", "torn", "missing", "swapped"])
def test_a_poll_that_differs_from_its_record_is_damage(
    damage: str, published: Lake, folder: Path
) -> None:
    (kept,) = polls(published)
    path = published.polls.path(HOUR, 1)
    assert published.polls.served(kept) == ["{}"]
    published.drop_cache()
    file = folder / path
    content = file.read_bytes()
    if damage == "flipped":
        file.write_bytes(content[:20] + bytes([content[20] ^ 4]) + content[21:])
    elif damage == "torn":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "swapped":
        file.write_bytes((folder / published.polls.path(HOUR.next, 1)).read_bytes())
    else:
        file.unlink()
    with pytest.raises(LakeDamaged, match=path):
        published.polls.served(kept)
    # An absent file shows in any listing; damage that only a reader can find is noted.
    noted = published.names().hour(HOUR).damaged
    assert noted == (
        [] if damage == "missing" else [Damaged(period=HOUR.key, file=path).path.rpartition("/")[2]]
    )


@pytest.mark.parametrize("number", [1, 2], ids=["its only poll", "its second poll"])
def test_a_quarantined_poll_is_lost_and_its_number_is_never_reused(
    number: int, published: Lake, folder: Path
) -> None:
    names = published.names()
    second = published.polls.create(names, HOUR, 2, at(21), ("[]",), "UTC") if number == 2 else None
    if second:
        published.entries.put(names, second)
    published.entries.note_damaged(names, published.polls.path(HOUR, number))
    sha = next(poll.sha256 for poll in names.hour(HOUR).polls if poll.number == number)
    moved = published.polls.quarantine(names, HOUR, number)
    assert len(moved) == 2
    assert all((folder / place).is_file() for place in moved)
    for found in (names.hour(HOUR), published.names().hour(HOUR)):
        assert found.lost == [(number, sha, number + 1)]
        assert [poll.number for poll in found.polls] == list(range(1, number))
        assert (found.has_lost_a_poll, found.next_number) == (True, number + 1)
        assert not found.damaged, "what was quarantined is no damage any more"
    assert published.names().unnoted(HOUR) == []
    before = bytes_of(published.store)
    assert published.polls.quarantine(published.names(), HOUR, number) == []
    assert bytes_of(published.store) == before


def test_a_poll_without_its_entry_is_also_quarantined(published: Lake, folder: Path) -> None:
    names = published.names()
    assert published.polls.create(names, HOUR, 2, at(21), (), "UTC")
    (moved,) = published.polls.quarantine(names, HOUR, 2)
    assert (folder / moved).is_file()
    assert names.hour(HOUR).lost == [(2, "0" * 16, 3)]
    assert names.unnoted(HOUR) == published.names().unnoted(HOUR) == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"window": 3}', b"\xff\xfe"])
@pytest.mark.parametrize("kind", ["made", "again", "waived"])
def test_an_entry_that_cannot_be_read_is_damage_and_names_its_path(
    kind: str, content: bytes, published: Lake
) -> None:
    names = published.names()
    again = Again(period=HOUR.key, at=at(21), references=["R-1"])
    published.entries.put(names, again)
    published.waive(HOUR, "The shop was closed.")
    made = published.made(HOUR, names)
    assert made
    path = {
        "made": made.path,
        "again": again.path,
        "waived": "_journal/date=2026-11-09/11.waived.json",
    }[kind]
    assert published.entries.again(names, HOUR) == [again]
    assert published.waiver(HOUR).why == "The shop was closed."
    published.store.put(path, content)
    published.drop_cache()
    look = {
        "made": lambda: published.made(HOUR, names),
        "again": lambda: published.entries.again(names, HOUR),
        "waived": lambda: published.waiver(HOUR),
    }[kind]
    with pytest.raises(LakeDamaged, match=path):
        look()


def test_a_damaged_entry_of_tables_is_replaced_by_the_next_publish(published: Lake) -> None:
    made = published.made(HOUR, published.names())
    assert made
    published.store.put(made.path, b"{")
    published.drop_cache()
    assert publish(published)[0] == made
    published.drop_cache()
    assert read(published, tables.RETURNS) is not None


def test_a_new_poll_without_its_own_time_is_damage(lake: Lake) -> None:
    path = lake.path(tables.RAW_RETURNS, HOUR, "poll-0001.parquet")
    lake.store.put(path, to_parquet(tables.RAW_RETURNS.empty()))
    assert lake.names().unnoted(HOUR) == [1]
    with pytest.raises(LakeDamaged, match=path):
        lake.polls.read_unnoted(HOUR, 1)


# ---- names and files of others


def test_names_show_polls_tables_and_marks_of_every_hour(published: Lake) -> None:
    names = published.names()
    kept = published.polls.create(names, HOUR.next, 12, at(21), (), "Asia/Kolkata")
    assert kept
    assert published.entries.mark(names, HOUR.next, [HOUR, Window(at(15)), HOUR.next])
    assert not published.entries.mark(names, HOUR.next, [Window(at(15))])
    published.entries.put(names, kept)
    for found in (names, published.names()):
        hour, following, third = (found.hour(w) for w in (HOUR, HOUR.next, Window(at(15))))
        assert [poll.number for poll in hour.polls] == [1]
        assert hour.made
        assert hour.came_from == third.came_from == {HOUR.next}
        assert following.went_to == {HOUR, Window(at(15))}
        assert [poll.number for poll in following.polls] == [1, 12]
        assert following.polls[1] == kept
        assert not third.polls


@pytest.mark.parametrize("stranger", ["poll-x.json", "poll-0001 (1).json", "from-x", "a"])
def test_foreign_files_among_the_entries_are_no_polls(stranger: str, published: Lake) -> None:
    before = published.names().hour(HOUR)
    folder = f"_journal/date={HOUR.start.date()}"
    published.store.put(f"{folder}/{stranger}", b"?")
    published.store.put(f"{folder}/11.{stranger}", b"?")
    published.store.put(f"raw_returns/{HOUR.path}/{stranger}.parquet", b"?")
    names: Names = published.names()
    assert names.hour(HOUR) == before
    assert names.hours() == [HOUR, HOUR.next]
    assert names.unnoted(HOUR) == []
