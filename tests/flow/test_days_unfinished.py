"""Days that a run left unmade, a damaged record, another process in between."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from obstore.store import MemoryStore
from support.lakes import bytes_of, rows
from support.mortal_store import Killed, MortalStore
from support.records import Record, at, returned

from returns_orchestration import tables
from returns_orchestration.errors import (
    CredentialsRefused,
    HourBlocked,
    LakeDamaged,
    NeverPolled,
)
from returns_orchestration.flow.days import PAUSES, DayBuilder
from returns_orchestration.flow.outcomes import Failed, Made, MadeDay, Stopped
from returns_orchestration.flow.rebuild import Rebuilder
from returns_orchestration.lake import Lake
from returns_orchestration.lake.entry_kinds import MadeName, made_path
from returns_orchestration.lake.store import ObjectStore
from returns_orchestration.stages import aggregates
from returns_orchestration.state.hours import States, is_made
from returns_orchestration.state.verify import Verifier
from returns_orchestration.window import Day, Window, days_of, windows_between

if TYPE_CHECKING:
    import polars as pl

INDIA = ZoneInfo("Asia/Kolkata")
NINTH, TENTH = (Day(date(2026, 11, day), INDIA) for day in (9, 10))
HOURS = list(windows_between(at(17), at(20)))
ENTRY = "_journal/date=2026-11-10/day.made-"
ENTRY_OF_NINTH = "_journal/date=2026-11-09/day.made-"


def reply(window: Window) -> list[Record]:
    return [returned(f"R-{window.start:%H}", window.start.replace(minute=40))]


def lake_on(remote: MemoryStore) -> Lake:
    return Lake(ObjectStore(remote, "memory://lake"), lambda: at(20))


@pytest.mark.parametrize(
    "fatal",
    [
        "refund_modes_daily/date=2026-11-09",
        "return_reasons_daily/date=2026-11-09",
        ENTRY_OF_NINTH,
        "refund_modes_daily/date=2026-11-10",
        ENTRY,
    ],
)
def test_days_left_unmade_by_a_kill_are_made_by_the_next_run_without_a_poll(
    fatal: str, api_of: Any
) -> None:
    whole = lake_on(MemoryStore())
    api_of(reply, always_at=at(30)).run(whole, HOURS)
    remote = MemoryStore()
    dying = Lake(MortalStore(remote, fatal=fatal), lambda: at(20))
    with pytest.raises(Killed):
        api_of(reply, always_at=at(30)).run(dying, HOURS)
    lake, api = lake_on(remote), api_of(reply)
    assert all(is_made(window, lake.names()) for window in HOURS)
    left = [NINTH, TENTH] if "2026-11-09" in fatal else [TENTH]
    late = [window for window in HOURS if not {*left}.isdisjoint(_days(window))]
    expected = ["unfinished" if window in late else "complete" for window in HOURS]
    assert api.states(lake, HOURS) == expected
    outcomes = api.run(lake, HOURS, missing_only=True)
    assert api.asked == []
    made = {o.built.day for o in outcomes if isinstance(o, MadeDay)}
    assert made >= {*left}
    assert api.states(lake, HOURS) == ["complete"] * 3
    assert bytes_of(lake.store) == bytes_of(whole.store)
    assert api.run(lake, HOURS, missing_only=True) == []


def _days(window: Window) -> list[Day]:
    return [day for day in (NINTH, TENTH) if window in day.windows]


def test_the_days_of_landed_hours_are_made_before_a_run_stops(lake: Lake, api_of: Any) -> None:
    api = api_of(reply, errors={HOURS[2]: CredentialsRefused("Refused.")})
    outcomes = api.run(lake, HOURS)
    assert [type(outcome) for outcome in outcomes[-3:]] == [MadeDay, MadeDay, Stopped]
    assert lake.made(TENTH, lake.names()).facts["hours"] == 1  # type: ignore[union-attr]


def test_a_run_that_only_polls_makes_no_day(lake: Lake, api_of: Any) -> None:
    outcomes = api_of(reply).run(lake, HOURS, make=False)
    assert not [outcome for outcome in outcomes if isinstance(outcome, MadeDay)]
    assert lake.made(NINTH, lake.names()) is None


@pytest.mark.parametrize("options", [{}, {"poll": False}, {"missing_only": True}], ids=str)
def test_a_damaged_entry_of_a_day_found_by_verify_is_repaired_by_the_next_run(
    options: dict[str, bool], lake: Lake, api_of: Any
) -> None:
    api = api_of(reply, always_at=at(30))
    api.run(lake, HOURS)
    before = bytes_of(lake.store)
    (path,) = (path for path in before if path.startswith(ENTRY))
    lake.store.put(path, b"{")
    found = {finding.path: finding.kind for finding in Verifier(lake, INDIA).everything()}
    # Its tables exist without a readable entry.
    assert found.pop(path) == "torn"
    assert set(found.values()) == {"unfinished"}
    assert api.states(lake, HOURS) == ["complete", "unfinished", "unfinished"]
    outcomes = api.run(lake, HOURS, **options)
    assert TENTH in {o.built.day for o in outcomes if isinstance(o, MadeDay)}
    assert not [o for o in outcomes if isinstance(o, Stopped | Failed)]
    after = bytes_of(lake.store)
    quarantined = [p for p in after if p.startswith(f"_quarantine/{path}")]
    assert [after.pop(place) for place in quarantined] == [b"{"]
    assert after == before


def test_a_day_with_a_damaged_hour_fails_and_does_not_change(lake: Lake, api_of: Any) -> None:
    api_of(reply).run(lake, HOURS)
    path = lake.path(tables.RETURNS, HOURS[0])
    before = lake.read(tables.REFUND_MODES.daily, NINTH, lake.names())
    lake.store.put(path, b"altered")
    changed = api_of(lambda w: [*reply(w), returned("R-NEW", at(18, 10))], at(200))
    outcomes = changed.run(lake, HOURS[1:2])
    (failed,) = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
    assert (failed.window, type(failed.error)) == (HOURS[1], LakeDamaged)
    assert path in str(failed.error)
    assert [o.built.day for o in outcomes if isinstance(o, MadeDay)] == [TENTH]
    stands = lake.read(tables.REFUND_MODES.daily, NINTH, lake.names())
    assert stands is not None
    assert stands.equals(before)
    assert changed.states(lake, HOURS) == ["damaged", "unfinished", "complete"]


def test_an_hour_made_meanwhile_by_another_process_is_in_the_day(
    lake: Lake, api_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    api_of(reply).run(lake, HOURS[:2])
    count, times = aggregates.count, 0

    def slow(aggregate: tables.Aggregate, period: Any, *rest: Any) -> pl.DataFrame:
        nonlocal times
        if aggregate is tables.REFUND_MODES and not isinstance(period, datetime):
            times += 1
            if times == 1:
                for outcome in api_of(reply).pipeline(lake).run(HOURS[2:]):
                    if isinstance(outcome, Made):
                        break
        return count(aggregate, period, *rest)

    monkeypatch.setattr(aggregates, "count", slow)
    builder = DayBuilder(lake, INDIA)
    built = builder.build(lake.names(), TENTH, at(20))
    assert times == 2
    assert built.record.facts == {"returns": 2, "items": 2, "hours": 2}
    assert States(lake, lake.names(), INDIA).is_followed(HOURS[2])


def test_a_day_waits_for_an_hour_that_another_process_is_publishing(
    lake: Lake, api_of: Any
) -> None:
    """Its entry is removed, then its files are put: in between they do not match the entry."""
    api = api_of(reply)
    api.run(lake, HOURS)
    names = lake.names()
    names.load_hours(HOURS)
    (noted,) = names.hour(HOURS[2]).made
    one_more = api_of(lambda w: [*reply(w), returned("R-M", w.start.replace(minute=50))], at(200))
    one_more.run(lake, HOURS[2:])
    (published,) = lake.names().hour(HOURS[2]).made
    entry = made_path(HOURS[2], published)
    content = lake.store.get(entry)
    assert content is not None
    lake.store.delete(entry)
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        lake.store.put(entry, content)

    built = DayBuilder(lake, INDIA, wait=wait).build(names, TENTH, at(20))
    assert built.record.facts["returns"] == 3
    assert waited == list(PAUSES[:1])
    # It did not count as damaged.
    assert api.states(lake, HOURS) == ["complete"] * 3
    assert noted != published


def test_an_hour_that_two_processes_publish_at_once_does_not_count_as_damaged(
    lake: Lake, api_of: Any
) -> None:
    """The files of one and the entry of the other stand together for a moment."""
    api = api_of(reply)
    api.run(lake, HOURS)
    path = lake.path(tables.RETURNS, HOURS[2])
    content = lake.store.get(path)
    assert content is not None
    lake.store.put(path, b"of the other process")

    def wait(_: float) -> None:
        lake.store.put(path, content)

    DayBuilder(lake, INDIA, wait=wait).build(lake.names(), TENTH, at(20))
    assert api.states(lake, HOURS) == ["complete"] * 3


def test_an_hour_that_does_not_match_its_entry_is_waited_for_and_then_damaged(
    lake: Lake, api_of: Any
) -> None:
    api = api_of(reply)
    api.run(lake, HOURS)
    lake.store.put(lake.path(tables.RETURNS, HOURS[2]), b"altered")
    waited: list[float] = []
    with pytest.raises(LakeDamaged, match="hour=19"):
        DayBuilder(lake, INDIA, wait=waited.append).build(lake.names(), TENTH, at(20))
    assert waited == list(PAUSES)
    assert api.states(lake, HOURS)[2] == "damaged"


def test_a_reference_in_two_hours_of_a_day_does_not_multiply_its_items(
    lake: Lake, api_of: Any
) -> None:
    """A day may be made while another run is about to find its returns."""
    moved = {w: [returned("R-1", w.start.replace(minute=5))] for w in HOURS[:2]}
    api = api_of(lambda w: moved.get(w, []))
    pipeline, names = api.pipeline(lake), lake.names()
    for window in HOURS[:2]:
        pipeline.land(names, api.poll(window))
        pipeline.builder.build(names, window)
    built = pipeline.days.build(names, NINTH, at(20))
    judged = [one for claims in built.claims.values() for one in claims]
    assert [one.figures for one in judged if one.blocks] == []
    assert built.frames["refund_modes_daily"].row(0)[2:] == (2, 2, 2)
    assert built.frames["return_reasons_daily"].row(0)[2:] == (2, 2, 2)


def test_hours_before_the_first_hour_are_not_missing(lake: Lake, api_of: Any) -> None:
    """The day of Asia/Kolkata that holds the first hour, a UTC midnight, begins 5.5 h before it."""
    first = Window(at(0))
    day = days_of(first, INDIA)[0]
    windows = [window for window in day.windows if window >= first]
    api_of(lambda _: []).run(lake, windows)
    for since, holds in ((first.start, True), (None, False)):
        built = DayBuilder(lake, INDIA, since).build(lake.names(), day, day.end)
        claims = built.claims["refund_modes_daily"]
        (whole,) = [c for c in claims if c.name == "every_hour_of_the_day_is_there"]
        assert whole.holds is holds


def test_an_inconsistent_day_is_not_published(
    lake: Lake, api_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = Window(at(11))
    api_of(lambda _: [returned("R-1", at(11, 5))]).run(lake, [window])
    before = bytes_of(lake.store)
    wrong = tables.REFUND_MODES.daily.empty()
    monkeypatch.setattr(aggregates, "count", lambda *_: wrong)
    with pytest.raises(HourBlocked, match="the returns add up to 0 and not to 1"):
        DayBuilder(lake, INDIA).build(lake.names(), days_of(window, INDIA)[0], at(20))
    assert bytes_of(lake.store) == before


def test_a_day_without_a_polled_hour_is_missing_and_not_empty(lake: Lake) -> None:
    with pytest.raises(NeverPolled, match="2026-11-09"):
        DayBuilder(lake, INDIA).build(lake.names(), NINTH, at(20))
    assert bytes_of(lake.store) == {}


@pytest.mark.parametrize("mended_by", ["a run", "rebuild"])
def test_a_day_of_an_earlier_zone_is_removed(
    lake: Lake, folder: Path, api_of: Any, mended_by: str
) -> None:
    """The first hours of a day of UTC are still the day before in New York."""
    hours = list(windows_between(at(0), at(3)))
    api_of(reply, zone="America/New_York").run(lake, hours)
    assert list((folder / "refund_modes_daily").glob("date=2026-11-08/*"))
    indian = api_of(reply, zone="Asia/Kolkata")
    assert indian.states(lake, hours) == ["unfinished"] * 3
    if mended_by == "a run":
        indian.run(lake, hours, missing_only=True)
    else:
        assert Rebuilder(indian.pipeline(lake)).rebuild(at(0), at(3)).is_whole
    assert not list((folder / "refund_modes_daily").glob("date=2026-11-08/*.parquet"))
    assert not list(Verifier(lake, INDIA).everything())
    days = rows(folder, "refund_modes_daily").get_column("returns").sum()
    assert days == rows(folder, "returns").height


@pytest.mark.parametrize("mended_by", ["a run", "rebuild"])
def test_a_damaged_entry_of_an_adjacent_day_stops_neither_a_run_nor_a_rebuild(
    lake: Lake, api_of: Any, mended_by: str
) -> None:
    api = api_of(reply, zone="Asia/Kolkata")
    beside = Day(TENTH.date + timedelta(days=1), INDIA)
    lake.store.put(made_path(beside, MadeName("0" * 12, "1" * 8, "2" * 8, 3)), b"torn")
    outcomes = api.run(lake, [Window(at(18))])
    assert not [found for found in outcomes if isinstance(found, Failed | Stopped)]
    if mended_by == "rebuild":
        lake.store.put(f"refund_modes_daily/{TENTH.path}/part-0.parquet", b"torn")
        assert Rebuilder(api.pipeline(lake)).rebuild(at(18), at(19)).is_whole


def test_a_day_of_a_zone_that_was_set_briefly_is_removed(lake: Lake, api_of: Any) -> None:
    """One hour was made for another zone, whose day is stored beside that of the first."""
    utc, indian = (api_of(reply, zone=zone) for zone in ("UTC", "Asia/Kolkata"))
    utc.run(lake, HOURS)
    indian.run(lake, HOURS[-1:], missing_only=True)
    assert lake.made(TENTH, lake.names())
    assert utc.states(lake, HOURS)[-1] == "unfinished"
    utc.run(lake, HOURS, missing_only=True)
    assert not lake.made(TENTH, lake.names())
    assert utc.states(lake, HOURS) == ["complete"] * 3
    assert not list(Verifier(lake, ZoneInfo("UTC")).everything())
