"""Concurrent work: in order, in at most eight threads, and it ends as a whole."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from returns_orchestration.lake.many import THREADS, side_by_side


class Killed(BaseException):
    """An exception that the package does not catch, like the end of a process."""


def test_results_come_in_the_order_of_the_items() -> None:
    assert side_by_side(str, range(1000)) == [str(number) for number in range(1000)]
    assert side_by_side(str, []) == []


def test_eight_are_at_work_at_once() -> None:
    barrier = threading.Barrier(THREADS)
    at_work = side_by_side(lambda _: (barrier.wait(30), threading.get_ident())[1], range(THREADS))
    assert len(set(at_work)) == THREADS
    assert threading.get_ident() in at_work


def test_one_thread_is_the_callers_own() -> None:
    own = {threading.get_ident()}
    assert set(side_by_side(lambda _: threading.get_ident(), range(9), threads=1)) == own
    assert set(side_by_side(lambda _: threading.get_ident(), [0])) == own


def test_the_first_error_is_raised_after_the_other_calls_have_ended() -> None:
    failed = threading.Event()
    ended: list[int] = []

    def work(number: int) -> None:
        if number == 2:
            failed.set()
        if number in {2, 5}:
            raise ValueError(number)
        assert failed.wait(30)
        ended.append(number)

    with pytest.raises(ValueError, match="2") as raised:
        side_by_side(work, range(THREADS))
    assert raised.value.__context__ is None
    assert sorted(ended) == [number for number in range(THREADS) if number not in {2, 5}]


@pytest.mark.parametrize("threads", [1, THREADS])
def test_no_call_starts_at_the_end_of_the_process(threads: int) -> None:
    begun: list[int] = []

    def work(number: int) -> None:
        begun.append(number)
        if number == 3:
            raise Killed
        if number == 0:
            raise ValueError

    with pytest.raises(Killed):
        side_by_side(work, range(100_000), threads)
    assert len(begun) < 100_000


def test_calls_within_calls_never_wait_for_a_free_thread() -> None:
    def work(number: int) -> list[int]:
        return side_by_side(lambda inner: number * inner, range(20))

    assert side_by_side(work, range(20)) == [[n * i for i in range(20)] for n in range(20)]


FORKED = """
import atexit, os, sys
from returns_orchestration.lake.store import FolderStore
from pathlib import Path
store = FolderStore(Path(sys.argv[1]))
files = {str(number): b"x" for number in range(20)}
store.put_many({f"parent/{path}": content for path, content in files.items()})
atexit.register(lambda: store.put_many({"at exit/1": b"", "at exit/2": b""}))
child = os.fork()
store.put_many({f"{'later' if child else 'child'}/{path}": c for path, c in files.items()})
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows forks nothing")
def test_a_forked_child_has_separate_threads_and_both_processes_end(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORKED, str(tmp_path)]
    subprocess.run(command, check=True, timeout=120)  # noqa: S603
    for folder, files in (("parent", 20), ("child", 20), ("later", 20), ("at exit", 2)):
        assert len(list((tmp_path / folder).iterdir())) == files
    assert not list((tmp_path / "_tmp").iterdir())
