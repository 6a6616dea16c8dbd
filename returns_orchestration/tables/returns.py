"""Tables of returns: the replies as received, the tables made of them, and rejected records.

``place`` and ``key`` of a column give the place of its value in a record of the API; the facts come
from the vendor's page on the Returns Polling Delta API. ``stages/typing.py`` reads the values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from returns_orchestration.tables.columns import FLAG, NUMBER, TEXT, TEXTS, TIME, Column, Table

if TYPE_CHECKING:
    import polars as pl

RECORD, WEBHOOK, ADDITIONAL, LATEST, ITEM, PICKUP = (
    "record",
    "webhook_payload",
    "additional",
    "latest_status",
    "item_info",
    "pickup_info",
)


def _read(place: str, key: str, dtype: pl.DataType, meaning: str, name: str = "") -> Column:
    """A column that is read under ``key`` in ``place`` of a record, called as there or ``name``."""
    return Column(name or key, dtype, meaning, place=place, key=key)


def _status_fields(place: str, prefix: str, whose: str) -> tuple[Column, ...]:
    """The eight fields that webhook_payload and latest_status have in common."""
    declared = (
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
        for key, dtype, meaning in declared
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
    "record of each answer from ClickPost; an answer that brings nothing new is left out",
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
        Column("pieces", NUMBER, "parcels of this return in the newest poll", nullable=False),
        Column("awbs", TEXTS, "air waybills of its parcels, in the order served", nullable=False),
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
        _read(ADDITIONAL, "drop_store_id", TEXT, "where the return goes; not documented"),
        _read(PICKUP, "pickup_state", TEXT, "state of the pickup address; not documented"),
        _read(
            PICKUP,
            "pickup_pincode",
            TEXT,
            "first 3 digits of its Indian pincode: the sorting district; not documented",
            "pickup_region",
        ),
        Column("sources", TEXTS, "who brought it: poll, webhook or both", nullable=False),
        Column("first_polled_at", TIME, "first kept poll that served it; null before that"),
        Column("last_polled_at", TIME, "newest kept poll that served it; null before that"),
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
        _read(ITEM, "quantity", NUMBER, "units of the item"),
        _read(ITEM, "return_reason", TEXT, "reason, as each merchant words it"),
        _read(ITEM, "refund_mode", TEXT, "how the item is refunded"),
        _read(ITEM, "return_mode", TEXT, "REFUND, or another way; not documented"),
        _read(
            ITEM,
            "return_sub_reason",
            TEXT,
            "second level of the reason, as each merchant words it; not documented",
        ),
        _read(
            ITEM, "description", TEXT, "name of the product, cut to 120 characters; not documented"
        ),
        _read(ITEM, "id", NUMBER, "ClickPost's number of the item; not documented", "item_id"),
        _read(ITEM, "shopify_line_item_id", NUMBER, "Shopify's line item; not documented"),
        _read(
            ITEM,
            "customer_uploaded_images",
            NUMBER,
            "photos that the customer gave, else those under `images`; not documented",
            "photos",
        ),
        QUALITY,
    ),
)

RETURN_STATES = Table(
    "return_states",
    "state of a return and its time, as far as polls and webhooks showed them",
    (
        REFERENCE,
        REQUESTED_AT,
        Column("clickpost_status_code", NUMBER, "ClickPost's code of the state"),
        Column(
            "state",
            TEXT,
            "placed, approved, rejected, courier assigned, picked up, on its way, received, "
            "cancelled, lost, damaged, expired, exchange, or other",
            nullable=False,
        ),
        Column("at", TIME, "since when, by ClickPost; null where that was unreadable"),
        Column(
            "first_seen_at",
            TIME,
            "sending of the poll that showed it first, or as of when the webhook spoke",
            nullable=False,
        ),
        Column("source", TEXT, "what showed it first: poll or webhook", nullable=False),
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
