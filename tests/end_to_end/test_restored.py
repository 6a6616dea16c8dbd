"""A lake that was restored from an older copy, while DAGSTER_HOME did not change.

Hours that the copy lacks are in Dagster's log: they are missing, and polled again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from support.world import HASTY, World, hours

from returns_orchestration.defs.code_location import build_defs
from returns_orchestration.defs.instance import open_instance, run_range
from returns_orchestration.window import Window, windows_between

FROM, TO = "2026-11-07T00:00", "2026-11-07T08:00"
WINDOWS = hours(FROM, TO)
UNCHANGED, CHANGED, NEW = WINDOWS[:2], WINDOWS[2:5], WINDOWS[5:]
EARLY, LATE = WINDOWS[-1].end, datetime(2026, 11, 23, tzinfo=UTC)


def status(world: World) -> dict[str, tuple[object, object]]:
    """By hour, its state and error."""
    done = world.run("status", FROM, TO, "--json")
    lines = json.loads(done.stdout)
    assert done.returncode == int(any(line["state"] == "missing" for line in lines))
    return {line["hour"]: (line["state"], line["error"]) for line in lines}


def well(world: World, *command: str) -> None:
    done = world.run(*command)
    assert done.returncode == 0, done.stdout + done.stderr


def asked(world: World) -> list[Window]:
    """The windows requested since the last call."""
    found = sorted(Window.from_key(text.replace("T", "-")[:16]) for text in world.asked())
    world.simulator.forget()
    return found


@pytest.fixture
def restored(new_world: Callable[..., World]) -> World:
    """The copy holds UNCHANGED and an earlier poll of CHANGED; NEW were polled after it."""
    world = new_world({"RETURNS_START": FROM}, returns_per_hour=4, rhythm=False)
    world.set_clock(lambda: EARLY)
    well(world, "backfill", FROM, NEW[0].text)
    copy = world.folder / "copy"
    shutil.copytree(world.lake, copy)
    world.set_clock(lambda: LATE)  # meanwhile the returns have changed
    well(world, "backfill", CHANGED[0].text, TO, "--repoll")
    assert {state for state, _ in status(world).values()} == {"complete"}
    shutil.rmtree(world.lake)
    copy.rename(world.lake)
    world.simulator.forget()
    return world


def test_status_names_hours_absent_from_an_older_copy_and_backfill_polls_them_again(
    restored: World,
) -> None:
    world = restored
    found = status(world)
    missing = [hour for hour, (state, _) in found.items() if state == "missing"]
    assert missing == [window.text for window in (*CHANGED, *NEW)]
    for hour in missing:
        assert "it was restored" in str(found[hour][1])
        assert "returns-orchestration backfill" in str(found[hour][1])
    assert not asked(world)
    lines = world.run("status", FROM, TO).stdout
    assert "2 complete" in lines
    assert "6 missing" in lines

    well(world, "backfill", FROM, TO)
    assert asked(world) == [*CHANGED, *NEW]
    assert set(status(world).values()) == {("complete", None)}
    well(world, "backfill", FROM, TO)
    assert not asked(world)
    well(world, "verify")
    served = world.simulator.dataset.returns_between(WINDOWS[0].start, EARLY, LATE)
    found_now = world.scan("returns").get_column("return_reference_number").to_list()
    assert sorted(found_now) == sorted(one.reference for one in served)


def test_the_sensor_polls_hours_absent_from_an_older_copy_again(
    restored: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = restored
    monkeypatch.setenv("DAGSTER_HOME", str(world.folder / "dagster_home"))
    now = EARLY + timedelta(minutes=30)
    definitions = build_defs(world.settings, clock=lambda: now, retry=HASTY)
    repository = definitions.get_repository_def()
    with open_instance(world.settings) as instance:

        def tick(cursor: str | None) -> dg.SensorResult:
            with dg.build_sensor_context(
                instance, cursor=cursor, repository_def=repository
            ) as context:
                return repository.get_sensor_def("missing_hours").evaluate_tick(context)

        data = tick(None)
        [request] = data.run_requests or []
        first, last = (
            Window.from_key(request.tags[f"dagster/asset_partition_range_{end}"])
            for end in ("start", "end")
        )
        windows = list(windows_between(first.start, last.end))
        assert windows == [*CHANGED, *NEW]
        assert run_range(definitions, instance, windows, missing_only=True).success
        assert asked(world) == windows
        assert not tick(data.cursor).run_requests
    assert set(status(world).values()) == {("complete", None)}


def test_an_older_copy_is_complete_when_new_replies_match_it(
    restored: World,
) -> None:
    """The API sends the same as before: no poll is kept, and no hour is missing any more."""
    world = restored
    world.set_clock(lambda: EARLY)
    before = {p: c for p, c in world.files().items() if p.startswith("raw_returns")}
    well(world, "backfill", FROM, NEW[0].text)
    assert asked(world) == CHANGED
    assert {p: c for p, c in world.files().items() if p.startswith("raw_returns")} == before
    found = status(world)
    assert {found[window.text] for window in (*UNCHANGED, *CHANGED)} == {("complete", None)}


def test_a_lost_lake_is_polled_again_and_a_lost_dagster_home_costs_no_call(
    restored: World,
) -> None:
    world = restored
    shutil.rmtree(world.folder / "dagster_home")
    found = status(world)
    known = [window.text for window in (*UNCHANGED, *CHANGED)]
    assert [hour for hour, (state, _) in found.items() if state == "complete"] == known
    well(world, "backfill", FROM, NEW[0].text)
    assert not asked(world)

    shutil.rmtree(world.lake)
    assert {state for state, _ in status(world).values()} == {"missing"}
    well(world, "backfill", FROM, TO)
    assert asked(world) == WINDOWS
    assert set(status(world).values()) == {("complete", None)}
