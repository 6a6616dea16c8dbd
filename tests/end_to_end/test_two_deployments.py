"""Two deployments in one Dagster, each with a prefix and a lake; neither sees the other's runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from support.world import HASTY, World, hours

from returns_orchestration.defs import history
from returns_orchestration.defs.code_location import build_defs
from returns_orchestration.defs.instance import open_instance, run_range
from returns_orchestration.defs.keys import Keys
from returns_orchestration.defs.registry import (
    ALL_TIME,
    DAILY,
    HOURLY,
    RAW_WEBHOOKS,
    WEBHOOKS_DAILY,
    WEBHOOKS_HOURLY,
)

START = "2026-11-09T00:00:00Z"
NOW = datetime(2026, 11, 9, 6, 30, tzinfo=UTC)
WINDOWS = hours("2026-11-09T00:00", "2026-11-09T06:00")
INDIA, EUROPE = Keys(("india",)), Keys(("europe",))


def defs_of(world: World, keys: Keys) -> dg.Definitions:
    return build_defs(world.settings, keys.prefix, clock=lambda: NOW, retry=HASTY)


def asked_by(definitions: dg.Definitions, instance: dg.DagsterInstance, sensor: str) -> Any:
    repository = definitions.get_repository_def()
    with dg.build_sensor_context(instance, repository_def=repository) as context:
        return repository.get_sensor_def(sensor).evaluate_tick(context)


@pytest.fixture
def both(new_world: Callable[..., World]) -> tuple[World, World]:
    return new_world({"RETURNS_START": START}), new_world({"RETURNS_START": START}, seed=7)


@pytest.fixture
def instance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, both: tuple[World, World]
) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    with open_instance(both[0].settings) as opened:
        yield opened


def test_each_deployment_makes_its_own_assets_in_its_own_lake(
    both: tuple[World, World], instance: dg.DagsterInstance
) -> None:
    for world, keys in zip(both, (INDIA, EUROPE), strict=True):
        result = run_range(defs_of(world, keys), instance, WINDOWS, missing_only=True, keys=keys)
        assert result.success, result.failure

    known = {key.to_user_string() for key in instance.all_asset_keys()}
    assert known == {
        f"{prefix}/{asset}" for prefix in ("india", "europe") for asset in (*HOURLY, *DAILY)
    }
    references = [set(w.scan("returns")["return_reference_number"]) for w in both]
    assert references[0]
    assert references[1]
    assert references[0] != references[1]
    for keys in (INDIA, EUROPE):
        assert len(history.newest_polls(instance, WINDOWS, keys)) == len(WINDOWS)
        assert history.unreported(instance, WINDOWS, keys) == []
        evaluations, _ = history.evaluations(instance, 0, 1_000, keys)
        assert {said.period for said in evaluations} >= {window.key for window in WINDOWS}
        assert {said.asset for said in evaluations} <= {*HOURLY, *DAILY}


def test_an_hour_polled_by_one_is_missing_in_the_other(
    both: tuple[World, World], instance: dg.DagsterInstance
) -> None:
    india, europe = (
        defs_of(world, keys) for world, keys in zip(both, (INDIA, EUROPE), strict=True)
    )
    assert run_range(india, instance, WINDOWS, missing_only=True, keys=INDIA).success

    [request] = asked_by(europe, instance, "missing_hours").run_requests
    assert not asked_by(india, instance, "missing_hours").run_requests

    assert request.tags["dagster/asset_partition_range_start"] == WINDOWS[0].key
    # A run under way in one deployment does not delay the hours of the other.
    job = europe.get_repository_def().get_job("hourly")
    under_way = dg.DagsterRunStatus.STARTED
    instance.create_run_for_job(job, status=under_way, tags={**job.run_tags, **request.tags})
    assert not asked_by(europe, instance, "missing_hours").run_requests
    assert asked_by(europe, instance, "incidents").cursor


def test_without_a_prefix_the_keys_do_not_change(new_world: Callable[..., World]) -> None:
    definitions = defs_of(new_world(), Keys())

    found = {key.to_user_string() for key in definitions.resolve_asset_graph().get_all_asset_keys()}

    webhooks = {RAW_WEBHOOKS, "webhooks_arrived", *WEBHOOKS_HOURLY, *WEBHOOKS_DAILY}
    others = {*ALL_TIME, "clickpost", "returns_report", "alerts", "changed_hours"}
    assert found == {*HOURLY, *DAILY, *webhooks, *others}
