"""The counting store counts the requests that S3 gets."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from returns_orchestration.lake.store import FolderStore, Store, open_store
from support.counting_store import CountingStore
from support.s3_server import BUCKET, S3Server

KINDS = {"GET": "GET", "PUT": "PUT", "POST": "DELETE"}
MANY = {f"t/{number:04}": bytes(number % 3) for number in range(20)}


def use(store: Store) -> None:
    """Every method at least once."""
    store.put_many(MANY)
    store.put("t/one", b"1")
    assert store.create("t/two", b"2")
    assert not store.create("t/two", b"3")
    assert store.get("t/one") == b"1"
    assert store.get_many([*MANY, "t/none"]) == [*MANY.values(), None]
    assert list(store.list("t")) == [*MANY, "t/one", "t/two"]
    found = list(store.between("t", "t/0003", "t/0005"))
    assert found == [("t/0003", 0), ("t/0004", 1)]
    assert store.children("") == (["t"], [])
    store.delete("t/one")
    store.delete_many([*MANY])
    store.delete_many([])
    store.put_many({})
    assert store.get_many([]) == []
    store.sweep()
    assert list(store.list("")) == ["t/two"]


def test_it_counts_the_requests_to_s3(s3: S3Server, tmp_path: Path) -> None:
    counted = CountingStore(open_store(f"s3://{BUCKET}/lake"))
    use(counted)
    sent = Counter("LIST" if "?" in r and r[0] == "G" else KINDS[r.split()[0]] for r in s3.requests)
    assert counted.requests == sent == {"PUT": 23, "GET": 22, "LIST": 4, "DELETE": 2}
    folder = CountingStore(FolderStore(tmp_path))
    use(folder)
    assert folder.requests == sent
    assert folder.uri("t/two") == str(tmp_path / "t/two")


@pytest.mark.parametrize(("files", "pages"), [(0, 1), (1, 1), (1000, 1), (1001, 2)])
def test_a_list_is_one_request_for_each_thousand_names(
    files: int, pages: int, s3: S3Server
) -> None:
    s3.objects = {f"lake/t/{number}": b"" for number in range(files)}
    counted = CountingStore(open_store(f"s3://{BUCKET}/lake"))
    for listed in (counted.list("t"), counted.between("t", "", "")):
        assert len(list(listed)) == files
        assert len(s3.requests) == counted.requests["LIST"] == pages
        s3.requests.clear()
        counted.requests.clear()


def test_each_request_takes_its_time_and_those_of_one_call_are_concurrent(tmp_path: Path) -> None:
    waits: list[float] = []
    use(CountingStore(FolderStore(tmp_path / "counted"), wait=waits.append))
    assert not waits
    store = CountingStore(FolderStore(tmp_path / "slow"), delay=0.03, wait=waits.append)
    use(store)
    # 20 PUTs and 21 GETs side by side are two waits each.
    assert waits == [0.03] * (2 + 3 + 1 + 2 + 4 + 2)
