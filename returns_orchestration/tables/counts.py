"""Tables of counts, by hour and by day of the report's zone."""

from __future__ import annotations

from returns_orchestration.tables.columns import DAY, NUMBER, TEXT, TIME, Column, Table


def _counts(*, mode: bool) -> tuple[Column, ...]:
    returns = (
        "returns of this mode (their own; if null their items', or Mixed)"
        if mode
        else "distinct returns with at least one item of this reason"
    )
    whose = "mode (or their return's)" if mode else "reason"
    return (
        Column("returns", NUMBER, returns, nullable=False),
        Column("items", NUMBER, f"item rows of this {whose}", nullable=False),
        Column("quantity", NUMBER, "sum of their quantities, null as 0", nullable=False),
    )


_MODE = Column("refund_mode", TEXT, "the mode, or Mixed, or Not given", nullable=False)
_REASON = Column("return_reason", TEXT, "the reason, or Not given", nullable=False)
_HOUR = Column("hour_start", TIME, "begin of the UTC hour", nullable=False)
_DAY = Column("day", DAY, "the day in RETURNS_REPORT_TIME_ZONE", nullable=False)

REFUND_MODES_HOURLY = Table(
    "refund_modes_hourly", "hour and refund mode", (_HOUR, _MODE, *_counts(mode=True))
)
RETURN_REASONS_HOURLY = Table(
    "return_reasons_hourly", "hour and return reason", (_HOUR, _REASON, *_counts(mode=False))
)
REFUND_MODES_DAILY = Table(
    "refund_modes_daily", "day and refund mode", (_DAY, _MODE, *_counts(mode=True))
)
RETURN_REASONS_DAILY = Table(
    "return_reasons_daily", "day and return reason", (_DAY, _REASON, *_counts(mode=False))
)

LATENESS = Table(
    "lateness",
    "age at which hours were polled",
    (
        Column(
            "poll_age_hours",
            NUMBER,
            "whole hours from the window's end to the poll; 0 is the first hour",
            nullable=False,
        ),
        Column("polls", NUMBER, "polls at this age, whatever they brought", nullable=False),
        Column("returns", NUMBER, "returns first served by a poll at this age", nullable=False),
        Column("late", NUMBER, "those of them that an earlier poll had not served", nullable=False),
    ),
)
