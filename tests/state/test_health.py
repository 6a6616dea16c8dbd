"""The judgement of `health`: each limit from both sides, and the worst of several."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from returns_orchestration.state.health import Disk, Facts, Level, judge, level_of
from returns_orchestration.window import Window

NOW = datetime(2026, 11, 9, 12, 30, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
ROOMY = Disk("RETURNS_LAKE", 1_000, 500, 1_000, 500)
WELL = Facts(
    now=NOW,
    newest_complete=Window(datetime(2026, 11, 9, 11, tzinfo=UTC)),
    states={"complete": 40, "empty": 2, "missing": 0, "damaged": 0},
    incidents={"urgent": 0, "problem": 0, "notice": 0},
    heartbeat=NOW - MINUTE,
    disks=(ROOMY,),
)
MISSING = {"complete": 40, "missing": 3}


def ended(ago: timedelta) -> Window:
    return Window(NOW.replace(minute=0) - ago - HOUR)


@pytest.mark.parametrize(
    ("facts", "level", "text"),
    [
        (WELL, "ok", ""),
        (replace(WELL, newest_complete=ended(2 * HOUR)), "ok", ""),
        (replace(WELL, newest_complete=ended(3 * HOUR)), "critical", "ended 3 hours 30 minutes"),
        (replace(WELL, newest_complete=None), "critical", "no hour is complete"),
        (replace(WELL, newest_complete=None, states={}), "ok", ""),
        (
            replace(WELL, states=MISSING, oldest_missing=ended(23 * HOUR)),
            "warning",
            "3 hours are missing, the oldest is 2026-11-08T12:00",
        ),
        (
            replace(WELL, states=MISSING, oldest_missing=ended(24 * HOUR)),
            "critical",
            "3 hours are missing",
        ),
        (replace(WELL, states={"complete": 9, "damaged": 1}), "warning", "1 hour is damaged"),
        (replace(WELL, heartbeat=NOW - 10 * MINUTE), "ok", ""),
        (replace(WELL, heartbeat=NOW - 11 * MINUTE), "critical", "no sign of life since"),
        (replace(WELL, heartbeat=NOW + 11 * MINUTE), "critical", "by a clock ahead"),
        (replace(WELL, heartbeat=None), "critical", "daemon has not run"),
        (
            replace(WELL, incidents={"urgent": 2, "notice": 0}),
            "warning",
            "2 open incidents of severity urgent: see `incidents`",
        ),
        (replace(WELL, disks=(replace(ROOMY, free=150),)), "ok", ""),
        (
            replace(WELL, disks=(replace(ROOMY, free=140),)),
            "warning",
            "86% of the space under RETURNS_LAKE",
        ),
        (replace(WELL, disks=(replace(ROOMY, free_inodes=140),)), "warning", "86% of the inodes"),
        (replace(WELL, disks=(replace(ROOMY, inodes=0, free_inodes=0),)), "ok", ""),
        (replace(WELL, unread=("The lake cannot be read.",)), "unknown", "cannot be read"),
    ],
)
def test_each_limit_has_its_level(facts: Facts, level: Level, text: str) -> None:
    findings = judge(facts)
    assert level_of(findings) == level
    if text:
        (found,) = findings
        assert found[0] == level
        assert text in found[1]


def test_the_worst_finding_gives_the_level() -> None:
    facts = replace(WELL, unread=("x",), states={"damaged": 1, "complete": 1})
    assert [level for level, _ in judge(facts)] == ["unknown", "warning"]
    assert level_of(judge(facts)) == "unknown"
    assert level_of(judge(replace(facts, heartbeat=None))) == "critical"


def test_a_disk_is_read_where_its_folder_is_yet_to_be_made(tmp_path: Path) -> None:
    disk = Disk.under("x", tmp_path / "not" / "there")
    assert disk == replace(Disk.under("x", tmp_path), free=disk.free, free_inodes=disk.free_inodes)
    assert 0 < disk.free < disk.size
