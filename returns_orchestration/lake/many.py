"""Many files in one call: work done side by side, and paths within a range.

A request to an object store and an fsync are mostly waiting; sixteen at once take little longer
than one.
"""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")
R = TypeVar("R")

THREADS: Final = 16
"""Threads that work at once for one call, its own thread included."""


class Listed(NamedTuple):
    """A file of a listing, and its size in bytes."""

    path: str
    size: int


class Version(NamedTuple):
    """A file of a listing with a ``tag``, which changes each time the file is put.

    Tags are compared for equality and never by age, so clocks need not agree.
    """

    path: str
    size: int
    tag: str


def is_between(path: str, start: str, stop: str) -> bool:
    """Whether ``start <= path < stop``; "" for ``stop`` is the end of all paths."""
    return start <= path and (not stop or path < stop)


def may_hold(folder: str, start: str, stop: str) -> bool:
    """Whether a path below ``folder``, which is "" or has no slash at its end, can be in range."""
    if stop and stop <= start:
        return False
    below = f"{folder}/" if folder else ""
    return (start <= below or start.startswith(below)) and (not stop or below < stop)


def common_folder(prefix: str, start: str, stop: str) -> str:
    """The deepest folder, ``prefix`` or one below it, that holds every path in range."""
    common, _, _ = _common(start, stop).rpartition("/")
    return common if common.startswith(f"{prefix}/" if prefix else "") else prefix


def _common(first: str, second: str) -> str:
    """The common beginning of both texts."""
    pairs = enumerate(zip(first, second, strict=False))
    return first[: next((n for n, (a, b) in pairs if a != b), min(len(first), len(second)))]


def side_by_side(work: Callable[[T], R], items: Sequence[T], threads: int = THREADS) -> list[R]:
    """``work`` of each item, in order. The first error is raised when all others have ended.

    The caller's own thread works, too: so a call inside another one never waits for a free thread,
    and a single item is done without any.
    """
    left = deque(enumerate(items))
    done: dict[int, R] = {}
    errors: dict[int, BaseException] = {}

    def take() -> None:
        while left:
            try:
                number, item = left.popleft()
            except IndexError:  # another thread was faster
                return
            try:
                done[number] = work(item)
            except Exception as error:  # noqa: BLE001
                errors[number] = error
            except BaseException as error:  # noqa: BLE001
                left.clear()  # the process is to end: no other item is begun
                errors[-1] = error

    helpers = _helpers(take, min(threads, len(items)) - 1)
    try:
        take()
    finally:
        left.clear()
        wait([helper for helper in helpers if not helper.cancel()])
    try:
        if errors:
            raise errors[min(errors)]
        return [done[number] for number in range(len(items))]
    finally:
        errors.clear()  # an error and this frame would keep each other, and the items, in memory


def _helpers(take: Callable[[], None], number: int) -> list[Future[None]]:
    helpers: list[Future[None]] = []
    try:
        for _ in range(number):
            helpers.append(_pool().submit(take))  # noqa: PERF401
    except RuntimeError:  # the interpreter is ending and gives no thread: the caller works alone
        pass
    return helpers


@cache
def _pool() -> ThreadPoolExecutor:
    """The threads of this process, made at first use; idle ones do not keep it from ending.

    Where two threads make one at once, one of the two is dropped, and its threads end.
    """
    return ThreadPoolExecutor(THREADS - 1, thread_name_prefix="lake")


_at_fork: Any = getattr(os, "register_at_fork", None)  # not on Windows
if _at_fork is not None:
    # A child has none of its parent's threads, so it makes its own.
    _at_fork(after_in_child=_pool.cache_clear)
