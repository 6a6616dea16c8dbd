"""`health` and `metrics` as a probe and Prometheus call them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.world import World

from returns_orchestration.state.hours import STATES
from returns_orchestration.window import last_settled


def samples(text: str) -> dict[str, float]:
    """Each sample by its name and the values of its labels."""
    return {
        " ".join((sample.name, *sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture(scope="module")
def world(new_world_of_module: Callable[..., World]) -> World:
    """Four hours, of which the newest two were polled; no daemon has ever run."""
    newest = last_settled(datetime.now(UTC), timedelta(minutes=10))
    start = newest.previous.previous.previous
    world = new_world_of_module({"RETURNS_START": f"{start.start:%Y-%m-%dT%H:%M}"})
    done = world.run("backfill", newest.previous.text, newest.next.text)
    assert done.returncode == 0, done.stdout + done.stderr
    return world


def test_health_counts_hours_and_shows_the_level_first(world: World) -> None:
    done = world.run("health")
    assert done.returncode == 2, done.stdout + done.stderr
    first, *lines = done.stdout.splitlines()
    assert first == "critical"
    assert "critical  Dagster's daemon has not run: start it, as `dev` and `serve` do" in lines
    assert any(line.startswith("warning   2 hours are missing") for line in lines)
    assert not done.stderr


def test_health_as_json_has_all_facts(world: World) -> None:
    done = world.run("health", "--json")
    assert done.returncode == 2
    found = json.loads(done.stdout)
    assert len(done.stdout.splitlines()) == 1
    assert found["level"] == "critical"
    assert found["hours"]["missing"] == 2
    assert sum(found["hours"].values()) >= 4  # an hour may have settled meanwhile
    assert found["daemon_heartbeat_age_seconds"] is None
    assert found["dagster_home_bytes"] > 100_000
    assert found["disks"].keys() == {"RETURNS_LAKE", "DAGSTER_HOME"}


def test_a_lake_that_cannot_be_read_is_unknown(world: World) -> None:
    journal = world.folder / "newer" / "_journal"
    journal.mkdir(parents=True)
    (journal / "format-99.json").write_text("{}")
    done = world.run("health", "--json", RETURNS_LAKE=str(journal.parent))
    assert "unknown" in [finding["level"] for finding in json.loads(done.stdout)["findings"]]


def test_databases_of_dagster_that_cannot_be_read_are_unknown(
    new_world: Callable[..., World],
) -> None:
    world = new_world()
    assert world.run("health").returncode == 2
    home = Path(world.environment_of_processes["DAGSTER_HOME"])
    world.run("backfill", "2026-11-09T10:00", "2026-11-09T11:00")
    index = home / "history" / "runs" / "index.db"
    content = bytearray(index.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    index.write_bytes(content)
    done = world.run("health", "--json")
    found = [finding["level"] for finding in json.loads(done.stdout)["findings"]]
    assert "unknown" in found, done.stderr


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [(("--nonsense",), {}), (("extra",), {}), ((), {"RETURNS_START": "yesterday"})],
)
def test_a_wrong_call_exits_with_3(
    world: World, arguments: tuple[str, ...], variables: dict[str, str]
) -> None:
    done = world.run("health", *arguments, **variables)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr


def test_metrics_are_printed_or_written_to_a_file(world: World, tmp_path: Path) -> None:
    done = world.run("metrics")
    assert done.returncode == 0, done.stderr
    found = samples(done.stdout)
    assert found["returns_health"] == 2
    assert found["returns_hours missing"] == 2
    assert {f"returns_hours {state}" for state in STATES} <= found.keys()
    assert found["returns_newest_complete_hour_end_timestamp_seconds"] % 3600 == 0
    assert "returns_daemon_heartbeat_timestamp_seconds" not in found

    file = tmp_path / "returns.prom"
    assert world.run("metrics", "--file", str(file)).returncode == 0
    assert samples(file.read_text()).keys() == found.keys()
    assert world.run("metrics", "--file", str(tmp_path / "nowhere" / "x")).returncode == 2


def test_metrics_are_served(world: World) -> None:
    script = str(Path(sys.executable).with_name("returns-orchestration"))
    with subprocess.Popen(  # noqa: S603 - our own command
        [script, "metrics", "--port", "9464"],
        cwd=world.folder,
        env=world.environment_of_processes,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout
            assert "http://127.0.0.1:9464/metrics" in process.stdout.readline()
            text = httpx.get("http://127.0.0.1:9464/metrics", trust_env=False, timeout=60).text
            assert samples(text)["returns_hours missing"] == 2
            taken = world.run("metrics", "--port", "9464")
            assert taken.returncode == 2
            assert "Port 9464 is taken" in taken.stderr
        finally:
            process.terminate()
