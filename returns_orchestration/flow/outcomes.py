"""What becomes of each hour and day of a run, as ``hours`` yields it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from returns_orchestration.clickpost import Poll
    from returns_orchestration.errors import ReturnsError
    from returns_orchestration.flow.build import BuiltHour
    from returns_orchestration.flow.days import BuiltDay
    from returns_orchestration.lake import Poll as KeptPoll
    from returns_orchestration.stages.landing import Landed
    from returns_orchestration.window import Window


@dataclass(frozen=True, slots=True)
class Polled:
    """A window was read and its reply kept, or found to be known already.

    ``poll`` shows what it cost; its records are in the lake and no longer in it. ``kept`` are all
    kept polls of the window.
    """

    window: Window
    landed: Landed
    poll: Poll
    kept: Sequence[KeptPoll]


@dataclass(frozen=True, slots=True)
class Made:
    """An hour's tables were made; ``asked`` is False where a neighbour's poll made it due."""

    window: Window
    built: BuiltHour
    asked: bool


@dataclass(frozen=True, slots=True)
class MadeDay:
    """The tables of a day follow its hours."""

    built: BuiltDay


@dataclass(frozen=True, slots=True)
class Failed:
    """An hour was not read or not made; its earlier tables stay."""

    window: Window
    error: ReturnsError


@dataclass(frozen=True, slots=True)
class Stopped:
    """The run ends here, for a cause that concerns every window alike; always the last outcome."""

    error: ReturnsError


Outcome = Polled | Made | MadeDay | Failed | Stopped
