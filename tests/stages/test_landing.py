from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from lakes import bytes_of
from records import Record, assigned, at, new_case, on_the_wire, returned
from rows import HOUR, READER

from returns_orchestration import tables
from returns_orchestration.lake import Lake
from returns_orchestration.lake.store import FolderStore
from returns_orchestration.stages.landing import Landed, finish_unrecorded, land
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

FIRST_POLL = at(12, 10)
A, B, C = (returned(f"R-{name}", at(11, minute)) for minute, name in enumerate("ABC", start=1))
BROKEN = assigned({"Return Request Timestamp": "yesterday"})


def poll(lake: Lake, *served: Any, polled_at: datetime = FIRST_POLL) -> Landed:
    texts = tuple(r if isinstance(r, str) else on_the_wire(r) for r in served)
    return land(lake, READER, HOUR, polled_at, texts)


def kept(lake: Lake) -> list[list[str]]:
    """The texts of every kept poll, as its file has them."""
    return [lake.served(record) for record in lake.polls(HOUR)]


def texts(*records: Record) -> list[str]:
    return [on_the_wire(record) for record in records]


def test_a_first_poll_is_kept_as_received(lake: Lake, folder: Path) -> None:
    odd = '{ "return_reference_number" : "R-1",\t"Return Request Timestamp":"2026-11-09T11:00:00Z"}'
    landed = poll(lake, A, odd, BROKEN, "not JSON")
    assert kept(lake) == [[*texts(A), odd, *texts(BROKEN), "not JSON"]]
    assert (landed.kept, landed.first, landed.served) == (True, True, 4)
    assert landed.distinct == {"R-A", "R-1"}
    assert (landed.rejected, landed.vanished) == (2, 0)
    assert landed.homes == {HOUR: 2}
    file = folder / "raw_returns/date=2026-11-09/hour=11/poll-0001.parquet"
    (record,) = lake.polls(HOUR)
    assert record.polled_at == at(12, 10)
    assert (record.file.rows, record.file.size) == (4, file.stat().st_size)
    assert (record.homes, record.rejected) == ({"2026-11-09-11:00": 2}, 2)


@pytest.mark.parametrize(
    "again",
    [
        pytest.param([A, B, BROKEN], id="the same reply"),
        pytest.param([BROKEN, B, A], id="in another order"),
        pytest.param([B], id="fewer returns"),
        pytest.param([], id="none at all"),
    ],
)
def test_a_reply_with_nothing_new_adds_no_file_and_changes_none(
    lake: Lake, again: list[Record]
) -> None:
    poll(lake, A, B, BROKEN)
    before = bytes_of(lake.store)
    landed = poll(lake, *again, polled_at=at(15))
    assert bytes_of(lake.store) == before
    assert (landed.kept, landed.first, landed.served) == (False, False, len(again))
    assert landed.vanished == len({"R-A", "R-B"} - landed.distinct)


def test_the_pieces_of_a_return_in_another_order_are_nothing_new(lake: Lake) -> None:
    other = {**A, "awb": "999", "return_tracking_id": 999}
    poll(lake, A, other, B)
    before = bytes_of(lake.store)
    assert not poll(lake, B, other, A, polled_at=at(13)).kept
    assert bytes_of(lake.store) == before


def test_a_poll_of_fewer_returns_counts_what_vanished_over_all_polls(lake: Lake) -> None:
    poll(lake, A, B)
    poll(lake, A, C, polled_at=at(13))
    landed = poll(lake, C, polled_at=at(14))
    assert landed.vanished == 2
    assert len(lake.polls(HOUR)) == 2


@pytest.mark.parametrize(
    "again",
    [
        pytest.param([{**A, "status": "CANCELLED"}, B], id="a return changed"),
        pytest.param([A, B, C], id="a return came late"),
        pytest.param([C], id="one came and others vanished"),
        pytest.param([A, B, BROKEN], id="an unusable record came"),
        pytest.param([A, B, {**B, "status": "RICHER"}], id="a second copy came"),
    ],
)
def test_a_reply_with_something_new_is_kept_beside_the_first(
    lake: Lake, folder: Path, again: list[Record]
) -> None:
    poll(lake, A, B)
    hour = folder / "raw_returns/date=2026-11-09/hour=11"
    first = (hour / "poll-0001.parquet").read_bytes()
    landed = poll(lake, *again, polled_at=at(13))
    assert (landed.kept, landed.first) == (True, False)
    assert sorted(file.name for file in hour.iterdir()) == [
        "poll-0001.parquet",
        "poll-0002.parquet",
    ]
    assert (hour / "poll-0001.parquet").read_bytes() == first
    assert kept(lake) == [texts(A, B), texts(*again)]


def test_a_change_back_is_a_change(lake: Lake) -> None:
    changed = {**A, "status": "CHANGED"}
    for number, record in enumerate((A, changed, A, A)):
        poll(lake, record, polled_at=at(12 + number))
    assert kept(lake) == [texts(A), texts(changed), texts(A)]


def test_a_return_that_comes_back_unchanged_is_nothing_new(lake: Lake) -> None:
    poll(lake, A, B)
    poll(lake, B, C, polled_at=at(13))
    assert not poll(lake, A, B, C, polled_at=at(14)).kept


def test_an_empty_hour_is_a_file_of_no_rows_and_is_not_a_missing_one(lake: Lake) -> None:
    assert lake.polls(HOUR) == []
    landed = poll(lake)
    assert (landed.kept, landed.first, landed.served) == (True, True, 0)
    (record,) = lake.polls(HOUR)
    assert (record.file.rows, record.polled_at, record.homes) == (0, at(12, 10), {})
    frame = lake.read_new_poll(HOUR, 1).frame
    assert frame.schema == tables.RAW_RETURNS.schema
    assert not poll(lake, polled_at=at(13)).kept
    assert poll(lake, A, polled_at=at(14)).kept


def test_homes_are_the_hours_of_the_requests(lake: Lake) -> None:
    landed = poll(lake, A, returned("R-E", at(12)), returned("R-P", at(10, 59)), new_case())
    expected = {HOUR: 2, HOUR.next: 1, HOUR.previous: 1}
    assert landed.homes == expected
    assert lake.entry(HOUR.next).strays == lake.entry(HOUR.previous).strays == (HOUR,)


@pytest.mark.parametrize("served", [(A, B), ()], ids=["an hour", "an empty hour"])
def test_a_poll_killed_between_data_and_record_is_finished_by_the_next(
    lake: Lake, folder: Path, served: tuple[Record, ...]
) -> None:
    poll(lake, *served)
    whole = bytes_of(lake.store)
    for record in folder.glob("_records/**/poll-0001.json"):
        record.unlink()
    assert lake.polls(HOUR) == []
    landed = poll(lake, *served, polled_at=at(13))
    assert not landed.kept
    assert bytes_of(lake.store) == whole


def test_a_killed_poll_counts_when_the_next_reply_is_another(lake: Lake, folder: Path) -> None:
    poll(lake, A)
    next(folder.glob("_records/**/poll-0001.json")).unlink()
    assert poll(lake, B, polled_at=at(13)).vanished == 1
    assert [(p.number, p.polled_at) for p in lake.polls(HOUR)] == [(1, at(12, 10)), (2, at(13))]


def test_finishing_twice_is_finishing_once(lake: Lake) -> None:
    poll(lake, A)
    before = bytes_of(lake.store)
    finish_unrecorded(lake, READER, HOUR)
    assert bytes_of(lake.store) == before


class OneMore(FolderStore):
    """A store on which another writer lands a reply just before ours takes its number."""

    def __init__(self, root: Path, other: tuple[Record, ...]) -> None:
        super().__init__(root)
        self.other: tuple[Record, ...] | None = other

    def create(self, path: str, content: bytes) -> bool:
        if self.other is not None and path.endswith(".parquet"):
            other, self.other = self.other, None
            poll(Lake(FolderStore(self.root), lambda: at(20)), *other, polled_at=at(12, 10, 1))
        return super().create(path, content)


def test_the_second_of_two_writers_of_one_reply_adds_nothing(folder: Path) -> None:
    lake = Lake(OneMore(folder, (A, B)), lambda: at(20))
    landed = poll(lake, A, B)
    assert not landed.kept
    assert kept(lake) == [texts(A, B)]


def test_the_second_of_two_writers_keeps_what_only_it_brought(folder: Path) -> None:
    lake = Lake(OneMore(folder, (A,)), lambda: at(20))
    landed = poll(lake, B)
    assert (landed.kept, landed.first) == (True, False)
    assert kept(lake) == [texts(A), texts(B)]


@pytest.mark.parametrize("hour", range(5))
def test_writers_that_land_the_same_reply_at_once_leave_one_poll(lake: Lake, hour: int) -> None:
    writers = 4
    barrier = threading.Barrier(writers)
    window = Window(at(hour))

    def write(number: int) -> Landed:
        barrier.wait(timeout=10)
        return land(lake, READER, window, at(30, number), tuple(texts(A, B)))

    with ThreadPoolExecutor(writers) as pool:
        landed = list(pool.map(write, range(writers)))
    assert sum(one.kept for one in landed) == 1
    assert lake.entry(window).polls == (1,)
    assert lake.unrecorded_polls(window) == []
    assert len(list(lake.store.list(f"raw_returns/{window.path}"))) == 1
