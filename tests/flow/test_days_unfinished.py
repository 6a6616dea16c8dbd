"""Days that a run left unmade, a record that was damaged, another process in between."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from lakes import bytes_of, rows
from obstore.store import MemoryStore
from records import Record, at, returned

from returns_orchestration import tables
from returns_orchestration.errors import (
    CredentialsRefused,
    HourBlocked,
    LakeDamaged,
    NeverPolled,
)
from returns_orchestration.flow.days import PAUSES, DaySettler
from returns_orchestration.flow.hours import Failed, Made, MadeDay, Stopped
from returns_orchestration.flow.rebuild import Rebuilder
from returns_orchestration.lake import Lake
from returns_orchestration.lake.store import ObjectStore
from returns_orchestration.stages import aggregates
from returns_orchestration.state.verify import Verifier
from returns_orchestration.window import Day, Window, days_of, windows_between

if TYPE_CHECKING:
    import polars as pl

INDIA = ZoneInfo("Asia/Kolkata")
NINTH, TENTH = (Day(date(2026, 11, day), INDIA) for day in (9, 10))
HOURS = list(windows_between(at(17), at(20)))
RECORD = "_records/date=2026-11-10/tables.json"
RECORD_OF_AN_HOUR = "_records/date=2026-11-09/hour=19/tables.json"


def reply(window: Window) -> list[Record]:
    return [returned(f"R-{window.start:%H}", window.start.replace(minute=40))]


class Killed(BaseException):
    """What no code of ours catches, like the end of a process."""


class Mortal(ObjectStore):
    """A store that dies at the first write below ``fatal``."""

    def __init__(self, remote: MemoryStore, fatal: str) -> None:
        super().__init__(remote, "memory://lake")
        self.fatal = fatal

    def _put(self, path: str, content: bytes, *, create: bool) -> bool:
        if path.startswith(self.fatal):
            raise Killed
        return super()._put(path, content, create=create)


def lake_on(remote: MemoryStore) -> Lake:
    return Lake(ObjectStore(remote, "memory://lake"), lambda: at(20))


@pytest.mark.parametrize(
    "fatal",
    [
        "refund_modes_daily/date=2026-11-09",
        "return_reasons_daily/date=2026-11-09",
        "_records/date=2026-11-09/tables.json",
        "refund_modes_daily/date=2026-11-10",
        RECORD,
    ],
)
def test_days_that_a_kill_left_unmade_are_made_by_the_next_run_without_a_poll(
    fatal: str, api_of: Any
) -> None:
    whole = lake_on(MemoryStore())
    api_of(reply, always_at=at(30)).run(whole, HOURS)
    remote = MemoryStore()
    with pytest.raises(Killed):
        api_of(reply, always_at=at(30)).run(Lake(Mortal(remote, fatal), lambda: at(20)), HOURS)
    lake, api = lake_on(remote), api_of(reply)
    river = api.river(lake)
    assert all(river.settler.is_settled(window) for window in HOURS)
    left = [NINTH, TENTH] if "2026-11-09" in fatal else [TENTH]
    late = [window for window in HOURS if not {*left}.isdisjoint(_days(window))]
    assert [window for window in HOURS if not river.is_complete(window)] == late
    outcomes = api.run(lake, HOURS, missing_only=True)
    assert api.asked == []
    made = {o.settled.day for o in outcomes if isinstance(o, MadeDay)}
    assert made >= {*left}
    assert all(river.is_complete(window) for window in HOURS)
    assert bytes_of(lake.store) == bytes_of(whole.store)
    assert api.run(lake, HOURS, missing_only=True) == []


def _days(window: Window) -> list[Day]:
    return [day for day in (NINTH, TENTH) if window in day.windows]


def test_the_days_of_what_had_landed_are_made_before_a_run_stops(lake: Lake, api_of: Any) -> None:
    api = api_of(reply, errors={HOURS[2]: CredentialsRefused("Refused.")})
    outcomes = api.run(lake, HOURS)
    assert [type(outcome) for outcome in outcomes[-3:]] == [MadeDay, MadeDay, Stopped]
    assert lake.made(TENTH).facts["hours"] == 1  # type: ignore[union-attr]


def test_a_run_that_only_polls_makes_no_day(lake: Lake, api_of: Any) -> None:
    outcomes = api_of(reply).run(lake, HOURS, make=False)
    assert not [outcome for outcome in outcomes if isinstance(outcome, MadeDay)]
    assert lake.made(NINTH) is None


@pytest.mark.parametrize("options", [{}, {"poll": False}, {"missing_only": True}], ids=str)
def test_a_damaged_record_of_a_day_is_mended_by_the_next_run(
    options: dict[str, bool], lake: Lake, api_of: Any
) -> None:
    api = api_of(reply, always_at=at(30))
    api.run(lake, HOURS)
    before = bytes_of(lake.store)
    lake.store.put(RECORD, b"{")
    assert not api.river(lake).is_complete(HOURS[-1])
    outcomes = api.run(lake, HOURS, **options)
    assert TENTH in {o.settled.day for o in outcomes if isinstance(o, MadeDay)}
    assert not [o for o in outcomes if isinstance(o, Stopped | Failed)]
    assert bytes_of(lake.store) == before


def test_a_day_whose_hour_is_damaged_fails_and_stays_as_it_stood(lake: Lake, api_of: Any) -> None:
    api_of(reply).run(lake, HOURS)
    path = lake.path(tables.RETURNS, HOURS[0])
    before = {day: lake.read(tables.REFUND_MODES_DAILY, day) for day in (NINTH, TENTH)}
    lake.store.put(path, b"altered")
    changed = api_of(lambda w: [*reply(w), returned("R-NEW", at(18, 10))], at(200))
    outcomes = changed.run(lake, HOURS[1:2])
    (failed,) = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
    assert (failed.window, type(failed.error)) == (HOURS[1], LakeDamaged)
    assert path in str(failed.error)
    assert [o.settled.day for o in outcomes if isinstance(o, MadeDay)] == [TENTH]
    stands = lake.read(tables.REFUND_MODES_DAILY, NINTH)
    assert stands is not None
    assert stands.equals(before[NINTH])
    assert not changed.river(lake).is_complete(HOURS[1])


def test_an_hour_that_another_process_makes_meanwhile_is_in_the_day(
    lake: Lake, api_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    api_of(reply).run(lake, HOURS[:2])
    count, times = aggregates.refund_modes, 0

    def slow(table: tables.Table, *rest: Any) -> pl.DataFrame:
        nonlocal times
        if table is tables.REFUND_MODES_DAILY:
            times += 1
            if times == 1:
                for outcome in api_of(reply).river(lake).run(HOURS[2:]):
                    if isinstance(outcome, Made):
                        break
        return count(table, *rest)

    monkeypatch.setattr(aggregates, "refund_modes", slow)
    settler = DaySettler(lake, INDIA)
    settled = settler.settle(TENTH, at(20))
    assert times == 2
    assert settled.record.facts == {"returns": 2, "items": 2, "hours": 2}
    assert settler.follow(HOURS[2])


def test_an_hour_that_another_process_is_publishing_is_waited_for(lake: Lake, api_of: Any) -> None:
    """Its files are put before its record is: in between they are not what was recorded."""
    api_of(reply).run(lake, HOURS)
    noted = lake.store.get(RECORD_OF_AN_HOUR)
    one_more = api_of(lambda w: [*reply(w), returned("R-M", w.start.replace(minute=50))])
    one_more.run(lake, HOURS[2:])
    published = lake.store.get(RECORD_OF_AN_HOUR)
    assert noted is not None
    assert published is not None
    lake.store.put(RECORD_OF_AN_HOUR, noted)
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            lake.store.put(RECORD_OF_AN_HOUR, published)

    settled = DaySettler(lake, INDIA, wait=wait).settle(TENTH, at(20))
    assert settled.record.facts["returns"] == 3
    assert waited == list(PAUSES[:3])
    lake.store.put(RECORD_OF_AN_HOUR, noted)
    waited.append(0)
    with pytest.raises(LakeDamaged, match="hour=19"):
        DaySettler(lake, INDIA, wait=waited.append).settle(TENTH, at(20))
    assert waited[4:] == list(PAUSES)


def test_a_reference_that_two_hours_of_a_day_hold_does_not_multiply_its_items(
    lake: Lake, api_of: Any
) -> None:
    """A day may be made while another run is about to find them."""
    moved = {w: [returned("R-1", w.start.replace(minute=5))] for w in HOURS[:2]}
    api = api_of(lambda w: moved.get(w, []))
    river = api.river(lake)
    for window in HOURS[:2]:
        river.land(api.poll(window))
        river.settler.settle(window)
    settled = river.days.settle(NINTH, at(20))
    judged = [one for claims in settled.claims.values() for one in claims]
    assert [one.sentence for one in judged if one.blocks] == []
    assert settled.frames["refund_modes_daily"].row(0)[2:] == (2, 2, 2)
    assert settled.frames["return_reasons_daily"].row(0)[2:] == (2, 2, 2)


def test_hours_before_the_first_there_is_are_not_missing(lake: Lake, api_of: Any) -> None:
    """The day of Asia/Kolkata that holds the first hour, a UTC midnight, begins 5.5 h before it."""
    first = Window(at(0))
    day = days_of(first, INDIA)[0]
    windows = [window for window in day.windows if window >= first]
    api_of(lambda _: []).run(lake, windows)
    for since, holds in ((first.start, True), (None, False)):
        settled = DaySettler(lake, INDIA, since).settle(day, day.end)
        claims = settled.claims["refund_modes_daily"]
        (whole,) = [c for c in claims if c.name == "every_hour_of_the_day_is_there"]
        assert whole.holds is holds


def test_a_day_that_would_not_add_up_is_not_published(
    lake: Lake, api_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = Window(at(11))
    api_of(lambda _: [returned("R-1", at(11, 5))]).run(lake, [window])
    before = bytes_of(lake.store)
    wrong = tables.REFUND_MODES_DAILY.empty()
    monkeypatch.setattr(aggregates, "refund_modes", lambda *_: wrong)
    with pytest.raises(HourBlocked, match="returns are conserved: fails"):
        DaySettler(lake, INDIA).settle(days_of(window, INDIA)[0], at(20))
    assert bytes_of(lake.store) == before


def test_a_day_without_a_polled_hour_is_missing_and_not_empty(lake: Lake) -> None:
    with pytest.raises(NeverPolled, match="2026-11-09"):
        DaySettler(lake, INDIA).settle(NINTH, at(20))
    assert bytes_of(lake.store) == {}


@pytest.mark.parametrize("mended_by", ["a run", "rebuild"])
def test_a_day_that_another_zone_left_behind_is_taken_away(
    lake: Lake, folder: Path, api_of: Any, mended_by: str
) -> None:
    """The first hours of a day of UTC are still the day before in New York."""
    hours = list(windows_between(at(0), at(3)))
    api_of(reply, zone="America/New_York").run(lake, hours)
    assert list((folder / "refund_modes_daily").glob("date=2026-11-08/*"))
    indian = api_of(reply, zone="Asia/Kolkata")
    verifier = Verifier(lake, INDIA)
    assert "_records/date=2026-11-08/tables.json" in {f.path for f in verifier.everything()}
    if mended_by == "a run":
        indian.run(lake, hours, missing_only=True)
    else:
        assert Rebuilder(indian.river(lake)).rebuild(at(0), at(3)).is_whole
    assert not list((folder / "refund_modes_daily").glob("date=2026-11-08/*.parquet"))
    assert not list(Verifier(lake, INDIA).everything())
    days = rows(folder, "refund_modes_daily").get_column("returns").sum()
    assert days == rows(folder, "returns").height


@pytest.mark.parametrize("mended_by", ["a run", "rebuild"])
def test_a_damaged_record_of_the_day_beside_ends_neither_a_run_nor_a_rebuild(
    lake: Lake, api_of: Any, mended_by: str
) -> None:
    api = api_of(reply, zone="Asia/Kolkata")
    beside = Day(TENTH.date + timedelta(days=1), INDIA)
    lake.store.put(lake.made_path(beside), b"torn")
    outcomes = api.run(lake, [Window(at(18))])
    assert not [found for found in outcomes if isinstance(found, Failed | Stopped)]
    if mended_by == "rebuild":
        lake.store.put(f"refund_modes_daily/{TENTH.path}/part-0.parquet", b"torn")
        assert Rebuilder(api.river(lake)).rebuild(at(18), at(19)).is_whole


def test_a_day_of_a_zone_that_was_given_up_again_is_taken_away(lake: Lake, api_of: Any) -> None:
    """One hour was made for another zone, whose day stands beside that of the first."""
    utc, indian = (api_of(reply, zone=zone) for zone in ("UTC", "Asia/Kolkata"))
    utc.run(lake, HOURS)
    indian.run(lake, HOURS[-1:], missing_only=True)
    assert lake.made(TENTH)
    assert not utc.river(lake).is_complete(HOURS[-1])
    utc.run(lake, HOURS, missing_only=True)
    assert not lake.made(TENTH)
    assert all(utc.river(lake).is_complete(window) for window in HOURS)
    assert not list(Verifier(lake, ZoneInfo("UTC")).everything())
