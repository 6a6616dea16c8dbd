"""Hours that were polled under one CLICKPOST_TIME_ZONE, and a pipeline that is set to another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from world import World, hours

from returns_orchestration.errors import ZoneChanged
from returns_orchestration.flow.hours import Failed
from returns_orchestration.lake import Lake, open_store
from returns_orchestration.trust.verify import Verifier

DAY = hours("2026-11-07T00:00", "2026-11-08T00:00")
SPAN = DAY[0].text, DAY[-1].next.text
INDIA = {"CLICKPOST_TIME_ZONE": "Asia/Kolkata"}


@pytest.fixture
def world(new_world: Callable[..., World]) -> World:
    """A day of naive times, polled under UTC."""
    made = new_world(
        {},
        oddities=1,
        only_oddities=("naive-times",),
        returns_per_hour=3,
        rhythm=False,
        edges=True,
        edge_rule="[]",
    )
    outcomes = list(made.river().run(DAY))
    assert not [outcome for outcome in outcomes if isinstance(outcome, Failed)]
    return made


def india(world: World) -> World:
    return replace(world, variables=INDIA)


def test_a_rebuild_refuses_names_the_zone_and_changes_nothing(world: World) -> None:
    before, calls = world.files(), len(world.asked())
    done = india(world).run("rebuild", *SPAN)
    assert done.returncode == 1
    assert "was polled under another CLICKPOST_TIME_ZONE: under Asia/Kolkata, " in done.stderr
    assert "Set CLICKPOST_TIME_ZONE back" in done.stderr
    assert world.files() == before
    assert len(world.asked()) == calls


def test_a_damaged_lake_is_not_touched_either(world: World) -> None:
    for path in sorted(world.lake.rglob("*/date=2026-11-07/hour=0[3-5]/part-0.parquet")):
        path.write_bytes(b"damaged")
    before = world.files()
    assert india(world).run("rebuild", *SPAN).returncode == 1
    assert world.files() == before
    assert world.run("rebuild", *SPAN).returncode == 0  # under its own zone it is mended


def test_an_hour_that_is_polled_again_keeps_its_rows_and_says_why(world: World) -> None:
    before = world.files()
    outcomes = list(india(world).river().run(DAY[6:12]))
    failed = {o.window: o.error for o in outcomes if isinstance(o, Failed)}
    assert set(failed) == set(DAY[6:12])
    assert all(isinstance(error, ZoneChanged) for error in failed.values())
    assert world.files() == before
    assert not list(
        Verifier(Lake(open_store(str(world.lake))), world.settings.report_time_zone).everything()
    )
    assert world.run("rebuild", *SPAN).returncode == 0
    after = world.files()
    assert {path: after[path] for path in before} == before


def test_a_build_of_an_hour_beside_them_refuses_too(world: World) -> None:
    """A record on the edge was served by a window that was polled under the other zone."""
    rows = world.scan("returns")
    after = DAY[-1].next
    outcomes = list(india(world).river().run([after]))
    failed = [outcome.error for outcome in outcomes if isinstance(outcome, Failed)]
    assert failed
    assert all(isinstance(error, ZoneChanged) for error in failed)
    assert world.scan("returns").equals(rows)


def test_times_that_name_their_zone_do_not_mind(new_world: Callable[..., World]) -> None:
    world = new_world({}, returns_per_hour=3, edges=True)
    list(world.river().run(DAY[:4]))
    assert world.run("rebuild", DAY[0].text, DAY[4].text).returncode == 0
    before = world.files()
    assert india(world).run("rebuild", DAY[0].text, DAY[4].text).returncode == 0
    assert world.files() == before
