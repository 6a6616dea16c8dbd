"""Hours that were polled under one CLICKPOST_TIME_ZONE, and a pipeline with another setting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.lakes import OF_ALL_TIME
from support.world import World, hours

from returns_orchestration.flow.outcomes import Failed, Stopped
from returns_orchestration.lake import Lake, open_store
from returns_orchestration.state.verify import Verifier
from returns_orchestration.window import Window

DAY = hours("2026-11-07T00:00", "2026-11-08T00:00")
SPAN = DAY[0].text, DAY[-1].next.text
NOW = datetime(2026, 11, 23, tzinfo=UTC)


def in_zone(world: World, zone: str) -> World:
    return replace(world, variables={"CLICKPOST_TIME_ZONE": zone})


def run(world: World, windows: list[Window]) -> list[Any]:
    return [o for o in world.pipeline().run(windows) if isinstance(o, Failed | Stopped)]


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
def test_a_naive_time_is_read_in_the_zone_of_its_poll_whatever_the_setting(
    world: World, zone: str
) -> None:
    assert world.run("rebuild", *SPAN).returncode == 0
    before, calls = world.files(), len(world.asked())
    done = in_zone(world, zone).run("rebuild", *SPAN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert world.files() == before
    assert len(world.asked()) == calls


@pytest.mark.parametrize("again", [DAY[6:12], DAY, [DAY[-1].next]], ids=["some", "all", "new"])
def test_polls_of_two_zones_coexist_and_no_return_is_lost(
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
    assert not run(india, again)  # under the zone of their last poll
    assert {p: c for p, c in world.files().items() if p in before} == before


@pytest.fixture
def misread(new_world: Callable[..., World]) -> World:
    """A day of an API that uses India's time without writing a zone, polled under UTC."""
    made = new_world(
        {},
        zone="Asia/Kolkata",
        oddities=1,
        only_oddities=("naive-times",),
        returns_per_hour=3,
        rhythm=False,
        mps_share=0,
        late_share=0,
    )
    assert not run(made, DAY)
    return made


def far_off(world: World) -> int:
    """How many rows have another request time than the return."""
    truths = world.simulator.dataset.returns_between(
        DAY[0].start - timedelta(days=2), DAY[-1].end + timedelta(days=2), NOW
    )
    requested = {truth.reference: truth.requested_at for truth in truths}
    rows = world.scan("returns").select("return_reference_number", "requested_at").rows()
    return sum(requested[reference] != at for reference, at in rows)


def test_a_wrongly_set_zone_is_corrected_without_a_call(misread: World) -> None:
    rows, calls = misread.scan("returns").height, len(misread.asked())
    assert rows
    assert far_off(misread) == rows
    raw = {p: c for p, c in misread.files().items() if p.startswith("raw_returns")}
    india = in_zone(misread, "Asia/Kolkata")
    done = india.run("rezone", *SPAN, "--time-zone", "Asia/Kolkata")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "24 polls are now read in the zone Asia/Kolkata." in done.stdout
    assert misread.scan("returns").height == rows
    assert far_off(misread) == 0
    assert not findings(india)
    assert "is in exactly one hour" in india.run("verify").stdout
    again = india.run("rezone", *SPAN, "--time-zone", "Asia/Kolkata")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "0 polls are now read" in again.stdout
    before = misread.files()
    # The zone of the poll and the current setting no longer matter to it.
    assert misread.run("rebuild", *SPAN).returncode == 0
    assert {p: c for p, c in misread.files().items() if not p.startswith(OF_ALL_TIME)} == {
        p: c for p, c in before.items() if not p.startswith(OF_ALL_TIME)
    }
    assert len(misread.asked()) == calls
    assert {p: c for p, c in misread.files().items() if p.startswith("raw_returns")} == raw


def test_a_poll_left_by_a_killed_run_is_corrected_with_the_others(misread: World) -> None:
    next(misread.lake.glob("_journal/*/09.poll-0001-*")).unlink()
    done = in_zone(misread, "Asia/Kolkata").run("rezone", *SPAN, "--time-zone", "Asia/Kolkata")
    assert "24 polls are now read in the zone Asia/Kolkata." in done.stdout, (
        done.stdout + done.stderr
    )
    assert far_off(misread) == 0


@pytest.mark.parametrize("zone", ["Asia/Nowhere", "", "+05:30"])
def test_an_invalid_zone_corrects_nothing(world: World, zone: str) -> None:
    before = world.files()
    done = world.run("rezone", *SPAN, "--time-zone", zone)
    assert done.returncode == 2, done.stdout
    assert "Traceback" not in done.stderr
    assert world.files() == before
