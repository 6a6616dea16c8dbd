"""The hour that a return belongs to, and the folding of its copies into one return.

Ownership: a return lives in the hour it was requested in, by its newest copy, if that hour has been
polled; if not, in the earliest polled window that served it so. So it lives in one hour, whichever
end of a window the API includes, whichever of a record's two times it filters on, and in whatever
order the hours were polled. An hour's rows therefore depend on the polls of its own window, and on
those of the few windows that served a record requested in it, or a return that moved between the
two: the journal keeps a mark for each (``from`` and ``to``). ``copies.py`` applies it.

A webhook that says that a return was placed is a copy, too, served by the hour that it names as
that of the request. Where a poll has the return, the poll's request time wins.

Folding: the copies of one return are read in the order of the times as of which they speak. Within
one poll, records with different AWBs or tracking ids are its pieces; other copies are the same
piece, the later one newer. A piece of a newer poll is the known one with its AWB and tracking id,
else with one of them, else with the same items; a return that has one piece and is served as one
record stays one piece. A newer value wins, a null never erases, and a piece that a newer poll no
longer serves stays. Webhooks make pieces only until a poll does; later ones add values to these.
"""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from returns_orchestration import tables
from returns_orchestration.stages.pieces import AWB, SKU, Pieces
from returns_orchestration.stages.typing import ITEM_FIELDS, RETURN_FIELDS, Item, Typed

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence
    from datetime import datetime

    import polars as pl

    from returns_orchestration.lake import Poll
    from returns_orchestration.stages.states import State
    from returns_orchestration.window import Window

_ITEM_PLACES: Final = (*(column.name for column in ITEM_FIELDS), tables.ITEM)


AT_ONCE: Final = timedelta(minutes=10)
"""Every poll lands within this time after it was sent."""


REACH: Final = timedelta(days=31)
"""The longest distance between two hours that hold one return; further apart they hold two."""


def hash_of(reference: str) -> bytes:
    """Eight bytes that show whether two hours hold one return."""
    return hashlib.blake2b(reference.encode(errors="surrogatepass"), digest_size=8).digest()


def in_order(polls: Iterable[Poll]) -> list[tuple[datetime, Poll]]:
    """The polls of one window, oldest first, each with the time that orders it.

    The order is that of sending, as of two polls at once the later may land first. A poll that
    landed later and is far older by its time is still the newer one: a wrong clock gave one of the
    two times.
    """
    found: list[tuple[datetime, Poll]] = []
    for poll in sorted(polls, key=lambda poll: poll.number):
        latest = max((at for at, _ in found), default=poll.polled_at)
        found.append((latest if latest - poll.polled_at > AT_ONCE else poll.polled_at, poll))
    return sorted(found, key=lambda pair: (pair[0], pair[1].number))


OfSource = tuple["datetime", bool, "Window", int]


class Source(NamedTuple):
    """The source of a copy: the ``number``-th poll of ``window``, and when it was sent.

    Or webhooks about returns requested in ``window``, ``at`` the time as of which they speak and 0
    their number. ``first`` is the number of the window's first poll that is kept.
    """

    kind: Literal["poll", "webhook"]
    window: Window
    number: int
    at: datetime
    first: int = 1


@dataclass(frozen=True, slots=True)
class Copy:
    """One usable record, its source, and its position in that source.

    ``served_at`` is the time that orders it: that of a later reply that repeated it, or the
    source's own.
    """

    source: Source
    served_at: datetime
    position: int
    typed: Typed

    @property
    def is_polled(self) -> bool:
        """Whether a poll served it."""
        return self.source.kind == "poll"

    @property
    def order(self) -> tuple[datetime, bool, Window, int, int]:
        """Oldest first, webhooks before polls; two windows polled at once in their own order."""
        return (*self.of_source, self.position)

    @property
    def of_source(self) -> OfSource:
        """The key that the copies of one source, served at one time, have in common."""
        return self.served_at, self.is_polled, self.source.window, self.source.number


@dataclass(slots=True)
class Return:
    """One row of `returns` with its items: all copies of one return, folded.

    ``windows`` served it by polls or webhooks, ``polled_in`` by polls.
    """

    reference: str
    requested_at: datetime
    pieces: list[Typed]
    windows: frozenset[Window]
    polled_in: frozenset[Window]
    sources: list[str]
    first_polled_at: datetime | None
    last_polled_at: datetime | None
    late: bool
    states: Sequence[State] = ()
    quality: frozenset[str] = field(default_factory=frozenset)

    @property
    def awbs(self) -> list[str]:
        """The air waybills of its pieces, in the order served."""
        return [str(p.values[AWB]) for p in self.pieces if p.values[AWB] is not None]

    @property
    def items(self) -> list[Item]:
        """The items of all pieces; a list that is the same on two pieces counts once."""
        if len(self.pieces) == 1:
            return list(self.pieces[0].items)
        lists: dict[Hashable, tuple[Item, ...]] = {}
        for piece in self.pieces:
            lists.setdefault(_contents(piece.items), piece.items)
        return [item for items in lists.values() for item in items]


def fold(copies: list[Copy]) -> Return:
    """All copies of one reference, from any polls and webhooks of any windows, as one return."""
    ordered = sorted(copies, key=lambda copy: copy.order) if len(copies) > 1 else copies
    polled = [copy for copy in ordered if copy.is_polled]
    pieces: list[Typed] = []
    is_polled = False
    for _, group in groupby(ordered, key=lambda copy: copy.of_source):
        of_source = list(group)
        served = _pieces_of_one_poll([copy.typed for copy in of_source])
        if not of_source[0].is_polled:
            pieces = _told_after(pieces, served) if is_polled else _pieces_after(pieces, served)
            continue
        pieces = _pieces_after(pieces, served)
        if not is_polled:  # the first poll says how many there are
            pieces, is_polled = pieces[: len(served)], True
    heads = polled or ordered
    newest = heads[-1].of_source
    return Return(
        reference=ordered[-1].typed.reference,
        # The latest of the newest poll, as for its home: else a row could lie in another day.
        requested_at=max(c.typed.requested_at for c in heads if c.of_source == newest),
        pieces=pieces,
        windows=frozenset(copy.source.window for copy in ordered),
        polled_in=frozenset(copy.source.window for copy in polled),
        sources=sorted({copy.source.kind for copy in ordered}),
        first_polled_at=polled[0].source.at if polled else None,
        last_polled_at=max((copy.source.at for copy in polled), default=None),
        late=bool(polled) and polled[0].source.number > polled[0].source.first,
        quality=frozenset().union(*(piece.quality for piece in pieces)),
    )


def _pieces_of_one_poll(records: list[Typed]) -> list[Typed]:
    if len(records) == 1:  # nearly always
        return records
    pieces = Pieces()
    for record in records:
        same = pieces.same(record)
        if same is None:
            pieces.add(record)
        else:
            pieces.renew(same, _newer_wins(pieces[same], record))
    return list(pieces)


def _pieces_after(known: list[Typed], served: list[Typed]) -> list[Typed]:
    """The pieces after a newer poll: matched by AWB and tracking id, then by their items.

    The surest matches are made first. A new AWB takes the place of one that is no longer served (a
    courier was assigned or changed) if it carries the same items, as far as both list them. Known
    pieces without a match stay, after those served; if they shared a list of items with a served
    piece, they get its newer list, too.
    """
    if not known:
        return served
    left = Pieces(known)
    ways = [left.same, left.of_tracking, left.of_awb, left.of_skus]
    if len(known) == len(served) == 1:
        ways.append(left.any)
    older: dict[int, Typed] = {}
    for find in ways:
        for at, piece in enumerate(served):
            place = None if at in older else find(piece)
            if place is not None:
                older[at] = left.take(place)
    result = [
        _newer_wins(older[at], piece) if at in older else piece for at, piece in enumerate(served)
    ]
    unserved = list(left)
    if unserved:
        newer = {_contents(older[at].items): result[at].items for at in sorted(older)}
        result += [replace(p, items=newer.get(_contents(p.items), p.items)) for p in unserved]
    return result


def _told_after(polled: list[Typed], told: list[Typed]) -> list[Typed]:
    """The pieces that polls served, with the values of webhooks that speak as of later.

    What a webhook says of none of them is left out; its skus tell of which.
    """
    pieces = Pieces(polled)
    for piece in told:
        place = pieces.same(piece)
        if place is None and len(polled) == len(told) == 1:
            place = pieces.any(piece)
        if place is not None:
            before = pieces[place]
            absent = {
                column.name
                for column, value in zip(RETURN_FIELDS, piece.values, strict=True)
                if value is None
            }
            merged = _newer_wins(before, piece)
            quality = merged.quality | (before.quality & absent)
            pieces.renew(place, replace(merged, quality=quality))
    return list(pieces)


def _contents(items: tuple[Item, ...]) -> Hashable:
    """The content of a list of items, in any order."""
    return tuple(sorted((item.values for item in items), key=repr))


def _newer_wins(older: Typed, newer: Typed) -> Typed:
    """The newer copy, with the older one's value wherever the newer one has none."""
    kept = {
        name
        for column, new, old in zip(RETURN_FIELDS, newer.values, older.values, strict=True)
        if new is None and old is not None
        for name in (column.name, column.place)
    } | ({tables.ITEM} if older.items and not newer.items else set())
    return replace(
        newer,
        values=tuple(
            old if new is None else new for new, old in zip(newer.values, older.values, strict=True)
        ),
        items=_newer_items(older.items, newer.items),
        quality=newer.quality | (older.quality & kept),
        new_keys=newer.new_keys | older.new_keys,
    )


def _newer_items(older: tuple[Item, ...], newer: tuple[Item, ...]) -> tuple[Item, ...]:
    """The newer list, each item with the values that it has lost since the older one.

    An item matches the older one with the same values, else one of the same sku, else, where one of
    the two has no sku, the one at its place. A list without a readable value counts as absent.
    """
    if older == newer or not any(value is not None for item in newer for value in item.values):
        return older
    before: list[Item | None] = [None] * len(newer)
    left = dict(enumerate(older))
    for key in (_values, _all_but_sku, _sku):
        found: dict[object, deque[int]] = {}
        for at, item in left.items():
            found.setdefault(key(item), deque()).append(at)
        for at, item in enumerate(newer):
            alike = found.get(key(item))
            # Without a sku only the other values can match.
            if before[at] is None and alike and _may_be(key, item):
                before[at] = left.pop(alike.popleft())
    for at, item in enumerate(newer):
        other = left.get(at)
        if before[at] is None and other and None in (item.values[SKU], other.values[SKU]):
            before[at] = left.pop(at)
    return tuple(
        item if old is None else _newer_item(old, item)
        for item, old in zip(newer, before, strict=True)
    )


def _values(item: Item) -> object:
    return item.values


def _all_but_sku(item: Item) -> object:
    return item.values[:SKU] + item.values[SKU + 1 :]


def _sku(item: Item) -> object:
    return item.values[SKU]


def _may_be(key: Callable[[Item], object], item: Item) -> bool:
    if key is _values:
        return True
    return (item.values[SKU] is None) == (key is _all_but_sku)


def _newer_item(older: Item, newer: Item) -> Item:
    values = tuple(o if n is None else n for o, n in zip(older.values, newer.values, strict=True))
    kept = {
        column.name
        for column, new, old in zip(ITEM_FIELDS, newer.values, older.values, strict=True)
        if new is None and old is not None
    }
    listed = set(newer.quality) | (set(older.quality) & kept)
    return Item(values, tuple(sorted(listed, key=_ITEM_PLACES.index)))


def returns_frame(returns: list[Return]) -> pl.DataFrame:
    """The rows of `returns`, ordered by request time and reference."""
    columns: dict[str, list[object]] = {
        "return_reference_number": [r.reference for r in returns],
        "requested_at": [r.requested_at for r in returns],
        "pieces": [len(r.pieces) for r in returns],
        "awbs": [r.awbs for r in returns],
        "sources": [r.sources for r in returns],
        "first_polled_at": [r.first_polled_at for r in returns],
        "last_polled_at": [r.last_polled_at for r in returns],
        "quality": [_in_order(r.quality) for r in returns],
    }
    for index, column in enumerate(RETURN_FIELDS):
        columns[column.name] = [r.pieces[0].values[index] for r in returns]
    return tables.RETURNS.frame(columns)


def items_frame(returns: list[Return]) -> pl.DataFrame:
    """The rows of `return_items`, in the order of their returns."""
    rows = [(r, index, item) for r in returns for index, item in enumerate(r.items)]
    columns: dict[str, list[object]] = {
        "return_reference_number": [r.reference for r, _, _ in rows],
        "item_index": [index for _, index, _ in rows],
        "requested_at": [r.requested_at for r, _, _ in rows],
        "quality": [list(item.quality) for _, _, item in rows],
    }
    for index, column in enumerate(ITEM_FIELDS):
        columns[column.name] = [item.values[index] for _, _, item in rows]
    return tables.RETURN_ITEMS.frame(columns)


_PLACES: Final = {column.name: index for index, column in enumerate(tables.RETURNS.columns)}


def _in_order(names: frozenset[str]) -> list[str]:
    """Column names in the order of the table, then the names of whole objects."""
    return sorted(names, key=lambda name: (_PLACES.get(name, len(_PLACES)), name))
