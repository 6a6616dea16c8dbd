"""The key and the user name appear nowhere, whatever fails."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from world import KEY, USER_NAME, World

SPELLINGS = sorted({f(s) for s in (KEY, USER_NAME) for f in (str, quote, quote_plus)})


def found_in(folder: Path) -> Iterator[str]:
    """Files below ``folder``, databases included, that hold a spelling of a secret."""
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            yield from (f"{path}: {s}" for s in SPELLINGS if s.encode() in content)


@pytest.mark.parametrize(
    "fault", ["echo", "redirect", "auth", "503", "reset", "meta-400-repr", "next-elsewhere"]
)
def test_no_failure_repeats_a_secret(new_world: Callable[..., World], fault: str) -> None:
    world = new_world(returns_per_hour=2)
    world.simulator.faults = [f"{fault}:*:2026-11-07T01:00"]
    done = world.run("backfill", "2026-11-07T00:00", "2026-11-07T03:00")
    assert done.returncode == 1
    assert world.simulator.requests
    assert not [s for s in SPELLINGS if s in done.stdout + done.stderr]
    assert (world.folder / "dagster_home").is_dir()
    assert not list(found_in(world.folder))


def test_refused_credentials_are_not_repeated(new_world: Callable[..., World]) -> None:
    world = new_world({"CLICKPOST_KEY": KEY + "x", "CLICKPOST_USER_NAME": USER_NAME})
    for command in (("backfill", "2026-11-07", "2026-11-08"), ("doctor",), ("status",)):
        done = world.run(*command)
        assert done.returncode == 1
        assert not [s for s in SPELLINGS if s in done.stdout + done.stderr]
    assert not list(found_in(world.folder))


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "leak.log").write_text(f"GET /?key={quote(KEY)}")
    assert len(list(found_in(tmp_path))) == 1


def test_no_alert_repeats_a_secret(new_world: Callable[..., World]) -> None:
    user, password = (quote(secret, safe="") for secret in (USER_NAME, KEY))
    hook = f"json://{user}:{password}@127.0.0.1:1/{password}"
    world = new_world({"RETURNS_ALERT_URLS": f"{hook},slack://{KEY}"})
    for command in (("alert", "--test"), ("incidents",), ("incidents", "--all", "--json")):
        done = world.run(*command)
        assert done.returncode == 1
        assert not [s for s in SPELLINGS if s in done.stdout + done.stderr]
    told = world.run("alert", "--test").stdout.splitlines()
    assert [line.split(":")[0] for line in told] == ["FAIL  json 1", "FAIL  slack 1"]


@pytest.mark.skipif(os.name != "posix", reason="there are no modes")
def test_an_env_file_that_others_may_read_is_warned_of(new_world: Callable[..., World]) -> None:
    world = new_world()
    hour = ("2026-11-07T00:00", "2026-11-07T01:00")
    (world.folder / "workspace.yaml").touch()
    (world.folder / ".env").write_text(f"CLICKPOST_KEY='{KEY}'\n")
    (world.folder / ".env").chmod(0o644)
    said = world.run("status", *hour, "--json")
    assert json.loads(said.stdout)[0]["state"] == "missing"
    assert (said.returncode, said.stderr.count("chmod 600")) == (1, 1)
    doctor = world.run("doctor")
    assert (doctor.returncode, doctor.stderr) == (0, "")
    assert [line[:5] for line in doctor.stdout.splitlines()] == ["ok   ", "warn ", *["ok   "] * 4]
    filled = world.run("backfill", *hour)
    assert (filled.returncode, (filled.stdout + filled.stderr).count("chmod 600")) == (0, 1)
    loads = world.process(sys.executable, "-c", "import returns_orchestration.definitions")
    assert loads.stderr.count("chmod 600") == 1
    (world.folder / ".env").chmod(0o600)
    assert world.run("status", *hour).stderr == ""
