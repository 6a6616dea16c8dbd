"""The daemon by hand, with the sensor of alerts and a real receiver; see ``test_unattended``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
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

    shown: list[Any]

    def __init__(self, world: World, instance: dg.DagsterInstance) -> None:
        super().__init__(world, instance)
        self.shown = []

    def tick(self) -> None:
        super().tick()
        self.look()

    def look(self) -> None:
        sensor = self.repository.get_sensor_def("incidents")
        with dg.build_sensor_context(
            self.instance, cursor=self.cursors.get("incidents"), repository_def=self.repository
        ) as at:
            data = sensor.evaluate_tick(at)
        self.cursors["incidents"] = data.cursor
        self.shown += data.asset_events

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
