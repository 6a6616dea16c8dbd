"""New names in the lake: noted once, acknowledged once, bounded."""

from __future__ import annotations

from support.counting_store import CountingStore
from support.lakes import bytes_of

from returns_orchestration.lake import Lake
from returns_orchestration.lake.news import MOST_NAMES, NEWS, OTHERS, NewName, News
from returns_orchestration.state.findings import strangers


def key(name: str, hour: str = "2026-11-09-11:00") -> NewName:
    return NewName(kind="key", name=name, hour=hour)


def test_a_name_is_noted_with_the_hour_that_first_had_it(lake: Lake) -> None:
    News(lake.store).note([key("a"), NewName(kind="code", name="1005")])
    before = bytes_of(lake.store)
    News(lake.store).note([key("a", "2026-11-09-12:00")])
    assert bytes_of(lake.store) == before
    assert News(lake.store).waiting() == [NewName(kind="code", name="1005"), key("a")]


def test_an_acknowledged_name_no_longer_waits(lake: Lake) -> None:
    news = News(lake.store)
    news.note([key("a"), key("b")])
    news.acknowledge(key("a"))
    news.acknowledge(key("a"))
    assert News(lake.store).waiting() == [key("b")]
    News(lake.store).note([key("a")])
    assert News(lake.store).waiting() == [key("b")]


def test_beyond_the_bound_one_file_replaces_all_others(lake: Lake) -> None:
    News(lake.store).note(key(f"k{n:03}") for n in range(MOST_NAMES + 50))
    News(lake.store).note([key("one more"), NewName(kind="mode", name="Barter")])
    waiting = lake.news.waiting()
    assert len(waiting) == MOST_NAMES + 2
    assert {name.name for name in waiting} >= {OTHERS, "Barter"}


def test_a_later_note_restores_the_name_of_a_damaged_file(lake: Lake) -> None:
    lake.news.note([key("a"), key("b")])
    lake.store.put(f"{key('a').path}.json", b"torn")
    assert lake.news.waiting() == [key("b")]
    later = key("a", "2026-11-10-11:00")
    News(lake.store).note([later])
    assert lake.news.waiting() == [later, key("b")]


def test_hours_without_news_cost_no_request(lake: Lake) -> None:
    store = CountingStore(lake.store)
    news = News(store)
    news.note([])
    assert store.requests.total() == 0
    news.note([key("a")])
    news.note([key("a")])
    assert store.requests.total() == 2  # a listing and a put


def test_verify_accepts_the_folder(lake: Lake) -> None:
    lake.news.note([key("a")])
    assert list(lake.store.list(NEWS))
    assert list(strangers(lake.store)) == []
