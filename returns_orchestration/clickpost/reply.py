"""Whether a reply is good: judged in the order HTTP status, JSON, meta, as they disagree.

::

    meta.message reports failed authentication           -> CredentialsRefused, whatever the status
    HTTP 401, 403                                         -> CredentialsRefused
    HTTP 429                                              -> Throttled
    HTTP 408, 425, 5xx                                    -> ServerFault
    HTTP 3xx                                              -> by meta, else RedirectRefused
    any other HTTP 4xx, meta.status 301, 401, 403         -> CredentialsRefused
    any other HTTP 4xx                                    -> RequestRefused
    HTTP 2xx but 200                                      -> by meta for key, rate or fault,
                                                             else AnswerPending
    HTTP 200, beyond a bound                              -> RequestRefused
    HTTP 200, no JSON object, no meta, a member twice     -> MalformedReply
    meta.status 301, 401, 403                             -> CredentialsRefused
    meta.status 429                                       -> Throttled
    meta.status 408, 425, 5xx                             -> ServerFault
    meta.status 2xx but 200                               -> AnswerPending
    meta.status any other number but 200                  -> RequestRefused
    meta.status 200 or none, success not true, a message  -> RequestRefused
    ... and no message, or "SUCCESS"                      -> MalformedReply: it contradicts itself
    meta good, result absent or no list                   -> MalformedReply
    meta good, result null                                -> no records, and marked as null

What lives here: the verdict and its words. What does not: which words of meta.message, the one
piece of the API's text that is ever quoted, may be shown (``redaction.py``), cutting the records
(``records.py``), whether the reply indicates more of them (``more_records.py``), asking again
(``client.py``, the only caller).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from returns_orchestration.clickpost.bounds import BeyondBoundsError, too_large
from returns_orchestration.clickpost.cuts import NotJsonError
from returns_orchestration.clickpost.more_records import Sign, signs_beside, signs_in_meta
from returns_orchestration.clickpost.records import (
    Parts,
    Repeating,
    Texts,
    plain_json,
    split_records,
    split_reply,
)
from returns_orchestration.clickpost.redaction import redacted
from returns_orchestration.errors import (
    AnswerPending,
    ApiError,
    CredentialsRefused,
    MalformedReply,
    RedirectRefused,
    RequestRefused,
    ServerFault,
    Throttled,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from returns_orchestration.clickpost.transport import Secrets

_QUOTED = 200  # characters of meta.message that an error repeats
_OK = 200
_THROTTLED = 429
_CREDENTIALS_HTTP = (401, 403)
_CREDENTIALS_META = (301, 401, 403)
_FAULTS = (408, 425)

_CAUSES: dict[type[ApiError], str] = {
    AnswerPending: "ClickPost has no answer yet",
    CredentialsRefused: "ClickPost does not accept the key and user name",
    RequestRefused: "ClickPost refuses the request",
    ServerFault: "ClickPost failed on its own side",
    Throttled: "ClickPost asks to slow down",
}
_REFUSED_KEY = re.compile(r"authentication failed|invalid (token|api[ _-]?key)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """The relevant parts of a reply's head, and the secrets that its body must not reveal.

    ``charset`` is the declared one, or ""; ``signs`` are those of more records.
    """

    status: int
    retry_after: float | None
    redirected_to: str | None
    secrets: Secrets
    charset: str = ""
    signs: tuple[Sign, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """One good reply: record texts in the order served, and ``meta.next`` as received.

    ``signs`` are those of more records, in its head and its body.
    """

    records: tuple[str, ...]
    next_link: object
    null_result: bool
    damaged_text: int
    signs: tuple[Sign, ...] = ()


@dataclass(frozen=True, slots=True)
class _Meta:
    """``meta``, read with tolerance; ``status`` None: absent, -1: present, but no number."""

    success: bool
    status: int | None
    message: str
    members: Mapping[str, object]


def read_page(answer: Answer, body: bytearray) -> Page:
    """The page that ``body`` holds. Raises an ApiError by the table above."""
    what = ""
    meta = None
    parts = Parts("", b"", {})
    excess: BeyondBoundsError | None = None
    try:
        parts = split_reply(body, answer.charset)
        meta = _read_meta(parts.meta)
    except NotJsonError as error:
        what = f"; {error}"
    except BeyondBoundsError as error:
        excess = error.with_traceback(None)
    outcome: Page | ApiError
    if excess is not None and answer.status == _OK:
        outcome = too_large(excess)
    else:
        verdict = _verdict(answer, meta, _describe(body, what))
        outcome = _page(verdict, answer, parts) if isinstance(verdict, _Meta) else verdict
    if isinstance(outcome, Page):
        return outcome
    outcome.http_status = answer.status
    outcome.meta_status = None if meta is None else meta.status
    outcome.retry_after = answer.retry_after
    raise outcome


def _page(meta: _Meta, answer: Answer, parts: Parts) -> Page | ApiError:
    """The page that a reply with a good ``meta`` holds, or why it holds none."""
    view = memoryview(parts.result)
    is_null = bytes(view[:8]) == b"null"
    texts: Texts | None = None
    what = "`result` is no list" if view.nbytes else "`result` is absent"
    try:
        texts = Texts((), 0) if is_null else split_records(view, parts.elements)
        signs = (*answer.signs, *signs_in_meta(meta.members), *signs_beside(parts.beside))
    except NotJsonError as error:
        texts = None
        what = str(error)
    except BeyondBoundsError as error:
        return too_large(error.with_traceback(None))
    if texts is None:
        return MalformedReply(f"ClickPost answered HTTP {answer.status} with success, but {what}.")
    return Page(
        texts.records,
        meta.members.get("next"),
        null_result=is_null,
        damaged_text=texts.damaged,
        signs=signs,
    )


def _verdict(answer: Answer, meta: _Meta | None, what: str) -> ApiError | _Meta:
    """The verdict of both statuses together; ``meta`` where it and the status are good."""
    status = answer.status
    shown = f"HTTP {status}"
    if meta is not None:
        shown += "" if meta.status is None else f", meta.status {_number(meta.status)}"
        words = redacted(meta.message, answer.secrets, _QUOTED)
        shown += f': "{words}"' if words else ""
    kind = _kind(status, _CREDENTIALS_HTTP)
    if meta is not None and _REFUSED_KEY.search(meta.message):
        kind = CredentialsRefused
    elif kind is None and 400 <= status < 500:
        key_refused = meta is not None and meta.status in _CREDENTIALS_META
        kind = CredentialsRefused if key_refused else RequestRefused
    elif kind is None and 200 < status < 300:
        kind = (meta and _kind(meta.status or 0, _CREDENTIALS_META)) or AnswerPending
    if kind is not None:
        return kind(f"{_CAUSES[kind]} ({shown}).")
    if 300 <= status < 400 and (meta is None or _good(meta)):
        target = f" to {answer.redirected_to}" if answer.redirected_to else ""
        return RedirectRefused(f"ClickPost answered with a redirect{target} ({shown}).")
    if meta is None:
        return MalformedReply(f"ClickPost answered HTTP {status} with {what}.")
    return _meta_verdict(meta, shown) or meta


def _meta_verdict(meta: _Meta, shown: str) -> ApiError | None:
    if _good(meta):
        return None
    kind = _kind(meta.status or 0, _CREDENTIALS_META)
    if kind is None and 200 < (meta.status or 0) < 300:
        kind = AnswerPending
    silent = meta.message.strip().casefold() in ("", "success", "none", "null")
    if kind is None and (meta.status == -1 or (meta.status in (None, _OK) and silent)):
        return MalformedReply(f"ClickPost's meta contradicts itself ({shown}, success not clear).")
    kind = kind or RequestRefused
    return kind(f"{_CAUSES[kind]} ({shown}).")


def _kind(status: int, credentials: tuple[int, ...]) -> type[ApiError] | None:
    """What a status means in HTTP and in meta alike; ``credentials``: those that refuse a key."""
    if status in credentials:
        return CredentialsRefused
    if status == _THROTTLED:
        return Throttled
    return ServerFault if status in _FAULTS or status >= 500 else None


def _good(meta: _Meta) -> bool:
    return meta.success and meta.status in (None, _OK)


def _read_meta(text: str) -> _Meta | None:
    """``meta`` from its JSON text; None where it is absent or no object.

    Raises NotJsonError where it is no JSON or names a member twice.
    """
    if not text:
        return None
    value = plain_json(text)
    if not isinstance(value, dict):
        return None
    if isinstance(value, Repeating):
        message = "`meta` names a member twice"
        raise NotJsonError(message)
    success = value.get("success")
    return _Meta(
        success=success is True or str(success).strip().casefold() in ("true", "1", "1.0"),
        status=_status(value.get("status")),
        message=" ".join(_flat(value.get("message"))),
        members=value,
    )


def _status(value: object) -> int | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return -1
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 1000 else -1
    if isinstance(value, int):
        return value if 0 <= value < 1000 else -1
    text = str(value).strip() if isinstance(value, str) else ""
    return int(text) if re.fullmatch(r"[0-9]{1,3}", text) else -1


def _number(status: int) -> str:
    return "unreadable" if status == -1 else str(status)


def _flat(message: object, depth: int = 0) -> Iterator[str]:
    """The texts inside a message, which may be text, a list, or an object of lists."""
    if isinstance(message, dict) and depth < 10:
        for name, value in message.items():
            yield f"{name}:"
            yield from _flat(value, depth + 1)
    elif isinstance(message, list) and depth < 10:
        for value in message:
            yield from _flat(value, depth + 1)
    elif message is not None and not isinstance(message, (dict, list)):
        yield str(message)


def _describe(body: bytearray, fault: str) -> str:
    """The kind of ``body``, without repeating any of it; ``fault``: why it is no JSON."""
    start = bytes(body[:200]).strip().lower()
    if not start:
        return "an empty body"
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<")):
        return "a page of markup and not with JSON"
    if start.startswith((b"{", b"[")):
        return f"{len(body):,} bytes without a usable `meta`{fault}"
    return f"{len(body):,} bytes that are no JSON object"
