"""Messages that wait for each channel: in order, each channel by itself, with growing pauses.

A message is stored here before it is posted and removed after it is delivered; after a kill in
between it is posted once more. A failing channel keeps its messages, and the others do not wait.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from returns_orchestration.state.attempts import pause_after

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

FIRST_PAUSE: Final = timedelta(minutes=1)
LONGEST_PAUSE: Final = timedelta(minutes=15)
DOWN: Final = timedelta(minutes=30)
"""How long a channel may fail before the others are notified."""

MOST_WAITING: Final = 200
"""Messages that wait for one channel; beyond it, one that counts them replaces the oldest half."""

ROUNDS: Final = 20
"""Messages to one channel in one tick, so that a receiver that comes back is not flooded."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message: a title, at most nine lines of text, and its tone.

    ``tone`` is a severity, resolved or test; `over` in messages left by a release before 0.3.
    """

    incident: int
    tone: str
    title: str
    text: str


class Outbox(msgspec.Struct, kw_only=True):
    """One channel: the messages that wait for it, and since when it fails, if it does."""

    waiting: list[Message] = []
    tries: int = 0
    again_at: datetime | None = None
    failing_since: datetime | None = None
    fault: str = ""

    def is_due(self, now: datetime) -> bool:
        """Whether there is something to send and no pause in force.

        A pause longer than the longest was set by a clock that was ahead, and does not count.
        """
        pauses = self.again_at is not None and now < self.again_at <= now + LONGEST_PAUSE
        return bool(self.waiting) and not pauses

    def is_down(self, now: datetime) -> bool:
        """Whether it has failed for so long that the other channels are notified."""
        return self.failing_since is not None and now - self.failing_since >= DOWN

    def add(self, message: Message) -> None:
        """Put ``message`` last; where too many wait, a count replaces the oldest ones."""
        self.waiting.append(message)
        if len(self.waiting) > MOST_WAITING:
            half = MOST_WAITING // 2
            self.waiting[:half] = [_counted(self.waiting[:half])]

    def sent(self) -> None:
        """The first message was delivered."""
        self.waiting = self.waiting[1:]
        self.tries, self.again_at, self.failing_since, self.fault = 0, None, None, ""

    def failed(self, fault: str, now: datetime) -> None:
        """The first message was not delivered: pause, twice as long each time."""
        self.tries += 1
        self.again_at = now + pause_after(self.tries, FIRST_PAUSE, LONGEST_PAUSE)
        self.failing_since = min(self.failing_since or now, now)
        self.fault = fault


def deliver(
    outboxes: Mapping[str, Outbox],
    post: Callable[[str, Message], str],
    now: datetime,
    may_go_on: Callable[[], bool],
) -> Iterator[Sequence[tuple[str, Message, str]]]:
    """Post what is due; yields the outcomes of each round, to be stored before the next round.

    ``post`` sends one message to one channel and gives "" or, in words, why it was not delivered.
    In a round each channel gets one message, all at the same time, so that a slow one costs the
    others nothing; a channel that failed gets no more.
    """
    for _ in range(ROUNDS):
        due = {name: box.waiting[0] for name, box in outboxes.items() if box.is_due(now)}
        if not due or not may_go_on():
            return
        with ThreadPoolExecutor(max_workers=len(due)) as pool:
            faults = dict(zip(due, pool.map(post, due, due.values()), strict=True))
        for name, fault in faults.items():
            if fault:
                outboxes[name].failed(fault, now)
            else:
                outboxes[name].sent()
        yield [(name, due[name], fault) for name, fault in faults.items()]


def _counted(messages: Sequence[Message]) -> Message:
    tones = Counter(message.tone for message in messages)
    counts = ", ".join(f"{count} {tone}" for tone, count in sorted(tones.items()))
    return Message(
        incident=messages[-1].incident,
        tone="problem",
        title=f"{len(messages)} older messages could not be delivered",
        text=f"They were: {counts}.\nRead them in the lake's table `alerts`; what is still open is "
        "listed by `returns-orchestration incidents --all`.",
    )
