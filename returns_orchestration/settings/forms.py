"""Forms that settings of several topics share: how their text is read, and what is refused.

A form of one setting alone is a validator beside that setting.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, JsonValue, SecretStr
from pydantic_settings import NoDecode

from returns_orchestration.address import is_plain_web_address

NONE: Final = "none"
"""The value that switches something off, whatever a file of settings says."""

MINUTES: Final = "minutes, 0 to 1440"


def form(text: str) -> dict[str, JsonValue]:
    """The unit or form of a setting, for the reference."""
    return {"form": text}


def _plain_address(value: str) -> str:
    if not is_plain_web_address(value):
        message = "must be an http:// or https:// address without a query or a user"
        raise ValueError(message)
    return value.rstrip("/")


def _address_or_none(value: SecretStr | None) -> SecretStr | None:
    said = "" if value is None else value.get_secret_value()
    if said.strip().lower() == NONE:
        return None
    if said and not re.fullmatch(r"https?://[^\s/]+\S*", said):
        message = "must be an http:// or https:// address"
        raise ValueError(message)
    return value


def _without_blanks(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


def _zone(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        message = "must be an IANA time zone such as UTC or Asia/Kolkata"
        raise ValueError(message) from None


def _minutes(value: object) -> object:
    if isinstance(value, timedelta):
        return value
    try:
        minutes = float(str(value))
    except ValueError:
        minutes = -1.0
    if not 0 <= minutes <= 24 * 60:
        message = "must be a number of minutes from 0 to 1440"
        raise ValueError(message)
    return timedelta(minutes=minutes)


def _names(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(name for part in value.split(",") if (name := part.strip()))


WebAddress = Annotated[str, AfterValidator(_plain_address)]
"""An address that messages show, so it holds no query and no user."""

SecretAddress = Annotated[SecretStr | None, AfterValidator(_address_or_none)]
"""An address that requests are sent to and messages do not show; ``none`` switches it off."""

SecretText = Annotated[SecretStr | None, BeforeValidator(_without_blanks)]
"""A secret without blanks around it: one that is mounted as a file often ends with a line break."""

Zone = Annotated[ZoneInfo, BeforeValidator(_zone)]
"""A time zone, by its IANA name."""

Minutes = Annotated[timedelta, BeforeValidator(_minutes)]
"""A time in minutes, at most a day."""

Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)]
"""Names with commas between."""
