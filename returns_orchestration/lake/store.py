"""Bytes by path: put whole or not at all, for a folder and for object stores alike.

A put is atomic and durable. In a folder: a temporary file outside the tables, fsync, rename, fsync
of the folder (obstore's own local put renames without fsync, seen with strace at 0.12.1, hence our
own few lines). In an object store: one PUT. ``create`` is a put that never replaces: a hard link,
or a PUT with If-None-Match. Errors of the system are raised as LakeUnwritable and LakeDamaged. This
module holds the folder; object stores are in ``objects``. ``replace`` is a put that replaces one
known version: under a lock, or a PUT with If-Match.

A request takes some 30 ms, and one fsync waits for the one before it. A caller passes several files
in one call: ``get_many``, ``put_many`` and ``delete_many`` wait side by side.
"""

from __future__ import annotations

import errno
import hashlib
import os
import time
import uuid
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from returns_orchestration.errors import LakeDamaged, LakeUnwritable
from returns_orchestration.lake.many import Listed, Version, common_folder, may_hold, side_by_side
from returns_orchestration.lake.objects import ObjectStore
from returns_orchestration.lake.remote import open_remote

try:
    import fcntl
except ImportError:  # Windows, where a service of ours is not supported
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

TEMPORARY = "_tmp"
ABANDONED_SECONDS = 24 * 3600
LOCK: Final = "lock"
"""The file, among the temporary ones, that is locked while a file is replaced. It is never removed:
one process could lock the removed file while another one locks the next of that name."""

ATTEMPTS: Final = 5
"""How often a file is placed in a folder that others remove at the same time."""

READERS: Final = 2
"""Threads that read files of a folder. 100 files of 20 kB took 3 ms with one, 4 with two and 8.5
with eight where the system had them in memory, and 22, 12 and 13 ms where it had not.
"""

OPENS_FOLDERS: Final = os.name != "nt"
"""Whether a folder can be opened, and so be made durable; Windows refuses to open one."""

UNSYNCED: Final = frozenset(
    {errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
)
"""Errors of a file system that has no fsync of a folder, and keeps names durable by itself."""

OF_THE_DISK: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS})
"""Errors that do not show what a file system supports."""


class Store(Protocol):
    """Paths are relative, with ``/``; every method may raise LakeUnwritable or LakeDamaged."""

    def get(self, path: str) -> bytes | None:
        """The whole content, or None where there is none. Idempotent: it changes nothing."""

    def get_many(self, paths: Sequence[str]) -> list[bytes | None]:
        """The result of ``get`` for each of ``paths``, in order. Idempotent, as ``get`` is."""

    def put(self, path: str, content: bytes) -> None:
        """Put ``content`` there, replacing an earlier file; a reader sees the old or the new.

        Idempotent: the same put once more leaves the same content.
        """

    def put_many(self, contents: Mapping[str, bytes]) -> None:
        """Put each content at its path, as ``put`` does; all are durable when this returns.

        No order among the files is promised. When one fails, the first error is raised after the
        others have ended; files that were put stay. Idempotent: after an error, or an end of the
        process in between, the same call once more puts them all.
        """

    def create(self, path: str, content: bytes) -> bool:
        """Put ``content`` there if there is no file; otherwise False, without a change.

        Not idempotent: a second call returns False, also after a call that ended in an error, where
        that one had put the file before it failed.
        """

    def get_tagged(self, path: str) -> tuple[bytes, str] | None:
        """The whole content and the tag of this version, or None. Idempotent, as ``get`` is."""

    def replace(self, path: str, content: bytes, tag: str) -> str | None:
        """Put ``content`` in the place of the version ``tag``, of ``get_tagged`` or ``replace``.

        "" for ``tag`` stands for no file. Gives the new tag; None, without a change, where there is
        another version, or no file. Only ``replace`` may write a file that ``replace`` writes.

        Not idempotent: a second call returns None, also after a call that ended in an error, where
        that one had put the file before it failed.
        """

    def list(self, prefix: str) -> Iterator[str]:
        """Every path below the folder ``prefix``, in order; temporary files are not listed.

        Idempotent: it changes nothing.
        """

    def between(self, prefix: str, start: str, stop: str) -> Iterator[Listed]:
        """Every file below the folder ``prefix`` with ``start <= path < stop``, in order.

        ``start`` and ``stop`` are compared with the full path, as text; "" for ``stop`` is the end
        of all paths. Files out of range cost as little as the store allows: no request for
        pages before and behind, no look into folders. Temporary files are not listed. Idempotent:
        it changes nothing.
        """

    def versions(self, prefix: str, start: str) -> Sequence[Version]:
        """Every file below the folder ``prefix`` with ``start <= path``, in order, with its tag.

        A tag changes each time a file is put, also where name and size are the same; in an object
        store two puts of the same bytes within a second may have one tag. Idempotent: it changes
        nothing.
        """

    def children(self, prefix: str) -> tuple[Sequence[str], Sequence[str]]:
        """The names of the folders and of the files right in the folder ``prefix``, in order.

        Idempotent: it changes nothing.
        """

    def delete(self, path: str) -> None:
        """Remove it; no error where there is none. Idempotent for that reason."""

    def delete_many(self, paths: Sequence[str]) -> None:
        """Remove each, as ``delete`` does. No order is promised. Idempotent, as ``delete`` is."""

    def sweep(self, age: float = ABANDONED_SECONDS) -> None:
        """Remove files of killed writers, unchanged for ``age`` seconds. Idempotent.

        A second call finds no more. A writer that is stalled for longer fails and is started again.
        """

    def uri(self, path: str) -> str:
        """The full address of ``path``, to be shown to a user. Idempotent: nothing is sent."""


def open_store(lake: str, *, brief: bool = False) -> Store:
    """The store of RETURNS_LAKE. Sends nothing yet; the first use does.

    ``brief`` is for a trial of an object store, whose files are small: it waits less for a reply.
    Raises SettingsError where the address or a variable of the store is invalid.
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
    """The system's text for it, without the path, which may hold anything."""
    return error.strerror or type(error).__name__


class FolderStore:
    """A folder of this machine."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._root = str(root)
        self._known: set[Path] = set()
        """Folders that were there when last looked at, and whose names need no fsync of ours."""
        self._new: set[Path] = set()
        """Folders made here whose names are not durable yet; a writer there makes them durable."""

    def __repr__(self) -> str:
        return f"FolderStore({str(self.root)!r})"

    def get(self, path: str) -> bytes | None:
        """See Store; idempotent."""
        with _reading(path):
            try:
                # Strings, here and in list: building a Path costs more than reading the file.
                with open(f"{self._root}/{path}", "rb") as file:  # noqa: PTH123
                    return file.read()
            except (FileNotFoundError, NotADirectoryError) as error:
                self._unless_absent(error)
                return None

    def get_many(self, paths: Sequence[str]) -> list[bytes | None]:
        """See Store; idempotent."""
        return side_by_side(self.get, paths, READERS)

    def put(self, path: str, content: bytes) -> None:
        """See Store; idempotent."""
        self.put_many({path: content})

    def put_many(self, contents: Mapping[str, bytes]) -> None:
        """See Store; idempotent. If one file cannot be written to the disk, no file is put."""
        with ExitStack() as temporaries:

            def write(entry: tuple[str, bytes]) -> Path:
                with _writing(entry[0]):
                    return temporaries.enter_context(self._durable(entry[1]))

            written = dict(zip(contents, side_by_side(write, [*contents.items()]), strict=True))
            unsynced: dict[Path, str] = {}

            def place(path: str) -> None:
                with _writing(path):
                    self._place(path, written[path].replace, unsynced)

            try:
                # A rename waits for nothing, so threads would only make it slower.
                side_by_side(place, [*contents], threads=1)
            finally:
                self._sync(unsynced)

    def create(self, path: str, content: bytes) -> bool:
        """See Store; not idempotent."""
        unsynced: dict[Path, str] = {}
        with _writing(path), self._durable(content) as temporary:
            try:
                self._place(path, lambda final: _link(path, final, temporary), unsynced)
            except FileExistsError:
                return False
            self._sync(unsynced)
        return True

    def get_tagged(self, path: str) -> tuple[bytes, str] | None:
        """See Store; idempotent."""
        content = self.get(path)
        return None if content is None else (content, _tag_of(content))

    def replace(self, path: str, content: bytes, tag: str) -> str | None:
        """See Store; not idempotent."""
        with self._locked(path):
            found = self.get_tagged(path)
            if (found[1] if found else "") != tag:
                return None
            self.put(path, content)
        return _tag_of(content)

    def list(self, prefix: str) -> Iterator[str]:
        """See Store; idempotent."""
        with _reading(prefix):
            found = sorted(path for path, _ in self._files(prefix, "", ""))
        yield from found

    def between(self, prefix: str, start: str, stop: str) -> Iterator[Listed]:
        """See Store; idempotent."""
        found: list[Listed] = []
        with _reading(prefix):
            for path, entry in self._files(common_folder(prefix, start, stop), start, stop):
                with suppress(FileNotFoundError):  # gone since it was listed
                    found.append(Listed(path, entry.stat().st_size))
        yield from sorted(found)

    def versions(self, prefix: str, start: str) -> Sequence[Version]:
        """See Store; idempotent. Each put makes a new file, with another number and time."""
        found: list[Version] = []
        with _reading(prefix):
            for path, entry in self._files(prefix, start, ""):
                with suppress(FileNotFoundError):  # gone since it was listed
                    known = entry.stat()
                    tag = f"{known.st_ino:x}-{known.st_mtime_ns:x}"
                    found.append(Version(path, known.st_size, tag))
        return sorted(found)

    def children(self, prefix: str) -> tuple[Sequence[str], Sequence[str]]:
        """See Store; idempotent."""
        with _reading(prefix):
            for _, folders, files in os.walk(self.root / prefix, onerror=self._unless_absent):
                return sorted(set(folders) - ({TEMPORARY} if not prefix else set())), sorted(files)
        return [], []

    def delete(self, path: str) -> None:
        """See Store; idempotent."""
        self.delete_many([path])

    def delete_many(self, paths: Sequence[str]) -> None:
        """See Store; idempotent."""
        unsynced: dict[Path, str] = {}

        def remove(path: str) -> None:
            with _writing(path):
                file = self.root / path
                file.unlink(missing_ok=True)
                unsynced.setdefault(file.parent, path)

        try:
            side_by_side(remove, paths, threads=1)
        finally:
            self._sync(unsynced)

    def sweep(self, age: float = ABANDONED_SECONDS) -> None:
        """See Store; idempotent. Removes temporary files that are unchanged for ``age`` seconds."""
        with _writing(TEMPORARY), suppress(FileNotFoundError):
            for left in (self.root / TEMPORARY).iterdir():
                if left.name == LOCK:
                    continue
                with suppress(FileNotFoundError):  # another sweep was faster
                    if time.time() - left.stat().st_mtime > age:
                        left.unlink()

    def uri(self, path: str) -> str:
        """See Store; idempotent."""
        return str(self.root / path)

    def _files(self, folder: str, start: str, stop: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """Every file below ``folder`` that is in range; links to folders are not followed."""
        folders = [folder]
        while folders:
            folder = folders.pop()
            if not may_hold(folder, start, stop):
                continue
            below = f"{folder}/" if folder else ""
            try:
                with os.scandir(f"{self._root}/{folder}") as entries:
                    for entry in entries:
                        path = f"{below}{entry.name}"
                        if not entry.is_dir():
                            if start <= path and (not stop or path < stop):
                                yield path, entry
                        elif path != TEMPORARY and not entry.is_symlink():
                            folders.append(path)
            except OSError as error:
                self._unless_absent(error)

    def _unless_absent(self, error: OSError) -> None:
        """An absent folder has no files; one that cannot be listed must not look empty.

        A lake that is no folder at all is not absent either.
        """
        is_lost = isinstance(error, NotADirectoryError) and self.root.is_file()
        if is_lost or not isinstance(error, FileNotFoundError | NotADirectoryError):
            raise error

    @contextmanager
    def _locked(self, path: str) -> Iterator[None]:
        """Wait until no other process replaces a file; a killed one releases its lock."""
        file = self.root / TEMPORARY / LOCK
        with ExitStack() as held:
            with _writing(path):
                file.parent.mkdir(parents=True, exist_ok=True)
                lock = held.enter_context(file.open("ab"))
                if fcntl is not None:
                    fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _durable(self, content: bytes) -> Iterator[Path]:
        """A temporary file on the lake's own file system that holds ``content`` durably."""
        folder = self.root / TEMPORARY
        temporary = folder / uuid.uuid4().hex
        try:
            try:
                file = temporary.open("xb")
            except FileNotFoundError:
                self._folder(self.root)
                folder.mkdir(exist_ok=True)
                file = temporary.open("xb")
            with file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            yield temporary
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _place(self, path: str, place: Callable[[Path], object], unsynced: dict[Path, str]) -> None:
        """Call ``place`` with the final path, in a folder that exists.

        Adds the folders whose names are to be made durable then, each with ``path`` unless it is
        there already.
        """
        final = self.root / path
        for left in reversed(range(ATTEMPTS)):
            try:
                new = self._folder(final.parent)
                place(final)
            except FileNotFoundError:
                if not left:
                    raise
                self._known.clear()  # another process has removed a folder
            else:
                break
        for folder in (final.parent, *(made.parent for made in new)):
            unsynced.setdefault(folder, path)

    def _folder(self, folder: Path) -> Sequence[Path]:
        """Make ``folder``; the new folders, it and those above, whose names are not durable yet."""
        if folder in self._known:
            return []
        if not folder.is_dir():
            above = self._folder(folder.parent)
            self._new.add(folder)  # before it is there: another thread must not take it for old
            with suppress(FileExistsError):
                folder.mkdir()
            return [folder, *above]
        if folder in self._new:
            return [folder, *self._folder(folder.parent)]
        self._known.add(folder)
        return []

    def _sync(self, folders: dict[Path, str]) -> None:
        """Make the names in ``folders`` durable; an error names the path beside the folder."""
        # Only those that are there by now; another thread may be about to make one.
        made = [new for new in self._new.copy() if new.parent in folders and new.is_dir()]

        def sync(folder: Path) -> None:
            with _writing(folders[folder]):
                _fsync_folder(folder)

        side_by_side(sync, [*folders])
        self._new.difference_update(made)


def _tag_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _link(path: str, final: Path, temporary: Path) -> None:
    """Make ``final`` a second name of ``temporary``; FileExistsError where there is such a file."""
    try:
        final.hardlink_to(temporary)
    except (FileExistsError, FileNotFoundError):
        raise
    except OSError as error:
        if _takes_links(temporary.parent):
            raise
        raise LakeUnwritable(
            f"The lake could not be written at {path}: its file system knows no hard links "
            f"({_cause(error)}), by which a poll never takes the number of another one.",
            next_step="Move RETURNS_LAKE to a local file system such as ext4, xfs, NTFS or "
            "APFS, or to an object store (s3://, gs://, az://).",
        ) from None


def _takes_links(folder: Path) -> bool:
    """Whether a hard link can be made in ``folder``; True, too, where no file can.

    The number of the error does not show it: EPERM, ENOTSUP, ENOSYS, EMLINK, EINVAL and EACCES are
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
    """Make the names in ``folder`` durable, where the system can."""
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
