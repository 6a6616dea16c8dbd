"""The table `open_returns`: which returns are in it, as of when, and which of them are stuck."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flow.conftest import FakeApi
from support.counting_store import CountingStore
from support.lakes import rows
from support.records import at, returned, wire_time
from support.webhooks import pipeline as pipeline_of_webhooks
from support.webhooks import received, webhook

from returns_orchestration import tables
from returns_orchestration.errors import LakeDamaged
from returns_orchestration.lake import Lake
from returns_orchestration.lake.store import FolderStore
from returns_orchestration.state.open_returns import StuckAfter, looked_at_when_due, measure
from returns_orchestration.window import Day, Window

HOUR = Window(at(11))
LIMITS = StuckAfter()
AGES = {1: None, 24: None, 72: None}
INDIA = FakeApi(lambda _: []).pipeline  # the zone of its days

Given = dict[str, Any]


@pytest.fixture
def lake(folder: Path) -> Lake:
    """A lake whose clock is later than all polls."""
    return Lake(FolderStore(folder), lambda: at(5_000))


def in_state(reference: str, code: int | None, since: datetime | None, **changes: Any) -> Given:
    """A record without courier or AWB, unless ``changes`` give them."""
    status = {"clickpost_status_code": code, "timestamp": since and wire_time(since)}
    payload = {
        **status, "waybill": "", "cp_id": -1, "additional": {"latest_status": status},
    }  # fmt: skip
    nothing = dict.fromkeys(("cp_id", "cp_name", "awb", "timestamp", "account_code"))
    return returned(reference, at(11, 10), webhook_payload=payload, **{**nothing, **changes})


def shipped(reference: str, code: int, since: datetime, awb_at: datetime) -> Given:
    """A record with a courier."""
    courier = {"cp_id": 25, "cp_name": "Delhivery", "awb": "7", "timestamp": wire_time(awb_at)}
    return in_state(reference, code, since, **courier)


def polled(lake: Lake, when: datetime, *records: Given, window: Window = HOUR) -> None:
    FakeApi(lambda _: records, always_at=when, now=when).run(lake, [window])


def found(lake: Lake, ages: Any = None, limits: StuckAfter = LIMITS) -> list[dict[str, Any]]:
    return table(lake, AGES if ages is None else ages, limits).rows(named=True)


def table(lake: Lake, ages: Any = AGES, limits: StuckAfter = LIMITS) -> Any:
    made = measure(lake, INDIA(lake).days.zone, limits, ages)
    assert made is not None
    frame, absent = made
    assert absent == []
    return frame


def stuck(lake: Lake, **options: Any) -> dict[str, str | None]:
    return {row["return_reference_number"]: row["stuck"] for row in found(lake, **options)}


def test_a_return_that_has_ended_is_not_open(lake: Lake) -> None:
    ended = [in_state(f"E{code}", code, at(20)) for code in (8, 10, 16, 17, 23)]
    rejected = in_state("E0", 101, at(20))
    rejected["webhook_payload"]["notification_event"] = 23
    polled(lake, at(40), *ended, rejected, in_state("B", 4, at(20)), in_state("A", None, None))
    assert [row["return_reference_number"] for row in found(lake)] == ["A", "B"]
    assert [row["state"] for row in found(lake)] == [None, "picked up"]


def test_a_row_says_how_old_a_return_is_when_the_lake_ends(lake: Lake) -> None:
    polled(lake, at(40), shipped("A", 4, at(30), at(12)))
    polled(lake, at(40), window=Window(at(35)))
    (row,) = found(lake)
    assert row == {
        "return_reference_number": "A",
        "requested_at": at(11, 10),
        "as_of": at(36),  # the end of the newest complete hour
        "age_h": 24,
        "state": "picked up",
        "since": at(30),
        "cp_name": "Delhivery",
        "awb": "7",
        "last_looked_at": at(40),
        "stale": False,
        "stuck": None,
    }


def test_a_later_state_of_the_same_return_counts(lake: Lake) -> None:
    polled(lake, at(12, 10), in_state("A", 101, at(11, 10)))
    assert [row["state"] for row in found(lake)] == ["placed"]
    polled(lake, at(40), in_state("A", 8, at(39)))
    assert found(lake) == []


H = timedelta(hours=1)


@pytest.mark.parametrize(
    ("record", "after", "rule"),
    [
        (in_state("A", 101, at(11, 10)), 48 * H, "no courier"),
        (in_state("A", 102, at(13)), 48 * H, "no courier"),
        (shipped("A", 101, at(11, 10), at(11, 10)), 72 * H, "no pickup"),
        (shipped("A", 2, at(11, 10), at(11, 10)), 72 * H, "no pickup"),
        (shipped("A", 4, at(11, 10), at(11, 10)), 168 * H, "no new state"),
        (shipped("A", 5, at(11, 10), at(11, 10)), 168 * H, "no new state"),
        (in_state("A", 31, at(11, 10)), 168 * H, "no new state"),
        (in_state("A", 999, at(11, 10)), 168 * H, "no new state"),
    ],
)
def test_a_return_is_stuck_once_it_waits_longer_than_its_limit(
    record: Given, after: timedelta, rule: str, lake: Lake
) -> None:
    polled(lake, at(11, 10) + after, record)
    assert stuck(lake) == {"A": None}
    polled(lake, at(11, 11) + after, record)
    assert stuck(lake) == {"A": rule}


def test_the_limits_are_a_setting(lake: Lake) -> None:
    polled(lake, at(20), in_state("A", 101, at(11, 10)), shipped("B", 2, at(12), at(12)))
    polled(lake, at(20), shipped("C", 4, at(12), at(12)), window=HOUR)
    limits = StuckAfter(7 * H, 7 * H, 7 * H)
    assert stuck(lake, limits=limits) == {"A": "no courier", "B": "no pickup", "C": "no new state"}


def test_time_after_the_last_look_makes_nothing_stuck(lake: Lake) -> None:
    """What happened since then is not known."""
    polled(lake, at(13), in_state("A", 101, at(11, 10)))
    polled(lake, at(1_000), window=Window(at(998)))
    (row,) = found(lake, ages={})
    assert row["age_h"] == 987
    assert row["stuck"] is None
    assert row["last_looked_at"] == at(13)


def test_a_poll_that_brought_nothing_new_is_a_look(lake: Lake) -> None:
    record = in_state("A", 101, at(11, 10))
    polled(lake, at(13), record)
    polled(lake, at(90), record)
    assert [row["last_looked_at"] for row in found(lake)] == [at(90)]
    assert stuck(lake) == {"A": "no courier"}


def test_a_return_of_an_hour_that_was_never_polled_is_looked_at_by_others(lake: Lake) -> None:
    record = in_state("A", 101, at(11, 10))
    for moment in (at(14), at(90)):
        polled(lake, moment, record, window=HOUR.next)
    assert [row["last_looked_at"] for row in found(lake)] == [at(90)]
    assert stuck(lake) == {"A": "no courier"}


def test_a_return_without_a_readable_time_of_its_state_is_not_said_to_be_stuck_in_it(
    lake: Lake,
) -> None:
    polled(lake, at(900), shipped("A", 4, at(12), at(12)), in_state("B", 4, None))
    assert stuck(lake) == {"A": "no new state", "B": None}


def test_a_return_that_only_a_webhook_brought_is_open_and_was_never_looked_at(lake: Lake) -> None:
    polled(lake, at(40), window=Window(at(35)))
    received(lake, (at(11, 20), webhook(in_state("W", 101, at(11, 10)))))
    assert not pipeline_of_webhooks(lake, at(40)).run().failed
    (row,) = found(lake)
    assert (row["last_looked_at"], row["stuck"], row["stale"]) == (None, None, False)


def test_a_look_that_is_due_and_was_not_made_is_stale(lake: Lake) -> None:
    polled(lake, at(13, 5), in_state("A", 101, at(11, 10)))
    polled(lake, at(60), window=Window(at(36)))  # the age 24 was reached an hour ago
    (row,) = found(lake)
    assert row["stale"]
    claim = looked_at_when_due(table(lake))
    assert not claim.holds
    assert "1 of 1 open return" in claim.figures
    assert "2026-11-09T11:00" in claim.figures
    polled(lake, at(61), in_state("A", 101, at(11, 10)))
    assert not found(lake)[0]["stale"]
    assert looked_at_when_due(table(lake)).holds


def test_an_empty_lake_has_an_empty_table(lake: Lake) -> None:
    assert measure(lake, INDIA(lake).days.zone, LIMITS, AGES) is None
    built = INDIA(lake).all_time.build()
    assert built.frames["open_returns"].equals(tables.OPEN_RETURNS.empty())


def test_where_no_hour_is_complete_the_table_of_before_stays(lake: Lake) -> None:
    """As while all hours are made again, after a change of the zone."""
    polled(lake, at(40), in_state("A", 101, at(11, 10)))
    INDIA(lake).all_time.build()
    other = FakeApi(lambda _: [], zone="America/New_York").pipeline(lake)
    assert measure(lake, other.days.zone, LIMITS, AGES) is None
    assert other.all_time.build().frames["open_returns"].height == 1


def test_a_day_that_is_not_made_is_left_out_and_named(lake: Lake) -> None:
    polled(lake, at(40), in_state("A", 101, at(11, 10)))
    polled(lake, at(80), window=Window(at(75)))
    INDIA(lake).days.withdraw(lake.names(), Day(date(2026, 11, 9), INDIA(lake).days.zone))
    made = measure(Lake(lake.store), INDIA(lake).days.zone, LIMITS, AGES)
    assert made is not None
    frame, absent = made
    assert (frame.height, absent) == (0, [date(2026, 11, 9)])
    claim = looked_at_when_due(frame, absent)
    assert not claim.holds
    assert "2026-11-09" in claim.figures


def test_returns_of_all_days_are_there_oldest_first(lake: Lake) -> None:
    far = Window(at(11) + timedelta(days=100))
    for window, reference in ((HOUR, "A"), (far, "B")):
        record = in_state(reference, 101, None)
        record["Return Request Timestamp"] = wire_time(window.start)
        polled(lake, window.end + H, record, window=window)
    assert [row["return_reference_number"] for row in found(lake, ages={})] == ["A", "B"]


def test_it_is_one_file_and_the_same_again_changes_nothing(lake: Lake, folder: Any) -> None:
    polled(lake, at(40), in_state("A", 101, at(11, 10)))
    pipeline = INDIA(lake)
    pipeline.all_time.build()
    before = {path: lake.store.get(path) for path in lake.store.list("")}
    pipeline.all_time.build()
    assert {path: lake.store.get(path) for path in lake.store.list("")} == before
    assert rows(folder, "open_returns").height == 1
    assert "_repolls/ages.json" not in before  # only the sensor notes ages


def test_a_damaged_day_is_an_error_that_names_its_file(lake: Lake) -> None:
    polled(lake, at(40), in_state("A", 101, at(11, 10)))
    path = "returns_daily/date=2026-11-09/part-0.parquet"
    lake.store.put(path, bytes(reversed(lake.store.get(path) or b"")))
    with pytest.raises(LakeDamaged, match="returns_daily/date=2026-11-09"):
        found(Lake(lake.store))


class OneByOne(CountingStore):
    """Notes what is read one by one."""

    def __init__(self, store: FolderStore) -> None:
        super().__init__(store)
        self.read: list[str] = []

    def get(self, path: str) -> bytes | None:
        self.read.append(path)
        return super().get(path)


def test_days_are_read_side_by_side(lake: Lake) -> None:
    """With 30 ms for each request a year of days must not take a minute."""
    for day in range(20):
        window = Window(at(11) + timedelta(days=day))
        record = in_state(f"R{day}", 101, None)
        record["Return Request Timestamp"] = wire_time(window.start)
        polled(lake, window.end + H, record, window=window)
    store = OneByOne(lake.store)
    measure(Lake(store), INDIA(lake).days.zone, LIMITS, {})
    assert not [path for path in store.read if "returns_daily" in path or "day.made" in path]
