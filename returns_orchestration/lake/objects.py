"""S3, GCS or Azure as a store: one PUT is atomic there, and a killed one leaves nothing behind.

The store's own texts can hold addresses and request ids, so ``refusals`` words the errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar, cast

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotFoundError,
    PreconditionError,
)

from returns_orchestration.errors import LakeDamaged, LakeUnwritable
from returns_orchestration.lake.many import (
    Listed,
    Version,
    common_folder,
    is_between,
    may_hold,
    side_by_side,
)
from returns_orchestration.lake.refusals import CONFLICTS, HONOURING, NO_BUCKET, refusal_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from obstore import ObjectMeta, PutMode, PutResult
    from obstore.store import ObjectStore as Remote

    from returns_orchestration.lake.refusals import Refusal

T = TypeVar("T")

ATTEMPTS: Final = 5
"""How often a PUT is sent while another one of the same file is under way."""

ORDERED: Final = frozenset({"s3", "gs"})
"""Stores that list in the order of keys and from a given key on, as their documents promise.

Azure does not where its hierarchical namespace is on, and obstore promises no order at all.
"""

DIRECTORY_BUCKET: Final = "--x-s3"
"""The end of the name of an S3 bucket that lists in no order and not from a given key."""

NO_NAMES: Final = frozenset({"", ".", ".."})
"""Names that no part of a path may have."""

CHUNK: Final = 100
"""Keys taken at once from a page. A page has 1,000 at most, and may have fewer: a chunk that is as
large as a page would ask for the next page only to be full."""


class ObjectStore:
    """S3, GCS or Azure through obstore; one PUT is atomic there."""

    def __init__(self, remote: Remote, address: str) -> None:
        self._remote = remote
        self._address = address.rstrip("/")
        self._scheme = address.partition("://")[0]
        bucket = address.partition("://")[2].partition("/")[0]
        self._is_ordered = self._scheme in ORDERED and not bucket.endswith(DIRECTORY_BUCKET)

    def __repr__(self) -> str:
        return f"ObjectStore({self._address!r})"

    def get(self, path: str) -> bytes | None:
        """See Store; idempotent."""
        found = self.get_tagged(path)
        return found[0] if found else None

    def get_many(self, paths: Sequence[str]) -> list[bytes | None]:
        """See Store; idempotent."""
        return side_by_side(self.get, paths)

    def get_tagged(self, path: str) -> tuple[bytes, str] | None:
        """See Store; idempotent."""
        try:
            found = obstore.get(self._remote, path)
            return bytes(found.bytes()), _tag_of(found.meta)
        except (NotFoundError, FileNotFoundError) as error:
            refusal = self._refusal(error)
            if refusal.code not in NO_BUCKET:
                return None
        except (BaseError, OSError) as error:
            refusal = self._refusal(error)
        raise self._unreadable("read", path, refusal)

    def put(self, path: str, content: bytes) -> None:
        """See Store; idempotent."""
        self._put(path, content, "overwrite")

    def put_many(self, contents: Mapping[str, bytes]) -> None:
        """See Store; idempotent."""
        side_by_side(lambda entry: self.put(*entry), [*contents.items()])

    def create(self, path: str, content: bytes) -> bool:
        """See Store; not idempotent."""
        return self._put(path, content, "create") is not None

    def replace(self, path: str, content: bytes, tag: str) -> str | None:
        """See Store; not idempotent."""
        if not tag:
            return self._put(path, content, "create")
        e_tag, _, version = tag.partition("\n")
        known = {"e_tag": e_tag, "version": version} if version else {"e_tag": e_tag}
        return self._put(path, content, cast("PutMode", known))

    def _put(self, path: str, content: bytes, mode: PutMode) -> str | None:
        """The tag of the new version; None where the condition of ``mode`` is not met."""
        is_conditional = mode != "overwrite"
        for _ in range(ATTEMPTS):
            unmet = False
            try:
                # Several parts would not be one atomic PUT with a condition.
                put = obstore.put(self._remote, path, content, mode=mode, use_multipart=False)
            except (AlreadyExistsError, FileExistsError, PreconditionError) as error:
                refusal, unmet = self._refusal(error), is_conditional
            except (NotFoundError, FileNotFoundError) as error:
                refusal = self._refusal(error)
                # Without the file there is no version that could be replaced.
                unmet = isinstance(mode, dict) and refusal.code not in NO_BUCKET
            except (BaseError, OSError) as error:
                refusal = self._refusal(error)
            else:
                return _tag_of(put)
            if refusal.code not in CONFLICTS:
                break
        if unmet and refusal.code not in CONFLICTS:
            # Where an answer was lost and the PUT was sent again, the file there may be ours.
            found = self.get_tagged(path) if refusal.retried else None
            return found[1] if found and found[0] == content else None
        raise self._unwritable(path, refusal, mode)

    def list(self, prefix: str) -> Iterator[str]:
        """See Store; idempotent."""
        return (listed.path for listed in self.between(prefix, "", ""))

    def between(self, prefix: str, start: str, stop: str) -> Iterator[Listed]:
        """See Store; idempotent."""
        if may_hold(prefix, start, stop):
            folder = common_folder(prefix, start, stop)
            found = self._listed(prefix, lambda: self._pages(folder, start, stop))
            yield from sorted(Listed(entry["path"], entry["size"]) for entry in found)

    def versions(self, prefix: str, start: str) -> Sequence[Version]:
        """See Store; idempotent.

        A tag is the store's own (in S3 a digest of the content) and the time of the put: a file
        that was replaced and put back counts as changed.
        """
        if not may_hold(prefix, start, ""):
            return []
        found = self._listed(prefix, lambda: self._pages(prefix, start, ""))
        return sorted(
            Version(
                entry["path"],
                entry["size"],
                f"{entry.get('e_tag')} {entry['last_modified'].isoformat()}",
            )
            for entry in found
        )

    def _pages(self, folder: str, start: str, stop: str) -> Sequence[ObjectMeta]:
        """The files in range; no page behind ``stop`` is asked for where the store keeps order."""
        found: list[ObjectMeta] = []
        offset = _before(start) if self._is_ordered and start > f"{folder}/" else None
        for entries in obstore.list(self._remote, folder, offset=offset, chunk_size=CHUNK):
            found += [entry for entry in entries if is_between(entry["path"], start, stop)]
            if self._is_ordered and stop and entries[-1]["path"] >= stop:
                break
        return found

    def children(self, prefix: str) -> tuple[Sequence[str], Sequence[str]]:
        """See Store; idempotent."""
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
        """See Store; idempotent."""
        self.delete_many([path])

    def delete_many(self, paths: Sequence[str]) -> None:
        """See Store; idempotent. One request for 1,000 files in S3, for 256 in Azure."""
        if not paths:
            return
        try:
            obstore.delete(self._remote, paths)
        except (NotFoundError, FileNotFoundError):
            refusal = None
        except (BaseError, OSError) as error:
            refusal = self._refusal(error)
        else:
            return
        if refusal is not None:
            raise self._unwritable(paths[0], refusal, deleting=True)
        if len(paths) > 1:
            # An absent file may have ended the call (GCS, Azure) before the others were removed.
            side_by_side(self.delete, paths)

    def sweep(self, age: float = 0) -> None:
        """See Store; idempotent. One PUT leaves nothing behind."""

    def uri(self, path: str) -> str:
        """See Store; idempotent."""
        return f"{self._address}/{path}"

    def _refusal(self, error: Exception) -> Refusal:
        return refusal_of(error, self._scheme)

    def _unreadable(self, done: str, path: str, refusal: Refusal) -> LakeDamaged:
        message = f"The lake could not be {done} at {self.uri(path)}: {refusal.reason}."
        return LakeDamaged(message, next_step=refusal.next_step)

    def _unwritable(
        self, path: str, refusal: Refusal, mode: PutMode = "overwrite", *, deleting: bool = False
    ) -> LakeUnwritable:
        message = f"The lake could not be written at {self.uri(path)}: {refusal.reason}."
        next_step = refusal.next_step
        if mode == "create" and refusal.is_unknown_to_store:
            message += (
                " It does not know If-None-Match, by which a poll never takes the number of "
                "another one."
            )
            next_step = HONOURING
        elif mode != "overwrite" and refusal.is_unknown_to_store:
            message += (
                " It does not know If-Match, by which two daemons never replace each other's state "
                "of the alerts."
            )
            next_step = HONOURING
        elif deleting and refusal.is_unknown_to_store and self._scheme == "s3":
            message += " It does not know the deletion of several objects at once."
            next_step = "Set AWS_DISABLE_BULK_DELETE=true."
        return LakeUnwritable(message, next_step=next_step)


def _tag_of(known: ObjectMeta | PutResult) -> str:
    """ETag and version of an object: S3 and Azure compare the one, GCS the other."""
    return f"{known.get('e_tag') or ''}\n{known.get('version') or ''}"


def _name(path: str) -> str:
    return path.rstrip("/").rsplit("/", 1)[-1]


def _before(start: str) -> str | None:
    """A key before ``start`` with few keys in between: a store lists the keys after a given one.

    It replaces the last character by the one before it and a letter that few keys have there. None
    where obstore would refuse it, or read it as another path.
    """
    last = "." if start[-1] == "0" else chr(ord(start[-1]) - 1)
    key = f"{start[:-1]}{last}z"
    return key if key.isprintable() and NO_NAMES.isdisjoint(key.split("/")) else None
