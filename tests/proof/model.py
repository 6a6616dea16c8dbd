"""What the lake must hold, by the contract, in dictionaries; and a store that dies in the midst."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from lakes import Counts
from records import item, on_the_wire, returned

from returns_orchestration.lake.store import ObjectStore
from returns_orchestration.window import Window, read_hour

WINDOWS = [Window(read_hour("2026-11-09T17:00") + timedelta(hours=n)) for n in range(4)]
"""Four hours around the end of a day in India."""

EDGES: dict[str, Callable[[datetime, Window], bool]] = {
    "[)": lambda at, window: window.start <= at < window.end,
    "[]": lambda at, window: window.start <= at <= window.end,
    "(]": lambda at, window: window.start < at <= window.end,
    "()": lambda at, window: window.start < at < window.end,
}


Said = tuple[datetime, str, str | None, bool, frozenset[int]]
"""Of a return: when it was requested, its status, its mode, whether its pieces share one list of
items, and which pieces it has."""


@dataclass
class Model:
    """What the lake must hold, by the contract: who served what, and the newest word on it."""

    said: dict[str, Said] = field(default_factory=dict)
    modes: dict[str, dict[int, str | None]] = field(default_factory=dict)
    by_window: dict[Window, dict[str, Said]] = field(default_factory=dict)
    rejected: dict[Window, set[str]] = field(default_factory=dict)

    def poll(
        self, window: Window, returns: dict[str, Said], unusable: set[str], *, reverse: bool
    ) -> None:
        known = self.by_window.setdefault(window, {})
        nothing_new = {**known, **returns} == known and unusable <= self.rejected.get(window, set())
        if window in self.rejected and nothing_new:  # in whatever order
            return
        self.rejected[window] = self.rejected.get(window, set()) | unusable
        known |= returns
        for reference, said in returns.items():
            self.said[reference] = said
            old = self.modes.get(reference, {})
            served = {n: said[2] or old.get(n) for n in sorted(said[4], reverse=reverse)}
            self.modes[reference] = served | {n: old[n] for n in old if n not in served}

    def hour(self, reference: str) -> Window:
        home = Window.of(self.said[reference][0])
        if home in self.rejected:
            return home
        said = {w: of[reference][0] for w, of in self.by_window.items() if reference in of}
        return min(window for window, requested in said.items() if Window.of(requested) == home)

    def row(self, reference: str) -> tuple[datetime, str, str | None, int]:
        """Request time, status, the mode of the first piece, and how many pieces."""
        modes = list(self.modes[reference].values())
        return *self.said[reference][:2], modes[0], len(modes)

    def items(self, reference: str) -> int:
        """A list of items that is the same on all pieces counts once."""
        return 1 if self.said[reference][3] else len(self.modes[reference])

    def counts(self, period: Callable[[str], Any]) -> Counts:
        """Returns, items and quantity by what ``period`` gives for a return, and mode."""
        returns, items = Counter[Any](), Counter[Any]()
        for reference in self.said:
            group = period(reference), self.row(reference)[2] or "Not given"
            returns[group] += 1
            items[group] += self.items(reference)
        return returns, items, items


class Killed(BaseException):
    """What no code of ours catches, like the end of a process."""


class Mortal(ObjectStore):
    """A store that takes ``left`` writes and dies at the next; None: it lives."""

    left: int | None = None

    def _put(self, path: str, content: bytes, *, create: bool) -> bool:
        if self.left == 0:
            raise Killed
        self.left = None if self.left is None else self.left - 1
        return super()._put(path, content, create=create)


def records_of(reference: str, said: Said) -> list[str]:
    """A record for each piece."""
    requested, status, mode, shared, pieces = said
    records = []
    for n in sorted(pieces):
        items = [item(sku="all" if shared else f"of-{n}", refund_mode=None)]
        record = returned(
            reference,
            requested,
            status=status,
            refund_mode=mode,
            awb=f"P{n}",
            return_tracking_id=n,
            webhook_payload={"additional": {"item_info": items}},
        )
        records.append(on_the_wire(record))
    return records
