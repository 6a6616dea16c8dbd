"""The facts that a perfect reader of the API would find about a return at a moment, for tests.

Made from the planned values, never by reading a record back, so that an error in spelling and an
error in reading cannot cancel out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from returns_orchestration.simulator.moments import Micros, from_micros
from returns_orchestration.simulator.records import awb_number, piece_count

if TYPE_CHECKING:
    from datetime import datetime

    from returns_orchestration.simulator.contents import Contents, Item
    from returns_orchestration.simulator.planning import PlannedReturn

_UNREADABLE_TIMESTAMP = "unreadable-timestamp"


@dataclass(frozen=True, slots=True)
class TrueItem:
    """One item; texts trimmed and inner white space folded, None for unknown values."""

    sku: str
    quantity: int | None
    return_reason: str | None
    refund_mode: str | None


@dataclass(frozen=True, slots=True)
class TrueReturn:
    """One return request at a moment.

    reference     unique; the record of an unusable return may not show it
    requested_at  aware UTC, microseconds
    visible_at    when the API began to show it
    status        NEW_CASE or SUCCESS
    refund_mode   of the return itself, folded like an item's texts
    awb_at        the first piece's, None before it exists or where a record cannot show it
    awbs          one for each piece, empty before they exist
    pieces        records that differ; 1 before the AWBs exist
    items         all of them, once each, in the order of the pieces; empty where not shown
    oddity        its name, or ""
    usable        False: no reference or no readable request time, to be rejected
    """

    reference: str
    requested_at: datetime
    visible_at: datetime
    status: str
    refund_mode: str | None
    awb_at: datetime | None
    awbs: tuple[str, ...]
    pieces: int
    items: tuple[TrueItem, ...]
    oddity: str
    usable: bool

    @property
    def quantity(self) -> int:
        """The sum of the known quantities."""
        return sum(item.quantity or 0 for item in self.items)


def folded(text: str | None) -> str | None:
    """Text without outer and with single inner blanks; None for no text and for `None`."""
    if text is None:
        return None
    clean = " ".join(text.split())
    return None if clean in {"", "None"} else clean


def true_return(planned: PlannedReturn, contents: Contents, at: Micros) -> TrueReturn:
    """The truth about a planned return at a moment."""
    assigned = planned.assigned(at)
    pieces = piece_count(planned, at)
    items: list[Item] = []
    if not contents.items_hidden and (pieces == 1 or not planned.own_items):
        items = contents.items
    elif not contents.items_hidden:
        for piece in range(pieces):
            items.extend(contents.shown_items(piece, pieces, own=True))
    awb_at = planned.awb if assigned and planned.oddity != _UNREADABLE_TIMESTAMP else None
    return TrueReturn(
        reference=planned.reference,
        requested_at=from_micros(planned.requested),
        visible_at=from_micros(planned.visible),
        status="SUCCESS" if assigned else "NEW_CASE",
        refund_mode=folded(contents.refund_mode),
        awb_at=None if awb_at is None else from_micros(awb_at),
        awbs=tuple(awb_number(planned, piece) for piece in range(pieces)) if assigned else (),
        pieces=pieces,
        items=tuple(
            TrueItem(item.sku, item.quantity, folded(item.reason), folded(item.refund_mode))
            for item in items
        ),
        oddity=planned.oddity,
        usable=not planned.unusable,
    )
