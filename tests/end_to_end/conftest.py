"""Fixtures of the end-to-end tests: worlds of a simulator, a lake and a Dagster home."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.watched import receiver, watch  # noqa: F401 - fixtures
from support.world import KEY, USER_NAME, World

from returns_orchestration.simulator import Simulator, SimulatorOptions


class Worlds:
    """Makes worlds and ends them with the test."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._count = 0

    def __call__(self, variables: dict[str, str] | None = None, **options: object) -> World:
        self._count += 1
        folder = self._folder / f"world-{self._count}"
        folder.mkdir()
        chosen = {"key": KEY, "user_name": USER_NAME, "oddities": 0.0, **options}
        simulator = Simulator(SimulatorOptions(**chosen))  # type: ignore[arg-type]
        base_url = self._stack.enter_context(simulator.running())
        return World(folder, simulator, base_url, variables or {})


@pytest.fixture
def new_world(tmp_path: Path) -> Iterator[Worlds]:
    """A maker of worlds: options of the simulator in, a World out."""
    with ExitStack() as stack:
        yield Worlds(tmp_path, stack)


@pytest.fixture(scope="module")
def new_world_of_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    """The same for worlds that all tests of a file read and do not change."""
    with ExitStack() as stack:
        yield Worlds(tmp_path_factory.mktemp("worlds"), stack)
