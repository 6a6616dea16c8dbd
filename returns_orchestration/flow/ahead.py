"""One outcome ahead: the next hour is made in a thread while the last one's events are stored.

While one of the two waits for the disk, the other one works.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

T = TypeVar("T")


def one_ahead(items: Iterator[T], stop: Callable[[], object]) -> Generator[T]:
    """``items``, none of which is None, each made while the caller uses the one before it.

    When the caller ends, ``stop`` is called, and the item that is being made is waited for.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="one-ahead") as thread:
        try:
            coming = thread.submit(next, items, None)
            while (item := coming.result()) is not None:
                coming = thread.submit(next, items, None)
                yield item
                del item
        finally:
            stop()
