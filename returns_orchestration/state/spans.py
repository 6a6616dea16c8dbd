"""A set of hours as half-open spans, small enough for a sensor's cursor after years."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from returns_orchestration.window import Window, windows_between

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class Spans:
    """A set of hours as half-open spans: a year of complete hours is one pair of keys."""

    def __init__(self, pairs: Iterable[Sequence[str]] = ()) -> None:
        """``pairs`` are partition keys, first hour and first hour no longer inside."""
        self._spans = sorted((Window.from_key(a), Window.from_key(b)) for a, b in pairs)

    @classmethod
    def of(cls, windows: Iterable[Window]) -> Spans:
        """The set of these hours."""
        made = cls()
        made.add(windows)
        return made

    def add(self, windows: Iterable[Window]) -> None:
        """Put hours in; spans that touch become one."""
        joined: list[tuple[Window, Window]] = []
        for start, end in sorted([*self._spans, *((w, w.next) for w in windows)]):
            if joined and start <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(joined[-1][1], end))
            else:
                joined.append((start, end))
        self._spans = joined

    def discard(self, windows: Iterable[Window]) -> None:
        """Take hours out; a span may become two."""
        for window in windows:
            for at, (start, end) in enumerate(self._spans):
                if start <= window < end:
                    parts = ((start, window), (window.next, end))
                    self._spans[at : at + 1] = [part for part in parts if part[0] < part[1]]
                    break

    def __contains__(self, window: Window) -> bool:
        return any(start <= window < end for start, end in self._spans)

    def __iter__(self) -> Iterator[Window]:
        for start, end in self._spans:
            yield from windows_between(start.start, end.start)

    def __len__(self) -> int:
        return sum(start.hours_to(end.start) for start, end in self._spans)

    def before(self, end: Window) -> Spans:
        """The hours before ``end``."""
        return self._of((a, min(b, end)) for a, b in self._spans if a < end)

    def since(self, first: Window) -> Spans:
        """The hours from ``first`` on."""
        return self._of((max(a, first), b) for a, b in self._spans if b > first)

    def without(self, windows: Iterable[Window]) -> Spans:
        """The hours that are not in ``windows``."""
        left = self._of(self._spans)
        left.discard(windows)
        return left

    @staticmethod
    def _of(spans: Iterable[tuple[Window, Window]]) -> Spans:
        made = Spans()
        made._spans = list(spans)
        return made

    def pairs(self) -> list[list[str]]:
        """The spans as partition keys, as the constructor takes them."""
        return [[start.key, end.key] for start, end in self._spans]

    def newest(self, limit: int, last: Window | None = None) -> list[Window]:
        """Up to ``limit`` hours of the set, the newest first, none of them after ``last``."""
        found: list[Window] = []
        for start, end in reversed(self._spans):
            window = end.previous if last is None else min(end.previous, last)
            while window >= start and len(found) < limit:
                found.append(window)
                window = window.previous
        return found

    def newest_outside(self, first: Window, last: Window, limit: int) -> list[Window]:
        """Up to ``limit`` hours of ``first`` to ``last`` that are not in the set, newest first."""
        found: list[Window] = []
        spans = list(self._spans)
        window = last
        while window >= first and len(found) < limit:
            while spans and spans[-1][0] > window:
                spans.pop()
            if spans and window < spans[-1][1]:
                window = spans.pop()[0].previous
                continue
            found.append(window)
            window = window.previous
        return found

    def around(self, first: Window, limit: int) -> list[Window]:
        """The next ``limit`` hours of the set from ``first`` on; after its last come its first."""
        return list(islice(self._around(first), limit))

    def _around(self, first: Window) -> Iterator[Window]:
        for start, end in self._spans:
            yield from windows_between(max(start, first).start, end.start)
        for start, end in self._spans:
            yield from windows_between(start.start, min(end, first).start)
