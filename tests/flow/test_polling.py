"""When a run is stopped: replies in flight are kept, waiting requests are not sent."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import pytest
from support.records import at

from returns_orchestration.clickpost import Poll
from returns_orchestration.errors import CredentialsRefused, ServerFault
from returns_orchestration.flow.polling import poll_all
from returns_orchestration.window import Window, windows_between

if TYPE_CHECKING:
    from collections.abc import Callable

REFUSED, ON_THE_WIRE, FAILING, WAITING, LATER = windows_between(at(1), at(6))


@dataclass
class Client:
    """Refuses one window once all others are under way; the rest end after that."""

    sleep: Callable[[float], None]
    sent: list[Window] = field(default_factory=list)
    under_way: threading.Barrier = field(default_factory=lambda: threading.Barrier(4, timeout=30))
    refused: threading.Event = field(default_factory=threading.Event)

    def poll(self, window: Window) -> Poll:
        self.under_way.wait()
        if window == REFUSED:
            self.refused.set()
            raise CredentialsRefused("Refused.")
        if window == WAITING:
            self.sleep(60)
        self.sent.append(window)
        assert self.refused.wait(30)
        if window == FAILING:
            raise ServerFault("It is down.")
        return Poll(window, at(9), (), 1, 1, 0, 0.1, False, 0)  # noqa: FBT003

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def test_a_refusal_keeps_replies_in_flight_and_sends_nothing_more() -> None:
    clients: list[Client] = []

    def open_client(sleep: Callable[[float], None], _rate_limit_in: object) -> Any:
        clients.append(Client(sleep))
        return clients[0]

    found: list[tuple[Window, type]] = []
    windows = [REFUSED, ON_THE_WIRE, FAILING, WAITING, LATER]
    with pytest.raises(CredentialsRefused):
        found.extend(
            (window, type(result))
            for window, result in poll_all(windows, open_client, 4, lambda: False)
        )
    assert (ON_THE_WIRE, Poll) in found
    assert set(clients[0].sent) == {ON_THE_WIRE, FAILING}
    assert not {REFUSED, WAITING, LATER} & {window for window, _ in found}
