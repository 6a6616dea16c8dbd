"""The webhooks of the returns: which events are sent, when, in which shape, and which are lost.

A pure function of the dataset and the options, as the dataset is: each event knows its fate, which
is the truth for tests. The first event of a return is that it was placed; with `states` the later
ones follow. Delivery is not in order, as the documentation says of the real one.

`Sender` posts them as time passes. Not here: what a receiver makes of them.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args
from urllib.request import ProxyHandler, Request, build_opener

from returns_orchestration.simulator.contents import contents_of
from returns_orchestration.simulator.lifecycle import journey
from returns_orchestration.simulator.moments import (
    HOUR,
    Micros,
    from_micros,
    hour_of,
    to_micros,
    zone_named,
)
from returns_orchestration.simulator.records import records_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from returns_orchestration.simulator.dataset import Dataset
    from returns_orchestration.simulator.lifecycle import Step
    from returns_orchestration.simulator.planning import PlannedReturn

Shape = Literal["bare", "wrapped", "both"]
LOOK_SECONDS = 1.0
RETRY_SECONDS = 30.0
POST_SECONDS = 10.0
OK = 200
JOURNEY_HOURS = 8 * 24
"""Later than that after its request no return has an event."""

SHUFFLED_BY = timedelta(minutes=20)
"""With `shuffle`: how much later than the rest an event may come."""


@dataclass(frozen=True, slots=True)
class WebhookOptions:
    """What can be set about webhooks; ValueError for an impossible value.

    loss     share of events that are never sent
    twice    share of events that are sent twice
    delay    shortest and longest time from an event to its delivery
    shuffle  events also wait for up to 20 minutes more, so that they come in any order
    shape    bare, wrapped in payload and internal, or both in turn
    states   later events too, and not only that a return was placed
    """

    loss: float = 0.0
    twice: float = 0.0
    delay: tuple[timedelta, timedelta] = (timedelta(seconds=1), timedelta(seconds=20))
    shuffle: bool = False
    shape: Shape = "both"
    states: bool = True

    def __post_init__(self) -> None:
        """Check the values."""
        for name in ("loss", "twice"):
            if not 0 <= getattr(self, name) <= 1:
                message = f"{name} must be between 0 and 1"
                raise ValueError(message)
        if not timedelta(0) <= self.delay[0] <= self.delay[1]:
            message = "delay must be two rising times"
            raise ValueError(message)
        if self.shape not in get_args(Shape):
            message = f"shape must be one of {', '.join(get_args(Shape))}"
            raise ValueError(message)


@dataclass(frozen=True, slots=True)
class SentWebhook:
    """One event of a return and its fate: the times at which it is sent; none where it is lost."""

    reference: str
    requested_at: datetime
    event_at: datetime
    code: int
    is_placed: bool
    sent_at: tuple[datetime, ...]
    body: bytes

    @property
    def is_lost(self) -> bool:
        """Whether it is never sent."""
        return not self.sent_at


class _Event(NamedTuple):
    """An event before its body is made."""

    planned: PlannedReturn
    at: Micros
    code: int
    wraps: bool
    sent_at: tuple[datetime, ...]


class Webhooks:
    """The webhooks of the returns of ``dataset``."""

    def __init__(self, dataset: Dataset, options: WebhookOptions) -> None:
        self._dataset = dataset
        self._options = options
        self._zone = zone_named(dataset.options.zone)

    def of_returns(self, start: datetime, end: datetime) -> list[SentWebhook]:
        """All events of the returns requested in [start, end), by the time of the event."""
        first, last = to_micros(start), to_micros(end)
        found = [
            self.sent(event)
            for hour in range(hour_of(first), last, HOUR)
            for event in self.of_hour(hour)
            if first <= event.planned.requested < last
        ]
        return sorted(found, key=lambda event: (event.event_at, event.reference, event.code))

    def of_hour(self, hour: Micros) -> list[_Event]:
        """The events of the returns requested in an hour, and their fates."""
        progress = self._dataset.options.progress
        return [
            self._event(planned, at, step)
            for planned in self._dataset.planned(hour)
            if not planned.unusable
            for at, step in journey(planned, progress=progress)
            if self._options.states or at == planned.requested
        ]

    def sent(self, event: _Event) -> SentWebhook:
        """The event with its body."""
        return SentWebhook(
            reference=event.planned.reference,
            requested_at=from_micros(event.planned.requested),
            event_at=from_micros(event.at),
            code=event.code,
            is_placed=event.at == event.planned.requested,
            sent_at=event.sent_at,
            body=self._body(event.planned, event.at, wraps=event.wraps),
        )

    def _event(self, planned: PlannedReturn, at: Micros, step: Step) -> _Event:
        dice = Random(f"{self._dataset.options.seed}:webhook:{planned.reference}:{step.code}")
        is_lost, is_doubled = (
            dice.random() < self._options.loss,
            dice.random() < self._options.twice,
        )
        wraps = self._options.shape == "wrapped" or (
            self._options.shape == "both" and dice.random() < 0.5
        )
        times = [self._delayed(at, dice), self._delayed(at, dice)][: 2 if is_doubled else 1]
        return _Event(planned, at, step.code, wraps, () if is_lost else tuple(sorted(times)))

    def _delayed(self, at: Micros, dice: Random) -> datetime:
        shortest, longest = self._options.delay
        wait = shortest + (longest - shortest) * dice.random()
        more = SHUFFLED_BY * dice.random() if self._options.shuffle else timedelta(0)
        return from_micros(at) + wait + more

    def _body(self, planned: PlannedReturn, at: Micros, *, wraps: bool) -> bytes:
        progress, contents = self._dataset.options.progress, contents_of(planned)
        plain = planned._replace(oddity="")  # oddities are of the API's records
        record = records_of(plain, contents, 0, at, self._zone, progress=progress)[-1]
        payload: dict[str, Any] = record["webhook_payload"]
        payload["notification_event_id"] = payload["notification_event"]
        if not wraps:
            return json.dumps(payload).encode()
        internal = {
            "tracking_id": planned.number,
            "key": "None",
            "enterprise_user_profile_id": 1,
            "url": "https://receiver.invalid/clickpost",
            "notification_event": payload["notification_event"],
            "is_custom": False,
        }
        return json.dumps({"payload": payload, "internal": internal}).encode()


class Sender:
    """Posts the webhooks to a receiver as their time comes, until it is stopped.

    ValueError for an address that is none.
    A delivery without an answer 200 is repeated every 30 seconds, as the real ones are.
    """

    def __init__(
        self, webhooks: Webhooks, url: str, key: str, clock: Callable[[], datetime]
    ) -> None:
        if not url.startswith(("http://", "https://")):
            message = "the address of webhooks must begin with http:// or https://"
            raise ValueError(message)
        self._opener = build_opener(ProxyHandler({}))
        self._webhooks = webhooks
        self._url = url
        self._key = key
        self._clock = clock
        self._planned: dict[Micros, list[_Event]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)

    def start(self) -> None:
        """Send what falls due from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Send no more."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        since, again = self._clock(), list[tuple[datetime, bytes]]()
        while not self._stop.wait(LOOK_SECONDS):
            now = self._clock()
            due = [body for _, body in sorted(self._due(since, now), key=lambda one: one[0])]
            due += [body for at, body in again if at <= now]
            again = [(at, body) for at, body in again if at > now]
            for body in due:
                if not self._post(body):
                    again.append((now + timedelta(seconds=RETRY_SECONDS), body))
            since = now

    def _due(self, since: datetime, now: datetime) -> Iterator[tuple[datetime, bytes]]:
        last = hour_of(to_micros(now))
        hours = range(last - JOURNEY_HOURS * HOUR, last + HOUR, HOUR)
        self._planned = {
            hour: self._planned[hour] if hour in self._planned else self._webhooks.of_hour(hour)
            for hour in hours
        }
        for events in self._planned.values():
            for event in events:
                for at in event.sent_at:
                    if since < at <= now:
                        yield at, self._webhooks.sent(event).body

    def _post(self, body: bytes) -> bool:
        headers = {"Content-Type": "application/json", "webhook_key": self._key}
        request = Request(self._url, body, headers, method="POST")  # noqa: S310 - checked above
        try:
            with self._opener.open(request, timeout=POST_SECONDS) as answer:
                return bool(answer.status == OK)
        except OSError:
            return False
