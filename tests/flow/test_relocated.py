"""A return whose request time differs between the polls of several windows is there once."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from support.lakes import bytes_of, references, rows
from support.records import at, on_the_wire, returned

from returns_orchestration.flow.outcomes import Failed
from returns_orchestration.flow.rebuild import Rebuilder
from returns_orchestration.lake.entry_kinds import From, To, made_path
from returns_orchestration.lake.entry_names import name_of_hour
from returns_orchestration.lake.names import sources_of
from returns_orchestration.state.places import Places, find_misplaced
from returns_orchestration.state.verify import Verifier
from returns_orchestration.window import Window, days_of

if TYPE_CHECKING:
    from pathlib import Path

    from returns_orchestration.lake import Lake

FIVE, SIX, TEN = Window(at(5)), Window(at(6)), Window(at(10))
FAR = Window(at(5) - timedelta(days=20))
ZONE = ZoneInfo("Asia/Kolkata")


def findings(lake: Lake) -> list[str]:
    return [f"{finding.kind} {finding.path}" for finding in Verifier(lake, ZONE).everything()]


def tables_of(lake: Lake) -> dict[str, bytes | None]:
    return {p: c for p, c in bytes_of(lake.store).items() if not p.startswith("_")}


def serving(times: dict[Window, Any], **fields: Any) -> Any:
    """The same return in each window, with a different request time in each; and another."""

    def reply(window: Window) -> list[Any]:
        other = returned(f"O-{window.key}", window.start)
        return [returned("M", times[window], **fields), other] if window in times else [other]

    return reply


@pytest.mark.parametrize("other", [SIX, TEN, FAR], ids=["next", "same day", "far"])
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("runs", [1, 2])
def test_the_window_polled_last_decides_the_hour_of_a_return(
    *, other: Window, first: int, runs: int, folder: Path, lake: Lake, api_of: Any
) -> None:
    times = {FIVE: at(5, 59, 59) + timedelta(seconds=0.7), other: other.start}
    order = [FIVE, other] if first == 0 else [other, FIVE]
    api = api_of(serving(times))
    outcomes = []
    for windows in [order] if runs == 1 else [[order[0]], [order[1]]]:
        outcomes += api.run(lake, windows)
    assert not [o for o in outcomes if isinstance(o, Failed)]
    table = rows(folder, "returns").filter(return_reference_number="M")
    assert table.get_column("requested_at").to_list() == [times[order[-1]]]
    for name in ("refund_modes_hourly", "refund_modes_daily"):
        assert rows(folder, name).get_column("returns").sum() == 3, name
    assert findings(lake) == []
    assert api.states(lake, order) == ["complete", "complete"]
    before = tables_of(lake)
    api.run(lake, order)  # two windows that contradict each other are noted, in no table
    api.run(lake, order[::-1], poll=False)
    assert tables_of(lake) == before
    assert findings(lake) == []


def test_values_from_an_earlier_window_are_kept(folder: Path, lake: Lake, api_of: Any) -> None:
    modes = {FIVE: "UPI", TEN: None}
    api = api_of(lambda window: [returned("M", window.start, refund_mode=modes[window])])
    for window in (FIVE, TEN):
        api.run(lake, [window])
    (row,) = rows(folder, "returns").to_dicts()
    assert (row["requested_at"], row["refund_mode"]) == (TEN.start, "UPI")
    assert row["first_polled_at"] < row["last_polled_at"]


def test_a_return_may_move_several_times(folder: Path, lake: Lake, api_of: Any) -> None:
    """Through several hours, one of them never polled, and back."""
    moves = [(FIVE, at(5)), (TEN, at(10)), (SIX, at(6)), (SIX, at(3)), (TEN, at(10)), (FIVE, at(5))]
    upcoming = iter(moves)
    api = api_of(lambda _: [returned("M", moment, status=f"{number}")])
    for number, (window, moment) in enumerate(upcoming):
        api.run(lake, [window])
        (row,) = rows(folder, "returns").to_dicts()
        assert (row["requested_at"], row["status"]) == (moment, str(number))
        assert findings(lake) == []


def test_a_return_may_move_from_an_hour_that_never_served_it(
    folder: Path, lake: Lake, api_of: Any
) -> None:
    """FIVE puts it into SIX, whose poll has only others; then SEVEN serves it, later."""
    seven = SIX.next
    words = iter([(FIVE, at(6), "first"), (seven, seven.start, "moved"), (FIVE, at(6), "first")])
    replies: dict[Window, list[Any]] = {}
    between = returned("B", seven.start)  # served by SIX at its end, so SIX has a mark of SEVEN
    api = api_of(lambda window: [*replies.get(window, []), *([between] if window == SIX else [])])
    for window, moment, status in words:
        replies = {window: [returned("M", moment, status=status)]}
        api.run(lake, [window] if window == FIVE else [SIX, window])
        (row,) = rows(folder, "returns").filter(return_reference_number="M").to_dicts()
        assert (row["requested_at"], row["status"]) == (moment, status)
        assert findings(lake) == []


MARKS = [
    From(period=TEN.key, hour=name_of_hour(FIVE)).path,
    To(period=FIVE.key, hour=name_of_hour(TEN)).path,
]
"""The marks on both sides that FIVE served a return that is, or was, in TEN."""


@pytest.mark.parametrize("order", [[FIVE, TEN], [TEN, FIVE]], ids=["rising", "falling"])
@pytest.mark.parametrize("lost", [MARKS[:1], MARKS[1:]], ids=["from", "to"])
@pytest.mark.parametrize("made_meanwhile", [False, True])
def test_a_lost_mark_is_found_and_restored(
    *, order: list[Window], lost: list[str], made_meanwhile: bool, lake: Lake, api_of: Any
) -> None:
    api = api_of(serving({FIVE: at(5), TEN: at(10)}))
    api.run(lake, order)
    before = bytes_of(lake.store)
    lake.store.delete(*lost)
    assert findings(lake) == [f"missing {lost[0]}"]
    # Where each moved it once, the marks of the other direction hold the same.
    assert ("unfinished" in api.states(lake, order)) == (order == [FIVE, TEN])
    if made_meanwhile:
        api.run(lake, order, missing_only=True)
        assert references(lake).count("M") == 1
    assert Rebuilder(api.pipeline(lake)).rebuild(FIVE.start, TEN.end).is_whole
    assert findings(lake) == []
    assert before.items() <= bytes_of(lake.store).items()
    assert api.states(lake, order) == ["complete", "complete"]


@pytest.mark.parametrize("order", [[FIVE, TEN], [TEN, FIVE]], ids=["rising", "falling"])
@pytest.mark.parametrize("mended_by", ["a run", "rebuild"])
def test_the_marks_of_both_sides_are_restored_when_the_hours_are_made_again(
    order: list[Window], mended_by: str, lake: Lake, api_of: Any
) -> None:
    api = api_of(serving({FIVE: at(5), TEN: at(10)}))
    api.run(lake, order)
    before, tables = bytes_of(lake.store), tables_of(lake)
    marks = [path for path in before if ".from-" in path or ".to-" in path]
    assert set(MARKS) <= set(marks)
    lake.store.delete_many(marks)
    assert api.states(lake, order) == ["unfinished", "unfinished"]
    if mended_by == "a run":
        api.run(lake, order, missing_only=True)
    else:
        assert Rebuilder(api.pipeline(lake)).rebuild(FIVE.start, TEN.end).is_whole
    assert len(api.asked) == 2
    # Which of two equal marks is put does not matter.
    assert tables.items() <= tables_of(lake).items()
    assert any(".from-" in path for path in bytes_of(lake.store))
    assert findings(lake) == []


def test_a_mark_without_a_cause_is_harmless(lake: Lake, api_of: Any) -> None:
    api = api_of(serving({FIVE: at(5)}))
    api.run(lake, [FIVE, SIX])
    before = tables_of(lake)
    lake.entries.mark(lake.names(), SIX, [FIVE])
    assert "unfinished" in api.states(lake, [FIVE, SIX])
    api.run(lake, [FIVE, SIX], missing_only=True)
    assert api.states(lake, [FIVE, SIX]) == ["complete", "complete"]
    assert tables_of(lake) == before
    assert findings(lake) == []


def test_a_run_killed_before_its_search_searches_when_it_is_repeated(
    lake: Lake, api_of: Any
) -> None:
    api = api_of(serving({FIVE: at(5), TEN: at(10)}))
    pipeline, names = api.pipeline(lake), lake.names()
    for window in (FIVE, TEN):
        pipeline.land(names, api.poll(window))
        assert pipeline.builder.build(names, window)
    assert references(lake).count("M") == 2
    assert api.states(lake, [FIVE]) == ["unfinished"]
    list(pipeline.run([FIVE, TEN], missing_only=True))
    assert references(lake).count("M") == 1
    assert len(api.asked) == 2


@pytest.mark.parametrize("other", [SIX, TEN, FAR], ids=["next", "same day", "far"])
@pytest.mark.parametrize("moves", [True, False], ids=["moved", "changed"])
@pytest.mark.parametrize("mended_by", ["a run", "rebuild"])
def test_a_window_that_repeats_an_earlier_reply_decides_as_the_newest(  # noqa: PLR0917 - what varies
    other: Window, moves: bool, mended_by: str, folder: Path, lake: Lake, api_of: Any
) -> None:
    """Its reply brings nothing new, and another window served other values meanwhile."""
    first = returned("M", FIVE.start, status="A")
    second = returned("M", other.start if moves else FIVE.start, status="B")
    api = api_of(lambda window: [first if window == FIVE else second])
    for window, status in ((FIVE, "A"), (other, "B"), (FIVE, "A"), (other, "B"), (FIVE, "A")):
        api.run(lake, [window])
        (row,) = rows(folder, "returns").to_dicts()
        record = first if status == "A" else second
        assert row["status"] == status
        assert row["requested_at"].isoformat()[:19] == record["Return Request Timestamp"][:19]
        assert rows(folder, "raw_returns").height == min(len(api.asked), 2)
    assert findings(lake) == []
    assert set(api.states(lake, [FIVE, other])) == {"complete", "empty"}
    before, tables = bytes_of(lake.store), tables_of(lake)
    api.run(lake, [FIVE])
    assert bytes_of(lake.store) == before
    if mended_by == "a run":
        api.run(lake, [FIVE, other], poll=False)
    else:
        assert Rebuilder(api.pipeline(lake)).rebuild(FIVE.start, FIVE.end).is_whole
    assert tables.items() <= tables_of(lake).items()
    assert find_misplaced(lake, api.pipeline(lake).reader) == Places(1, 0, 0, 0)


@pytest.mark.parametrize("linked", [True, False], ids=["linked hours", "hours apart"])
@pytest.mark.parametrize("alone", [True, False], ids=["alone", "with the hour it lives in"])
def test_a_window_serves_a_return_again_after_others_moved_it(
    linked: bool, alone: bool, folder: Path, lake: Lake, api_of: Any
) -> None:
    """Both ends of a window count: FIVE serves a return of SIX, and SEVEN and EIGHT move it."""
    seven, eight = SIX.next, SIX.next.next
    times = {"M": at(6), "S": at(7) if linked else at(6, 30)}

    def reply(window: Window) -> list[Any]:
        inside = [n for n, moment in times.items() if window.start <= moment <= window.end]
        return [returned(n, times[n], status=f"{times[n]:%H}") for n in inside]

    api = api_of(reply)
    api.run(lake, [FIVE, SIX])
    times["M"] = at(8)
    api.run(lake, [SIX, seven, eight])
    assert references(lake).count("M") == 1
    times["M"] = at(6)
    api.run(lake, [FIVE] if alone else [FIVE, SIX])
    (row,) = rows(folder, "returns").filter(pl.col("return_reference_number") == "M").to_dicts()
    assert (row["requested_at"], row["status"]) == (at(6), "06")
    assert findings(lake) == []
    assert find_misplaced(lake, api.pipeline(lake).reader).is_right
    assert set(api.states(lake, [FIVE, SIX, seven, eight])) == {"complete", "empty"}


@pytest.mark.parametrize("kept", ["from", "to"])
def test_a_mark_with_one_side_left_by_a_killed_run_gets_the_other_side(
    kept: str, lake: Lake, api_of: Any
) -> None:
    api = api_of(serving({FIVE: at(5), TEN: at(5)}))
    api.run(lake, [FIVE, TEN])
    half = [
        From(period=SIX.key, hour=name_of_hour(FIVE)),
        To(period=FIVE.key, hour=name_of_hour(SIX)),
    ]
    lake.entries.put(lake.names(), half[kept == "to"])
    for _ in range(2):  # the first polls SIX, by which FIVE is unfinished
        api.run(lake, [FIVE, SIX, TEN], missing_only=True)
    assert findings(lake) == []
    assert {entry.path for entry in half} <= set(bytes_of(lake.store))


@pytest.mark.parametrize("side", ["from", "to"])
def test_a_mark_that_is_lost_loses_no_return(side: str, lake: Lake, api_of: Any) -> None:
    """FIVE alone served the return in TEN; the inputs of TEN show it."""
    api = api_of(serving({FIVE: at(10, 30)}))
    api.run(lake, [FIVE, TEN])
    before = bytes_of(lake.store)
    lake.store.delete_many([path for path in before if f".{side}-" in path])
    for _ in range(2):
        api.run(lake, [FIVE, TEN], missing_only=True)
    assert references(lake).count("M") == 1
    assert findings(lake) == []
    kept = {path for path in before if "made-" not in path}
    assert kept <= set(bytes_of(lake.store))
    assert set(api.states(lake, [FIVE, TEN])) == {"complete"}


OTHER_DAY, LATER_DAY = Window(at(9) - timedelta(days=4)), Window(at(11) + timedelta(days=1))


def moved_later(window: Window) -> list[Any]:
    """M belongs to an hour of an earlier day that is never polled, and finally to another."""
    times = {TEN: OTHER_DAY.next.start, LATER_DAY: LATER_DAY.start}
    return [returned("M", times[window])] if window in times else []


@pytest.mark.parametrize("order", [(OTHER_DAY, TEN), (TEN, OTHER_DAY)])
def test_a_day_counts_returns_on_another_day_until_they_have_moved(
    order: tuple[Window, Window], folder: Path, lake: Lake, api_of: Any
) -> None:
    api = api_of(moved_later)
    for window in order:
        api.run(lake, [window])
    for day in (OTHER_DAY, LATER_DAY):
        if day == LATER_DAY:
            api.run(lake, [LATER_DAY])
        days = rows(folder, "refund_modes_daily").filter(pl.col("returns") > 0)
        assert days.get_column("day").to_list() == [day.start.date()]
        assert findings(lake) == []
        before = {p: c for p, c in bytes_of(lake.store).items() if "date=" in p}
        assert set(api.states(lake, order)) <= {"complete", "empty"}
        Rebuilder(api.pipeline(lake)).rebuild(OTHER_DAY.start, LATER_DAY.end)
        assert before.items() <= bytes_of(lake.store).items()


def test_a_chain_of_hours_that_share_returns_is_not_built_as_one(lake: Lake, api_of: Any) -> None:
    hours = [Window(at(hour)) for hour in range(8)]
    api = api_of(lambda w: [returned(f"R-{h.key}", w.start) for h in hours if h in {w, w.previous}])
    for window in hours:
        api.run(lake, [window])
    names = lake.names()
    linked = [names.hour(w).came_from | names.hour(w).went_to for w in hours]
    assert [len(others) for others in linked] == [1, 2, 2, 2, 2, 2, 2, 1]
    assert max(len(sources_of(window, names)) for window in hours) <= 5
    assert len(references(lake)) == 8


def test_rebuild_does_not_merge_copies_beyond_the_reach(lake: Lake, api_of: Any) -> None:
    hours = [FIVE, Window(at(5) + timedelta(days=20)), Window(at(5) + timedelta(days=40))]
    api = api_of(lambda w: [returned("M", w.start)] if w != hours[1] else [])
    api.run(lake, hours)
    assert references(lake) == ["M", "M"]
    before = bytes_of(lake.store)
    Rebuilder(api.pipeline(lake)).rebuild(hours[0].start, hours[-1].end)
    assert before.items() <= bytes_of(lake.store).items()


def test_a_poll_left_without_its_record_by_a_killed_run_is_completed_without_a_call(
    lake: Lake, api_of: Any
) -> None:
    """Its mark in another hour exists already."""
    api = api_of(lambda w: [returned("M", w.start), returned("N", TEN.start, status="old")])
    api.run(lake, [FIVE, TEN])
    names, served = lake.names(), (on_the_wire(returned("M", TEN.start, status="new")),)
    assert lake.polls.create(names, FIVE, 2, at(200), served, "UTC")
    lake.entries.mark(names, FIVE, [TEN])
    assert api.states(lake, [FIVE]) == ["unfinished"]
    before = len(api.asked)
    outcomes = api.run(lake, [FIVE], missing_only=True)
    assert not [o for o in outcomes if isinstance(o, Failed)]
    assert len(api.asked) == before
    assert [poll.number for poll in lake.names().hour(FIVE).polls] == [1, 2]
    assert findings(lake) == []
    assert api.states(lake, [FIVE, TEN]) == ["empty", "complete"]


def test_a_damaged_day_that_counts_returns_of_another_day_is_named(lake: Lake, api_of: Any) -> None:
    api = api_of(moved_later)
    api.run(lake, [OTHER_DAY])
    api.run(lake, [TEN])
    day = days_of(OTHER_DAY, ZONE)[0]
    path = made_path(day, lake.names().day(day.date)[0])
    lake.store.put(path, b"?")
    assert f"torn {path}" in findings(lake)
