"""What every store does alike, whether the lake is a folder or an object store."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from obstore.store import MemoryStore
from s3_server import BUCKET

from returns_orchestration.lake.store import FolderStore, ObjectStore, open_store

if TYPE_CHECKING:
    from pathlib import Path

    from s3_server import S3Server

    from returns_orchestration.lake.store import Store


@pytest.fixture(params=["folder", "objects", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return FolderStore(tmp_path / "not/there/yet")
    if request.param == "s3":
        request.getfixturevalue("s3")
        return open_store(f"s3://{BUCKET}/lake")
    return ObjectStore(MemoryStore(), "memory://lake/")


def test_what_is_put_is_got(store: Store) -> None:
    content = bytes(range(256)) * 1000
    store.put("t/date=2026-11-09/hour=11/part-0.parquet", content)
    assert store.get("t/date=2026-11-09/hour=11/part-0.parquet") == content


def test_what_was_never_put_is_none_and_not_an_error(store: Store) -> None:
    assert store.get("t/nothing") is None
    store.put("t/file", b"x")
    assert store.get("t/file/below") is None


def test_an_empty_file_is_not_an_absent_one(store: Store) -> None:
    store.put("empty", b"")
    assert store.get("empty") == b""


def test_a_put_replaces(store: Store) -> None:
    store.put("f", b"old and longer")
    store.put("f", b"new")
    assert store.get("f") == b"new"


def test_create_never_replaces(store: Store) -> None:
    assert store.create("a/f", b"first")
    assert not store.create("a/f", b"second")
    store.put("a/g", b"put")
    assert not store.create("a/g", b"created")
    assert (store.get("a/f"), store.get("a/g")) == (b"first", b"put")
    assert list(store.list("")) == ["a/f", "a/g"]


def test_of_many_that_create_at_once_one_succeeds_and_its_content_stands(store: Store) -> None:
    writers = 8
    barrier = threading.Barrier(writers)

    def create(number: int) -> bool:
        barrier.wait(timeout=10)
        return store.create("one", str(number).encode())

    with ThreadPoolExecutor(writers) as pool:
        created = list(pool.map(create, range(writers)))
    assert sum(created) == 1
    assert store.get("one") == str(created.index(True)).encode()


def test_list_gives_every_path_below_a_folder_in_order(store: Store) -> None:
    paths = ["t/b.json", "t/a/z", "t/a/y/x", "t/a.b", "t2/c", "tt", "s/d", "t/date=2026-11-09/h"]
    for path in paths:
        store.put(path, b"")
    below = sorted(path for path in paths if path.startswith("t/"))
    assert list(store.list("t")) == below
    assert list(store.list("t/a")) == ["t/a/y/x", "t/a/z"]
    assert list(store.list("")) == sorted(paths)


def test_children_are_the_names_of_folders_and_files_right_in_a_folder(store: Store) -> None:
    for path in ["t/b.json", "t/a/z", "t/a/y/x", "t/c/d", "top", "t2/e"]:
        store.put(path, b"")
    assert store.children("") == (["t", "t2"], ["top"])
    assert store.children("t") == (["a", "c"], ["b.json"])
    assert store.children("t/a") == (["y"], ["z"])
    assert store.children("nowhere") == ([], [])


def test_a_folder_that_is_not_there_has_no_paths(store: Store) -> None:
    assert list(store.list("nowhere")) == []
    assert list(store.list("")) == []


def test_delete_removes_and_is_content_with_nothing(store: Store) -> None:
    store.put("a/f", b"x")
    store.put("a/g", b"y")
    store.delete("a/f")
    store.delete("a/f")
    store.delete("never/there")
    assert store.get("a/f") is None
    assert list(store.list("")) == ["a/g"]
    assert store.create("a/f", b"again")


def test_a_reader_never_sees_a_torn_file(store: Store) -> None:
    contents = [bytes([number]) * (100_000 + number) for number in range(20)]
    store.put("f", contents[0])
    done = threading.Event()
    seen: list[bytes | None] = []

    def look() -> None:
        while not done.is_set():
            seen.append(store.get("f"))

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(look) for _ in range(2)]
        try:
            while len(seen) < 200 and not any(reader.done() for reader in readers):
                for content in contents:
                    store.put("f", content)
        finally:
            done.set()
        for reader in readers:
            reader.result(timeout=10)
    assert set(seen) <= set(contents)


def test_a_listing_of_several_pages_is_whole(s3: S3Server) -> None:
    s3.page = 3
    store = open_store(f"s3://{BUCKET}/lake")
    paths = [f"t/{number}/{name}" for number in range(4) for name in "ab"] + ["t/top"]
    for path in paths:
        store.put(path, b"")
    assert list(store.list("t")) == paths
    assert store.children("t") == (["0", "1", "2", "3"], ["top"])


def test_an_address_is_told_for_a_user(tmp_path: Path) -> None:
    assert FolderStore(tmp_path).uri("t/f") == f"{tmp_path}/t/f"
    assert ObjectStore(MemoryStore(), "s3://bucket/lake/").uri("t/f") == "s3://bucket/lake/t/f"


def test_the_setting_says_which_store_it_is_and_opens_nothing(tmp_path: Path) -> None:
    assert isinstance(open_store(str(tmp_path / "lake")), FolderStore)
    assert not (tmp_path / "lake").exists()
    assert isinstance(open_store("s3://bucket/lake"), ObjectStore)
