"""A store that dies at a change, like a process killed there."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from returns_orchestration.lake.store import ObjectStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from obstore import PutMode
    from obstore.store import ObjectStore as Remote


class Killed(BaseException):
    """An exception that the package does not catch, like the end of a process."""


class MortalStore(ObjectStore):
    """Accepts ``left`` changes, also deletions, and dies at the next and at all later ones.

    With ``fatal`` only changes below that path count.
    """

    def __init__(self, remote: Remote, left: int = 0, fatal: str = "") -> None:
        super().__init__(remote, "memory://lake")
        self._left = left
        self._fatal = fatal
        self._is_dead = False
        self._lock = threading.Lock()

    def _put(self, path: str, content: bytes, mode: PutMode) -> str | None:
        self._change(path)
        return super()._put(path, content, mode)

    def delete_many(self, paths: Sequence[str]) -> None:
        for path in paths:
            self._change(path)
            super().delete_many([path])

    def _change(self, path: str) -> None:
        with self._lock:
            if path.startswith(self._fatal):
                self._is_dead = self._is_dead or not self._left
                self._left -= 1
            if self._is_dead:
                raise Killed
