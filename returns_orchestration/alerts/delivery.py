"""Delivery by Apprise, one channel for each URL of RETURNS_ALERT_URLS, and the heartbeat.

A channel is named by its scheme and its place among those of its scheme (`slack 1`, `jsons 2`): the
rest of such a URL can be a secret. Apprise and the HTTP libraries put URLs into their log lines, so
while this module calls them, their loggers are muted in this thread; a failure is reported only by
its HTTP status or its kind.
"""

from __future__ import annotations

import logging
import re
import threading
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, Final

from returns_orchestration.network import share_certificates, status_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import httpx
    from pydantic import SecretStr

    from returns_orchestration.alerts.outbox import Message

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS: Final = 5.0
LOUD: Final = (
    "apprise", "charset_normalizer", "httpcore.connection", "httpcore.http11", "httpcore.http2",
    "httpcore.proxy", "httpx", "requests", "urllib3", "urllib3.connection",
    "urllib3.connectionpool", "urllib3.util.retry",
)  # fmt: skip
"""Loggers that may write a URL."""

ANSWER_SECONDS: Final = 15.0
"""How long a receiver may take to answer. A slower one gets the same message again."""

TYPES: Final = {
    "notice": "info", "problem": "warning", "urgent": "failure", "resolved": "success",
    "test": "info", "digest": "info", "over": "success",
}  # fmt: skip
"""Tones as types of Apprise, which give colours and symbols; `over` is from before 0.3."""


class _Mute(logging.Filter):
    """Drops the log lines of threads that are posting, and keeps the fault in these lines."""

    faults: ClassVar[dict[int, str]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        thread = threading.get_ident()
        if thread not in self.faults:
            return True
        line = record.getMessage()
        if status := re.search(r"error=([1-5][0-9]{2})\b", line):
            self.faults[thread] = f"it answered HTTP {status[1]}"
        elif "onnection error" in line:
            self.faults[thread] = "no connection, or no answer in time"
        return False


MUTE: Final = _Mute()


@contextmanager
def _muted() -> Iterator[None]:
    """Keep the libraries' log lines of this thread out of every log."""
    for name in LOUD:
        logging.getLogger(name).addFilter(MUTE)  # a filter that is there is not added twice
    # Alembic, which Dagster calls, disables all existing loggers; then no fault would be noted.
    logging.getLogger("apprise").disabled = False
    MUTE.faults[threading.get_ident()] = ""
    try:
        yield
    finally:
        MUTE.faults.pop(threading.get_ident(), None)


class Channels:
    """The channels of RETURNS_ALERT_URLS, by name."""

    def __init__(self, urls: Sequence[SecretStr]) -> None:
        counts: Counter[str] = Counter()
        self._urls: dict[str, SecretStr] = {}
        for url in urls:
            scheme = re.match(r"([A-Za-z][A-Za-z0-9]{0,19})://", url.get_secret_value())
            kind = scheme[1].lower() if scheme else "unreadable"
            counts[kind] += 1
            self._urls[f"{kind} {counts[kind]}"] = url

    def __repr__(self) -> str:
        return f"Channels({', '.join(self._urls)})"

    @property
    def names(self) -> list[str]:
        """The names, in the order of the setting."""
        return list(self._urls)

    def post(self, name: str, message: Message) -> str:
        """Send one message to one channel; gives "" if it was delivered, else why not, in words."""
        import apprise  # noqa: PLC0415 - half a second, and only where something is sent

        share_certificates()
        with _muted():
            try:
                asset = apprise.AppriseAsset(app_id="returns-orchestration", async_mode=False)
                one = apprise.Apprise(asset=asset)  # one URL for each channel, all in this thread
                if not one.add(self._urls[name].get_secret_value()):
                    return "its URL is none that Apprise knows"
                for service in one:
                    service.socket_read_timeout = max(service.socket_read_timeout, ANSWER_SECONDS)
                sent = one.notify(
                    title=message.title,
                    body=message.text,
                    notify_type=apprise.NotifyType(TYPES[message.tone]),
                    body_format=apprise.NotifyFormat.TEXT,
                )
            except Exception as error:  # noqa: BLE001 - a hundred services, none may end a tick
                return f"it could not be called: {type(error).__name__}"
            fault = MUTE.faults[threading.get_ident()]
        return "" if sent else fault or "it did not accept the message"


def beat(url: SecretStr | None, transport: httpx.BaseTransport | None = None) -> bool:
    """Call the heartbeat URL; False, and a line in the log without it, if that did not work."""
    if url is None:
        return True
    why = ""
    with _muted():
        try:
            status = status_of(url.get_secret_value(), HEARTBEAT_SECONDS, transport)
            why = "" if status < 400 else f"HTTP {status}"
        except Exception as error:  # noqa: BLE001 - it must not end the tick that it reports
            why = type(error).__name__
    if why:
        log.warning("The address of RETURNS_HEARTBEAT_URL could not be called: %s.", why)
    return not why
