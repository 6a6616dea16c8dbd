"""The log of polls that left no kept poll: written once, folded, ignored when torn."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest
from support.records import at

from returns_orchestration.lake.poll_log import POLL_LOG, Answer
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from returns_orchestration.lake import Lake

TODAY = date(2026, 11, 9)
TWO, THREE, TOMORROW = (Window(at(hour)).key for hour in (2, 3, 30))


def good(hour: str, minute: float) -> Answer:
    return Answer(hour=hour, at=at(12, minute))


def bad(hour: str, minute: float, error: str = "It is down.") -> Answer:
    return Answer(hour=hour, at=at(12, minute), error=error)


@pytest.fixture(params=["lake", "memory_lake"])
def lake(request: pytest.FixtureRequest) -> Lake:
    found: Lake = request.getfixturevalue(request.param)
    return found


def files(lake: Lake) -> list[str]:
    return list(lake.store.list(POLL_LOG))


def test_notes_are_read_by_hour_and_oldest_first(lake: Lake) -> None:
    lake.poll_log.add([good(TWO, 5), bad(THREE, 1), good(TOMORROW, 0)])
    lake.poll_log.add([good(TWO, 3)])
    assert lake.poll_log.of(TODAY) == {TWO: [good(TWO, 3), good(TWO, 5)], THREE: [bad(THREE, 1)]}
    assert lake.poll_log.dates() == [TODAY, date(2026, 11, 10)]
    both = lake.poll_log.of_all([Window.from_key(TWO), Window.from_key(TOMORROW)])
    assert both.keys() == {TWO, THREE, TOMORROW}


def test_a_log_without_notes_is_empty(lake: Lake) -> None:
    lake.poll_log.add([])
    assert not files(lake)
    assert lake.poll_log.of(TODAY) == {}
    assert lake.poll_log.dates() == []


def test_a_note_made_twice_counts_once(lake: Lake) -> None:
    for _ in range(2):
        lake.poll_log.add([good(TWO, 5), bad(THREE, 1)])
    lake.poll_log.add([bad(THREE, 1), good(TWO, 5)])
    assert len(files(lake)) == 1


def test_a_fold_leaves_one_file_and_only_unresolved_errors(lake: Lake) -> None:
    lake.poll_log.add([bad(TWO, 1), bad(THREE, 1)])
    lake.poll_log.add([good(TWO, 5), bad(THREE, 6, "It is still down.")])
    lake.poll_log.fold(TODAY)
    (whole,) = files(lake)
    assert lake.poll_log.of(TODAY) == {
        TWO: [good(TWO, 5)],
        THREE: [bad(THREE, 6, "It is still down.")],
    }
    lake.poll_log.fold(TODAY)
    assert files(lake) == [whole]


def test_a_fold_killed_before_its_deletions_doubles_no_note(lake: Lake) -> None:
    lake.poll_log.add([good(TWO, 1)])
    lake.poll_log.add([good(TWO, 2)])
    parts = {path: lake.store.get(path) or b"" for path in files(lake)}
    lake.poll_log.fold(TODAY)
    for path, content in parts.items():
        lake.store.put(path, content)
    assert lake.poll_log.of(TODAY) == {TWO: [good(TWO, 1), good(TWO, 2)]}
    lake.poll_log.fold(TODAY)
    assert len(files(lake)) == 1


def test_notes_made_during_a_fold_are_kept(lake: Lake) -> None:
    lake.poll_log.add([good(TWO, 1)])
    lake.poll_log.add([good(TWO, 2)])
    delete = lake.store.delete

    def late(path: str) -> None:
        lake.poll_log.add([good(TWO, 3)])
        delete(path)

    lake.store.delete = late  # type: ignore[method-assign]
    lake.poll_log.fold(TODAY)
    assert lake.poll_log.of(TODAY)[TWO] == [good(TWO, 1), good(TWO, 2), good(TWO, 3)]


@pytest.mark.parametrize("content", [b"", b"{}", b"[", b"\xff", b'{"answers": []}'])
def test_an_altered_file_is_neither_read_nor_folded(lake: Lake, content: bytes) -> None:
    lake.poll_log.add([good(TWO, 1)])
    (torn,) = files(lake)
    lake.store.put(torn, content)
    lake.poll_log.add([good(TWO, 2)])
    assert lake.poll_log.of(TODAY) == {TWO: [good(TWO, 2)]}
    lake.poll_log.fold(TODAY)
    assert torn in files(lake)
    assert lake.poll_log.of(TODAY) == {TWO: [good(TWO, 2)]}


@pytest.mark.parametrize("name", ["date=2026-99-99", "date=", "strangers", "date=2026-11-09x"])
def test_a_folder_without_a_date_is_ignored(lake: Lake, name: str) -> None:
    lake.poll_log.add([good(TWO, 1)])
    lake.store.put(f"{POLL_LOG}/{name}/x.json", b"{}")
    assert lake.poll_log.dates() == [TODAY]
