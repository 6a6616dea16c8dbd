"""Alerts end to end: real API, runs, lake and receiver, and a clock that the test sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from end_to_end.test_unattended import START, Unattended
from receiver import Receiver, receiving
from world import World

from returns_orchestration.alerts.state import State, read_state
from returns_orchestration.defs.instance import open_instance
from returns_orchestration.lake import Lake, open_store


class Watched(Unattended):
    """The daemon by hand, with the sensor of alerts: it looks after everything else did."""

    outcome: Any = None

    def tick(self) -> None:
        super().tick()
        self.look()

    def look(self) -> None:
        sensor = self.repository.get_sensor_def("incidents")
        with dg.build_sensor_context(
            self.instance, cursor=self.cursors.get("incidents"), repository_def=self.repository
        ) as at:
            self.outcome = sensor.evaluate_tick(at)
        self.cursors["incidents"] = self.outcome.cursor

    @property
    def state(self) -> State:
        state = read_state(Lake(open_store(str(self.world.lake))))
        assert state is not None
        return state


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def watch(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    new_world: Callable[..., World],
    receiver: Receiver,
) -> Iterator[Callable[..., Watched]]:
    instances = ExitStack()

    def start(variables: dict[str, str] | None = None, **options: Any) -> Watched:
        world = new_world(
            {
                "RETURNS_START": START.isoformat(),
                "RETURNS_ALERT_URLS": receiver.url,
                "RETURNS_REPOLL_AFTER_HOURS": "1",
                **(variables or {}),
            },
            **({"returns_per_hour": 2, "mps_share": 0.0} | options),
        )
        monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
        instance = instances.enter_context(open_instance(world.settings))
        return Watched(world, instance)

    with instances:
        yield start


def after(hours: float) -> Any:
    return START + timedelta(hours=hours)


def test_an_outage_is_one_message_when_the_grace_is_over_and_one_when_it_is(
    watch: Callable[..., Watched], receiver: Receiver
) -> None:
    daemon = watch()
    daemon.live_to(after(5))
    daemon.world.simulator.faults = ["503:*"]
    daemon.live_to(after(7))
    assert receiver.titles == []
    daemon.live_to(after(7) + timedelta(minutes=10))
    assert len(receiver.messages) == 1
    daemon.live_to(after(11))
    assert len(receiver.messages) == 1
    assert daemon.state.incidents[-1].size >= 5
    daemon.world.simulator.faults = []
    daemon.live_to(after(14))
    assert len(receiver.messages) == 2
