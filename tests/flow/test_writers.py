"""Two processes make one hour at once, and the slower one is killed before its entry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from obstore.store import MemoryStore
from support.lakes import bytes_of, outside_quarantine, references
from support.mortal_store import Killed
from support.records import Record, at, returned

from returns_orchestration import tables
from returns_orchestration.lake import Lake
from returns_orchestration.lake.store import ObjectStore
from returns_orchestration.state.places import Places, find_misplaced
from returns_orchestration.state.verify import Verifier
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable

    from obstore import PutMode

    from returns_orchestration.lake import Names
    from returns_orchestration.window import Day, Ever

TEN = Window(at(10))
INDIA = ZoneInfo("Asia/Kolkata")


def first(_: Window) -> list[Record]:
    return [returned("R-1", at(10, 1), status="old")]


def second(_: Window) -> list[Record]:
    return [returned("R-1", at(10, 1), status="new"), returned("R-2", at(10, 2))]


class Dying(ObjectStore):
    """Dies where the entry of the made tables is to be put."""

    def _put(self, path: str, content: bytes, mode: PutMode) -> str | None:
        if "made-" in path:
            raise Killed
        return super()._put(path, content, mode)


class Slow(Lake):
    """Calls ``meanwhile`` before or after it removes the entry of the made tables."""

    def __init__(self, remote: MemoryStore, moment: str, meanwhile: Callable[[], object]) -> None:
        super().__init__(Dying(remote, "memory://lake"), lambda: at(20))
        self._moment = moment
        self._meanwhile = meanwhile

    def invalidate(self, names: Names, period: Window | Day | Ever, kind: str = "made") -> None:
        if self._moment == "before":
            self._meanwhile()
        super().invalidate(names, period, kind)
        if self._moment == "after":
            self._meanwhile()


def lake_on(remote: MemoryStore) -> Lake:
    return Lake(ObjectStore(remote, "memory://lake"), lambda: at(20))


@pytest.mark.parametrize(
    ("moment", "state"),
    [
        # The entry of the faster one is removed, and then its tables are replaced.
        ("before", "unfinished"),
        # Its entry names tables that the slower one replaced, with other sizes.
        ("after", "damaged"),
    ],
)
@pytest.mark.parametrize("made_before", [True, False])
def test_files_of_a_killed_writer_under_another_entry_are_found_and_repaired(
    *, moment: str, state: str, made_before: bool, api_of: Any
) -> None:
    remote = MemoryStore()
    lake = lake_on(remote)
    api_of(lambda _: [], always_at=at(30)).run(lake, [TEN], make=made_before)

    def faster() -> None:
        api_of(second, always_at=at(50)).run(lake_on(remote), [TEN])

    slow = Slow(remote, moment, faster)
    with pytest.raises(Killed):
        api_of(first, always_at=at(40)).run(slow, [TEN])

    lake = lake_on(remote)
    api = api_of(second, always_at=at(60))
    assert api.states(lake, [TEN]) == [state]
    api.run(lake, [TEN], missing_only=True)
    assert api.asked == []
    assert api.states(lake, [TEN]) == ["complete"]
    assert references(lake) == ["R-1", "R-2"]
    frame = lake.read(tables.RETURNS, TEN, lake.names())
    assert frame is not None
    assert frame.get_column("status").to_list() == ["new", "SUCCESS"]
    assert find_misplaced(lake, api.pipeline(lake).reader) == Places(2, 0, 0, 0)
    assert list(Verifier(lake, INDIA).everything()) == []
    # The same state as without the kill.
    whole = lake_on(MemoryStore())
    for reply, polled_at in ((lambda _: [], at(30)), (first, at(40)), (second, at(50))):
        api_of(reply, always_at=polled_at).run(whole, [TEN])
    assert outside_quarantine(lake.store) == bytes_of(whole.store)
