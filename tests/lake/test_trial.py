"""The trial of a store by `doctor` and `backfill`: every guarantee that a poll needs."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

import pytest
from obstore.store import MemoryStore
from support.records import at
from support.s3_server import BUCKET, S3Server

from returns_orchestration.errors import LakeDamaged, LakeUnwritable
from returns_orchestration.lake import Lake, remote
from returns_orchestration.lake.format import MARKER
from returns_orchestration.lake.journal import JOURNAL
from returns_orchestration.lake.store import FolderStore, ObjectStore, Store, open_store
from returns_orchestration.lake.trial import TRIAL, try_store
from returns_orchestration.state.verify import Verifier

NOW = at(20)
LAKE = f"s3://{BUCKET}/lake"


@pytest.fixture(params=["folder", "objects", "s3", "gcs", "ministack", "moto", "azurite"])
def store(request: pytest.FixtureRequest, folder: Path) -> Store:
    if request.param == "folder":
        return FolderStore(folder)
    if request.param == "s3":
        request.getfixturevalue("s3")
        return open_store(LAKE)
    if request.param == "gcs":
        request.getfixturevalue("gcs")
        return open_store(f"gs://{BUCKET}/lake")
    if request.param == "objects":
        return ObjectStore(MemoryStore(), "memory://lake")
    return request.getfixturevalue("real_store")(request.param)


def test_s3rver_which_ignores_both_conditions_is_refused(
    real_store: Callable[[str], Store],
) -> None:
    store = real_store("s3rver")
    with pytest.raises(LakeUnwritable, match="must take the first and refuse the second"):
        try_store(store, NOW)
    assert not list(store.list(""))


class Killed(Exception):
    """The end of the process."""


def killed(*_: Any, **__: Any) -> NoReturn:
    raise Killed


def trials(store: Store) -> list[str]:
    return [name for name in store.children(JOURNAL)[1] if name.startswith(TRIAL)]


def test_a_correct_store_passes_and_no_file_is_left(store: Store) -> None:
    Lake(store, lambda: NOW).check_writable()
    assert not list(store.list(""))


def test_it_costs_eleven_requests(s3: S3Server) -> None:
    try_store(open_store(LAKE), NOW)
    sent = [request.split()[0] for request in s3.requests]
    # Put, get, list; two creates, a read of the result, two replacements; two deletes, and one look
    # for leftovers.
    assert " ".join(sent) == "PUT GET GET PUT PUT GET PUT PUT POST POST GET"


def test_files_of_a_killed_trial_are_no_finding_and_are_removed_a_day_later(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(type(store), "delete", killed)
        with pytest.raises(Killed):
            try_store(store, NOW)
    store.put(f"{JOURNAL}/{TRIAL}9f3c", b"of an old version, which noted no time")
    left = trials(store)
    assert len(left) == 3
    assert not list(Verifier(Lake(store), ZoneInfo("UTC")).everything())
    try_store(store, NOW + timedelta(hours=23))
    assert len(trials(store)) == 2, "another doctor may be at work on them"
    store.put(MARKER, b"ours")
    try_store(store, NOW + timedelta(hours=25))
    assert list(store.list("")) == [MARKER]


@pytest.mark.parametrize(
    ("replaces", "won"),
    [(True, (True, True)), (True, (True, False)), (False, (True, True)), (False, (False, False))],
)
def test_a_folder_that_confuses_two_creates_is_refused(
    replaces: bool, won: tuple[bool, bool], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Like a network file system whose links are not real links."""

    def create(self: FolderStore, path: str, content: bytes) -> bool:
        is_second = self.get(path) is not None
        if replaces or not is_second:
            self.put(path, content)
        return won[is_second]

    monkeypatch.setattr(FolderStore, "create", create)
    store = FolderStore(folder)
    with pytest.raises(LakeUnwritable, match="must take the first and refuse the second"):
        try_store(store, NOW)
    assert not list(store.list(""))


def test_a_store_that_ignores_if_none_match_is_refused(s3: S3Server) -> None:
    s3.if_none_match = "ignored"
    with pytest.raises(LakeUnwritable) as raised:
        Lake(open_store(LAKE)).check_writable()
    text = str(raised.value)
    assert "two runs could take one poll's number, and one reply of ClickPost would be lost" in text
    assert "Use a store that honours If-None-Match" in text
    assert LAKE in text
    assert not s3.objects


def test_a_store_without_if_none_match_is_refused(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "RETRY", remote.RETRY | {"max_retries": 0})
    s3.if_none_match = "unknown"
    with pytest.raises(LakeUnwritable, match="does not know If-None-Match"):
        Lake(open_store(LAKE)).check_writable()
    assert not s3.objects


def test_a_store_that_ignores_if_match_is_refused(s3: S3Server) -> None:
    s3.if_match = "ignored"
    with pytest.raises(LakeUnwritable, match="two daemons could lose alerts") as raised:
        Lake(open_store(LAKE)).check_writable()
    assert "Use a store that honours If-None-Match and If-Match" in str(raised.value)
    assert not s3.objects


def test_a_store_without_if_match_is_refused(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "RETRY", remote.RETRY | {"max_retries": 0})
    s3.if_match = "unknown"
    with pytest.raises(LakeUnwritable, match="does not know If-Match"):
        Lake(open_store(LAKE)).check_writable()
    assert not s3.objects


@pytest.mark.parametrize("step", range(11))
def test_a_lost_answer_does_not_fail_the_trial(step: int, s3: S3Server) -> None:
    """Each request in turn is done, its answer is lost, and it is sent again."""
    s3.hiccups = [*["none"] * step, "reset after"]
    Lake(open_store(LAKE)).check_writable()
    assert not s3.hiccups
    assert not s3.objects


@pytest.mark.parametrize(
    ("name", "does", "error", "text"),
    [
        ("get", lambda *_: b"other", LakeUnwritable, "does not give back what was put"),
        ("children", lambda *_: ([], []), LakeUnwritable, "does not list what was put"),
    ],
)
def test_a_store_that_gives_back_or_lists_something_else_is_refused(  # noqa: PLR0917
    name: str,
    does: Callable[..., Any],
    error: type[Exception],
    text: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = FolderStore(folder)
    with monkeypatch.context() as broken:
        broken.setattr(FolderStore, name, does)
        with pytest.raises(error, match=text):
            try_store(store, NOW)
    assert not list(store.list(""))


@pytest.mark.parametrize("allowed", ["PUT", "PUT GET"])
def test_a_missing_permission_is_named(allowed: str, s3: S3Server) -> None:
    """Credentials that may put and not get, or put and get and not delete."""
    s3.allowed = allowed
    with pytest.raises((LakeUnwritable, LakeDamaged), match="AccessDenied") as raised:
        Lake(open_store(LAKE)).check_writable()
    assert "s3:GetObject, s3:PutObject and s3:DeleteObject" in str(raised.value)


def test_an_unwritable_lake_ends_the_trial_at_once(s3: S3Server) -> None:
    s3.refusal = (403, "AccessDenied")
    with pytest.raises(LakeUnwritable, match="AccessDenied"):
        Lake(open_store(LAKE)).check_writable()
    assert len(s3.requests) == 1


def test_a_file_in_place_of_a_folder_is_refused(folder: Path) -> None:
    folder.write_text("no folder")
    with pytest.raises(LakeUnwritable, match=os.strerror(20)):
        Lake(FolderStore(folder)).check_writable()
