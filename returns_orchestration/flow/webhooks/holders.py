"""The hour that holds a return: the one that it was requested in, or another one."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from returns_orchestration.lake.names import sources_of
from returns_orchestration.stages.ownership import hash_of
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from returns_orchestration.lake import Lake, Names

NEAR: Final = 14
"""Hours on each side in which a return is looked for, as a time may be read in another zone."""

KEPT_HOURS: Final = 100
"""Hours whose references are kept at hand."""


class Holders:
    """The hours of ``lake`` by the returns in their tables."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._held: OrderedDict[tuple[Window, str], frozenset[bytes]] = OrderedDict()

    def holder(self, names: Names, home: Window, reference: str) -> Window | None:
        """The hour whose tables have a return; None for none.

        It is ``home``, one near it, or any that ``flow/relocated`` has found to share a return
        with it.
        """
        number = hash_of(reference)
        near = {Window.from_number(home.number + far) for far in range(-NEAR, NEAR + 1)}
        near.update(sources_of(home, names))
        for window in sorted(near, key=lambda window: (abs(window.number - home.number), window)):
            if number in self._references(names, window):
                return window
        return None

    def _references(self, names: Names, window: Window) -> frozenset[bytes]:
        made = names.hour(window).made
        if len(made) != 1 or not made[0].returns:
            return frozenset()
        key = window, made[0].text
        if key not in self._held:
            entry = self._lake.made_or_none(window, names)
            plain = entry.references if entry else b""
            self._held[key] = frozenset(plain[at : at + 8] for at in range(0, len(plain), 8))
            if len(self._held) > KEPT_HOURS:
                self._held.popitem(last=False)
        return self._held[key]
