"""A lake of the previous release, with every oddity: upgraded, killed, undone, dropped.

No server listens at CLICKPOST_BASE_URL: any request for an hour would fail.
"""

from __future__ import annotations

import io
import json
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from dagster._daemon.types import DaemonHeartbeat
from support import forked
from support.lakes import files_of
from support.world import LIMIT

from returns_orchestration.defs.instance import open_instance
from returns_orchestration.flow.from_settings import build_pipeline
from returns_orchestration.settings import Settings, load_settings
from returns_orchestration.stages.landing import land
from returns_orchestration.window import Window, read_hour

ARCHIVE = Path(__file__).parents[1] / "data" / "lake-format-1.tar.xz"
SPAN = ("2026-11-01T00:00", "2026-11-02T09:00")
NOT_MADE_BEFORE = {f"2026-11-02T0{hour}:00" for hour in (2, 3, 4)}
"""Hours that the previous release had not made of all their polls."""

ADDED = {
    "returns": {"sources", "drop_store_id", "pickup_state", "pickup_region"},
    "return_items": {
        "return_mode",
        "return_sub_reason",
        "description",
        "item_id",
        "shopify_line_item_id",
        "photos",
    },
}
"""Columns that have been added since then."""

RENAMED = ("refund_modes_hourly", "return_reasons_hourly")
"""Tables with a column that has been renamed since then."""

LOST_A_POLL = "2026-11-01T07:00"
WITHOUT_TABLES = (
    "_records",
    "_journal",
    "_poll_log",
    "_before_upgrade",
    "_alerts",
    "_tmp",
    "lateness",
    "open_returns",
)


@dataclass
class OldLake:
    folder: Path

    @property
    def lake(self) -> Path:
        return self.folder / "lake"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "CLICKPOST_BASE_URL": "http://127.0.0.1:9",
            "CLICKPOST_KEY": "key",
            "CLICKPOST_USER_NAME": "user",
            "RETURNS_START": "2026-11-01T00:00:00Z",
            "RETURNS_REPOLL_AFTER_HOURS": "1,6",
            "RETURNS_LAKE": str(self.lake),
        }

    @property
    def settings(self) -> Settings:
        return load_settings(env_file=self.folder / "none", **self.environment)

    @property
    def environment_of_processes(self) -> dict[str, str]:
        return (
            self.environment
            | {"DAGSTER_HOME": str(self.folder / "dagster_home"), "PATH": "/usr/bin:/bin"}
            | {"PYTHONPATH": ":".join(filter(None, sys.path)), "COLUMNS": "200"}
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        script = Path(sys.executable).with_name("returns-orchestration")
        return subprocess.Popen(  # noqa: S603 - our own command
            [str(script), *arguments],
            cwd=self.folder,
            env=self.environment_of_processes,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        done = forked.run(arguments, self.folder, self.environment_of_processes, LIMIT)
        return done.returncode, done.stdout + done.stderr

    def states(self) -> dict[str, dict[str, Any]]:
        _, said = self.run("status", *SPAN, "--json")
        return {line["hour"]: line for line in json.loads(said)}

    def tables(self) -> dict[str, bytes]:
        return {
            path: content
            for path, content in files_of(self.lake).items()
            if not path.startswith(WITHOUT_TABLES)
        }


@pytest.fixture
def old(tmp_path: Path) -> OldLake:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path / "old", filter="data")
    # A day after its writer was killed, a command removes it.
    (tmp_path / "old/lake/_tmp/left-by-a-killed-writer").touch()
    return OldLake(tmp_path / "old")


def test_every_command_refuses_an_old_lake(old: OldLake) -> None:
    before = files_of(old.lake)

    for command in (("status", *SPAN), ("verify",), ("rebuild", *SPAN), ("backfill", *SPAN)):
        code, said = old.run(*command)
        assert code == 1, said
        assert "made by an earlier release" in said
        assert "returns-orchestration upgrade" in said

    assert files_of(old.lake) == before


@pytest.mark.long
def test_each_row_and_each_state_reads_as_before(old: OldLake) -> None:
    tables = old.tables()
    was = {line["hour"]: line for line in json.loads((old.folder / "status.json").read_text())}

    code, said = old.run("upgrade")

    assert code == 0, said
    assert "67 polls" in said
    after = old.tables()
    changed = {path for path in tables | after if after.get(path) != tables.get(path)}
    assert changed
    # In tables that there were, columns were added since then, and `hour` renamed.
    for path in (path for path in changed & tables.keys() if "date=2026-11-02" not in path):
        was_read, is_read = (pl.read_parquet(io.BytesIO(f[path])) for f in (tables, after))
        table = path.partition("/")[0]
        if table in ADDED:
            assert set(is_read.columns) - set(was_read.columns) == ADDED[table], path
            plain = [name for name in was_read.columns if name != "quality"]
            assert is_read.select(plain).equals(was_read.select(plain)), path
            new = ADDED[table] | {"pickup_info"}
            known = [[name for name in row if name not in new] for row in is_read["quality"]]
            assert known == was_read["quality"].to_list(), path
        else:
            assert path.startswith(RENAMED), path
            assert is_read.equals(was_read.rename({"hour": "hour_start"})), path
    assert not any(path.startswith("raw_returns") for path in changed)
    now = old.states()
    assert now.keys() == was.keys()
    counts = ("returns", "items", "rejected", "late", "first_polled_at", "last_polled_at")
    for hour in was.keys() - NOT_MADE_BEFORE - {LOST_A_POLL}:
        assert now[hour]["state"] == was[hour]["state"], hour
        assert {c: now[hour][c] for c in counts} == {c: was[hour][c] for c in counts}, hour
        assert now[hour]["polls"] >= was[hour]["polls"], hour
    assert {now[hour]["state"] for hour in NOT_MADE_BEFORE} == {"complete"}
    assert now[LOST_A_POLL]["state"] == "damaged"
    assert now["2026-11-01T20:00"]["error"] == was["2026-11-01T20:00"]["error"]
    assert now["2026-11-01T21:00"]["error"] == "waived: the shop was closed"
    code, said = old.run("verify")
    assert code == 0, said
    assert old.run("upgrade")[1].startswith(f"{old.lake} has today's format already")


@pytest.mark.long
def test_an_upgrade_killed_anywhere_is_completed_by_the_same_command(
    old: OldLake, tmp_path: Path
) -> None:
    other = OldLake(tmp_path / "whole")
    shutil.copytree(old.folder, other.folder)
    assert other.run("upgrade")[0] == 0
    kills = 0
    for entries in (1, 40, 110, 150, 180):
        process = old.start("upgrade")
        # As far as the last one, and a little further.
        while process.poll() is None:
            if len(list(old.lake.glob("_journal/*/*"))) >= entries:
                process.send_signal(signal.SIGKILL)
                kills += 1
                break
        process.communicate()

    assert old.run("upgrade")[0] == 0

    assert kills >= 3
    assert old.tables() == other.tables()
    assert old.states() == other.states()
    assert old.run("verify")[0] == 0


@pytest.mark.long
def test_undo_restores_every_byte_until_the_first_new_poll(old: OldLake) -> None:
    before = files_of(old.lake)
    assert old.run("upgrade")[0] == 0
    assert old.run("upgrade", "--undo")[0] == 0
    assert files_of(old.lake) == before

    assert old.run("upgrade")[0] == 0
    pipeline = build_pipeline(old.settings)
    window = Window(read_hour("2026-11-01T20:00"))
    land(pipeline.lake, pipeline.lake.names(), pipeline.reader, window, window.end, ())
    stands = files_of(old.lake)

    code, said = old.run("upgrade", "--undo")

    assert code == 2
    assert "1 poll newer than the upgrade" in said
    assert files_of(old.lake) == stands


@pytest.mark.long
def test_the_old_records_stay_until_they_are_dropped(old: OldLake) -> None:
    records = files_of(old.lake / "_records")
    code, said = old.run("upgrade", "--drop-old")
    assert code == 2
    assert "was not brought over yet" in said
    assert old.run("upgrade")[0] == 0
    assert files_of(old.lake / "_records") == records

    assert old.run("upgrade", "--drop-old")[0] == 0

    assert files_of(old.lake / "_records") == {}
    assert files_of(old.lake / "_before_upgrade") == {}
    assert old.run("verify")[0] == 0
    assert "holds nothing of an earlier release" in old.run("upgrade")[1]


def test_it_refuses_while_a_daemon_is_alive(old: OldLake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(old.folder / "dagster_home"))
    with open_instance(old.settings) as instance:
        beat = DaemonHeartbeat(
            timestamp=time.time(), daemon_type="SENSOR", daemon_id="a", errors=[]
        )
        instance.add_daemon_heartbeat(beat)
    before = files_of(old.lake)

    for option in ((), ("--undo",), ("--drop-old",)):
        code, said = old.run("upgrade", *option)
        assert code == 2
        assert "A daemon is alive" in said

    assert files_of(old.lake) == before
    assert old.run("upgrade", "--time-zone", "Nowhere/Land")[1].count("is no time zone") == 1
