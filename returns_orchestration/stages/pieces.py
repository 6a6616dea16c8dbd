"""The pieces of one return, each found by its values without a look at all the others.

A return may have thousands of pieces, and each served record is compared with all known ones: by
AWB and tracking id, and by the skus of its items, in any order. So an index holds every piece under
each of these, and gives the first in order at once.

What lives here: matching a record with a known piece. What does not: folding two copies of a piece,
and their order (``ownership.py``, the only caller).
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final

from returns_orchestration.stages.typing import ITEM_FIELDS, RETURN_FIELDS

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator

    from returns_orchestration.stages.typing import Typed

AWB: Final = next(i for i, c in enumerate(RETURN_FIELDS) if c.name == "awb")
TRACKING: Final = next(i for i, c in enumerate(RETURN_FIELDS) if c.name == "return_tracking_id")
SKU: Final = next(i for i, c in enumerate(ITEM_FIELDS) if c.name == "sku")
"""Their positions in Typed.values and Item.values."""

_ANY: Final = ("any",)
_NO_ITEMS: Final = ("skus",)


class Pieces:
    """Pieces in the order they were added; iterating gives those that are left.

    A piece's place is its number in that order, and stays when others are taken. Every operation
    takes a time that grows with the logarithm of their number.
    """

    def __init__(self, pieces: Iterable[Typed] = ()) -> None:
        """Begin with ``pieces``."""
        self._pieces: dict[int, Typed] = {}
        self._added = 0
        # Places by key, the first on top. One that was taken, or holds something else by now, is
        # dropped when it comes to the top.
        self._places: dict[Hashable, list[int]] = {}
        self._keys: dict[int, frozenset[Hashable]] = {}
        for piece in pieces:
            self.add(piece)

    def __iter__(self) -> Iterator[Typed]:
        """Those that were not taken, in order."""
        return iter(self._pieces.values())

    def add(self, piece: Typed) -> None:
        """Put ``piece`` behind all others."""
        self._put(self._added, piece)
        self._added += 1

    def renew(self, place: int, piece: Typed) -> None:
        """Put ``piece`` in the place of another."""
        self._put(place, piece)

    def take(self, place: int) -> Typed:
        """Take the piece at ``place`` out."""
        del self._keys[place]
        return self._pieces.pop(place)

    def __getitem__(self, place: int) -> Typed:
        """The piece at ``place``."""
        return self._pieces[place]

    def same(self, record: Typed) -> int | None:
        """The first with the same AWB and tracking id, else the first that does not differ.

        A null on one side is no difference; but items of both sides must have a sku in common.
        """
        awb, tracking = record.values[AWB], record.values[TRACKING]
        equal = self._first(("both", awb, tracking))
        if awb is None and tracking is None:
            return self._of_items(record)
        if equal is not None:
            return equal
        if tracking is None:
            place = self._first(("awb", awb), ("awb", None))
        elif awb is None:
            place = self._first(("tracking", tracking), ("tracking", None))
        else:
            place = self._first(("both", awb, None), ("both", None, tracking), ("both", None, None))
        return place if place is None or _may_be_one(self._pieces[place], record) else None

    def _of_items(self, record: Typed) -> int | None:
        """The first with the same skus, or without items; else the first with one of the skus."""
        if not record.items:
            return self._first(_ANY)
        alike = self._first(_skus(record), _NO_ITEMS)
        return self._first(*_each_sku(record)) if alike is None else alike

    def of_tracking(self, piece: Typed) -> int | None:
        """The first with the tracking id of ``piece``, whatever its AWB."""
        tracking = piece.values[TRACKING]
        return None if tracking is None else self._first(("tracking", tracking))

    def of_awb(self, piece: Typed) -> int | None:
        """The first with the AWB of ``piece``, whatever its tracking id."""
        awb = piece.values[AWB]
        return None if awb is None else self._first(("awb", awb))

    def of_skus(self, piece: Typed) -> int | None:
        """The first with the same skus as ``piece``, as far as both have items."""
        return self._first(_skus(piece), _NO_ITEMS) if piece.items else self._first(_ANY)

    def any(self, _: Typed) -> int | None:
        """The first of all."""
        return self._first(_ANY)

    def _put(self, place: int, piece: Typed) -> None:
        keys = _keys_of(piece)
        for key in keys - self._keys.get(place, frozenset()):
            heappush(self._places.setdefault(key, []), place)
        self._keys[place] = keys
        self._pieces[place] = piece

    def _first(self, *keys: Hashable) -> int | None:
        """The first place under any of ``keys``."""
        found = []
        for key in keys:
            places = self._places.get(key, [])
            while places and key not in self._keys.get(places[0], ()):
                heappop(places)
            found += places[:1]
        return min(found, default=None)


def _keys_of(piece: Typed) -> frozenset[Hashable]:
    awb, tracking = piece.values[AWB], piece.values[TRACKING]
    return frozenset(
        (
            ("both", awb, tracking),
            ("awb", awb),
            ("tracking", tracking),
            _skus(piece),
            *_each_sku(piece),
            _ANY,
        )
    )


def _each_sku(piece: Typed) -> set[Hashable]:
    return {("sku", item.values[SKU]) for item in piece.items}


def _may_be_one(piece: Typed, record: Typed) -> bool:
    """Whether both can be one piece by their items."""
    if not piece.items or not record.items:
        return True
    return bool(_each_sku(piece) & _each_sku(record))


def _skus(piece: Typed) -> Hashable:
    return ("skus", *sorted(str(item.values[SKU]) for item in piece.items))
