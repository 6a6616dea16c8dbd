"""Bad files are quarantined: where they go, and how they are read.

A file goes to ``_quarantine/``, under its path and the first digits of its own sha256, so that no
file there is ever replaced and the same content is quarantined once. Readers of tables and runs do
not look there; the files are evidence, to be removed by hand when they are no longer needed, and by
`forget` where it cannot tell whether they hold the person.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from returns_orchestration.lake.parquet import from_parquet, from_untrusted, is_whole
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

    from returns_orchestration.lake.store import Store

QUARANTINE: Final = "_quarantine"
QUARANTINE_BEFORE: Final = "_aside"
"""The folder of releases before 0.3; its files stay."""

_COPY: Final = re.compile(r"(?P<path>.+\.parquet)\.[0-9a-f]{8}")
_POLL: Final = re.compile(r"poll-(?P<number>[0-9]{4,})\.parquet")


def copy_to_quarantine(store: Store, path: str) -> str | None:
    """Copy the file at ``path``; returns the new path, or None without a file. Raises LakeError."""
    content = store.get(path)
    if content is None:
        return None
    return put_in_quarantine(store, path, content)


def put_in_quarantine(store: Store, path: str, content: bytes) -> str:
    """Put ``content``, which stood at ``path``, into quarantine; where to. Raises LakeError."""
    place = f"{QUARANTINE}/{path}.{hashlib.sha256(content).hexdigest()[:8]}"
    store.create(place, content)
    return place


def move_to_quarantine(store: Store, path: str) -> str | None:
    """Move the file at ``path``; returns the new path, or None without a file. Raises LakeError.

    After a kill in between, both copies exist, and a second call completes the move.
    """
    place = copy_to_quarantine(store, path)
    if place is not None:
        store.delete(path)
    return place


class Quarantined(NamedTuple):
    """A table's file in quarantine: its place, where it stood, and in which table."""

    place: str
    path: str
    table: str

    @property
    def window(self) -> Window | None:
        """The hour that it is about; None for a table of days."""
        return Window.from_path(self.path)

    def read(self, store: Store) -> pl.DataFrame | None:
        """Its content; None where it cannot be read."""
        content = store.get(self.place) or b""
        poll, window = _POLL.fullmatch(self.path.rpartition("/")[2]), self.window
        if poll and window and is_whole(content, f"{window.key}/{poll[0][:-8]}"):
            return from_parquet(content, self.place)
        return from_untrusted(content)


def files_in_quarantine(store: Store) -> Iterator[Quarantined]:
    """Every table's file in quarantine, in that of earlier releases, too."""
    for folder in (QUARANTINE, QUARANTINE_BEFORE):
        for place in store.list(folder):
            copy = _COPY.fullmatch(place.removeprefix(f"{folder}/"))
            if copy is not None:
                yield Quarantined(place, copy["path"], copy["path"].partition("/")[0])
