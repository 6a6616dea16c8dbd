"""A disk that is full, read-only or forbidden at any write, and one that is slow."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from support.lakes import bytes_of
from support.records import assigned, at, returned

from returns_orchestration.errors import LakeUnwritable
from returns_orchestration.flow.outcomes import Failed, Polled, Stopped
from returns_orchestration.flow.rebuild import Rebuilder
from returns_orchestration.lake import Lake
from returns_orchestration.lake.store import FolderStore
from returns_orchestration.state.verify import Verifier
from returns_orchestration.window import Window, windows_between

HOURS = list(windows_between(at(9), at(11)))
BROKEN = assigned(return_reference_number=None)
ZONE = ZoneInfo("Asia/Kolkata")


class Refusing(FolderStore):
    """A folder that accepts ``left`` writes and refuses all further ones, like a disk."""

    def __init__(self, root: Path, left: int, number: int = errno.ENOSPC) -> None:
        super().__init__(root)
        self.left = left
        self._number = number

    @contextmanager
    def _durable(self, content: bytes) -> Iterator[Path]:
        if not self.left:
            raise OSError(self._number, os.strerror(self._number))
        self.left -= 1
        with super()._durable(content) as temporary:
            yield temporary


def first(window: Window) -> list[Any]:
    return [returned(f"R-{window.start:%H}", window.start), returned("R-E", at(10)), BROKEN]


def second(window: Window) -> list[Any]:
    changed = returned(f"R-{window.start:%H}", window.start, status="CHANGED")
    return [changed, returned("R-L", at(9, 59, 59)), BROKEN]


def lake_in(folder: Path) -> Lake:
    return Lake(FolderStore(folder), lambda: at(20))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_a_refused_write_is_named_and_a_rerun_completes_it(
    number: int, tmp_path: Path, api_of: Any
) -> None:
    """The second poll of each hour meets a disk that accepts ``writes`` more."""
    before, whole = tmp_path / "before", tmp_path / "whole"
    for folder in (before, whole):
        api_of(first, always_at=at(30)).run(lake_in(folder), HOURS)
    api_of(second, always_at=at(40)).run(lake_in(whole), HOURS)
    old, new = bytes_of(FolderStore(before)), bytes_of(FolderStore(whole))
    writes = 0
    while True:
        folder = tmp_path / f"lake-{writes}"
        api_of(first, always_at=at(30)).run(lake_in(folder), HOURS)
        full = Lake(Refusing(folder, writes, number), lambda: at(20))
        outcomes = api_of(second, always_at=at(40)).run(full, HOURS)
        if not isinstance(outcomes[-1], Stopped):
            break
        text = str(outcomes[-1].error)
        assert isinstance(outcomes[-1].error, LakeUnwritable)
        assert os.strerror(number) in text
        assert text.endswith(LakeUnwritable.next_step)
        lake = lake_in(folder)
        # Every file is the old one or the new one, whole; there are no others.
        for path, content in bytes_of(lake.store).items():
            assert content in (old.get(path), new.get(path)), path
        found = Verifier(lake, ZONE).everything()
        assert {f.kind for f in found} <= {"unfinished", "missing", "altered", "torn"}
        api_of(second, always_at=at(40)).run(lake, HOURS)
        assert bytes_of(lake.store) == new
        writes += 1
    assert writes >= 10


def test_a_rebuild_stopped_by_a_full_disk_is_completed_by_the_same_command(
    tmp_path: Path, api_of: Any
) -> None:
    api = api_of(first, always_at=at(30))
    whole = lake_in(tmp_path / "whole")
    api.run(whole, HOURS)
    expected = {p: c for p, c in bytes_of(whole.store).items() if not p.startswith("_")}
    refused = 0
    while True:
        folder = tmp_path / f"lake-{refused}"
        lake = lake_in(folder)
        api.run(lake, HOURS)
        for path in list(lake.store.list("")):
            if path.endswith("part-0.parquet"):
                (folder / path).write_bytes(b"torn")
        full = Lake(Refusing(folder, refused), lambda: at(20))
        try:
            Rebuilder(api.pipeline(full)).rebuild(at(9), at(11))
            break
        except LakeUnwritable:
            refused += 1
        Rebuilder(api.pipeline(lake)).rebuild(at(9), at(11))
        found = {p: c for p, c in bytes_of(lake.store).items() if not p.startswith("_")}
        assert {p: found[p] for p in expected} == expected
        assert not list(Verifier(lake, ZONE).everything())
        assert list(lake.store.list("_quarantine"))
    assert refused >= 10


def test_a_slow_disk_slows_the_polling_and_loses_no_reply(tmp_path: Path, api_of: Any) -> None:
    """While one write does not end, no more hours are requested than may be in flight."""
    begun, ended = threading.Event(), threading.Event()

    class Slow(FolderStore):
        @contextmanager
        def _durable(self, content: bytes) -> Iterator[Path]:
            begun.set()
            assert ended.wait(60)
            with super()._durable(content) as temporary:
                yield temporary

    windows = list(windows_between(at(0), at(12)))
    api = api_of(lambda window: [returned(window.key, window.start)])
    lake = Lake(Slow(tmp_path), lambda: at(20))
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(lambda: list(api.pipeline(lake, in_flight=2).run(windows)))
        assert begun.wait(60)
        assert len(api.asked) <= 3
        ended.set()
        outcomes = running.result(60)
    assert sum(isinstance(outcome, Polled) for outcome in outcomes) == len(windows)
    assert not [outcome for outcome in outcomes if isinstance(outcome, Failed | Stopped)]
    assert not list(Verifier(lake_in(tmp_path), ZONE).everything())
