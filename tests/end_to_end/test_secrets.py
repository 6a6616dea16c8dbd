"""Messages where secrets are involved; the proof `secrets` shows that no secret appears."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from support.world import KEY, USER_NAME, World

SPELLINGS = sorted({f(s) for s in (KEY, USER_NAME) for f in (str, quote, quote_plus)})


def test_a_channel_that_fails_is_named_by_its_scheme(new_world: Callable[..., World]) -> None:
    user, password = (quote(secret, safe="") for secret in (USER_NAME, KEY))
    hook = f"json://{user}:{password}@127.0.0.1:1/{password}"
    world = new_world({"RETURNS_ALERT_URLS": f"{hook},slack://{KEY}"})
    done = world.run("alert", "--test")
    assert done.returncode == 1
    told = done.stdout.splitlines()
    assert [line.split(":")[0] for line in told] == ["FAIL  json 1", "FAIL  slack 1"]
    assert not [s for s in SPELLINGS if s in done.stdout + done.stderr]


@pytest.mark.skipif(os.name != "posix", reason="there are no modes")
def test_an_env_file_that_others_may_read_gives_a_warning(new_world: Callable[..., World]) -> None:
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
    # The file, the simulator on this machine, no channel, then what works.
    assert [line[:5] for line in doctor.stdout.splitlines()] == ["warn "] * 3 + ["ok   "] * 5
    filled = world.run("backfill", *hour)
    assert (filled.returncode, (filled.stdout + filled.stderr).count("chmod 600")) == (0, 1)
    loads = world.process(sys.executable, "-c", "import returns_orchestration.definitions")
    assert loads.stderr.count("chmod 600") == 1
    (world.folder / ".env").chmod(0o600)
    assert world.run("status", *hour).stderr == ""
