"""A return whose request time differs between the polls of several windows is there once."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from lakes import bytes_of, references, rows
from records import at, returned

from returns_orchestration.flow.hours import Failed
from returns_orchestration.flow.rebuild import Rebuilder
from returns_orchestration.lake.entries import link_path
from returns_orchestration.trust.hours import states
from returns_orchestration.trust.verify import Verifier
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from pathlib import Path

    from returns_orchestration.lake import Lake

FIVE, SIX, TEN = Window(at(5)), Window(at(6)), Window(at(10))
FAR = Window(at(5) + timedelta(days=20))
ZONE = ZoneInfo("Asia/Kolkata")


def findings(lake: Lake) -> list[str]:
    return [f"{finding.kind} {finding.path}" for finding in Verifier(lake, ZONE).everything()]


def serving(said: dict[Window, Any], **fields: Any) -> Any:
    """The same return in each window, with a request time of the window's own; and another."""

    def reply(window: Window) -> list[Any]:
        other = returned(f"O-{window.key}", window.start)
        return [returned("M", said[window], **fields), other] if window in said else [other]

    return reply


@pytest.mark.parametrize("other", [SIX, TEN, FAR], ids=["next", "same day", "far"])
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("runs", [1, 2])
def test_the_window_polled_last_says_where_it_is(
    *, other: Window, first: int, runs: int, folder: Path, lake: Lake, api_of: Any
) -> None:
    said = {FIVE: at(5, 59, 59) + timedelta(seconds=0.7), other: other.start}
    order = [FIVE, other] if first == 0 else [other, FIVE]
    api = api_of(serving(said))
    outcomes = []
    for windows in [order] if runs == 1 else [[order[0]], [order[1]]]:
        outcomes += api.run(lake, windows)
    assert not [o for o in outcomes if isinstance(o, Failed)]
    table = rows(folder, "returns").filter(return_reference_number="M")
    assert table.get_column("requested_at").to_list() == [said[order[-1]]]
    for name in ("refund_modes_hourly", "refund_modes_daily"):
        assert rows(folder, name).get_column("returns").sum() == 3, name
    assert findings(lake) == []
    assert all(api.river(lake).is_complete(window) for window in order)
    assert [state.state for state in states(lake, order)] == ["complete", "complete"]
    before = bytes_of(lake.store)
    api.run(lake, order)
    api.run(lake, order[::-1], poll=False)
    assert bytes_of(lake.store) == before


def test_what_an_earlier_window_said_of_it_is_kept(folder: Path, lake: Lake, api_of: Any) -> None:
    modes = {FIVE: "UPI", TEN: None}
    api = api_of(lambda window: [returned("M", window.start, refund_mode=modes[window])])
    for window in (FIVE, TEN):
        api.run(lake, [window])
    (row,) = rows(folder, "returns").to_dicts()
    assert (row["requested_at"], row["refund_mode"]) == (TEN.start, "UPI")
    assert row["first_polled_at"] < row["last_polled_at"]


def test_it_may_move_on_and_on(folder: Path, lake: Lake, api_of: Any) -> None:
    """Through hours, with a stray whose own hour was never polled, and back."""
    moves = [(FIVE, at(5)), (TEN, at(10)), (SIX, at(6)), (SIX, at(3)), (TEN, at(10)), (FIVE, at(5))]
    said = iter(moves)
    api = api_of(lambda _: [returned("M", moment, status=f"{number}")])
    for number, (window, moment) in enumerate(said):
        api.run(lake, [window])
        (row,) = rows(folder, "returns").to_dicts()
        assert (row["requested_at"], row["status"]) == (moment, str(number))
        assert findings(lake) == []


def test_a_lost_link_is_found_and_put_back(lake: Lake, api_of: Any) -> None:
    api_of(serving({FIVE: at(5), TEN: at(10)})).run(lake, [FIVE, TEN])
    before = bytes_of(lake.store)
    marks = [link_path(FIVE, TEN), link_path(TEN, FIVE)]
    for lost in (marks[:1], marks[1:], marks):
        for path in lost:
            lake.store.delete(path)
        assert findings(lake) == [f"missing {path}" for path in sorted(lost)]
        river = api_of(lambda _: []).river(lake)
        assert Rebuilder(river).rebuild(FIVE.start, TEN.end, {}).is_whole
        assert before.items() <= bytes_of(lake.store).items()
    lake.store.put(link_path(FIVE, SIX), b"")
    assert findings(lake) == [f"foreign {link_path(FIVE, SIX)}"]


def test_a_run_that_was_killed_before_it_looked_looks_when_it_is_started_again(
    lake: Lake, api_of: Any
) -> None:
    api = api_of(serving({FIVE: at(5), TEN: at(10)}))
    river = api.river(lake)
    for window in (FIVE, TEN):
        river.land(api.poll(window))
        assert river.settler.settle(window)
    assert references(lake).count("M") == 2
    assert not river.is_complete(FIVE)
    list(river.run([FIVE, TEN], missing_only=True))
    assert references(lake).count("M") == 1
    assert len(api.asked) == 2
