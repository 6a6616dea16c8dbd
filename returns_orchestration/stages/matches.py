"""Webhooks beside polls, for the returns requested in one hour or day: who brought which return.

A return is judged by the webhook that it was placed, the one that the polling API backs up. Before
a verdict is final it is `undecided`: a webhook may still come, and a later poll may still serve a
return. ``flow/webhooks`` decides which events and polls belong to an hour.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from returns_orchestration import tables
from returns_orchestration.stages.aggregates import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date, datetime, timedelta

    import polars as pl

Row = dict[str, object]

BOTH, POLL_ONLY, WEBHOOK_ONLY, UNDECIDED = "both", "poll_only", "webhook_only", "undecided"
VERDICTS: Final = (BOTH, POLL_ONLY, WEBHOOK_ONLY, UNDECIDED)

COMPARED: Final = {
    "requested_at": "requested_at",
    "waybill": "awb",
    "cp_id": "cp_id",
    "account_code": "account_code",
    "self_shipped": "self_shipped",
    "source": "source",
}
"""Columns of webhook_events to those of `returns` that mean the same and do not follow a status."""

QUICK_S: Final = 300
SLOW_S: Final = 3600
"""Seconds from a return's request to its webhook, under and over which people are told."""

READ: Final = (tables.REFERENCE.name, "first_polled_at", *COMPARED.values())


class Finality(NamedTuple):
    """Which verdicts are final by now: that a webhook was lost, and that polls lack a return."""

    of_lost: bool
    of_lacking: bool


def match(returns: pl.DataFrame | None, events: pl.DataFrame, finality: Finality) -> pl.DataFrame:
    """The rows of webhook_matches of one hour.

    ``returns`` are its rows of `returns`, None where it has none yet; ``events`` the rows of
    webhook_events about its returns, of any hour of receipt.
    """
    known = (
        {} if returns is None else {row[tables.REFERENCE.name]: row for row in _rows(returns, READ)}
    )
    of_webhooks: dict[object, list[Row]] = {}
    for event in events.iter_rows(named=True):
        of_webhooks.setdefault(event[tables.REFERENCE.name], []).append(event)
    rows = [
        _match(reference, known.get(reference), of_webhooks.get(reference, []), finality)
        for reference in {**known, **of_webhooks}
    ]
    rows.sort(key=lambda row: (row["requested_at"], row["return_reference_number"]))
    return tables.WEBHOOK_MATCHES.frame(
        {name: [row[name] for row in rows] for name in tables.WEBHOOK_MATCHES.schema.names()}
    )


def _match(reference: object, row: Row | None, events: Sequence[Row], finality: Finality) -> Row:
    poll = row if row is not None and row["first_polled_at"] is not None else None
    placed = [event for event in events if event["is_placed"]]
    came = [event["first_received_at"] for event in placed if event["first_received_at"]]
    first = min(came, default=None)  # type: ignore[type-var]
    # Of several events the earliest of its kind counts, in whatever order they came.
    requested = (row or min(placed or events, key=_order))["requested_at"]
    lag = None if first is None else _seconds(first - requested)  # type: ignore[operator]
    if poll is not None:
        verdict = BOTH if first else POLL_ONLY if finality.of_lost else UNDECIDED
    else:
        verdict = WEBHOOK_ONLY if finality.of_lacking else UNDECIDED
    return {
        "return_reference_number": reference,
        "requested_at": requested,
        "first_polled_at": poll["first_polled_at"] if poll else None,
        "first_received_at": first,
        "lag_s": lag,
        "deliveries": sum(event["deliveries"] for event in placed),  # type: ignore[misc]
        "redelivered": sum(event["redelivered"] for event in placed),  # type: ignore[misc]
        "differs": _differing(poll, placed),
        "verdict": verdict,
    }


def _differing(poll: Row | None, placed: Sequence[Row]) -> list[str]:
    """Columns in which poll and webhook both have a value, and another one."""
    if poll is None or not placed:
        return []
    event = min(placed, key=_order)
    pairs = [(name, event[name], poll[of_poll]) for name, of_poll in COMPARED.items()]
    return [name for name, a, b in pairs if a is not None and b is not None and a != b]


def _order(event: Row) -> tuple[object, ...]:
    return event["requested_at"], event["event_at"] is None, event["event_at"], event["event_id"]


def _rows(frame: pl.DataFrame, columns: Iterable[str]) -> Iterable[Row]:
    return frame.select(list(dict.fromkeys(columns))).iter_rows(named=True)


def delivery_of_hour(
    hour: datetime, matches: pl.DataFrame, listening: int, lost_after: timedelta
) -> pl.DataFrame:
    """The row of webhook_delivery_hourly."""
    counts = _counts(matches, listening, lost_after)
    return tables.WEBHOOK_DELIVERY_HOURLY.frame({"hour_start": [hour], **counts})


def delivery_of_day(
    day: date, matches: pl.DataFrame, listening: int, lost_after: timedelta
) -> pl.DataFrame:
    """The row of webhook_delivery_daily."""
    counts = _counts(matches, listening, lost_after)
    return tables.WEBHOOK_DELIVERY_DAILY.frame({"day": [day], **counts})


def _counts(
    matches: pl.DataFrame, listening: int, lost_after: timedelta
) -> dict[str, list[object]]:
    verdicts = matches.get_column("verdict").to_list()
    both, poll_only, webhook_only, undecided = (verdicts.count(verdict) for verdict in VERDICTS)
    deliveries = matches.get_column("deliveries")
    lags = sorted(matches.get_column("lag_s").drop_nulls().to_list())
    decided = both + poll_only
    return {
        "returns": [matches.height],
        "both": [both],
        "poll_only": [poll_only],
        "webhook_only": [webhook_only],
        "undecided": [undecided],
        "deliveries": [deliveries.sum()],
        "doubled": [deliveries.sum() - deliveries.filter(deliveries > 0).len()],
        "late": [sum(lag > lost_after.total_seconds() for lag in lags)],
        **{f"lag_p{part}_s": [nearest(lags, part)] for part in (50, 90, 99)},
        "lag_max_s": [lags[-1] if lags else None],
        "rate": [both / decided if decided else None],
        "listening_s": [listening],
    }


def by_lag(found: pl.DataFrame) -> dict[str, int]:
    """Returns whose webhook came, and of these the quick and the slow ones.

    These counts can be added over hours, where percentiles cannot.
    """
    lag = found.get_column("lag_s").drop_nulls()
    return {
        "with_lag": lag.len(),
        "under_5_minutes": int((lag < QUICK_S).sum()),
        "over_1_hour": int((lag > SLOW_S).sum()),
    }


def _seconds(lag: timedelta) -> int:
    return math.floor(lag.total_seconds())


def listened(spans: Iterable[tuple[int, int]]) -> int:
    """Seconds in at least one of ``spans``, each from its first second to its last."""
    total, end = 0, 0
    for begin, until in sorted(spans):
        total += max(0, until - max(begin, end))
        end = max(end, until)
    return total
