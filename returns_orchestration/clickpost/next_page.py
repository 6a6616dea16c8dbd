"""Whether ``meta.next`` may be followed.

The next request carries the key, so a link may only name the origin that was asked. A window is
read whole or not at all, so a link that leads nowhere is an error, never an end. A server behind a
proxy may link to its own host by http although it was asked by https: such a link is followed as
https, so the key is never sent in the clear.

What lives here: the rules, and the memory of the pages of a poll. What does not: sending
(``client.py``, the only caller), adding the credentials again (``transport.py``), and other signs
of more records (``more_records.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

import httpx

from returns_orchestration.clickpost.more_records import names_nothing
from returns_orchestration.clickpost.transport import KEY_PARAMETER, USER_PARAMETER
from returns_orchestration.errors import NextPageRefused

if TYPE_CHECKING:
    from returns_orchestration.clickpost.transport import Secrets

_LONGEST = 8_000  # characters of a link


class PageTrail:
    """The pages of one poll so far; ``follow`` gives the next one's URL, without credentials."""

    def __init__(self, first: httpx.URL, *, max_pages: int) -> None:
        """Begin at ``first``, the window's own request, without credentials."""
        self._first = first
        self._here = first
        self._max_pages = max_pages
        self._visited = {_identity(first)}
        self._asked = dict(_parameters(first))

    def follow(self, link: object, secrets: Secrets) -> httpx.URL | None:
        """The URL that ``link`` (``meta.next``) means; None where it names no further page.

        Null, false and their names as text name none. Raises NextPageRefused for a link that is no
        text or no URL, for another origin, another window, a page seen before, one page too many,
        or a link that repeats the credentials outside their own parameters.
        """
        if names_nothing(link):
            return None
        if not isinstance(link, str):
            message = f"meta.next is of type {type(link).__name__} and not a link."
            raise NextPageRefused(message)
        target = self._resolve(link)
        if target is None:
            message = "meta.next is not a usable URL."
            raise NextPageRefused(message)
        if _origin(target) != _origin(self._first) or target.userinfo:
            away = secrets.origin(target)
            message = f"meta.next leads away from {_host(self._first)}, to {away}."
            raise NextPageRefused(message)
        target = _without_credentials(target)
        # Only the link's own part: a user name may well be part of the address asked.
        path = "" if target.path == self._first.path else target.path
        own = f"{path}?{target.query.decode('ascii')}"
        if secrets.exposed_in(own) or secrets.exposed_in(unquote_plus(own)):
            message = "meta.next repeats the credentials outside their own parameters."
            raise NextPageRefused(message)
        self._same_window(target)
        if _identity(target) in self._visited:
            message = f"meta.next leads in a circle: page {len(self._visited) + 1} was read before."
            raise NextPageRefused(message)
        if len(self._visited) >= self._max_pages:
            message = f"meta.next names more than {self._max_pages:,} pages."
            raise NextPageRefused(message)
        self._visited.add(_identity(target))
        self._here = target
        return target

    def is_here(self, link: str) -> bool:
        """Whether ``link`` leads to the newest page, credentials aside."""
        target = self._resolve(link)
        if target is None or _origin(target) != _origin(self._first):
            return False
        return _identity(_without_credentials(target)) == _identity(self._here)

    def _resolve(self, link: str) -> httpx.URL | None:
        if len(link) > _LONGEST:
            return None
        try:
            target = self._here.join(link.strip()).copy_with(fragment=None)
        except (httpx.InvalidURL, ValueError):
            return None
        return self._secured(target)

    def _secured(self, target: httpx.URL) -> httpx.URL:
        """``target`` by https where its host was asked by https, on the same port or on none."""
        first = self._first
        if (first.scheme, target.scheme) != ("https", "http") or target.raw_host != first.raw_host:
            return target
        if target.port not in (None, first.port or 443):
            return target
        return target.copy_with(scheme="https", port=first.port)

    def _same_window(self, target: httpx.URL) -> None:
        for name, value in _parameters(target):
            asked = self._asked.get(name) if name in ("start_time", "end_time") else value
            if value.replace(" ", "T") != asked and value != asked:
                message = f"meta.next asks for another {name} than the window's."
                raise NextPageRefused(message)


def _origin(url: httpx.URL) -> tuple[str, bytes, int | None]:
    return url.scheme, url.raw_host, url.port


def _host(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


def _fields(url: httpx.URL) -> list[str]:
    return [field for field in url.query.decode("ascii").split("&") if field]


def _parameters(url: httpx.URL) -> list[tuple[str, str]]:
    pairs = (field.partition("=") for field in _fields(url))
    return [(unquote_plus(name), unquote_plus(value)) for name, _, value in pairs]


def _identity(url: httpx.URL) -> tuple[str, tuple[tuple[str, str], ...]]:
    return url.path, tuple(sorted(_parameters(url)))


def _without_credentials(url: httpx.URL) -> httpx.URL:
    own = {KEY_PARAMETER, USER_PARAMETER}
    kept = [
        field
        for field in _fields(url)
        if unquote_plus(field.partition("=")[0]).strip().casefold() not in own
    ]
    return url.copy_with(query="&".join(kept).encode("ascii") or None)
