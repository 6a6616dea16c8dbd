"""Key and user name, added below the HTTP client and kept out of everything it shows.

The client above sends ``.../return_order_poll/?start_time=...&end_time=...`` and never sees more:
its log lines, hooks, exceptions and reprs hold no secret. This transport adds the two parameters on
the way down. On the way up it passes only the needed parts of a reply's head, as a redirect's
Location or a status line can repeat the address that was asked. The HTTP library's wire loggers
(``httpcore.*``, at DEBUG) write heads verbatim, so they are silent while a request of ours is under
way in the thread; other users of the library are not affected.

What lives here: the credentials' way to the wire and the mask for quoted text. What does not: the
API's answer (``reply.py``), sockets (``deadline.py``). Called by ``client.py``.
"""

from __future__ import annotations

import html
import json
import logging
import re
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import httpx

from returns_orchestration.clickpost.deadline import finishing_by
from returns_orchestration.clickpost.more_records import signs_in_head
from returns_orchestration.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY_PARAMETER = "key"
USER_PARAMETER = "user_name"
MASK = "***"

_WIRE_LOGGERS = ("connection", "http11", "http2", "proxy", "socks")
_HEAD_KEPT = (
    *(b"content-type", b"content-length", b"content-encoding"),
    *(b"date", b"age", b"retry-after"),
)
_TELLING = 8  # a shorter value occurs in harmless text too often to be looked for in a link

_PIECE = 6  # characters of a value that reveal it
_DIGITS = 3  # digits in a row that a value and a message do not share by chance

_UNDER_WAY: ContextVar[bool] = ContextVar("a request with credentials is under way", default=False)


class Secrets:
    """One key and user name as sent; its repr shows neither."""

    __slots__ = ("_forms", "_key", "_user_name")

    def __init__(self, key: str, user_name: str) -> None:
        """Prepare the mask for one key and user name."""
        self._key = key
        self._user_name = user_name
        forms = sorted({form for value in (key, user_name) for form in _forms(value)}, key=len)
        self._forms = re.compile("|".join(map(re.escape, reversed(forms))) or "(?!)", re.IGNORECASE)

    def __repr__(self) -> str:
        """Only the name of the type."""
        return "Secrets(***)"

    def query(self) -> str:
        """Both as query parameters, percent-encoded."""
        key, user = quote(self._key, safe=""), quote(self._user_name, safe="")
        return f"{KEY_PARAMETER}={key}&{USER_PARAMETER}={user}"

    def mask(self, text: str) -> str:
        """``text`` with every written form of both values replaced."""
        return self._forms.sub(MASK, text)

    def much_of(self, word: str) -> bool:
        """Whether ``word`` is half of a value or more; for digits, two at an end or three."""
        word = word.casefold()
        for value in (self._key.strip().casefold(), self._user_name.strip().casefold()):
            if word in value and 2 * len(word) >= len(value):
                return True
            at_an_end = value.startswith(word) or value.endswith(word)
            if word.isdigit() and word in value and len(word) >= (2 if at_an_end else _DIGITS):
                return True
        return False

    def spelled_in(self, text: str) -> bool:
        """Whether ``text`` has the letters and digits of a value, in order or reversed.

        Other characters in between do not count. Values with fewer than 6 letters and digits are
        not looked for: they occur in harmless text.
        """
        squeezed = _squeezed(text)
        values = map(_squeezed, (self._key, self._user_name))
        return any(form in squeezed for v in values if len(v) >= _PIECE for form in (v, v[::-1]))

    def exposed_in(self, text: str) -> bool:
        """Whether ``text`` repeats one of them; values under 8 characters are not looked for."""
        return any(
            form.casefold() in text.casefold()
            for value in (self._key, self._user_name)
            if len(value) >= _TELLING
            for form in _forms(value)
        )

    def origin(self, url: httpx.URL) -> str:
        """Scheme and host of ``url``; "another address" if the host holds a piece of a value.

        A host ends at the first slash, so a credential in its place is cut and the mask alone
        would not find it.
        """
        host = url.host.casefold()
        pieces = {
            form[start : start + _PIECE].casefold()
            for value in (self._key, self._user_name)
            for form in _forms(value)
            for start in range(max(1, len(form) - _PIECE + 1))
        }
        shown = f"{url.scheme}://{host}"
        return "another address" if any(piece in shown for piece in pieces) else shown[:200]


def _forms(value: str) -> set[str]:
    """The ways in which a server, a proxy or a page may write ``value``."""
    forms = {value, value.strip(), " ".join(value.split())}
    for text in tuple(forms):
        forms |= {
            quote(text, safe=""),
            quote(text),
            quote_plus(text),
            html.escape(text),
            json.dumps(text)[1:-1],
            json.dumps(text, ensure_ascii=False)[1:-1],
            repr(text)[1:-1],
        }
    return forms - {""}


def _squeezed(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


def _encodable(key: str, user_name: str) -> tuple[str, str]:
    """Both as they are. Raises SettingsError for bytes of the environment that are not text."""
    for name, value in (("CLICKPOST_KEY", key), ("CLICKPOST_USER_NAME", user_name)):
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            message = f"{name} holds bytes that are no UTF-8 text."
            raise SettingsError(message, next_step="Set it again, as ClickPost gave it.")
    return key, user_name


class CredentialTransport(httpx.BaseTransport):
    """Adds the credentials, bounds the whole reply's time, and silences the wire's loggers.

    ``credentials`` is called for each request and may raise (SettingsError), which passes through.
    A response carries ``extensions["secrets"]`` (to mask quoted text with), ``extensions["signs"]``
    (the signs of more records in its head, in words of ours and numbers) and, for a redirect,
    ``extensions["redirected_to"]``: scheme and host only.
    """

    def __init__(
        self,
        inner: httpx.BaseTransport,
        credentials: Callable[[], tuple[str, str]],
        *,
        total_seconds: float,
        monotonic: Callable[[], float],
    ) -> None:
        """Wrap ``inner``, and silence the wire's loggers for requests of this kind."""
        self._inner = inner
        self._credentials = credentials
        self._total_seconds = total_seconds
        self._monotonic = monotonic
        for name in _WIRE_LOGGERS:
            logging.getLogger(f"httpcore.{name}").addFilter(_not_under_way)

    def __repr__(self) -> str:
        """Name the transport below; no credential."""
        return f"{type(self).__name__}({type(self._inner).__name__})"

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send ``request`` with the credentials; raises what the inner transport raises."""
        secrets = Secrets(*_encodable(*self._credentials()))
        own = request.url.query.decode("ascii")
        query = f"{own}&{secrets.query()}" if own else secrets.query()
        deadline = self._monotonic() + self._total_seconds
        sent = httpx.Request(
            request.method,
            request.url.copy_with(query=query.encode("ascii")),
            headers=request.headers,
            stream=request.stream,
            extensions=request.extensions,
        )
        with _silent(), finishing_by(deadline):
            response = self._inner.handle_request(sent)
        extensions = {
            "http_version": response.extensions.get("http_version", b"HTTP/1.1"),
            "secrets": secrets,
            "signs": signs_in_head(response.headers.multi_items()),
            "redirected_to": _target(request.url, response.headers.get("location"), secrets),
        }
        return httpx.Response(
            response.status_code,
            # As bytes: a value that is no ASCII would be refused as text, and the reply with it.
            headers=[(n, v) for n, v in response.headers.raw if n.lower() in _HEAD_KEPT],
            stream=_BoundedBody(response, deadline, self._monotonic),
            extensions=extensions,
        )

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()


class _BoundedBody(httpx.SyncByteStream):
    """A reply's body, read in silence and no longer than until ``deadline``."""

    def __init__(
        self, response: httpx.Response, deadline: float, monotonic: Callable[[], float]
    ) -> None:
        self._response = response
        self._deadline = deadline
        self._monotonic = monotonic

    def __iter__(self) -> Iterator[bytes]:
        stream = self._response.stream
        if not isinstance(stream, httpx.SyncByteStream):
            message = "the transport answered with an asynchronous body"
            raise httpx.StreamError(message)
        chunks = iter(stream)
        while True:
            with _silent(), finishing_by(self._deadline):
                chunk = next(chunks, None)
            if chunk is None:
                return
            if self._monotonic() >= self._deadline:
                message = "the reply as a whole took too long"
                raise httpx.ReadTimeout(message)
            yield chunk

    def close(self) -> None:
        with _silent():
            self._response.close()


@contextmanager
def _silent() -> Iterator[None]:
    token = _UNDER_WAY.set(True)
    try:
        yield
    finally:
        _UNDER_WAY.reset(token)


def _not_under_way(_record: logging.LogRecord) -> bool:
    return not _UNDER_WAY.get()


def _target(asked: httpx.URL, location: str | None, secrets: Secrets) -> str | None:
    """Scheme and host that ``location`` leads to; None without one or if it is no URL."""
    if location is None:
        return None
    try:
        return secrets.origin(asked.join(location))
    except (httpx.InvalidURL, ValueError):
        return None
