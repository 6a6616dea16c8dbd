"""What the lake must hold, by the contract, in dictionaries; and a store that dies in the midst."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

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


@dataclass
class Model:
    """What the lake must hold, by the contract: who served what, and the newest word on it."""

    said: dict[str, tuple[datetime, str, str | None]] = field(default_factory=dict)
    served_by: dict[str, set[Window]] = field(default_factory=dict)
    rejected: dict[Window, set[str]] = field(default_factory=dict)

    def poll(self, window: Window, returns: dict[str, tuple[Any, ...]], unusable: set[str]) -> None:
        self.rejected[window] = self.rejected.get(window, set()) | unusable
        for reference, (requested, status, mode) in returns.items():
            known = self.said.get(reference, (None, None, None))[2]
            self.said[reference] = (requested, status, mode or known)
            self.served_by.setdefault(reference, set()).add(window)

    def hour(self, reference: str) -> Window:
        home = Window.of(self.said[reference][0])
        return home if home in self.rejected else min(self.served_by[reference])


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


def record_of(reference: str, said: tuple[Any, ...]) -> str:
    requested, status, mode = said
    items = [item(refund_mode=None)]
    payload = {"additional": {"item_info": items}}
    record = returned(
        reference, requested, status=status, refund_mode=mode, webhook_payload=payload
    )
    return on_the_wire(record)
