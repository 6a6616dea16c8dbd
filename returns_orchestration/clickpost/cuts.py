"""Where the parts of a JSON text begin and end, found by its strings, brackets and commas alone.

The JSON library reads a text whole or not at all. This module cuts a refused text at the same
places, so that one odd value costs speed and not all the others. No function recurses, one regular
expression passes over the text between two brackets, and every loop has a bound.

What lives here: positions. What does not: whether a part is JSON (``records.py``, the only caller).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from returns_orchestration.clickpost.bounds import (
    MAX_BRACKETS,
    MAX_DEPTH,
    MAX_RECORDS,
    BeyondBoundsError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    Span = tuple[int, int]

STRING: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_FLAT: Final = rb'(?:[^][{}"]++|%b)*+' % STRING
_PASSED: Final = rb"%b|\[%b\]|\{%b\}" % (STRING, _FLAT, _FLAT)  # a list or object without another
# Each always matches: the mark is a quote where a string has no end, and empty at the data's end.
_TO_BRACKET: Final = re.compile(rb'(?:[^][{}"]++|%b)*+([][{}"]|\Z)' % _PASSED, re.DOTALL)
_TO_MARK: Final = re.compile(rb'(?:[^][{},"]++|%b)*+([][{},"]|\Z)' % _PASSED, re.DOTALL)
_BLANKS: Final = re.compile(rb"[ \t\r\n]*+")

_OPENS: Final = (b"[", b"{")
_CLOSES: Final = {b"]": b"[", b"}": b"{"}


class NotJsonError(ValueError):
    """The bytes are no JSON; the message gives the place of the fault and quotes no byte."""


class Cutter:
    """Finds the ends of the values of one text; the bound on brackets holds for all calls."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._brackets_left = MAX_BRACKETS

    def past_blanks(self, start: int) -> int:
        """The first position from ``start`` on that is no blank."""
        found = _BLANKS.match(self._view, start)
        return found.end() if found else start

    def end(self, start: int) -> int:
        """Where the value that begins at ``start`` ends; blanks after it may be included.

        Raises NotJsonError where a bracket or string does not end as it began, BeyondBoundsError
        for too many brackets or too deep ones.
        """
        mark, end = self._mark(start)
        if mark in _OPENS:
            return self._end_of_brackets(end - 1)
        if mark in (b"", b'"'):
            raise self._broken(mark, end)
        return end - 1

    def elements(self, start: int) -> Iterator[Span]:
        """Begin and end, blanks included, of each element of the list that begins at ``start``.

        An empty list gives one, which is blank. Raises as ``end`` does, and for more than
        MAX_RECORDS elements.
        """
        position = begin = start + 1
        count = 0
        while True:
            mark, end = self._mark(position)
            position = end
            if mark in _OPENS:
                position = self._end_of_brackets(end - 1)
                continue
            if mark not in (b",", b"]"):
                raise self._broken(mark, end)
            count += 1
            if count > MAX_RECORDS:
                message = f"has more than {MAX_RECORDS:,} records"
                raise BeyondBoundsError(message)
            yield begin, end - 1
            if mark == b"]":
                return
            begin = end

    def _mark(self, start: int) -> tuple[bytes, int]:
        """The next bracket or comma, and the position after it."""
        found = _TO_MARK.match(self._view, start)
        return (found[1], found.end()) if found else (b"", len(self._view))

    def _end_of_brackets(self, start: int) -> int:
        """Where the list or object that begins at ``start`` ends."""
        opened: list[bytes] = []
        for found in _TO_BRACKET.finditer(self._view, start):
            mark = found[1]
            self._brackets_left -= 1
            if mark in _OPENS:
                opened.append(mark)
                if len(opened) >= MAX_DEPTH:  # the innermost one is passed over and not counted
                    message = f"is nested more than {MAX_DEPTH:,} deep"
                    raise BeyondBoundsError(message)
            elif _CLOSES.get(mark) != opened.pop():
                raise self._broken(mark, found.end())
            elif not opened:
                return found.end()
            if self._brackets_left < 0:
                message = f"has more than {MAX_BRACKETS:,} brackets"
                raise BeyondBoundsError(message)
        raise self._broken(b"", len(self._view))

    @staticmethod
    def _broken(mark: bytes, end: int) -> NotJsonError:
        if not mark:
            return NotJsonError("it was cut short")
        return NotJsonError(f"a string or bracket does not end as it began (byte {end - 1})")
