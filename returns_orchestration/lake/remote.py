"""How an object store is opened: its address, its variables, and its time-outs.

Credentials are the store's own variables (AWS_*, GOOGLE_*, AZURE_*), which obstore reads. A value
over which it would end the process, such as a line break in a key, is refused here in words. No
value of a variable is ever shown.
"""

from __future__ import annotations

import os
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final, cast

from obstore.exceptions import BaseError
from obstore.store import from_url

from returns_orchestration.address import is_plain_store_address, is_plain_web_address
from returns_orchestration.errors import SettingsError

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig
    from obstore.store import ObjectStore as Remote

REQUEST_SECONDS: Final = 120
"""The longest that one request may take: a large file over a slow line is not cut."""

BRIEF_SECONDS: Final = 10
"""The same where the files are small and a person waits: for the trial of a store."""

CONNECT_SECONDS: Final = 5
RETRY: Final[RetryConfig] = {
    "max_retries": 12,
    "retry_timeout": timedelta(seconds=5),
    "backoff": {
        "init_backoff": timedelta(milliseconds=100),
        "max_backoff": timedelta(seconds=1),
        "base": 3,
    },
}
"""Retries outlast a short fault; a store that does not answer is reported within 10 seconds.

The next run repeats a request that failed for longer. obstore's own bound is three minutes.
"""

PREFIXES: Final = {"s3": "AWS_", "gs": "GOOGLE_", "az": "AZURE_"}
_CLIENT_OPTIONS: Final = (
    "allow_http",
    "allow_invalid_certificates",
    "connect_timeout",
    "default_content_type",
    "http1_only",
    "http2_keep_alive_interval",
    "http2_keep_alive_timeout",
    "http2_keep_alive_while_idle",
    "http2_only",
    "pool_idle_timeout",
    "pool_max_idle_per_host",
    "proxy_ca_certificate",
    "proxy_excludes",
    "proxy_url",
    "randomize_addresses",
    "read_timeout",
    "timeout",
    "user_agent",
)
"""Options of the HTTP client that obstore takes from variables, such as AWS_ALLOW_HTTP.

It forgets all of them once a single option is given by the caller (0.12), so they are given, too.
"""

_ADDRESSES: Final = (
    "AWS_ENDPOINT",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AZURE_ENDPOINT",
    "AZURE_STORAGE_ENDPOINT",
)
_IN_HEADERS: Final = (
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_TOKEN",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_ACCOUNT_NAME",
)
_UNREADABLE_VALUE: Final = re.compile(r'failed to parse "(.*)" as ([A-Za-z]+)')
_KINDS: Final = {"boolean": "true or false", "Duration": "a time such as 60s"}

_PHRASES: Final = (
    ("Account must be specified", "AZURE_STORAGE_ACCOUNT_NAME is not set",
     "Set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY."),
    ("Missing AccessKeyId", "AWS_ACCESS_KEY_ID is not set",
     "Set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."),
    ("Missing SecretAccessKey", "AWS_SECRET_ACCESS_KEY is not set",
     "Set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."),
    ("Invalid Access Key", "AZURE_STORAGE_ACCOUNT_KEY is not base64 text",
     "Copy the whole key again."),
    ("open service account file", "the service account's file cannot be opened",
     "Set GOOGLE_APPLICATION_CREDENTIALS to a file that this user may read."),
    ("decode service account file", "the service account's file is not one of Google's",
     "Set GOOGLE_APPLICATION_CREDENTIALS to the JSON file that Google gave for it."),
    ("HTTP client error", "the HTTP client cannot be set up",
     "Check the variables of the proxy and of certificates."),
)  # fmt: skip
"""Phrase in obstore's text, reason, next step."""


def open_remote(address: str, *, brief: bool = False) -> Remote:
    """The store of ``address``, which begins with s3://, gs:// or az://. Sends nothing.

    With ``brief`` one request may take 10 seconds, else 120. Raises SettingsError, without any
    value, where the address or a variable is invalid.
    """
    if not is_plain_store_address(address):
        raise SettingsError(
            "RETURNS_LAKE is not a plain address of a store.",
            next_step="Set it to s3://BUCKET/PATH, gs://BUCKET/PATH or az://CONTAINER/PATH; "
            "set credentials in the store's own variables, such as AWS_ACCESS_KEY_ID.",
        )
    prefix = PREFIXES[address.partition("://")[0]]
    _check_variables(prefix)
    options: dict[str, str] = {
        "connect_timeout": f"{CONNECT_SECONDS}s",
        "timeout": f"{BRIEF_SECONDS if brief else REQUEST_SECONDS}s",
    }
    for option in _CLIENT_OPTIONS:
        value = os.environ.get(f"{prefix}{option.upper()}")
        if value:
            options[option] = value
    try:
        return from_url(address, client_options=cast("ClientConfig", options), retry_config=RETRY)
    except (BaseError, OSError, ValueError) as error:
        text = str(error)
    raise _unopened(text, prefix)


def _check_variables(prefix: str) -> None:
    """Raises SettingsError for a value over which obstore would panic, and for a slip."""
    for name in _ADDRESSES:
        value = os.environ.get(name)
        if name.startswith(prefix) and value is not None and not is_plain_web_address(value):
            raise SettingsError(
                f"{name} is not a plain http:// or https:// address.",
                next_step="Set it without a user or a query, or unset it.",
            )
    for name in _IN_HEADERS:
        value = os.environ.get(name, "")
        if name.startswith(prefix) and (value != value.strip() or not value.isprintable()):
            raise SettingsError(
                f"{name} has white space around it or a line break in it.",
                next_step="Set it again without them.",
            )


def _unopened(text: str, prefix: str) -> SettingsError:
    """The refusal of obstore to open a store, in our words."""
    if bad := _UNREADABLE_VALUE.search(text):
        names = [
            name
            for name, value in os.environ.items()
            if name.startswith(prefix) and value == bad[1]
        ]
        shown = " or ".join(sorted(names)) or f"a variable {prefix}*"
        kind = _KINDS.get(bad[2], "what it may be")
        return SettingsError(f"{shown} is not {kind}.", next_step="Correct it, or unset it.")
    for phrase, reason, next_step in _PHRASES:
        if phrase in text:
            return SettingsError(f"RETURNS_LAKE cannot be opened: {reason}.", next_step=next_step)
    return SettingsError(
        "RETURNS_LAKE cannot be opened: the address makes no sense.",
        next_step="Set it to s3://BUCKET/PATH, gs://BUCKET/PATH or az://CONTAINER/PATH.",
    )
