"""A store that counts its calls as requests to an object store, and can take the same time.

A list counts one LIST for each 1,000 names begun, and a delete of many one DELETE, as in S3.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Literal

from returns_orchestration.lake.many import THREADS, Version
from returns_orchestration.lake.store import Listed, Store

Kind = Literal["LIST", "GET", "PUT", "DELETE"]

PAGE: Final = 1000


class CountingStore:
    """``store``, counted. A request takes ``delay`` seconds; those of one call are concurrent."""

    def __init__(
        self, store: Store, delay: float = 0.0, wait: Callable[[float], None] = time.sleep
    ) -> None:
        self.store = store
        self.delay = delay
        self.requests: Counter[Kind] = Counter()
        self._wait = wait

    def get(self, path: str) -> bytes | None:
        self._request("GET")
        return self.store.get(path)

    def get_many(self, paths: Sequence[str]) -> list[bytes | None]:
        self._request("GET", len(paths), abreast=THREADS)
        return self.store.get_many(paths)

    def put(self, path: str, content: bytes) -> None:
        self._request("PUT")
        self.store.put(path, content)

    def put_many(self, contents: Mapping[str, bytes]) -> None:
        self._request("PUT", len(contents), abreast=THREADS)
        self.store.put_many(contents)

    def create(self, path: str, content: bytes) -> bool:
        self._request("PUT")
        return self.store.create(path, content)

    def get_tagged(self, path: str) -> tuple[bytes, str] | None:
        self._request("GET")
        return self.store.get_tagged(path)

    def replace(self, path: str, content: bytes, tag: str) -> str | None:
        self._request("PUT")
        return self.store.replace(path, content, tag)

    def list(self, prefix: str) -> Iterator[str]:
        found = [*self.store.list(prefix)]
        self._pages(len(found))
        yield from found

    def between(self, prefix: str, start: str, stop: str) -> Iterator[Listed]:
        found = [*self.store.between(prefix, start, stop)]
        self._pages(len(found))
        yield from found

    def versions(self, prefix: str, start: str) -> Sequence[Version]:
        found = self.store.versions(prefix, start)
        self._pages(len(found))
        return found

    def children(self, prefix: str) -> tuple[Sequence[str], Sequence[str]]:
        folders, files = self.store.children(prefix)
        self._pages(len(folders) + len(files))
        return folders, files

    def delete(self, path: str) -> None:
        self._request("DELETE")
        self.store.delete(path)

    def delete_many(self, paths: Sequence[str]) -> None:
        self._request("DELETE", -(-len(paths) // PAGE))
        self.store.delete_many(paths)

    def sweep(self, age: float = 0) -> None:
        self.store.sweep(age)

    def uri(self, path: str) -> str:
        return self.store.uri(path)

    def _pages(self, names: int) -> None:
        self._request("LIST", max(1, -(-names // PAGE)))

    def _request(self, kind: Kind, number: int = 1, *, abreast: int = 1) -> None:
        """Note ``number`` requests, ``abreast`` of them at once."""
        self.requests[kind] += number
        for _ in range(0, number if self.delay else 0, abreast):
            self._wait(self.delay)
