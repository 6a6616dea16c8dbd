"""Dagster's instance in a real PostgreSQL: hours, errors in words, two machines at once."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
import yaml
from dagster._serdes import deserialize_value
from dagster_postgres import PostgresEventLogStorage
from support.daemons import Daemon, daemon, one_hour_due
from support.postgres import CONFIGURATION, PASSWORD, USER, Database, PostgresServer
from support.world import World

from returns_orchestration.defs import history
from returns_orchestration.defs.event_batches import Batch
from returns_orchestration.defs.instance import open_instance, shipped_configuration
from returns_orchestration.defs.keys import Keys
from returns_orchestration.defs.postgres import OPENING
from returns_orchestration.defs.registry import HOURLY
from returns_orchestration.window import windows_between

SPAN = ("2026-11-07T06:00", "2026-11-07T09:00")
COMMANDS = {
    "doctor": (1, ("doctor",)),
    "backfill": (2, ("backfill", *SPAN)),
    "status": (1, ("status", *SPAN)),  # hours are missing; what it cannot see is named
    "prune": (2, ("prune",)),
    "health": (2, ("health",)),
    "serve daemon": (2, ("serve", "daemon")),
}
"""Commands that open the instance, and the exit code of each where it refuses a setting."""

WITHOUT = """
import sys
sys.modules[sys.argv.pop(1)] = None
from returns_orchestration.cli import main
main()
"""
"""The command line where a module is not installed."""


@pytest.fixture
def world(new_world: Callable[..., World], database: Database) -> World:
    """A world whose DAGSTER_HOME has the shipped configuration for PostgreSQL."""
    made = new_world()
    database.configure(made.folder / "dagster_home")
    return made


def test_the_configuration_is_the_shipped_one_but_for_the_storage() -> None:
    theirs, ours = (
        yaml.safe_load(shipped_configuration()),
        yaml.safe_load(CONFIGURATION.read_text()),
    )
    assert theirs.pop("event_log_storage")
    storage, sensors = ours.pop("storage"), ours.pop("sensors")
    assert ours == theirs
    assert storage["custom"]["config"]["postgres_db"]["password"] == {"env": "PGPASSWORD"}
    assert sensors == {"use_threads": True, "num_workers": 4}


def test_hours_are_polled_built_and_shown(
    world: World, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = world.run("backfill", *SPAN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    for command in (("status", *SPAN), ("verify", *SPAN), ("rebuild", *SPAN)):
        told = world.run(*command)
        assert told.returncode == 0, told.stdout + told.stderr
    monkeypatch.setenv("DAGSTER_HOME", str(world.folder / "dagster_home"))
    with open_instance(world.settings) as instance:
        for asset in HOURLY:
            assert len(instance.get_materialized_partitions(dg.AssetKey(asset))) == 3
    assert database.rows("SELECT count(*) FROM runs WHERE status = 'SUCCESS'") == [(1,)]
    assert not (world.folder / "dagster_home" / "history").exists()
    assert sorted(world.asked()) == [
        "2026-11-07T06:00:00",
        "2026-11-07T07:00:00",
        "2026-11-07T08:00:00",
    ]


FAULTS: dict[str, tuple[Callable[[Database], Database], int, str]] = {
    "server away": (
        lambda right: replace(right, port=1),
        1,
        "PostgreSQL, which holds Dagster's runs and events, could not be reached.",
    ),
    "wrong user": (
        lambda right: replace(right, user="canary-nobody"),
        2,
        "PostgreSQL refuses the user name or the password.",
    ),
    "no such database": (
        lambda right: replace(right, name="canary-absent"),
        2,
        "PostgreSQL does not have the database.",
    ),
    "no such host": (
        lambda right: replace(right, host="canary.invalid"),
        1,
        "The host of PostgreSQL is not known.",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_refusal_is_named_in_words(fault: str, world: World, database: Database) -> None:
    change, code, words = FAULTS[fault]
    wrong = change(database)
    told = world.run("backfill", *SPAN, **wrong.variables)
    assert told.returncode == code
    assert words in told.stderr
    assert_no_secret(told.stdout + told.stderr, wrong)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_names_a_wrong_password(
    command: str, world: World, database: Database
) -> None:
    code, arguments = COMMANDS[command]
    wrong = replace(database, password="canary-of-another")
    told = world.run(*arguments, **wrong.variables)
    printed = told.stdout + told.stderr
    assert "PostgreSQL refuses the user name or the password." in printed
    assert told.returncode == code, printed
    assert_no_secret(printed, wrong)


def assert_no_secret(printed: str, used: Database) -> None:
    """No traceback, no address, no name and no password."""
    assert "Traceback" not in printed
    for secret in ("canary", USER, PASSWORD, used.name, used.user, f"port {used.port}", "5432"):
        assert secret not in printed, printed


@pytest.mark.parametrize("module", ["dagster_postgres", "psycopg2"])
def test_an_absent_driver_leads_to_the_extra(module: str, world: World) -> None:
    told = world.process(sys.executable, "-c", WITHOUT, module, "backfill", *SPAN)
    assert told.returncode == 2, told.stderr
    assert f"there is no module {module}. Install the extra: pip install" in told.stderr
    assert "Traceback" not in told.stderr


def test_dagsters_own_storage_without_a_scheme_is_explained(world: World) -> None:
    """SQLAlchemy 2.1 then looks for psycopg 3, which dagster-postgres does not install."""
    configuration = world.folder / "dagster_home" / "dagster.yaml"
    told: dict[str, Any] = yaml.safe_load(configuration.read_text())
    of_ours = told["storage"]["custom"]["config"]["postgres_db"]
    del of_ours["scheme"]
    told["storage"] = {"postgres": {"postgres_db": of_ours}}
    configuration.write_text(yaml.safe_dump(told))
    printed = world.run("status", *SPAN)
    assert printed.returncode == 1, printed.stderr
    assert "there is no module psycopg. Write `scheme: postgresql+psycopg2`" in printed.stderr


def test_dagsters_own_storage_works_and_its_refusals_are_in_words(
    world: World, database: Database
) -> None:
    configuration = world.folder / "dagster_home" / "dagster.yaml"
    told: dict[str, Any] = yaml.safe_load(configuration.read_text())
    told["storage"] = {"postgres": told["storage"]["custom"]["config"]}
    configuration.write_text(yaml.safe_dump(told))
    done = world.run("backfill", *SPAN)
    assert done.returncode == 0, done.stdout + done.stderr
    wrong = replace(database, password="canary-of-another")
    refused = world.run("backfill", *SPAN, **wrong.variables)
    assert refused.returncode == 2
    assert "PostgreSQL refuses the user name or the password." in refused.stderr
    assert_no_secret(refused.stderr, wrong)


def test_a_variable_that_is_not_set_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGPASSWORD")
    told = world.run("backfill", *SPAN)
    assert told.returncode == 2
    assert "it needs the variable PGPASSWORD, which is not set. Set PGPASSWORD" in told.stderr


def test_a_server_that_only_reads_is_named(
    own_server: PostgresServer, new_world: Callable[..., World]
) -> None:
    world, database = new_world(), own_server.new_database()
    database.configure(world.folder / "dagster_home")
    made = world.run("backfill", *SPAN, **database.variables)
    assert made.returncode == 0, made.stdout + made.stderr
    own_server.stop()
    own_server.start(default_transaction_read_only="on")
    told = world.run("backfill", *SPAN, "--repoll", **database.variables)
    assert told.returncode == 1
    assert "PostgreSQL allows only reading" in told.stderr
    assert_no_secret(told.stderr, database)
    read = world.run("status", *SPAN, **database.variables)
    assert read.returncode == 0, read.stderr


def test_a_server_that_goes_away_in_a_run_is_named_and_the_next_run_does_the_rest(
    own_server: PostgresServer, new_world: Callable[..., World]
) -> None:
    database = own_server.new_database()
    world = new_world({"CLICKPOST_MAX_REQUESTS_PER_SECOND": "1"})
    database.configure(world.folder / "dagster_home")
    span = (SPAN[0], "2026-11-07T18:00")
    begun = world.when_asked(2)
    with ThreadPoolExecutor() as pool:
        running = pool.submit(world.run, "backfill", *span, **database.variables)
        assert begun.wait(timeout=120)
        own_server.stop()
        cut = running.result()
    printed = cut.stdout + cut.stderr
    assert cut.returncode == 1, printed
    assert "PostgreSQL" in printed
    assert_no_secret(printed, database)
    asked = len(world.asked())
    assert 2 <= asked < 8, "nothing is sent without the database"
    own_server.start()
    world.variables = {}
    again = world.run("backfill", *span, **database.variables)
    assert again.returncode == 0, again.stdout + again.stderr
    assert len(set(world.asked())) == 12
    assert len(world.asked()) <= 12 + 2, "what had landed is not asked for again"


def test_a_user_who_may_not_make_tables_is_named(world: World, database: Database) -> None:
    database.do("DROP ROLE IF EXISTS reader", "CREATE ROLE reader LOGIN PASSWORD 'canary-reader'")
    reader = replace(database, user="reader", password="canary-reader")
    told = world.run("backfill", *SPAN, **reader.variables)
    assert told.returncode == 2
    assert "does not let the user make or change tables" in told.stderr
    assert "canary" not in told.stderr


def test_machines_that_open_an_empty_database_at_once_make_its_tables_once(
    world: World, database: Database
) -> None:
    """Each has a DAGSTER_HOME of its own, so no lock of a file is shared."""
    homes = [database.configure(world.folder / f"home-{n}") for n in range(6)]

    def opens(home: Path) -> str:
        told = world.run("health", DAGSTER_HOME=str(home))
        return told.stdout + told.stderr

    with ThreadPoolExecutor(len(homes)) as pool:
        printed = list(pool.map(opens, homes))
    for text in printed:
        assert "PostgreSQL" not in text
        assert "Traceback" not in text
    assert database.rows("SELECT count(*) FROM alembic_version") == [(1,)]
    done = world.run("backfill", *SPAN, DAGSTER_HOME=str(homes[3]))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.long
@pytest.mark.parametrize("store", ["folder", "ministack"])
def test_a_real_daemon_polls_what_is_missing_by_its_sensors(
    store: str,
    new_world: Callable[..., World],
    database: Database,
    request: pytest.FixtureRequest,
) -> None:
    newest, variables = one_hour_due()
    due = list(windows_between(newest.start - timedelta(hours=2), newest.end))
    variables["RETURNS_START"] = due[0].start.isoformat()
    if store != "folder":
        variables["RETURNS_LAKE"] = request.getfixturevalue("real_lake")(store)
    world = new_world(variables)
    database.configure(world.folder / "dagster_home")

    def is_done(running: Daemon) -> bool:
        ended = running.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS]))
        return bool(ended) and world.landed(due) == due and running.ticks("incidents") > 1

    with daemon(world, "server") as running:
        running.wait(is_done, timedelta(minutes=6))
    assert sorted(world.asked()) == [f"{window.start:%Y-%m-%dT%H:%M:%S}" for window in due]
    assert world.lake.exists() == (store == "folder")
    for command in ("status", "verify"):
        told = world.run(command)
        assert told.returncode == 0, told.stdout + told.stderr
    health = world.run("health")
    assert (health.returncode, health.stdout.splitlines()[0]) == (0, "ok")
    assert "returns_health 0.0" in world.run("metrics").stdout
    failed = "SELECT count(*) FROM job_ticks WHERE status = 'FAILURE'"
    assert database.rows(failed) == [(0,)]


def test_a_machine_waits_for_another_one_that_makes_the_tables(
    world: World, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(world.folder / "dagster_home"))
    tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
    with ThreadPoolExecutor() as pool:
        with database.connected() as other:
            other.execute(f"SELECT pg_advisory_lock({OPENING})")
            opened = pool.submit(open_instance, world.settings)
            assert not wait([opened], timeout=1).done
            assert database.rows(tables) == [(0,)]
        with opened.result(timeout=60) as instance:
            assert instance.get_runs() == []
    assert database.rows(tables) > [(10,)]


STORED = {
    "event_logs": "id, run_id, event, dagster_event_type, timestamp, asset_key, partition",
    "asset_keys": "asset_key, last_materialization, last_run_id, last_materialization_timestamp",
    "asset_event_tags": "event_id, asset_key, key, value, event_timestamp",
    "asset_check_executions": "asset_key, check_name, partition, run_id, execution_status, "
    "evaluation_event, evaluation_event_storage_id, materialization_event_storage_id",
}
"""What an event leaves, without the moments at which a row was inserted."""


def test_events_are_stored_together_as_dagster_stores_them_one_by_one(
    world: World, database: Database, postgres_of_session: PostgresServer
) -> None:
    done = world.run("backfill", *SPAN)
    assert done.returncode == 0, done.stdout + done.stderr
    other = postgres_of_session.new_database()
    theirs = PostgresEventLogStorage(other.url)
    for (text,) in database.rows("SELECT event FROM event_logs ORDER BY id"):
        theirs.store_event(deserialize_value(text, dg.EventLogEntry))
    for table, columns in STORED.items():
        ours, dagsters = (
            d.rows(f"SELECT {columns} FROM {table} ORDER BY {columns}")  # noqa: S608 - our words
            for d in (database, other)
        )
        assert ours == dagsters, table
        assert ours
    # An hour's events are one commit: so are a day's, and the plans of the run.
    planned = "FROM event_logs WHERE dagster_event_type LIKE '%_PLANNED'"
    of_hours = (
        "FROM event_logs WHERE partition LIKE '____-__-__-__:__' "
        "AND dagster_event_type NOT LIKE '%_PLANNED'"
    )
    assert database.rows(f"SELECT count(DISTINCT xmin::text) {of_hours}") == [(3,)]
    assert database.rows(f"SELECT count(*) >= 3 * {len(HOURLY)} {of_hours}") == [(True,)]
    assert database.rows(f"SELECT count(DISTINCT xmin::text) {planned}") == [(1,)]


def test_readers_in_order_of_ids_miss_no_batch_that_is_under_way(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch has its ids, and is not yet committed, while another process stores a later event."""
    assert world.run("backfill", *SPAN).returncode == 0
    monkeypatch.setenv("DAGSTER_HOME", str(world.folder / "dagster_home"))
    with open_instance(world.settings) as instance:
        storage: Any = instance.event_log_storage
        (run_id,) = (run.run_id for run in instance.get_runs())
        events = [record.event_log_entry for record in storage.get_records_for_run(run_id).records]
        start = dg.DagsterEventType.RUN_START
        of_no_asset = next(event for event in events if event.dagster_event_type == start)
        judged = dg.DagsterEventType.ASSET_CHECK_EVALUATION
        verdicts = [event for event in events if event.dagster_event_type == judged]
        monkeypatch.setattr(history, "OVERLAP", 2)
        before = history.newest_event(instance)
        has_ids, may_commit = threading.Event(), threading.Event()
        note = storage._note_checks

        def slow(connection: sa.Connection, batch: Batch) -> list[str]:
            has_ids.set()
            assert may_commit.wait(timeout=60)
            return list(note(connection, batch))

        monkeypatch.setattr(storage, "_note_checks", slow)
        with ThreadPoolExecutor() as pool:
            stored = pool.submit(storage.store_event_batch, verdicts)
            assert has_ids.wait(timeout=60)
            for _ in range(5):  # another machine's, one by one
                PostgresEventLogStorage.store_event(storage, of_no_asset)
            found = pool.submit(history.evaluations, instance, before, 10_000, Keys())
            assert not wait([found], timeout=1).done, "it waits for the batch"
            may_commit.set()
            stored.result()
            read, newest = found.result()
    assert len(read) >= len(verdicts) > 5
    assert newest > before
