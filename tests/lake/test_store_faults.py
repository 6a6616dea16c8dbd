"""When the system refuses: the old content stays, and a project error names the remedy."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import obstore
import pytest
from obstore.exceptions import BaseError
from obstore.store import MemoryStore

from returns_orchestration.errors import LakeDamaged, LakeUnwritable
from returns_orchestration.lake import store as room
from returns_orchestration.lake.store import FolderStore, ObjectStore

TABLE = "returns/date=2026-11-09/hour=11"


def refuse(number: int) -> Callable[..., NoReturn]:
    def refused(*_: Any, **__: Any) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return refused


def files_in(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


FAULTS = [
    pytest.param(os, "fsync", errno.ENOSPC, id="disk full at fsync"),
    pytest.param(Path, "replace", errno.ENOSPC, id="disk full at rename"),
    pytest.param(Path, "open", errno.EROFS, id="read-only"),
    pytest.param(Path, "mkdir", errno.EACCES, id="no permission for a folder"),
]


@pytest.mark.parametrize(("where", "name", "number"), FAULTS)
def test_a_failed_write_leaves_the_old_bytes_and_no_trace(
    where: Any, name: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FolderStore(tmp_path)
    store.put(f"{TABLE}/part-0.parquet", b"old")
    path = f"{TABLE}/new/f" if name == "mkdir" else f"{TABLE}/part-0.parquet"
    with monkeypatch.context() as broken:
        broken.setattr(where, name, refuse(number))
        with pytest.raises(LakeUnwritable) as raised:
            store.put(path, b"new")
    assert path in str(raised.value)
    assert os.strerror(number) in str(raised.value)
    assert str(raised.value).endswith(LakeUnwritable.next_step)
    assert raised.value.__suppress_context__ or raised.value.__context__ is None
    assert store.get(f"{TABLE}/part-0.parquet") == b"old"
    assert files_in(tmp_path) == ["part-0.parquet"]
    store.put(path, b"new")
    assert store.get(path) == b"new"


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EXDEV])
def test_a_failed_link_is_reported_for_its_folder(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FolderStore(tmp_path)
    link = Path.hardlink_to

    def refused_in_the_table(self: Path, target: Path) -> None:
        if TABLE in str(self):
            raise OSError(number, os.strerror(number))
        link(self, target)

    with monkeypatch.context() as broken:
        broken.setattr(Path, "hardlink_to", refused_in_the_table)
        with pytest.raises(LakeUnwritable, match=os.strerror(number)) as raised:
            store.create(f"{TABLE}/f", b"new")
    assert str(raised.value).endswith(LakeUnwritable.next_step)
    assert not files_in(tmp_path)
    assert store.create(f"{TABLE}/f", b"new")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
def test_a_disk_that_refuses_every_link_does_not_count_as_one_without_links(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "hardlink_to", refuse(number))
    with pytest.raises(LakeUnwritable, match=os.strerror(number)) as raised:
        FolderStore(tmp_path).create("f", b"new")
    assert str(raised.value).endswith(LakeUnwritable.next_step)
    assert not files_in(tmp_path)


@pytest.mark.parametrize(
    "number",
    [
        errno.EPERM,
        errno.ENOTSUP,
        errno.EOPNOTSUPP,
        errno.ENOSYS,
        errno.EMLINK,
        errno.EINVAL,
        errno.EACCES,
    ],
)
def test_a_file_system_without_hard_links_is_named_whatever_its_error(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "hardlink_to", refuse(number))
    store = FolderStore(tmp_path)
    with pytest.raises(LakeUnwritable) as raised:
        store.create(f"{TABLE}/f", b"new")
    text = str(raised.value)
    assert f"knows no hard links ({os.strerror(number)})" in text
    assert "Move RETURNS_LAKE to a local file system" in text
    assert "free space" not in text
    assert not files_in(tmp_path)
    store.put(f"{TABLE}/f", b"put")
    assert store.get(f"{TABLE}/f") == b"put"


def fsync_of_folders_is(number: int) -> Callable[[int], None]:
    real = os.fsync

    def synced(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        real(descriptor)

    return synced


def write_in_every_way(store: FolderStore) -> None:
    store.put(f"{TABLE}/f", b"put")
    store.create(f"{TABLE}/g", b"created")
    store.put_many({f"{TABLE}/h": b"put", f"{TABLE}/i": b"put"})
    store.delete(f"{TABLE}/f")
    store.delete_many([f"{TABLE}/h", f"{TABLE}/i"])


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.ENOSYS])
def test_an_unsupported_fsync_of_folders_is_ignored(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", fsync_of_folders_is(number))
    store = FolderStore(tmp_path / "lake")
    write_in_every_way(store)
    assert list(store.list("")) == [f"{TABLE}/g"]


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EROFS])
def test_a_failed_fsync_of_folders_is_an_error(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", fsync_of_folders_is(number))
    with pytest.raises(LakeUnwritable, match=os.strerror(number)):
        FolderStore(tmp_path / "lake").put(f"{TABLE}/f", b"put")


def test_no_folder_is_opened_on_systems_that_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows; on other systems a folder that cannot be opened lacks a permission."""
    monkeypatch.setattr(os, "open", refuse(errno.EACCES))
    with pytest.raises(LakeUnwritable, match="Permission denied"):
        FolderStore(tmp_path / "there").put(f"{TABLE}/f", b"put")
    monkeypatch.setattr(room, "OPENS_FOLDERS", False)
    store = FolderStore(tmp_path / "lake")
    write_in_every_way(store)
    assert list(store.list("")) == [f"{TABLE}/g"]


def test_a_lake_of_another_user_is_named_and_not_changed(tmp_path: Path) -> None:
    """No mock: root drops its rights for a moment, since root may write anywhere."""
    store = FolderStore(tmp_path / "lake")
    store.put(f"{TABLE}/part-0.parquet", b"old")
    folders = [folder for folder in tmp_path.rglob("*") if folder.is_dir()]
    for folder in folders:
        folder.chmod(0o555)
    me = os.geteuid()
    if me == 0:
        os.seteuid(65534)
    try:
        with pytest.raises(LakeUnwritable, match="Permission denied"):
            store.put(f"{TABLE}/part-0.parquet", b"new")
    finally:
        if me == 0:
            os.seteuid(0)
        for folder in folders:
            folder.chmod(0o755)
    assert [p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()] == [b"old"]
    store.put(f"{TABLE}/part-0.parquet", b"new")
    assert store.get(f"{TABLE}/part-0.parquet") == b"new"


def test_a_file_that_may_not_grow_is_named_and_the_old_one_stays(tmp_path: Path) -> None:
    """No mock: the system's own limit for files of this process."""
    store = FolderStore(tmp_path)
    store.put("f", b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(LakeUnwritable, match="File too large"):
            store.put("f", b"new" * 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()] == [b"old"]


def test_a_killed_writer_leaves_its_temporary_file_outside_the_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FolderStore(tmp_path)
    store.put(f"{TABLE}/part-0.parquet", b"old")
    with monkeypatch.context() as broken:
        # Killed between fsync and rename: nothing is cleaned up.
        broken.setattr(Path, "replace", refuse(errno.EIO))
        broken.setattr(Path, "unlink", refuse(errno.EIO))
        with pytest.raises(LakeUnwritable):
            store.put(f"{TABLE}/part-0.parquet", b"new")
    left = [path for path in tmp_path.rglob("*") if path.is_file() and path.parts[-2] == "_tmp"]
    assert [path.read_bytes() for path in left] == [b"new"]
    assert list(store.list("")) == [f"{TABLE}/part-0.parquet"]
    assert store.get(f"{TABLE}/part-0.parquet") == b"old"


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files and folders that were made durable, in order."""
    names: list[str] = []
    real = os.fsync

    def noted(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        names.append("a temporary file" if path.parent.name == "_tmp" else path.name)
        real(descriptor)

    if not Path("/proc/self/fd").exists():
        pytest.skip("the names of open files are given by /proc only")
    monkeypatch.setattr(os, "fsync", noted)
    return names


def test_file_and_folders_are_made_durable_before_a_put_returns(
    tmp_path: Path, synced: list[str]
) -> None:
    store = FolderStore(tmp_path / "lake")
    store.put("t/date=2026-11-09/f", b"x")
    assert synced[0] == "a temporary file"
    assert sorted(synced[1:]) == sorted([tmp_path.name, "lake", "t", "date=2026-11-09"])
    synced.clear()
    store.put("t/date=2026-11-09/f", b"y")
    assert synced == ["a temporary file", "date=2026-11-09"]
    synced.clear()
    assert store.create("t/date=2026-11-10/f", b"y")
    assert synced[0] == "a temporary file"
    assert sorted(synced[1:]) == ["date=2026-11-10", "t"]
    synced.clear()
    store.delete("t/date=2026-11-10/f")
    assert synced == ["date=2026-11-10"]


def test_many_files_are_made_durable_and_each_folder_once(
    tmp_path: Path, synced: list[str]
) -> None:
    store = FolderStore(tmp_path / "lake")
    files = [f"{t}/date=2026-11-09/hour={h}/{n}" for t in "ab" for h in (10, 11) for n in "fg"]
    store.put_many(dict.fromkeys(files, b"x"))
    assert synced[: len(files)] == ["a temporary file"] * len(files)
    both = ["date=2026-11-09", "hour=10", "hour=11"] * 2
    assert sorted(synced[len(files) :]) == sorted([tmp_path.name, "lake", "a", "b", *both])
    synced.clear()
    store.delete_many(files[:3])
    assert sorted(synced) == ["hour=10", "hour=11"]


def test_the_next_write_makes_a_folder_name_durable_after_a_failure(
    tmp_path: Path, synced: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FolderStore(tmp_path)
    store.put("t/f", b"old")
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", fsync_of_folders_is(errno.EIO))
        with pytest.raises(LakeUnwritable):
            store.put("t/date=2026-11-09/f", b"x")
    synced.clear()
    store.put("t/date=2026-11-09/g", b"x")
    assert sorted(synced[1:]) == ["date=2026-11-09", "t"]
    synced.clear()
    store.put("t/date=2026-11-09/h", b"x")
    assert synced[1:] == ["date=2026-11-09"]


def test_one_file_of_many_that_cannot_be_made_durable_stops_all_puts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FolderStore(tmp_path)
    old = {f"{TABLE}/{number}": b"old" for number in range(12)}
    new = {path: b"new" * (1 + number) for number, path in enumerate(old)}
    store.put_many(old)
    real = os.fsync

    def fails_for_two(descriptor: int) -> None:
        if os.fstat(descriptor).st_size in {12, 15}:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(descriptor)

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", fails_for_two)
        with pytest.raises(LakeUnwritable, match=f"{TABLE}/3: {os.strerror(errno.EIO)}") as raised:
            store.put_many(new)
    assert raised.value.__suppress_context__ or raised.value.__context__ is None
    assert store.get_many([*old]) == [*old.values()]
    assert not list((tmp_path / "_tmp").iterdir())
    store.put_many(new)
    assert store.get_many([*new]) == [*new.values()]


def test_one_file_of_many_that_cannot_be_renamed_is_reported_and_the_others_are_put(
    tmp_path: Path, synced: list[str]
) -> None:
    """No mock: a folder is in the place of a file."""
    store = FolderStore(tmp_path)
    store.put_many({"t/2/f": b"x", "u/f": b"x"})
    synced.clear()
    files = {f"t/{number}": b"new" for number in range(5)} | {"u/f": b"new"}
    with pytest.raises(LakeUnwritable, match=r"t/2: Is a directory"):
        store.put_many(files)
    assert store.get_many(["t/0", "t/1", "t/3", "t/4", "u/f"]) == [b"new"] * 5
    assert store.get("t/2/f") == b"x"
    assert sorted(synced[6:]) == ["t", "u"]
    assert not list((tmp_path / "_tmp").iterdir())


def test_one_failed_deletion_of_many_is_reported_and_the_others_are_done(tmp_path: Path) -> None:
    """No mock: even root may not unlink a folder."""
    store = FolderStore(tmp_path)
    store.put_many({"t/1": b"", "t/2/f": b"", "t/3": b""})
    with pytest.raises(LakeUnwritable, match="t/2: "):
        store.delete_many(["t/1", "t/2", "t/3"])
    assert list(store.list("")) == ["t/2/f"]


class Raced(FolderStore):
    """A folder whose new folders another process removes, ``left`` times."""

    left = 0

    def _folder(self, folder: Path) -> Any:
        made = super()._folder(folder)
        if self.left and folder.name == "raced":
            self.left -= 1
            folder.rmdir()
        return made


WRITES: list[Callable[[FolderStore], object]] = [
    lambda store: store.put("t/raced/f", b"x"),
    lambda store: store.create("t/raced/f", b"x"),
    lambda store: store.put_many({"t/raced/f": b"x", "t/raced/g": b"y"}),
]


@pytest.mark.parametrize("write", WRITES)
def test_a_removed_folder_is_made_again(
    write: Callable[[FolderStore], object], tmp_path: Path, synced: list[str]
) -> None:
    store = Raced(tmp_path)
    store.left = room.ATTEMPTS - 1
    write(store)
    assert store.get("t/raced/f") == b"x"
    assert {"raced", "t"} <= set(synced), "its name is durable, too"
    shutil.rmtree(tmp_path / "t")  # between two writes, like a cleanup by another process
    shutil.rmtree(tmp_path / "_tmp")
    write(store)
    assert store.get("t/raced/f") == b"x"
    shutil.rmtree(tmp_path / "t")
    store.left = 100
    with pytest.raises(LakeUnwritable, match=os.strerror(errno.ENOENT)):
        write(store)
    assert not files_in(tmp_path)


def test_a_removed_lake_is_made_again(tmp_path: Path, synced: list[str]) -> None:
    store = FolderStore(tmp_path / "lake")
    store.put("f", b"x")
    shutil.rmtree(tmp_path / "lake")
    synced.clear()
    store.put("f", b"y")
    assert store.get("f") == b"y"
    assert sorted(synced[1:]) == sorted([tmp_path.name, "lake"])


def test_a_file_that_vanishes_while_it_is_listed_is_not_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FolderStore(tmp_path)
    store.put_many({"t/f": b"x", "t/g": b"x"})
    files = store._files

    def vanishing(*args: str) -> Iterator[Any]:
        found = list(files(*args))
        (tmp_path / "t" / "g").unlink()
        yield from found

    monkeypatch.setattr(store, "_files", vanishing)
    assert list(store.between("t", "", "")) == [("t/f", 1)]


WRITER = """
import itertools, sys
from pathlib import Path
from returns_orchestration.lake.store import FolderStore
store = FolderStore(Path(sys.argv[1]))
for turn in itertools.count():
    content = bytes([turn % 251]) * 100_000
    store.put_many({f"t/{turn % 3}/{number}": content for number in range(16)})
    print(turn, flush=True)
"""


@pytest.mark.parametrize("turns", [0, 1, 4])
def test_a_killed_writer_of_many_leaves_no_torn_file(turns: int, tmp_path: Path) -> None:
    """No mock: the process is killed while it writes the next files."""
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:  # noqa: S603
        assert writer.stdout is not None
        for turn in range(turns + 1):
            assert writer.stdout.readline() == b"%d\n" % turn
        # The next round has begun when its temporary files exist.
        while writer.poll() is None and not any((tmp_path / "_tmp").iterdir()):
            pass
        writer.kill()
    store = FolderStore(tmp_path)
    paths = list(store.list("t"))
    assert len(paths) >= 16
    for path, content in zip(paths, store.get_many(paths), strict=True):
        assert content is not None
        assert len(content) == 100_000, path
        assert len(set(content)) == 1, path
    store.put_many(dict.fromkeys(paths, b"again"))
    assert set(store.get_many(paths)) == {b"again"}


def test_an_unreadable_folder_is_not_an_empty_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FolderStore(tmp_path)
    store.put("t/f", b"x")
    monkeypatch.setattr(os, "scandir", refuse(errno.EACCES))
    for look in (lambda: store.list("t"), lambda: store.between("t", "", "")):
        with pytest.raises(LakeDamaged, match="RETURNS_LAKE"):
            list(look())


def test_an_unreadable_file_is_not_an_absent_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FolderStore(tmp_path)
    store.put("t/f", b"x")
    monkeypatch.setattr(room, "open", refuse(errno.EIO), raising=False)
    with pytest.raises(LakeDamaged, match="t/f"):
        store.get("t/f")


@pytest.mark.parametrize(
    ("call", "function", "expected"),
    [
        (lambda s: s.put("f", b"x"), "put", LakeUnwritable),
        (lambda s: s.create("f", b"x"), "put", LakeUnwritable),
        (lambda s: s.delete("f"), "delete", LakeUnwritable),
        (lambda s: s.get("f"), "get", LakeDamaged),
        (lambda s: list(s.list("t")), "list", LakeDamaged),
        (lambda s: list(s.between("t", "", "")), "list", LakeDamaged),
        (lambda s: s.put_many({"f": b"x", "g": b"y"}), "put", LakeUnwritable),
        (lambda s: s.delete_many(["f", "g"]), "delete", LakeUnwritable),
        (lambda s: s.get_many(["f", "g"]), "get", LakeDamaged),
    ],
)
def test_a_refusal_of_an_object_store_is_reported_without_its_own_words(
    call: Callable[[ObjectStore], object],
    function: str,
    expected: type[Exception],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(*_: Any, **__: Any) -> NoReturn:
        raise BaseError("request 17 to https://bucket?secret=canary")

    monkeypatch.setattr(obstore, function, refused)
    with pytest.raises(expected) as raised:
        call(ObjectStore(MemoryStore(), "s3://bucket/lake"))
    assert "s3://bucket/lake" in str(raised.value)
    assert "canary" not in str(raised.value)
    assert raised.value.__context__ is None


def test_a_lake_that_is_no_folder_is_not_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("a file")
    store = FolderStore(tmp_path / "lake")
    for read in (
        lambda: store.get(f"{TABLE}/part-0.parquet"),
        lambda: list(store.list("returns")),
        lambda: store.children("returns"),
        lambda: list(store.between("returns", "", "")),
    ):
        with pytest.raises(LakeDamaged, match="Not a directory"):
            read()
    (tmp_path / "lake").unlink()
    assert store.get(f"{TABLE}/part-0.parquet") is None
    assert list(store.list("returns")) == []
