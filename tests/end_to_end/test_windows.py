"""Every served return is in `returns` once, each window requested once, whatever the API does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from support.world import World, hours

from returns_orchestration.flow.outcomes import Failed, Stopped
from returns_orchestration.window import Window

NOW = datetime(2026, 11, 23, tzinfo=UTC)
RULES = ("[)", "[]", "(]", "second", "()")


def served(world: World, windows: list[Window]) -> set[str]:
    """The references that the API serves in any of the windows, as the simulator reports them."""
    return {
        record.reference
        for window in windows
        for record in world.simulator.dataset.served(window.start, window.end, NOW)
    }


def run(world: World, windows: list[Window]) -> None:
    bad = [o for o in world.pipeline().run(windows) if isinstance(o, Failed | Stopped)]
    assert not bad


@pytest.mark.parametrize("filter_on", ["requested", "timestamp"])
@pytest.mark.parametrize("rule", RULES)
def test_every_served_return_is_there_exactly_once(
    new_world: Callable[..., World], rule: str, filter_on: str
) -> None:
    world = new_world(
        edge_rule=rule, filter_on=filter_on, edges=True, returns_per_hour=4, order="shuffled"
    )
    windows = hours("2026-11-07T00:00", "2026-11-08T06:00")
    run(world, windows)
    references = world.scan("returns").get_column("return_reference_number").to_list()
    assert len(references) == len(set(references))
    assert set(references) == served(world, windows)
    asked = [(r.start_time, r.end_time) for r in world.simulator.requests]
    expected = [(w.start, w.start + timedelta(seconds=3600)) for w in windows]
    wire = [tuple(t.strftime("%Y-%m-%dT%H:%M:%S") for t in pair) for pair in expected]
    assert sorted(asked) == wire


@pytest.mark.parametrize("filter_on", ["requested", "timestamp"])
@pytest.mark.parametrize("rule", ["[]", "(]"])
def test_the_order_in_which_hours_are_polled_does_not_matter(
    new_world: Callable[..., World], rule: str, filter_on: str
) -> None:
    world = new_world(edge_rule=rule, filter_on=filter_on, edges=True, returns_per_hour=3)
    windows = hours("2026-11-07T00:00", "2026-11-07T08:00")
    for window in (windows[i] for i in (5, 2, 3, 7, 0, 1, 6, 4)):
        run(world, [window])
        polled = [Window.of(datetime.fromisoformat(t).replace(tzinfo=UTC)) for t in world.asked()]
        found = world.scan("returns").get_column("return_reference_number").to_list()
        assert sorted(found) == sorted(served(world, polled))
    at_once = new_world(edge_rule=rule, filter_on=filter_on, edges=True, returns_per_hour=3)
    run(at_once, windows)
    for table in ("return_items", "refund_modes_hourly", "return_reasons_hourly"):
        assert world.scan(table).equals(at_once.scan(table))


def test_a_return_is_filed_under_the_hour_it_was_requested_in(
    new_world: Callable[..., World],
) -> None:
    world = new_world(edge_rule="[]", filter_on="timestamp", edges=True, awb_slow_share=0.0)
    run(world, hours("2026-11-07T00:00", "2026-11-07T06:00"))
    for hour in range(1, 5):  # returns from before 00:00 stay there: their own hour is not polled
        frame = world.scan(f"returns/date=2026-11-07/hour={hour:02d}")
        assert set(frame.get_column("requested_at").dt.hour()) == {hour}


def test_the_tables_hold_the_served_values(new_world: Callable[..., World]) -> None:
    world = new_world(mps_share=0.3, oddities=0.3, returns_per_hour=20)
    windows = hours("2026-11-07T10:00", "2026-11-07T16:00")
    run(world, windows)
    returns = {r["return_reference_number"]: r for r in world.scan("returns").to_dicts()}
    items = world.scan("return_items")
    truths = world.simulator.dataset.returns_between(windows[0].start, windows[-1].end, NOW)
    assert len(returns) == len(truths)
    for truth in truths:
        row = returns[truth.reference]
        assert row["requested_at"] == truth.requested_at
        assert row["refund_mode"] == truth.refund_mode
        assert row["awb_at"] == truth.awb_at
        assert tuple(row["awbs"]) == truth.awbs
        assert row["pieces"] == truth.pieces
    assert items.height == sum(len(truth.items) for truth in truths)
    assert items.get_column("quantity").sum() == sum(truth.quantity for truth in truths)


def test_two_runs_over_unchanged_replies_give_the_same_bytes(
    new_world: Callable[..., World],
) -> None:
    world = new_world(progress=False, edges=True)
    windows = hours("2026-11-07T00:00", "2026-11-07T05:00")
    run(world, windows)
    before = world.files()
    run(world, windows)
    assert world.files() == before
    assert len(world.asked()) == 2 * len(windows)


def test_late_returns_reach_every_table_without_duplicates(new_world: Callable[..., World]) -> None:
    world = new_world(late_share=0.5, returns_per_hour=20, late_by=(timedelta(hours=1),) * 2)
    windows = hours("2026-11-07T10:00", "2026-11-07T13:00")
    moment = windows[-1].end
    world.set_clock(lambda: moment)
    run(world, windows)
    early = world.scan("returns").height
    moment = NOW
    run(world, windows)
    truths = world.simulator.dataset.returns_between(windows[0].start, windows[-1].end, NOW)
    returns = world.scan("returns")
    assert early < returns.height == len(truths)
    modes = world.scan("refund_modes_hourly")
    assert modes.get_column("returns").sum() == returns.height
    assert modes.get_column("items").sum() == world.scan("return_items").height
