"""A rebuild that is killed anywhere, beside a run, and the hours that it leaves to poll again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from obstore.store import MemoryStore
from support.lakes import bytes_of, references
from support.mortal_store import Killed, MortalStore
from support.records import at, returned

from returns_orchestration.flow.outcomes import Failed
from returns_orchestration.flow.rebuild import Rebuilder, Rebuilt
from returns_orchestration.lake import Lake
from returns_orchestration.lake.entry_kinds import made_path
from returns_orchestration.lake.store import ObjectStore
from returns_orchestration.state.status import states
from returns_orchestration.state.verify import Verifier
from returns_orchestration.window import Window, windows_between

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Remote

HOURS = list(windows_between(at(9), at(11)))
NINE, TEN = HOURS
BAD_FILES = (
    f"raw_returns/{NINE.path}/poll-0001.parquet",
    f"returns/{NINE.path}/part-0.parquet",
    f"returns/{TEN.path}/stranger.parquet",
)
ZONE = ZoneInfo("Asia/Kolkata")


def first(window: Window) -> list[Any]:
    return [returned(f"R-{window.start:%H}", window.start), returned("R-E", at(10))]


def second(window: Window) -> list[Any]:
    return [*first(window), returned(f"R-L{window.start:%H}", window.start)]


def lake_on(remote: Remote) -> Lake:
    return Lake(ObjectStore(remote, "memory://lake"), lambda: at(20))


def polled_twice(remote: Remote, api_of: Any) -> Lake:
    lake = lake_on(remote)
    api_of(first, always_at=at(30)).run(lake, HOURS)
    api_of(second, always_at=at(40)).run(lake, HOURS)
    return lake


def numbers(lake: Lake, window: Window) -> list[int]:
    return [poll.number for poll in lake.names().hour(window).polls]


def entry_of_poll(lake: Lake, window: Window, number: int) -> str:
    return next(p.path for p in lake.names().hour(window).polls if p.number == number)


def bad_of(lake: Lake) -> list[str]:
    """The files that are damaged, and an entry of a poll that is good."""
    return [*BAD_FILES, entry_of_poll(lake, TEN, 2)]


def damage(lake: Lake, path: str) -> None:
    lake.store.put(path, (lake.store.get(path) or b"")[:-1] + b"?")


def rebuilt(lake: Lake, api_of: Any) -> Rebuilt:
    return Rebuilder(api_of(second).pipeline(lake)).rebuild(at(9), at(11))


def found(lake: Lake) -> list[str]:
    return [finding.text for finding in Verifier(lake, ZONE).everything()]


def test_a_bad_poll_is_quarantined_and_its_hour_polled_again(
    memory_lake: Lake, api_of: Any
) -> None:
    lake = memory_lake
    api_of(first).run(lake, HOURS)
    bad = lake.polls.path(NINE, 1)
    damage(lake, bad)
    lake.drop_cache()
    (failed,) = [o for o in api_of(second).run(lake, [NINE]) if isinstance(o, Failed)]
    assert "rebuild 2026-11-09T09:00 2026-11-09T10:00" in str(failed.error)

    done = rebuilt(lake, api_of)
    assert done.poll_again == [NINE]
    assert not done.is_whole
    assert [path for path in done.quarantined if path.startswith(f"_quarantine/{bad}")]
    (nine, ten) = states(lake, HOURS, ZONE)
    assert (nine.state, ten.state) == ("missing", "complete")
    assert "quarantined" in (nine.error or "")
    # Returns that only the bad poll served are in no table; those of the other window are.
    assert references(lake) == ["R-10", "R-E"]
    assert not found(lake)

    api = api_of(second)
    api.run(lake, HOURS, missing_only=True)
    assert api.asked == [NINE]
    assert references(lake) == ["R-09", "R-10", "R-E", "R-L09"]
    assert numbers(lake, NINE) == [2]
    assert not found(lake)
    assert api.states(lake, HOURS) == ["complete", "complete"]


@pytest.mark.parametrize("bad", [1, 2])
def test_an_hour_is_made_of_the_remaining_polls_and_still_polled_again(
    bad: int, memory_lake: Lake, api_of: Any
) -> None:
    lake = memory_lake
    api_of(first, always_at=at(30)).run(lake, HOURS)
    api_of(second, always_at=at(40)).run(lake, HOURS)
    damage(lake, lake.polls.path(NINE, bad))
    assert rebuilt(lake, api_of).poll_again == [NINE]
    assert numbers(lake, NINE) == [3 - bad]
    assert ("R-L09" in references(lake)) is (bad == 1)
    api = api_of(second, always_at=at(50))  # nothing new to the first: it is kept all the same
    assert api.states(lake, HOURS) == ["damaged", "complete"]
    assert api.pipeline(lake).states(HOURS).of(NINE).needs_poll
    api.run(lake, HOURS, missing_only=True)
    assert api.asked == [NINE]
    assert 3 in numbers(lake, NINE)
    assert references(lake) == ["R-09", "R-10", "R-E", "R-L09", "R-L10"]
    assert not found(lake)
    assert api.states(lake, HOURS) == ["complete", "complete"]
    assert rebuilt(lake, api_of).is_whole


def test_a_damaged_record_of_a_good_poll_is_rewritten(memory_lake: Lake, api_of: Any) -> None:
    lake = memory_lake
    api_of(first).run(lake, HOURS)
    before = bytes_of(lake.store, "raw_returns") | bytes_of(lake.store, "returns")
    damage(lake, entry_of_poll(lake, NINE, 1))
    done = rebuilt(lake, api_of)
    assert done.is_whole
    assert len(done.quarantined) == 1
    assert bytes_of(lake.store, "raw_returns") | bytes_of(lake.store, "returns") == before
    assert not found(lake)


def test_a_rebuild_killed_at_any_change_is_completed_by_the_same_command(api_of: Any) -> None:
    def damaged(remote: Remote) -> Lake:
        lake = polled_twice(remote, api_of)
        for path in bad_of(lake):
            damage(lake, path)
        (made,) = lake.names().hour(TEN).made
        lake.store.delete(made_path(TEN, made))
        return lake

    whole = damaged(MemoryStore())
    assert rebuilt(whole, api_of).poll_again == [NINE]
    expected = bytes_of(whole.store)
    killed = 0
    while True:
        remote = MemoryStore()
        lake = damaged(remote)
        bad = {lake.store.get(path) for path in bad_of(lake)}
        try:
            rebuilt(Lake(MortalStore(remote, killed), lambda: at(20)), api_of)
            break
        except Killed:
            killed += 1
        assert rebuilt(lake, api_of).poll_again == [NINE], killed
        assert not found(lake), killed
        now = bytes_of(lake.store)
        assert {p: c for p, c in now.items() if p[0] != "_"} == {
            p: c for p, c in expected.items() if p[0] != "_"
        }
        assert bad <= {content for path, content in now.items() if path.startswith("_quarantine")}
    assert killed >= 12


def test_an_edge_return_counts_once_after_its_hour_lost_its_only_poll(
    memory_lake: Lake, api_of: Any
) -> None:
    lake = memory_lake
    api_of(first).run(lake, HOURS)
    damage(lake, lake.polls.path(TEN, 1))
    rebuilt(lake, api_of)
    assert references(lake).count("R-E") == 1
    api_of(first).run(lake, HOURS, missing_only=True)
    assert references(lake).count("R-E") == 1
    assert not found(lake)
