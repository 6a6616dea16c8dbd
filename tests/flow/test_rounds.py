"""Hours are published in rounds: no more at once than a round holds, each whole or known not to be.

A kill at each step of a round is in the proof of crashes.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from support.lakes import rows
from support.records import at, returned

from returns_orchestration import tables
from returns_orchestration.errors import LakeDamaged, ServerFault
from returns_orchestration.flow import polling, rounds
from returns_orchestration.flow.outcomes import Failed, Made, Polled, in_rounds
from returns_orchestration.lake.journal import date_folder
from returns_orchestration.lake.store import FolderStore
from returns_orchestration.window import Window, windows_between

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from returns_orchestration.flow.outcomes import Outcome
    from returns_orchestration.lake import Lake

HOURS = list(windows_between(at(0), at(30)))


@pytest.fixture(autouse=True)
def _without_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a slow machine a round would end earlier."""
    monkeypatch.setattr(rounds, "ROUND_HOURS", 24)
    monkeypatch.setattr(rounds, "ROUND_SECONDS", 600.0)


def one(window: Window) -> list[Any]:
    return [returned(f"R-{window.key}", window.start)]


def before_each(kind: type, outcomes: Sequence[Outcome], other: type) -> list[int]:
    """For each outcome of ``kind``, how many of ``other`` came before it."""
    return [
        sum(isinstance(earlier, other) for earlier in outcomes[:number])
        for number, outcome in enumerate(outcomes)
        if isinstance(outcome, kind)
    ]


def test_the_files_of_a_round_are_put_in_one_call(
    lake: Lake, api_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[list[str]] = []
    put_many = FolderStore.put_many

    def noted(store: FolderStore, contents: Mapping[str, bytes]) -> None:
        calls.append([path for path in contents if path.startswith("returns/")])
        put_many(store, contents)

    monkeypatch.setattr(FolderStore, "put_many", noted)
    made = [o for o in api_of(one).run(lake, HOURS[:4]) if isinstance(o, Made)]
    [together] = filter(None, calls)
    assert sorted(together) == [lake.path(tables.RETURNS, hour) for hour in HOURS[:4]]
    assert [outcome.more for outcome in made] == [True, True, True, False]


def test_a_round_ends_with_its_last_hour(lake: Lake, api_of: Any) -> None:
    outcomes = api_of(one).run(lake, HOURS)
    polled = before_each(Made, outcomes, Polled)
    # The neighbour of the last of 24 hours is polled, too.
    assert polled == [rounds.ROUND_HOURS + 1] * rounds.ROUND_HOURS + [len(HOURS)] * 6


def test_a_round_ends_with_so_many_rows(
    lake: Lake, api_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "ROUND_ROWS", 2)
    assert before_each(Made, api_of(one).run(lake, HOURS[:3]), Polled) == [2, 3, 3]


def test_a_round_ends_while_no_reply_comes(
    lake: Lake, api_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last reply waits until the files of the first hour are put."""
    monkeypatch.setattr(rounds, "ROUND_SECONDS", 0.01)
    monkeypatch.setattr(polling, "LOOK_SECONDS", 0.01)
    is_put = threading.Event()
    put_many = FolderStore.put_many

    def noted(store: FolderStore, contents: Mapping[str, bytes]) -> None:
        put_many(store, contents)
        if lake.path(tables.RETURNS, HOURS[0]) in contents:
            is_put.set()

    def reply(window: Window) -> list[Any]:
        assert window != HOURS[3] or is_put.wait(30)
        return one(window)

    monkeypatch.setattr(FolderStore, "put_many", noted)
    outcomes = list(api_of(reply).pipeline(lake, in_flight=2).run(HOURS[:4]))
    assert before_each(Made, outcomes, Polled)[0] == 3


def test_an_hour_of_a_round_that_fails_leaves_the_others(
    lake: Lake, folder: Path, api_of: Any
) -> None:
    api = api_of(one)
    api.errors = {HOURS[1]: ServerFault("It is down.")}
    outcomes = api.run(lake, HOURS[:4])
    assert [o.window for o in outcomes if isinstance(o, Failed)] == [HOURS[1]]
    assert rows(folder, "returns").height == 3


def test_an_hour_that_another_process_polled_meanwhile_is_made_again(
    lake: Lake, folder: Path, api_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second process lands a poll with another return while the first one puts its files."""
    put_many = FolderStore.put_many
    other = api_of(lambda window: [*one(window), returned("R-LATER", window.start)])
    is_first = [True]

    def interrupted(store: FolderStore, contents: Mapping[str, bytes]) -> None:
        put_many(store, contents)
        if is_first and any(path.startswith("returns/") for path in contents):
            is_first.clear()
            list(other.pipeline(lake).run(HOURS[1:2], make=False))

    monkeypatch.setattr(FolderStore, "put_many", interrupted)
    outcomes = api_of(one).run(lake, HOURS[:3])
    made = [o.window for o in outcomes if isinstance(o, Made)]
    assert made == [HOURS[0], HOURS[2], HOURS[1]]
    assert rows(folder, "returns").height == 4


def test_a_folder_that_cannot_be_read_fails_only_hours_of_its_date(
    lake: Lake, api_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hours are on both sides of midnight, and the folder of the second date is unreadable."""
    night = list(windows_between(at(22), at(26)))
    put_many, between = FolderStore.put_many, FolderStore.between
    unreadable: list[str] = []

    def noted(store: FolderStore, contents: Mapping[str, bytes]) -> None:
        put_many(store, contents)
        if any(path.startswith("returns/") for path in contents) and not unreadable:
            unreadable.append(date_folder(night[-1].start.date()))

    def refused(store: FolderStore, prefix: str, start: str, stop: str) -> Iterator[Any]:
        if any(start <= path < stop for path in unreadable):
            raise LakeDamaged("The lake could not be read.", next_step="Check it.")
        return between(store, prefix, start, stop)

    monkeypatch.setattr(FolderStore, "put_many", noted)
    monkeypatch.setattr(FolderStore, "between", refused)
    outcomes = api_of(one).run(lake, night)
    kinds = {
        kind: {getattr(o, "window", None) for o in outcomes if isinstance(o, kind)}
        for kind in (Made, Failed)
    }
    assert kinds == {Made: set(night[:2]), Failed: set(night[2:])}


def test_outcomes_of_a_round_come_together_and_all_others_alone() -> None:
    first, second = (Made(hour, None, asked=True, more=True) for hour in HOURS[:2])  # type: ignore[arg-type]
    last = Made(HOURS[2], None, asked=True)  # type: ignore[arg-type]
    failed = Failed(HOURS[3], ServerFault("It is down."))
    assert list(in_rounds([failed, first, second, last, failed])) == [
        [failed],
        [first, second, last],
        [failed],
    ]
