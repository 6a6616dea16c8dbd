"""A process that looks after the alerts of a lake, beside others: each of its ticks adds a message.

Called as ``python -m support.alert_process LAKE RECEIVER NAME TICKS``; it begins when its input
ends, so that several begin at once, and prints how often others were faster.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr

from returns_orchestration.alerts.delivery import Channels
from returns_orchestration.alerts.outbox import Message
from returns_orchestration.alerts.state import State
from returns_orchestration.alerts.tick import Alerts, Outcome
from returns_orchestration.errors import LakeContended
from returns_orchestration.lake import Lake, open_store
from returns_orchestration.settings import load_settings


class Talkative(Alerts):
    """Has something to say in each tick for which it has a ``title``."""

    title: str = ""

    def _add_digest(self, state: State, now: datetime, out: Outcome) -> None:
        super()._add_digest(state, now, out)
        for outbox in state.outboxes.values() if self.title else ():
            outbox.add(Message(incident=1, tone="test", title=self.title, text="By one of many."))


def alerts_of(lake: str, receiver: str) -> Talkative:
    channels = Channels([SecretStr(receiver)])
    settings = load_settings(
        env_file=Path("none"),
        RETURNS_LAKE=lake,
        RETURNS_START=f"{datetime.now(UTC):%Y-%m-%dT%H:00:00Z}",
    )
    return Talkative(
        settings=settings, lake=Lake(open_store(lake)), channels=channels.names, post=channels.post
    )


def main(lake: str, receiver: str, name: str, ticks: int) -> None:
    alerts, beaten = alerts_of(lake, receiver), 0
    sys.stdin.read()
    for number in range(ticks):
        alerts.title = f"{name} {number}"
        while True:
            try:
                alerts.tick([], datetime.now(UTC), last_tick=datetime.now(UTC))
                break
            except LakeContended:  # the sensor's next tick does the same
                beaten += 1
    print(beaten)  # noqa: T201 - what its caller reads


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
