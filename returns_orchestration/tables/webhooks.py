"""Tables of webhooks: as received, as events, and beside what polls brought.

`raw_webhooks`, `webhook_events` and `rejected_webhooks` are by the hour in which a webhook came;
`webhook_matches` and the tables of delivery by the hour in which a return was requested.
"""

from __future__ import annotations

from returns_orchestration.tables.columns import (
    DAY,
    FLAG,
    NUMBER,
    RATE,
    TEXT,
    TEXTS,
    TIME,
    Column,
    Table,
)
from returns_orchestration.tables.returns import QUALITY, REFERENCE, REQUESTED_AT

_RECEIVED_AT = Column("received_at", TIME, "when its body was complete", nullable=False)
_INSTANCE = Column("instance", TEXT, "the receiver it came to, by its spool", nullable=False)
_POSITION = Column("position", NUMBER, "its number in that receiver", nullable=False)
_ENCODING = Column("encoding", TEXT, "base64 where the body is no UTF-8 text, else null")

RAW_WEBHOOKS = Table(
    "raw_webhooks",
    "delivery of a webhook that was answered with 200",
    (
        _RECEIVED_AT,
        _INSTANCE,
        _POSITION,
        Column("content_type", TEXT, "its Content-Type", nullable=False),
        Column(
            "redelivered", FLAG, "whether `redeliver` sent it, and not ClickPost", nullable=False
        ),
        _ENCODING,
        Column("body", TEXT, "the body as received, inflated where it was gzip", nullable=False),
    ),
)

WEBHOOK_EVENTS = Table(
    "webhook_events",
    "event of a return that webhooks of the hour brought, however often",
    (
        Column("event_id", TEXT, "a digest of what identifies the event", nullable=False),
        Column(REFERENCE.name, TEXT, "ClickPost's unique number of the return", nullable=False),
        Column(REQUESTED_AT.name, TIME, "when the return was requested", nullable=False),
        Column(
            "requested_at_from",
            TEXT,
            "where that was read: request_placed_time, timestamp or reference",
            nullable=False,
        ),
        Column("event_at", TIME, "the payload's own `timestamp`"),
        Column(
            "is_placed", FLAG, "whether it is the event that a return was placed", nullable=False
        ),
        Column("clickpost_status_code", NUMBER, "ClickPost tracking status"),
        Column("notification_event", NUMBER, "notification event; 11 is return placed"),
        Column("waybill", TEXT, "air waybill"),
        Column("cp_id", NUMBER, "the courier; -1 becomes null"),
        Column("account_code", TEXT, "account with the courier"),
        Column("remark", TEXT, "remark of the courier"),
        Column("self_shipped", FLAG, "whether the customer ships it back"),
        Column("source", TEXT, "where the return was requested"),
        Column("first_received_at", TIME, "first delivery by ClickPost; null where there is none"),
        Column("deliveries", NUMBER, "deliveries by ClickPost in this hour", nullable=False),
        Column("redelivered", NUMBER, "deliveries by `redeliver` in this hour", nullable=False),
        Column("shape", TEXT, "bare, or wrapped in payload and internal", nullable=False),
        QUALITY,
    ),
)

REJECTED_WEBHOOKS = Table(
    "rejected_webhooks",
    "delivery of the hour that cannot be used",
    (
        _RECEIVED_AT,
        _INSTANCE,
        _POSITION,
        Column("reason", TEXT, "why it cannot be used", nullable=False),
        _ENCODING,
        Column("body", TEXT, "the body as received", nullable=False),
    ),
)

WEBHOOK_MATCHES = Table(
    "webhook_matches",
    "return requested in the hour, by whichever source",
    (
        Column(REFERENCE.name, TEXT, "ClickPost's unique number of the return", nullable=False),
        Column(
            REQUESTED_AT.name, TIME, "when it was requested; a poll's time wins", nullable=False
        ),
        Column("first_polled_at", TIME, "first kept poll that served it"),
        Column("first_received_at", TIME, "first webhook of ClickPost that it was placed"),
        Column("lag_s", NUMBER, "whole seconds from the request to that webhook"),
        Column("deliveries", NUMBER, "deliveries of that webhook by ClickPost", nullable=False),
        Column("redelivered", NUMBER, "deliveries of it by `redeliver`", nullable=False),
        Column("differs", TEXTS, "columns in which webhook and poll disagree", nullable=False),
        Column("verdict", TEXT, "both, poll_only, webhook_only or undecided", nullable=False),
    ),
)

_COUNTS = (
    Column("returns", NUMBER, "returns requested, by whichever source", nullable=False),
    Column("both", NUMBER, "those that both brought; SQL wants the name quoted", nullable=False),
    Column("poll_only", NUMBER, "those whose webhook was lost", nullable=False),
    Column("webhook_only", NUMBER, "those that polls lack", nullable=False),
    Column("undecided", NUMBER, "those for which it is too early", nullable=False),
    Column("deliveries", NUMBER, "deliveries that a return was placed", nullable=False),
    Column("doubled", NUMBER, "those of them beyond the first of each return", nullable=False),
    Column(
        "late",
        NUMBER,
        "returns whose webhook came after RETURNS_WEBHOOK_LOST_AFTER_HOURS",
        nullable=False,
    ),
    Column("lag_p50_s", NUMBER, "seconds from request to webhook that half of them took"),
    Column("lag_p90_s", NUMBER, "the same for 90 of 100"),
    Column("lag_p99_s", NUMBER, "the same for 99 of 100"),
    Column("lag_max_s", NUMBER, "the longest"),
    Column("rate", RATE, "both / (both + poll_only); null where nothing is decided"),
    Column(
        "listening_s",
        NUMBER,
        "seconds in which a receiver could take webhooks, or that an imported file covers",
        nullable=False,
    ),
)
WEBHOOK_DELIVERY_HOURLY = Table(
    "webhook_delivery_hourly",
    "hour",
    (Column("hour_start", TIME, "begin of the UTC hour", nullable=False), *_COUNTS),
)
WEBHOOK_DELIVERY_DAILY = Table(
    "webhook_delivery_daily",
    "day",
    (Column("day", DAY, "the day in RETURNS_REPORT_TIME_ZONE", nullable=False), *_COUNTS),
)
