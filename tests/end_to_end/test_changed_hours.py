"""The asset `changed_hours` as its sensor reports it, and `changes` as a loader calls it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from support.lakes import tables_of
from support.world import HASTY, World, hours

from returns_orchestration.defs.code_location import build_defs
from returns_orchestration.flow.outcomes import Failed, Stopped

NOW = datetime.fromisoformat("2026-11-09T15:00:00+00:00")
WINDOWS = hours("2026-11-09T10:00", "2026-11-09T13:00")


class Looking:
    """The sensor, evaluated by hand, with the cursor that Dagster would keep."""

    def __init__(self, world: World, instance: dg.DagsterInstance) -> None:
        self.world = world
        self.instance = instance
        self.cursor: str | None = None
        self.now = NOW

    def look(self) -> Any:
        definitions = build_defs(self.world.settings, clock=lambda: self.now, retry=HASTY)
        repository = definitions.get_repository_def()
        with dg.build_sensor_context(
            self.instance, cursor=self.cursor, repository_def=repository
        ) as context:
            found = repository.get_sensor_def("changed_hours").evaluate_tick(context)
        self.cursor = found.cursor
        return found

    def happens(self) -> None:
        """Dagster gains an event, as it does from each run."""
        self.instance.report_runless_asset_event(dg.AssetMaterialization("of another project"))


@pytest.fixture
def looking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_world: Callable[..., World]
) -> Iterator[Looking]:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with dg.instance_for_test(temp_dir=str(home)) as instance:
        yield Looking(new_world(returns_per_hour=4, rhythm=False), instance)


def polled(world: World, windows: list[Any]) -> None:
    bad = [o for o in world.pipeline().run(windows) if isinstance(o, Failed | Stopped)]
    assert not bad


def shown(found: Any) -> dict[str, Any]:
    (event,) = found.asset_events
    assert event.asset_key == dg.AssetKey("changed_hours")
    return {name: value.value for name, value in event.metadata.items()}


def test_it_is_materialized_only_when_tables_were_written(looking: Looking) -> None:
    polled(looking.world, WINDOWS)
    looking.happens()

    first = shown(looking.look())

    assert (first["hours"], first["days"]) == (3, 1)
    assert (first["first"], first["last"]) == ("2026-11-09", "2026-11-09T12:00")
    assert "| returns | 3 | 2026-11-09T10:00 | 2026-11-09T12:00 |" in first["tables"]
    looking.happens()
    assert not looking.look().asset_events
    polled(looking.world, hours("2026-11-09T13:00", "2026-11-09T14:00"))
    assert not looking.look().asset_events, "no look without an event"
    looking.happens()
    second = shown(looking.look())
    assert (second["hours"], second["last"]) == (1, "2026-11-09T13:00")
    assert second["cursor"] != first["cursor"]


def test_a_tick_that_dagster_did_not_record_reports_the_same_again(looking: Looking) -> None:
    polled(looking.world, WINDOWS[:1])
    looking.happens()
    looking.look()
    polled(looking.world, WINDOWS[1:2])
    looking.happens()
    before = looking.cursor

    lost = shown(looking.look())
    looking.cursor = before  # killed before the event and the cursor were stored
    polled(looking.world, WINDOWS[2:])
    looking.happens()
    again = shown(looking.look())

    assert (lost["hours"], again["hours"]) == (1, 2)
    assert again["first"] <= lost["first"]


def test_old_dates_are_looked_at_once_a_day(looking: Looking) -> None:
    lake = looking.world.pipeline().lake
    for day in range(40):
        at = NOW - timedelta(days=day)
        lake.store.put(f"returns/date={at:%Y-%m-%d}/hour=03/part-0.parquet", b"x")
    looking.look()
    old = NOW - timedelta(days=39)
    lake.store.put(f"returns/date={old:%Y-%m-%d}/hour=03/part-0.parquet", b"y")
    looking.happens()

    assert not looking.look().asset_events
    looking.now += timedelta(days=1)
    assert shown(looking.look())["first"] == f"{old:%Y-%m-%d}"


def test_a_lost_cursor_reports_everything_again(looking: Looking) -> None:
    polled(looking.world, WINDOWS)
    looking.look()
    shutil.rmtree(looking.world.lake / "_changes")
    looking.happens()

    assert shown(looking.look())["hours"] == 3


# ---- the command


def listed(world: World, *arguments: str) -> dict[str, Any]:
    done = world.run("changes", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def load(world: World, copy: Path, found: dict[str, Any]) -> None:
    """As described on the page about warehouses: the folder then has the listed files."""
    for change in found["changes"]:
        folder = copy / change["folder"]
        for file in folder.glob("*.parquet"):
            file.unlink()
        for file in change["files"]:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(world.lake / file["path"], copy / file["path"])


def copied(copy: Path) -> dict[str, bytes]:
    files = (path for path in sorted(copy.rglob("*")) if path.is_file())
    return {str(path.relative_to(copy)): path.read_bytes() for path in files}


def test_a_loader_that_follows_the_changes_has_the_same_files_as_the_lake(
    new_world: Callable[..., World], tmp_path: Path
) -> None:
    world, copy = new_world(returns_per_hour=4, progress=False), tmp_path / "copy"
    cursor = tmp_path / "cursor"
    polled(world, WINDOWS[:2])
    load(world, copy, listed(world, "--follow", str(cursor)))
    assert copied(copy) == tables_of(world.files())
    assert world.run("changes", "--loaded", str(cursor)).returncode == 0

    polled(world, WINDOWS[2:])
    died = listed(world, "--follow", str(cursor))
    hour = next(at for at, c in enumerate(died["changes"]) if "T" in c["period"])
    load(world, copy, {"changes": died["changes"][: hour + 1]})
    gone = died["changes"][hour]["files"][0]["path"]
    (world.lake / gone).unlink()
    load(world, copy, listed(world, "--follow", str(cursor)))

    assert copied(copy) == tables_of(world.files())
    said = world.run("changes", "--loaded", str(cursor)).stdout
    assert len(cursor.read_text().splitlines()) == 1
    assert cursor.read_text()[2:18] in said
    text = world.run("changes", "--since", str(cursor))
    assert text.stdout.splitlines() == [
        "Nothing was written since that cursor.",
        cursor.read_text().strip(),
    ]


def test_a_wrong_cursor_is_one_message(new_world: Callable[..., World], tmp_path: Path) -> None:
    world = new_world()
    for arguments in (
        ("--since", "nonsense"),
        ("--loaded", str(tmp_path / "nowhere")),
        ("--since", "x", "--follow", "y"),
        ("--follow", str(tmp_path / "no" / "folder")),
    ):
        done = world.run("changes", *arguments)
        assert done.returncode == 2, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
