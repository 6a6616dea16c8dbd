from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from support.records import at

from returns_orchestration import tables
from returns_orchestration.stages.matches import (
    Finality,
    delivery_of_hour,
    listened,
    match,
)

EARLY, LATE, FINAL = Finality(False, False), Finality(True, False), Finality(True, True)  # noqa: FBT003
REQUESTED = at(11, 10)
HOUR = datetime(2026, 11, 9, 11, tzinfo=UTC)
LOST_AFTER = timedelta(hours=6)


def polled(*references: str, **changes: Any) -> pl.DataFrame:
    values: dict[str, list[Any]] = {
        name: [None] * len(references) for name in tables.RETURNS.schema
    }
    values |= {
        "return_reference_number": list(references),
        "requested_at": [REQUESTED] * len(references),
        "first_polled_at": [at(12, 10)] * len(references),
    }
    values |= {name: [value] * len(references) for name, value in changes.items()}
    return pl.DataFrame(values, schema=tables.RETURNS.schema)


def came(reference: str, lag_s: float | None = 5, **changes: Any) -> dict[str, Any]:
    return dict.fromkeys(tables.WEBHOOK_EVENTS.schema.names()) | {
        "event_id": f"{reference} {lag_s} {sorted(changes.items())}",
        "return_reference_number": reference,
        "requested_at": REQUESTED,
        "requested_at_from": "timestamp",
        "is_placed": True,
        "first_received_at": None if lag_s is None else REQUESTED + timedelta(seconds=lag_s),
        "deliveries": 0 if lag_s is None else 1,
        "redelivered": 0,
        "shape": "bare",
        "quality": [],
    } | changes  # fmt: skip


def events(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=tables.WEBHOOK_EVENTS.schema)


def verdicts(frame: pl.DataFrame) -> dict[str, str]:
    return dict(frame.select("return_reference_number", "verdict").rows())


@pytest.mark.parametrize(
    ("finality", "lost", "lacking"),
    [
        (EARLY, "undecided", "undecided"),
        (LATE, "poll_only", "undecided"),
        (FINAL, "poll_only", "webhook_only"),
    ],
)
def test_a_verdict_is_undecided_until_it_is_final(
    finality: Finality, lost: str, lacking: str
) -> None:
    found = match(polled("A", "B"), events(came("A"), came("C")), finality)
    assert verdicts(found) == {"A": "both", "B": lost, "C": lacking}


def test_an_hour_without_a_poll_has_its_webhooks() -> None:
    found = match(None, events(came("A")), LATE)
    assert verdicts(found) == {"A": "undecided"}
    assert found.get_column("first_polled_at").to_list() == [None]


def test_an_event_of_a_later_state_does_not_stand_for_the_lost_one() -> None:
    found = match(polled("A"), events(came("A", is_placed=False)), FINAL)
    assert verdicts(found) == {"A": "poll_only"}
    assert found.row(0, named=True)["deliveries"] == 0
    assert verdicts(match(polled(), events(came("B", is_placed=False)), FINAL)) == {
        "B": "webhook_only"
    }


def test_a_redelivery_does_not_make_a_webhook_delivered() -> None:
    found = match(polled("A"), events(came("A", None, redelivered=1)), FINAL)
    row = found.row(0, named=True)
    assert (row["verdict"], row["redelivered"], row["lag_s"]) == ("poll_only", 1, None)


def test_the_lag_is_from_the_request_to_the_first_delivery() -> None:
    found = match(polled("A"), events(came("A", 90.9), came("A", 30.5)), FINAL)
    row = found.row(0, named=True)
    assert (row["lag_s"], row["deliveries"]) == (30, 2)
    early = match(polled("A"), events(came("A", -0.5)), FINAL)
    assert early.row(0, named=True)["lag_s"] == -1


def test_values_that_disagree_are_named() -> None:
    poll = polled("A", awb="1", cp_id=25, source="API")
    found = match(poll, events(came("A", waybill="2", cp_id=25, source=None)), FINAL)
    assert found.row(0, named=True)["differs"] == ["waybill"]


def test_counts_add_up_to_the_returns_of_both_sources() -> None:
    found = match(
        polled("A", "B", "C"),
        events(came("A", 10), came("A", 20), came("B", 7 * 3600), came("D")),
        FINAL,
    )
    row = delivery_of_hour(HOUR, found, 1800, LOST_AFTER).row(0, named=True)
    assert row == {
        "hour_start": HOUR, "returns": 4, "both": 2, "poll_only": 1, "webhook_only": 1,
        "undecided": 0, "deliveries": 4, "doubled": 1, "late": 1, "lag_p50_s": 10,
        "lag_p90_s": 25_200, "lag_p99_s": 25_200, "lag_max_s": 25_200, "rate": 2 / 3,
        "listening_s": 1800,
    }  # fmt: skip


def test_an_hour_without_returns_has_no_rate() -> None:
    row = delivery_of_hour(HOUR, match(polled(), events(), FINAL), 0, LOST_AFTER).row(0, named=True)
    assert (row["returns"], row["rate"], row["lag_p50_s"], row["lag_max_s"]) == (
        0,
        None,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("spans", "seconds"),
    [
        ([], 0),
        ([(0, 3600)], 3600),
        ([(0, 10), (5, 20), (30, 40)], 30),
        ([(5, 20), (0, 40)], 40),
    ],
)
def test_seconds_of_several_receivers_count_once(
    spans: list[tuple[int, int]], seconds: int
) -> None:
    assert listened(spans) == seconds
