"""S3, GCS or Azure as a store: one PUT is atomic there, and nothing is left behind by a killed one.

The store's own words can hold addresses and request ids, so of an error only its kind is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError

from returns_orchestration.errors import LakeDamaged, LakeUnwritable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from obstore.store import ObjectStore as Remote

T = TypeVar("T")


class ObjectStore:
    """S3, GCS or Azure through obstore; one PUT is atomic there."""

    def __init__(self, remote: Remote, address: str) -> None:
        self._remote = remote
        self._address = address.rstrip("/")

    def __repr__(self) -> str:
        return f"ObjectStore({self._address!r})"

    def get(self, path: str) -> bytes | None:
        """See Store."""
        fault = ""
        try:
            return bytes(obstore.get(self._remote, path).bytes())
        except (NotFoundError, FileNotFoundError):
            return None
        except (BaseError, OSError) as error:
            fault = type(error).__name__
        message = f"The lake could not be read at {self.uri(path)}: {fault}."
        raise LakeDamaged(message, next_step="Check RETURNS_LAKE and the store's credentials.")

    def put(self, path: str, content: bytes) -> None:
        """See Store."""
        self._put(path, content, create=False)

    def create(self, path: str, content: bytes) -> bool:
        """See Store."""
        return self._put(path, content, create=True)

    def _put(self, path: str, content: bytes, *, create: bool) -> bool:
        fault = ""
        try:
            # Several parts would not be one atomic PUT with If-None-Match.
            obstore.put(
                self._remote,
                path,
                content,
                mode="create" if create else "overwrite",
                use_multipart=False,
            )
        except (AlreadyExistsError, FileExistsError):
            return False
        except (BaseError, OSError) as error:
            fault = type(error).__name__
        if fault:
            # The store's own text can hold addresses and request ids: its kind is enough.
            message = f"The lake could not be written at {self.uri(path)}: {fault}."
            raise LakeUnwritable(message)
        return True

    def list(self, prefix: str) -> Iterator[str]:
        """See Store."""
        pages = self._listed(prefix, lambda: list(obstore.list(self._remote, prefix)))
        yield from sorted(entry["path"] for page in pages for entry in page)

    def children(self, prefix: str) -> tuple[Sequence[str], Sequence[str]]:
        """See Store."""
        found = self._listed(
            prefix, lambda: obstore.list_with_delimiter(self._remote, prefix or None)
        )
        files = [entry["path"] for entry in found["objects"]]
        return sorted(map(_name, found["common_prefixes"])), sorted(map(_name, files))

    def _listed(self, prefix: str, look: Callable[[], T]) -> T:
        fault = ""
        try:
            return look()
        except (BaseError, OSError) as error:
            fault = type(error).__name__
        message = f"The lake could not be listed at {self.uri(prefix)}: {fault}."
        raise LakeDamaged(message, next_step="Check RETURNS_LAKE and the store's credentials.")

    def delete(self, path: str) -> None:
        """See Store."""
        fault = ""
        try:
            obstore.delete(self._remote, path)
        except (NotFoundError, FileNotFoundError):
            return
        except (BaseError, OSError) as error:
            fault = type(error).__name__
        if fault:
            message = f"The lake could not be written at {self.uri(path)}: {fault}."
            raise LakeUnwritable(message)

    def sweep(self) -> None:
        """See Store: one PUT leaves nothing behind."""

    def uri(self, path: str) -> str:
        """See Store."""
        return f"{self._address}/{path}"


def _name(path: str) -> str:
    return path.rstrip("/").rsplit("/", 1)[-1]
