"""Tables of all time: one file each, made again once a day."""

from __future__ import annotations

from returns_orchestration.tables.columns import FLAG, NUMBER, TEXT, TIME, Column, Table
from returns_orchestration.tables.returns import REFERENCE, REQUESTED_AT

LATENESS = Table(
    "lateness",
    "age of a poll in hours, to show how late returns came",
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
OPEN_RETURNS = Table(
    "open_returns",
    "return that has not ended, as far as is known",
    (
        REFERENCE,
        REQUESTED_AT,
        Column("as_of", TIME, "the end of the newest complete hour", nullable=False),
        Column("age_h", NUMBER, "whole hours from the request to `as_of`", nullable=False),
        Column("state", TEXT, "its newest state in `return_states`; null where none was given"),
        Column("since", TIME, "since when; null where that was unreadable"),
        Column("cp_name", TEXT, "the courier"),
        Column("awb", TEXT, "air waybill number of its first piece"),
        Column(
            "last_looked_at",
            TIME,
            "when its hour was last polled, or the return last served; null for a return that "
            "only a webhook brought",
        ),
        Column("stale", FLAG, "its hour was due to be polled again at `as_of`", nullable=False),
        Column(
            "stuck",
            TEXT,
            "no courier, no pickup or no new state, by RETURNS_STUCK_HOURS; null where it is not",
        ),
    ),
)

OF_ALL_TIME = (LATENESS, OPEN_RETURNS)
"""All of them, in the order they are made."""
