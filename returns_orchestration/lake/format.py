"""The format of a lake: its marker, the check of it, and what an upgrade keeps of replaced files.

What does not live here: the records of format 1 (``format_1``), and their conversion
(``flow/upgrade``).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from returns_orchestration.errors import LakeNewer, LakeOlder
from returns_orchestration.lake.journal import FORMAT, JOURNAL
from returns_orchestration.lake.trial import try_store

if TYPE_CHECKING:
    from returns_orchestration.lake.store import Store

RECORDS_BEFORE: Final = "_records"
"""The folder of format 1, which `upgrade` brings over."""

BACKUP: Final = "_before_upgrade"
"""The folder of files that `upgrade` has replaced, for `upgrade --undo`."""

MARKER: Final = f"{JOURNAL}/format-{FORMAT}.json"
_MARKED: Final = b'{"format": %d}\n' % FORMAT


class Format:
    """The format of the lake in ``store``."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._is_checked = False
        self._keeps_replaced = False

    def ensure(self, *, begin: bool = False) -> None:
        """Raise LakeOlder or LakeNewer where this release does not write the lake's format.

        With ``begin`` a lake that is empty is given the format of this release. An object store is
        tried first, whoever begins the lake; a folder refuses a create that it cannot do by itself.
        """
        if self._is_checked:
            return
        if self._store.get(MARKER) is None:
            _, files = self._store.children(JOURNAL)
            # Another process may have put this release's own marker meanwhile.
            own = MARKER.rpartition("/")[2]
            others = [name for name in files if name.startswith("format-") and name != own]
            if others:
                raise LakeNewer(self._store.uri(""), others[-1])
            if own not in files and any(self._store.children(RECORDS_BEFORE)):
                raise LakeOlder(self._store.uri(""))
            if not begin:
                return
            if "://" in self._store.uri(""):
                try_store(self._store, datetime.now(UTC))
            self._store.create(MARKER, _MARKED)
        self._is_checked = True

    def skip_check(self) -> None:
        """The format was checked under these very settings before: it is not asked for again."""
        self._is_checked = True

    def begin_upgrade(self) -> None:
        """Write this release's format beside that of an earlier one, and keep what is replaced."""
        self._is_checked = self._keeps_replaced = True

    def end_upgrade(self, inputs: int) -> None:
        """From now on the lake has this release's format, and ``inputs`` entries that count."""
        self._store.put(MARKER, b'{"format": %d, "inputs": %d}\n' % (FORMAT, inputs))
        self._keeps_replaced = False

    def keep_replaced(self, paths: list[str]) -> None:
        """Copy files that an upgrade is about to replace, each once, so that `upgrade --undo` can.

        The copy of a file that is not there is empty, which no Parquet file is.
        """
        if not self._keeps_replaced:
            return
        for path, content in zip(paths, self._store.get_many(paths), strict=True):
            self._store.create(f"{BACKUP}/{path}", content or b"")
