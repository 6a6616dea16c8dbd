from __future__ import annotations

import random
from datetime import datetime
from typing import Any

import pytest
from flow.conftest import FakeApi
from support.records import at, returned, wire_time
from support.webhooks import pipeline, received, webhook

from returns_orchestration import tables
from returns_orchestration.flow.rebuild import Rebuilder
from returns_orchestration.lake import Lake
from returns_orchestration.stages.vocabulary import ENDED, STATES, STATUS_CODES, state_of
from returns_orchestration.window import Window

HOUR = Window(at(11))


def shown(code: int | None, since: datetime | None, **changes: Any) -> dict[str, Any]:
    """A record in a state since a time."""
    when = None if since is None else wire_time(since)
    status = {"clickpost_status_code": code, "timestamp": when}
    payload = {**status, "additional": {"latest_status": status}, **changes}
    return returned("A", at(11, 10), webhook_payload=payload)


def poll(lake: Lake, polled_at: datetime, *records: dict[str, Any]) -> None:
    FakeApi(lambda _: records, always_at=polled_at).run(lake, [HOUR])


def rows(lake: Lake) -> list[tuple[Any, ...]]:
    """Code, state, since when, first seen at, and by what."""
    frame = lake.read(tables.RETURN_STATES, HOUR, lake.names())
    assert frame is not None
    return frame.drop("return_reference_number", "requested_at").rows()


def test_each_state_that_a_poll_showed_is_a_row(lake: Lake) -> None:
    poll(lake, at(12, 10), shown(101, at(11, 10)))
    poll(lake, at(36), shown(102, at(20)))
    poll(lake, at(84), shown(8, at(60)))
    assert rows(lake) == [
        (101, "placed", at(11, 10), at(12, 10), "poll"),
        (102, "approved", at(20), at(36), "poll"),
        (8, "received", at(60), at(84), "poll"),
    ]


def test_a_state_is_seen_once_however_often_it_is_shown(lake: Lake) -> None:
    poll(lake, at(12, 10), shown(101, at(11, 10)))
    poll(lake, at(13, 10), shown(101, at(11, 10), remark="another"))
    assert rows(lake) == [(101, "placed", at(11, 10), at(12, 10), "poll")]


def test_the_latest_status_may_be_another_one(lake: Lake) -> None:
    latest = {"clickpost_status_code": 4, "timestamp": wire_time(at(30))}
    poll(lake, at(36), shown(101, at(11, 10), additional={"latest_status": latest}))
    assert [(code, since) for code, _, since, *_ in rows(lake)] == [(101, at(11, 10)), (4, at(30))]


def test_what_is_unreadable_or_absent(lake: Lake) -> None:
    poll(lake, at(12, 10), shown(101, None))
    poll(lake, at(36), shown(None, at(20)))
    poll(lake, at(37), shown(4711, at(21)))
    assert rows(lake) == [
        (101, "placed", None, at(12, 10), "poll"),
        (4711, "other", at(21), at(37), "poll"),
    ]


def test_a_rejected_return_has_an_event_and_no_code(lake: Lake) -> None:
    poll(lake, at(36), shown(None, at(20), notification_event=23))
    assert [(code, state) for code, state, *_ in rows(lake)] == [(None, "rejected")]


def test_a_webhook_shows_the_placed_state_before_a_poll(lake: Lake) -> None:
    record = shown(101, at(11, 10))
    received(lake, (at(11, 12), webhook(record)))
    pipeline(lake, at(11, 20)).run()
    assert rows(lake) == [(101, "placed", at(11, 10), at(11, 10), "webhook")]
    poll(lake, at(12, 10), record)
    assert rows(lake) == [(101, "placed", at(11, 10), at(11, 10), "webhook")]


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_records_in_a_poll_changes_nothing(lake: Lake, seed: int) -> None:
    """Pieces of a return, each in a state of its own."""
    pieces = [
        shown(code, at(11, code % 60)) | {"awb": f"A{code}", "return_tracking_id": code}
        for code in (101, 102, 4)
    ]
    random.Random(seed).shuffle(pieces)
    poll(lake, at(12, 10), *pieces)
    assert [code for code, *_ in rows(lake)] == [4, 101, 102]


def test_every_known_code_of_a_return_has_a_state() -> None:
    forward = {11, 12, 13, 14, 15, 21, 26, 27}  # on their way back to the origin, not returns
    assert {code for codes in STATES.values() for code in codes} == STATUS_CODES - forward
    assert set(ENDED) <= {*STATES, "rejected"}
    assert (state_of(11, None), state_of(None, 11), state_of(102, 23)) == (
        "other",
        None,
        "rejected",
    )


def test_a_rebuild_gives_the_same_bytes(lake: Lake) -> None:
    for hours in range(3):
        poll(lake, at(12 + hours, 10), shown(101 + hours, at(11 + hours, 10)))
    path = lake.path(tables.RETURN_STATES, HOUR)
    before = lake.store.get(path)
    lake.store.delete(path)
    Rebuilder(FakeApi(lambda _: []).pipeline(lake)).rebuild(HOUR.start, HOUR.end)
    assert before is not None
    assert lake.store.get(path) == before
