"""The states that a return went through, each with its time, from all copies of it.

A poll shows the newest state only, and every poll that brought something new is kept: so together
they show most of the states that there were. What a code means is in ``vocabulary``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from returns_orchestration import tables
from returns_orchestration.stages.typing import RETURN_FIELDS
from returns_orchestration.stages.vocabulary import state_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    import polars as pl

    from returns_orchestration.stages.ownership import Copy, Return

_AT: Final = {column.name: place for place, column in enumerate(RETURN_FIELDS)}
_SHOWN: Final = tuple(
    tuple(_AT[name] for name in names)
    for names in (
        ("webhook_clickpost_status_code", "webhook_at", "webhook_notification_event"),
        ("latest_clickpost_status_code", "latest_at", "notification_event_id"),
    )
)
"""Where a record shows a code, its time and the event that goes with it."""


class State(NamedTuple):
    """A state of a return, since ``at``; what first showed it, and as of when that speaks."""

    code: int | None
    state: str
    at: datetime | None
    first_seen_at: datetime
    source: str


def states_of(copies: Iterable[Copy]) -> list[State]:
    """Each distinct code and time in ``copies``, in whatever order, as first seen; oldest first."""
    found: dict[tuple[int | None, datetime | None], State] = {}
    for copy in sorted(copies, key=lambda copy: copy.order):
        for places in _SHOWN:
            code, at, event = (copy.typed.values[place] for place in places)
            state = state_of(code, event)  # type: ignore[arg-type]
            if state and (code, at) not in found:
                seen = State(code, state, at, copy.source.at, copy.source.kind)  # type: ignore[arg-type]
                found[code, at] = seen  # type: ignore[index]
    return sorted(found.values(), key=_order)


def _order(state: State) -> tuple[object, ...]:
    """By time, those without one by when they were seen; a null counts as less than a code."""
    return state.at or state.first_seen_at, state.code is not None, state.code, state.state


def states_frame(returns: Iterable[Return]) -> pl.DataFrame:
    """The rows of `return_states`, in the order of their returns."""
    rows = [(r.reference, r.requested_at, *state) for r in returns for state in r.states]
    names = tables.RETURN_STATES.schema.names()
    return tables.RETURN_STATES.frame(
        {name: [row[at] for row in rows] for at, name in enumerate(names)}
    )
