"""Runs on Celery workers: real Redis, real PostgreSQL, workers as processes of their own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Timer
from typing import Any

import dagster as dg
import pytest
import yaml
from support import postgres, redis_server
from support.deployment import Deployment, deployed, until
from support.machines import CONFIGURATION, Cluster, cluster
from support.postgres import Database
from support.world import HASTY, World, hours

from returns_orchestration.defs.automation import LOST
from returns_orchestration.defs.code_location import build_defs
from returns_orchestration.defs.instance import range_tags
from returns_orchestration.defs.lost_runs import SILENCE, TAKEN
from returns_orchestration.window import Window

WINDOWS = hours("2026-11-07T00:00", "2026-11-07T04:00")
STARTING, STARTED = dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED
SUCCESS, FAILURE = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE
DAY = timedelta(days=1)

pytestmark = [
    pytest.mark.skipif(bool(redis_server.missing()), reason=redis_server.missing()),
    # Dagster's GraphQL server calls one of its own deprecated functions.
    pytest.mark.filterwarnings("ignore:Function `AssetSelection.sources` is deprecated"),
]


class Scene:
    """A cluster, and Dagster's daemon by hand on a machine of its own."""

    def __init__(self, cluster: Cluster, deployment: Deployment) -> None:
        self.cluster = cluster
        self.broker = cluster.broker
        self.world = cluster.world
        self.deployment = deployment
        self.instance = deployment.instance
        self.cursors: dict[str, str | None] = {}

    def launch(self, windows: list[Window] = WINDOWS) -> str:
        """Hand a run of ``windows`` to the broker; gives its id."""
        before = {run.run_id for run in self.instance.get_runs()}
        self.deployment.backfill(windows)
        self.deployment.look()
        (run,) = [run for run in self.instance.get_runs() if run.run_id not in before]
        return run.run_id

    def run(self, run_id: str) -> dg.DagsterRun:
        run = self.instance.get_run_by_id(run_id)
        assert run
        return run

    def is_in(self, run_id: str, *statuses: dg.DagsterRunStatus) -> None:
        """Wait until a run has one of ``statuses``."""
        until(lambda: self.run(run_id).status in statuses)

    def end_lost(self, after: timedelta = timedelta(0)) -> None:
        """Evaluate `lost_runs` by a clock that is ahead."""
        self.tick("lost_runs", datetime.now(UTC) + after)

    def asked_for(self) -> dict[str, str]:
        """The first and the last hour for which `missing_hours` asks right after them."""
        requests = self.tick("missing_hours", WINDOWS[-1].end + timedelta(minutes=20)).run_requests
        tags = [dict(request.tags) for request in requests or []]
        return {name: tag[name] for tag in tags for name in range_tags(WINDOWS)}

    def tick(self, name: str, now: datetime) -> dg.SensorExecutionData:
        definitions = build_defs(self.world.settings, clock=lambda: now, retry=HASTY)
        repository = definitions.get_repository_def()
        given: dict[str, Any] = {"repository_def": repository, "cursor": self.cursors.get(name)}
        with dg.build_sensor_context(self.instance, **given) as context:
            data = repository.get_sensor_def(name).evaluate_tick(context)
        self.cursors[name] = data.cursor
        return data

    def log(self, run_id: str) -> str:
        return "\n".join(entry.message for entry in self.instance.all_logs(run_id))

    def worker(self, name: str = "worker") -> Any:
        return self.cluster.machine(name, "worker")


@pytest.fixture
def scene(
    new_world: Callable[..., World], database: Database, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Scene]:
    world = new_world({"RETURNS_START": WINDOWS[0].start.isoformat()}, returns_per_hour=3)
    with cluster(world, database) as made:
        for name, value in made.variables.items():
            monkeypatch.setenv(name, value)
        home = Path(os.environ["DAGSTER_HOME"])
        with deployed(world.settings, home, CONFIGURATION.read_text()) as deployment:
            yield Scene(made, deployment)


def test_the_configuration_is_that_for_postgres_but_for_where_runs_are() -> None:
    theirs = yaml.safe_load(postgres.CONFIGURATION.read_text())
    ours = yaml.safe_load(CONFIGURATION.read_text())
    launcher = ours.pop("run_launcher")
    assert launcher["config"]["broker"] == {"env": "CELERY_BROKER_URL"}
    assert launcher["config"]["backend"] == {"env": "CELERY_RESULT_BACKEND"}
    assert ours["run_monitoring"].pop("start_timeout_seconds") == DAY.total_seconds()
    assert theirs["run_monitoring"].pop("start_timeout_seconds")
    assert ours["concurrency"]["pools"].pop("default_limit") == 2
    assert theirs["concurrency"]["pools"].pop("default_limit") == 1
    assert ours == theirs


def test_two_workers_that_share_no_folder_make_the_hours_side_by_side(scene: Scene) -> None:
    scene.world.simulator.faults = ["hang:*"]
    first, second = scene.launch(WINDOWS[:2]), scene.launch(WINDOWS[2:])
    workers = [scene.worker(f"worker-{n}") for n in range(2)]
    for run in (first, second):
        scene.is_in(run, STARTED)
    scene.world.simulator.faults = []
    for run in (first, second):
        scene.is_in(run, SUCCESS)
    assert scene.world.landed(WINDOWS) == WINDOWS
    checked = scene.world.run("verify", WINDOWS[0].text, WINDOWS[-1].next.text)
    assert checked.returncode == 0, checked.stdout
    for worker in workers:
        assert "Traceback" not in worker.said
    assert [worker.stop() for worker in workers] == [[0], [0]]


def test_a_run_that_waits_in_the_broker_is_not_lost_however_long(scene: Scene) -> None:
    run = scene.launch()
    assert scene.broker.waiting() == 1
    for after in (timedelta(0), SILENCE, DAY):
        scene.end_lost(after)
    assert scene.run(run).status is STARTING
    scene.broker.kill()
    for after in (timedelta(0), DAY):
        scene.end_lost(after)
    assert scene.run(run).status is STARTING, "a broker that does not answer shows nothing"
    scene.broker.start()
    assert scene.broker.waiting() == 1, "a broker that was killed keeps what it had accepted"
    scene.worker()
    scene.is_in(run, SUCCESS)
    assert scene.world.landed(WINDOWS) == WINDOWS


def test_a_run_whose_message_is_gone_is_lost_and_its_hours_are_asked_for(scene: Scene) -> None:
    run = scene.launch()
    scene.broker.empty()
    scene.end_lost()
    scene.end_lost(TAKEN - timedelta(minutes=1))
    assert scene.run(run).status is STARTING, "a worker may just have taken it"
    assert not scene.asked_for(), "they are busy by the run's record"
    scene.end_lost(TAKEN)
    assert scene.run(run).status is FAILURE
    assert scene.run(run).tags.items() >= LOST.items()
    assert scene.asked_for() == range_tags(WINDOWS)
    assert "Its message left the broker" in scene.log(run)


def test_a_run_that_has_ended_is_not_executed_by_a_worker_that_takes_it_later(
    scene: Scene,
) -> None:
    run = scene.launch()
    scene.instance.report_run_failed(scene.run(run), "It was ended.")
    scene.worker()
    until(lambda: "Ignoring a run worker that started after" in scene.log(run))
    until(lambda: "Process for run exited" in scene.log(run))
    assert scene.run(run).status is FAILURE
    assert not scene.world.asked()
    assert not scene.world.landed(WINDOWS)


def test_the_hours_of_a_killed_worker_are_made_by_another_one(scene: Scene) -> None:
    landed, hanging = WINDOWS[:1], WINDOWS[1:]
    scene.world.simulator.faults = [f"hang:*:{','.join(w.text for w in hanging)}"]
    reached = scene.world.when_asked(len(WINDOWS))
    run = scene.launch()
    worker = scene.worker()
    assert reached.wait(90)
    until(lambda: scene.world.landed(WINDOWS) == landed)
    worker.kill()
    scene.world.simulator.faults = []
    scene.world.simulator.forget()
    health = scene.instance.run_launcher.check_run_worker_health(scene.run(run))
    assert health.status.name == "RUNNING", "the broker never sees that a worker was killed"
    scene.end_lost(SILENCE - timedelta(minutes=2))
    assert scene.run(run).status is STARTED
    scene.end_lost(SILENCE + timedelta(minutes=1))
    assert scene.run(run).status is FAILURE
    assert scene.asked_for()
    scene.worker("other")
    again = scene.deployment.repeat_run(run, "ALL_STEPS")
    scene.deployment.finish_runs()
    assert scene.run(again).status is SUCCESS
    assert scene.world.landed(WINDOWS) == WINDOWS
    assert sorted(scene.world.asked()) == [f"{w.start:%Y-%m-%dT%H:%M:%S}" for w in hanging]


def test_a_run_goes_on_while_the_broker_is_away_and_forgets_it(scene: Scene) -> None:
    launcher = scene.instance.run_launcher
    scene.world.simulator.faults = ["hang:*"]
    run = scene.launch()
    scene.worker()
    scene.is_in(run, STARTED)
    assert launcher.check_run_worker_health(scene.run(run)).status.name == "RUNNING"
    scene.broker.kill()
    away = launcher.check_run_worker_health(scene.run(run))
    assert away.status.name == "RUNNING"
    assert str(scene.broker.port) not in str(away.msg)
    scene.broker.start()
    scene.broker.empty()
    assert launcher.check_run_worker_health(scene.run(run)).status.name == "RUNNING"
    scene.world.simulator.faults = []
    scene.is_in(run, SUCCESS)
    later = scene.launch(hours("2026-11-07T04:00", "2026-11-07T05:00"))
    scene.is_in(later, SUCCESS)


def test_a_run_is_handed_over_once_a_broker_that_was_away_is_back(scene: Scene) -> None:
    scene.broker.kill()
    scene.deployment.backfill(WINDOWS)
    back = Timer(3, scene.broker.start)
    back.start()
    scene.deployment.look()
    back.join()
    assert scene.broker.waiting() == 1
    assert scene.broker.listeners() == 0  # one would hold the daemon up while the broker is away
    (run,) = scene.instance.get_runs()
    assert run.status is STARTING


def test_a_run_that_a_person_terminates_is_shown_so(scene: Scene) -> None:
    scene.world.simulator.faults = ["hang:*"]
    run = scene.launch()
    scene.worker()
    scene.is_in(run, STARTED)
    assert scene.instance.run_launcher.terminate(run)
    assert scene.run(run).status is dg.DagsterRunStatus.CANCELING
    later = scene.launch(hours("2026-11-07T04:00", "2026-11-07T05:00"))
    scene.is_in(later, STARTED)  # the worker is free


def test_a_broker_that_cannot_be_used_is_named(scene: Scene) -> None:
    variables = scene.cluster.variables | {"DAGSTER_HOME": os.environ["DAGSTER_HOME"]}
    well = scene.world.run("doctor", **variables)
    assert well.returncode == 0, well.stdout
    variables["CELERY_BROKER_URL"] = "amqp://127.0.0.1:1"
    for command in (["doctor"], ["serve", "worker"]):
        told = scene.world.run(*command, **variables)
        assert told.returncode == 1
        assert "The broker of runs must be Redis." in told.stdout + told.stderr
    scene.broker.kill()
    variables |= scene.cluster.variables
    told = scene.world.run("doctor", **variables)
    assert told.returncode == 1
    assert "FAIL  Dagster: The broker of runs does not answer (" in told.stdout
    assert str(scene.broker.port) not in told.stdout + told.stderr


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("part", ["worker", "daemon"])
def test_a_variable_that_is_not_set_is_named(part: str, new_world: Callable[..., World]) -> None:
    world = new_world()
    home = world.folder / "dagster_home"
    home.mkdir()
    (home / "dagster.yaml").write_text(CONFIGURATION.read_text())
    told = world.run("serve", part)
    assert told.returncode == 2, told.stdout + told.stderr
    assert "it needs the variable CELERY_BROKER_URL, which is not set" in told.stderr


def test_a_worker_without_a_broker_says_what_to_do(
    new_world: Callable[..., World], database: Database
) -> None:
    world = new_world()
    database.configure(world.folder / "dagster_home")
    told = world.run("serve", "worker")
    assert told.returncode == 1, told.stdout + told.stderr
    assert "names no broker" in told.stderr
    assert "Traceback" not in told.stderr
