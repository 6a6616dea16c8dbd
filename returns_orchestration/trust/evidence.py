"""Files of the lake, each read and held against what is known of it; what is wrong is noted.

Called by ``verify`` and ``verify_polls``, which know what should stand where. Only bytes are looked
at: a damaged Parquet is never parsed.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, TypeVar

from returns_orchestration.errors import LakeDamaged
from returns_orchestration.lake.parquet import is_whole_poll
from returns_orchestration.lake.records import FileRecord, is_torn, poll_name
from returns_orchestration.trust.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Callable

    from returns_orchestration.lake import Lake
    from returns_orchestration.lake.entries import HourEntry
    from returns_orchestration.trust.findings import Kind, Remedy
    from returns_orchestration.window import Window

R = TypeVar("R")


class Evidence:
    """Looks at files of ``lake``; ``files`` counts them, ``found`` is what was wrong so far."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self.files = 0
        self.found: list[Finding] = []
        self._entries: dict[Window, HourEntry] = {}

    def forget(self, known: dict[Window, HourEntry] | None = None) -> None:
        """Look at the names of hours anew, but for those ``known``."""
        self._entries = dict(known or {})

    def entry(self, window: Window) -> HourEntry:
        """What the names tell of ``window``; asked for once until it is to be forgotten."""
        if window not in self._entries:
            self._entries[window] = self.lake.entry(window)
        return self._entries[window]

    def note(
        self, path: str, kind: Kind, remedy: Remedy, window: Window | None = None, number: int = 0
    ) -> None:
        """One more finding."""
        self.found.append(Finding(path, kind, remedy, window, number))

    def check_file(
        self, file: FileRecord, remedy: Remedy, window: Window | None = None, number: int = 0
    ) -> None:
        """Whether a file that a record names is there, and what was recorded."""
        content = self._read(file.path, remedy, window, number)
        if content is None:
            return
        if len(content) != file.size:
            self.note(file.path, "torn", remedy, window, number)
        elif FileRecord.of(file.path, content, file.rows) != file:
            self.note(file.path, "altered", remedy, window, number)

    def read_record(  # noqa: PLR0913, PLR0917 - what is known of it, and what a finding says
        self,
        path: str,
        decode: Callable[[bytes, str], R],
        is_of_its_place: Callable[[R], bool],
        remedy: Remedy,
        window: Window | None = None,
        number: int = 0,
    ) -> R | None:
        """A record, if it is sealed and of its own place; else None, and it is noted."""
        content = self._read(path, remedy, window, number)
        if content is None:
            return None
        try:
            record = decode(content, path)
        except LakeDamaged:
            kind: Kind = "torn" if is_torn(content) else "altered"
            self.note(path, kind, remedy, window, number)
            return None
        if is_of_its_place(record):
            return record
        self.note(path, "altered", remedy, window, number)
        return None

    def check_mark(self, path: str) -> None:
        """A file whose name says it all holds nothing."""
        if self._read(path, "mark"):
            self.note(path, "altered", "mark")

    def check_named_by_content(self, path: str, beginning: str) -> None:
        """A file whose name holds the beginning of its own sha256; nothing can make it again."""
        content = self._read(path, "aside")
        if content is not None and not hashlib.sha256(content).hexdigest().startswith(beginning):
            self.note(path, "altered", "aside")

    def is_whole_poll(self, window: Window, number: int) -> bool:
        """Whether the data of a poll without a good record is whole by its seal; else noted."""
        path = self.lake.poll_path(window, number)
        content = self._read(path, "poll", window, number)
        if content is None:
            return False
        if is_whole_poll(content, poll_name(window.key, number)):
            return True
        kind: Kind = "altered" if content.endswith(b"PAR1") else "torn"
        self.note(path, kind, "poll", window, number)
        return False

    def _read(
        self, path: str, remedy: Remedy, window: Window | None = None, number: int = 0
    ) -> bytes | None:
        """The content; None where there is none or it cannot be read, and that is noted."""
        self.files += 1
        try:
            content = self.lake.store.get(path)
        except LakeDamaged:
            self.note(path, "unreadable", "look", window, number)
            return None
        if content is None:
            self.note(path, "missing", remedy, window, number)
        return content
