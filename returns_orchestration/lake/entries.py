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
_POLL_RECORD: Final = re.compile(r"poll-([0-9]{4,})\.json")


@dataclass(frozen=True, slots=True)
class HourEntry:
    """What the names alone tell of one hour.

    Its polls' numbers, whether its tables were made, which other windows may have served records
    requested in it, and whether it was waived.
    """

    polls: tuple[int, ...] = ()
    made: bool = False
    strays: tuple[Window, ...] = ()
    waived: bool = False


def read_entries(paths: Iterable[str]) -> dict[Window, HourEntry]:
    """What the paths of records tell of each hour."""
    polls: dict[Window, list[int]] = {}
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
        elif poll := _POLL_RECORD.fullmatch(name):
            polls.setdefault(window, []).append(int(poll[1]))
        elif stray := _STRAY.fullmatch(name):
            other = Window.from_path(f"date={stray[1]}/hour={stray[2]}")
            strays.setdefault(window, []).extend([other] if other else [])
    return {
        window: HourEntry(
            tuple(sorted(polls.get(window, ()))),
            window in made,
            tuple(sorted(strays.get(window, ()))),
            window in waived,
        )
        for window in polls.keys() | made | waived | strays.keys()
    }
