"""Every table of the lake: its grain, and each column's type, nullability, meaning and origin.

The one source of the files' schemas, of the README's tables and of Dagster's column metadata, and
of where in a record of the API a value is read. Facts about fields come from the vendor's page on
the Returns Polling Delta API. How a value is read is said in ``stages/typing.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterator

TIME = pl.Datetime("us", "UTC")
TEXT = pl.String()
NUMBER = pl.Int64()
FLAG = pl.Boolean()
DAY = pl.Date()
TEXTS = pl.List(pl.String)

RECORD, WEBHOOK, ADDITIONAL, LATEST, ITEM = (
    "record",
    "webhook_payload",
    "additional",
    "latest_status",
    "item_info",
)

TYPE_NAMES: dict[pl.DataType, str] = {
    TIME: 'Datetime("us", "UTC")',
    TEXT: "String",
    NUMBER: "Int64",
    FLAG: "Boolean",
    DAY: "Date",
    TEXTS: "List(String)",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column; ``place`` and ``key`` say where the API's record holds it, if it does."""

    name: str
    dtype: pl.DataType
    meaning: str
    nullable: bool = True
    place: str = ""
    key: str = ""

    @property
    def type_name(self) -> str:
        """The type as polars writes it."""
        return TYPE_NAMES[self.dtype]


@dataclass(frozen=True, slots=True)
class Table:
    """One table; ``grain`` completes the sentence "One row per ..."."""

    name: str
    grain: str
    columns: tuple[Column, ...]

    @property
    def schema(self) -> pl.Schema:
        """Column names and types, the same in every file, empty ones included."""
        return pl.Schema({column.name: column.dtype for column in self.columns})

    def frame(self, columns: dict[str, list[object]]) -> pl.DataFrame:
        """A frame of this table from lists of values; a value of a wrong type raises TypeError."""
        return pl.DataFrame(columns, schema=self.schema, strict=True)

    def empty(self) -> pl.DataFrame:
        """The table with no rows."""
        return pl.DataFrame(schema=self.schema)

    def markdown(self) -> Iterator[str]:
        """The README's lines about this table."""
        yield f"**`{self.name}`**: one row per {self.grain}."
        yield ""
        yield "| column | type | null | meaning |"
        yield "|---|---|---|---|"
        for column in self.columns:
            null = "yes" if column.nullable else "no"
            yield f"| `{column.name}` | {column.type_name} | {null} | {column.meaning} |"


def _read(place: str, key: str, dtype: pl.DataType, meaning: str, name: str = "") -> Column:
    """A column that is read under ``key`` in ``place`` of a record, called as there or ``name``."""
    return Column(name or key, dtype, meaning, place=place, key=key)


def _status_fields(place: str, prefix: str, whose: str) -> tuple[Column, ...]:
    """The eight fields that webhook_payload and latest_status have in common."""
    said = (
        ("status", TEXT, f"status of the return {whose}"),
        ("location", TEXT, f"place {whose}, as documented; may be an address"),
        ("clickpost_status_code", NUMBER, f"ClickPost tracking status {whose}"),
        ("clickpost_status_description", TEXT, f"the tracking status in words {whose}"),
        (
            "clickpost_status_bucket",
            NUMBER,
            f"group of tracking statuses {whose}; 8 is not lost, for a return it is return placed",
        ),
        ("clickpost_status_bucket_description", TEXT, f"the group in words {whose}"),
        ("remark", TEXT, f"remark of the courier {whose}"),
    )
    fields = tuple(
        Column(f"{prefix}_{key}", dtype, meaning, place=place, key=key)
        for key, dtype, meaning in said
    )
    at = Column(f"{prefix}_at", TIME, f"time of the status {whose}", place=place, key="timestamp")
    return (*fields, at)


_IN_WEBHOOK = "in the webhook's payload"

REFERENCE = Column(
    "return_reference_number",
    TEXT,
    "ClickPost's unique number of the return",
    nullable=False,
    place=RECORD,
    key="return_reference_number",
)
REQUESTED_AT = Column(
    "requested_at",
    TIME,
    "when the return was requested",
    nullable=False,
    place=RECORD,
    key="Return Request Timestamp",
)
POLLED_AT = Column("polled_at", TIME, "when the poll's request was sent", nullable=False)
POSITION = Column("position", NUMBER, "place in the reply, from 0", nullable=False)
QUALITY = Column(
    "quality", TEXTS, "columns whose value was unreadable (null) or converted", nullable=False
)

RAW_RETURNS = Table(
    "raw_returns",
    "record served in one poll of the window; every poll that brought something new is kept",
    (
        POLLED_AT,
        POSITION,
        Column("record", TEXT, "the record's JSON text as received", nullable=False),
    ),
)

RETURNS = Table(
    "returns",
    "return request",
    (
        REFERENCE,
        REQUESTED_AT,
        _read(RECORD, "status", TEXT, "status of the request"),
        _read(RECORD, "refund_mode", TEXT, "how the return is refunded, return level"),
        _read(RECORD, "source", TEXT, "where the return was requested"),
        _read(RECORD, "cp_id", NUMBER, "the courier; -1 becomes null"),
        _read(RECORD, "cp_name", TEXT, "name of the courier"),
        _read(RECORD, "account_code", TEXT, "account with the courier"),
        _read(
            RECORD,
            "return_tracking_id",
            NUMBER,
            "ClickPost's tracking number of the reverse shipment",
        ),
        _read(RECORD, "awb", TEXT, "air waybill of the reverse shipment"),
        _read(RECORD, "timestamp", TIME, "the record's own `timestamp`", "awb_at"),
        Column("pieces", NUMBER, "shipments of this return in the newest poll", nullable=False),
        Column("awbs", TEXTS, "air waybills of its pieces, in the order served", nullable=False),
        _read(WEBHOOK, "waybill", TEXT, f"air waybill {_IN_WEBHOOK}", "webhook_waybill"),
        _read(WEBHOOK, "cp_id", NUMBER, f"courier {_IN_WEBHOOK}; -1 becomes null", "webhook_cp_id"),
        _read(
            WEBHOOK,
            "account_code",
            TEXT,
            f"account with the courier {_IN_WEBHOOK}",
            "webhook_account_code",
        ),
        _read(
            WEBHOOK,
            "notification_event",
            NUMBER,
            f"notification event {_IN_WEBHOOK}; 11 is return placed",
            "webhook_notification_event",
        ),
        *_status_fields(WEBHOOK, "webhook", _IN_WEBHOOK),
        *_status_fields(LATEST, "latest", "in latest_status"),
        _read(ADDITIONAL, "is_rvp", FLAG, "whether it is a reverse order"),
        _read(ADDITIONAL, "forward_awb", TEXT, "air waybill of the forward shipment"),
        _read(ADDITIONAL, "forward_reference_number", TEXT, "reference of the forward shipment"),
        _read(ADDITIONAL, "forward_order_id", TEXT, "order of the forward shipment"),
        _read(
            ADDITIONAL,
            "notification_event_id",
            NUMBER,
            "notification event in additional; 11 is return placed",
        ),
        _read(ADDITIONAL, "self_shipped", FLAG, "whether the customer ships it back"),
        _read(
            ADDITIONAL,
            "return_reference_number",
            TEXT,
            "the return's number as repeated in additional",
            "additional_return_reference_number",
        ),
        Column("first_polled_at", TIME, "first kept poll that served it", nullable=False),
        Column("last_polled_at", TIME, "newest kept poll that served it", nullable=False),
        QUALITY,
    ),
)

RETURN_ITEMS = Table(
    "return_items",
    "item of a return",
    (
        REFERENCE,
        Column("item_index", NUMBER, "place among the return's items, from 0", nullable=False),
        REQUESTED_AT,
        _read(ITEM, "sku", TEXT, "stock keeping unit"),
        _read(ITEM, "quantity", NUMBER, "pieces of the item"),
        _read(ITEM, "return_reason", TEXT, "reason, as each merchant words it"),
        _read(ITEM, "refund_mode", TEXT, "how the item is refunded"),
        QUALITY,
    ),
)

REJECTED_RETURNS = Table(
    "rejected_returns",
    "record that cannot be used: no reference number, or no readable request time",
    (
        POLLED_AT,
        POSITION,
        Column("reason", TEXT, "why it cannot be used", nullable=False),
        Column("record", TEXT, "the record's text as received", nullable=False),
    ),
)


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
_HOUR = Column("hour", TIME, "begin of the UTC hour", nullable=False)
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

MADE_HOURLY = (
    RETURNS,
    RETURN_ITEMS,
    REFUND_MODES_HOURLY,
    RETURN_REASONS_HOURLY,
    REJECTED_RETURNS,
)
"""The tables made from raw_returns for one hour, in the order they are made."""

MADE_DAILY = (REFUND_MODES_DAILY, RETURN_REASONS_DAILY)
"""The tables made from the rows of `returns` and `return_items` for one day."""

TABLES = (RAW_RETURNS, *MADE_HOURLY, *MADE_DAILY)
"""Every table of the lake, in flow order."""

BY_NAME = {table.name: table for table in TABLES}
