"""Three accounts in one Dagster: one is refused, one is asked to slow down, one is well.

The well one must not notice, and nothing of one account reaches another's files, events or
messages.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
import httpx
import polars as pl
import pytest
import sqlalchemy as sa
import yaml
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable as Events
from support.deployment import AWAITED, deployed, until
from support.receive_process import free_port
from support.receiver import Receiver, receiving
from support.unattended import START, Unattended, polls_of
from support.world import HASTY, World

from returns_orchestration.defs.code_location import build_all_defs, build_defs
from returns_orchestration.defs.instance import open_instance
from returns_orchestration.defs.registry import DAILY, HOURLY
from returns_orchestration.settings import Settings, load_accounts
from returns_orchestration.settings.accounts import BEGINNINGS
from returns_orchestration.window import windows_between

WELL, REVOKED, SLOWED = "brand_well", "brand_revoked", "brand_slowed"
NAMES = (WELL, REVOKED, SLOWED)
HOURS = 12
END = START + timedelta(hours=HOURS)
VARIABLES = {"RETURNS_START": START.isoformat(), "RETURNS_REPOLL_AFTER_HOURS": "1,6"}


class OfAccounts(Unattended):
    """The daemon by hand for the accounts of a file."""

    def __init__(
        self, worlds: list[World], accounts: list[Settings], instance: dg.DagsterInstance
    ) -> None:
        self.accounts = accounts
        super().__init__(worlds[0], instance, "")
        for world in worlds:
            world.set_clock(lambda: self.now)

    def load(self) -> None:
        self.definitions = build_all_defs(self.accounts, clock=lambda: self.now, retry=HASTY)
        self.repository = self.definitions.get_repository_def()


@dataclass
class Lived:
    """What twelve hours have left."""

    worlds: dict[str, World]
    settings: dict[str, Settings]
    instance: dg.DagsterInstance
    messages: list[dict[str, str]]
    alone: World

    def secrets_of(self, name: str) -> tuple[str, ...]:
        """The name, the key and the user name of an account, and the returns that are its own."""
        return (name, *self.settings[name].credentials(), *self.returns_of(name))

    def returns_of(self, name: str) -> set[str]:
        """The reference numbers of an account's returns."""
        truth = self.worlds[name].simulator.dataset.returns_between(START, END, END)
        return {each.reference for each in truth}


@pytest.fixture(scope="module")
def lived(
    new_world_of_module: Callable[..., World], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lived]:
    folder = tmp_path_factory.mktemp("accounts")
    worlds = {
        name: new_world_of_module(VARIABLES, seed=at, key=f"key-of-{name}", user_name=f"u-{name}")
        for at, name in enumerate(NAMES)
    }
    worlds[SLOWED].simulator.faults = ["429-hour:*"]
    alone = new_world_of_module(VARIABLES, seed=0)
    with receiving() as channel, pytest.MonkeyPatch.context() as patch:
        settings = _accounts_of(folder, worlds, channel, patch)
        patch.setenv("DAGSTER_HOME", str(folder / "home"))
        with open_instance(settings[WELL]) as instance:
            OfAccounts([*worlds.values()], [*settings.values()], instance).live_to(END)
            patch.setenv("DAGSTER_HOME", str(folder / "home-alone"))
            with open_instance(alone.settings) as other:
                Unattended(alone, other, "").live_to(END)
            yield Lived(worlds, settings, instance, channel.messages, alone)


def _accounts_of(
    folder: Path, worlds: dict[str, World], channel: Receiver, patch: pytest.MonkeyPatch
) -> dict[str, Settings]:
    lines = []
    for name, world in worlds.items():
        options = world.simulator.options
        patch.setenv(f"{name}_KEY", "revoked" if name == REVOKED else options.key)
        patch.setenv(f"{name}_USER", options.user_name)
        lines += [f"[{name}]", f'key = "{name}_KEY"', f'user_name = "{name}_USER"']
        lines += [f'base_url = "{world.base_url}"', "max_requests_per_second = 1000"]
    (folder / "accounts.toml").write_text("\n".join(lines))
    common = {
        "RETURNS_ACCOUNTS": str(folder / "accounts.toml"),
        "RETURNS_LAKE": str(folder / "lake"),
        "RETURNS_ALERT_URLS": channel.url,
        "RETURNS_ALERT_QUIET_HOURS": "none",
    }
    found = load_accounts(folder / "none", **VARIABLES, **common)
    return {settings.account: settings for settings in found}


def test_the_well_account_is_polled_at_the_times_it_would_be_alone(lived: Lived) -> None:
    def asked(world: World) -> list[tuple[datetime, str]]:
        # One run asks for several hours side by side, in any order.
        return sorted((asked.time, str(asked.start_time)) for asked in world.simulator.requests)

    assert asked(lived.worlds[WELL]) == asked(lived.alone)
    assert len(polls_of(lived.worlds[WELL])) == HOURS - 1


def test_the_others_were_asked_and_got_nothing(lived: Lived) -> None:
    revoked, slowed = (lived.worlds[name].simulator.requests for name in (REVOKED, SLOWED))
    assert {asked.refusal for asked in revoked} == {"credentials"}
    assert {asked.http_status for asked in slowed} == {429}
    for name in (REVOKED, SLOWED):
        assert not [*Path(lived.settings[name].lake).glob("returns/**/*.parquet")]


def test_alerts_name_the_account(lived: Lived) -> None:
    titles = [message["title"] for message in lived.messages]
    assert [title for title in titles if REVOKED in title and "refuse" in title.lower()]
    assert not [title for title in titles if WELL in title]
    assert all(f"{REVOKED}: " in title or f"{SLOWED}: " in title for title in titles)
    for message in lived.messages:
        account = next(name for name in NAMES if name in message["title"])
        assert f"/assets/{account}/" in message["message"]


def test_nothing_of_one_account_is_in_a_message_about_another(lived: Lived) -> None:
    for message in lived.messages:
        about = next(name for name in NAMES if name in message["title"])
        for other in set(NAMES) - {about}:
            text = f"{message}"
            assert not [secret for secret in lived.secrets_of(other) if secret in text], text


def test_nothing_of_one_account_is_in_a_file_of_another(lived: Lived) -> None:
    for name in NAMES:
        lake = Path(lived.settings[name].lake)
        texts = {path: _text_of(path) for path in lake.rglob("*") if path.is_file()}
        assert texts
        for other in set(NAMES) - {name}:
            for secret in lived.secrets_of(other):
                found = [path for path, text in texts.items() if secret in text]
                assert not found, f"{secret} is in {found}"


def _text_of(path: Path) -> str:
    """The bytes of a file, and the rows of a table, whose bytes are packed."""
    text = path.read_bytes().decode(errors="replace")
    return text + pl.read_parquet(path).write_ndjson() if path.suffix == ".parquet" else text


def test_each_row_of_the_well_account_is_its_own(lived: Lived) -> None:
    found = pl.read_parquet(f"{lived.settings[WELL].lake}/returns/**/*.parquet")
    assert found.height
    assert set(found["return_reference_number"]) <= lived.returns_of(WELL)


def test_nothing_of_one_account_is_in_an_event_of_another(lived: Lived) -> None:
    """By the asset of an event, or else by its run; each run is of one account."""
    storage = lived.instance.event_log_storage
    with storage.index_connection() as connection:  # type: ignore[attr-defined]
        query = sa.select(Events.c.run_id, Events.c.asset_key, Events.c.event)
        rows = [tuple(row) for row in connection.execute(query)]
    of_runs = {run.run_id: run for run in lived.instance.get_runs()}
    account_of = {key: _account_of(run.job_name) for key, run in of_runs.items()}
    assert {*account_of.values()} == {*NAMES}
    owned = [
        (json.loads(asset)[0] if asset else account_of[run], event) for run, asset, event in rows
    ]
    owned += [(account_of[key], f"{run.tags} {run.run_config}") for key, run in of_runs.items()]
    secrets = {name: lived.secrets_of(name) for name in NAMES}
    for account, text in owned:
        for other in set(NAMES) - {account}:
            assert not [secret for secret in secrets[other] if secret in text], (account, text)


def _account_of(job: str) -> str:
    (account,) = [name for name in NAMES if job.startswith(f"{name}_")]
    return account


@pytest.mark.filterwarnings("ignore:Function `AssetSelection.sources` is deprecated")
def test_a_run_that_hangs_holds_up_no_run_of_another_account(
    two: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in two.environment_of_processes.items():
        monkeypatch.setenv(name, value)
    file = str(two.folder / "accounts.toml")
    monkeypatch.setenv("RETURNS_ACCOUNTS", file)
    settings, _ = load_accounts(two.folder / "none", RETURNS_ACCOUNTS=file)
    hanging, well = list(windows_between(START, START + timedelta(hours=2)))
    two.simulator.faults = [f"hang:*:{hanging.text}"]
    with deployed(settings, two.folder / "dagster_home") as deployment:
        reached = two.when_asked(1)
        deployment.backfill([hanging], ["a"])
        deployment.look()
        (of_a,) = deployment.instance.get_runs()
        assert reached.wait(AWAITED)
        deployment.backfill([well], ["b"])
        deployment.look()
        of_b, _ = deployment.instance.get_runs()

        def status(run: dg.DagsterRun) -> dg.DagsterRunStatus:
            found = deployment.instance.get_run_by_id(run.run_id)
            assert found
            return found.status

        until(lambda: status(of_b) is dg.DagsterRunStatus.SUCCESS)
        assert status(of_a) is dg.DagsterRunStatus.STARTED
        deployment.kill(of_a.run_id)


def test_dagster_shows_each_hour_of_the_well_account(lived: Lived) -> None:
    windows = list(windows_between(START, END - timedelta(hours=1)))
    for asset in HOURLY:
        made = lived.instance.get_materialized_partitions(dg.AssetKey([WELL, asset]))
        assert made == {window.key for window in windows}
    for asset in DAILY:
        assert lived.instance.get_materialized_partitions(dg.AssetKey([WELL, asset]))


# ---- commands


@pytest.fixture
def two(new_world: Callable[..., World]) -> World:
    """A world whose simulator answers for two accounts, `a` and `b`."""
    world = new_world(
        {
            "RETURNS_START": START.isoformat(),
            "RETURNS_ACCOUNTS": "accounts.toml",
            "RETURNS_WEBHOOK_KEYS": "",
            "A_HOOKS": "key-of-the-webhooks-of-a",
            "B_HOOKS": "key-of-the-webhooks-of-b",
        },
        rhythm=False,
    )
    (world.folder / "workspace.yaml").touch()
    table = 'key = "CLICKPOST_KEY"\nuser_name = "CLICKPOST_USER_NAME"\n'
    (world.folder / "accounts.toml").write_text(
        f'[a]\n{table}webhook_keys = "A_HOOKS"\n[b]\n{table}webhook_keys = "B_HOOKS"\n'
    )
    return world


def test_no_accounts_but_those_refused_have_parts_of_the_same_name(two: World) -> None:
    variables = two.environment | {"RETURNS_ACCOUNTS": str(two.folder / "accounts.toml")}
    account, _ = load_accounts(two.folder / "none", **variables)
    repository = build_defs(account).get_repository_def()
    jobs = repository.get_all_jobs()
    parts = [*jobs, *repository.sensor_defs, *repository.schedule_defs]
    parts += [node.definition for job in jobs for node in job.graph.nodes]
    names = {part.name.removeprefix("a_") for part in parts if part.name.startswith("a_")}
    assert len(names) > 20
    found = {x.removesuffix(f"_{y}") for x in names for y in names if x.endswith(f"_{y}")}
    assert found == set(BEGINNINGS)


def test_the_ui_shows_the_assets_of_all_accounts(two: World) -> None:
    port = free_port()
    with two.started("dev", "--port", str(port)) as process:
        address = f"http://127.0.0.1:{port}/graphql"
        query = {"query": "{ assetNodes { assetKey { path } } }"}

        def answer() -> httpx.Response | None:
            assert process.poll() is None, process.communicate()[0]
            with suppress(httpx.TransportError):
                return httpx.post(address, json=query, timeout=60, trust_env=False)
            return None

        until(lambda: answer() is not None)
        found = answer()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)
    assert found is not None
    paths = {tuple(node["assetKey"]["path"]) for node in found.json()["data"]["assetNodes"]}
    assert {(account, name) for account in "ab" for name in (*HOURLY, *DAILY)} <= paths


SPAN = ("2026-11-01T00:00", "2026-11-01T03:00")


def test_commands_are_about_one_account_or_about_all(two: World) -> None:
    refused = two.run("backfill", *SPAN)
    assert refused.returncode == 2
    assert "--account NAME: a, b" in refused.stderr

    done = two.run("backfill", *SPAN, "--account", "a")
    assert done.returncode == 0, done.stderr
    assert "3 of 3 hours are complete" in done.stdout
    assert two.run("verify", RETURNS_ACCOUNT="a").returncode == 0

    summed = two.run("status", *SPAN)
    assert summed.returncode == 1  # the hours of b are missing
    lines = {line.split()[0]: line.split()[1:] for line in summed.stdout.splitlines()}
    assert lines["a"][:4] == ["3", "3", "0", "0"]
    assert lines["b"][:4] == ["3", "0", "0", "3"]
    assert lines["all"][:5] == ["accounts", "6", "3", "0", "3"]
    listed = json.loads(two.run("status", *SPAN, "--json").stdout)
    assert [(hour["account"], hour["state"]) for hour in listed] == [
        *[("a", "complete")] * 3,
        *[("b", "missing")] * 3,
    ]
    missing = two.run("status", *SPAN, "--missing").stdout
    assert missing.count("2026-11-01T00:00") == 1
    assert two.run("status", *SPAN, "--account", "a").returncode == 0


def test_what_watches_from_outside_sees_all_accounts(two: World) -> None:
    health = json.loads(two.run("health", "--json").stdout)
    assert set(health["accounts"]) == {"a", "b"}
    assert health["level"] == "critical"
    measured = two.run("metrics").stdout
    assert 'returns_hours{account="a",state="missing"}' in measured
    assert 'returns_hours{account="b",state="missing"}' in measured
    assert measured.count("# TYPE returns_hours gauge") == 1
    doctor = two.run("doctor").stdout
    assert doctor.count("ok    API") == 2
    assert "of a single account" not in doctor
    single = {"RETURNS_ACCOUNTS": ""}
    assert two.run("backfill", *SPAN, **single).returncode == 0
    assert two.run("doctor").stdout.count("is the lake of a single account") == 1
    shown = two.run("config").stdout
    assert "[a]" in shown
    assert "accounts.toml" in shown
    pruned = two.run("prune")
    assert pruned.returncode == 0, pruned.stderr
    assert " of a, " in pruned.stdout
    assert " of b, " in pruned.stdout


def test_messages_are_in_the_words_of_the_account(two: World) -> None:
    missing = two.run("status", *SPAN, "--account", "b")
    (command,) = re.findall("Next: `returns-orchestration (.*?)`", missing.stdout)
    assert command == f"backfill {' '.join(SPAN)} --account b"
    doctor = two.run("doctor").stdout
    for name in "ab":
        key, user_name = (
            f"CLICKPOST_{key.upper()} (`{key}` of {name} in accounts.toml)"
            for key in ("key", "user_name")
        )
        assert f"ok    credentials: {key} and {user_name} are set" in doctor
    assert "a and b have the same key" in doctor
    assert two.environment["CLICKPOST_KEY"] not in doctor

    user_name = 'user_name = "CLICKPOST_USER_NAME"\n'
    (two.folder / "accounts.toml").write_text(f'[b]\nkey = "WRONG_KEY"\n{user_name}')
    wrong = {"WRONG_KEY": "no-such-key-of-anybody"}
    for text in (two.run(*command.split(), **wrong).stdout, two.run("doctor", **wrong).stdout):
        assert "Check WRONG_KEY (`key` of b in accounts.toml) and CLICKPOST_USER_NAME (`" in text
        assert "`returns-orchestration doctor --account b`" in text
        assert wrong["WRONG_KEY"] not in text

    url = f'base_url = "http://127.0.0.1:{free_port()}/api"\n'
    (two.folder / "accounts.toml").write_text(f'[b]\nkey = "CLICKPOST_KEY"\n{user_name}{url}')
    refused = two.run(*command.split())
    assert refused.returncode == 1
    shown = two.run("status", *SPAN, "--json", "--account", "b").stdout
    for text in (refused.stdout, shown):
        assert "`base_url` of b in accounts.toml" in text
        assert "`returns-orchestration doctor --account b`" in text
        assert "CLICKPOST_BASE_URL" not in text


def test_files_of_two_accounts_have_names_of_their_own(two: World) -> None:
    pytest.importorskip("duckdb")
    for name in "ab":
        assert two.run("backfill", *SPAN, "--account", name).returncode == 0
        exported = two.run("export", "returns", *SPAN, "--account", name)
        assert exported.returncode == 0, exported.stderr
        assert (two.folder / f"{name}_returns_2026-11-01T0000_2026-11-01T0300.csv").is_file()
        viewed = two.run("views", "--account", name)
        assert viewed.returncode == 0, viewed.stderr
        source = yaml.safe_load((two.folder / name / "sources.yml").read_text())["sources"][0]
        assert source["name"] == f"returns_{name}"
        assert f"{two.lake}/{name}/" in (two.folder / name / "views.sql").read_text()
        assert (two.folder / name / "returns.duckdb").is_file()


def test_the_lake_of_a_removed_account_is_named_and_its_people_can_be_forgotten(
    two: World,
) -> None:
    assert two.run("backfill", *SPAN, "--account", "a").returncode == 0
    file = two.folder / "accounts.toml"
    file.write_text(file.read_text().replace("[a]", "[renamed]"))
    doctor = two.run("doctor").stdout
    assert f"warn  lake: {two.lake}/a is the lake of no account" in doctor
    assert f"{two.lake}/b is the lake" not in doctor

    table = 'key = "CLICKPOST_KEY"\nuser_name = "CLICKPOST_USER_NAME"\n'
    (two.folder / "removed.toml").write_text(f"[a]\n{table}")
    found = pl.read_parquet(f"{two.lake}/a/returns/**/*.parquet")
    reference = found["return_reference_number"][0]
    (two.folder / "references.txt").write_text(f"{reference}\n")
    removed = {"RETURNS_ACCOUNTS": "removed.toml"}
    forgotten = two.run("forget", "--reference", "references.txt", "--account", "a", **removed)
    assert forgotten.returncode == 0, forgotten.stdout + forgotten.stderr
    assert "Blanked 1 record" in forgotten.stdout

    shutil.rmtree(two.lake / "renamed")  # `doctor` has made it, to see whether it can be written
    (two.lake / "a").rename(two.lake / "renamed")
    assert "is the lake of no account" not in two.run("doctor").stdout
    assert two.run("status", *SPAN, "--account", "renamed").returncode == 0


def test_the_receiver_takes_each_webhook_for_its_account(two: World) -> None:
    port = free_port()
    listen = {"RETURNS_WEBHOOK_LISTEN": f"127.0.0.1:{port}"}
    script = Path(sys.executable).with_name("returns-orchestration")
    with subprocess.Popen(  # noqa: S603 - our own command
        [str(script), "receive"],
        cwd=two.folder,
        env=two.environment_of_processes | listen,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout
        said = [process.stdout.readline() for _ in range(2)]
        assert [line for line in said if f":{port}/clickpost/a; " in line]

        def post(path: str, key: str) -> int:
            url = f"http://127.0.0.1:{port}{path}"
            return httpx.post(url, content=path.encode(), headers={"webhook_key": key}).status_code

        of_a, of_b = two.variables["A_HOOKS"], two.variables["B_HOOKS"]
        assert post("/clickpost/a", of_a) == 200
        assert post(f"/clickpost/b/t/{of_b}", "") == 200
        assert post("/clickpost/a", of_b) == 401
        assert post(f"/clickpost/b/t/{of_a}", "") == 401
        assert post("/clickpost", of_a) == 404
        assert post("/clickpost/c", of_a) == 404
        assert httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    for account, path in (("a", "/clickpost/a"), ("b", f"/clickpost/b/t/{of_b}")):
        found = pl.read_parquet(f"{two.lake}/{account}/raw_webhooks/**/*.parquet")
        assert found["body"].to_list() == [path]


def test_the_lake_of_one_account_becomes_that_of_an_account(
    two: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    single = {"RETURNS_ACCOUNTS": "", "RETURNS_LAKE": str(two.folder / "single")}
    assert two.run("backfill", *SPAN, **single).returncode == 0
    two.lake.mkdir()
    (two.folder / "single").rename(two.lake / "a")
    asked = len(two.simulator.requests)
    for name, value in two.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DAGSTER_HOME", str(two.folder / "dagster_home"))
    monkeypatch.chdir(two.folder)
    variables = two.environment | {"RETURNS_ACCOUNT": "a"}
    accounts = load_accounts(two.folder / "none", **variables)
    with open_instance(accounts[0]) as instance:
        daemon = OfAccounts([two], accounts, instance)
        daemon.now, daemon.only = START + timedelta(hours=3, minutes=20), {"a_missing_hours"}
        daemon.tick()
        made = instance.get_materialized_partitions(dg.AssetKey(["a", "returns"]))
    assert made == {window.key for window in windows_between(START, START + timedelta(hours=3))}
    assert made
    assert len(two.simulator.requests) == asked
