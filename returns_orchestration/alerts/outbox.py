"""Messages that wait for each channel: in order, each channel by itself, with growing pauses.

A message is stored here before it is posted and removed after it is delivered; after a kill in
between it is posted once more. A failing channel keeps its messages, and the others do not wait.

Several processes may look after one lake. The one whose ``Lease`` is in the state posts, and no
other one until it is over.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from returns_orchestration.settings.wording import SINGLE
from returns_orchestration.state.attempts import pause_after

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from returns_orchestration.settings.wording import Wording

FIRST_PAUSE: Final = timedelta(minutes=1)
LONGEST_PAUSE: Final = timedelta(minutes=15)
DOWN: Final = timedelta(minutes=30)
"""How long a channel may fail before the others are notified."""

MOST_WAITING: Final = 200
"""Messages that wait for one channel; beyond it, one that counts them replaces the oldest half."""

ROUNDS: Final = 20
"""Messages to one channel in one tick, so that a receiver that comes back is not flooded."""


LEASE: Final = timedelta(minutes=2)
"""How long a process that posts keeps others from posting: longer than a round of posts. After a
kill, messages wait for as long as this."""


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """The process that posts now, and until when no other one may post."""

    holder: str
    until: datetime

    def is_in_force(self, now: datetime) -> bool:
        """Whether it lasts; one that is too long was set by a clock that was ahead."""
        return now < self.until <= now + 2 * LEASE


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

    def add(self, message: Message, wording: Wording = SINGLE) -> None:
        """Put ``message`` last; where too many wait, a count replaces the oldest ones.

        ``wording`` is that of their account.
        """
        self.waiting.append(message)
        if len(self.waiting) > MOST_WAITING:
            half = MOST_WAITING // 2
            self.waiting[:half] = [_counted(self.waiting[:half], wording)]

    def sent(self, message: Message) -> None:
        """``message`` was delivered; it is the first, unless others were dropped meanwhile."""
        if message in self.waiting:
            self.waiting.remove(message)
        self.tries, self.again_at, self.failing_since, self.fault = 0, None, None, ""

    def failed(self, fault: str, now: datetime) -> None:
        """The first message was not delivered: pause, twice as long each time."""
        self.tries += 1
        self.again_at = now + pause_after(self.tries, FIRST_PAUSE, LONGEST_PAUSE)
        self.failing_since = min(self.failing_since or now, now)
        self.fault = fault


def due(outboxes: Mapping[str, Outbox], now: datetime) -> dict[str, Message]:
    """The message that each channel gets next, where one waits and no pause is in force."""
    return {name: box.waiting[0] for name, box in outboxes.items() if box.is_due(now)}


def post_round(
    messages: Mapping[str, Message], post: Callable[[str, Message], str]
) -> dict[str, tuple[Message, str]]:
    """Post one message to each channel; gives it with "" or, in words, why it was not delivered.

    All at the same time, so that a slow channel costs the others nothing.
    """
    with ThreadPoolExecutor(max_workers=len(messages)) as pool:
        faults = pool.map(post, messages, messages.values())
        return {
            name: (message, fault)
            for (name, message), fault in zip(messages.items(), faults, strict=True)
        }


def _counted(messages: Sequence[Message], wording: Wording) -> Message:
    tones = Counter(message.tone for message in messages)
    counts = ", ".join(f"{count} {tone}" for tone, count in sorted(tones.items()))
    of_account = f"{wording.account}: " if wording.account else ""
    text = (
        f"They were: {counts}.\nRead them in the lake's table `alerts`; what is still open is "
        "listed by `returns-orchestration incidents --all`."
    )
    return Message(
        incident=messages[-1].incident,
        tone="problem",
        title=f"{of_account}{len(messages)} older messages could not be delivered",
        text=wording(text),
    )
