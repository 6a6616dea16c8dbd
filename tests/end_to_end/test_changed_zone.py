"""Hours that were polled under one CLICKPOST_TIME_ZONE, and a pipeline that is set to another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from world import World, hours

from returns_orchestration.errors import ZoneChanged
from returns_orchestration.flow.hours import Failed, Stopped
from returns_orchestration.lake import Lake, open_store
from returns_orchestration.lake.records import decode_poll, encode
from returns_orchestration.state.verify import Verifier
from returns_orchestration.window import Window

DAY = hours("2026-11-07T00:00", "2026-11-08T00:00")
SPAN = DAY[0].text, DAY[-1].next.text


def in_zone(world: World, zone: str) -> World:
    return replace(world, variables={"CLICKPOST_TIME_ZONE": zone})


def run(world: World, windows: list[Window]) -> list[Any]:
    return [o for o in world.river().run(windows) if isinstance(o, Failed | Stopped)]


def findings(world: World) -> list[str]:
    verifier = Verifier(Lake(open_store(str(world.lake))), world.settings.report_time_zone)
    return [finding.text for finding in verifier.everything()]


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
        late_share=0,
    )
    assert not run(made, DAY)
    return made


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "Asia/Kathmandu", "America/New_York", "GMT"])
def test_a_naive_time_means_the_zone_of_its_poll_whatever_the_setting_says(
    world: World, zone: str
) -> None:
    assert world.run("rebuild", *SPAN).returncode == 0
    before, calls = world.files(), len(world.asked())
    done = in_zone(world, zone).run("rebuild", *SPAN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert world.files() == before
    assert len(world.asked()) == calls


@pytest.mark.parametrize("again", [DAY[6:12], DAY, [DAY[-1].next]], ids=["some", "all", "new"])
def test_polls_of_two_zones_stand_beside_each_other_and_no_return_is_lost(
    world: World, again: list[Window]
) -> None:
    held = set(world.scan("returns").get_column("return_reference_number"))
    india = in_zone(world, "Asia/Kolkata")
    assert not run(india, again)
    found = Counter(world.scan("returns").get_column("return_reference_number"))
    assert held <= found.keys()
    assert set(found.values()) == {1}
    assert not findings(world)
    assert world.run("rebuild", *SPAN).returncode == 0
    before = world.files()
    assert india.run("rebuild", *SPAN).returncode == 0
    assert world.files() == before
    assert not run(india, again)  # under the zone that they were polled under last
    assert {p: c for p, c in world.files().items() if p in before} == before


@pytest.fixture
def earlier(world: World) -> World:
    """The same lake as an earlier release left it: no poll's record names a zone."""
    for path in (world.lake / "_records").rglob("poll-*.json"):
        record = decode_poll(path.read_bytes(), path.name)
        path.write_bytes(encode(msgspec.structs.replace(record, zone="")))
    return world


def test_a_rebuild_refuses_names_the_zone_and_changes_nothing(earlier: World) -> None:
    """Where no zone was noted, a record could be left in no hour."""
    for path in sorted(earlier.lake.rglob("*/date=2026-11-07/hour=0[3-5]/part-0.parquet")):
        path.write_bytes(b"damaged, and not touched either")
    before, calls = earlier.files(), len(earlier.asked())
    done = in_zone(earlier, "Asia/Kolkata").run("rebuild", *SPAN)
    assert done.returncode == 1
    assert "was polled under another CLICKPOST_TIME_ZONE: under Asia/Kolkata, " in done.stderr
    assert "Set CLICKPOST_TIME_ZONE back" in done.stderr
    assert earlier.files() == before
    assert len(earlier.asked()) == calls
    assert earlier.run("rebuild", *SPAN).returncode == 0  # under its own zone it is mended


def test_an_hour_that_is_polled_again_keeps_its_rows_and_says_why(earlier: World) -> None:
    before = earlier.files()
    failed = run(in_zone(earlier, "Asia/Kolkata"), DAY[6:12])
    assert {outcome.window for outcome in failed} == set(DAY[6:12])
    assert all(isinstance(outcome.error, ZoneChanged) for outcome in failed)
    assert earlier.files() == before
    assert not findings(earlier)
