"""One hour with a file that does not match its record: bad files are quarantined, others stay.

Afterwards the journal names each lost poll, so the hour is polled again, and a run builds the
tables again and reads each file. No file is deleted. The entry of the tables lists their polls and
entries, so it shows which of them are absent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from returns_orchestration.lake.entry_kinds import MADE
from returns_orchestration.lake.entry_names import came_of, entry_named
from returns_orchestration.lake.quarantine import move_to_quarantine
from returns_orchestration.stages.erasure import blanked
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from returns_orchestration.lake import Lake, Names


def mend_hour(lake: Lake, names: Names, window: Window) -> list[str]:
    """Quarantine the bad polls and webhooks of ``window``, and copies of its bad tables.

    Returns their new paths.
    Raises LakeUnwritable, and LakeDamaged where a poll cannot be read now, which is no reason to
    quarantine it. Notes about files that match again, as they were restored, are removed.
    """
    lake.drop_cache()
    places: list[str] = []
    for poll in list(names.hour(window).polls):
        if not lake.polls.keep_sound(names, poll, blanked):
            places += lake.polls.quarantine(names, window, poll.number)
    for path in lake.entries.bad(names, window, "again"):
        # The content of that reply is lost, so the hour is polled again. The note comes first: a
        # run that is killed after it leaves an hour that is still asked for.
        places += lake.polls.quarantine(names, window, 0)
        place = move_to_quarantine(lake.store, path)
        names.discard(path)
        places += [place] if place else []
    for path in lake.entries.bad(names, window, "placed"):
        read_again(lake, names, path)
        place = move_to_quarantine(lake.store, path)
        names.discard(path)
        places += [place] if place else []
    for entry in list(names.hour(window).received):
        if not lake.webhooks.is_sound(entry):
            places += lake.webhooks.quarantine(entry)
            names.discard(entry.path)
    note_absent(lake, names, window)
    places += lake.quarantine_tables(names, window)
    # First this, or a run that is killed in between leaves a damaged table that counts as made.
    for kind in MADE:
        # Without a file of webhooks their run takes these tables away, and what follows from them.
        if kind != "events" or names.hour(window).received:
            lake.invalidate(names, window, kind)
    # The notes about polls that match, or that a killed run quarantined, and about tables: when the
    # hour is made, tables are read, and those that differ put again.
    lake.entries.clear_damaged(names, window)
    return places


def note_absent(lake: Lake, names: Names, window: Window) -> None:
    """Note as lost each poll that the tables were made of and that is no longer there.

    An entry whose name holds all of it is put again; for another one the hour is polled again.
    """
    made = lake.made_or_none(window, names)
    if made is None:
        return
    hour = names.hour(window)
    known = {poll.number for poll in hour.polls} | {number for number, _, _ in hour.lost}
    parts = [name.partition("/poll-") for name in made.made_of]
    absent = {int(number) for key, _, number in parts if key == window.key} - known
    for number in sorted(absent.difference(names.unnoted(window)) if absent else ()):
        lake.polls.quarantine(names, window, number)
    for path in lake.entries.absent(names, window, made.made_of):
        entry = entry_named(path)
        if entry is not None:
            lake.entries.put(names, entry)
        elif came_of(path) is not None:
            read_again(lake, names, path)
        else:
            lake.polls.quarantine(names, window, 0)


def read_again(lake: Lake, names: Names, path: str) -> None:
    """Let the webhooks be read again that the `placed` entry at ``path`` was about."""
    came = came_of(path)
    if came is not None:
        lake.invalidate(names, came, "events")


def known_sources(lake: Lake, names: Names, window: Window) -> set[Window]:
    """The other windows whose polls the tables of ``window`` were made of, by their entry."""
    made = lake.made_or_none(window, names)
    parts = (name.partition("/poll-") for name in made.made_of) if made else ()
    return {Window.from_key(key) for key, is_poll, _ in parts if is_poll and key != window.key}
