"""The time that one look may take, so that it ends by itself and the next one goes on from there.

Dagster ends the tick of a sensor after 60 seconds, and its cursor is then the one of the tick
before: a look that takes longer would be done again and again. How long one takes depends on the
store, so a number of hours is no bound for it.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")

TICK_SECONDS: Final = 20.0
"""Time after which a tick begins no further portion: the last one and the rest need some, too."""


def within(seconds: float, clock: Callable[[], float] | None = None) -> Callable[[], bool]:
    """A function that returns whether less than ``seconds`` have passed since this call."""
    now = clock or monotonic
    began = now()
    return lambda: now() - began < seconds


def portions(items: Sequence[T], size: int, may_go_on: Callable[[], bool]) -> Iterator[Sequence[T]]:
    """``size`` of ``items`` at a time: the first ones always, the others while ``may_go_on``."""
    for begin in range(0, len(items), size):
        if begin and not may_go_on():
            return
        yield items[begin : begin + size]
