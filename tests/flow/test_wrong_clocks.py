"""Polls with impossible times: the later poll still decides."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from support.lakes import bytes_of, rows
from support.records import at, returned

from returns_orchestration.window import Window

if TYPE_CHECKING:
    from pathlib import Path

    from returns_orchestration.lake import Lake

NINE = Window(at(9))


def served(status: str) -> Any:
    return lambda _: [returned("R-1", at(9, 30), status=status)]


def statuses(folder: Path) -> list[str]:
    return rows(folder, "returns").get_column("status").to_list()


@pytest.mark.parametrize("hours", [1, 24, 365 * 24, 60_000_000])
def test_polls_of_a_clock_that_was_ahead_are_replaced_like_others(
    lake: Lake, folder: Path, api_of: Any, hours: int
) -> None:
    ahead = at(20) + timedelta(hours=hours)
    api_of(served("A"), always_at=at(19)).run(lake, [NINE])
    api_of(served("B"), always_at=ahead).run(lake, [NINE])
    assert statuses(folder) == ["B"]
    for status in ("C", "D"):
        api_of(served(status), always_at=at(20, 30)).run(lake, [NINE])
        assert statuses(folder) == [status]
    before = bytes_of(lake.store)
    api_of(served("D"), always_at=at(20, 31)).run(lake, [NINE])
    assert bytes_of(lake.store) == before


def test_the_later_of_two_concurrent_polls_wins_whichever_lands_first(
    lake: Lake, folder: Path, api_of: Any
) -> None:
    api_of(served("later"), always_at=at(20, 0, 30)).run(lake, [NINE])
    api_of(served("earlier"), always_at=at(20, 0, 29)).run(lake, [NINE])
    assert statuses(folder) == ["later"]
