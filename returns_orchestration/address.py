"""What an address may be, and whether it holds a secret: addresses are told, secrets are not.

An address of the API, of the UI or of the lake stands in messages, errors and links. So it has no
query and no user, and neither the key nor the user name is a part of it. Text in, verdict out;
called by ``settings`` and by ``lake``, which say what is wrong and where.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote, unquote_plus

PUBLIC: Final = (
    "https://www.clickpost.in/api/v1/return_order_poll/",
    "https://api.clickpost.in/api/v1/return_order_poll/",
)
"""Known to everybody: whoever has a word of these for a user name tells nothing by the address."""

_TELLING: Final = 6
"""Characters of a key that stand in no address by chance."""

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
    """Whether ``key`` stands anywhere in ``address``; one under 6 characters: as a whole part."""
    anywhere = len(key.strip()) >= _TELLING
    return _holds(address, key, beside="" if anywhere else _BESIDE)


def holds_user_name(address: str, user_name: str) -> bool:
    """Whether ``user_name`` is a whole segment of the path of ``address`` or label of its host.

    A user name is often a plain word that is part of a longer one by chance.
    """
    return _holds(address, user_name, beside=_BESIDE)


def _holds(address: str, value: str, *, beside: str) -> bool:
    """``beside``: a pattern of what may not stand on either side; "": anything may."""
    value = value.strip().casefold()
    whole = re.escape(value)
    if beside:
        whole = f"(?<!{beside}){whole}(?!{beside})"
    if not value or any(re.search(whole, public) for public in PUBLIC):
        return False
    # As it stands, too: a value may hold a percent sign or a plus of its own.
    forms = (address, unquote(address), unquote_plus(address), unquote(unquote(address)))
    return any(re.search(whole, form.casefold()) for form in forms)
