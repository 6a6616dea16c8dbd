"""What the names of records alone tell of an hour: one listing, and nothing is opened."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from returns_orchestration.lake.records import poll_name
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

RECORDS: Final = "_records"
MADE: Final = "tables.json"
WAIVER: Final = "waived.json"
STRAYS: Final = "strays-from-"
LINKS: Final = "moved-between-here-and-"
_MARK: Final = re.compile(f"({STRAYS}|{LINKS})([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})T([0-9]{{2}})")
_POLL: Final = re.compile(r"poll-([0-9]{4,})(?:-lost-before-([0-9]{4,}))?\.json")


@dataclass(frozen=True, slots=True)
class HourEntry:
    """What the names alone tell of one hour.

    Its polls' numbers, whether its tables were made, which other windows may have served records
    requested in it, whether it was waived, of each poll that was found bad and set aside its
    number, which is never given again, and the number from which on a poll stands for it, and the
    hours that it was linked with, as a return was found in both.
    """

    polls: tuple[int, ...] = ()
    made: bool = False
    strays: tuple[Window, ...] = ()
    waived: bool = False
    lost: tuple[tuple[int, int], ...] = ()
    links: tuple[Window, ...] = ()

    @property
    def next_number(self) -> int:
        """The number of the next poll that is kept."""
        return max(max(self.polls, default=0) + 1, *(after for _, after in self.lost), 1)

    @property
    def has_lost_a_poll(self) -> bool:
        """Whether a poll was set aside and none has been kept since: it is to be polled again."""
        newest = max(self.polls, default=0)
        return any(newest < after for _, after in self.lost)


def sources_of(
    window: Window, homes: Iterable[Window], entry_of: Callable[[Window], HourEntry]
) -> list[Window]:
    """The windows whose polls the tables of ``window`` are made of, in order.

    ``homes`` are the hours that the records served in ``window`` were requested in: whoever served
    records of these or of ``window`` decides with it which of them live here, and so do the hours
    that it is linked with.
    """
    all_homes = {window, *homes}
    strays = (entry_of(home).strays for home in all_homes)
    return sorted(all_homes.union(*strays, entry_of(window).links))


def lost_path(window: Window, number: int, until: int) -> str:
    """Where it is noted that a poll was set aside, and which one from then on is new."""
    return f"{RECORDS}/{window.path}/poll-{number:04d}-lost-before-{until:04d}.json"


def pointer_path(home: Window, window: Window) -> str:
    """Where it is noted that ``window`` served a record requested in ``home``."""
    return f"{RECORDS}/{home.path}/{STRAYS}{window.start:%Y-%m-%dT%H}"


def link_path(window: Window, other: Window) -> str:
    """Where it is noted in ``window`` that one return was found in it and in ``other``.

    Such marks stand on both sides.
    """
    return f"{RECORDS}/{window.path}/{LINKS}{other.start:%Y-%m-%dT%H}"


def polls_of(sources: Iterable[Window], entry_of: Callable[[Window], HourEntry]) -> list[str]:
    """The names of all polls of ``sources``, as the record of a made hour lists them."""
    return sorted(poll_name(s.key, number) for s in sources for number in entry_of(s).polls)


def read_entries(paths: Iterable[str]) -> dict[Window, HourEntry]:
    """What the paths of records tell of each hour."""
    polls: dict[Window, list[int]] = {}
    lost: dict[Window, dict[int, int]] = {}
    made: set[Window] = set()
    waived: set[Window] = set()
    marks: dict[str, dict[Window, list[Window]]] = {STRAYS: {}, LINKS: {}}
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
            if poll[2]:
                lost.setdefault(window, {})[int(poll[1])] = int(poll[2])
            else:
                polls.setdefault(window, []).append(int(poll[1]))
        elif mark := _MARK.fullmatch(name):
            other = Window.from_path(f"date={mark[2]}/hour={mark[3]}")
            marks[mark[1]].setdefault(window, []).extend([other] if other else [])
    return {
        window: HourEntry(
            tuple(sorted(set(polls.get(window, ())).difference(lost.get(window, ())))),
            window in made,
            tuple(sorted(marks[STRAYS].get(window, ()))),
            window in waived,
            tuple(sorted(lost.get(window, {}).items())),
            tuple(sorted(marks[LINKS].get(window, ()))),
        )
        for window in polls.keys()
        | lost.keys()
        | made
        | waived
        | marks[STRAYS].keys()
        | marks[LINKS].keys()
    }
