"""Faults as values: the kind of fault, in which call of which window. Also parsed from text.

Not here: what each fault does on the wire; that is `breakage`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from returns_orchestration.simulator.moments import Micros, to_micros

if TYPE_CHECKING:
    from collections.abc import Iterable

_ABOUT = {
    "429-seconds": "HTTP 429, Retry-After: 1",
    "429-date": "HTTP 429, Retry-After as a date one to two seconds ahead",
    "429-hour": "HTTP 429, Retry-After: 3600",
    "429-bare": "HTTP 429 without Retry-After",
    "503": "HTTP 503",
    "500": "HTTP 500",
    "html": "an HTML page with status 200",
    "cut-json": "the JSON ends half way, the length says so too",
    "short-body": "fewer bytes than the length promises, then the connection closes",
    "long-body": "more bytes than the length promises, then the connection closes",
    "reset": "the connection is reset",
    "empty-body": "status 200 and no byte",
    "hang": "nothing is sent until the client goes away",
    "slow-hang": "headers and some bytes, then nothing until the client goes away",
    "meta-500": "HTTP 200, meta.status 500",
    "meta-429": "HTTP 200, meta.status 429",
    "meta-400-repr": "HTTP 200, meta.status 400, the message a Python repr as text",
    "auth": "refused as if the credentials were wrong",
    "null-result": "success, result null",
    "no-result": "success, no result at all",
    "bom": "the correct reply behind a byte order mark",
    "gzip": "the correct reply, gzip-encoded",
    "redirect": "HTTP 302 to the same URL, key included",
    "echo": "HTTP 502 with an HTML page that repeats the URL, key included",
    "next-elsewhere": "the correct reply with meta.next on another host",
    "next-loop": "the correct reply with meta.next pointing at itself",
    "bad-record": "the correct reply with a number, text or null among its records",
    "not-json-utf8": "a byte that is no UTF-8 inside a text",
}
FAULT_NAMES: tuple[str, ...] = tuple(_ABOUT)
FIRST_PAGE = frozenset({1})


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. ValueError for an unknown name, a call or page below 1, a naive window.

    name     see `FAULT_NAMES`
    calls    which polls of a window, counted from 1; None: all
    windows  the starts of the windows concerned, aware; None: all
    pages    which pages of those polls; a page asked for again counts its own requests
    """

    name: str
    calls: frozenset[int] | None = frozenset({1})
    windows: frozenset[datetime] | None = None
    pages: frozenset[int] = FIRST_PAGE

    def __post_init__(self) -> None:
        """Refuse a fault that could never occur."""
        if self.name not in _ABOUT:
            message = f"no fault is called {self.name!r}; there are {', '.join(FAULT_NAMES)}"
            raise ValueError(message)
        for what, numbers in (("call", self.calls), ("page", self.pages)):
            if numbers is not None and (not numbers or min(numbers) < 1):
                message = f"{what} numbers of fault {self.name} count from 1, got {set(numbers)}"
                raise ValueError(message)
        for window in self.windows or ():
            to_micros(window)

    @property
    def about(self) -> str:
        """What it does, in a few words."""
        return _ABOUT[self.name]

    def strikes(self, start: Micros, page: int, call: int) -> bool:
        """Whether it strikes the `call`-th request of that page of the window."""
        if self.calls is not None and call not in self.calls:
            return False
        if page not in self.pages:
            return False
        return self.windows is None or start in {to_micros(window) for window in self.windows}


def parse_fault(text: str) -> Fault:
    """A fault from NAME[@PAGE][:CALLS[:WINDOWS]]; ValueError says what is wrong.

    CALLS and WINDOWS are `*` or lists with commas; windows are UTC, 2026-11-09T11:00.
    Examples: 503   503:1,2   503:*   503@2:1   503:*:2026-11-09T11:00,2026-11-09T15:00
    """
    name_and_page, _, rest = text.strip().partition(":")
    name, _, page = name_and_page.partition("@")
    calls, _, windows = rest.partition(":")
    try:
        return Fault(
            name,
            calls=None if calls == "*" else _numbers(calls or "1"),
            windows=None if windows in {"", "*"} else frozenset(map(_window, windows.split(","))),
            pages=_numbers(page or "1"),
        )
    except ValueError as error:
        message = f"cannot read the fault {text!r}: {error}"
        raise ValueError(message) from None


def as_faults(faults: Iterable[Fault | str]) -> tuple[Fault, ...]:
    """Faults from values and texts alike."""
    return tuple(fault if isinstance(fault, Fault) else parse_fault(fault) for fault in faults)


def striking(faults: Iterable[Fault], start: Micros, page: int, call: int) -> Fault | None:
    """The first fault that strikes the request, if any."""
    return next((fault for fault in faults if fault.strikes(start, page, call)), None)


def _numbers(text: str) -> frozenset[int]:
    return frozenset(int(part) for part in text.split(","))


def _window(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
