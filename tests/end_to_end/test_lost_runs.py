"""A run whose process was killed is ended, and repeated without the hours it had landed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.tags import GRPC_INFO_TAG
from support.mortal_run import execute, run_and_kill
from support.world import HASTY, World, hours

from returns_orchestration.defs.automation import LOST, LOST_AT_TAG
from returns_orchestration.defs.code_location import build_defs
from returns_orchestration.defs.instance import open_instance, range_tags
from returns_orchestration.defs.lost_runs import CODE_SERVER_SINCE, SILENCE
from returns_orchestration.state import due
from returns_orchestration.state.hour_index import HourIndex
from returns_orchestration.state.memory import Memory

WINDOWS = hours("2026-11-07T00:00", "2026-11-07T14:00")
LANDED, HANGING = WINDOWS[:6], WINDOWS[6:]
NOW = WINDOWS[-1].end + timedelta(minutes=10)
POLL_ALL = {"ops": {"hourly_tables": {"config": {"missing_only": False}}}}


class Killed:
    """An instance in which a run of WINDOWS was killed while HANGING were being polled."""

    def __init__(self, world: World, instance: dg.DagsterInstance, home: str) -> None:
        self.world = world
        self.instance = instance
        self.definitions = build_defs(world.settings, clock=lambda: self.now, retry=HASTY)
        self.now = NOW
        world.set_clock(lambda: self.now)
        world.simulator.faults = [f"hang:*:{','.join(w.text for w in HANGING)}"]
        request = dg.RunRequest(tags=range_tags(WINDOWS), run_config=POLL_ALL)
        run_and_kill(world, home, "hourly", request, NOW, len(WINDOWS))
        world.simulator.faults = []
        world.simulator.forget()

    def tick(self, name: str, cursor: str | None = None) -> dg.SensorExecutionData:
        repository = self.definitions.get_repository_def()
        given = {"repository_def": repository, "cursor": cursor}
        with dg.build_sensor_context(self.instance, **given) as context:
            return repository.get_sensor_def(name).evaluate_tick(context)

    def asked(self) -> list[str]:
        return sorted(self.world.asked())


@pytest.fixture
def killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_world: Callable[..., World]
) -> Iterator[Killed]:
    world = new_world({"RETURNS_START": WINDOWS[0].start.isoformat()}, returns_per_hour=3)
    home = str(tmp_path / "home")
    monkeypatch.setenv("DAGSTER_HOME", home)
    with open_instance(world.settings) as instance:
        yield Killed(world, instance, home)


def seconds(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S")


def test_a_killed_run_is_ended_once_it_is_silent_for_too_long(killed: Killed) -> None:
    (run,) = killed.instance.get_runs()
    assert run.status is dg.DagsterRunStatus.STARTED
    killed.now = NOW + SILENCE - timedelta(minutes=1)
    killed.tick("lost_runs")
    assert killed.instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.STARTED
    assert not killed.tick("missing_hours").run_requests  # they are busy, by the run's record
    killed.now = NOW + SILENCE
    killed.tick("lost_runs")
    assert killed.instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.FAILURE


def test_a_run_that_ended_with_its_code_server_is_ended_at_once(
    killed: Killed, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run,) = killed.instance.get_runs()
    last = killed.instance.all_logs(run.run_id)[-1].timestamp
    after = datetime.fromtimestamp(last + 1, UTC).isoformat()
    monkeypatch.setenv(CODE_SERVER_SINCE, after)
    killed.tick("lost_runs")
    assert killed.instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.STARTED, (
        "a command may have started it, which lives without a code server"
    )
    killed.instance.add_run_tags(run.run_id, {GRPC_INFO_TAG: "{}"})
    monkeypatch.setenv(CODE_SERVER_SINCE, NOW.replace(year=2020).isoformat())
    killed.tick("lost_runs")
    assert killed.instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.STARTED
    monkeypatch.setenv(CODE_SERVER_SINCE, after)
    killed.tick("lost_runs")
    assert killed.instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.FAILURE


def test_hours_of_a_first_run_that_was_lost_are_asked_for_at_once(killed: Killed) -> None:
    chosen = due.choose(WINDOWS, WINDOWS, {}, (), NOW, len(WINDOWS))
    rules = killed.world.settings.digest()
    cursor = Memory(HourIndex(), chosen.attempts, rules=rules).write()
    killed.now = NOW + timedelta(minutes=2)
    assert not killed.tick("missing_hours", cursor).run_requests
    (run,) = killed.instance.get_runs()
    killed.instance.report_run_failed(run, "It failed.")
    waiting = killed.tick("missing_hours", cursor)
    assert not waiting.run_requests, waiting.skip_message
    killed.instance.add_run_tags(run.run_id, LOST | {LOST_AT_TAG: killed.now.isoformat()})
    found = killed.tick("missing_hours", cursor)
    (request,) = found.run_requests or []
    due_now = range_tags(WINDOWS[:-1])  # the newest is yet left to `live_hour`
    assert {key: request.tags[key] for key in due_now} == due_now
    killed.now += timedelta(minutes=1)
    assert not killed.tick("missing_hours", found.cursor).run_requests, "their second run waits"


@pytest.mark.parametrize("job", ["webhooks", "prune", "report"])
def test_a_lost_run_of_every_job_is_ended(killed: Killed, job: str) -> None:
    defined = killed.definitions.resolve_job_def(job)
    run = killed.instance.create_run_for_job(defined, tags=dict(defined.tags))
    killed.instance.handle_run_event(run.run_id, started(job))
    assert killed.instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.STARTED
    killed.now = datetime.now(UTC) + SILENCE
    killed.tick("lost_runs")
    assert killed.instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.FAILURE


def started(job: str) -> dg.DagsterEvent:
    return dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, job)


def test_a_run_that_was_killed_while_the_clock_was_ahead_is_ended_too(killed: Killed) -> None:
    (run,) = killed.instance.get_runs()
    killed.now = NOW - timedelta(days=30)
    killed.tick("lost_runs")
    assert killed.instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.FAILURE


def test_only_hours_that_a_killed_run_had_not_landed_are_polled_again(killed: Killed) -> None:
    assert killed.world.landed(WINDOWS) == LANDED
    killed.now = NOW + SILENCE
    killed.tick("lost_runs")
    (request,) = killed.tick("missing_hours").run_requests or []
    result = execute(
        killed.definitions,
        killed.instance,
        killed.now,
        job="hourly",
        tags=dict(request.tags),
        run_config=dict(request.run_config),
    )
    assert result.success
    assert killed.asked() == [seconds(window.start) for window in HANGING]
    assert not killed.tick("missing_hours").run_requests
    known = killed.instance.get_materialized_partitions(dg.AssetKey("raw_returns"))
    assert set(known) == {window.key for window in WINDOWS}
