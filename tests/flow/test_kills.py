"""Killed anywhere and started again: nothing lost, nothing doubled, no torn file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
from obstore.store import MemoryStore
from support.lakes import bytes_of
from support.mortal_store import Killed, MortalStore
from support.records import assigned, at, returned

from returns_orchestration.lake import Lake
from returns_orchestration.lake.store import ObjectStore
from returns_orchestration.window import Window, windows_between

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Remote

HOURS = list(windows_between(at(9), at(11)))
BROKEN = assigned(return_reference_number=None)


def first(window: Window) -> list[Any]:
    return [returned(f"R-{window.start:%H}", window.start), returned("R-E", at(10)), BROKEN]


def second(window: Window) -> list[Any]:
    changed = returned(f"R-{window.start:%H}", window.start, status="CHANGED")
    return [changed, returned("R-L", at(9, 59, 59)), BROKEN]


def lake_on(remote: Remote) -> Lake:
    return Lake(ObjectStore(remote, "memory://lake"), lambda: at(20))


def polled(lake: Lake, window: Window) -> set[int]:
    """The numbers of its polls, also of those without an entry so far."""
    names = lake.names()
    return {poll.number for poll in names.hour(window).polls}.union(names.unnoted(window))


def run(lake: Lake, api_of: Any) -> None:
    """Two polls of each hour; each has a fixed time, so that a repeated one is the same poll."""
    api_of(first, always_at=at(30)).run(lake, HOURS)
    api_of(second, always_at=at(40)).run(lake, HOURS)


def test_a_run_killed_at_any_change_ends_like_one_without_a_kill(api_of: Any) -> None:
    whole = lake_on(MemoryStore())
    run(whole, api_of)
    expected = bytes_of(whole.store)
    killed = 0
    while True:
        remote = MemoryStore()
        try:
            run(Lake(MortalStore(remote, killed), lambda: at(20)), api_of)
            break
        except Killed:
            killed += 1
        lake = lake_on(remote)
        for path, content in bytes_of(lake.store).items():
            if path.endswith(".parquet"):
                assert content is not None
                pl.read_parquet(content)
        if polled(lake, HOURS[-1]) and 2 not in polled(lake, HOURS[0]):
            # Both were polled once before the kill: the first replies are not served again.
            api_of(first, always_at=at(30)).run(lake, HOURS, poll=False)
        elif not polled(lake, HOURS[-1]):
            api_of(first, always_at=at(30)).run(lake, HOURS)
        api_of(second, always_at=at(40)).run(lake, HOURS)
        assert bytes_of(lake.store) == expected, killed
    assert killed >= len(expected)


def test_a_killed_backfill_is_completed_by_one_for_the_missing_hours(
    api_of: Any,
) -> None:
    api = api_of(first, always_at=at(30))
    whole = lake_on(MemoryStore())
    api.run(whole, HOURS[::-1])
    killed = 0
    while True:
        remote = MemoryStore()
        try:
            api.run(Lake(MortalStore(remote, killed), lambda: at(20)), HOURS[::-1])
            break
        except Killed:
            killed += 1
        lake = lake_on(remote)
        known = [window for window in HOURS if polled(lake, window)]
        again = api_of(first, always_at=at(30))
        again.run(lake, HOURS, missing_only=True)
        assert not set(known) & set(again.asked)
        assert bytes_of(lake.store) == bytes_of(whole.store), killed
    assert killed >= len(list(whole.store.list("")))
