"""The table of alerts: every change of an incident, every message, every attempt to deliver one.

An incident's rows in order: `opened`, `grew` for each time it concerned more, `notified` with the
message, `resolved`, `resolution notified` with the message that it is over. Between them, for each
message and channel, `failed` for each failed attempt, and `delivered`; `dropped` where a channel
left the settings with messages waiting. An incident that is only listed has no `notified`.
In rows of releases before 0.3 `told`, `closed` and `told over` stand for `notified`, `resolved` and
`resolution notified`.

Files are by UTC day, `<lake>/alerts/date=YYYY-MM-DD/`, one for each look that had something to
note; a file is never replaced.
"""

from __future__ import annotations

from typing import Final
from zoneinfo import ZoneInfo

from returns_orchestration.tables.columns import NUMBER, TEXT, TIME, Column, Table

UTC_DAYS: Final = ZoneInfo("UTC")
"""The days of its folders."""

ALERTS = Table(
    "alerts",
    "event in the history of all alerts",
    (
        Column("noted_at", TIME, "when it happened", nullable=False),
        Column(
            "event",
            TEXT,
            "opened, grew, notified, resolved, resolution notified; delivered, failed, dropped",
            nullable=False,
        ),
        Column("incident", NUMBER, "the incident's number"),
        Column("kind", TEXT, "the incident's kind, as `returns-orchestration incidents` lists it"),
        Column("subject", TEXT, "what it is about, where a kind has several"),
        Column("severity", TEXT, "urgent, problem or notice"),
        Column("size", NUMBER, "hours or days concerned"),
        Column("channel", TEXT, "the channel of an attempt, by its scheme and number"),
        Column("text", TEXT, "the message, or why an attempt failed"),
    ),
)
