"""By which rules tables are made: the version of the conversions, and the columns of the tables.

What was made names the rules of its time. Where those of today differ it is outdated and made again
from raw, without a call. So whoever changes what a record becomes raises ``VERSION``; a test holds
what the conversions give for a set of odd records and fails where that was forgotten. A change of
columns is seen without.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple

from returns_orchestration import tables
from returns_orchestration.lake.journal import FORMAT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from returns_orchestration.tables import Table

VERSION: Final = 2
"""Raised by one with every change of what the stages make of the same polls."""


class Rules(NamedTuple):
    """Digests of the rules by which hours and days are made, eight digits each."""

    hours: str
    days: str

    @classmethod
    def of_today(cls) -> Rules:
        """Those of this release."""
        return cls(_digest(tables.MADE_HOURLY), _digest(tables.MADE_DAILY))


def _digest(made: Iterable[Table]) -> str:
    lines = [f"format {FORMAT}, version {VERSION}"]
    for table in made:
        lines += [f"{table.name} {column.name} {column.type_name}" for column in table.columns]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:8]
