"""The polls of a lake: a file each, put whole, read as it was noted, blanked and quarantined.

Order of writes: the file, which takes the number; the marks in other hours; the entry. So a reader
of the journal never trusts a poll that is not there, wherever a run was killed.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from datetime import UTC
from typing import TYPE_CHECKING, Final

from returns_orchestration import tables
from returns_orchestration.errors import LakeDamaged
from returns_orchestration.lake.advice import rebuild_advice
from returns_orchestration.lake.entries import content_of
from returns_orchestration.lake.entry_kinds import UNKNOWN_SHA, Erased, Lost, Poll, Rezoned
from returns_orchestration.lake.journal import date_folder
from returns_orchestration.lake.parquet import (
    from_parquet,
    is_whole,
    poll_from_parquet,
    poll_to_parquet,
)
from returns_orchestration.lake.quarantine import move_to_quarantine
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from returns_orchestration.lake.entries import Entries
    from returns_orchestration.lake.format import Format
    from returns_orchestration.lake.names import Names
    from returns_orchestration.lake.store import Store

KEPT_BYTES: Final = 8_000_000
"""Bytes of polls that are kept at hand, as an hour is made of polls that were put just before."""


class Polls:
    """The polls of the lake in ``store``; ``clock`` gives the time at which one is written."""

    def __init__(
        self, store: Store, lake_format: Format, entries: Entries, clock: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._format = lake_format
        self._entries = entries
        self._clock = clock
        self._served: OrderedDict[tuple[str, str], tuple[list[str], int]] = OrderedDict()

    def path(self, window: Window, number: int) -> str:
        """Where the file of a poll stands."""
        return f"{tables.RAW_RETURNS.name}/{window.path}/poll-{number:04d}.parquet"

    def create(  # noqa: PLR0913, PLR0917 - what the file says
        self,
        names: Names,
        window: Window,
        number: int,
        polled_at: datetime,
        served: tuple[str, ...],
        zone: str,
    ) -> Poll | None:
        """Put the file of a poll; None if that number is taken. Its entry follows separately."""
        self._format.ensure(begin=True)
        noted_at = self._clock().astimezone(UTC).replace(microsecond=0)
        content = poll_to_parquet(served, polled_at, noted_at, zone, poll_name(window, number))
        path = self.path(window, number)
        if not self._store.create(path, content):
            return None
        names.add_file(tables.RAW_RETURNS.name, path, len(content))
        poll = _poll(window, number, polled_at, noted_at, len(served), zone, content)
        self._keep(path, poll.sha256, list(served), len(content))
        return poll

    def read_unnoted(self, window: Window, number: int) -> tuple[Poll, list[str]]:
        """A poll whose file stands without an entry, and its records. Raises LakeDamaged."""
        path = self.path(window, number)
        content = content_of(self._store, path)
        read = poll_from_parquet(content, path, poll_name(window, number))
        if read is None:
            message = f"The file {path} is no whole poll of this lake."
            raise LakeDamaged(message, next_step=rebuild_advice(path))
        records: list[str] = read.frame.get_column("record").to_list()
        poll = _poll(
            window, number, read.polled_at, read.noted_at, len(records), read.zone, content
        )
        return poll, records

    def served(self, poll: Poll) -> list[str]:
        """The records of a kept poll, as served; LakeDamaged if its file is not as noted."""
        path = self.path(Window.from_key(poll.period), poll.number)
        known = self._served.get((path, poll.file[1]))
        if known is not None:
            return known[0]
        content = content_of(self._store, path)
        if not is_file_of(content, poll):
            raise self._entries.found_damaged(path, poll.path)
        records: list[str] = from_parquet(content, path).get_column("record").to_list()
        if _seal(content) == poll.file:
            self._keep(path, poll.file[1], records, len(content))
        return records

    def keep_sound(self, names: Names, poll: Poll, blank: Callable[[str], str]) -> bool:
        """Whether the file of a kept poll is sound; an erasure without its entry is noted.

        A file from before an erasure, which somebody has put back, is blanked whole by ``blank``.
        Raises LakeDamaged where it cannot be read now, which says nothing about it. A file whose
        records are at hand is not read again.
        """
        path = self.path(Window.from_key(poll.period), poll.number)
        if (path, poll.file[1]) in self._served:
            return True
        content = self._store.get(path)
        if content is None or not is_file_of(content, poll):
            return False
        seal = _seal(content)
        if seal == poll.file:
            return True
        if seal in poll.files:
            self.erase(names, poll, [blank(record) for record in self.served(poll)], is_blank=True)
        else:
            self._note_erased(names, poll, content, is_blank=False)
        return True

    def erase(self, names: Names, poll: Poll, records: list[str], *, is_blank: bool) -> None:
        """Put ``records``, where some were blanked, in the place of those of a kept poll.

        ``is_blank``: no personal data is left in any. The file comes first: it has a seal of its
        own, so that readers trust it before the entry names it. A second call notes what a killed
        one has put. Raises LakeError.
        """
        window = Window.from_key(poll.period)
        path, name = self.path(window, poll.number), poll_name(window, poll.number)
        content = poll_to_parquet(records, poll.polled_at, poll.noted_at, poll.zone, name)
        if self._store.get(path) != content:
            self._store.put(path, content)
            names.add_file(tables.RAW_RETURNS.name, path, len(content))
        self._note_erased(names, poll, content, is_blank=is_blank)

    def _note_erased(self, names: Names, poll: Poll, content: bytes, *, is_blank: bool) -> None:
        size, sha = _seal(content)
        if (size, sha) == poll.file and is_blank <= poll.is_blank:
            return
        entry = Erased(
            period=poll.period,
            number=poll.number,
            change=poll.erased[-1].change + 1 if poll.erased else 1,
            what="all" if is_blank else "some",
            size=size,
            sha256=sha,
        )
        self._entries.put(names, entry)

    def quarantine(self, names: Names, window: Window, number: int) -> list[str]:
        """Move a poll that is bad, and its entry, out of the way; where to.

        First its number is noted as lost, so that it is never given again and the hour is known to
        be polled again; killed anywhere, the same again ends it. 0 is the number of what was noted
        and not kept.
        """
        hour = names.hour(window)
        # Not of hour.polls: who is killed after the note finds it no longer among those.
        begin = f"{window.start:%H}.poll-{number:04d}-"
        day = window.start.date()
        folder = date_folder(day)
        entries = [f"{folder}/{name}" for name in names.of(day) if name.startswith(begin)]
        sha = next((p.sha256 for p in hour.polls if p.number == number), UNKNOWN_SHA)
        if number not in {lost for lost, _, _ in hour.lost} or not (number or hour.has_lost_a_poll):
            following = max(hour.next_number, number + 1)
            self._entries.put(
                names,
                Lost(period=window.key, number=number, sha256=sha, next_number=following),
            )
        data = self.path(window, number)
        # Its entry first: what the journal does not name is not read.
        moved = [
            place for path in (*entries, data) if (place := move_to_quarantine(self._store, path))
        ]
        for path in entries:
            names.discard(path)
        self._entries.clear_damaged(names, window, [data])
        return moved

    def rezone(self, names: Names, window: Window, zone: str) -> int:
        """Note that the naive times of the kept polls of ``window`` are of ``zone``; how many."""
        hour = names.hour(window)
        changed = [poll for poll in hour.polls if hour.zone_of(poll) != zone]
        for poll in changed:
            change = hour.rezoned.get(poll.number, (0, ""))[0] + 1
            self._entries.put(
                names, Rezoned(period=window.key, number=poll.number, change=change, zone=zone)
            )
        return len(changed)

    def drop_cache(self) -> None:
        """Keep no records at hand: those asked for next are read."""
        self._served.clear()

    def _keep(self, path: str, sha: str, records: list[str], size: int) -> None:
        self._served[path, sha] = records, size
        while len(self._served) > 1 and sum(s for _, s in self._served.values()) > KEPT_BYTES:
            self._served.popitem(last=False)


def poll_name(window: Window, number: int) -> str:
    """What a poll is called, ``2026-11-09-11:00/poll-0001``."""
    return f"{window.key}/poll-{number:04d}"


def _poll(  # noqa: PLR0913, PLR0917 - what an entry says
    window: Window,
    number: int,
    polled_at: datetime,
    noted_at: datetime,
    rows: int,
    zone: str,
    content: bytes,
) -> Poll:
    return Poll(
        period=window.key,
        number=number,
        polled_at=polled_at,
        noted_at=noted_at,
        rows=rows,
        size=len(content),
        sha256=_sha(content),
        zone=zone,
    )


def is_file_of(content: bytes, poll: Poll) -> bool:
    """Whether ``content`` is the file of ``poll`` as noted, or another whole one of that poll.

    That is an erasure that is not noted yet, which has a seal of its own; or one from before it.
    """
    name = poll_name(Window.from_key(poll.period), poll.number)
    return _seal(content) in poll.files or is_whole(content, name)


def _seal(content: bytes) -> tuple[int, str]:
    """Size and sha256 of a file, as entries about polls have them."""
    return len(content), _sha(content)


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
