"""What the names of records alone tell of an hour: one listing, and nothing is opened."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from returns_orchestration.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterable

MADE: Final = "tables.json"
WAIVER: Final = "waived.json"
STRAYS: Final = "strays-from-"
_STRAY: Final = re.compile(STRAYS + "([0-9]{4}-[0-9]{2}-[0-9]{2})T([0-9]{2})")
_POLL: Final = re.compile(r"poll-([0-9]{4,})\.(json|aside)")


@dataclass(frozen=True, slots=True)
class HourEntry:
    """What the names alone tell of one hour.

    Its polls' numbers, whether its tables were made, which other windows may have served records
    requested in it, whether it was waived, and the numbers of polls that were found bad and set
    aside, which are never given again.
    """

    polls: tuple[int, ...] = ()
    made: bool = False
    strays: tuple[Window, ...] = ()
    waived: bool = False
    aside: tuple[int, ...] = ()

    @property
    def next_number(self) -> int:
        """The number of the next poll that is kept."""
        return max((*self.polls, *self.aside), default=0) + 1

    @property
    def has_lost_a_poll(self) -> bool:
        """Whether a poll was set aside and none has been kept since: it is to be polled again."""
        return max(self.aside, default=0) > max(self.polls, default=0)


def read_entries(paths: Iterable[str]) -> dict[Window, HourEntry]:
    """What the paths of records tell of each hour."""
    polls: dict[Window, list[int]] = {}
    aside: dict[Window, list[int]] = {}
    made: set[Window] = set()
    waived: set[Window] = set()
    strays: dict[Window, list[Window]] = {}
    for path in paths:
        window = Window.from_path(path)
        name = path.rsplit("/", 1)[-1]
        if window is None:
            continue
        if name == MADE:
            made.add(window)
        elif name == WAIVER:
            waived.add(window)
        elif poll := _POLL.fullmatch(name):
            numbers = polls if poll[2] == "json" else aside
            numbers.setdefault(window, []).append(int(poll[1]))
        elif stray := _STRAY.fullmatch(name):
            other = Window.from_path(f"date={stray[1]}/hour={stray[2]}")
            strays.setdefault(window, []).extend([other] if other else [])
    return {
        window: HourEntry(
            tuple(sorted(set(polls.get(window, ())).difference(aside.get(window, ())))),
            window in made,
            tuple(sorted(strays.get(window, ()))),
            window in waived,
            tuple(sorted(aside.get(window, ()))),
        )
        for window in polls.keys() | aside.keys() | made | waived | strays.keys()
    }
