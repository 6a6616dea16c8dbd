"""Requests that left no kept poll: polls that brought nothing new, and failures.

A poll that brought something has a record of its own. Of all others these lines are the only
record: how often an hour was polled, when last, and why it is still missing. So Dagster need not be
asked, whose log may be pruned, lost or older.

A run writes a file for each UTC date whose hours it asked for, named by its own content, so that it
never replaces another, and a second write changes nothing. ``fold`` joins the files of a date.

What lives here: path, codec and reading. Written by ``flow/hours``; read by ``state/`` and the
sensors; ``verify`` checks each file against its name.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from returns_orchestration.window import Window

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from returns_orchestration.lake.store import Store

POLL_LOG: Final = "_poll_log"
READERS: Final = 8
"""Files read at once: an object store takes its time for each."""


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, order=True):
    """An hour that was asked for: its partition key, when, and the error, "" for a good poll.

    ``at`` is by the slower of this machine's clock and ClickPost's: by the faster one, a repeated
    poll of the hour could be skipped.
    """

    hour: str
    at: datetime
    error: str = ""


class _File(msgspec.Struct, frozen=True, kw_only=True):
    """All lines of one file."""

    answers: list[Answer]


class PollLog:
    """The log of one lake."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, answers: Iterable[Answer]) -> None:
        """Note ``answers``, a file for each date. Raises LakeUnwritable."""
        by_date: dict[date, list[Answer]] = defaultdict(list)
        for answer in answers:
            by_date[Window.from_key(answer.hour).start.date()].append(answer)
        for day, found in by_date.items():
            self._put(day, found)

    def of(self, day: date) -> dict[str, list[Answer]]:
        """The answers noted for the hours of a UTC date, by partition key, oldest first.

        A damaged file is skipped: `verify` names it, and its hours are asked for once more.
        """
        return _by_hour(answers for _, answers in self._files(day))

    def of_all(self, windows: Iterable[Window]) -> dict[str, list[Answer]]:
        """The answers noted for ``windows`` and for other hours of their dates."""
        days = sorted({window.start.date() for window in windows})
        return {hour: answers for day in days for hour, answers in self.of(day).items()}

    def dates(self) -> list[date]:
        """The UTC dates that have answers, oldest first."""
        folders, _ = self._store.children(POLL_LOG)
        found: list[date] = []
        for folder in folders:
            with suppress(ValueError):  # a foreign folder, which `verify` names
                found.append(date.fromisoformat(folder.removeprefix("date=")))
        return found

    def fold(self, day: date) -> None:
        """Join the files of a date into one; errors that a later poll has mended are left out.

        After a kill in between, the whole file and its parts hold the same. Raises LakeError.
        """
        files = self._files(day)
        if len(files) < 2:
            return
        kept: list[Answer] = []
        for answers in _by_hour(answers for _, answers in files).values():
            newest = answers[-1]
            kept += [answer for answer in answers if not answer.error or answer is newest]
        whole = self._put(day, kept)
        for path, _ in files:
            if path != whole:
                self._store.delete(path)

    def _put(self, day: date, answers: Collection[Answer]) -> str:
        content = msgspec.json.format(msgspec.json.encode(_File(answers=sorted(answers))), indent=1)
        name = hashlib.sha256(content).hexdigest()[:16]
        path = f"{POLL_LOG}/date={day}/{name}.json"
        if not self._store.create(path, content) and self._store.get(path) != content:
            self._store.put(path, content)  # the file there was damaged
        return path

    def _files(self, day: date) -> list[tuple[str, list[Answer]]]:
        """Every good file of a date, with its lines."""
        paths = list(self._store.list(f"{POLL_LOG}/date={day}"))
        with ThreadPoolExecutor(READERS) as readers:
            read = zip(paths, readers.map(self._read, paths), strict=True)
            return [(path, answers) for path, answers in read if answers is not None]

    def _read(self, path: str) -> list[Answer] | None:
        """The lines of a file; None for one that is damaged, or was folded meanwhile."""
        content = self._store.get(path)
        name = path.rpartition("/")[2].removesuffix(".json")
        if content is None or not hashlib.sha256(content).hexdigest().startswith(name):
            return None
        try:
            return msgspec.json.decode(content, type=_File).answers
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None


def _by_hour(files: Iterable[list[Answer]]) -> dict[str, list[Answer]]:
    found: dict[str, list[Answer]] = defaultdict(list)
    for answer in sorted({answer for answers in files for answer in answers}):
        found[answer.hour].append(answer)
    return dict(found)
