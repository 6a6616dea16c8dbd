"""The largest hour known, 12,000 returns in 28 MB, within 500 MB of memory."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.world import World

LIMIT_MB = 500
STATUS = Path("/proc/self/status")
PROGRAM = """
from pathlib import Path
from returns_orchestration.cli import build_app
build_app()(["backfill", "2026-11-07T11:00", "2026-11-07T12:00"], standalone_mode=False)
held = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print("peak", int(held["VmHWM"].split()[0]) // 1024)
"""
"""Resource usage would inherit the peak of the process that runs the tests."""


@pytest.mark.skipif(not STATUS.exists(), reason="the peak of a process is read from /proc")
def test_twelve_thousand_returns_in_one_hour_stay_within_memory(
    new_world: Callable[..., World],
) -> None:
    world = new_world(returns_per_hour=12_000, rhythm=False, mps_share=0.0)
    done = world.process(sys.executable, "-c", PROGRAM)
    assert done.returncode == 0, done.stderr[-1000:]
    assert world.scan("returns").height == 12_000
    peak = int(done.stdout.rsplit("peak", 1)[1])
    assert peak < LIMIT_MB, f"{peak} MB"
