"""The table `lateness` compared with the served returns and their times."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from support.lakes import rows
from support.records import at, returned

from returns_orchestration import tables
from returns_orchestration.lake.poll_log import POLL_LOG
from returns_orchestration.state.lateness import (
    by_configured_age,
    measure,
    seen_by_the_last_age,
)
from returns_orchestration.window import windows_between

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from returns_orchestration.lake import Lake

TWO, THREE = windows_between(at(2), at(4))
AGES = (1, 6, 24, 72)


def table(*lines: tuple[int, int, int, int]) -> pl.DataFrame:
    names = tables.LATENESS.schema.names()
    return tables.LATENESS.frame({n: [line[i] for line in lines] for i, n in enumerate(names)})


@pytest.fixture
def polled(lake: Lake, api_of: Any) -> Lake:
    """Two hours polled at the ages 0, 1, 1 and 6: one return each, one more each time of hour 3."""
    served = {TWO: 1, THREE: 1}
    api = api_of(
        lambda window: [returned(f"{window.key}-{n}", window.start) for n in range(served[window])]
    )
    for hours, more in ((0.2, 0), (1.1, 1), (1.5, 1), (6.0, 1)):
        served[THREE] += more
        for window in (TWO, THREE):
            api.always_at = window.end + timedelta(hours=hours)
            api.run(lake, [window])
    return lake


BY_AGE = [(0, 2, 2, 0), (1, 4, 2, 2), (6, 2, 1, 1)]


def test_returns_are_counted_at_the_age_of_the_poll_that_served_them_first(polled: Lake) -> None:
    assert measure(polled).rows() == BY_AGE


def test_a_folded_log_of_polls_gives_the_same_table(polled: Lake) -> None:
    (day,) = polled.poll_log.dates()
    assert len(list(polled.store.list(POLL_LOG))) > 1
    polled.poll_log.fold(day)
    assert len(list(polled.store.list(POLL_LOG))) == 1
    assert measure(polled).rows() == BY_AGE


def test_returns_of_a_backfill_are_not_late(lake: Lake, api_of: Any) -> None:
    api_of(lambda window: [returned(window.key, window.start)], always_at=at(1000)).run(
        lake, [TWO, THREE]
    )
    assert measure(lake).rows() == [(996, 1, 1, 0), (997, 1, 1, 0)]


def test_an_empty_lake_has_an_empty_table(lake: Lake) -> None:
    assert measure(lake).rows() == []


def test_the_table_is_one_file_that_is_replaced(polled: Lake, folder: Path, api_of: Any) -> None:
    api = api_of(lambda _: [])
    for _ in range(2):
        api.pipeline(polled).all_time.build()
    assert rows(folder, "lateness").equals(measure(polled))
    assert list(polled.store.list("lateness")) == ["lateness/part-0.parquet"]
    (made,) = [name for name in polled.store.children("_journal")[1] if name.startswith("ever.")]
    assert made.startswith("ever.made-")


def test_ages_are_summed_into_the_configured_ages() -> None:
    frame = table((0, 9, 90, 1), (1, 9, 2, 2), (5, 1, 1, 1), (6, 9, 3, 3), (90, 1, 5, 4))
    assert by_configured_age(frame, AGES) == {
        0: (9, 1), 1: (10, 3), 6: (9, 3), 24: (0, 0), 72: (1, 4),
    }  # fmt: skip


@pytest.mark.parametrize(("late", "holds"), [(0, True), (1, True), (2, False)])
def test_returns_at_the_last_age_show_that_it_is_too_early(late: int, holds: bool) -> None:
    claim = seen_by_the_last_age(table((0, 9, 1000 - late, 0), (73, 9, late, late)), AGES)
    assert claim.holds is holds
    assert f"{late} of 1,000 returns" in claim.figures
    assert ("RETURNS_REPOLL_AFTER_HOURS" in claim.figures) is not holds
