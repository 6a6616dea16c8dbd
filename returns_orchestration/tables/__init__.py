"""Every table of the lake: its grain, and each column's type, nullability, meaning and origin.

The one source of the files' schemas, of the documented tables and of Dagster's column metadata, and
of where in a record of the API a value is read.
"""

from __future__ import annotations

from returns_orchestration.tables.alerts import ALERTS, UTC_DAYS
from returns_orchestration.tables.columns import (
    DAY,
    FLAG,
    NUMBER,
    TEXT,
    TEXTS,
    TIME,
    TYPE_NAMES,
    Column,
    Table,
)
from returns_orchestration.tables.counts import (
    AGGREGATES,
    LATENESS,
    REFUND_MODES,
    RETURN_REASONS,
    Aggregate,
)
from returns_orchestration.tables.returns import (
    ADDITIONAL,
    ITEM,
    LATEST,
    RAW_RETURNS,
    RECORD,
    REFERENCE,
    REJECTED_RETURNS,
    REQUESTED_AT,
    RETURN_ITEMS,
    RETURNS,
    WEBHOOK,
)
from returns_orchestration.tables.webhooks import RAW_WEBHOOKS

__all__ = [
    "ADDITIONAL",
    "AGGREGATES",
    "ALERTS",
    "BY_NAME",
    "DAY",
    "FLAG",
    "ITEM",
    "LATENESS",
    "LATEST",
    "MADE_DAILY",
    "MADE_HOURLY",
    "NUMBER",
    "RAW_RETURNS",
    "RAW_WEBHOOKS",
    "RECORD",
    "REFERENCE",
    "REFUND_MODES",
    "REJECTED_RETURNS",
    "REQUESTED_AT",
    "RETURNS",
    "RETURN_ITEMS",
    "RETURN_REASONS",
    "TABLES",
    "TEXT",
    "TEXTS",
    "TIME",
    "TYPE_NAMES",
    "UTC_DAYS",
    "WEBHOOK",
    "Aggregate",
    "Column",
    "Table",
]

MADE_HOURLY = (
    RETURNS,
    RETURN_ITEMS,
    *(aggregate.hourly for aggregate in AGGREGATES),
    REJECTED_RETURNS,
)
"""The tables made from raw_returns for one hour, in the order they are made."""

MADE_DAILY = tuple(aggregate.daily for aggregate in AGGREGATES)
"""The tables made from the rows of `returns` and `return_items` for one day."""

TABLES = (RAW_RETURNS, *MADE_HOURLY, *MADE_DAILY, LATENESS, RAW_WEBHOOKS, ALERTS)
"""Every table of the lake, in flow order."""

BY_NAME = {table.name: table for table in TABLES}
