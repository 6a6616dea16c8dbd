"""Which days a report has, and where their rows come from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from flow.conftest import FakeApi
from report.conftest import INDIA, OPTIONS
from support.records import at, returned

from returns_orchestration.errors import LakeDamaged, SettingsError
from returns_orchestration.lake import Lake
from returns_orchestration.lake.store import FolderStore
from returns_orchestration.report import files, page
from returns_orchestration.report.figures import Figures, gather
from returns_orchestration.window import Window, windows_between

BEGIN = at(0)
"""05:30 of 9 November in India, so that the first whole day is the 10th."""


@pytest.fixture(scope="module")
def polled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five days and four hours of one return each, but for one hour that was never polled."""
    folder = tmp_path_factory.mktemp("lake")
    lake = Lake(FolderStore(folder), lambda: at(900))
    windows = list(windows_between(BEGIN, at(124)))
    lacking = Window(at(60))
    api = FakeApi(lambda w: [returned(w.key, w.start)], now=at(900), always_at=at(800))
    api.run(lake, [window for window in windows if window != lacking])
    lake.waive(Window(at(61)), "it was polled all the same")
    return folder


@pytest.fixture
def gathered(polled: Path) -> Callable[..., Figures | None]:
    def gathered(first: int = 0, last: int = 0, **options: object) -> Figures | None:
        lake = Lake(FolderStore(polled), lambda: at(900))
        days = [date(2026, 11, day) if day else None for day in (first, last)]
        return gather(lake, INDIA, replace(OPTIONS, **options), *days)  # type: ignore[arg-type]

    return gathered


Gathered = Callable[..., Figures | None]


def test_the_newest_report_has_the_whole_days_that_there_are(gathered: Gathered) -> None:
    found = gathered()
    assert found
    assert (found.now.first, found.now.last) == (date(2026, 11, 10), date(2026, 11, 13))
    assert found.as_of == at(124)
    assert found.is_newest
    assert found.before is None
    assert found.now.returns.height == 95  # four days of 24 hours without one
    assert found.whole_hours == (97, 96, 0)  # the first and the last one lie in two days


def test_days_before_are_compared_where_all_of_them_are_there(gathered: Gathered) -> None:
    found = gathered(days=2)
    assert found
    assert found.now.days == [date(2026, 11, 12), date(2026, 11, 13)]
    assert found.before
    assert found.before.days == [date(2026, 11, 10), date(2026, 11, 11)]
    assert found.before.returns.height == 47
    assert gathered(days=3).before is None  # type: ignore[union-attr]


def test_an_hour_that_lacks_is_named_on_each_day_that_it_is_of(gathered: Gathered) -> None:
    found = gathered()
    assert found
    assert found.partial == [date(2026, 11, 11)]
    assert found.lacking == [(Window(at(60)), "missing")]
    assert [of_day.states.total() for of_day in found.hours] == [25] * 4
    assert found.states.total() == 97


def test_any_days_can_be_chosen(gathered: Gathered) -> None:
    found = gathered(11, 12)
    assert found
    assert found.now.days == [date(2026, 11, 11), date(2026, 11, 12)]
    assert not found.is_newest


@pytest.mark.parametrize(("first", "last"), [(9, 12), (12, 14), (13, 12)])
def test_days_that_are_not_there_are_refused_with_those_that_are(
    first: int, last: int, gathered: Gathered
) -> None:
    with pytest.raises(SettingsError, match="from 2026-11-10 to 2026-11-13"):
        gathered(first, last)


def test_days_before_the_start_are_not_there(gathered: Gathered) -> None:
    found = gathered(start=at(40))
    assert found
    assert found.now.first == date(2026, 11, 11)


def test_a_lake_without_a_whole_day_has_no_report(lake: Lake) -> None:
    assert gather(lake, INDIA, OPTIONS) is None
    FakeApi(lambda w: [returned(w.key, w.start)]).run(lake, [Window(at(11))])
    assert gather(lake, INDIA, OPTIONS) is None
    assert files.put(lake, None) == "reports/returns/latest.html"
    assert b"no whole day yet" in (lake.store.get("reports/returns/latest.html") or b"")


def test_a_damaged_day_is_named_and_no_page_is_made(lake: Lake) -> None:
    windows = list(windows_between(at(0), at(45)))
    FakeApi(lambda w: [returned(w.key, w.start)], now=at(900)).run(lake, windows)
    path = "return_items_daily/date=2026-11-10/part-0.parquet"
    lake.store.put(path, bytes(reversed(lake.store.get(path) or b"")))
    with pytest.raises(LakeDamaged, match=path):
        gather(Lake(lake.store), INDIA, OPTIONS)


def test_the_page_is_put_beside_the_tables(gathered: Gathered, lake: Lake) -> None:
    newest, other = gathered(), gathered(11, 12)
    assert newest
    assert other
    assert files.put(lake, newest) == "reports/returns/latest.html"
    assert files.put(lake, other) == "reports/returns/date=2026-11-12/report.html"
    assert sorted(lake.store.list("reports")) == [
        "reports/returns/date=2026-11-12/report.html",
        "reports/returns/date=2026-11-13/report.html",
        "reports/returns/latest.html",
    ]
    assert lake.store.get("reports/returns/latest.html") == page.page(newest).encode()


def test_the_same_lake_gives_the_same_page_later(gathered: Gathered) -> None:
    first = gathered()
    again = gathered()
    assert first
    assert again
    assert page.page(first) == page.page(again)
    assert first.as_of - timedelta(hours=124) == BEGIN
