"""The part of the API's message that an error repeats: its statement, without any echoed value."""

from __future__ import annotations

from typing import Any

import pytest
from support.spellings import PERSONAL, SPELLINGS

from returns_orchestration.clickpost.redaction import VOCABULARY, redacted
from returns_orchestration.clickpost.transport import Secrets
from returns_orchestration.simulator import replies

KEY, USER = "7f3a91c2-58d4-4e6b-b0a7-93c1d2e4f586", "Zephyr & Sohn+GmbH"
SECRETS = Secrets(KEY, USER)

SEEN = [
    replies.AUTHENTICATION_FAILED,
    "Time Difference: Start Time is ahead of End time by more than 60 Minutes",
    "Time Difference: End Time is behind Start Time",
    "Missing parameter: key, user_name, start_time, end_time",
    "start_time is not in the format YYYY-MM-DDThh:mm:ss",
    "page is not a number from 1 on",
    "{'start_time': [ErrorDetail(string='Invalid', code='invalid')]}",
    "Too Many Requests",
    "Request was throttled. Expected available in 30 seconds.",
    "Something went wrong",
    "Internal Server Error",
    "SUCCESS",
    "Pin code not serviceable",
    "400 Bad Request response if the given account is inactive or does not exist.",
    "The difference between Start Time and End Time cannot be more that 60 minutes.",
    'Method "GET" not allowed.',
    "Authentication credentials were not provided.",
    "This field may not be null.",
    "user_name: This field is required.",
    "API rate limit of 100 requests exceeded, try again later",
    "The account doesn't exist or isn't active",
    "JSON parse error - Expecting value: line 1 column 1 (char 0)",
    "Your license key has expired",
    "no",
]


def quote(message: str, secrets: Secrets = SECRETS) -> str:
    return redacted(message, secrets, 200)


@pytest.mark.parametrize("message", SEEN)
def test_a_harmless_message_is_quoted_whole(message: str) -> None:
    assert quote(message) == message


@pytest.mark.parametrize("frame", ["Invalid key: {}", "{} is not valid", "Unknown ({})", "{}"])
@pytest.mark.parametrize("value", [KEY, USER], ids=["key", "user name"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_part_of_a_credential_is_shown_in_any_spelling(
    spelling: str, value: str, frame: str
) -> None:
    quoted = quote(frame.format(SPELLINGS[spelling](value)))
    unmasked = quoted.replace("and", "***").replace("user", "***")  # the text between pieces
    assert not set(unmasked) - {*frame, *"*[]()'\"<>=.,:;/- "}, quoted
    assert "***" in quoted
    assert all(word in quoted for word in frame.replace("({})", "").replace("{}", "").split())


@pytest.mark.parametrize("frame", ["No return of {} found", "{}", "customer {}, order {}"])
@pytest.mark.parametrize("case", PERSONAL)
def test_personal_data_is_masked(case: str, frame: str) -> None:
    written, *pieces = PERSONAL[case]
    quoted = quote(frame.replace("{}", written))
    assert not [piece for piece in pieces if piece in quoted]
    assert "***" in quoted


@pytest.mark.parametrize(
    ("message", "quoted"),
    [
        ("No order of Jane Doe, Pune found", "No order of *** found"),
        ("at 4711, Zebra", "***"),
        ("phone 987 and code 654 and line 3210", "phone *** and code *** and line ***"),
        ("1 2 3 4 5 6", "***"),
        ("code 12345 is unknown", "code *** is unknown"),
        ("code ٣٤ is unknown", "code *** is unknown"),
        ("Ｉnvalid toke\u200bn", "***"),
        ("Invalid\ttoken\r\nor \x1b[31mkey", "Invalid token or [***"),
        ("", ""),
        (" \n ", ""),
        ("?!", "?!"),
    ],
)
def test_text_not_known_to_be_harmless_becomes_one_mask(message: str, quoted: str) -> None:
    assert quote(message) == quoted


@pytest.mark.parametrize(
    ("key", "user", "message", "quoted"),
    [
        ("k3y", "error", "Server ERROR, then errors", "Server ***, then ***"),
        ("k3y", "api", "Invalid Token or API Key", "Invalid Token or *** Key"),
        ("k3y", "test-user", "no such user", "no such user"),
        ("token-server", "u7", "Invalid token, try server", "Invalid token, try ***"),
        ("token-or-key", "u7", "Invalid token or key", "***"),
        ("timeout", "u7", "a time out of range", "*** out of range"),
        ("461253", "u7", "field 46 is 12 and 53", "field *** is 12 and ***"),
        ("a461253", "u7", "field 612 is wrong", "field *** is wrong"),
        ("invalid key", "u7", "Invalid   Key given, yek dilavni", "*** given, ***"),
        ("required", "u7", "key, is re-quired, not deriuqer", "key, is ***, not ***"),
    ],
)
def test_a_credential_of_plain_words_is_masked(
    key: str, user: str, message: str, quoted: str
) -> None:
    assert quote(message, Secrets(key, user)) == quoted


def test_known_words_that_form_a_credential_are_masked() -> None:
    assert quote("type: date, time, zone", Secrets("datetimezonetypes1", "x9")) == quote(
        "type: date, time, zone"
    )
    assert quote("key: date, time, zone", Secrets("date-time-zone", "x9")) == "***"
    assert quote("zone, time, date", Secrets("etademitenoz", "x9")) == "***"


def test_a_long_message_is_cut_after_it_is_masked() -> None:
    quoted = quote("value " * 32 + KEY + " required" * 500)
    assert quoted == ("value " * 32 + "*** required")[:199] + "…"


def test_the_list_holds_only_words() -> None:
    assert all(word == word.casefold() and word.isascii() and len(word) > 1 for word in VOCABULARY)
    assert not [word for word in VOCABULARY if any(letter.isdigit() for letter in word)]


@pytest.mark.parametrize("message", [replies.TOO_WIDE, replies.REVERSED])
def test_the_simulators_messages_are_tested(message: Any) -> None:
    ((name, (text,)),) = message.items()
    assert f"{name}: {text}" in SEEN
