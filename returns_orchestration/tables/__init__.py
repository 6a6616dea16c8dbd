"""Every table of the lake: its grain, and each column's type, nullability, meaning and origin.

The one source of the files' schemas, of the documented tables and of Dagster's column metadata, and
of where in a record of the API a value is read.
"""

from __future__ import annotations

from returns_orchestration.tables.alerts import ALERTS, UTC_DAYS
from returns_orchestration.tables.all_time import LATENESS, OF_ALL_TIME, OPEN_RETURNS
from returns_orchestration.tables.columns import (
    DAY,
    FLAG,
    NUMBER,
    RATE,
    TEXT,
    TEXTS,
    TIME,
    TYPE_NAMES,
    Column,
    Table,
)
from returns_orchestration.tables.counts import (
    AGGREGATES,
    REFUND_MODES,
    RETURN_REASONS,
    Aggregate,
)
from returns_orchestration.tables.days import (
    COURIERS_DAILY,
    FUNNEL_DAILY,
    OF_DAYS,
    RETURN_ITEMS_DAILY,
    RETURNS_DAILY,
    SKUS_DAILY,
)
from returns_orchestration.tables.returns import (
    ADDITIONAL,
    ITEM,
    LATEST,
    PICKUP,
    RAW_RETURNS,
    RECORD,
    REFERENCE,
    REJECTED_RETURNS,
    REQUESTED_AT,
    RETURN_ITEMS,
    RETURN_STATES,
    RETURNS,
    WEBHOOK,
)
from returns_orchestration.tables.webhooks import (
    RAW_WEBHOOKS,
    REJECTED_WEBHOOKS,
    WEBHOOK_DELIVERY_DAILY,
    WEBHOOK_DELIVERY_HOURLY,
    WEBHOOK_EVENTS,
    WEBHOOK_MATCHES,
)

__all__ = [
    "ADDITIONAL",
    "AGGREGATES",
    "ALERTS",
    "BY_NAME",
    "COURIERS_DAILY",
    "DAY",
    "FLAG",
    "FUNNEL_DAILY",
    "ITEM",
    "LATENESS",
    "LATEST",
    "MADE_DAILY",
    "MADE_HOURLY",
    "NUMBER",
    "OF_ALL_TIME",
    "OF_DAYS",
    "OF_WEBHOOKS",
    "OPEN_RETURNS",
    "PICKUP",
    "RATE",
    "RAW_RETURNS",
    "RAW_WEBHOOKS",
    "RECORD",
    "REFERENCE",
    "REFUND_MODES",
    "REJECTED_RETURNS",
    "REJECTED_WEBHOOKS",
    "REQUESTED_AT",
    "RETURNS",
    "RETURNS_DAILY",
    "RETURN_ITEMS",
    "RETURN_ITEMS_DAILY",
    "RETURN_REASONS",
    "RETURN_STATES",
    "SKUS_DAILY",
    "TABLES",
    "TEXT",
    "TEXTS",
    "TIME",
    "TYPE_NAMES",
    "UTC_DAYS",
    "WEBHOOK",
    "WEBHOOKS_DAILY",
    "WEBHOOKS_MATCHED",
    "WEBHOOKS_RECEIVED",
    "WEBHOOK_DELIVERY_DAILY",
    "WEBHOOK_DELIVERY_HOURLY",
    "WEBHOOK_EVENTS",
    "WEBHOOK_MATCHES",
    "Aggregate",
    "Column",
    "Table",
]

MADE_HOURLY = (
    RETURNS,
    RETURN_ITEMS,
    RETURN_STATES,
    *(aggregate.hourly for aggregate in AGGREGATES),
    REJECTED_RETURNS,
)
"""The tables made from raw_returns for one hour, in the order they are made."""

MADE_DAILY = (*(aggregate.daily for aggregate in AGGREGATES), *OF_DAYS)
"""The tables made for one day from the rows of `returns`, `return_items` and `return_states`."""

WEBHOOKS_RECEIVED = (WEBHOOK_EVENTS, REJECTED_WEBHOOKS)
"""The tables made of the webhooks that came in one hour."""

WEBHOOKS_MATCHED = (WEBHOOK_MATCHES, WEBHOOK_DELIVERY_HOURLY)
"""The tables that compare webhooks and polls about the returns requested in one hour."""

WEBHOOKS_DAILY = (WEBHOOK_DELIVERY_DAILY,)
"""The table that does so for one day."""

OF_WEBHOOKS = (RAW_WEBHOOKS, *WEBHOOKS_RECEIVED, *WEBHOOKS_MATCHED, *WEBHOOKS_DAILY)
"""Every table of webhooks; a lake without a receiver has none of them."""

TABLES = (RAW_RETURNS, *MADE_HOURLY, *MADE_DAILY, *OF_ALL_TIME, *OF_WEBHOOKS, ALERTS)
"""Every table of the lake, in flow order."""

BY_NAME = {table.name: table for table in TABLES}
