"""Backfills as the UI launches and repeats them: in separate processes, by Dagster's daemon."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from support.deployment import Deployment, deployed
from support.world import World, hours

from returns_orchestration.clickpost import RetryPolicy
from returns_orchestration.defs.registry import HOURLY
from returns_orchestration.window import Window, windows_between

WEEK = hours("2026-11-07", "2026-11-14")
BAD = [WEEK[at] for at in (3, 4, 5, 99, 167)]

HOURS = WEEK[:14]
LANDED, HANGING = HOURS[:6], HOURS[6:]

# Dagster's GraphQL server calls one of its own deprecated functions.
pytestmark = pytest.mark.filterwarnings("ignore:Function `AssetSelection.sources` is deprecated")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, new_world: Callable[..., World]) -> World:
    world = new_world({"RETURNS_START": WEEK[0].start.isoformat()}, returns_per_hour=3)
    for name, value in world.environment_of_processes.items():
        monkeypatch.setenv(name, value)
    return world


@pytest.fixture
def deployment(world: World) -> Iterator[Deployment]:
    with deployed(world.settings, Path(os.environ["DAGSTER_HOME"])) as deployment:
        yield deployment


def asked(world: World) -> list[str]:
    """The windows requested since the last call, in order of time; one for every request."""
    found = sorted(world.asked())
    world.simulator.forget()
    return found


def times(windows: list[Window]) -> list[str]:
    return [window.start.strftime("%Y-%m-%dT%H:%M:%S") for window in windows]


def windows_of(instance: dg.DagsterInstance, backfill: str) -> list[Window]:
    """The hours of all runs of a backfill."""
    found: set[Window] = set()
    for run in instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": backfill})):
        single = run.tags.get("dagster/partition")
        first = Window.from_key(single or run.tags["dagster/asset_partition_range_start"])
        last = Window.from_key(single or run.tags["dagster/asset_partition_range_end"])
        found.update(windows_between(first.start, last.end))
    return sorted(found)


def failed(backfill: PartitionBackfill, deployment: Deployment) -> dict[str, set[str]]:
    """By asset, the hours that the backfill shows as failed."""
    graph = deployment._workspace.create_request_context().asset_graph
    data = backfill.get_asset_backfill_data(graph)
    found: dict[str, set[str]] = {}
    for key, partition in data.failed_and_downstream_subset.iterate_asset_partitions():
        found.setdefault(key.to_user_string(), set()).add(str(partition))
    return found


def test_a_backfill_keeps_the_good_hours_and_is_repeated_only_for_the_bad_ones(
    world: World, deployment: Deployment
) -> None:
    world.simulator.faults = [f"503:*:{','.join(window.text for window in BAD)}"]
    first = deployment.finish(deployment.backfill(WEEK))
    assert first.status is BulkActionStatus.COMPLETED_FAILED
    assert deployment.counts(first.backfill_id) == dict.fromkeys(HOURLY, (163, 5))
    assert failed(first, deployment) == {name: {w.key for w in BAD} for name in HOURLY}
    lines = json.loads(world.run("status", "2026-11-07", "2026-11-14", "--json").stdout)
    missing = {line["hour"]: line["error"] for line in lines if line["state"] == "missing"}
    assert sorted(missing) == [window.text for window in BAD]
    assert all("503" in words for words in missing.values())
    attempts = {window: RetryPolicy().attempts if window in BAD else 1 for window in WEEK}
    assert Counter(asked(world)) == dict(zip(times(WEEK), attempts.values(), strict=True))

    world.simulator.faults = []
    again = deployment.finish(deployment.repeat(first.backfill_id, "FROM_FAILURE"))
    assert again.status is BulkActionStatus.COMPLETED_SUCCESS
    assert asked(world) == times(BAD)
    for name in HOURLY:
        known = deployment.instance.get_materialized_partitions(dg.AssetKey(name))
        assert set(known) == {window.key for window in WEEK}


def test_hours_that_were_polled_are_not_shown_as_out_of_date(deployment: Deployment) -> None:
    """Dagster's word is unsynced: an input has a materialization that is newer."""
    backfill = deployment.finish(deployment.backfill(HOURS))
    assert backfill.status is BulkActionStatus.COMPLETED_SUCCESS
    query = """query ($hour: String, $keys: [AssetKeyInput!]) { assetNodes(assetKeys: $keys) {
        assetKey { path } staleStatus(partition: $hour) } }"""
    keys = [{"path": [name]} for name in HOURLY]
    found = deployment.ask(query, hour=HOURS[-1].key, keys=keys)["assetNodes"]
    shown = {node["assetKey"]["path"][0]: node["staleStatus"] for node in found}
    assert {name: shown[name] for name in HOURLY} == dict.fromkeys(HOURLY, "FRESH")


def killed(world: World, deployment: Deployment) -> tuple[str, str]:
    """A backfill, and its run, which was killed while HANGING were being polled."""
    world.simulator.faults = [f"hang:*:{','.join(window.text for window in HANGING)}"]
    reached = world.when_asked(len(HOURS))
    backfill = deployment.backfill(HOURS)
    deployment.look()
    assert reached.wait(60)
    (run,) = deployment.instance.get_runs()
    deployment.kill(run.run_id)
    world.simulator.faults = []
    assert deployment.finish(backfill).status is BulkActionStatus.COMPLETED_FAILED
    assert asked(world) == times(HOURS)
    assert world.landed(HOURS) == LANDED
    return backfill, run.run_id


def test_a_backfill_with_a_killed_run_is_repeated_without_the_landed_hours(
    world: World, deployment: Deployment
) -> None:
    backfill, _ = killed(world, deployment)
    again = deployment.finish(deployment.repeat(backfill, "FROM_FAILURE"))
    assert again.status is BulkActionStatus.COMPLETED_SUCCESS
    assert asked(world) == times(HANGING)
    # The moment of the kill decides how many of the landed hours Dagster has recorded.
    targets = windows_of(deployment.instance, again.backfill_id)
    assert set(HANGING) <= set(targets) <= set(HOURS)
    once_more = deployment.finish(deployment.repeat(again.backfill_id, "ALL_STEPS"))
    assert once_more.status is BulkActionStatus.COMPLETED_SUCCESS
    # The repeated run had succeeded, so all its hours are polled again.
    assert asked(world) == times(targets)


def test_a_killed_run_is_repeated_without_the_landed_hours(
    world: World, deployment: Deployment
) -> None:
    _, run = killed(world, deployment)
    again = deployment.repeat_run(run, "FROM_FAILURE")
    deployment.look()
    deployment.finish_runs()
    found = deployment.instance.get_run_by_id(again)
    assert found
    assert found.is_success
    assert asked(world) == times(HANGING)
