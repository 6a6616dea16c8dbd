"""Wrong inputs: each gives one message with the cause and the next step, and no traceback."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support import forked
from support.world import LIMIT, World

from returns_orchestration.cli import main

SCRIPT = str(Path(sys.executable).with_name("returns-orchestration"))
HOUR = ("2026-11-07T01:00", "2026-11-07T02:00")
BACKFILL = ("backfill", *HOUR)
CANARY = "canary-7f3a"


@dataclass(frozen=True)
class Wrong:
    """The fault: variables, a `.env`, or a change of the folder; and the expected message."""

    said: str
    command: tuple[str, ...] = ("status", *HOUR)
    variables: dict[str, str] = field(default_factory=dict)
    env_file: bytes | None = None
    do: Callable[[World], None] | None = None
    code: int = 2


def setting(name: str, value: str, said: str = "") -> Wrong:
    return Wrong(said or f"{name} ", variables={name: value})


SETTINGS = [
    setting("CLICKPOST_BASE_URL", "nonsense", "must be an http:// or https:// address"),
    setting("CLICKPOST_BASE_URL", "ftp://127.0.0.1/api", "must be an http:// or https:// address"),
    setting("CLICKPOST_BASE_URL", "https://127.0.0.1/api?x=1", "CLICKPOST_BASE_URL must"),
    setting("CLICKPOST_TIME_ZONE", "Mars/Olympus", "must be an IANA time zone"),
    setting("CLICKPOST_MAX_CONCURRENCY", "many"),
    setting("CLICKPOST_MAX_CONCURRENCY", "0"),
    setting("CLICKPOST_MAX_REQUESTS_PER_SECOND", "-1"),
    setting("RETURNS_LAKE", "ftp://bucket/lake", "must be a folder or begin with"),
    setting("RETURNS_LAKE", f"s3://user:{CANARY}@bucket/lake", "without a user"),
    setting("RETURNS_START", "yesterday", "must be a whole hour"),
    setting("RETURNS_START", "2026-01-01T00:30:00Z", "must be a whole hour"),
    setting("RETURNS_SETTLE_MINUTES", "-1", "from 0 to 1440"),
    setting("RETURNS_REPOLL_AFTER_HOURS", "6,1", "must be rising whole hours"),
    setting("RETURNS_REPORT_TIME_ZONE", "IST+5", "must be an IANA time zone"),
    setting("RETURNS_ALERT_URLS", f"slack://{CANARY};json://x", "must have commas"),
    setting("RETURNS_HEARTBEAT_URL", CANARY, "RETURNS_HEARTBEAT_URL must be"),
    setting("RETURNS_ALERT_QUIET_HOURS", "25-3", "must be two full hours"),
    setting("RETURNS_ENV_FILE", "/nowhere/settings.env", "which is no file"),
]

ARGUMENTS = [
    Wrong("is not before TO", ("backfill", *reversed(HOUR))),
    Wrong("is not an hour", ("backfill", "yesterday", HOUR[1])),
    Wrong("is not an hour", ("backfill", "2026-13-01", "2026-13-02")),
    Wrong("is before the first hour", ("backfill", "2019-01-01", "2019-01-02")),
    Wrong("is not over yet", ("backfill", "2099-01-01", "2099-01-02")),
    Wrong("FROM without TO", ("status", HOUR[0])),
    Wrong("FROM without TO", ("verify", HOUR[0])),
    Wrong("at once", ("status", *HOUR, "--json", "--by-day")),
    Wrong("is no hour", ("waive", "2026-11-07", "--why", "x")),
    Wrong("The reason has 0 characters", ("waive", HOUR[0], "--why", " ")),
    Wrong("is no time zone", ("rezone", *HOUR, "--time-zone", "Mars")),
    Wrong("at once", ("upgrade", "--undo", "--drop-old")),
    Wrong("Not among the new names", ("acknowledge", "Barter")),
    Wrong("alert --test", ("alert",)),
    Wrong("There is no demo", ("status", "--demo")),
    Wrong("edge_rule", ("simulate", "--edge-rule", "x")),
    Wrong("nonsense", ("simulate", "--fault", "nonsense")),
]

ENV_FILE = [
    Wrong("holds bytes that are no UTF-8 text", env_file=b"CLICKPOST_KEY=\xff\xfe\n"),
    Wrong("is a folder", do=lambda world: (world.folder / ".env").mkdir()),
    Wrong("CLICKPOST_TIME_ZONE must", env_file=b"CLICKPOST_TIME_ZONE = Mars\n"),
    Wrong("CLICKPOST_TIME_ZONE must", env_file=b"clickpost_time_zone=Mars\n"),
    Wrong("CLICKPOST_TIME_ZONE must", env_file=b"export CLICKPOST_TIME_ZONE='Mars'\r\n"),
    Wrong("CLICKPOST_TIME_ZONE must", env_file=b"CLICKPOST_TIME_ZONE=UTC\nCLICKPOST_TIME_ZONE=M\n"),
    Wrong("RETURNS_SETTLE_MINUTES must", env_file=b'RETURNS_SETTLE_MINUTES="ten" # minutes\n'),
    Wrong("RETURNS_REPOLL_AFTER_HOURS", env_file=b"RETURNS_REPOLL_AFTER_HOURS=1h\n"),
    Wrong("RETURNS_ALERT_QUIET_HOURS must", env_file=b"RETURNS_ALERT_QUIET_HOURS=22\n"),
    Wrong("RETURNS_START must", env_file=b"RETURNS_START=01.11.2026\n"),
    Wrong("CLICKPOST_MAX_CONCURRENCY", env_file=b"CLICKPOST_MAX_CONCURRENCY=8,0\n"),
]


def lake_is_a_file(world: World) -> None:
    world.lake.write_text("")


def with_format(name: str) -> Callable[[World], None]:
    def do(world: World) -> None:
        (world.lake / "_journal").mkdir(parents=True)
        (world.lake / "_journal" / name).write_text("{}")

    return do


def of_an_earlier_release(world: World) -> None:
    (world.lake / "_records" / "raw_returns").mkdir(parents=True)
    (world.lake / "_records" / "raw_returns" / "x.json").write_text("{}")


S3 = {"RETURNS_LAKE": "s3://bucket/lake", "AWS_EC2_METADATA_DISABLED": "true"}
KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": CANARY, "AWS_REGION": "ap-south-1"}
NOBODY = "127.0.0.1:9"

STORE = [
    Wrong("RETURNS_LAKE", BACKFILL, do=lake_is_a_file, code=1),
    Wrong("RETURNS_LAKE", BACKFILL, {"RETURNS_LAKE": "/dev/null/lake"}, code=1),
    Wrong("RETURNS_LAKE", BACKFILL, {"RETURNS_LAKE": "/proc/lake"}, code=1),
    Wrong("later release", do=with_format("format-99.json"), code=1),
    Wrong("returns-orchestration upgrade", do=of_an_earlier_release, code=1),
    Wrong("s3://bucket/lake", ("doctor",), S3 | KEYS | {"AWS_ENDPOINT_URL": f"https://{NOBODY}"}),
    Wrong("AWS_ALLOW_HTTP", ("doctor",), S3 | KEYS | {"AWS_ENDPOINT_URL": f"http://{NOBODY}"}),
    Wrong(
        "connection refused",
        BACKFILL,
        S3 | KEYS | {"AWS_ENDPOINT_URL": f"https://{NOBODY}"},
        code=1,
    ),
    Wrong("gs://bucket/lake", ("doctor",), {"RETURNS_LAKE": "gs://bucket/lake"}),
    Wrong("AZURE_STORAGE_ACCOUNT_NAME", ("doctor",), {"RETURNS_LAKE": "az://bucket/lake"}),
]


def fault(name: str) -> Callable[[World], None]:
    def do(world: World) -> None:
        world.simulator.faults = [f"{name}:*"]

    return do


NETWORK = [
    Wrong("connection refused", BACKFILL, {"CLICKPOST_BASE_URL": f"http://{NOBODY}/api"}, code=1),
    Wrong("name", BACKFILL, {"CLICKPOST_BASE_URL": "http://nobody.invalid/api"}, code=1),
    Wrong("no secure connection", BACKFILL, {"CLICKPOST_BASE_URL": "https"}, code=1),
    Wrong("CLICKPOST_KEY", BACKFILL, {"CLICKPOST_KEY": "wrong"}, code=1),
    Wrong("CLICKPOST_USER_NAME", BACKFILL, {"CLICKPOST_USER_NAME": "wrong"}, code=1),
    Wrong("proxy", BACKFILL, {"HTTP_PROXY": f"http://{NOBODY}", "NO_PROXY": ""}, code=1),
    Wrong("redirect", BACKFILL, do=fault("redirect"), code=1),
    Wrong("JSON", BACKFILL, do=fault("html"), code=1),
    Wrong("nothing is sent until", BACKFILL, do=fault("429-hour"), code=1),
    Wrong("without a usable `meta`", BACKFILL, do=fault("cut-json"), code=1),
    Wrong("400", BACKFILL, do=fault("meta-400-repr"), code=1),
    Wrong("SSL_CERT_FILE", BACKFILL, {"SSL_CERT_FILE": "/nowhere/authorities.pem"}),
    Wrong("PEM form", BACKFILL, {"SSL_CERT_FILE": __file__}),
    Wrong("SSL_CERT_FILE", ("doctor",), {"SSL_CERT_FILE": "/nowhere/authorities.pem"}),
]


def home(name: str, content: bytes) -> Callable[[World], None]:
    def do(world: World) -> None:
        path = world.folder / "dagster_home" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    return do


def configuration_is_a_folder(world: World) -> None:
    (world.folder / "dagster_home" / "dagster.yaml").mkdir(parents=True)


def home_is_a_file(world: World) -> None:
    (world.folder / "dagster_home").write_text("")


GARBAGE = b"not a database, but long enough to be taken for one " * 40

DATABASE = [
    Wrong("DAGSTER_HOME", BACKFILL, {"DAGSTER_HOME": "relative"}),
    Wrong("DAGSTER_HOME", BACKFILL, {"DAGSTER_HOME": "/srv/home[1]"}),
    Wrong("dagster_home", BACKFILL, do=home_is_a_file, code=1),
    Wrong("/dev/null", BACKFILL, {"DAGSTER_HOME": "/dev/null/home"}, code=1),
    Wrong("/proc/home", BACKFILL, {"DAGSTER_HOME": "/proc/home"}, code=1),
    Wrong("dagster.yaml", BACKFILL, do=home("dagster.yaml", b"{{")),
    Wrong("dagster.yaml", BACKFILL, do=home("dagster.yaml", b"strorage: 1\n")),
    Wrong(
        "dagster.yaml",
        BACKFILL,
        do=home("dagster.yaml", b"run_storage:\n  module: nowhere\n  class: X\n  config: {}\n"),
    ),
    Wrong("not a database", BACKFILL, do=home("history/runs.db", GARBAGE), code=1),
    Wrong("not a database", BACKFILL, do=home("history/runs/index.db", GARBAGE), code=1),
    Wrong("not a database", BACKFILL, do=home("schedules/schedules.db", GARBAGE), code=1),
    Wrong("Is a directory", BACKFILL, do=configuration_is_a_folder, code=1),
]

KINDS = {
    "settings": SETTINGS,
    "arguments": ARGUMENTS,
    "env": ENV_FILE,
    "store": STORE,
    "network": NETWORK,
    "database": DATABASE,
}
CASES = [(f"{kind} {n}", wrong) for kind, cases in KINDS.items() for n, wrong in enumerate(cases)]


IN_PROCESS = ("settings", "arguments", "env", "network")
"""A separate process for each would only take time; the other kinds harm Dagster or the store."""


@pytest.mark.parametrize(("name", "wrong"), CASES, ids=[name for name, _ in CASES])
def test_a_wrong_input_gives_one_message(
    name: str,
    wrong: Wrong,
    new_world: Callable[..., World],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = new_world(returns_per_hour=2)
    if wrong.do is not None:
        wrong.do(world)
    if wrong.env_file is not None:
        (world.folder / ".env").write_bytes(wrong.env_file)
    variables = dict(wrong.variables)
    if variables.get("CLICKPOST_BASE_URL") == "https":
        variables["CLICKPOST_BASE_URL"] = world.base_url.replace("http:", "https:")
    variables = environment(world, variables, from_file=wrong.env_file is not None)
    if name.startswith(IN_PROCESS):
        code, said = called(world.folder, wrong.command, variables, monkeypatch, capsys)
    else:
        code, said = run(world.folder, wrong.command, variables)
    assert code == (1 if wrong.command == ("doctor",) else wrong.code), said
    assert "Traceback" not in said
    assert CANARY not in said
    lines = [line for line in said.splitlines() if "is this machine and not" not in line]
    faults = [line for line in lines if wrong.said in line]
    assert len(faults) == 1, said
    assert len(faults[0].rstrip(".").split(". ")) > 1 or "; " in faults[0], said


def run(folder: Path, command: tuple[str, ...], variables: dict[str, str]) -> tuple[int, str]:
    done = forked.run(command, folder, variables, LIMIT)
    return done.returncode, done.stdout + done.stderr


def called(
    folder: Path,
    command: tuple[str, ...],
    variables: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> tuple[int, str]:
    """The same in this process."""
    for name in os.environ.keys() - variables.keys():
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", [SCRIPT, *command])
    logger = logging.getLogger("returns_orchestration")
    level = logger.level
    try:
        with pytest.raises(SystemExit) as ended:
            main()
    finally:
        logger.setLevel(level)
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out + said.err


def environment(world: World, variables: dict[str, str], *, from_file: bool) -> dict[str, str]:
    """The world's settings and ``variables``; only those of the world that no file sets."""
    kept = world.environment_of_processes
    if from_file:
        kept = {n: v for n, v in kept.items() if not n.startswith("CLICKPOST_")}
    return {n: v for n, v in kept.items() if n != "HTTP_PROXY"} | variables
