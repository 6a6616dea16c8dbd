"""What each poll and webhook held of one return, and how that differs from the one before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from returns_orchestration import tables
from returns_orchestration.stages.ownership import fold, items_frame, returns_frame

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from returns_orchestration.stages.ownership import Copy, Source
    from returns_orchestration.state.return_sources import RejectedRecords, SourceCopies
    from returns_orchestration.state.sought_return import Row

OWN: Final = ("sources", "first_polled_at", "last_polled_at")
"""Columns about the sources, which are in no record."""

OF_POLLS: Final = frozenset(
    column.name for column in tables.RETURNS.columns if column.place == tables.RECORD
) - {tables.REFERENCE.name, tables.REQUESTED_AT.name} | {"awbs"}
"""Columns that webhooks cannot give: they have not lost them."""


@dataclass(frozen=True, slots=True)
class ServedCopy:
    """What one poll or webhook held of the return, and how that differs from the one before.

    ``row`` and ``items`` are what the tables would hold by this one alone; ``row`` is None where
    its records were rejected. ``changed`` has, by column, the value before and now; None before is
    the first one, in which nothing changed. ``repeated_at`` is when a later reply of this window
    held the same once more while another window held something else. ``records`` are as received,
    ``received_at`` is when a webhook came.
    """

    source: Source
    row: Row | None
    items: list[Row]
    changed: dict[str, tuple[object, object]]
    items_changed: bool
    records: list[str]
    rejected: list[str]
    repeated_at: datetime | None = None
    received_at: datetime | None = None

    @property
    def at(self) -> datetime:
        """By what it is ordered: when it was sent, or repeated; as of when a webhook speaks."""
        return self.repeated_at or self.source.at


def served_copies(
    sources: Iterable[SourceCopies], rejected: Iterable[RejectedRecords]
) -> list[ServedCopy]:
    """What each of ``sources``, oldest first, held; with the records that were rejected."""
    before: tuple[Row, list[Row]] | None = None
    found: list[ServedCopy] = []
    for of in sources:
        row, items = row_and_items(of.copies)
        old = before or (row, items)
        changed = {
            name: (old[0][name], value)
            for name, value in row.items()
            if name not in OWN
            and old[0][name] != value
            and not (of.source.kind == "webhook" and name in OF_POLLS)
        }
        copy = ServedCopy(
            source=of.source,
            row=row,
            items=items,
            changed=changed,
            items_changed=_contents(old[1]) != _contents(items),
            records=of.records,
            rejected=[],
            repeated_at=of.repeated_at,
            received_at=of.received_at,
        )
        before = row, items
        found.append(copy)
    _add_rejected(found, rejected)
    return sorted(found, key=lambda copy: (copy.at, copy.source.window))


def row_and_items(copies: list[Copy]) -> tuple[Row, list[Row]]:
    """The row of `returns` and the rows of `return_items` that ``copies`` make."""
    found = [fold(copies)]
    return returns_frame(found).row(0, named=True), items_frame(found).rows(named=True)


def _add_rejected(found: list[ServedCopy], rejected: Iterable[RejectedRecords]) -> None:
    """The records that were rejected, with the copy of the same poll where there is one."""
    for of in rejected:
        same = [n for n, copy in enumerate(found) if copy.source == of.source]
        if same and not of.is_repeated:
            at = same[0]
            both = [*found[at].records, *of.records]
            found[at] = replace(found[at], records=both, rejected=of.reasons)
        else:
            found.append(
                ServedCopy(
                    of.source,
                    row=None,
                    items=[],
                    changed={},
                    items_changed=False,
                    records=of.records,
                    rejected=of.reasons,
                )
            )


def _contents(items: list[Row]) -> list[Row]:
    """Items without the request time of their return."""
    return [
        {name: v for name, v in item.items() if name != tables.REQUESTED_AT.name} for item in items
    ]
