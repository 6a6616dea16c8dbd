"""The tables of all time, `lateness` and `open_returns`: made together, over the whole lake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from returns_orchestration import tables
from returns_orchestration.lake.journal import digest_of_inputs
from returns_orchestration.stages.rules import Rules
from returns_orchestration.state import lateness, open_returns
from returns_orchestration.window import Ever

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date, datetime
    from zoneinfo import ZoneInfo

    import polars as pl

    from returns_orchestration.lake import Lake
    from returns_orchestration.state.open_returns import StuckAfter


@dataclass(frozen=True, slots=True)
class AllTime:
    """The tables by name, and the days that `open_returns` could not read."""

    frames: dict[str, pl.DataFrame]
    absent: list[date]


class AllTimeBuilder:
    """Makes them in one lake.

    ``ages`` are those of RETURNS_REPOLL_AFTER_HOURS; ``limits`` decide which returns are stuck.
    """

    def __init__(
        self,
        lake: Lake,
        zone: ZoneInfo,
        ages: Sequence[int],
        limits: StuckAfter,
        clock: Callable[[], datetime],
    ) -> None:
        """``zone`` is that of the days."""
        self._lake = lake
        self._zone = zone
        self._ages = ages
        self._limits = limits
        self._clock = clock

    def build(self) -> AllTime:
        """Make and publish them. Raises LakeError.

        Where no hour can be read as a whole, the open returns of before stay.
        """
        lake = self._lake
        ages = lake.repolls.in_force(self._ages, self._clock())
        measured = open_returns.measure(lake, self._zone, self._limits, ages)
        before = lake.read(tables.OPEN_RETURNS, Ever(), lake.names()) if measured is None else None
        opened, absent = measured or (before, [])
        frames = {
            tables.LATENESS.name: lateness.measure(lake),
            tables.OPEN_RETURNS.name: tables.OPEN_RETURNS.empty() if opened is None else opened,
        }
        facts = {
            "returns": int(frames[tables.LATENESS.name].get_column("returns").sum()),
            "open": frames[tables.OPEN_RETURNS.name].height,
        }
        lake.publish(
            lake.names(),
            Ever(),
            frames,
            inputs=digest_of_inputs(
                f"{name} {row}" for name, frame in frames.items() for row in frame.iter_rows()
            ),
            rules=Rules.of_today().days,
            made_of=[],
            facts=facts,
            check_files=True,
        )
        return AllTime(frames, absent)
