"""One return looked up: the records of each poll, its row, and the poll of each value.

Random lives of whole lakes are in ``proof/showing.py``; here are the cases that a life lacks.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from obstore.store import MemoryStore
from support.counting_store import CountingStore
from support.records import at, on_the_wire, returned
from support.webhooks import pipeline, received, webhook

from returns_orchestration import tables
from returns_orchestration.clickpost import Poll
from returns_orchestration.flow.days import DayBuilder
from returns_orchestration.flow.hours import HourPipeline
from returns_orchestration.lake import Lake
from returns_orchestration.lake.store import ObjectStore
from returns_orchestration.stages.erasure import PERSONAL_COLUMNS
from returns_orchestration.stages.typing import RecordReader
from returns_orchestration.state import provenance
from returns_orchestration.state.origins import (
    ALL_PIECES,
    FIRST_PIECE,
    KEPT,
    LATER_COPY,
    NEWEST,
    ONLY,
)
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from returns_orchestration.state.provenance import Provenance

UTC = ZoneInfo("UTC")
KOLKATA = ZoneInfo("Asia/Kolkata")
ELEVEN, TWELVE = Window(at(11)), Window(at(12))
SPAN = Window(at(0)), Window(at(23))


class Kept:
    """A lake of replies that were kept one after the other."""

    def __init__(self) -> None:
        self.store = ObjectStore(MemoryStore(), "memory://lake")
        self.lake = Lake(self.store, lambda: at(100))
        days = DayBuilder(self.lake, KOLKATA, wait=lambda _: None)
        client: Any = None
        self.pipeline = HourPipeline(
            self.lake, RecordReader(UTC), lambda *_: client, 1, days=days, clock=lambda: at(100)
        )
        self.sent = 0

    def poll(self, window: Window, *records: Any) -> None:
        """A reply that serves ``records``, a minute after the one before."""
        self.sent += 1
        polled_at = at(50) + timedelta(minutes=self.sent)
        served = tuple(r if isinstance(r, str) else on_the_wire(r) for r in records)
        poll = Poll(window, polled_at, served, 1, 1, 0, 0.1, null_result=False, damaged_text=0)
        self.pipeline.land(self.lake.names(), poll)

    def make(self) -> None:
        """The tables of all hours that were polled."""
        windows = [Window(at(hour)) for hour in range(24)]
        list(self.pipeline.run(windows, poll=False, missing_only=True))

    def find(self, reference: str, span: tuple[Window, Window] = SPAN) -> Provenance:
        return provenance.find(self.lake, self.pipeline.reader, reference, span, KOLKATA)


@pytest.fixture
def kept() -> Kept:
    return Kept()


def test_a_value_absent_from_a_later_poll_is_kept_and_marked(kept: Kept) -> None:
    kept.poll(ELEVEN, returned("A", at(11), status="NEW", refund_mode="UPI", source="API"))
    kept.poll(ELEVEN, returned("A", at(11), status="DONE", refund_mode=None, source="Page"))
    kept.make()

    found = kept.find("A")

    (place,) = found.places
    origins = {name: (o.source.number, o.why) for name, o in place.origins.items()}
    assert origins["status"] == (2, NEWEST)
    assert origins["refund_mode"] == (1, KEPT)
    assert place.merges == [NEWEST, KEPT]
    assert place.row["refund_mode"] == "UPI"
    first, second = found.copies
    assert first.changed == {}
    assert {name: pair for name, pair in second.changed.items() if name != "quality"} == {
        "status": ("NEW", "DONE"), "refund_mode": ("UPI", None), "source": ("API", "Page"),
    }  # fmt: skip


def test_the_later_copy_of_one_poll_wins_and_is_marked(kept: Kept) -> None:
    kept.poll(ELEVEN, returned("A", at(11), status="NEW"), returned("A", at(11), status="DONE"))
    kept.make()

    (place,) = kept.find("A").places

    assert place.row["status"] == "DONE"
    assert place.origins["status"].why == f"{ONLY}; {LATER_COPY}"
    assert place.merges == [LATER_COPY]


def test_the_pieces_of_a_return_are_shown(kept: Kept) -> None:
    pieces = [
        returned("A", at(11), awb=f"P{n}", return_tracking_id=n, status=f"S{n}") for n in (1, 2)
    ]
    kept.poll(ELEVEN, *pieces)
    kept.make()

    (place,) = kept.find("A").places

    assert place.row["awbs"] == ["P1", "P2"]
    assert place.origins["status"].why == f"{ONLY}; {FIRST_PIECE}"
    assert place.merges == [FIRST_PIECE, ALL_PIECES]


def test_a_return_that_moved_is_found_from_either_hour_and_by_a_bounded_search(kept: Kept) -> None:
    kept.poll(ELEVEN, returned("A", at(11)))
    kept.poll(TWELVE, returned("A", at(12), status="MOVED"))
    kept.make()

    for span in (SPAN, (ELEVEN, ELEVEN), (TWELVE, TWELVE)):
        found = kept.find("A", span)
        assert [copy.source.window for copy in found.copies] == [
            ELEVEN,
            TWELVE,
        ]
        assert [place.window for place in found.places] == [TWELVE]
        assert found.places[0].as_served


def test_one_reference_of_two_returns_months_apart_is_two_rows(kept: Kept) -> None:
    later = Window(at(11 + 24 * 60))
    kept.poll(ELEVEN, returned("A", at(11), status="OLD"))
    kept.sent += 60 * 24 * 61
    kept.poll(later, returned("A", later.start, status="NEW"))
    list(kept.pipeline.run([ELEVEN, later], poll=False, missing_only=True))

    found = kept.find("A", (ELEVEN, later))

    assert [(p.window, p.row["status"]) for p in found.places] == [(ELEVEN, "OLD"), (later, "NEW")]
    assert all(place.as_served for place in found.places)
    assert [place.origins["status"].source.window for place in found.places] == [ELEVEN, later]


def test_an_hour_that_is_not_made_is_also_read(kept: Kept) -> None:
    kept.poll(ELEVEN, returned("A", at(11)))

    found = kept.find("A")

    assert len(found.copies) == 1
    assert not found.places


def test_a_row_not_yet_made_of_all_polls_is_marked(kept: Kept) -> None:
    kept.poll(ELEVEN, returned("A", at(11), status="NEW"))
    kept.make()
    kept.poll(ELEVEN, returned("A", at(11), status="DONE"))

    (place,) = kept.find("A").places

    assert (place.row["status"], place.as_served) == ("NEW", False)


def test_a_later_poll_that_did_not_serve_it_is_named(kept: Kept) -> None:
    kept.poll(ELEVEN, returned("A", at(11)))
    kept.poll(ELEVEN, returned("B", at(11)))
    kept.make()

    found = kept.find("A")

    assert [(poll.window, poll.number) for poll in found.silent] == [(ELEVEN, 2)]
    assert not kept.find("B").silent


def test_a_rejected_record_is_found_by_its_reference(kept: Kept) -> None:
    odd = returned("A", at(11), **{"Return Request Timestamp": "soon"})
    kept.poll(ELEVEN, odd, returned("B", at(11)))
    kept.make()

    found = kept.find("A")

    assert not found.places
    (rejected,) = found.rejected
    assert rejected.row["reason"] == "no readable Return Request Timestamp"
    assert [copy.rejected for copy in found.copies] == [["no readable Return Request Timestamp"]]


def test_a_damaged_poll_is_named_and_the_rest_is_shown(kept: Kept) -> None:
    kept.poll(ELEVEN, returned("A", at(11)))
    kept.poll(TWELVE, returned("A", at(11), status="AGAIN"))
    kept.make()
    path = kept.lake.polls.path(TWELVE, 1)
    content = bytearray(kept.store.get(path) or b"")
    content[len(content) // 2] ^= 1
    kept.store.put(path, bytes(content))
    kept.lake.drop_cache()

    found = kept.find("A")

    assert [copy.source.window for copy in found.copies] == [ELEVEN]
    assert any(path in error for error in found.unread)


def test_a_quarantined_poll_is_named(kept: Kept) -> None:
    kept.poll(ELEVEN, returned("A", at(11)))
    kept.poll(ELEVEN, returned("A", at(11), status="AGAIN"))
    kept.lake.polls.quarantine(kept.lake.names(), ELEVEN, 1)

    assert kept.find("A").quarantined == [(ELEVEN, 1)]
    assert kept.find("nobody").quarantined == [(ELEVEN, 1)]


def test_an_unknown_return_names_the_hours_without_a_poll(kept: Kept) -> None:
    kept.poll(ELEVEN)
    kept.lake.waive(TWELVE, "closed")
    kept.make()

    found = kept.find("nobody")

    assert not found.is_known
    assert found.waived == [TWELVE]
    assert len(found.missing) == 22
    assert not {ELEVEN, TWELVE} & set(found.missing)


def test_polls_of_other_hours_are_not_read(kept: Kept) -> None:
    for hour in range(20):
        kept.poll(Window(at(hour)), returned(f"R{hour}", at(hour)))
    kept.make()
    counting = CountingStore(kept.store)
    lake = Lake(counting, lambda: at(100))
    names = ("raw_returns", tables.RETURNS.name, tables.RETURN_ITEMS.name)

    found = provenance.find(lake, kept.pipeline.reader, "R7", SPAN, KOLKATA)

    assert len(found.copies) == 1
    # A made entry for each hour, and of the one hour: a poll, and files of its two tables.
    assert counting.requests["GET"] <= 20 + len(names) + 2, counting.requests


def test_every_column_that_may_be_personal_is_a_column_of_returns() -> None:
    told = ("webhook_location", "latest_location", "webhook_remark", "latest_remark")
    assert {*told, "pickup_state", "pickup_region"} == PERSONAL_COLUMNS
    assert set(tables.RETURNS.schema.names()) >= PERSONAL_COLUMNS


def test_a_webhook_is_shown_among_the_polls(kept: Kept) -> None:
    told = webhook(returned("A", at(11), status="X"), remark="by webhook")
    received(kept.lake, (at(11, 0, 5), told))
    many = pipeline(kept.lake, at(11, 5))
    many.run()
    found = kept.find("A")
    (place,) = found.places
    assert [copy.source.kind for copy in found.copies] == ["webhook"]
    assert (found.copies[0].received_at, place.as_served) == (at(11, 0, 5), True)
    assert place.origins["webhook_remark"].why == ONLY

    kept.poll(ELEVEN, returned("A", at(11), webhook_payload={"remark": None}))
    kept.make()

    found = kept.find("A")
    (place,) = found.places
    assert [copy.source.kind for copy in found.copies] == ["webhook", "poll"]
    assert place.as_served
    assert place.row["sources"] == ["poll", "webhook"]
    remark = place.origins["webhook_remark"]
    assert (remark.source.kind, remark.why) == ("webhook", KEPT)
    assert place.origins["status"].source.kind == "poll"


def test_what_only_polls_can_give_is_not_lost_by_a_later_webhook(kept: Kept) -> None:
    kept.poll(ELEVEN, returned("A", at(11), status="DONE"))
    late = webhook(returned("A", at(11)), timestamp="2026-11-13T11:00:00Z", remark="later")
    received(kept.lake, (at(11) + timedelta(days=4), late))
    pipeline(kept.lake, at(12) + timedelta(days=4)).run({at(11).date()})
    found = kept.find("A")
    (place,) = found.places
    assert place.as_served
    assert place.origins["status"].why == NEWEST
    assert place.origins["webhook_remark"].source.kind == "webhook"
    changed = {"webhook_remark", "webhook_at", "additional_return_reference_number"}
    assert found.copies[-1].changed.keys() == changed
