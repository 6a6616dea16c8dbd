"""Names that ClickPost sends and this release does not know, and which of them were acknowledged.

A name has one file, which is put once and never changed: ``_news/<kind>-<digest>.json`` holds the
name and the hour that first had it. An empty ``_news/<kind>-<digest>.acknowledged`` beside it
records that a person has read it. So a name is news once, however often it is sent, and an hour
that is built again adds nothing.

Written by ``flow/build`` before an hour is published, so that no killed run hides a name.
``state/news`` decides which names are new; no name here is personal, see there.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from returns_orchestration.lake.many import side_by_side

if TYPE_CHECKING:
    from collections.abc import Iterable

    from returns_orchestration.lake.store import Store

NEWS: Final = "_news"
MOST_NAMES: Final = 100
"""New names of one kind that are kept one by one; one file stands for all others."""

OTHERS: Final = "(others)"
ACKNOWLEDGED: Final = ".acknowledged"

Kind = Literal["key", "code", "mode"]


class NewName(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A new key, status code or refund mode; ``hour`` is the partition key that first had it."""

    kind: Kind
    name: str
    hour: str = ""

    @property
    def path(self) -> str:
        """The path of its file, without the suffix."""
        return f"{NEWS}/{self.kind}-{hashlib.sha256(self.name.encode()).hexdigest()[:16]}"


class News:
    """The new names of one lake."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._noted: set[str] | None = None

    def note(self, names: Iterable[NewName]) -> None:
        """Note the names that are not noted yet. Raises LakeError."""
        for name in sorted(names):
            if self._noted is None:
                self._noted = {path.rpartition(".")[0] for path in self._store.list(NEWS)}
            if name.path in self._noted:
                continue
            of_kind = sum(path.startswith(f"{NEWS}/{name.kind}-") for path in self._noted)
            kept = name if of_kind < MOST_NAMES else msgspec.structs.replace(name, name=OTHERS)
            self._store.create(f"{kept.path}.json", msgspec.json.encode(kept))
            self._noted.add(kept.path)

    def waiting(self) -> list[NewName]:
        """The names that are not acknowledged, in order. Raises LakeError.

        A file that cannot be read is removed: its name is noted again with the next hour of a later
        run that has it.
        """
        paths = list(self._store.list(NEWS))
        acknowledged = {path.removesuffix(ACKNOWLEDGED) for path in paths}
        open_ones = [
            path
            for path in paths
            if path.endswith(".json") and path.removesuffix(".json") not in acknowledged
        ]
        return sorted(name for name in side_by_side(self._read, open_ones) if name is not None)

    def _read(self, path: str) -> NewName | None:
        try:
            return msgspec.json.decode(self._store.get(path) or b"", type=NewName)
        except msgspec.MsgspecError:
            self._store.delete(path)
            return None

    def acknowledge(self, name: NewName) -> None:
        """Note that a person has read of ``name``. Raises LakeUnwritable."""
        self._store.create(f"{name.path}{ACKNOWLEDGED}", b"")
