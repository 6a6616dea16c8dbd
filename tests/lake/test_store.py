"""The behaviour of every store, whether the lake is a folder or an object store."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from obstore.store import LocalStore, MemoryStore
from support.s3_server import BUCKET

from returns_orchestration.lake.objects import CHUNK
from returns_orchestration.lake.remote import open_remote
from returns_orchestration.lake.store import FolderStore, Listed, ObjectStore, open_store

if TYPE_CHECKING:
    from pathlib import Path

    from support.s3_server import S3Server

    from returns_orchestration.lake.store import Store


@pytest.fixture(params=["folder", "objects", "s3", "gcs", "ministack", "moto", "azurite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return FolderStore(tmp_path / "not/there/yet")
    if request.param == "s3":
        request.getfixturevalue("s3")
        return open_store(f"s3://{BUCKET}/lake")
    if request.param == "gcs":
        request.getfixturevalue("gcs")
        return open_store(f"gs://{BUCKET}/lake")
    if request.param == "objects":
        return ObjectStore(MemoryStore(), "memory://lake/")
    return request.getfixturevalue("real_store")(request.param)


def test_a_file_that_was_put_is_returned(store: Store) -> None:
    content = bytes(range(256)) * 1000
    store.put("t/date=2026-11-09/hour=11/part-0.parquet", content)
    assert store.get("t/date=2026-11-09/hour=11/part-0.parquet") == content


def test_an_absent_file_is_none_and_not_an_error(store: Store) -> None:
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


def test_a_file_has_another_tag_each_time_it_is_put(store: Store) -> None:
    store.put("t/a", b"x")
    store.create("t/date=2026-11-09/b", b"xy")
    store.put("u/c", b"x")
    first = store.versions("t", "")
    assert [(file.path, file.size) for file in first] == [("t/a", 1), ("t/date=2026-11-09/b", 2)]
    assert list(store.versions("t", "")) == list(first)
    assert list(store.versions("t", "t/date=2026-11-09")) == list(first[1:])
    assert not store.versions("v", "")
    store.put("t/a", b"y")
    (second, _) = store.versions("t", "")
    assert (second.path, second.size) == ("t/a", 1)
    assert second.tag != first[0].tag


def test_create_never_replaces(store: Store) -> None:
    assert store.create("a/f", b"first")
    assert not store.create("a/f", b"second")
    store.put("a/g", b"put")
    assert not store.create("a/g", b"created")
    assert (store.get("a/f"), store.get("a/g")) == (b"first", b"put")
    assert list(store.list("")) == ["a/f", "a/g"]


def test_exactly_one_of_many_concurrent_creates_succeeds(store: Store) -> None:
    writers = 8
    barrier = threading.Barrier(writers)

    def create(number: int) -> bool:
        barrier.wait(timeout=10)
        return store.create("one", str(number).encode())

    with ThreadPoolExecutor(writers) as pool:
        created = list(pool.map(create, range(writers)))
    assert sum(created) == 1
    assert store.get("one") == str(created.index(True)).encode()


def test_only_the_version_that_was_read_is_replaced(store: Store) -> None:
    assert store.get_tagged("a/f") is None
    first = store.replace("a/f", b"1", "")
    assert first
    assert store.replace("a/f", b"2", "") is None, "there is a file by now"
    assert store.get_tagged("a/f") == (b"1", first)
    second = store.replace("a/f", b"2", first)
    assert second
    assert store.replace("a/f", b"3", first) is None
    assert store.get_tagged("a/f") == (b"2", second)
    assert list(store.list("")) == ["a/f"]
    store.delete("a/f")
    assert store.replace("a/f", b"3", second) is None, "its file is gone"
    assert store.get("a/f") is None


def test_no_change_of_many_concurrent_ones_is_lost(store: Store) -> None:
    writers, changes = 6, 5
    barrier = threading.Barrier(writers)

    def write(number: int) -> None:
        barrier.wait(timeout=10)
        for change in range(changes):
            while True:
                content, tag = store.get_tagged("one") or (b"", "")
                if store.replace("one", content + f"{number}.{change} ".encode(), tag):
                    break

    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(write, range(writers)))
    content = store.get("one")
    assert content
    assert sorted(content.decode().split()) == sorted(
        f"{number}.{change}" for number in range(writers) for change in range(changes)
    )


@pytest.mark.parametrize("hiccup", ["reset", "reset after", (503, "SlowDown")])
def test_a_replacement_whose_answer_was_lost_has_succeeded(hiccup: Any, s3: S3Server) -> None:
    store = open_store(f"s3://{BUCKET}/lake")
    tag = store.replace("f", b"1", "")
    assert tag
    s3.hiccups = [hiccup]
    second = store.replace("f", b"2", tag)
    assert not s3.hiccups
    assert second == (store.get_tagged("f") or ())[1]


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


def test_a_missing_folder_has_no_paths(store: Store) -> None:
    assert list(store.list("nowhere")) == []
    assert list(store.list("")) == []


def test_delete_removes_a_file_and_accepts_an_absent_one(store: Store) -> None:
    store.put("a/f", b"x")
    store.put("a/g", b"y")
    store.delete("a/f")
    store.delete("a/f")
    store.delete("never/there")
    assert store.get("a/f") is None
    assert list(store.list("")) == ["a/g"]
    assert store.create("a/f", b"again")


PATHS = [
    *(f"_journal/date=2026-11-{day}/{hour}.poll-1" for day in ("08", "09", "10") for hour in "19"),
    "returns/date=2026-11-09.old",
    "returns/date=2026-11-09/hour=11/part-0.parquet",
    "returns/date=2026-11-09/hour=9/part-0.parquet",
    "returns2/0",
    "returns2/00",
    "returns2/a b",
    "returns2/a/b",
    "returns2/é~%",
    "top",
]
BOUNDS = [
    "",
    *PATHS[::2],
    "_journal",
    "_journal/",
    "_journal/date=2026-11-0",
    "_journal/date=2026-11-09",
    "_journal/date=2026-11-09/",
    "_journal/date=2026-11-09/1",
    "_journal/date=2026-11-10/1.",
    "returns/date=2026-11-09/hour=1",
    "returns0",
    "returns2/0",
    "returns2/!",
    "returns2/a.",
    "returns2/é",
    "/x",
    "returns2//",
    "\x00",
    "~",
]


@pytest.mark.parametrize("prefix", ["", "_journal", "returns", "returns2", "nowhere"])
def test_files_between_two_paths_equal_that_range_of_a_sorted_list(
    prefix: str, store: Store
) -> None:
    sizes = {path: number for number, path in enumerate(PATHS)}
    store.put_many({path: bytes(size) for path, size in sizes.items()})
    below = sorted(path for path in PATHS if path.startswith(f"{prefix}/") or not prefix)
    for start in BOUNDS:
        for stop in BOUNDS:
            expected = [
                Listed(path, sizes[path])
                for path in below
                if start <= path and (path < stop or not stop)
            ]
            assert list(store.between(prefix, start, stop)) == expected, (start, stop)
    assert list(store.list(prefix)) == below


def test_many_are_put_got_and_deleted_in_one_call(store: Store) -> None:
    contents = {f"t/{number % 5}/{number}": bytes([number]) * number for number in range(40)}
    store.put_many(contents)
    assert list(store.list("")) == sorted(contents)
    paths = [*reversed(contents), "t/none", "t/3/3/below", "t/3/3"]
    found = [contents.get(path) for path in paths]
    assert store.get_many(paths) == found
    store.put_many(dict.fromkeys(list(contents)[:9], b"replaced"))
    assert store.get_many(["t/3/3", "t/4/9"]) == [b"replaced", bytes([9]) * 9]
    store.delete_many(["never/there", *list(contents)[1:], "t/none"])
    store.delete_many(list(contents)[:2])
    assert not list(store.list(""))
    store.put_many({})
    store.delete_many([])
    assert store.get_many([]) == []


def test_an_absent_file_does_not_stop_other_deletions(tmp_path: Path) -> None:
    """This store, like GCS and Azure and unlike S3, reports that as an error."""
    store = ObjectStore(LocalStore(tmp_path), "file://lake")
    paths = [f"t/{number}" for number in range(40)]
    store.put_many(dict.fromkeys(paths[::2], b""))
    store.delete_many(paths)
    assert not list(store.list(""))


def journal(days: int) -> dict[str, bytes]:
    """100 objects a day."""
    return {
        f"lake/_journal/date=2026-{1 + day // 30:02}-{1 + day % 30:02}/{n:02}.json": b"xyz"
        for day in range(days)
        for n in range(100)
    }


@pytest.mark.parametrize(
    ("start", "stop", "files", "requests"),
    [
        ("2026-06-01", "2026-06-02", 100, 1),
        ("2026-06-01/42", "2026-06-01/43", 1, 1),
        ("2026-06-01/42.json", "2026-06-01/43.json", 1, 1),
        ("2026-06-01", "2026-06-10", 900, 1),
        ("2026-06-01", "2026-06-11/", 1000, 2),  # the page is full; does it go on?
        ("2026-06-01", "2026-06-12", 1100, 2),
        ("2026-12-21", "", 1000, 1),
        ("2027", "", 0, 1),
        ("2026-06-01", "2026-06-01", 0, 0),
    ],
)
def test_a_range_costs_only_the_requests_for_its_keys(
    start: str, stop: str, files: int, requests: int, s3: S3Server
) -> None:
    """Twelve months of keys before and after it; S3 gives 1,000 keys a request."""
    s3.objects = journal(360) | {"lake/_quarantine/first": b"", "lake/returns/last": b""}
    store = open_store(f"s3://{BUCKET}/lake")
    stop = f"_journal/date={stop}" if stop else stop
    found = list(store.between("_journal", f"_journal/date={start}", stop))
    assert len(found) == files
    assert {listed.size for listed in found} <= {3}
    assert len(s3.requests) == requests


def test_a_range_outside_the_folder_sends_no_request(s3: S3Server) -> None:
    s3.objects = journal(1)
    store = open_store(f"s3://{BUCKET}/lake")
    for start, stop in (("returns", ""), ("", "_journal/"), ("_journal0", "z"), ("z", "a")):
        assert not list(store.between("_journal", start, stop))
    assert not s3.requests


def test_a_store_without_order_is_listed_on_all_pages(s3: S3Server) -> None:
    """Azure with its hierarchical namespace, and a directory bucket of S3."""
    s3.objects = journal(20)
    s3.page = CHUNK
    remote = open_remote(f"s3://{BUCKET}/lake")
    for address in ("az://container/lake", "s3://bucket--use1-az4--x-s3/lake"):
        s3.requests.clear()
        store = ObjectStore(remote, address)
        day = "_journal/date=2026-01-02"
        assert len(list(store.between("_journal", day, f"{day}0"))) == 100
        assert len(s3.requests) == 20
        assert not any("start-after" in request for request in s3.requests)
        s3.requests.clear()
        assert len(list(store.between("_journal", f"{day}/1", f"{day}/3"))) == 20
        assert len(s3.requests) == 1, "the folder of both bounds is all that is listed"


def test_several_are_deleted_by_one_request(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    s3.objects = journal(10)
    paths = [key.removeprefix("lake/") for key in s3.objects]
    open_store(f"s3://{BUCKET}/lake").delete_many(paths)
    assert not s3.objects
    assert [request.split()[0] for request in s3.requests] == ["POST"]
    s3.requests.clear()
    s3.objects = journal(1)
    monkeypatch.setenv("AWS_DISABLE_BULK_DELETE", "true")
    open_store(f"s3://{BUCKET}/lake").delete_many(paths[:100])
    assert not s3.objects
    assert [request.split()[0] for request in s3.requests] == ["DELETE"] * 100


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


def test_a_folder_out_of_range_is_not_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FolderStore(tmp_path)
    store.put_many({f"t/date=2026-11-{day:02}/hour={h}/f": b"" for day in (8, 9) for h in (1, 2)})
    looked: list[str] = []
    scandir = os.scandir

    def noted(folder: str) -> Any:
        looked.append(folder.removeprefix(f"{tmp_path}/"))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", noted)
    assert len(list(store.between("t", "t/date=2026-11-09", ""))) == 2
    assert looked[0] == "t"
    assert sorted(looked[1:]) == [f"t/date=2026-11-09{hour}" for hour in ("", "/hour=1", "/hour=2")]
    looked.clear()
    assert len(list(store.between("", "t/date=2026-11-09/hour=2/", "t/date=2026-11-09/x"))) == 1
    assert looked == ["t/date=2026-11-09", "t/date=2026-11-09/hour=2"]
    looked.clear()
    assert not list(store.between("t", "u", ""))
    assert not looked


def test_temporary_files_are_not_listed_whatever_the_range(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put_many({"t/f": b"", "a/_tmp/f": b""})
    (tmp_path / "_tmp" / "left").write_bytes(b"torn")
    for start in ("", "_", "_tmp", "_tmp/a"):
        assert [path for path, _ in store.between("", start, "s")] == ["a/_tmp/f"]
        assert not list(store.between("", start, "_tmp0"))


def test_an_address_is_shown_to_a_user(tmp_path: Path) -> None:
    assert FolderStore(tmp_path).uri("t/f") == f"{tmp_path}/t/f"
    assert ObjectStore(MemoryStore(), "s3://bucket/lake/").uri("t/f") == "s3://bucket/lake/t/f"


def test_the_setting_selects_the_store_and_opens_nothing(tmp_path: Path) -> None:
    assert isinstance(open_store(str(tmp_path / "lake")), FolderStore)
    assert not (tmp_path / "lake").exists()
    assert isinstance(open_store("s3://bucket/lake"), ObjectStore)
