"""Bytes by path: put whole or not at all, for a folder and for object stores alike.

A put is atomic and durable. In a folder: a temporary file outside the tables, fsync, rename, fsync
of the folder (obstore's own local put renames without fsync, seen with strace at 0.12.1, hence our
own few lines). In an object store: one PUT. ``create`` is a put that never replaces: a hard link,
or a PUT with If-None-Match. Errors of the system leave as LakeUnwritable and LakeDamaged. Here is
the folder; object stores are in ``objects``.
"""

from __future__ import annotations

import errno
import os
import time
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from returns_orchestration.errors import LakeDamaged, LakeUnwritable
from returns_orchestration.lake.objects import ObjectStore
from returns_orchestration.lake.remote import open_remote

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TEMPORARY = "_tmp"
ABANDONED_SECONDS = 24 * 3600

OPENS_FOLDERS: Final = os.name != "nt"
"""Whether a folder can be opened, and so be made durable; Windows refuses to open one."""

UNSYNCED: Final = frozenset(
    {errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
)
"""Errors of a file system that does not know the fsync of a folder: names are its own affair."""

OF_THE_DISK: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS})
"""Errors that say nothing of what a file system knows."""


class Store(Protocol):
    """Paths are relative, with ``/``; every method may raise LakeUnwritable or LakeDamaged."""

    def get(self, path: str) -> bytes | None:
        """The whole content, or None where there is none."""

    def put(self, path: str, content: bytes) -> None:
        """Put ``content`` there, replacing what stood there; a reader sees the old or the new."""

    def create(self, path: str, content: bytes) -> bool:
        """Put ``content`` there if nothing stands there; False, and nothing done, otherwise."""

    def list(self, prefix: str) -> Iterator[str]:
        """Every path below the folder ``prefix``, in order; temporary files are not listed."""

    def children(self, prefix: str) -> tuple[Sequence[str], Sequence[str]]:
        """The names of the folders and of the files right in the folder ``prefix``, in order."""

    def delete(self, path: str) -> None:
        """Remove it; nothing happens where there is none."""

    def sweep(self) -> None:
        """Remove what killed writers left behind."""

    def uri(self, path: str) -> str:
        """The full address of ``path``, to be shown to a user."""


def open_store(lake: str, *, brief: bool = False) -> Store:
    """The store of RETURNS_LAKE. Sends nothing yet; the first use does.

    ``brief`` is for a trial of an object store, whose files are small: it waits less for a reply.
    Raises SettingsError where the address or a variable of the store makes no sense.
    """
    if "://" in lake:
        return ObjectStore(open_remote(lake, brief=brief), lake)
    return FolderStore(Path(lake))


@contextmanager
def _writing(where: str) -> Iterator[None]:
    """Errors of the system while writing, as ours."""
    try:
        yield
    except OSError as error:
        message = f"The lake could not be written at {where}: {_cause(error)}."
        raise LakeUnwritable(message) from None


@contextmanager
def _reading(where: str) -> Iterator[None]:
    """Errors of the system while reading, as ours."""
    try:
        yield
    except OSError as error:
        message = f"The lake could not be read at {where}: {_cause(error)}."
        next_step = "Check RETURNS_LAKE and its permissions."
        raise LakeDamaged(message, next_step=next_step) from None


def _cause(error: OSError) -> str:
    """The system's word for it, without the path, which may be anything."""
    return error.strerror or type(error).__name__


class FolderStore:
    """A folder of this machine."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._root = str(root)

    def __repr__(self) -> str:
        return f"FolderStore({str(self.root)!r})"

    def get(self, path: str) -> bytes | None:
        """See Store."""
        with _reading(path):
            try:
                # Strings, here and in list: building a Path costs more than reading the file.
                with open(f"{self._root}/{path}", "rb") as file:  # noqa: PTH123
                    return file.read()
            except (FileNotFoundError, NotADirectoryError):
                return None

    def put(self, path: str, content: bytes) -> None:
        """See Store."""
        final = self.root / path
        with _writing(path), self._durable(content) as temporary:
            self._folder(final.parent)
            temporary.replace(final)
            _fsync_folder(final.parent)

    def create(self, path: str, content: bytes) -> bool:
        """See Store."""
        final = self.root / path
        with _writing(path), self._durable(content) as temporary:
            self._folder(final.parent)
            try:
                final.hardlink_to(temporary)
            except FileExistsError:
                return False
            except OSError as error:
                if _takes_links(temporary.parent):
                    raise
                raise LakeUnwritable(
                    f"The lake could not be written at {path}: its file system knows no hard links "
                    f"({_cause(error)}), by which a poll never takes the number of another one.",
                    next_step="Move RETURNS_LAKE to a local file system such as ext4, xfs, NTFS or "
                    "APFS, or to an object store (s3://, gs://, az://).",
                ) from None
            _fsync_folder(final.parent)
        return True

    def list(self, prefix: str) -> Iterator[str]:
        """See Store."""
        found: list[str] = []
        with _reading(prefix):
            for folder, folders, files in os.walk(self.root / prefix, onerror=_unless_absent):
                if folder == self._root and TEMPORARY in folders:
                    folders.remove(TEMPORARY)
                below = folder[len(self._root) :].strip(os.sep).replace(os.sep, "/")
                found += [f"{below}/{name}" if below else name for name in files]
        yield from sorted(found)

    def children(self, prefix: str) -> tuple[Sequence[str], Sequence[str]]:
        """See Store."""
        with _reading(prefix):
            for _, folders, files in os.walk(self.root / prefix, onerror=_unless_absent):
                return sorted(set(folders) - ({TEMPORARY} if not prefix else set())), sorted(files)
        return [], []

    def delete(self, path: str) -> None:
        """See Store."""
        with _writing(path):
            (self.root / path).unlink(missing_ok=True)
            _fsync_folder((self.root / path).parent)

    def sweep(self) -> None:
        """See Store: temporary files that nobody has touched for a day."""
        with _writing(TEMPORARY), suppress(FileNotFoundError):
            for left in (self.root / TEMPORARY).iterdir():
                with suppress(FileNotFoundError):  # another sweep was faster
                    if time.time() - left.stat().st_mtime > ABANDONED_SECONDS:
                        left.unlink()

    def uri(self, path: str) -> str:
        """See Store."""
        return str(self.root / path)

    @contextmanager
    def _durable(self, content: bytes) -> Iterator[Path]:
        """A temporary file on the lake's own file system that holds ``content`` for good."""
        folder = self.root / TEMPORARY
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / uuid.uuid4().hex
        try:
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            yield temporary
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _folder(self, folder: Path) -> None:
        """Make ``folder``; each new one is made durable in its parent, or a crash could lose it."""
        if folder.is_dir():
            return
        self._folder(folder.parent)
        with suppress(FileExistsError):
            folder.mkdir()
        _fsync_folder(folder.parent)


def _unless_absent(error: OSError) -> None:
    """A folder that is not there has no files; one that cannot be listed must not look so."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


def _takes_links(folder: Path) -> bool:
    """Whether a hard link can be made in ``folder``; True, too, where no file can.

    The number of the error does not say: EPERM, ENOTSUP, ENOSYS, EMLINK, EINVAL and EACCES are
    given for a file system without links, and some of them for a folder without permission.
    """
    file, link = folder / uuid.uuid4().hex, folder / uuid.uuid4().hex
    try:
        with file.open("xb"):
            pass
    except OSError:
        return True
    try:
        link.hardlink_to(file)
    except OSError as error:
        return error.errno in OF_THE_DISK
    finally:
        for made in (file, link):
            with suppress(OSError):
                made.unlink(missing_ok=True)
    return True


def _fsync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable, where the system knows how."""
    if not OPENS_FOLDERS:
        return
    with suppress(FileNotFoundError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in UNSYNCED:
                raise
        finally:
            os.close(descriptor)
