"""Webhooks that were lost, sent after all: what a poll brought, to whoever listens.

The vendor's page calls the polling API the fallback for webhooks; this makes it one for every
system that waits for them. Each is sent at least once: an attempt is noted before and after. One
that was not answered, as the command was killed or the line is bad, is made once more. After two
without an answer the return is uncertain, and not sent again.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import httpx
import msgspec
import polars as pl

from returns_orchestration import tables
from returns_orchestration.lake.names import sources_of
from returns_orchestration.lake.redelivered import Sent, name_of
from returns_orchestration.network import proxy_for, trusted_certificates
from returns_orchestration.stages.copies import served_by
from returns_orchestration.stages.erasure import ERASED
from returns_orchestration.stages.matches import POLL_ONLY
from returns_orchestration.stages.typing import decode, unwrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from returns_orchestration.lake import Lake, Names
    from returns_orchestration.stages.typing import RecordReader
    from returns_orchestration.window import Window

A_SECOND: Final = 5
"""Deliveries a second: what a small system takes beside its own work."""

MOST_REFUSALS: Final = 10
"""Refusals in a row after which a call stops: the target is unwell, or takes none of these."""

MOST_UNANSWERED: Final = 2
SECONDS: Final = 30.0
"""How long one delivery may take."""

NOT_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.LocalProtocolError,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)
"""Errors before the first byte: what was to be sent is not uncertain."""

HEADER: Final = "X-Returns-Redelivered"
KEY: Final = "webhook_key"


class Target(NamedTuple):
    """Where lost webhooks are sent, and the key that they have there; "" for none."""

    url: str
    key: str


@dataclass(frozen=True, slots=True)
class Lost:
    """A return whose webhook was lost; ``body`` is its payload as a poll served it.

    ``why_not`` says why it is not sent; "" where it is.
    """

    window: Window
    reference: str
    body: str
    sent: Sent
    why_not: str = ""

    @property
    def key(self) -> tuple[Window, str]:
        """What it differs in from all others."""
        return self.window, self.reference

    @property
    def is_refused(self) -> bool:
        """Whether it is to be sent, and was refused before."""
        return self.sent.was_refused and not self.why_not


@dataclass(slots=True)
class Outcome:
    """The end of a call: how many were ``accepted``, and which ``refused``, with which status.

    ``uncertain`` may have arrived; ``left`` were not sent, as the call stopped, and ``why``.
    """

    accepted: int = 0
    refused: dict[tuple[Window, str], int] = field(default_factory=dict)
    in_a_row: int = 0
    """Refusals since the last that was accepted."""
    not_taken: set[tuple[Window, str]] = field(default_factory=set)
    """Those that were refused in this call, or could not be sent."""
    uncertain: list[Lost] = field(default_factory=list)
    left: int = 0
    why: str = ""


class _Record(msgspec.Struct):
    webhook_payload: msgspec.Raw = msgspec.Raw(b"")


UNCERTAIN: Final = "sent twice without an answer"
DONE: Final = "delivered before"
BLANKED: Final = "its personal data was blanked"
NO_PAYLOAD: Final = "its record has no webhook_payload"


class Redeliverer:
    """Sends lost webhooks of one lake to ``target``."""

    def __init__(
        self,
        lake: Lake,
        reader: RecordReader,
        target: Target,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._lake = lake
        self._reader = reader
        self._target = target
        self._sleep = sleep

    def lost(self, windows: Iterable[Window]) -> Iterator[Lost]:
        """The returns of ``windows`` whose webhook was lost, oldest first. Raises LakeError."""
        day, sent = None, dict[str, Sent]()
        names = self._lake.names()
        for window in windows:
            matches = self._lake.read(tables.WEBHOOK_MATCHES, window, names)
            if matches is None:
                continue
            lost = matches.filter(pl.col("verdict") == POLL_ONLY)
            references = lost.get_column(tables.REFERENCE.name).to_list()
            if references and window.start.date() != day:
                day = window.start.date()
                sent = self._lake.redelivered.of(day)
            records = self._records(names, window, set(references)) if references else {}
            for reference in references:
                known = sent.get(name_of(window, self._target.url, reference), Sent())
                yield _lost(window, reference, records.get(reference), known)

    def _records(self, names: Names, window: Window, wanted: set[str]) -> dict[str, str]:
        """The record of each return in the first poll that served it: what the webhook said."""
        found: dict[str, str] = {}
        sources = sources_of(window, names)
        for served in served_by(self._lake, names, self._reader, sources):
            for position, _, (reference, _) in served.usable():
                if reference in wanted:
                    found.setdefault(reference, served.records[position])
        return found

    def send(self, windows: Sequence[Window]) -> Outcome:
        """Send those of ``windows`` that are to be sent, and note each attempt. Raises LakeError.

        Those that were refused before come last, so that they keep no other from being sent.
        """
        outcome = Outcome()
        refused_before: dict[Window, None] = {}
        transport = httpx.HTTPTransport(trusted_certificates(), proxy=proxy_for(self._target.url))
        with httpx.Client(timeout=SECONDS, transport=transport) as client:
            for one in self.lost(windows):
                if one.is_refused:
                    refused_before[one.window] = None
                else:
                    self._take(client, one, outcome)
            for one in self.lost(refused_before):
                if one.is_refused and one.key not in outcome.not_taken:
                    self._take(client, one, outcome)
        return outcome

    def _take(self, client: httpx.Client, one: Lost, outcome: Outcome) -> None:
        """Send ``one`` unless there is a reason not to, at the usual pace."""
        if one.why_not:
            outcome.uncertain += [one] if one.why_not == UNCERTAIN else []
        elif outcome.why:
            outcome.left += 1
        else:
            began = time.monotonic()
            self._send(client, one, outcome)
            self._sleep(max(0.0, 1 / A_SECOND - (time.monotonic() - began)))

    def _send(self, client: httpx.Client, lost: Lost, outcome: Outcome) -> None:
        name = name_of(lost.window, self._target.url, lost.reference)
        attempt, unanswered = lost.sent.attempts, lost.sent.unanswered
        while unanswered < MOST_UNANSWERED:
            attempt += 1
            self._lake.redelivered.note(lost.window, name, attempt, "begun")
            try:
                answer = client.post(
                    self._target.url,
                    content=lost.body.encode(errors="surrogatepass"),
                    headers=self._headers(),
                )
            except NOT_SENT as error:
                # Nothing was sent, so nothing is uncertain.
                self._lake.redelivered.note(lost.window, name, attempt, "refused")
                outcome.left += 1
                outcome.not_taken.add(lost.key)
                outcome.why = f"it cannot be reached: {type(error).__name__}"
                return
            except httpx.HTTPError:
                unanswered += 1
                continue
            if answer.is_success:
                self._lake.redelivered.note(lost.window, name, attempt, "done")
                outcome.accepted += 1
                outcome.in_a_row = 0
                return
            self._lake.redelivered.note(lost.window, name, attempt, "refused")
            outcome.refused[lost.key] = answer.status_code
            outcome.not_taken.add(lost.key)
            outcome.in_a_row += 1
            if outcome.in_a_row == MOST_REFUSALS:
                outcome.why = (
                    f"{MOST_REFUSALS} were refused in a row, the last with {answer.status_code}"
                )
            return
        outcome.uncertain.append(lost)
        outcome.why = "two attempts had no answer"

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", HEADER: "1"}
        return headers | ({KEY: self._target.key} if self._target.key else {})


def _lost(window: Window, reference: str, record: str | None, sent: Sent) -> Lost:
    body = payload_text(record or "")
    if sent.is_done:
        why_not = DONE
    elif sent.unanswered >= MOST_UNANSWERED:
        why_not = UNCERTAIN
    elif not body:
        why_not = NO_PAYLOAD
    else:
        why_not = BLANKED if ERASED in body else ""
    return Lost(window, reference, body, sent, why_not)


def payload_text(record: str) -> str:
    """The text of `webhook_payload` in a record, as it was served; "" where there is none.

    One that stands in a text or a list is written anew.
    """
    try:
        text = bytes(msgspec.json.decode(record, type=_Record).webhook_payload).decode().strip()
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        text = ""
    if text.startswith("{"):
        return text
    content = unwrapped(decode(record))
    payload = unwrapped(content.get(tables.WEBHOOK)) if isinstance(content, dict) else None
    return json.dumps(payload) if isinstance(payload, dict) and payload else ""


def place_of(url: str) -> str:
    """Host and port of a target, for messages: its path may hold a secret."""
    parsed = httpx.URL(url)
    return f"{parsed.host}:{parsed.port}" if parsed.port else parsed.host
