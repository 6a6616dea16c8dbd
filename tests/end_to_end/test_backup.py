"""A copy of a lake that is written meanwhile, by the commands of docs/operations.md, is sound."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.world import World, hours

FROM, TO = "2026-11-07T00:00", "2026-11-08T00:00"
PAGE = Path(__file__).parents[2] / "docs/operations.md"
SCRIPT = str(Path(sys.executable).with_name("returns-orchestration"))


def commands() -> str:
    """The block that copies the lake in `data/lake` to a folder beside the project."""
    (block,) = re.findall(r"```bash\n(backup=.*?)```", PAGE.read_text(), re.DOTALL)
    return str(block)


@pytest.fixture
def world(new_world: Callable[..., World]) -> World:
    world = new_world({"CLICKPOST_MAX_CONCURRENCY": "2"}, returns_per_hour=4, latency=0.4)
    world.variables["RETURNS_LAKE"] = str(world.folder / "project/data/lake")
    (world.folder / "project/data").mkdir(parents=True)
    return world


def copied(world: World, number: int) -> Path:
    """A backup, made now."""
    done = subprocess.run(  # noqa: S603 - a block of our own page
        ["bash", "-euo", "pipefail", "-c", commands()],  # noqa: S607 - as a reader runs it
        cwd=world.folder / "project",
        capture_output=True,
        text=True,
        check=False,
    )
    # Files of a running write may go away while they are copied.
    assert all("No such file" in line for line in done.stderr.splitlines()), done.stderr
    (copy,) = world.folder.glob("returns-backup-*")
    return copy.rename(world.folder / f"copy-{number}")


def states(world: World, lake: Path) -> dict[str, str]:
    done = world.run("status", FROM, TO, "--json", RETURNS_LAKE=str(lake), DAGSTER_HOME=f"{lake}-h")
    return {line["hour"]: line["state"] for line in json.loads(done.stdout)}


def test_copies_of_a_lake_that_is_being_written_lack_nothing_that_their_journal_has(
    world: World,
) -> None:
    copies: list[Path] = []
    with subprocess.Popen(  # noqa: S603 - our own command
        [SCRIPT, "backfill", FROM, TO],
        cwd=world.folder,
        env=world.environment_of_processes,
        stdout=subprocess.DEVNULL,
    ) as backfill:
        while backfill.poll() is None:
            if (world.folder / "project/data/lake/_journal").exists():
                copies.append(copied(world, len(copies)))
    assert backfill.returncode == 0
    assert len(world.asked()) == len(hours(FROM, TO))
    world.simulator.forget()

    whole = 0
    for copy in copies[:: -max(1, len(copies) // 4)]:  # the newest is always among them
        journal = {
            f"{entry.parent.name.removeprefix('date=')}T{entry.name[:2]}:00"
            for entry in copy.glob("_journal/*/*.poll-*")
        }
        found = states(world, copy)
        polled = {hour for hour, state in found.items() if state != "missing"}
        assert journal <= polled, copy
        whole += len(polled)
        elsewhere = {"RETURNS_LAKE": str(copy), "DAGSTER_HOME": f"{copy}-h"}
        mended = world.run("rebuild", FROM, TO, **elsewhere)
        assert "poll" not in mended.stderr, mended.stderr
        assert world.run("verify", **elsewhere).returncode == 0, world.run("verify", **elsewhere)
        after = states(world, copy)
        assert {after[hour] for hour in polled} <= {"complete", "empty"}
    assert whole > 0
    assert not world.asked()  # no copy needed a request
