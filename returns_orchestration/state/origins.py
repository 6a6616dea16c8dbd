"""Which source each value of a return's row is from, and which rules made one row of many copies.

The rule is not written again here: the copies are folded by the function that makes the table
(`ownership.fold`), with values that carry their copy along.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from returns_orchestration import tables
from returns_orchestration.stages.ownership import fold
from returns_orchestration.stages.typing import RETURN_FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from returns_orchestration.stages.ownership import Copy, OfSource, Source
    from returns_orchestration.stages.typing import Item, Typed

ONLY: Final = "the only source"
NEWEST: Final = "the newest source wins"
KEPT: Final = "kept: a later source no longer gave it"
LATER_COPY: Final = "the later copy in its poll wins"
FIRST_PIECE: Final = "of the first piece"
ALL_PIECES: Final = "the items of all pieces"
MERGES: Final = (NEWEST, LATER_COPY, KEPT, FIRST_PIECE, ALL_PIECES)
"""Why a value is the one it is, and the rules by which copies become one row."""


_OF_RECORD: Final = {column.name for column in RETURN_FIELDS if column.place == tables.RECORD}


@dataclass(frozen=True, slots=True)
class Origin:
    """Which source a value of the row is from; ``why`` it is that one."""

    source: Source
    why: str


def origins_of(copies: list[Copy]) -> tuple[dict[str, Origin], list[str]]:
    """Which source each value is from, by the rule that makes the table, and what was merged."""
    pieces = fold([_with_origin(copy) for copy in copies]).pieces
    newest = max(copy.of_source for copy in copies)
    sources: dict[OfSource, list[Copy]] = {}
    for copy in copies:
        sources.setdefault(copy.of_source, []).append(copy)
    repeated = {key for key, of in sources.items() if len(of) > len(fold(of).pieces)}
    plain = NEWEST if len(sources) > 1 else ONLY
    sourced = {
        column.name: value.copy
        for column, value in zip(RETURN_FIELDS, pieces[0].values, strict=True)
        if isinstance(value, _Sourced)
    }
    if len(pieces) > 1:  # a later poll may be about another piece
        newest = max((copy.of_source for copy in sourced.values()), default=newest)
    heads = [key for key, of in sources.items() if of[0].is_polled] or list(sources)
    last = max(
        sources[max(heads)],
        key=lambda copy: (copy.typed.requested_at, copy.position),
    )
    origins = {tables.REQUESTED_AT.name: Origin(last.source, plain)}
    merges = {NEWEST} if len(sources) > 1 else set()
    merges |= {FIRST_PIECE, ALL_PIECES} if len(pieces) > 1 else set()
    for name, copy in sourced.items():
        # Webhooks have no values of the record itself: the newest poll could give these.
        could_give = max(heads) if name in _OF_RECORD else newest
        why = [plain if copy.of_source == could_give else KEPT]
        why += [LATER_COPY] if copy.of_source in repeated else []
        why += [FIRST_PIECE] if len(pieces) > 1 else []
        merges |= set(why) - {ONLY}
        origins[name] = Origin(copy.source, "; ".join(why))
    return origins, [merge for merge in MERGES if merge in merges]


@dataclass(frozen=True, slots=True, eq=False)
class _Sourced:
    """A value that carries along which copy gave it, and else is like the value itself."""

    value: object
    copy: Copy

    def __eq__(self, other: object) -> bool:
        return self.value == (other.value if isinstance(other, _Sourced) else other)

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        return repr(self.value)

    def __str__(self) -> str:
        return str(self.value)


def _with_origin(copy: Copy) -> Copy:
    def sourced(held: Iterable[object]) -> tuple[object, ...]:
        return tuple(None if value is None else _Sourced(value, copy) for value in held)

    typed: Typed = copy.typed
    items: tuple[Item, ...] = tuple(
        replace(item, values=sourced(item.values)) for item in typed.items
    )
    return replace(copy, typed=replace(typed, values=sourced(typed.values), items=items))
