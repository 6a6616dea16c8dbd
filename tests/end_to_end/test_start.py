"""What each command imports: a start takes as long as its imports."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.world import World

COMMAND = "from returns_orchestration.cli import main; main()"
SPAN = ("2026-11-07T06:00", "2026-11-07T07:00")

HEAVY = {"dagster", "polars", "sqlalchemy", "vl_convert", "httpx"}
SERVERS = {"uvicorn", "starlette", "returns_orchestration.simulator"}
OF_OTHERS = {"vl_convert", "apprise"} | SERVERS
"""What draws the report, sends alerts and serves."""

SETTINGS = {"pydantic", "returns_orchestration.settings"}


def imported(world: World, *arguments: str, code: str = COMMAND) -> set[str]:
    """The modules that a command imports."""
    done = subprocess.run(  # noqa: S603 - this very Python
        [sys.executable, "-X", "importtime", "-c", code, *arguments],
        cwd=world.folder,
        env=world.environment_of_processes,
        capture_output=True,
        text=True,
        check=False,
    )
    found = set(re.findall(r"^import time: +\d+ \| +\d+ \| +(\S+)$", done.stderr, re.MULTILINE))
    assert "returns_orchestration" in found, done.stderr
    return found


@pytest.mark.parametrize(
    ("arguments", "unused"),
    [
        (("--version",), HEAVY | SERVERS | SETTINGS),
        (("--help",), HEAVY),
        (("backfill", "--help"), HEAVY | SERVERS),
        (("status", "--help"), HEAVY | SERVERS),
        (("health", "--help"), HEAVY | SERVERS),
        (("backfill", "yesterday", "today"), HEAVY - {"httpx"} | SERVERS),
        (("status", "yesterday", "today"), HEAVY | SERVERS),
        (("verify", "yesterday", "today"), HEAVY | SERVERS),
        (("rebuild", "yesterday", "today"), HEAVY | SERVERS),
        (("rezone", "yesterday", "today", "--time-zone", "UTC"), HEAVY | SERVERS),
    ],
    ids=lambda value: " ".join(sorted(value) if isinstance(value, set) else value),
)
def test_help_and_refusals_import_little(
    new_world: Callable[..., World], arguments: tuple[str, ...], unused: set[str]
) -> None:
    assert not imported(new_world(), *arguments) & unused


def test_a_backfill_imports_what_it_uses(new_world: Callable[..., World]) -> None:
    world = new_world(returns_per_hour=2)
    found = imported(world, "backfill", *SPAN)
    assert Path(world.settings.lake, "returns").is_dir()
    assert {"dagster", "polars"} <= found
    # The definitions are made once, by the command.
    assert not found & ({"returns_orchestration.definitions"} | OF_OTHERS)


def test_a_rebuild_imports_no_dagster(new_world: Callable[..., World]) -> None:
    world = new_world(returns_per_hour=2)
    assert not world.run("backfill", *SPAN).returncode
    found = imported(world, "rebuild", *SPAN)
    assert "polars" in found
    assert not found & ({"dagster", "sqlalchemy"} | OF_OTHERS)


def test_dagster_loads_what_runs_use(new_world: Callable[..., World]) -> None:
    found = imported(new_world(), code="import returns_orchestration.definitions")
    assert "dagster" in found
    assert not found & OF_OTHERS
