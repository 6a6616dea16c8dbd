"""Dagster's instance in a real PostgreSQL: hours, errors in words, two machines at once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from support.postgres import CONFIGURATION, PASSWORD, USER, Database, PostgresServer, missing
from support.world import World

from returns_orchestration.defs.instance import open_instance, shipped_configuration
from returns_orchestration.defs.registry import HOURLY

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


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server that a test may stop."""
    if missing():
        pytest.skip("there is no PostgreSQL")
    with PostgresServer.running() as server:
        yield server


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
        2,
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
