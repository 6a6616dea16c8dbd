"""Tables of webhooks: the deliveries as received."""

from __future__ import annotations

from returns_orchestration.tables.columns import FLAG, NUMBER, TEXT, TIME, Column, Table

RECEIVED_AT = Column("received_at", TIME, "when its body was complete", nullable=False)
INSTANCE = Column("instance", TEXT, "the receiver it came to, by its spool", nullable=False)
NUMBER_THERE = Column("position", NUMBER, "its number in that receiver", nullable=False)
BODY_ENCODING = Column("encoding", TEXT, "base64 where the body is no UTF-8 text, else null")

RAW_WEBHOOKS = Table(
    "raw_webhooks",
    "delivery of a webhook that was answered with 200",
    (
        RECEIVED_AT,
        INSTANCE,
        NUMBER_THERE,
        Column("content_type", TEXT, "its Content-Type", nullable=False),
        Column(
            "redelivered",
            FLAG,
            "whether `redeliver` sent it, and not ClickPost",
            nullable=False,
        ),
        BODY_ENCODING,
        Column("body", TEXT, "the body as received, inflated where it was gzip", nullable=False),
    ),
)
