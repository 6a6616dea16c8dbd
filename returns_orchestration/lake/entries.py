"""The entries of a lake's journal: put, read and removed; and the notes of what is damaged.

An entry that tables are made of is noted where it is found damaged, so that its hour counts as
damaged from then on. What does not live here: the kinds of entries (``entry_kinds``), and the
reading of the entries of tables (``lake``).
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from returns_orchestration import tables
from returns_orchestration.errors import LakeDamaged, LakeError
from returns_orchestration.lake.advice import missing, rebuild_advice
from returns_orchestration.lake.entry_kinds import (
    MADE,
    Again,
    Damaged,
    Entry,
    From,
    Placed,
    To,
    Webhooks,
    decode,
    encode,
    made_path,
)
from returns_orchestration.lake.entry_names import came_of, hour_of, name_of_hour
from returns_orchestration.lake.journal import JOURNAL, date_folder, folder_of
from returns_orchestration.lake.names import Names, date_of
from returns_orchestration.lake.quarantine import move_to_quarantine
from returns_orchestration.window import Day, Window

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from returns_orchestration.lake.store import Store


class Entries:
    """The entries of the lake in ``store``."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, names: Names, entry: Entry) -> None:
        """Put an entry, in the place of a damaged one, too. Raises LakeUnwritable."""
        content = encode(entry)
        if not self._store.create(entry.path, content):
            self._store.put(entry.path, content)
        names.add(entry.path)

    def get(self, path: str) -> Entry:
        """The entry at ``path``. Raises LakeDamaged."""
        found: Entry = decode(content_of(self._store, path), path)
        return found

    def remove(self, names: Names, paths: Collection[str]) -> None:
        """Take entries out of the journal. Raises LakeUnwritable."""
        if paths:
            self._store.delete_many(list(paths))
        for path in paths:
            names.discard(path)

    def mark(self, names: Names, window: Window, homes: Iterable[Window]) -> bool:
        """Note on both sides that ``window`` served returns of ``homes``; whether that was new."""
        new: list[Entry] = []
        for home in set(homes) - {window}:
            if window not in names.hour(home).came_from:
                new.append(From(period=home.key, hour=name_of_hour(window)))
            if home not in names.hour(window).went_to:
                new.append(To(period=window.key, hour=name_of_hour(home)))
        if new:
            self._store.put_many({entry.path: encode(entry) for entry in new})
        for entry in new:
            names.add(entry.path)
        return bool(new)

    def mark_webhooks(self, names: Names, window: Window, homes: Iterable[Window]) -> None:
        """Note that webhooks about returns of ``homes`` came in ``window``. Idempotent."""
        for home in homes:
            if window not in names.hour(home).webhooks:
                self.put(names, Webhooks(period=home.key, hour=name_of_hour(window)))

    # ---- those that tables are made of

    def again(self, names: Names, window: Window) -> list[Again]:
        """The replies that repeated what a newer poll of another window contradicts."""
        folder = f"{date_folder(window.start.date())}/"
        found = [self._own(names, folder + name) for name in names.hour(window).again]
        return [entry for entry in found if isinstance(entry, Again)]

    def placed(self, names: Names, window: Window) -> list[Placed]:
        """The webhooks that say that a return of ``window`` was placed. Raises LakeDamaged.

        An entry that another process has replaced since the listing is read anew.
        """
        while True:
            placed = names.hour(window).placed
            try:
                found = [self._own(names, one.path) for one in placed]
            except LakeDamaged:
                names.refresh([window])
                if names.hour(window).placed == placed:
                    raise
            else:
                return [entry for entry in found if isinstance(entry, Placed)]

    def put_placed(self, names: Names, entry: Placed) -> None:
        """Put ``entry`` in the place of those of the same hour of receipt. Idempotent."""
        placed = names.hour(Window.from_key(entry.period)).placed
        before = [one.path for one in placed if name_of_hour(one.came) == entry.hour]
        if entry.path not in before:
            self.put(names, entry)
        self.remove(names, [path for path in before if path != entry.path])

    def _own(self, names: Names, path: str) -> Entry:
        """An entry that tables are made of; one that is damaged is noted first."""
        try:
            return self.get(path)
        except LakeDamaged:
            if self._store.get(path) is not None:
                self.note_damaged(names, path)
            raise

    def absent(self, names: Names, window: Window, made_of: Iterable[str]) -> list[str]:
        """The entries of ``window`` itself among ``made_of`` that are no longer there.

        Without those of webhooks that a newer one has replaced.
        """
        begin = folder_of(window.key)
        there = set(names.of(window.start.date()))
        folder = f"{date_folder(window.start.date())}/"
        absent = [p for p in made_of if p.startswith(begin) and p.removeprefix(folder) not in there]
        renewed = {one.came for one in names.hour(window).placed}
        return [
            path
            for path in absent
            if came_of(path) not in renewed and self._store.get(path) is None
        ]

    def bad(self, names: Names, window: Window, kind: str) -> list[str]:
        """The entries of ``window`` of a kind in INPUTS that are not as they were written."""
        folder = f"{date_folder(window.start.date())}/"
        begin = f"{window.start:%H}.{kind}-"
        bad: list[str] = []
        for name in names.hour(window).inputs:
            if not name.startswith(begin):
                continue
            content = self._store.get(folder + name)
            try:
                if content is not None:
                    decode(content, folder + name)
            except LakeDamaged:
                bad.append(folder + name)
        return bad

    # ---- what was found damaged

    def found_damaged(self, path: str, entry: str | None) -> LakeDamaged:
        """Note that a file is not what ``entry`` says; the error to be raised.

        Not for None, nor where that entry is gone: another process is about to replace the file.
        """
        with suppress(LakeError):  # the error says it, and the next reader notes it
            if entry is not None and self._store.get(entry) is not None:
                self.note_damaged(Names(self._store), path)
        message = f"The file {path} is not what was recorded when it was written."
        return LakeDamaged(message, next_step=rebuild_advice(path))

    def note_damaged(self, names: Names, path: str) -> None:
        """Note that the file or made entry at ``path`` is damaged; a day then counts as not made.

        A day can always be made again of its hours, and a table of all time is, once a day.
        """
        window, day = Window.from_path(path) or hour_of(path), date_of(path)
        if window is not None:
            self.put(names, Damaged(period=window.key, file=path))
        elif day is not None:
            if path.startswith(JOURNAL):  # what is found bad is never deleted
                move_to_quarantine(self._store, path)
            of_day = Day(day, tables.UTC_DAYS)  # whose zone is no part of its key
            for kind in MADE:
                of_kind = [made_path(of_day, name, kind) for name in names.day(day, kind)]
                self.remove(names, of_kind)

    def clear_damaged(
        self, names: Names, window: Window, files: Iterable[str] | None = None
    ) -> None:
        """Take the notes about ``files`` of ``window``, or about all, away: they are mended."""
        folder = date_folder(window.start.date())
        damaged = {f"{folder}/{name}" for name in names.hour(window).damaged}
        if files is not None:
            damaged &= {Damaged(period=window.key, file=file).path for file in files}
        self.remove(names, sorted(damaged))


def content_of(store: Store, path: str) -> bytes:
    """The content of a file. Raises LakeDamaged where it is missing."""
    content = store.get(path)
    if content is None:
        raise missing(path)
    return content
