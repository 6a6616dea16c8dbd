"""After a clock that was ahead, or a kill, sensors and schedules are evaluated at once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    ScheduleInstigatorData,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._daemon.sensor import get_elapsed
from support.postgres import Database

from returns_orchestration.defs.instance import open_instance
from returns_orchestration.defs.ticks import bring_back, complete_states
from returns_orchestration.settings import Settings

NOW = datetime(2026, 11, 9, 12, tzinfo=UTC)


def add(instance: dg.DagsterInstance, name: str, seen: datetime) -> None:
    """A sensor or, by its name, a schedule that was last evaluated at ``seen``."""
    location = RegisteredCodeLocationOrigin("here")
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "all"), name)
    at = seen.timestamp()
    data: ScheduleInstigatorData | SensorInstigatorData
    if name == "live_hour":
        kind, data = InstigatorType.SCHEDULE, ScheduleInstigatorData("0 * * * *", 0.0, at)
    else:
        kind, data = InstigatorType.SENSOR, SensorInstigatorData(at, None, 60, "kept", at)
    state = InstigatorState(origin, kind, InstigatorStatus.RUNNING, data)
    instance.add_instigator_state(state)
    here = state.instigator_origin_id, name, kind, TickStatus.SKIPPED, at
    instance.create_tick(TickData(*here, selector_id=state.selector_id))


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    with open_instance(Settings(lake=str(tmp_path / "lake"))) as opened:
        yield opened


def last_ticks(instance: dg.DagsterInstance) -> dict[str, datetime]:
    return {
        state.instigator_name: datetime.fromtimestamp(tick.timestamp, UTC)
        for state in instance.all_instigator_state()
        for tick in instance.get_ticks(state.instigator_origin_id, state.selector_id)
    }


def test_what_was_seen_in_the_future_is_brought_back(instance: dg.DagsterInstance) -> None:
    ahead, past = NOW + timedelta(days=2), NOW - timedelta(minutes=3)
    for name, seen in (("incidents", ahead), ("live_hour", ahead), ("prune", past)):
        add(instance, name, seen)

    assert sorted(bring_back(instance, NOW)) == ["incidents", "live_hour"]

    assert last_ticks(instance) == {"incidents": NOW, "live_hour": NOW, "prune": past}
    states = {state.instigator_name: state for state in instance.all_instigator_state()}
    sensor, schedule = states["incidents"].instigator_data, states["live_hour"].instigator_data
    assert isinstance(sensor, SensorInstigatorData)
    assert isinstance(schedule, ScheduleInstigatorData)
    assert sensor.cursor == "kept"
    assert (get_elapsed(states["incidents"]) or 0) > 0
    assert schedule.last_iteration_timestamp == NOW.timestamp()
    assert bring_back(instance, NOW) == []


def test_a_state_whose_second_row_a_kill_has_cost_is_completed(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it each look of the daemon at its sensors ends with that error."""
    monkeypatch.setenv("DAGSTER_HOME", str(database.configure(tmp_path / "home")))
    with open_instance(Settings(lake=str(tmp_path / "lake"))) as instance:
        for name in ("incidents", "live_hour", "prune"):
            add(instance, name, NOW)
        (state,) = [s for s in instance.all_instigator_state() if s.instigator_name == "incidents"]
        database.do("DELETE FROM instigators WHERE instigator_body LIKE '%\"incidents\"%'")
        with pytest.raises(dg.DagsterInvariantViolationError):
            instance.add_instigator_state(state)

        assert complete_states(instance) == ["incidents"]

        assert instance.get_instigator_state(state.instigator_origin_id, state.selector_id) == state
        assert complete_states(instance) == []
