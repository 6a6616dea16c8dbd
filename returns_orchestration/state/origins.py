"""Which poll each value of a return's row is from, and which rules made one row of many copies.

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
    from datetime import datetime

    from returns_orchestration.stages.ownership import Copy
    from returns_orchestration.stages.typing import Item, Typed
    from returns_orchestration.window import Window

ONLY: Final = "the only poll"
NEWEST: Final = "the newest poll wins"
KEPT: Final = "kept: a later poll no longer gave it"
LATER_COPY: Final = "the later copy in its poll wins"
FIRST_PIECE: Final = "of the first piece"
ALL_PIECES: Final = "the items of all pieces"
MERGES: Final = (NEWEST, LATER_COPY, KEPT, FIRST_PIECE, ALL_PIECES)
"""Why a value is the one it is, and the rules by which copies become one row."""


@dataclass(frozen=True, slots=True)
class PollOf:
    """Which poll: the ``number``-th that was kept of ``window``, and when it was sent."""

    window: Window
    number: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Origin:
    """Which poll a value of the row is from; ``why`` it is that one."""

    poll: PollOf
    why: str


def origins_of(copies: list[Copy]) -> tuple[dict[str, Origin], list[str]]:
    """Which poll each value is from, by the rule that makes the table, and what was merged."""
    pieces = fold([_with_origin(copy) for copy in copies]).pieces
    newest = max(copy.of_source for copy in copies)
    of_polls: dict[tuple[datetime, Window, int], list[Copy]] = {}
    for copy in copies:
        of_polls.setdefault(copy.of_source, []).append(copy)
    repeated = {key for key, of in of_polls.items() if len(of) > len(fold(of).pieces)}
    plain = NEWEST if len(of_polls) > 1 else ONLY
    sourced = {
        column.name: value.copy
        for column, value in zip(RETURN_FIELDS, pieces[0].values, strict=True)
        if isinstance(value, _Sourced)
    }
    if len(pieces) > 1:  # a later poll may be about another piece
        newest = max((copy.of_source for copy in sourced.values()), default=newest)
    last = max(
        of_polls[max(of_polls)],
        key=lambda copy: (copy.typed.requested_at, copy.position),
    )
    origins = {tables.REQUESTED_AT.name: Origin(poll_of(last), plain)}
    merges = {NEWEST} if len(of_polls) > 1 else set()
    merges |= {FIRST_PIECE, ALL_PIECES} if len(pieces) > 1 else set()
    for name, copy in sourced.items():
        why = [plain if copy.of_source == newest else KEPT]
        why += [LATER_COPY] if copy.of_source in repeated else []
        why += [FIRST_PIECE] if len(pieces) > 1 else []
        merges |= set(why) - {ONLY}
        origins[name] = Origin(poll_of(copy), "; ".join(why))
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


def poll_of(copy: Copy) -> PollOf:
    """The poll that served a copy."""
    return PollOf(copy.source.window, copy.source.number, copy.source.at)
