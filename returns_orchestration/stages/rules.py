"""The rules by which tables are made: the version of the conversions, and the tables' columns.

A made entry names the rules of its time. Where those of today differ, its tables are outdated and
made again from raw, without a call. So a change of the conversions must raise ``VERSION``; a test
holds the results of the conversions for a set of odd records and fails where that was forgotten. A
change of columns shows without it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple

from returns_orchestration import tables
from returns_orchestration.lake.journal import FORMAT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from returns_orchestration.tables import Table

VERSION: Final = 4
"""Raised by one with every change of the tables that the stages make of the same polls."""


class Rules(NamedTuple):
    """Digests, eight digits each, of the rules by which hours, days and webhooks are made."""

    hours: str
    days: str
    webhooks: str

    @classmethod
    def of_today(cls) -> Rules:
        """Those of this release."""
        of_webhooks = (*tables.WEBHOOKS_RECEIVED, *tables.WEBHOOKS_MATCHED, *tables.WEBHOOKS_DAILY)
        made = (tables.MADE_HOURLY, tables.MADE_DAILY, of_webhooks)
        return cls(*map(_digest, made))


def _digest(made: Iterable[Table]) -> str:
    lines = [f"format {FORMAT}, version {VERSION}"]
    for table in made:
        lines += [f"{table.name} {column.name} {column.type_name}" for column in table.columns]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:8]
