"""Webhooks beside polls in one lake: verdicts, marks, finality, and that twice is the same."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flow.conftest import FakeApi
from support.lakes import bytes_of, outside_quarantine
from support.records import at, returned
from support.webhooks import pipeline, received, receiver_note, rows, webhook

from returns_orchestration import tables
from returns_orchestration.flow.mend import mend_hour
from returns_orchestration.flow.rebuild import Rebuilder
from returns_orchestration.lake import Lake
from returns_orchestration.lake.entry_names import name_of_hour
from returns_orchestration.lake.webhooks import path_of
from returns_orchestration.state.verify import Verifier
from returns_orchestration.window import Day, Window

HOUR = Window(datetime(2026, 11, 9, 11, tzinfo=UTC))
NEXT, PREVIOUS = HOUR.next, HOUR.previous
OF_WEBHOOKS = tuple(table.name for table in tables.OF_WEBHOOKS)


def poll(
    lake: Lake, *records: dict[str, Any], window: Window = HOUR, polled_at: datetime | None = None
) -> None:
    FakeApi(lambda _: records, always_at=polled_at or window.end + timedelta(minutes=10)).run(
        lake, [window]
    )


def verdicts(lake: Lake, window: Window = HOUR) -> dict[str, str]:
    found = rows(lake, tables.WEBHOOK_MATCHES, [window])
    return {row["return_reference_number"]: row["verdict"] for row in found}


def delivery(lake: Lake, window: Window | Day = HOUR) -> dict[str, Any]:
    of_day = isinstance(window, Day)
    table = tables.WEBHOOK_DELIVERY_DAILY if of_day else tables.WEBHOOK_DELIVERY_HOURLY
    (row,) = rows(lake, table, [window])
    return row


A, B, C = (returned(name, at(11, 10)) for name in ("A", "B", "C"))


def test_a_lake_without_a_receiver_has_no_tables_of_webhooks(lake: Lake) -> None:
    poll(lake, A)
    before = bytes_of(lake.store)
    done = pipeline(lake, at(20)).run()
    assert (done.received, done.matched, done.days) == ({}, {}, {})
    assert bytes_of(lake.store) == before


def test_each_return_gets_its_verdict_and_its_lag(lake: Lake) -> None:
    poll(lake, A, B)
    received(lake, (at(11, 11), webhook(A)), (at(11, 12), webhook(C)))
    pipeline(lake, at(12, 30)).run()
    assert verdicts(lake) == {"A": "both", "B": "undecided", "C": "undecided"}
    pipeline(lake, at(18)).run()
    assert verdicts(lake) == {"A": "both", "B": "poll_only", "C": "undecided"}
    row = delivery(lake)
    assert (row["returns"], row["both"], row["poll_only"], row["undecided"]) == (3, 1, 1, 1)
    assert (row["rate"], row["lag_p50_s"]) == (0.5, 60)


def test_a_return_that_polls_lack_is_final_after_a_late_poll(lake: Lake) -> None:
    poll(lake, A)
    received(lake, (at(11, 12), webhook(C)))
    later = HOUR.end + timedelta(hours=25)
    pipeline(lake, later).run()
    assert verdicts(lake)["C"] == "undecided", "the hour was not polled again yet"
    poll(lake, A, B, polled_at=HOUR.end + timedelta(hours=24))
    pipeline(lake, later).run()
    assert verdicts(lake) == {"A": "poll_only", "B": "poll_only", "C": "webhook_only"}


def test_a_late_poll_that_brings_nothing_new_makes_a_verdict_final_too(lake: Lake) -> None:
    poll(lake, A)
    received(lake, (at(11, 12), webhook(C)))
    later = HOUR.end + timedelta(hours=25)
    kept = pipeline(lake, later)
    kept.run()
    assert verdicts(lake)["C"] == "undecided"
    api = FakeApi(lambda _: [A], always_at=HOUR.end + timedelta(hours=24, minutes=1))
    many = api.pipeline(lake)
    many.clock = lambda: later
    list(many.run([HOUR]))
    kept.run()
    assert verdicts(lake)["C"] == "webhook_only"


def test_without_late_polls_a_verdict_is_final_after_a_day(lake: Lake) -> None:
    poll(lake, A)
    received(lake, (at(11, 12), webhook(C)))
    pipeline(lake, HOUR.end + timedelta(hours=25), polls_late=False).run()
    assert verdicts(lake)["C"] == "webhook_only"


def test_a_lost_webhook_that_comes_late_is_delivered_after_all(lake: Lake) -> None:
    poll(lake, A)
    lake.webhooks.note(receiver_note())
    pipeline(lake, at(19)).run()
    assert verdicts(lake) == {"A": "poll_only"}
    days_later = at(11, 10) + timedelta(days=9)
    received(lake, (days_later, webhook(A)), first=2)
    pipeline(lake, days_later + timedelta(minutes=5)).run()
    assert verdicts(lake) == {"A": "both"}
    assert delivery(lake)["late"] == 1


def test_a_return_that_a_poll_brings_moves_from_undecided_to_both(lake: Lake) -> None:
    received(lake, (at(11, 11), webhook(A)))
    pipeline(lake, at(12, 5)).run()
    assert verdicts(lake) == {"A": "undecided"}
    poll(lake, A)
    pipeline(lake, at(12, 30)).run()
    assert verdicts(lake) == {"A": "both"}


def test_a_request_that_a_poll_times_in_another_hour_is_matched_there(lake: Lake) -> None:
    """The webhook gives 11:59:59, and the poll 12:00:01."""
    record = returned("A", at(12, 0, 1))
    early = webhook(record, request_placed_time="2026-11-09T11:59:59Z")
    received(lake, (at(12, 0, 5), early))
    pipeline(lake, at(12, 5)).run()
    assert verdicts(lake, HOUR) == {"A": "undecided"}
    poll(lake, window=HOUR)
    poll(lake, record, window=NEXT)
    pipeline(lake, at(13, 30)).run()
    assert verdicts(lake, HOUR) == {}
    assert verdicts(lake, NEXT) == {"A": "both"}


def test_events_of_later_states_concern_no_hour_that_polls_know(lake: Lake) -> None:
    poll(lake, A)
    approved = webhook(A, clickpost_status_code=102)
    received(lake, (at(11, 11), webhook(A)), (at(15), approved), (at(16), approved))
    pipeline(lake, at(17)).run()
    assert lake.names().hour(HOUR).webhooks == {HOUR}
    assert delivery(lake)["deliveries"] == 1
    unknown = webhook(B, clickpost_status_code=102)
    received(lake, (at(17, 1), unknown), first=9)
    pipeline(lake, at(17, 30)).run()
    assert verdicts(lake) == {"A": "both", "B": "undecided"}


def test_returns_before_the_start_do_not_exist(lake: Lake) -> None:
    received(lake, (at(11, 11), webhook(A)))
    pipeline(lake, at(12, 5), start=at(12)).run()
    assert rows(lake, tables.WEBHOOK_EVENTS, [HOUR])
    assert verdicts(lake) == {}


def test_hours_that_nobody_listened_to_are_not_judged(lake: Lake) -> None:
    """Of the hours without a webhook, those count in which a receiver or an import should have."""
    later = NEXT.next
    for window in (HOUR, NEXT, later):
        poll(lake, returned(window.text, window.start), window=window)
    received(lake, (at(12, 6), b"{}"))
    pipeline(lake, at(20)).run()
    assert [verdicts(lake, window) for window in (HOUR, NEXT, later)] == [{}, {}, {}]
    lake.webhooks.listened("0a1b2c3d", at(12, 6), at(13))
    pipeline(lake, at(20)).run()
    assert verdicts(lake, NEXT) == {NEXT.text: "poll_only"}
    assert (verdicts(lake, HOUR), verdicts(lake, later)) == ({}, {})


def test_hours_in_which_a_receiver_should_have_listened_are_judged(lake: Lake) -> None:
    poll(lake, A)
    poll(lake, returned("D", at(12, 5)), window=NEXT)
    lake.webhooks.note(receiver_note(began=at(12, 1), at=at(12, 2)))
    pipeline(lake, at(19)).run()
    assert (verdicts(lake, HOUR), verdicts(lake, NEXT)) == ({}, {"D": "poll_only"})
    for days, expected in ((7, {"E": "poll_only"}), (8, {})):
        window = Window(NEXT.start + timedelta(days=days))
        poll(lake, returned("E", window.start), window=window)
        pipeline(lake, window.end + timedelta(hours=7)).run()
        assert verdicts(lake, window) == expected, "it is not expected back"


@pytest.mark.parametrize("is_polled_first", [True, False])
@pytest.mark.parametrize("days", [1, 9, 31])
def test_a_request_that_a_poll_times_far_away_is_matched_there(
    lake: Lake, days: int, is_polled_first: bool
) -> None:
    """The webhook of the placed event has its own time alone, as its request was days before."""
    told = webhook(A, request_placed_time=None, timestamp="2026-11-09T11:10:00Z")
    home = Window(HOUR.start - timedelta(days=days))
    later = HOUR.end + timedelta(days=2)
    record = returned("A", home.start)
    if is_polled_first:
        poll(lake, record, window=home, polled_at=HOUR.start)
    received(lake, (at(11, 12), told))
    pipeline(lake, at(12, 5)).run()
    if not is_polled_first:
        assert verdicts(lake, HOUR) == {"A": "undecided"}
        poll(lake, record, window=home, polled_at=later)
    poll(lake, window=HOUR, polled_at=later)
    pipeline(lake, later, polls_late=False).run()
    assert (verdicts(lake, HOUR), verdicts(lake, home)) == ({}, {"A": "both"})


def test_a_return_whose_time_was_guessed_is_not_lacking_where_a_poll_has_it(lake: Lake) -> None:
    """Its reference ends in ten digits that are a time, and not that of the request."""
    second = int(at(11, 10).timestamp())
    home = Window(HOUR.start - timedelta(days=12))
    there, nowhere = (returned(f"{name}{second}", home.start) for name in "AB")
    poll(lake, there, window=home)
    poll(lake, window=HOUR, polled_at=HOUR.end + timedelta(days=1))
    told = (
        webhook(record, request_placed_time=None, clickpost_status_code=102)
        for record in (there, nowhere)
    )
    received(lake, *((at(11, 20), body) for body in told))
    pipeline(lake, at(12, 5)).run()
    pipeline(lake, HOUR.end + timedelta(days=2)).run()
    assert verdicts(lake) == {f"B{second}": "webhook_only"}


def test_the_time_of_listening_tells_our_downtime_from_a_loss(lake: Lake) -> None:
    poll(lake, A)
    received(lake, (at(11, 1), b"{}"))
    lake.webhooks.listened("0a1b2c3d", at(10, 50), at(11, 30))
    lake.webhooks.listened("0e0e0e0e", at(11, 20), at(11, 40))
    pipeline(lake, at(18)).run()
    assert delivery(lake)["listening_s"] == 2400


def test_a_day_of_the_report_has_the_rows_of_its_hours(lake: Lake) -> None:
    late = returned("E", at(18, 40))  # the next day in India
    poll(lake, A, B)
    poll(lake, late, window=Window(at(18)))
    received(lake, (at(11, 11), webhook(A)), (at(18, 41), webhook(late)))
    pipeline(lake, at(19, 30)).run()
    india = ZoneInfo("Asia/Kolkata")
    first, second = (Day(date(2026, 11, day), india) for day in (9, 10))
    assert (delivery(lake, first)["returns"], delivery(lake, first)["both"]) == (2, 1)
    assert delivery(lake, second)["returns"] == 1


def test_a_second_run_finds_nothing_to_do(lake: Lake) -> None:
    poll(lake, A, B)
    received(lake, (at(11, 11), webhook(A)))
    pipeline(lake, at(12, 30)).run()
    before = bytes_of(lake.store)
    done = pipeline(lake, at(12, 35)).run()
    assert (done.received, done.matched, done.days) == ({}, {}, {})
    assert bytes_of(lake.store) == before


def test_a_zone_of_webhooks_that_is_corrected_makes_the_tables_again(lake: Lake) -> None:
    naive = webhook(A, request_placed_time="2026-11-09 16:40:00")
    received(lake, (at(11, 11), naive))
    pipeline(lake, at(12, 5)).run()
    assert verdicts(lake) == {}
    pipeline(lake, at(12, 10), zone="Asia/Kolkata").run()
    assert verdicts(lake) == {"A": "undecided"}


def test_a_damaged_file_fails_its_hour_alone(lake: Lake) -> None:
    received(lake, (at(10, 1), webhook(A)), (at(11, 11), webhook(B)))
    (entry,) = lake.names().hour(PREVIOUS).received
    path = path_of(PREVIOUS, entry.instance, entry.first)
    lake.store.put(path, b"torn")
    done = pipeline(lake, at(12, 5)).run()
    assert list(done.failed) == [PREVIOUS]
    assert path in str(done.failed[PREVIOUS])
    assert verdicts(lake) == {"B": "undecided"}
    # From now on the hour counts as damaged: it is repaired once the alert is out.
    names = lake.names()
    assert names.hour(PREVIOUS).damaged
    many = pipeline(lake, at(12, 5))
    assert many.due(names, {at(10).date()}) == set(), "and no run fails for it again and again"
    assert mend_hour(lake, names, PREVIOUS)
    assert not pipeline(lake, at(12, 6)).run().failed
    assert not lake.names().hour(PREVIOUS).damaged


def play(lake: Lake, steps: Sequence[Any], order: random.Random) -> None:
    """All steps in any order, with runs in between."""
    steps = list(steps)
    order.shuffle(steps)
    for number, step in enumerate(steps):
        step(lake, number)
        if order.random() < 0.5:
            pipeline(lake, at(12, 30)).run()
    pipeline(lake, at(12) + timedelta(hours=30), polls_late=False).run()


@pytest.mark.parametrize("seed", range(12))
def test_any_order_of_deliveries_polls_and_runs_gives_the_same_bytes(
    tmp_path: Any, seed: int
) -> None:
    from returns_orchestration.lake.store import FolderStore  # noqa: PLC0415

    edge = returned("E", at(12, 0, 1))
    deliveries = [
        (at(11, 11), webhook(A)),
        (at(11, 11, 30), webhook(A, remark="again")),
        (at(12, 20), webhook(A, wrapped=True)),
        (at(11, 15), webhook(B, clickpost_status_code=102)),
        (at(11, 16), webhook(C)),
        (at(12, 1), webhook(edge, request_placed_time="2026-11-09T11:59:59Z")),
        (at(13, 1), b"["),
    ]

    def delivers(number: int) -> Any:
        return lambda lake, _: received(lake, deliveries[number], first=number + 1)

    steps = [delivers(number) for number in range(len(deliveries))]
    steps.append(lambda lake, _: poll(lake, A, B, polled_at=at(13)))
    steps.append(lambda lake, _: poll(lake, edge, window=NEXT, polled_at=at(13, 30)))
    found = []
    for way in (seed, seed + 1000):
        lake = Lake(FolderStore(tmp_path / f"{way}"), lambda: at(20))
        play(lake, steps, random.Random(way))
        found.append({
            path: content
            for path, content in bytes_of(lake.store).items()
            if path.partition("/")[0] in OF_WEBHOOKS[1:]
        })  # fmt: skip
        assert verdicts(lake) == {"A": "both", "B": "poll_only", "C": "webhook_only"}
        assert verdicts(lake, NEXT) == {"E": "both"}
    assert found[0] == found[1]


TABLES = ("webhook_events", "rejected_webhooks", "webhook_matches", "webhook_delivery_hourly")


def rebuilder(lake: Lake, now: datetime | None = None) -> Rebuilder:
    many = FakeApi(lambda _: []).pipeline(lake)
    many.webhooks = pipeline(lake, now or at(19))
    return Rebuilder(many)


def findings(lake: Lake) -> list[tuple[str, str]]:
    found = Verifier(lake, ZoneInfo("Asia/Kolkata")).everything()
    return [(finding.kind, finding.path) for finding in found]


def test_a_whole_lake_has_no_findings(lake: Lake) -> None:
    poll(lake, A, B)
    received(lake, (at(11, 11), webhook(A)), (at(12, 11), b"["))
    lake.webhooks.listened("0a1b2c3d", at(11), at(12))
    pipeline(lake, at(19)).run()
    assert findings(lake) == []


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("how", ["altered", "torn", "missing"])
def test_a_damaged_table_is_found_and_built_again(lake: Lake, table: str, how: str) -> None:
    poll(lake, A, B)
    received(lake, (at(11, 11), webhook(A)), (at(11, 12), b"["))
    pipeline(lake, at(19)).run()
    before = bytes_of(lake.store)
    path = lake.path(tables.BY_NAME[table], HOUR)
    content = before[path] or b""
    if how == "missing":
        lake.store.delete(path)
    else:
        lake.store.put(path, content[:-1] + b"x" if how == "altered" else content[:-1])
    assert findings(lake) == [(how, path)]
    assert rebuilder(lake).rebuild(at(11), at(12)).is_whole
    assert findings(lake) == []
    after = outside_quarantine(lake.store)
    assert {name: after[name] for name in before if "/made-" not in name} == before


def test_a_damaged_table_of_a_day_is_built_again(lake: Lake) -> None:
    poll(lake, A)
    received(lake, (at(11, 11), webhook(A)))
    pipeline(lake, at(19)).run()
    day = Day(date(2026, 11, 9), ZoneInfo("Asia/Kolkata"))
    path = lake.path(tables.WEBHOOK_DELIVERY_DAILY, day)
    before = lake.store.get(path)
    lake.store.put(path, b"torn")
    assert findings(lake) == [("torn", path)]
    assert rebuilder(lake).rebuild(at(11), at(12)).is_whole
    assert findings(lake) == []
    assert lake.store.get(path) == before


def test_a_damaged_file_of_deliveries_is_quarantined_and_what_polls_brought_stays(
    lake: Lake,
) -> None:
    poll(lake, A)
    received(lake, (at(11, 11), webhook(A)))
    received(lake, (at(11, 12), webhook(B)), instance="0b0b0b0b")
    pipeline(lake, at(19)).run()
    path = path_of(HOUR, "0a1b2c3d", 1)
    lake.store.put(path, b"torn")
    assert findings(lake) == [("torn", path)]
    assert rebuilder(lake).rebuild(at(11), at(12)).is_whole
    assert findings(lake) == []
    assert verdicts(lake) == {"A": "poll_only", "B": "undecided"}
    assert rows(lake, tables.RETURNS, [HOUR])[0]["return_reference_number"] == "A"
    kept = [name for name in bytes_of(lake.store) if name.startswith("_quarantine/raw_webhooks/")]
    assert len(kept) == 1


def test_a_file_whose_receiver_was_killed_before_its_entry_is_finished(lake: Lake) -> None:
    received(lake, (at(11, 11), webhook(A)))
    (entry,) = lake.names().hour(HOUR).received
    lake.store.delete(entry.path)
    path = path_of(HOUR, entry.instance, entry.first)
    assert findings(lake) == [("unfinished", path)]
    rebuilder(lake).rebuild(at(11), at(12))
    assert lake.names().hour(HOUR).received == [entry]
    assert verdicts(lake) == {"A": "undecided"}


def test_a_foreign_file_among_deliveries_is_quarantined(lake: Lake) -> None:
    received(lake, (at(11, 11), webhook(A)))
    pipeline(lake, at(12, 30)).run()
    path = f"raw_webhooks/{HOUR.path}/notes.txt"
    lake.store.put(path, b"mine")
    assert findings(lake) == [("foreign", path)]
    rebuilder(lake, at(12, 30)).rebuild(at(11), at(12))
    assert findings(lake) == []


def test_a_mark_is_named_after_the_hour_of_receipt(lake: Lake) -> None:
    received(lake, (at(12, 20), webhook(A)))
    pipeline(lake, at(12, 30)).run()
    path = f"_journal/date=2026-11-09/11.webhooks-{name_of_hour(NEXT)}.json"
    assert lake.store.get(path)
