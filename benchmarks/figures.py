"""The table: each figure with its comparison, their ratio, and the target.

A peer does the same work another way; a floor does the minimum that any way needs. Both are
measured in the same run on the same machine, since seconds alone depend mostly on the machine.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

R = TypeVar("R")

YEAR_HOURS = 8_760


@dataclass(frozen=True, slots=True)
class Figure:
    """One line: ``what`` was measured, ``beside`` what, and the first as a multiple of the second.

    ``asked`` is the target and ``met`` whether it is reached; None at a size without a target.
    """

    what: str
    measured: str
    beside: str = ""
    ratio: float | None = None
    asked: str = ""
    met: bool | None = None

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells of its line."""
        ratio = "" if self.ratio is None else f"{self.ratio:.3g}"
        verdict = {None: "", True: f"{self.asked}: met", False: f"{self.asked}: **not met**"}
        return self.what, self.measured, self.beside, ratio, verdict[self.met]


COLUMNS = ("figure", "measured", "beside it", "ratio", "asked for")


def table(figures: Iterable[Figure]) -> str:
    """The figures as a table in Markdown."""
    lines = [COLUMNS, ("---",) * len(COLUMNS), *(figure.cells for figure in figures)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def timed(work: Callable[[], R], times: int = 1) -> tuple[float, R]:
    """Seconds of ``work``, the median of ``times`` runs, and the result of the last one."""
    seconds: list[float] = []
    for _ in range(times):
        began = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds), result


def in_words(seconds: float) -> str:
    """Seconds to three digits, in a suitable unit."""
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 600:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 36_000 else f"{seconds / 3600:.3g} h"
