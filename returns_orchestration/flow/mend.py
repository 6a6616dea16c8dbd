"""One hour of which a file is not what was recorded: what is bad is set aside, the rest stays.

Afterwards a poll that was lost is known to be lost, so that the hour is polled again, and the
tables are to be made again, each file being read. Nothing is deleted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from returns_orchestration.lake.quarantine import move_aside

if TYPE_CHECKING:
    from returns_orchestration.lake import Lake, Names
    from returns_orchestration.window import Window


def mend_hour(lake: Lake, names: Names, window: Window) -> list[str]:
    """Set the bad polls of ``window`` aside; where to.

    Raises LakeUnwritable, and LakeDamaged where a poll cannot be read now, which is no reason to
    set it aside. Notes about files that are right, as they were restored, are taken away.
    """
    lake.forget()
    places: list[str] = []
    for poll in list(names.hour(window).polls):
        if not lake.is_as_noted(poll):
            places += lake.set_poll_aside(names, window, poll.number)
    for path in lake.bad_replies(names, window):
        place = move_aside(lake.store, path)
        names.discard(path)
        # What that reply repeated is not known any more: the hour says it again when it is polled.
        places += [place] if place else []
        places += lake.set_poll_aside(names, window, 0)
    # First this, or a run that is killed in between leaves a damaged table that counts as made.
    lake.invalidate(names, window)
    # Of polls that are right, or were set aside by a run that was killed, and of tables: these are
    # read, and those that differ put again, when the hour is made.
    lake.clear_damaged(names, window)
    return places
