"""Webhooks in Dagster: the sensor, its run, what is reported, and the commands over the tables."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import AssetCheckKey
from support.receivers import KEY, bodies, listening
from support.records import returned
from support.webhooks import INSTANCE, received, webhook
from support.world import HASTY, World, hours

from returns_orchestration import tables
from returns_orchestration.defs.code_location import build_defs
from returns_orchestration.defs.instance import open_instance
from returns_orchestration.defs.keys import Keys
from returns_orchestration.defs.prune import prune
from returns_orchestration.defs.registry import ASSETS as ASSETS_BY_NAME
from returns_orchestration.defs.registry import (
    RAW_WEBHOOKS,
    WEBHOOKS_ARRIVED,
    WEBHOOKS_DAILY,
    WEBHOOKS_HOURLY,
)
from returns_orchestration.defs.webhooks import LOOK_EVERY
from returns_orchestration.lake import Lake, open_store
from returns_orchestration.receiver.spool import Spool, waiting_in
from returns_orchestration.receiver.spool_tables import Delivery
from returns_orchestration.stages.rules import Rules
from returns_orchestration.window import Window

FIRST, SECOND = hours("2026-11-07T06:00", "2026-11-07T08:00")
ASSETS = (RAW_WEBHOOKS, *WEBHOOKS_HOURLY)


@pytest.fixture
def world(new_world: Callable[..., World]) -> World:
    return new_world(
        {"RETURNS_START": FIRST.start.isoformat()}, returns_per_hour=6, rhythm=False, mps_share=0.0
    )


@pytest.fixture
def instance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: World
) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    with open_instance(world.settings) as opened:
        yield opened


class Project:
    """The definitions at a time that the test sets."""

    def __init__(self, world: World, instance: dg.DagsterInstance) -> None:
        self.world = world
        self.now = SECOND.start + timedelta(minutes=20)
        self.instance = instance
        world.set_clock(lambda: self.now)
        self.definitions = build_defs(world.settings, clock=lambda: self.now, retry=HASTY)
        self.lake = Lake(open_store(str(world.lake)))
        self.cursor: str | None = None

    def tick(self) -> dg.SensorResult | dg.SkipReason:
        repository = self.definitions.get_repository_def()
        with dg.build_sensor_context(
            self.instance, cursor=self.cursor, repository_def=repository
        ) as context:
            data: Any = repository.get_sensor_def("webhooks_arrived").evaluate_tick(context)
        self.cursor = data.cursor or self.cursor
        return data

    def run(self) -> dg.ExecuteInProcessResult:
        """The run that the next tick asks for."""
        (request,) = self.tick().run_requests  # type: ignore[union-attr, misc]
        job = self.definitions.resolve_job_def("webhooks")
        return job.execute_in_process(run_config=request.run_config, instance=self.instance)

    def poll(self) -> list[dict[str, Any]]:
        """Poll the first hour; gives its records."""
        list(self.world.pipeline().run([FIRST]))
        names = self.lake.names()
        (kept,) = names.hour(FIRST).polls
        return [json.loads(record) for record in self.lake.polls.served(kept)]

    def reported(self, asset: str) -> set[str]:
        key = dg.AssetKey(asset)
        return set(self.instance.get_materialized_partitions(key))

    def passes(self, asset: str, check: str) -> list[bool]:
        key = AssetCheckKey(dg.AssetKey(asset), check)
        records = self.instance.event_log_storage.get_asset_check_execution_history(key, limit=10)
        return [bool(record.evaluation and record.evaluation.passed) for record in records]


@pytest.fixture
def project(world: World, instance: dg.DagsterInstance) -> Project:
    return Project(world, instance)


def deliver(project: Project, records: list[dict[str, Any]], at: datetime, first: int = 1) -> None:
    received(project.lake, *((at, webhook(record)) for record in records), first=first)


def test_nothing_runs_where_there_is_no_receiver(project: Project) -> None:
    project.poll()
    data = project.tick()
    assert not data.run_requests
    assert "No receiver" in str(data.skip_message)


def test_a_run_makes_the_tables_and_reports_the_hours_that_are_over(project: Project) -> None:
    records = project.poll()
    deliver(project, records[1:], FIRST.start + timedelta(minutes=50))
    deliver(project, records[:1], SECOND.start + timedelta(minutes=1), first=50)
    result = project.run()
    (shown,) = result.asset_materializations_for_node(WEBHOOKS_ARRIVED.name)[-1:]
    assert shown.metadata["deliveries"].value == len(records)
    for asset in ASSETS:
        assert project.reported(asset) == {FIRST.key}, asset
    assert project.reported("webhook_delivery_daily") == {"2026-11-07"}
    for name, asset in (WEBHOOKS_HOURLY | WEBHOOKS_DAILY).items():
        assert project.passes(name, asset.check.name) == [True], name
    assert project.world.scan("webhook_matches").get_column("verdict").to_list() == ["both"] * len(
        records
    )


MADE = tuple(table.name for table in tables.MADE_HOURLY)


def test_returns_that_only_webhooks_brought_are_shown_once_their_hour_is_over(
    project: Project,
) -> None:
    window = SECOND
    records = [returned(name, window.start + timedelta(minutes=10)) for name in ("W1", "W2")]
    deliver(project, records, window.start + timedelta(minutes=11))
    project.run()
    assert project.world.scan("returns").get_column("sources").to_list() == [["webhook"]] * 2
    assert project.reported("returns") == set(), "the hour is not over"

    project.now = window.end + timedelta(minutes=2)
    project.run()

    for asset in MADE:
        assert project.reported(asset) == {window.key}, asset
        assert project.passes(asset, ASSETS_BY_NAME[asset].check.name) == [True], asset
    assert project.reported("raw_returns") == set()
    assert not project.tick().run_requests
    project.now += timedelta(minutes=30)
    states = json.loads(
        project.world.run("status", "2026-11-07T07:00", "2026-11-07T08:00", "--json").stdout
    )
    (line,) = states
    assert (line["state"], line["provisional"]) == ("missing", len(records))


def test_a_tick_without_news_asks_for_nothing(project: Project) -> None:
    deliver(project, project.poll(), FIRST.start + timedelta(minutes=50))
    project.run()
    project.now += LOOK_EVERY
    data = project.tick()
    assert not data.run_requests
    assert "Nothing has come since" in str(data.skip_message)
    deliver(project, project.poll()[:1], project.now, first=90)
    assert project.tick().run_requests


def test_an_hour_is_reported_once_it_is_over(project: Project) -> None:
    records = project.poll()
    deliver(project, records, SECOND.start + timedelta(minutes=1))
    project.run()
    assert project.reported("webhook_events") == set()
    assert project.world.scan("webhook_events").height == len(records), "made, and not reported"
    project.now = SECOND.end + timedelta(minutes=1)
    project.run()
    assert project.reported("webhook_events") == {SECOND.key}


def test_verdicts_that_become_final_are_a_reason_for_a_run(project: Project) -> None:
    records = project.poll()
    deliver(project, records[1:], FIRST.start + timedelta(minutes=50))
    project.run()
    project.now = FIRST.end + timedelta(hours=6, minutes=1)
    project.run()
    verdicts = project.world.scan("webhook_matches").get_column("verdict").to_list()
    assert verdicts.count("poll_only") == 1
    project.now += LOOK_EVERY
    assert not project.tick().run_requests


def test_what_cannot_be_used_fails_its_check(project: Project) -> None:
    project.poll()
    received(project.lake, (FIRST.start + timedelta(minutes=50), b"["))
    project.run()
    assert project.passes("rejected_webhooks", "every_webhook_can_be_used") == [False]
    assert project.passes("webhook_events", "every_delivery_is_accounted_for") == [True]


def test_a_lost_home_gets_every_hour_again(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(project, project.poll(), FIRST.start + timedelta(minutes=50))
    project.run()
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "another home"))
    with open_instance(project.world.settings) as opened:
        again = Project(project.world, opened)
        again.now = project.now + timedelta(days=30)
        again.run()
        for asset in ASSETS:
            assert again.reported(asset) == {FIRST.key}, asset


def test_an_hour_and_a_day_can_be_made_by_themselves(project: Project) -> None:
    deliver(project, project.poll(), FIRST.start + timedelta(minutes=50))
    made = [project.definitions.resolve_asset_graph().get(dg.AssetKey("webhook_events"))]
    assert made
    for asset, key in (("webhook_events", FIRST.key), ("webhook_delivery_daily", "2026-11-07")):
        done = dg.materialize(
            project.definitions.assets,  # type: ignore[arg-type]
            selection=dg.AssetSelection.assets(asset),
            partition_key=key,
            instance=project.instance,
        )
        assert done.success
        assert project.reported(asset) == {key}


def test_a_damaged_file_fails_the_run_and_names_it(project: Project) -> None:
    deliver(project, project.poll(), FIRST.start + timedelta(minutes=50))
    place = project.world.lake / f"raw_webhooks/{FIRST.path}/{INSTANCE}-0000000001.parquet"
    place.write_bytes(b"torn")
    (request,) = project.tick().run_requests  # type: ignore[union-attr, misc]
    job = project.definitions.resolve_job_def("webhooks")
    result = job.execute_in_process(
        run_config=request.run_config, instance=project.instance, raise_on_error=False
    )
    assert not result.success
    failure = str(result.all_node_events[-1].step_failure_data.error)
    assert f"{INSTANCE}-0000000001.parquet is damaged" in failure


def test_successful_runs_of_webhooks_are_removed_after_two_days(project: Project) -> None:
    deliver(project, project.poll(), FIRST.start + timedelta(minutes=50))
    project.run()
    shown = {asset: project.reported(asset) for asset in ASSETS}
    pipeline, now = project.world.pipeline(), datetime.now(UTC)
    before = now - project.world.settings.keep_runs
    for later, left in ((timedelta(hours=47), 1), (timedelta(hours=49), 0)):
        prune(project.instance, pipeline.lake, Keys(), set(), before, now + later)
        assert len(project.instance.get_runs()) == left
    assert {asset: project.reported(asset) for asset in ASSETS} == shown


# ---- the commands


def test_webhooks_lists_hours_and_exits_1_for_a_loss(project: Project) -> None:
    records = project.poll()
    file = project.world.folder / "received.ndjson"
    at = (FIRST.start + timedelta(minutes=50)).isoformat()
    lines = [{"received_at": at, "body": webhook(record).decode()} for record in records[1:]]
    file.write_text("\n".join(map(json.dumps, lines)))
    world = project.world
    done = world.run("webhooks", "import", str(file))
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        f"Imported {len(lines)} deliveries of 1 hour; 1 hour compared with polls.\n"
        "From 2026-11-07 06:50 to 2026-11-07 06:50 UTC the file counts as a receiver: a return of "
        "that time whose webhook it lacks was lost.\n"
    )
    again = world.run("webhooks", "import", str(file))
    assert "0 hours compared with polls." in again.stdout
    listed = world.run("webhooks", "2026-11-07T06:00", "2026-11-07T08:00")
    assert listed.returncode == 1
    assert listed.stdout.splitlines()[-1] == (
        f"1 webhook lost, 0 returns that polls lack; "
        f"{len(lines) / len(records):.1%} of webhooks were delivered."
    )
    plain = world.run("webhooks", "2026-11-07T06:00", "2026-11-07T08:00", "--json")
    (row,) = json.loads(plain.stdout)
    assert (row["hour"], row["both"], row["poll_only"]) == (FIRST.text, len(lines), 1)
    nothing = world.run("webhooks", "2026-11-08", "2026-11-09")
    assert (nothing.returncode, nothing.stdout) == (
        0,
        "No webhook came in this time, and none were compared with polls.\n",
    )


def test_forget_empties_a_spool_without_a_receiver_and_blanks_what_was_in_it(
    project: Project,
) -> None:
    world, person = project.world, "zoe.canary@example.org"
    record = project.poll()[0]
    record["webhook_payload"]["pickup_info"] = {"customer_email": person}
    spool = world.folder / "spool.db"
    with Spool(spool, 10_000_000) as opened:
        at = round(FIRST.start.timestamp() * 1e6)

        async def put() -> bool:
            loop = asyncio.get_running_loop()
            body = webhook(record)
            return await opened.put(Delivery(at, "", redelivered=False, body=body), loop)

        assert asyncio.run(put())
    held = world.run("show", "--email", person, RETURNS_WEBHOOK_SPOOL=str(spool))
    assert held.returncode == 0, held.stdout + held.stderr
    assert "1 webhook holds it, in the receiver's spool" in held.stdout
    people = world.folder / "people.txt"
    people.write_text(person)
    for more in ("--dry-run",), ():
        done = world.run("forget", "--email", str(people), *more, RETURNS_WEBHOOK_SPOOL=str(spool))
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Found in 1 webhook in the receiver's spool." in done.stdout
    people.unlink()
    kept = world.scan("raw_webhooks").get_column("body").to_list()
    assert len(kept) == 1
    assert person not in kept[0]
    files = [file for file in world.folder.rglob("*") if file.is_file()]
    assert not [file for file in files if person.encode() in file.read_bytes()]


def test_deliveries_in_a_spool_that_a_receiver_has_are_counted(tmp_path: Path) -> None:
    with Spool(tmp_path / "spool.db", 10_000_000) as opened:

        async def put() -> None:
            loop = asyncio.get_running_loop()
            for at in (1, 2):
                assert await opened.put(Delivery(at, "", redelivered=False, body=b""), loop)

        asyncio.run(put())
        assert [waiting_in(opened.path, before) for before in (1, 2, 3)] == [0, 1, 2]


def test_health_and_metrics_show_what_was_delivered(project: Project) -> None:
    world = project.world
    now = datetime.now(UTC)
    hour = Window.of(now - timedelta(hours=8))
    received(project.lake, (now, b"{}"))
    names = project.lake.names()
    project.lake.publish(
        names,
        hour,
        {tables.WEBHOOK_MATCHES.name: tables.WEBHOOK_MATCHES.empty()},
        inputs="0a" * 6,
        rules=Rules.of_today().webhooks,
        made_of=[],
        facts={"both": 7, "poll_only": 2, "listening_s": 3600},
    )
    found = json.loads(world.run("health", "--json").stdout)
    assert found["webhooks"] == {"delivered": 7, "lost": 2, "waiting": 0}
    assert "newest 24 hours with returns: 7 of 9 came" in world.run("health").stdout
    said = world.run("metrics").stdout
    assert "returns_webhooks_delivered 7.0\n" in said
    assert "returns_webhooks_lost 2.0\n" in said


def test_a_wrong_call_of_webhooks_exits_2(project: Project) -> None:
    world = project.world
    assert world.run("webhooks", "import").returncode == 2
    assert world.run("webhooks", "import", "absent").returncode == 2
    assert world.run("webhooks", "2026-11-07").returncode == 2


def test_redeliver_lists_what_was_lost_and_sends_it(project: Project, tmp_path: Path) -> None:
    records, world = project.poll(), project.world
    deliver(project, records[2:], FIRST.start + timedelta(minutes=50))
    project.now += timedelta(hours=12)
    project.run()
    span = ("2026-11-07T06:00", "2026-11-07T08:00")

    nowhere = world.run("redeliver", *span)
    assert nowhere.returncode == 2
    assert "Set RETURNS_REDELIVER_URL, or give an address with --to." in nowhere.stderr

    folder = tmp_path / "second"
    folder.mkdir()
    with listening(folder) as second:
        options = {"RETURNS_REDELIVER_URL": second.url, "RETURNS_REDELIVER_KEY": KEY}
        listed = world.run("redeliver", *span, "--dry-run", **options)
        assert listed.returncode == 1
        first, *lines = listed.stdout.splitlines()
        place = second.url.removeprefix("http://").partition("/")[0]
        assert first == f"2 webhooks lost; 2 to be sent to {place}."
        lost = {record["return_reference_number"] for record in records[:2]}
        assert {line.split()[-1] for line in lines} == lost
        sent = world.run("redeliver", *span, **options)
        assert (sent.returncode, sent.stdout.splitlines()[1]) == (
            0,
            f"Sent 2 webhooks to {place}, which took them; 0 refused.",
        )
        again = world.run("redeliver", *span, **options)
        assert again.returncode == 0
        assert "2 webhooks lost; 0 to be sent" in again.stdout
        refused = world.run("redeliver", *span, "--to", f"{second.url}/x", **options)
        assert refused.returncode == 1
        assert "2 refused" in refused.stdout
        assert KEY not in f"{listed}{sent}{again}{refused}"
    assert set(references(bodies(folder / "lake"))) == lost


def references(found: list[bytes]) -> list[str]:
    return [json.loads(b)["additional"]["return_reference_number"] for b in found]
