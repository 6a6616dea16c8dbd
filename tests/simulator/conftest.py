"""A running simulator with a test clock, and a client that requests windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from returns_orchestration.simulator import Simulator, SimulatorOptions

KEY, USER_NAME = "simulator-key", "simulator-user"
PARTS = ("faults", "log_file", "monotonic")
WINDOW = {"start_time": "2026-11-09T11:00:00", "end_time": "2026-11-09T12:00:00"}


@dataclass
class SetClock:
    """A clock that moves only when the test moves it."""

    now: datetime = datetime(2026, 11, 20, tzinfo=UTC)

    def __call__(self) -> datetime:
        """The time, as the simulator asks for it."""
        return self.now

    def forward(self, **by: float) -> None:
        """Move on, by timedelta's keywords."""
        self.now += timedelta(**by)


@dataclass
class Api:
    """A running simulator as a client sees it."""

    simulator: Simulator
    base_url: str
    client: httpx.Client
    clock: SetClock

    def poll(self, **query: str | None) -> httpx.Response:
        """Ask for the usual window; a parameter given replaces the usual one, None drops it."""
        asked = {"key": KEY, "user_name": USER_NAME, **WINDOW, **query}
        params = {name: value for name, value in asked.items() if value is not None}
        return self.client.get(f"{self.base_url}/v1/return_order_poll/", params=params)

    def records(self, **query: str | None) -> list[dict[str, Any]]:
        """The result of a poll that must succeed."""
        response = self.poll(**query)
        assert response.status_code == 200
        body = response.json()
        assert body["meta"]["success"] is True
        result: list[dict[str, Any]] = body["result"]
        return result


Start = Callable[..., Api]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a simulator: keywords are options, or parts as in PARTS."""
    with ExitStack() as stack:

        def begin(**given: Any) -> Api:
            clock = SetClock()
            parts = {name: given.pop(name) for name in PARTS if name in given}
            simulator = Simulator(SimulatorOptions(**given), clock=clock, **parts)
            base_url = stack.enter_context(simulator.running())
            # A bound for a failing test; other tests do not wait for it.
            client = stack.enter_context(httpx.Client(timeout=10))
            return Api(simulator, base_url, client, clock)

        yield begin
