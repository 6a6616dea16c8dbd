"""S3, GCS or Azure as a store: one PUT is atomic there, and nothing is left behind by a killed one.

The store's own words can hold addresses and request ids: what is told of an error is for
``refusals`` to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError

from returns_orchestration.errors import LakeDamaged, LakeUnwritable
from returns_orchestration.lake.refusals import CONFLICTS, HONOURING, NO_BUCKET, refusal_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from obstore.store import ObjectStore as Remote

    from returns_orchestration.lake.refusals import Refusal

T = TypeVar("T")

ATTEMPTS: Final = 5
"""How often a PUT is sent that meets another one of the same file under way."""


class ObjectStore:
    """S3, GCS or Azure through obstore; one PUT is atomic there."""

    def __init__(self, remote: Remote, address: str) -> None:
        self._remote = remote
        self._address = address.rstrip("/")
        self._scheme = address.partition("://")[0]

    def __repr__(self) -> str:
        return f"ObjectStore({self._address!r})"

    def get(self, path: str) -> bytes | None:
        """See Store."""
        try:
            return bytes(obstore.get(self._remote, path).bytes())
        except (NotFoundError, FileNotFoundError) as error:
            refusal = self._refusal(error)
            if refusal.code not in NO_BUCKET:
                return None
        except (BaseError, OSError) as error:
            refusal = self._refusal(error)
        raise self._unreadable("read", path, refusal)

    def put(self, path: str, content: bytes) -> None:
        """See Store."""
        self._put(path, content, create=False)

    def create(self, path: str, content: bytes) -> bool:
        """See Store."""
        return self._put(path, content, create=True)

    def _put(self, path: str, content: bytes, *, create: bool) -> bool:
        mode: Literal["create", "overwrite"] = "create" if create else "overwrite"
        for _ in range(ATTEMPTS):
            exists = False
            try:
                # Several parts would not be one atomic PUT with If-None-Match.
                obstore.put(self._remote, path, content, mode=mode, use_multipart=False)
            except (AlreadyExistsError, FileExistsError) as error:
                refusal, exists = self._refusal(error), create
            except (BaseError, OSError) as error:
                refusal = self._refusal(error)
            else:
                return True
            if refusal.code not in CONFLICTS:
                break
        if exists and refusal.code not in CONFLICTS:
            # Where an answer was lost and it was sent again, what stands there may be ours.
            return refusal.retried and self.get(path) == content
        raise self._unwritable(path, refusal, creating=create)

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
        try:
            return look()
        except (BaseError, OSError) as error:
            refusal = self._refusal(error)
        raise self._unreadable("listed", prefix, refusal)

    def delete(self, path: str) -> None:
        """See Store."""
        try:
            obstore.delete(self._remote, path)
        except (NotFoundError, FileNotFoundError):
            return
        except (BaseError, OSError) as error:
            refusal = self._refusal(error)
        else:
            return
        raise self._unwritable(path, refusal, deleting=True)

    def sweep(self) -> None:
        """See Store: one PUT leaves nothing behind."""

    def uri(self, path: str) -> str:
        """See Store."""
        return f"{self._address}/{path}"

    def _refusal(self, error: Exception) -> Refusal:
        return refusal_of(error, self._scheme)

    def _unreadable(self, done: str, path: str, refusal: Refusal) -> LakeDamaged:
        message = f"The lake could not be {done} at {self.uri(path)}: {refusal.reason}."
        return LakeDamaged(message, next_step=refusal.next_step)

    def _unwritable(
        self, path: str, refusal: Refusal, *, creating: bool = False, deleting: bool = False
    ) -> LakeUnwritable:
        message = f"The lake could not be written at {self.uri(path)}: {refusal.reason}."
        next_step = refusal.next_step
        if creating and refusal.is_unknown_to_store:
            message += (
                " It does not know If-None-Match, by which a poll never takes the number of "
                "another one."
            )
            next_step = HONOURING
        elif deleting and refusal.is_unknown_to_store and self._scheme == "s3":
            message += " It does not know the deletion of several objects at once."
            next_step = "Set AWS_DISABLE_BULK_DELETE=true."
        return LakeUnwritable(message, next_step=next_step)


def _name(path: str) -> str:
    return path.rstrip("/").rsplit("/", 1)[-1]
