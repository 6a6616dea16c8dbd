from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from support.lakes import bytes_of
from support.records import Record, assigned, at, new_case, on_the_wire, returned
from support.rows import HOUR, READER

from returns_orchestration import tables
from returns_orchestration.lake import Lake, Poll
from returns_orchestration.lake.store import FolderStore
from returns_orchestration.stages.landing import Landed, finish_unnoted, is_good, land
from returns_orchestration.stages.typing import RecordReader
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

FIRST_POLL = at(12, 10)
A, B, C = (returned(f"R-{name}", at(11, minute)) for minute, name in enumerate("ABC", start=1))
BROKEN = assigned({"Return Request Timestamp": "yesterday"})


def poll(lake: Lake, *served: Any, polled_at: datetime = FIRST_POLL) -> Landed:
    texts = tuple(r if isinstance(r, str) else on_the_wire(r) for r in served)
    return land(lake, lake.names(), READER, HOUR, polled_at, texts)


def polls(lake: Lake, window: Window = HOUR) -> list[Poll]:
    """The kept polls of an hour, as the journal names them."""
    return lake.names().hour(window).polls


def kept(lake: Lake) -> list[list[str]]:
    """The texts of every kept poll, as its file has them."""
    lake.drop_cache()
    return [lake.polls.served(poll) for poll in polls(lake)]


def entries(folder: Path, kind: str) -> list[Path]:
    """The entries of that kind, for all hours."""
    return sorted(folder.glob(f"_journal/date=*/*.{kind}-*.json"))


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
    (noted,) = polls(lake)
    assert (noted.number, noted.polled_at, noted.noted_at) == (1, at(12, 10), at(20))
    assert (noted.rows, noted.size, noted.zone) == (4, file.stat().st_size, "UTC")


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


def test_the_pieces_of_a_return_in_another_order_bring_nothing_new(lake: Lake) -> None:
    other = {**A, "awb": "999", "return_tracking_id": 999}
    poll(lake, A, other, B)
    before = bytes_of(lake.store)
    assert not poll(lake, B, other, A, polled_at=at(13)).kept
    assert bytes_of(lake.store) == before


def test_a_poll_of_fewer_returns_counts_vanished_returns_over_all_polls(lake: Lake) -> None:
    poll(lake, A, B)
    poll(lake, A, C, polled_at=at(13))
    landed = poll(lake, C, polled_at=at(14))
    assert landed.vanished == 2
    assert len(polls(lake)) == 2


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


def test_a_change_back_to_earlier_values_is_a_change(lake: Lake) -> None:
    changed = {**A, "status": "CHANGED"}
    for number, record in enumerate((A, changed, A, A)):
        poll(lake, record, polled_at=at(12 + number))
    assert kept(lake) == [texts(A), texts(changed), texts(A)]


def test_a_return_that_comes_back_unchanged_brings_nothing_new(lake: Lake) -> None:
    poll(lake, A, B)
    poll(lake, B, C, polled_at=at(13))
    assert not poll(lake, A, B, C, polled_at=at(14)).kept


def test_an_empty_hour_is_a_file_of_no_rows_and_is_not_a_missing_one(lake: Lake) -> None:
    assert polls(lake) == []
    landed = poll(lake)
    assert (landed.kept, landed.first, landed.served) == (True, True, 0)
    (noted,) = polls(lake)
    assert (noted.rows, noted.polled_at, landed.homes) == (0, at(12, 10), {})
    content = lake.store.get(lake.polls.path(HOUR, 1)) or b""
    assert pl.read_parquet(content).schema == tables.RAW_RETURNS.schema
    assert not poll(lake, polled_at=at(13)).kept
    assert poll(lake, A, polled_at=at(14)).kept


def test_the_home_of_a_return_is_the_hour_of_its_request(lake: Lake) -> None:
    landed = poll(lake, A, returned("R-E", at(12)), returned("R-P", at(10, 59)), new_case())
    expected = {HOUR: 2, HOUR.next: 1, HOUR.previous: 1}
    assert landed.homes == expected
    names = lake.names()
    assert names.hour(HOUR.next).came_from == names.hour(HOUR.previous).came_from == {HOUR}
    assert names.hour(HOUR).went_to == {HOUR.next, HOUR.previous}


@pytest.mark.parametrize("served", [(A, B), ()], ids=["an hour", "an empty hour"])
def test_a_poll_killed_between_data_and_entry_is_finished_by_the_next(
    lake: Lake, folder: Path, served: tuple[Record, ...]
) -> None:
    poll(lake, *served)
    whole = bytes_of(lake.store)
    for entry in entries(folder, "poll"):
        entry.unlink()
    assert polls(lake) == []
    landed = poll(lake, *served, polled_at=at(13))
    assert not landed.kept
    assert bytes_of(lake.store) == whole


def test_a_killed_poll_counts_when_the_next_reply_is_another(lake: Lake, folder: Path) -> None:
    poll(lake, A)
    entries(folder, "poll")[0].unlink()
    assert poll(lake, B, polled_at=at(13)).vanished == 1
    assert [(p.number, p.polled_at) for p in polls(lake)] == [(1, at(12, 10)), (2, at(13))]


def test_finishing_twice_changes_nothing(lake: Lake) -> None:
    poll(lake, A)
    before = bytes_of(lake.store)
    finish_unnoted(lake, lake.names(), READER, HOUR)
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


def test_the_second_of_two_writers_keeps_its_own_returns(folder: Path) -> None:
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
        return land(lake, lake.names(), READER, window, at(30, number), tuple(texts(A, B)))

    with ThreadPoolExecutor(writers) as pool:
        landed = list(pool.map(write, range(writers)))
    assert sum(one.kept for one in landed) == 1
    assert [poll.number for poll in polls(lake, window)] == [1]
    assert lake.names().unnoted(window) == []
    assert len(list(lake.store.list(f"raw_returns/{window.path}"))) == 1


def test_a_poll_is_good_if_it_was_sent_after_the_end_of_its_hour(lake: Lake) -> None:
    for moment, expected in ((at(11, 59, 59.9), False), (at(12), True), (at(12, 0, 1), True)):
        (noted,) = [p for p in _landed_at(lake, moment) if p.polled_at == moment]
        assert is_good(noted, HOUR) == expected


def _landed_at(lake: Lake, moment: datetime) -> list[Poll]:
    poll(lake, {**A, "status": f"of {moment}"}, polled_at=moment)
    return polls(lake)


def test_the_poll_after_one_sent_too_early_is_always_kept(
    lake: Lake,
) -> None:
    poll(lake, A, polled_at=at(11, 30))
    assert poll(lake, A, polled_at=at(12, 10)).kept
    assert not poll(lake, A, polled_at=at(13)).kept


def test_the_poll_after_a_quarantined_one_is_always_kept(lake: Lake) -> None:
    poll(lake, A)
    poll(lake, B, polled_at=at(13))
    lake.polls.quarantine(lake.names(), HOUR, 2)
    assert poll(lake, A, polled_at=at(14)).kept
    assert [p.number for p in polls(lake)] == [1, 3], "a number is never given twice"
    assert not poll(lake, A, polled_at=at(15)).kept


NAIVE = {**A, "Return Request Timestamp": "2026-11-09T11:01:00"}
INDIA = RecordReader(ZoneInfo("Asia/Kolkata"))


def test_the_same_text_under_another_zone_is_another_time_and_new(lake: Lake) -> None:
    poll(lake, NAIVE)
    landed = land(lake, lake.names(), INDIA, HOUR, at(13), tuple(texts(NAIVE)))
    assert landed.kept
    assert [p.zone for p in polls(lake)] == ["UTC", "Asia/Kolkata"]
    assert landed.homes == {Window(at(5)): 1}
    assert not land(lake, lake.names(), INDIA, HOUR, at(14), tuple(texts(NAIVE))).kept


def test_text_with_an_explicit_zone_brings_nothing_new_under_another_zone(lake: Lake) -> None:
    poll(lake, A)
    assert not land(lake, lake.names(), INDIA, HOUR, at(13), tuple(texts(A))).kept


def test_a_killed_poll_keeps_the_zone_under_which_it_was_sent(lake: Lake, folder: Path) -> None:
    land(lake, lake.names(), INDIA, HOUR, FIRST_POLL, tuple(texts(NAIVE)))
    whole = bytes_of(lake.store)
    for kind in ("poll", "from", "to"):
        for entry in entries(folder, kind):
            entry.unlink()
    finish_unnoted(lake, lake.names(), READER, HOUR)
    assert bytes_of(lake.store) == whole
    assert lake.names().hour(HOUR).went_to == {Window(at(5))}


@pytest.mark.parametrize("lost", [("poll",), ("poll", "to"), ("poll", "from"), ("to",), ("from",)])
def test_the_marks_of_a_killed_poll_are_restored_on_both_sides(
    lost: tuple[str, ...], lake: Lake, folder: Path
) -> None:
    """After a kill: the entry is written last. The marks alone are restored when it is made."""
    poll(lake, A, returned("R-E", at(12)))
    whole = bytes_of(lake.store)
    for kind in lost:
        for entry in entries(folder, kind):
            entry.unlink()
    names = lake.names()
    if "poll" in lost:
        finish_unnoted(lake, names, READER, HOUR)
    else:
        assert lake.entries.mark(names, HOUR, [HOUR, HOUR.next])
    assert bytes_of(lake.store) == whole
    assert not lake.entries.mark(names, HOUR, [HOUR, HOUR.next])


def again(lake: Lake) -> list[tuple[datetime, list[str]]]:
    names = lake.names()
    return [(entry.at, entry.references) for entry in lake.entries.again(names, HOUR)]


def of_next(lake: Lake, *served: Record, polled_at: datetime) -> None:
    land(lake, lake.names(), READER, HOUR.next, polled_at, tuple(texts(*served)))


OTHER_WORD = {**A, "status": "CANCELLED"}


def test_a_repetition_that_contradicts_a_newer_poll_of_another_window_is_noted(
    lake: Lake,
) -> None:
    poll(lake, A, B)
    of_next(lake, OTHER_WORD, B, polled_at=at(13))
    landed = poll(lake, A, B, polled_at=at(14))
    assert not landed.kept
    assert again(lake) == [(at(14), ["R-A"])]
    assert len(polls(lake)) == 1, "raw is as it was"


def test_a_repetition_is_noted_once_until_it_is_contradicted_again(lake: Lake) -> None:
    poll(lake, A)
    of_next(lake, OTHER_WORD, polled_at=at(13))
    for hour in (14, 15, 16):
        poll(lake, A, polled_at=at(hour))
    assert again(lake) == [(at(14), ["R-A"])]
    of_next(lake, OTHER_WORD, polled_at=at(17))
    names = lake.names()
    assert [(e.at, e.references) for e in lake.entries.again(names, HOUR.next)] == [
        (at(17), ["R-A"])
    ]
    poll(lake, A, polled_at=at(18))
    assert again(lake) == [(at(14), ["R-A"]), (at(18), ["R-A"])]


@pytest.mark.parametrize(
    ("theirs", "asked_at"),
    [
        pytest.param([A], at(14), id="the other window says the same"),
        pytest.param([C], at(14), id="the other window knows another return"),
        pytest.param([OTHER_WORD], at(12, 30), id="the other poll is the newer one"),
    ],
)
def test_a_repetition_that_contradicts_nothing_is_not_noted(
    theirs: list[Record], asked_at: datetime, lake: Lake
) -> None:
    poll(lake, A)
    of_next(lake, *theirs, polled_at=at(13))
    before = bytes_of(lake.store)
    assert not poll(lake, A, polled_at=asked_at).kept
    assert bytes_of(lake.store) == before
    assert again(lake) == []


def test_a_clock_that_went_back_does_not_note_a_later_poll_again(
    lake: Lake,
) -> None:
    """A note refers to the earlier reply of the window, and that had other values."""
    last = {**A, "status": "DELIVERED"}
    poll(lake, A)
    of_next(lake, OTHER_WORD, polled_at=at(13))
    poll(lake, last, polled_at=at(23))
    before = bytes_of(lake.store)
    assert not poll(lake, last, polled_at=at(14)).kept
    assert bytes_of(lake.store) == before


def test_a_reply_that_repeats_unusable_records_is_not_noted_again(lake: Lake) -> None:
    bad, edge = '{"customer":"Asha Example"}', returned("R-E", at(12))
    for window, served, moment in (
        (HOUR, (bad, bad, edge), at(12, 10)),
        (HOUR.next, (bad, edge), at(13, 10)),
        (HOUR, (bad, bad, edge), at(13, 20)),
        (HOUR, (bad, bad, edge), at(13, 30)),
    ):
        texts = tuple(r if isinstance(r, str) else on_the_wire(r) for r in served)
        land(lake, lake.names(), READER, window, moment, texts)
    assert lake.entries.again(lake.names(), HOUR) == []
