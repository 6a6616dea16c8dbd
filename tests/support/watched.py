"""The daemon by hand, with the sensor of alerts and a real receiver; see ``unattended``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from returns_orchestration.alerts.state import State, read_state
from returns_orchestration.defs.instance import open_instance
from returns_orchestration.lake import Lake, open_store
from support.receiver import Receiver, receiving
from support.unattended import START, Unattended
from support.world import World


class Watched(Unattended):
    """The daemon by hand, and the memory of its alerts."""

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
        home = str(tmp_path / "home")
        monkeypatch.setenv("DAGSTER_HOME", home)
        instance = instances.enter_context(open_instance(world.settings))
        return Watched(world, instance, home)

    with instances:
        yield start
