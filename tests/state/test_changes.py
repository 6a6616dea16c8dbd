"""The files written since a cursor: over a folder and an object store, from files alone."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest
from obstore.store import MemoryStore
from support.counting_store import CountingStore

from returns_orchestration import tables
from returns_orchestration.errors import SettingsError
from returns_orchestration.lake.many import Version
from returns_orchestration.lake.store import FolderStore, ObjectStore
from returns_orchestration.state.changes import (
    BY_HOUR,
    BY_TABLE,
    REPORTED,
    Cursor,
    changes_since,
    report,
    reported,
)

if TYPE_CHECKING:
    from pathlib import Path

    from returns_orchestration.lake.store import Store
    from returns_orchestration.state.changes import Changes

FIRST = date(2026, 1, 1)
HOURLY = {table.name for table in (tables.RAW_RETURNS, *tables.MADE_HOURLY)}
HOUR = "returns/date=2026-11-09/hour=11"
OTHER = "return_items/date=2026-11-09/hour=11"


@pytest.fixture(params=["folder", "objects"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return FolderStore(tmp_path / "lake")
    return ObjectStore(MemoryStore(), "memory://lake")


def folders(found: Changes) -> dict[str, list[str]]:
    """By folder, the names of its files."""
    return {
        change.folder: [file.path.removeprefix(f"{change.folder}/") for file in change.files]
        for change in found.changes
    }


def test_everything_is_listed_without_a_cursor_and_nothing_directly_afterwards(
    store: Store,
) -> None:
    paths = (
        f"{HOUR}/part-0.parquet",
        "raw_returns/date=2026-11-09/hour=11/poll-0001.parquet",
        "raw_returns/date=2026-11-09/hour=11/poll-0002.parquet",
        "refund_modes_daily/date=2026-11-09/part-0.parquet",
        "alerts/date=2026-11-09/1.parquet",
        "lateness/part-0.parquet",
    )
    for path in (*paths, "_journal/date=2026-11-09/11.made.json", "_quarantine/returns/x"):
        store.put(path, path.encode())

    found = changes_since(store)

    assert sorted(f.path for change in found.changes for f in change.files) == sorted(paths)
    assert all(f.size == len(f.path) for change in found.changes for f in change.files)
    assert [(c.period, c.table) for c in found.changes] == [
        ("2026-11-09", "refund_modes_daily"),
        ("2026-11-09", "alerts"),
        ("2026-11-09T11:00", "raw_returns"),
        ("2026-11-09T11:00", "returns"),
        ("ever", "lateness"),
    ]
    again = changes_since(store, Cursor.read(found.cursor.text))
    assert not again.changes
    assert again.cursor == found.cursor


def test_a_file_put_again_is_listed_even_with_the_same_name_and_size(store: Store) -> None:
    store.put(f"{HOUR}/part-0.parquet", b"old")
    store.put(f"{OTHER}/part-0.parquet", b"old")
    since = changes_since(store).cursor

    store.put(f"{HOUR}/part-0.parquet", b"new")

    assert folders(changes_since(store, since)) == {HOUR: ["part-0.parquet"]}


def test_a_file_that_changed_and_changed_back_is_listed(store: Store) -> None:
    """A loader that copied the one in between must get the change."""
    store.put(f"{HOUR}/part-0.parquet", b"one")
    since = changes_since(store).cursor

    store.put(f"{HOUR}/part-0.parquet", b"two")
    store.put(f"{HOUR}/part-0.parquet", b"one")

    assert folders(changes_since(store, since)) == {HOUR: ["part-0.parquet"]}


def test_a_deleted_partition_is_listed_as_a_folder_without_files(store: Store) -> None:
    store.put(f"{HOUR}/part-0.parquet", b"x")
    store.put(f"{OTHER}/part-0.parquet", b"x")
    since = changes_since(store).cursor

    store.delete(f"{HOUR}/part-0.parquet")

    assert folders(changes_since(store, since)) == {HOUR: []}


def test_a_restarted_loader_gets_deletions_of_files_it_copied(store: Store) -> None:
    before = changes_since(store).cursor
    store.put(f"{HOUR}/part-0.parquet", b"x")
    copied = changes_since(store, before).cursor
    store.delete(f"{HOUR}/part-0.parquet")

    assert not changes_since(store, before).changes
    assert folders(changes_since(store, before, copied)) == {HOUR: []}


@pytest.mark.parametrize(
    ("path", "folder", "period"),
    [
        ("returns/stray.parquet", "returns", "ever"),
        ("returns/a/b.parquet", "returns", "ever"),
        ("returns/date=2026-11-09/stray.parquet", "returns/date=2026-11-09", "2026-11-09"),
        ("returns/date=2026-11-09/hour=24/x", "returns/date=2026-11-09", "2026-11-09"),
        (f"{HOUR}/below/x", HOUR, "2026-11-09T11:00"),
        ("refund_modes_daily/date=2026-11-09/hour=03/x", "refund_modes_daily/date=2026-11-09",
         "2026-11-09"),
    ],
)  # fmt: skip
def test_a_foreign_file_is_listed_with_its_hour_or_day(
    store: Store, path: str, folder: str, period: str
) -> None:
    since = changes_since(store).cursor
    store.put(path, b"x")

    (change,) = changes_since(store, since).changes

    assert (change.folder, change.period) == (folder, period)
    assert [file.path for file in change.files] == [path]


# ---- older dates


def filled(store: Store, days: int) -> Cursor:
    """An hour of a table and a day of another, on each of that many dates."""
    for number in range(days):
        at = FIRST + timedelta(days=number)
        for table in ("raw_returns", "returns"):
            for hour in ("03", "04"):
                store.put(f"{table}/date={at}/hour={hour}/part-0.parquet", b"x")
        store.put(f"refund_modes_daily/date={at}/part-0.parquet", b"x")
    return changes_since(store).cursor


@pytest.fixture
def lake() -> Store:
    return ObjectStore(MemoryStore(), "memory://lake")


def test_a_cursor_keeps_new_dates_by_table_then_by_hour_and_old_ones_by_date(lake: Store) -> None:
    days = BY_HOUR + 10
    since = filled(lake, days)
    for age, expected in (
        (0, {"returns"}),
        (BY_TABLE - 1, {"returns"}),
        (BY_TABLE, {"raw_returns", "returns"}),
        (BY_HOUR - 1, {"raw_returns", "returns"}),
    ):
        at = FIRST + timedelta(days=days - 1 - age)
        lake.put(f"returns/date={at}/hour=03/part-0.parquet", b"y")
        found = changes_since(lake, since)
        assert {c.table for c in found.changes if c.files} == expected, age
        assert {c.period for c in found.changes if c.files} == {f"{at}T03:00"}
        since = found.cursor
    old = FIRST + timedelta(days=days - 1 - BY_HOUR)
    lake.put(f"returns/date={old}/hour=03/part-0.parquet", b"y")
    found = changes_since(lake, since)
    assert {c.period for c in found.changes if c.files} == {
        f"{old}", f"{old}T03:00", f"{old}T04:00",
    }  # fmt: skip
    # All possible folders are listed, as the cursor does not hold the earlier files.
    assert len(found.changes) == len(tables.TABLES) + 24 * len(HOURLY)


def test_dates_that_grow_old_are_no_change(lake: Store) -> None:
    since = filled(lake, BY_HOUR + 2)
    for number in range(BY_HOUR + 2):
        lake.put(f"returns/date=2027-01-{number % 28 + 1:02d}/hour={number:02d}/x", b"x")
    found = changes_since(lake, since)
    assert {change.period[:4] for change in found.changes} == {"2027"}
    assert not changes_since(lake, found.cursor).changes


def test_a_look_at_new_dates_alone_leaves_old_changes_to_the_next_whole_look(lake: Store) -> None:
    since = filled(lake, 10)
    old, new = FIRST, FIRST + timedelta(days=9)
    for at in (old, new):
        lake.put(f"returns/date={at}/hour=03/part-0.parquet", b"y")
    lake.put("lateness/part-0.parquet", b"x")
    lake.delete(f"refund_modes_daily/date={new}/part-0.parquet")

    part = changes_since(lake, since, first=str(new))

    assert folders(part) == {
        f"returns/date={new}/hour=03": ["part-0.parquet"],
        f"refund_modes_daily/date={new}": [],
    }
    rest = changes_since(lake, part.cursor)
    assert {"lateness", f"returns/date={old}/hour=03"} <= folders(rest).keys()
    assert not [folder for folder in folders(rest) if f"date={new}" in folder]


# ---- the cursor as a text


def test_a_truncated_or_altered_cursor_is_refused_with_a_remedy(lake: Store) -> None:
    text = filled(lake, 3).text
    assert Cursor.read(f"{text}\n").text == text
    for wrong in ("", "x", text[:-1], text[:40], text.replace(text[30], "-"), f"2{text[1:]}"):
        with pytest.raises(SettingsError, match="--since"):
            Cursor.read(wrong)


class Years(ObjectStore):
    """Lists an hour's and a day's file of each table for that many days, without putting them."""

    def __init__(self, days: int) -> None:
        super().__init__(MemoryStore(), "memory://lake")
        self.days = days

    def versions(self, prefix: str, start: str) -> list[Version]:
        dates = (f"{prefix}/date={FIRST + timedelta(days=n)}" for n in range(self.days))
        hours = [f"/hour={hour:02d}" for hour in range(24)] if prefix in HOURLY else [""]
        paths = (f"{folder}{hour}/part-0.parquet" for folder in dates for hour in hours)
        return [Version(path, 1, path) for path in paths if path >= start]


@pytest.mark.parametrize(("days", "of_a_table"), [(365, 3_400), (1826, 6_000)])
def test_the_cursor_is_small_and_a_look_takes_a_request_for_a_thousand_files(
    days: int, of_a_table: int
) -> None:
    counting = CountingStore(Years(days))

    found = changes_since(counting)

    assert len(found.changes) == days * (24 * len(HOURLY) + len(tables.TABLES) - len(HOURLY))
    assert sum(counting.requests.values()) <= len(found.changes) / 1000 + len(tables.TABLES)
    assert len(found.cursor.text) < of_a_table * len(tables.TABLES)


# ---- the reports of the asset


def test_the_reported_cursor_and_the_one_before_are_kept_and_no_others(lake: Store) -> None:
    cursors = []
    for number in range(4):
        lake.put(f"{HOUR}/part-0.parquet", bytes([number]))
        cursors.append(changes_since(lake).cursor)
        report(lake, cursors[-1], cursors[-2].name if number else "")
    assert reported(lake, cursors[3].name) == cursors[3]
    assert reported(lake, cursors[2].name) == cursors[2]
    assert reported(lake, cursors[1].name) is None
    assert reported(lake, "") is None
    lake.put(f"{REPORTED}/{cursors[3].name}.txt", b"\xff torn")
    assert reported(lake, cursors[3].name) is None
