"""The hours in which one return may be.

They are found in the made entries of the journal, which hold a hash of each return of their hour.
An hour whose tables are not made of all its polls may hold it, too; so may one whose rejected
records name it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from returns_orchestration.stages.landing import is_good
from returns_orchestration.stages.ownership import hash_of
from returns_orchestration.state.hours import is_made
from returns_orchestration.window import windows_between

if TYPE_CHECKING:
    from collections.abc import Sequence

    from returns_orchestration.lake import Made, Names
    from returns_orchestration.state.sought_return import SoughtReturn
    from returns_orchestration.window import Window

AT_ONCE: Final = timedelta(days=31)
"""How much of the journal is looked through at once."""


@dataclass(slots=True)
class CandidateHours:
    """The hours whose polls have to be read, and gaps of the search.

    ``with_tables`` are those whose tables may hold the return, too. ``missing`` are hours without a
    good poll, ``waived`` those that need none, ``quarantined`` damaged polls, by hour and number.
    """

    windows: set[Window] = field(default_factory=set)
    with_tables: set[Window] = field(default_factory=set)
    missing: list[Window] = field(default_factory=list)
    waived: list[Window] = field(default_factory=list)
    quarantined: list[tuple[Window, int]] = field(default_factory=list)


def candidate_hours(sought: SoughtReturn, first: Window, last: Window) -> CandidateHours:
    """The hours that may hold the return, from ``first`` to ``last`` and where these lead to.

    Raises LakeError where the lake cannot be listed.
    """
    found = CandidateHours()
    begin = first.start
    linked: set[Window] = set()
    while begin < last.end:
        end = min(begin + AT_ONCE, last.end)
        windows = list(windows_between(begin, end))
        names = sought.lake.names()
        names.load_hours(windows)
        _add_candidates(found, sought, names, windows)
        _add_gaps(found, names, windows)
        linked |= {home for window in windows for home in names.hour(window).went_to}
        begin = end
    # What these hours served may live in an hour outside of them.
    outside = sorted(window for window in linked if not first <= window <= last)
    _add_candidates(found, sought, sought.names, outside)
    return found


def _add_candidates(
    found: CandidateHours, sought: SoughtReturn, names: Names, windows: Sequence[Window]
) -> None:
    made = {
        window: of_one[0]
        for window in windows
        if len(of_one := names.hour(window).made) == 1 and is_made(window, names)
    }
    entries = sought.lake.read_all_made(made)
    wanted = hash_of(sought.reference)
    for window in windows:
        hour = names.hour(window)
        entry = entries.get(window)
        if entry is None:
            if hour.has_copies or hour.made:
                found.windows.add(window)
                found.with_tables |= {window} if hour.made else set()
        elif (
            not _has_hashes(entry)
            or _holds(entry.references, wanted)
            or (entry.facts.get("rejected") and sought.rejected_rows(window, names))
        ):
            found.windows.add(window)
            found.with_tables.add(window)


def _add_gaps(found: CandidateHours, names: Names, windows: Sequence[Window]) -> None:
    """The hours of which nothing is known, and polls that are known no more."""
    for window in windows:
        hour = names.hour(window)
        if not any(is_good(poll, window) for poll in hour.polls):
            (found.waived if hour.waived else found.missing).append(window)
        found.quarantined += [(window, number) for number, _, _ in hour.lost if number]


def _has_hashes(entry: Made) -> bool:
    """Whether an entry names all its returns; those of earlier releases may not."""
    return len(entry.references) == 8 * entry.facts.get("returns", 0)


def _holds(references: bytes, wanted: bytes) -> bool:
    at = references.find(wanted)
    while at >= 0:
        if at % 8 == 0:
            return True
        at = references.find(wanted, at + 1)
    return False
