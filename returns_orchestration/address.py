"""Which addresses are valid, and whether one holds a secret: addresses are shown, secrets are not.

Messages, errors and links show the addresses of the API, of the UI and of the lake. So an address
has no query and no user, and holds neither the key nor the user name. Text in, verdict out; called
by ``settings`` and by ``lake``, which report the fault and its place.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote, unquote_plus

PUBLIC: Final = (
    "https://www.clickpost.in/api/v1/return_order_poll/",
    "https://api.clickpost.in/api/v1/return_order_poll/",
)
"""Public addresses: they do not expose a user name that is a word of one of them."""

_TELLING: Final = 6
"""A key of this length or more does not occur in an address by chance."""

_WEB: Final = re.compile(r"https?://[^\s/?#@]+(/[^\s?#@]*)?")
_STORE: Final = re.compile(r"(s3|gs|az)://[^\s/?#@:]+(/[^\s?#@]*)?")
_BESIDE: Final = r"[^/.:]"


def is_plain_web_address(text: str) -> bool:
    """Whether ``text`` is an http(s) address without query, fragment or user."""
    return _WEB.fullmatch(text) is not None


def is_plain_store_address(text: str) -> bool:
    """Whether ``text`` is s3://, gs:// or az:// with a bucket, and without query or user."""
    return _STORE.fullmatch(text) is not None


def holds_key(address: str, key: str) -> bool:
    """Whether ``address`` holds ``key``; a key under 6 characters counts only as a whole part."""
    anywhere = len(key.strip()) >= _TELLING
    return _holds(address, key, beside="" if anywhere else _BESIDE)


def holds_user_name(address: str, user_name: str) -> bool:
    """Whether ``user_name`` is a whole segment of the path of ``address`` or label of its host.

    A user name is often a plain word that is part of a longer one by chance.
    """
    return _holds(address, user_name, beside=_BESIDE)


def _holds(address: str, value: str, *, beside: str) -> bool:
    """``beside``: a pattern of the characters not allowed on either side; "": all are allowed."""
    value = value.strip().casefold()
    whole = re.escape(value)
    if beside:
        whole = f"(?<!{beside}){whole}(?!{beside})"
    if not value or any(re.search(whole, public) for public in PUBLIC):
        return False
    # Undecoded, too: a value itself may hold a percent sign or a plus.
    forms = (address, unquote(address), unquote_plus(address), unquote(unquote(address)))
    return any(re.search(whole, form.casefold()) for form in forms)
