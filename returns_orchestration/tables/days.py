"""Tables of one day of the report's zone: its rows in one file, and counts of them.

A year of rows is read from 365 files and not from 8,760. Counts of modes and reasons, which there
are by hour, too, are in ``counts``.
"""

from __future__ import annotations

from returns_orchestration.tables.columns import DAY, NUMBER, RATE, TEXT, TIME, Column, Table
from returns_orchestration.tables.returns import RETURN_ITEMS, RETURNS

_DAY = Column("day", DAY, "the day in RETURNS_REPORT_TIME_ZONE", nullable=False)
_NOT_GIVEN = "or Not given"

# A reader of a year reads 365 footers. Statistics of some 50 columns are most of a footer, and no
# reader skips a part of a file that holds one day. Without them a year is read in 3/4 of the time.
_STATISTICS = False

RETURNS_DAILY = Table(
    "returns_daily",
    "return request, in one file for each day",
    (
        _DAY,
        *RETURNS.columns,
        Column("state", TEXT, "its newest state in `return_states`"),
        Column("state_since", TIME, "since when; null where that was unreadable"),
        Column("approved_at", TIME, "when it was approved; null where no look showed that state"),
        Column("picked_up_at", TIME, "when it was picked up; null likewise"),
        Column("received_at", TIME, "when it was received; null likewise"),
    ),
    statistics=_STATISTICS,
)
RETURN_ITEMS_DAILY = Table(
    "return_items_daily",
    "item of a return, in one file for each day",
    (_DAY, *RETURN_ITEMS.columns),
    statistics=_STATISTICS,
)
SKUS_DAILY = Table(
    "skus_daily",
    "day, SKU and return reason",
    (
        _DAY,
        Column("sku", TEXT, f"the stock keeping unit, {_NOT_GIVEN}", nullable=False),
        Column("return_reason", TEXT, f"the reason, {_NOT_GIVEN}", nullable=False),
        Column("returns", NUMBER, "distinct returns with at least one such item", nullable=False),
        Column("items", NUMBER, "item rows of this SKU and reason", nullable=False),
        Column("quantity", NUMBER, "sum of their quantities, null as 0", nullable=False),
    ),
)
COURIERS_DAILY = Table(
    "couriers_daily",
    "day, courier and account",
    (
        _DAY,
        Column("cp_id", NUMBER, "the courier; null for returns that have none yet"),
        Column("account_code", TEXT, "account with the courier"),
        Column("cp_name", TEXT, "name of the courier in the newest of these returns"),
        Column("returns", NUMBER, "returns of the day with this courier", nullable=False),
        Column("self_shipped", NUMBER, "those that the customer ships", nullable=False),
        Column("unassigned", NUMBER, "those without a courier", nullable=False),
        Column("with_awb", NUMBER, "those with an air waybill", nullable=False),
        Column("awb_p50_s", NUMBER, "seconds from request to AWB that half do not exceed"),
        Column("awb_p90_s", NUMBER, "seconds that 90 of 100 do not exceed"),
        Column(
            "awb_before_request",
            NUMBER,
            "AWBs that are older than the request; they are left out of these seconds",
            nullable=False,
        ),
    ),
)
FUNNEL_DAILY = Table(
    "funnel_daily",
    "day and step",
    (
        _DAY,
        Column(
            "step",
            TEXT,
            "placed, approved, courier assigned, picked up, received; or an end: rejected, "
            "cancelled, lost, damaged, expired",
            nullable=False,
        ),
        Column(
            "reached",
            NUMBER,
            "returns of the day that were seen at this step or at a later one",
            nullable=False,
        ),
        Column("of", NUMBER, "returns of the day", nullable=False),
        Column("p50_h", RATE, "hours from request to step that half do not exceed"),
        Column("p90_h", RATE, "hours that 90 of 100 do not exceed"),
        Column("as_of", TIME, "the oldest of the returns' newest kept polls; null without one"),
    ),
)

OF_DAYS = (RETURNS_DAILY, RETURN_ITEMS_DAILY, SKUS_DAILY, COURIERS_DAILY, FUNNEL_DAILY)
"""All of them, in the order they are made."""
