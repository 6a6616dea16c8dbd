"""The bodies the API sends: envelopes, refusals, pages. Bytes in, bytes out; no server, no clock.

A refusal is judged by the reader in the order HTTP status, JSON, meta, so both statuses are here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlencode

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Message: TypeAlias = str | dict[str, list[str]]

AUTHENTICATION_FAILED = "Authentication Failed: Invalid Token or API Key"
TOO_WIDE: Message = {"Time Difference": ["Start Time is ahead of End time by more than 60 Minutes"]}
REVERSED: Message = {"Time Difference": ["End Time is behind Start Time"]}
PARAMETERS = ("key", "user_name", "start_time", "end_time")


class RefusedError(Exception):
    """The API refuses, with both of its statuses. `kind` is the word for it in the request log."""

    def __init__(self, kind: str, http_status: int, meta_status: int, message: Message) -> None:
        """Keep the facts; `message` is a text or an object, as documented."""
        super().__init__(kind)
        self.kind = kind
        self.http_status = http_status
        self.meta_status = meta_status
        self.message = message

    def body(self) -> bytes:
        """The JSON of the refusal: meta alone."""
        return refusal(self.meta_status, self.message)


def bad_parameter(message: str) -> RefusedError:
    """A parameter is missing or unreadable: refused inside HTTP 200."""
    return RefusedError("parameter", 200, 400, message)


def wrong_credentials(http_status: int) -> RefusedError:
    """Key or user name is wrong; never with a Location, whatever the HTTP status."""
    return RefusedError("credentials", http_status, 301, AUTHENTICATION_FAILED)


def bad_window(message: Message) -> RefusedError:
    """The two times do not make a window: HTTP 400 as well."""
    return RefusedError("window", 400, 400, message)


def refusal(meta_status: int, message: Message) -> bytes:
    """An envelope without a result."""
    meta = {"status": meta_status, "success": False, "message": message}
    return msgspec.json.encode({"meta": meta})


def meta(next_url: str | None = None) -> bytes:
    """The meta of a success, with the next page's URL if there is one."""
    facts: dict[str, object] = {"success": True, "message": "SUCCESS", "status": 200}
    if next_url is not None:
        facts["next"] = next_url
    return msgspec.json.encode(facts)


def envelope(
    records: Sequence[bytes], *, next_url: str | None = None, empty_as_null: bool = False
) -> bytes:
    """A success: meta and the records, each already JSON."""
    if not records and empty_as_null:
        return b'{"meta":%b,"result":null}' % meta(next_url)
    return b'{"meta":%b,"result":[%b]}' % (meta(next_url), b",".join(records))


def page_of(records: Sequence[bytes], page: int, page_size: int | None) -> tuple[list[bytes], bool]:
    """The records of one page, counted from 1, and whether another page follows."""
    if page_size is None:
        return list(records), False
    first = (page - 1) * page_size
    return list(records[first : first + page_size]), first + page_size < len(records)


def page_url(endpoint: str, query: Mapping[str, str], page: int) -> str:
    """The absolute URL of a page: all parameters of the request, key included, as seen."""
    return f"{endpoint}?{urlencode({**query, 'page': str(page)})}"
