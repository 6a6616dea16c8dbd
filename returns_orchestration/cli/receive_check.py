"""`receive --check URL`: a marked test by the way that ClickPost's webhooks take.

The key goes by the header `webhook_key`, by Authorization, and in the path, until one is accepted.
Which of them arrive tells what a proxy in between takes away: nginx drops a header with an
underscore unless it is told otherwise. An answer of the receiver itself has a header of its own.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urlsplit

import httpx

from returns_orchestration.cli.output import say
from returns_orchestration.errors import SettingsError
from returns_orchestration.lake.webhooks import CHECK
from returns_orchestration.network import proxy_for, trusted_certificates
from returns_orchestration.receiver.app import ANSWERED_BY, HEALTH, TOKEN
from returns_orchestration.words import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from returns_orchestration.settings import Settings

SECONDS = 15.0
Way = tuple[str, str, dict[str, str]]
"""A way to send a key: its name, the address, and the headers."""

NGINX = "nginx needs `underscores_in_headers on;` to pass it"


class Answer(NamedTuple):
    """What came back: the status, and whether the receiver itself gave it."""

    status: int
    is_ours: bool

    @property
    def is_accepted(self) -> bool:
        """Whether the test was stored."""
        return self.is_ours and self.status == 200


def check_the_way(settings: Settings, url: str, keys: Sequence[str]) -> bool:
    """Send the test with each key, say what came of it, and whether the way is good.

    Raises SettingsError.
    """
    if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
        raise SettingsError(
            f"--check {url!r} is no address.",
            next_step="Give the address that ClickPost has, such as https://hooks.example/clickpost.",
        )
    say(_receiver_here(settings))
    tried: list[list[Way]] = (
        [[("token", url, {})]] if TOKEN in urlsplit(url).path else [_ways(url, k) for k in keys]
    )
    accepted: dict[int, str] = {}
    for number, ways in enumerate(tried, 1):
        way, fault = _accepted_by(ways, url, settings.path_of_webhooks)
        if fault:
            say(fault)
            return False
        if way:
            accepted[number] = way
    if not accepted:
        say(
            "The receiver answered, and no key was accepted. It has other keys than "
            "RETURNS_WEBHOOK_KEYS here, or a proxy replaces them."
        )
        return False
    say(ACCEPTED[next(iter(accepted.values()))])
    refused = [number for number in range(1, len(tried) + 1) if number not in accepted]
    if refused:
        say(
            f"Of the {len(tried)} keys of RETURNS_WEBHOOK_KEYS the receiver did not take number "
            f"{listed(map(str, refused))}: it was started with others. Restart it, and check again."
        )
    return not refused and set(accepted.values()) <= {"header", "token"}


REFUSED = frozenset({401, 404, 429})
ACCEPTED = {
    "header": "OK: the test was stored.",
    "token": "OK: the test was stored.",
    "authorization": "The header `webhook_key` does not arrive, and Authorization does: a proxy "
    f"drops it; {NGINX}. Or let ClickPost send the key as Authorization.",
    "path": "Neither `webhook_key` nor Authorization arrives, and the key in the path does. "
    f"Correct the proxy ({NGINX}), or use the address with {TOKEN} and the key after it.",
}


def _accepted_by(ways: Iterable[Way], url: str, path: str) -> tuple[str, str]:
    """The first of ``ways`` that is accepted, "" for none; and the fault that ends the check."""
    for way, address, headers in ways:
        try:
            answer = _post(address, headers)
        except httpx.HTTPError as error:
            return "", f"{url} cannot be reached: {type(error).__name__}."
        if answer.is_accepted:
            return way, ""
        if answer.is_ours and answer.status == 404 and way in {"header", "token"}:
            return "", (
                f"The receiver answers, but not at this path: it takes webhooks at {path}. Correct "
                "the address or the proxy."
            )
        if not (answer.is_ours and answer.status in REFUSED):
            return "", _fault(answer)
    return "", ""


def _ways(url: str, key: str) -> list[Way]:
    """The ways to send a key, each with its address and headers."""
    return [
        ("header", url, {"webhook_key": key}),
        ("authorization", url, {"Authorization": key}),
        ("path", f"{url.rstrip('/')}{TOKEN}{quote(key, safe='')}", {}),
    ]


def _fault(answer: Answer) -> str:
    if 300 <= answer.status < 400:
        return (
            f"It is redirected ({answer.status}), and ClickPost may not follow. Give ClickPost the "
            "address that it leads to."
        )
    if not answer.is_ours:
        return (
            f"A proxy or another server answered with {answer.status}; the test did not reach the "
            "receiver. Correct the address or the proxy."
        )
    if answer.status == 503:
        return "The receiver cannot store anything now (503). Its log gives the reason."
    return f"The receiver answered with {answer.status}."


def _post(url: str, headers: dict[str, str]) -> Answer:
    body = {CHECK: datetime.now(UTC).isoformat(timespec="seconds")}
    with _client(url) as client:
        answer = client.post(
            url,
            content=json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **headers},
        )
    return Answer(answer.status_code, ANSWERED_BY in answer.headers)


def _client(url: str) -> httpx.Client:
    transport = httpx.HTTPTransport(trusted_certificates(), proxy=proxy_for(url))
    return httpx.Client(timeout=SECONDS, transport=transport)


def _receiver_here(settings: Settings) -> str:
    """Whether a receiver of this machine answers; the public address may lead to another one."""
    url = f"http://{settings.webhook_listen}{HEALTH}"
    try:
        with _client(url) as client:
            answer = client.get(url)
    except httpx.HTTPError:
        return f"No receiver listens at {settings.webhook_listen} of this machine."
    state = "is well" if answer.is_success else "cannot store or drain now"
    return f"The receiver at {settings.webhook_listen} of this machine {state}."
