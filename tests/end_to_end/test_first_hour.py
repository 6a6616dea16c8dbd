"""A new user's first hour: the demo and its commands, `dev`, odd settings, and Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from support import forked
from support.world import LIMIT, World

from returns_orchestration.window import last_settled

SCRIPT = str(Path(sys.executable).with_name("returns-orchestration"))
CANARY = "canary-of-a-real-channel"


def run(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """A command in ``folder``, with no settings but ``more``; its imports are done."""
    return forked.run(arguments, folder, environment(**more), LIMIT)


def run_cold(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """The same as a user starts it."""
    return subprocess.run(  # noqa: S603 - our own command
        [SCRIPT, *arguments],
        cwd=folder,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


def environment(**more: str) -> dict[str, str]:
    ours = ("CLICKPOST", "RETURNS", "DAGSTER")
    return {k: v for k, v in os.environ.items() if not k.startswith(ours)} | more


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the demo in it, beside the settings of a real deployment."""
    folder = tmp_path_factory.mktemp("stranger")
    (folder / ".env").write_text(
        f"CLICKPOST_KEY=real\nRETURNS_LAKE=/nowhere\nRETURNS_ALERT_URLS=json://127.0.0.1/{CANARY}\n"
        "RETURNS_START=2020-01-01T00:00:00Z\n"
    )
    (folder / ".env").chmod(0o600)
    done = run_cold(folder, "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("--demo") == 5
    assert re.search(r"[1-9] webhooks lost, 0 returns that polls lack; 9\d\.\d% of", done.stdout)
    return folder


@pytest.fixture(scope="module")
def demo_span(demo: Path) -> tuple[str, str]:
    """Two hours of the demo."""
    hours = json.loads(run(demo, "status", "--demo", "--json").stdout)
    return hours[0]["hour"], hours[2]["hour"]


@pytest.mark.parametrize(
    "command",
    [
        ("status",),
        ("status", "--by-day"),
        ("status", "--missing"),
        ("status", "--json"),
        ("verify",),
        ("doctor",),
        ("acknowledge",),
        ("backfill", "{start}", "{end}"),
        ("backfill", "{start}", "{end}", "--repoll"),
        ("rebuild", "{start}", "{end}"),
    ],
    ids=" ".join,
)
def test_each_command_works_on_the_demo(
    demo: Path, demo_span: tuple[str, str], command: tuple[str, ...]
) -> None:
    start, end = demo_span
    words = [word.format(start=start, end=end) for word in command]
    done = run_cold(demo, *words, "--demo", CLICKPOST_KEY="real", RETURNS_LAKE="/nowhere")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr


def test_the_demo_uses_none_of_the_real_settings(demo: Path) -> None:
    done = run(demo, "config", "--demo", RETURNS_ALERT_URLS=f"json://127.0.0.1/{CANARY}")
    values = {line.split()[0]: line.split()[1] for line in done.stdout.splitlines()}
    assert values["RETURNS_ALERT_URLS"] == "-"
    assert values["RETURNS_LAKE"] == str(demo / "data" / "demo" / "lake")
    assert values["RETURNS_START"] > "2026-01-01"
    assert CANARY not in done.stdout


def test_without_a_demo_a_command_names_the_command_that_makes_one(tmp_path: Path) -> None:
    done = run(tmp_path, "status", "--demo")
    assert done.returncode == 2
    assert "Make one with `returns-orchestration demo`" in done.stderr


def test_config_shows_values_sources_and_no_secret(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"clickpost_key = '{CANARY}'\nRETURNS_SETTLE_MINUTES=7\n")
    (tmp_path / ".env").chmod(0o600)
    done = run(tmp_path, "config", CLICKPOST_USER_NAME=CANARY)
    rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}
    assert CANARY not in done.stdout + done.stderr
    assert rows["CLICKPOST_KEY"] == ["***", str(tmp_path / ".env")]
    assert rows["CLICKPOST_USER_NAME"] == ["***", "environment"]
    assert rows["RETURNS_SETTLE_MINUTES"] == ["7", str(tmp_path / ".env")]
    assert rows["RETURNS_ALERT_QUIET_HOURS"] == ["22-8", "default"]
    assert rows["DAGSTER_HOME"][1] == "default"


def test_unknown_variables_are_named_with_the_nearest_one(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("export CLICKPOST_USERNAME=x\n")
    more = {"RETURNS_SETTLE_MINUTE": "5", "RETURNS_LAKE": str(tmp_path / "lake")}
    found = run(tmp_path, "config", **more).stderr
    assert "RETURNS_SETTLE_MINUTE in the environment is not a setting" in found
    assert "did you mean RETURNS_SETTLE_MINUTES?" in found
    assert f"CLICKPOST_USERNAME in {tmp_path / '.env'} is not a setting" in found
    assert "did you mean CLICKPOST_USER_NAME?" in found
    doctor = run(tmp_path, "doctor", **more)
    assert doctor.stdout.count("warn  settings: ") == 2
    load = "import returns_orchestration.definitions"
    loaded = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-c", load],
        cwd=tmp_path,
        env=environment(**more),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "RETURNS_SETTLE_MINUTES?" in loaded.stderr


def test_a_lake_in_an_accidental_folder_is_named(tmp_path: Path) -> None:
    assert f"the lake is {tmp_path / 'data' / 'lake'}" in run(tmp_path, "config").stderr
    assert not run(tmp_path, "config", RETURNS_LAKE=str(tmp_path / "lake")).stderr
    (tmp_path / "workspace.yaml").touch()
    assert not run(tmp_path, "config").stderr


def test_a_named_settings_file_must_exist(tmp_path: Path) -> None:
    done = run(tmp_path, "status", RETURNS_ENV_FILE=str(tmp_path / "absent"))
    assert done.returncode == 2
    assert "RETURNS_ENV_FILE names" in done.stderr


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which something listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize(
    ("text", "is_demo"),
    [
        ("", True),
        ("CLICKPOST_KEY=\n", True),
        ("CLICKPOST_KEY=x\n", False),
        ("CLICKPOST_KEY = x\n", False),
        ("export CLICKPOST_KEY=x\n", False),
        ("clickpost_key='x'\n", False),
        ("CLICKPOST_USER_NAME=x\n", False),
    ],
)
def test_dev_reads_the_env_file_as_the_settings_do(
    tmp_path: Path, taken: int, text: str, is_demo: bool
) -> None:
    (tmp_path / ".env").write_text(text)
    done = run(tmp_path, "dev", "--port", str(taken))
    assert done.returncode == 2
    assert f"Port {taken} is taken" in done.stderr
    assert ("this is the demo" in done.stdout) == is_demo


def test_dev_does_not_use_another_program_on_the_simulator_s_port(
    tmp_path: Path, taken: int
) -> None:
    done = run(tmp_path, "dev", "--port", str(free_port()), "--simulator-port", str(taken))
    assert done.returncode == 2
    assert "--simulator-port" in done.stderr


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_dev_serves_the_ui_by_one_command_and_leaves_nothing_behind(demo: Path) -> None:
    port = free_port()
    with subprocess.Popen(  # noqa: S603 - our own command
        [SCRIPT, "dev", "--demo", "--port", str(port), "--simulator-port", str(free_port())],
        cwd=demo,
        env=environment(PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        printed = []
        for line in process.stdout:
            printed.append(line)
            if "Ctrl-C ends it" in line:
                break
        assert printed[-1] == f"Dagster's UI: http://127.0.0.1:{port} (Ctrl-C ends it)\n", printed
        assert "Superse" not in "".join(printed)
        query = {"query": "{ assetNodes { assetKey { path } } }"}
        answer = httpx.post(f"http://127.0.0.1:{port}/graphql", json=query, timeout=60).json()
        assert {"assetKey": {"path": ["raw_returns"]}} in answer["data"]["assetNodes"]
        foreign = {"Origin": "https://evil.example"}
        address = f"http://127.0.0.1:{port}/graphql"
        refused = httpx.post(address, json=query, headers=foreign, timeout=60)
        assert refused.status_code == 403
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=120)
    assert process.returncode == 0, rest
    with socket.create_server(("127.0.0.1", port)):  # the port is closed
        pass


def test_the_environment_has_priority_over_the_env_file_in_dev_too(
    new_world: Callable[..., World],
) -> None:
    """Dagster's own command would read the file over the environment."""
    # The newest hour is left to its schedule for some minutes; the one before is recovered at once.
    hour = last_settled(datetime.now(UTC), timedelta(minutes=10)).previous
    # At night few are requested, whenever this runs.
    world = new_world({"RETURNS_START": hour.start.isoformat()}, returns_per_hour=1_000)
    other = world.folder / "other"
    (world.folder / "workspace.yaml").touch()
    (world.folder / ".env").write_text(f"CLICKPOST_KEY=wrong\nRETURNS_LAKE={other}\n")
    (world.folder / ".env").chmod(0o600)
    with world.started("dev", "--port", str(free_port())) as process:
        deadline = time.monotonic() + 180
        while not list(world.lake.glob("returns/**/*.parquet")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            threading.Event().wait(0.5)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)
    assert process.returncode == 0
    assert world.scan("returns").height > 0
    assert not other.exists()


def test_ctrl_c_in_a_backfill_keeps_the_hours_so_far(new_world: Callable[..., World]) -> None:
    world = new_world({"CLICKPOST_MAX_CONCURRENCY": "2"}, returns_per_hour=4, latency=0.1)
    printed: list[str] = []
    with world.started("backfill", "2026-11-07", "2026-11-09") as process:
        assert process.stdout is not None
        for line in process.stdout:
            printed.append(line)
            if "tried" in line and not any("tried" in before for before in printed[:-1]):
                process.send_signal(signal.SIGINT)
    assert process.returncode == 1
    text = "".join(printed)
    assert "Traceback" not in text
    assert "stopped: Interrupted. Run the same again" in text
    complete = int(printed[-1].split()[0])
    assert 0 < complete < 48
    states = json.loads(world.run("status", "2026-11-07", "2026-11-09", "--json").stdout)
    assert sum(state["state"] in {"complete", "empty"} for state in states) == complete
    asked = len(world.asked())
    assert world.run("backfill", "2026-11-07", "2026-11-09").returncode == 0
    assert len(world.asked()) == 48 == asked + (48 - complete)


def test_dagster_s_own_command_needs_nothing_but_the_settings(
    new_world: Callable[..., World],
) -> None:
    world = new_world(returns_per_hour=4)
    project = Path(__file__).parents[2]
    for folder in (project, world.folder):
        done = subprocess.run(  # noqa: S603 - Dagster's own command
            [
                *(sys.executable, "-m", "dagster", "asset", "materialize"),
                *("--select", "raw_returns,returns,return_items,refund_modes_hourly"),
                *("--partition", "2026-11-09-11:00", "-m", "returns_orchestration.definitions"),
            ],
            cwd=folder,
            env=environment(**world.environment),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3_000:]
    assert world.scan("returns").height > 0
