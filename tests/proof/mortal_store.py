"""A store in memory that dies at a step, and can be copied and restored."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from obstore.store import MemoryStore

from returns_orchestration.lake.store import ObjectStore

if TYPE_CHECKING:
    from obstore import PutMode


class Killed(BaseException):
    """An exception that the package does not catch, like the end of a process."""


class Mortal(ObjectStore):
    """Accepts ``left`` steps, each a file put or removed, and dies at the next; None: it lives.

    Each of many files in one call is a step, in random order: no order is promised.
    ``written`` has the path of every file that was put, in order.
    """

    def __init__(self) -> None:
        super().__init__(MemoryStore(), "memory://lake")
        self.left: int | None = None
        self.dice = random.Random(0)
        self.written: list[str] = []

    def put_many(self, contents: Mapping[str, bytes]) -> None:
        """One after the other."""
        for path in self._in_any_order(contents):
            self.put(path, contents[path])

    def delete_many(self, paths: Sequence[str]) -> None:
        """One after the other."""
        for path in self._in_any_order(paths):
            self._step()
            super().delete_many([path])

    def _put(self, path: str, content: bytes, mode: PutMode) -> str | None:
        self._step()
        done = super()._put(path, content, mode)
        self.written += [path] if done is not None else []
        return done

    def _step(self) -> None:
        if self.left == 0:
            raise Killed
        self.left = None if self.left is None else self.left - 1

    def _in_any_order(self, paths: Iterable[str]) -> list[str]:
        return self.dice.sample(list(paths), len(list(paths)))

    def copied(self) -> dict[str, bytes]:
        """Every file with its bytes."""
        files = {path: self.get(path) for path in self.list("")}
        return {path: content for path, content in files.items() if content is not None}

    def restore(self, files: Mapping[str, bytes]) -> None:
        """Hold these files and no others."""
        self.delete_many(list(self.list("")))
        self.put_many(files)
