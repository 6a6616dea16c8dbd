"""The result of a driver of a proof: the number of cases, and the faults."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field


@dataclass
class Result:
    """``tried`` cases that all follow from ``seed``; ``faults`` has a sentence for each bad one.

    A fault names the seed that repeats it alone; ``notes`` gives further facts about the cases.
    """

    seed: int
    tried: int = 0
    faults: list[str] = field(default_factory=list)
    notes: str = ""

    @property
    def words(self) -> str:
        """The result in a line, and the faults below it."""
        held = f"{len(self.faults)} faults in" if self.faults else "all held of"
        good = f"{held} {self.tried} (seed {self.seed})"
        return "\n".join([f"{good}; {self.notes}" if self.notes else good, *self.faults])


def in_words(fault: Exception) -> str:
    """The finding of hypothesis: the error, the line that raised it, and the steps to it."""
    line = traceback.extract_tb(fault.__traceback__)[-1].line
    notes = " ".join(getattr(fault, "__notes__", ()))
    return f"{type(fault).__name__} {fault} at {line}: {notes}"[:4_000]
