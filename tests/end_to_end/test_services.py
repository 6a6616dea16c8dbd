"""The units of deploy/systemd: accepted by systemd, and run by a small supervisor in its place."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from proof.freshness import Receiving
from support.receivers import bodies
from support.supervisor import (
    INSTALLED,
    RECEIVER,
    SCRIPT,
    UNITS,
    materialized,
    supervised,
    wait_for,
)
from support.world import World

from returns_orchestration.cli import services
from returns_orchestration.window import Window, last_settled, windows_between

ROOT = Path(__file__).parents[2]
WORKER_UNIT = ROOT / "deploy/celery/returns-orchestration-worker@.service"

MOST_EXPOSED = 40
"""Tenths of the scale of `systemd-analyze security`."""


def test_the_unit_of_a_worker_differs_from_that_of_the_daemon_in_what_it_runs() -> None:
    (daemon,) = [unit for unit in UNITS if unit.stem.endswith("-daemon")]
    ours, theirs = (set(unit.read_text().splitlines()) for unit in (WORKER_UNIT, daemon))
    assert f"ExecStart={INSTALLED} serve worker" in ours - theirs
    assert {line.split("=")[0] for line in theirs - ours} == {
        "After",
        "Description",
        "Environment",
        "EnvironmentFile",
        "ExecStart",
        "TimeoutStopSec",
    }


def test_each_part_has_a_unit() -> None:
    texts = [unit.read_text() for unit in UNITS]
    pattern = rf"^ExecStart={INSTALLED} (.+)$"
    parts = [re.findall(pattern, text, re.MULTILINE) for text in texts]
    assert parts == [["serve code-server"], ["serve daemon"], ["receive"], ["serve webserver"]]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
@pytest.mark.parametrize("unit", [*UNITS, WORKER_UNIT], ids=lambda unit: unit.stem)
def test_systemd_accepts_a_unit_and_rates_its_exposure_low(unit: Path, tmp_path: Path) -> None:
    here = tmp_path / unit.name.replace("@", "@1")
    here.write_text(unit.read_text().replace(INSTALLED, SCRIPT))
    assert analyzed("verify", str(here)) == (0, "")
    options = ("--offline=true", f"--threshold={MOST_EXPOSED}")
    code, text = analyzed("security", *options, str(here))
    assert code == 0, text[-200:]


def analyzed(*arguments: str) -> tuple[int, str]:
    program = str(shutil.which("systemd-analyze"))
    done = subprocess.run(  # noqa: S603 - a program of the system
        [program, *arguments], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def commands() -> list[str]:
    """The command lines of all processes."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found


@pytest.mark.long
def test_a_dagster_home_deleted_under_running_services_comes_back(
    new_world: Callable[..., World],
) -> None:
    """Every hour is reported to the new one, without a request; a webhook is not lost either."""
    port = 3912
    newest = last_settled(datetime.now(UTC), timedelta(minutes=10))
    start = Window.from_number(newest.number - 3)
    world = new_world(
        {
            "RETURNS_START": f"{start.start:%Y-%m-%dT%H:%M}",
            "RETURNS_REPOLL_AFTER_HOURS": "",
            "RETURNS_SETTLE_MINUTES": "10",
        },
        returns_per_hour=2,
    )
    receiving = Receiving(world)
    home = Path(world.environment_of_processes["DAGSTER_HOME"])
    with supervised(world, port) as supervisor:
        wait_for("4 hours are complete", lambda: materialized(port) >= 4)
        wait_for("the receiver answers", lambda: receiving.is_up)
        asked = set(world.asked())
        before = len(world.asked())
        body = receiving.post("OF-A-WEBHOOK")
        shutil.rmtree(home)
        starts = supervisor.starts  # the receiver needs no DAGSTER_HOME
        of_dagster = starts.keys() - {RECEIVER}
        wait_for("each has begun anew", lambda: all(starts[part] >= 2 for part in of_dagster))
        wait_for("the hours are reported again", lambda: materialized(port) >= 4)
        wait_for("the webhook is in the lake", lambda: bodies(world.lake) == [body])
        again = [start for start in world.asked()[before:] if start in asked]
        assert not again
    hours = windows_between(start.start, newest.end)
    assert {window for window in hours if not world.landed([window])} == set()
    assert not [command for command in commands() if str(home) in command]


def watched(world: World, monkeypatch: pytest.MonkeyPatch) -> services.Services:
    """Services without a part, on a home that exists."""
    for name, value in world.environment_of_processes.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(services, "WATCH_SECONDS", 0.0)
    return services.Services(world.settings)


def test_a_clock_that_goes_ahead_and_then_back_ends_the_services(
    new_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    two_days = 2 * 86_400.0
    with watched(new_world(), monkeypatch) as found:
        times = iter([0.0, 0.0, two_days, 1.0])
        monkeypatch.setattr(services, "_clock", lambda: next(times))
        assert found.run() == 1
    assert "The clock went back" in capsys.readouterr().err


@pytest.mark.parametrize("how", ["deleted", "moved", "replaced"])
def test_a_home_that_is_no_longer_in_its_place_ends_the_services(
    new_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch, capsys: Any, how: str
) -> None:
    world = new_world()
    home = Path(world.environment_of_processes["DAGSTER_HOME"])
    with watched(world, monkeypatch) as found:
        if how == "deleted":
            shutil.rmtree(home)
        else:
            home.rename(home.with_name("elsewhere"))
        if how == "replaced":
            shutil.copytree(home.with_name("elsewhere"), home)
        assert found.run() == 1
    assert "was deleted, moved or replaced" in capsys.readouterr().err
