"""Webhooks that a return was placed are copies of it: rows before the poll, values beside it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flow.conftest import FakeApi
from obstore.store import MemoryStore
from support.lakes import bytes_of, outside_quarantine, references
from support.mortal_store import Killed, MortalStore
from support.records import at, returned
from support.webhooks import pipeline, received, rows, webhook

from returns_orchestration import tables
from returns_orchestration.flow.mend import mend_hour
from returns_orchestration.flow.rebuild import Rebuilder
from returns_orchestration.lake import Lake
from returns_orchestration.lake.store import ObjectStore
from returns_orchestration.lake.webhooks import path_of
from returns_orchestration.state.places import find_misplaced
from returns_orchestration.state.status import states
from returns_orchestration.state.verify import Verifier
from returns_orchestration.window import Day, Window

HOUR = Window(datetime(2026, 11, 9, 11, tzinfo=UTC))
NEXT, PREVIOUS = HOUR.next, HOUR.previous
INDIA = ZoneInfo("Asia/Kolkata")
TABLES = (*(table.name for table in tables.MADE_HOURLY), *(t.name for t in tables.MADE_DAILY))
A, B, C = (returned(name, at(11, 10)) for name in ("A", "B", "C"))


def poll(
    lake: Lake, *records: dict[str, Any], window: Window = HOUR, polled_at: datetime | None = None
) -> None:
    when = polled_at or window.end + timedelta(minutes=10)
    FakeApi(lambda _: records, always_at=when).run(lake, [window])


def the_rows(lake: Lake, *windows: Window) -> dict[str, dict[str, Any]]:
    """The rows of `returns` by reference; one that is there twice fails."""
    found = rows(lake, tables.RETURNS, windows or (PREVIOUS, HOUR, NEXT))
    named = {row["return_reference_number"]: row for row in found}
    assert len(named) == len(found)
    return named


def sources(lake: Lake) -> dict[str, list[str]]:
    return {reference: row["sources"] for reference, row in the_rows(lake).items()}


def state(lake: Lake, window: Window = HOUR) -> tuple[str, int, int]:
    (line,) = states(lake, [window], INDIA)
    return line.state, line.returns, line.provisional


def files(lake: Lake, window: Window) -> list[str]:
    paths = (path for table in TABLES for path in lake.store.list(table))
    return [path for path in paths if window.path in path]


def findings(lake: Lake) -> list[tuple[str, str]]:
    return [(found.kind, found.path) for found in Verifier(lake, INDIA).everything()]


def rebuild(lake: Lake) -> None:
    many = FakeApi(lambda _: []).pipeline(lake)
    many.webhooks = pipeline(lake, at(20))
    Rebuilder(many).rebuild(at(0), at(23))


def test_a_return_is_in_the_tables_before_its_hour_is_over(lake: Lake) -> None:
    received(lake, (at(11, 10, 5), webhook(A)))

    pipeline(lake, at(11, 15)).run()

    row = the_rows(lake)["A"]
    assert row["sources"] == ["webhook"]
    assert (row["first_polled_at"], row["last_polled_at"]) == (None, None)
    assert row["requested_at"] == at(11, 10)
    assert (row["webhook_clickpost_status_code"], row["forward_awb"]) == (101, "1234567890123")
    assert (row["status"], row["awb"], row["awbs"], row["pieces"]) == (None, None, [], 1)
    (item,) = rows(lake, tables.RETURN_ITEMS, [HOUR])
    assert (item["sku"], item["refund_mode"]) == ("4060981731573", "Back to source")
    assert state(lake) == ("missing", 1, 1)
    assert not list(lake.store.list("raw_returns"))
    (mode,) = rows(lake, tables.BY_NAME["refund_modes_daily"], [Day(date(2026, 11, 9), INDIA)])
    assert (mode["refund_mode"], mode["returns"]) == ("Back to source", 1)
    assert findings(lake) == []


def test_the_poll_makes_the_hour_complete_and_the_row_of_both(lake: Lake) -> None:
    received(lake, (at(11, 10, 5), webhook(A)), (at(11, 10, 6), webhook(C)))
    pipeline(lake, at(11, 15)).run()

    poll(lake, A, B)

    assert state(lake) == ("complete", 3, 1)
    assert sources(lake) == {"A": ["poll", "webhook"], "B": ["poll"], "C": ["webhook"]}
    row = the_rows(lake)["A"]
    assert (row["status"], row["awb"]) == ("SUCCESS", "2667237821710")
    assert row["first_polled_at"] == HOUR.end + timedelta(minutes=10)
    before = bytes_of(lake.store, "returns")
    pipeline(lake, at(12, 30)).run()
    rebuild(lake)
    assert bytes_of(lake.store, "returns") == before
    assert findings(lake) == []


def test_a_poll_alone_gives_the_row_that_it_gave_before_there_were_webhooks(lake: Lake) -> None:
    poll(lake, A)
    row = the_rows(lake)["A"]
    assert row["sources"] == ["poll"]
    assert row["first_polled_at"] == row["last_polled_at"] == HOUR.end + timedelta(minutes=10)


def test_the_later_time_wins_field_by_field_and_null_never_erases(lake: Lake) -> None:
    """The event speaks as of 11:10, the poll as of 12:10."""
    received(lake, (at(13), webhook(A, remark="by webhook", location="Surat")))
    polled = returned("A", at(11, 10), webhook_payload={"remark": "by poll", "location": ""})
    poll(lake, polled)

    pipeline(lake, at(13, 5)).run()

    row = the_rows(lake)["A"]
    assert (row["webhook_remark"], row["webhook_location"]) == ("by poll", "Surat")


def test_an_event_that_speaks_as_of_later_wins_until_the_next_poll(lake: Lake) -> None:
    told = webhook(A, remark="by webhook", timestamp="2026-11-09T12:30:00Z")
    poll(lake, A)
    received(lake, (at(12, 31), told))
    pipeline(lake, at(12, 35)).run()
    row = the_rows(lake)["A"]
    assert row["webhook_remark"] == "by webhook"
    assert (row["awb"], row["status"]) == ("2667237821710", "SUCCESS")
    assert row["requested_at"] == at(11, 10)

    # The same text as before brings nothing new, and is the newest word all the same.
    poll(lake, A, polled_at=at(14))

    assert the_rows(lake)["A"]["webhook_remark"] == "Return Order Placed"
    assert len(lake.names().hour(HOUR).polls) == 1
    before = bytes_of(lake.store)
    poll(lake, A, polled_at=at(16))
    assert bytes_of(lake.store) == before


def test_a_time_in_the_future_speaks_as_of_its_receipt(lake: Lake) -> None:
    told = webhook(A, remark="by webhook", timestamp="2026-11-10T11:00:00Z")
    received(lake, (at(11, 10, 5), told))
    poll(lake, A)
    pipeline(lake, at(12, 15)).run()
    assert the_rows(lake)["A"]["webhook_remark"] == "Return Order Placed"


def test_the_request_time_of_the_poll_wins_and_the_row_moves(lake: Lake) -> None:
    """The webhook gives 11:59:59, and the poll 12:00:01."""
    edge = returned("E", at(12, 0, 1))
    received(lake, (at(12, 0, 2), webhook(edge, request_placed_time="2026-11-09T11:59:59Z")))
    pipeline(lake, at(12, 5)).run()
    assert list(the_rows(lake, HOUR)) == ["E"]

    poll(lake, edge, window=NEXT)

    assert list(the_rows(lake, NEXT)) == ["E"]
    assert files(lake, HOUR) == [], "no poll said that the hour is empty"
    assert state(lake)[0] == "missing"
    assert sources(lake) == {"E": ["poll", "webhook"]}
    pipeline(lake, at(13, 30)).run()
    assert references(lake) == ["E"]
    assert findings(lake) == []
    poll(lake, polled_at=at(14))
    assert (state(lake), state(lake, NEXT)) == (("empty", 0, 0), ("complete", 1, 0))


def test_a_webhook_that_comes_after_the_poll_of_another_hour_makes_no_second_row(
    lake: Lake,
) -> None:
    edge = returned("E", at(12, 0, 1))
    poll(lake, edge, window=NEXT)
    received(lake, (at(13, 20), webhook(edge, request_placed_time="2026-11-09T11:59:59Z")))

    pipeline(lake, at(13, 30)).run()

    assert references(lake) == ["E"]
    assert sources(lake) == {"E": ["poll", "webhook"]}
    assert files(lake, HOUR) == []


def test_two_events_with_other_request_times_are_one_return(lake: Lake) -> None:
    first = webhook(A, request_placed_time="2026-11-09T10:50:00Z")
    second = webhook(A, request_placed_time="2026-11-09T11:05:00Z", remark="once more")
    second_at = second.replace(b"11:00:48.702402Z", b"11:06:48.702402Z")
    received(lake, (at(11, 1), first), (at(11, 7), second_at))
    pipeline(lake, at(11, 10)).run()
    assert references(lake) == ["A"]
    assert the_rows(lake)["A"]["requested_at"] == at(11, 5)


def test_a_corrected_zone_moves_the_rows(lake: Lake) -> None:
    naive = webhook(A, request_placed_time="2026-11-09 16:40:00")
    received(lake, (at(11, 11), naive))
    pipeline(lake, at(12, 5)).run()
    wrong = Window(at(16))
    assert list(the_rows(lake, wrong)) == ["A"]

    pipeline(lake, at(12, 10), zone="Asia/Kolkata").run()

    assert list(the_rows(lake)) == ["A"]
    assert files(lake, wrong) == []
    assert references(lake) == ["A"]


def test_a_request_before_the_start_is_no_copy(lake: Lake) -> None:
    received(lake, (at(11, 11), webhook(A, request_placed_time="2025-12-31T23:59:59Z")))
    pipeline(lake, at(12, 5)).run()
    assert references(lake) == []
    assert len(rows(lake, tables.WEBHOOK_EVENTS, [HOUR])) == 1


def test_a_request_that_cannot_be_yet_is_as_of_its_event_or_is_rejected(lake: Lake) -> None:
    ahead = {"request_placed_time": "2026-11-10T12:00:00Z"}
    without = {"timestamp": None, "additional": {"return_reference_number": "R-1"}}
    received(lake, (at(11, 11), webhook(A, **ahead)), (at(11, 12), webhook(B, **ahead | without)))
    pipeline(lake, at(12, 5)).run()
    assert references(lake) == ["A"]
    (event,) = rows(lake, tables.WEBHOOK_EVENTS, [HOUR])
    assert event["requested_at_from"] == "timestamp"
    (rejected,) = rows(lake, tables.REJECTED_WEBHOOKS, [HOUR])
    assert rejected["reason"] == "no usable time of the request"


def test_only_placed_events_of_clickpost_are_copies(lake: Lake) -> None:
    received(lake, (at(11, 11), webhook(A, clickpost_status_code=102)))
    received(lake, (at(11, 12), webhook(B)), first=2, redelivered=True)
    pipeline(lake, at(12, 5)).run()
    assert references(lake) == []


def test_webhooks_add_no_piece_to_those_that_polls_served(lake: Lake) -> None:
    one = returned("M", at(11, 10), awb="1", return_tracking_id=1)
    two = returned("M", at(11, 10), awb="2", return_tracking_id=2)
    for record, sku in ((one, "x"), (two, "y")):
        record["webhook_payload"]["additional"]["item_info"][0]["sku"] = sku
    both = webhook(one)
    other = webhook(two, timestamp="2026-11-09T12:30:00Z", remark="later").replace(b'"y"', b'"z"')
    received(lake, (at(11, 11), both), (at(12, 31), other))
    pipeline(lake, at(12, 31)).run()
    assert the_rows(lake)["M"]["pieces"] == 1, "as far as is known by then"

    poll(lake, one, two)
    pipeline(lake, at(12, 40)).run()

    row = the_rows(lake)["M"]
    assert (row["pieces"], row["awbs"]) == (2, ["1", "2"])
    assert [item["sku"] for item in rows(lake, tables.RETURN_ITEMS, [HOUR])] == ["x", "y"]
    assert row["webhook_remark"] == "Return Order Placed"


def test_a_waived_hour_shows_the_rows_of_webhooks(lake: Lake) -> None:
    received(lake, (at(11, 11), webhook(A)))
    lake.waive(HOUR, "the shop was closed")
    pipeline(lake, at(12, 5)).run()
    assert state(lake) == ("waived", 1, 1)


@pytest.mark.parametrize("harm", ["absent", "torn"])
def test_an_entry_that_is_lost_is_found_and_written_again(lake: Lake, harm: str) -> None:
    received(lake, (at(11, 11), webhook(A)), (at(12, 1), webhook(B)))
    pipeline(lake, at(12, 5)).run()
    before = {path: c for path, c in bytes_of(lake.store).items() if "/date=" in path}
    path = min(one.path for one in lake.names().hour(HOUR).placed)
    if harm == "absent":
        lake.store.delete(path)
    else:
        lake.store.put(path, b"torn")
    assert path in {found for _, found in findings(lake)}

    rebuild(lake)

    after = outside_quarantine(lake.store)
    assert {p: c for p, c in after.items() if p.partition("/")[0] in TABLES} == {
        p: c for p, c in before.items() if p.partition("/")[0] in TABLES
    }
    assert findings(lake) == []


def test_of_a_quarantined_file_only_what_polls_brought_stays(lake: Lake) -> None:
    received(lake, (at(11, 11), webhook(A)), (at(11, 12), webhook(C)))
    pipeline(lake, at(11, 15)).run()
    poll(lake, A)
    (entry,) = lake.names().hour(HOUR).received
    lake.store.put(path_of(HOUR, entry.instance, entry.first), b"torn")
    mend_hour(lake, lake.names(), HOUR)

    pipeline(lake, at(12, 30)).run()

    assert sources(lake) == {"A": ["poll"]}
    assert findings(lake) == []


def test_whoever_looks_for_lost_returns_finds_those_of_webhooks(lake: Lake) -> None:
    received(lake, (at(11, 11), webhook(A)))
    pipeline(lake, at(11, 15)).run()
    reader = pipeline(lake, at(12)).reader
    places = find_misplaced(lake, reader)
    assert (places.served, places.nowhere, places.unmade) == (1, 0, 0)


def test_a_delivery_once_more_in_another_hour_changes_nothing(lake: Lake) -> None:
    """Not even where the body says no time of its own."""
    timeless = webhook(A, timestamp=None, remark="by webhook")
    received(lake, (at(11, 11), timeless))
    poll(lake, A)
    pipeline(lake, at(12, 15)).run()
    before = _made(lake.store)
    assert the_rows(lake)["A"]["webhook_remark"] == "Return Order Placed"
    received(lake, (at(12, 31), timeless), first=9)
    pipeline(lake, at(12, 40)).run()
    assert _made(lake.store) == before


def test_the_last_tables_of_a_poll_that_was_lost_stay(lake: Lake) -> None:
    received(lake, (at(11, 11), webhook(B)))
    poll(lake, A, B)
    pipeline(lake, at(12, 15)).run()
    before = _made(lake.store)
    lake.store.put(lake.polls.path(HOUR, 1), b"torn")
    mend_hour(lake, lake.names(), HOUR)
    pipeline(lake, at(12, 20)).run()
    assert state(lake)[0] == "missing"
    assert _made(lake.store) == before


def test_a_file_of_webhooks_that_rots_is_noted_by_whoever_reads_it(lake: Lake) -> None:
    received(lake, (at(11, 11), webhook(A)))
    pipeline(lake, at(11, 15)).run()
    (entry,) = lake.names().hour(HOUR).received
    lake.store.put(path_of(HOUR, entry.instance, entry.first), b"torn")
    poll(lake, A)
    assert state(lake)[0] == "damaged"
    poll(lake, A)  # as the sensor does: it is mended first
    pipeline(lake, at(12, 30)).run()
    assert sources(lake) == {"A": ["poll"]}


def _story(store: ObjectStore, *, alone: bool) -> None:
    """Webhooks, a poll and webhooks again, of a return that moves, ``alone`` or with others."""
    lake = Lake(store, lambda: at(20))
    edge = returned("E", at(12, 0, 1))
    others = [] if alone else [(at(11, 11), webhook(A)), (at(11, 12), webhook(C))]
    told = webhook(edge, request_placed_time="2026-11-09T11:59:59Z")
    received(lake, *others, (at(12, 0, 2), told))
    pipeline(lake, at(12, 5)).run()
    if alone:
        poll(lake, edge, window=NEXT)
        return
    poll(lake, A, B)
    poll(lake, edge, window=NEXT)
    received(lake, (at(13, 30), webhook(B)), first=9)
    pipeline(lake, at(13, 35)).run()


def _made(store: ObjectStore) -> dict[str, bytes | None]:
    found = bytes_of(store)
    return {path: found[path] for path in found if path.partition("/")[0] in TABLES}


@pytest.mark.parametrize("alone", [True, False])
def test_killed_anywhere_the_same_again_gives_the_same_bytes(alone: bool) -> None:
    whole = ObjectStore(MemoryStore(), "memory://lake")
    _story(whole, alone=alone)
    expected, left, kills = _made(whole), 0, 0
    while True:
        objects = MemoryStore()
        try:
            _story(MortalStore(objects, left), alone=alone)
        except Killed:
            kills += 1
        else:
            break
        store = ObjectStore(objects, "memory://lake")
        _story(store, alone=alone)
        assert _made(store) == expected, f"killed at change {left}"
        assert findings(Lake(store, lambda: at(20))) == [], f"killed at change {left}"
        left += 1 if alone else 3
    assert kills > 20
