"""When the system refuses: the old content stays, and the error is ours and says what to do."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import obstore
import pytest
from obstore.exceptions import BaseError
from obstore.store import MemoryStore

from returns_orchestration.errors import LakeDamaged, LakeUnwritable
from returns_orchestration.lake import store as room
from returns_orchestration.lake.store import FolderStore, ObjectStore

if TYPE_CHECKING:
    from collections.abc import Callable

TABLE = "returns/date=2026-11-09/hour=11"


def refuse(number: int) -> Callable[..., NoReturn]:
    def refused(*_: Any, **__: Any) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return refused


FAULTS = [
    pytest.param(os, "fsync", errno.ENOSPC, id="disk full at fsync"),
    pytest.param(Path, "replace", errno.ENOSPC, id="disk full at rename"),
    pytest.param(Path, "hardlink_to", errno.EACCES, id="no permission to link"),
    pytest.param(Path, "open", errno.EROFS, id="read-only"),
    pytest.param(Path, "mkdir", errno.EACCES, id="no permission for a folder"),
]


@pytest.mark.parametrize(("where", "name", "number"), FAULTS)
def test_a_failed_write_leaves_the_old_bytes_and_no_trace(
    where: Any, name: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FolderStore(tmp_path)
    store.put(f"{TABLE}/part-0.parquet", b"old")
    write = store.create if name == "hardlink_to" else store.put
    path = f"{TABLE}/new/f" if name in ("hardlink_to", "mkdir") else f"{TABLE}/part-0.parquet"
    with monkeypatch.context() as broken:
        broken.setattr(where, name, refuse(number))
        with pytest.raises(LakeUnwritable) as raised:
            write(path, b"new")
    assert path in str(raised.value)
    assert os.strerror(number) in str(raised.value)
    assert str(raised.value).endswith(LakeUnwritable.next_step)
    assert raised.value.__suppress_context__ or raised.value.__context__ is None
    assert store.get(f"{TABLE}/part-0.parquet") == b"old"
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["part-0.parquet"]
    write(path, b"new")
    assert store.get(path) == b"new"


def test_a_lake_of_somebody_else_is_named_and_stays_as_it_was(tmp_path: Path) -> None:
    """No mock: who is root gives that up for a moment, since root may write anywhere."""
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


def test_a_writer_that_is_killed_leaves_its_temporary_file_outside_the_tables(
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


def test_file_and_folders_are_made_durable_before_a_put_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real(descriptor)

    if not Path("/proc/self/fd").exists():
        pytest.skip("the names of open files are told by /proc only")
    monkeypatch.setattr(os, "fsync", noted)
    FolderStore(tmp_path / "lake").put("t/date=2026-11-09/f", b"x")
    assert len(synced) >= 4
    assert set(synced[1:]) >= {"lake", "t", "date=2026-11-09"}
    assert synced[-1] == "date=2026-11-09"


def test_a_folder_that_cannot_be_listed_is_no_empty_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FolderStore(tmp_path)
    store.put("t/f", b"x")
    monkeypatch.setattr(os, "scandir", refuse(errno.EACCES))
    with pytest.raises(LakeDamaged, match="RETURNS_LAKE"):
        list(store.list("t"))


def test_a_file_that_cannot_be_read_is_no_absent_file(
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
    ],
)
def test_an_object_store_that_refuses_says_so_without_its_own_words(
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
