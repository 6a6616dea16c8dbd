"""The commands as a user runs them: their output, the files they leave, their exit codes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from io import StringIO
from pathlib import Path

import dagster as dg
import pytest
from rich.console import Console
from support.s3_server import BUCKET, SECRET, S3Server
from support.world import World, hours

from returns_orchestration.cli import COMMANDS
from returns_orchestration.cli.backfill_watch import Watch
from returns_orchestration.defs.instance import (
    SHIPPED_BEFORE,
    open_instance,
    shipped_configuration,
)

FROM, TO = "2026-11-07T00:00", "2026-11-08T00:00"


def states(world: World, *span: str) -> list[dict[str, object]]:
    done = world.run("status", *(span or (FROM, TO)), "--json")
    return list(json.loads(done.stdout))


def test_the_version_and_help_are_printed_without_any_setting(
    new_world: Callable[..., World],
) -> None:
    world = new_world({"RETURNS_LAKE": "ftp://nowhere"})
    shown = world.run_cold("--version")
    assert (shown.returncode, shown.stdout) == (
        0,
        f"returns-orchestration {version('returns-orchestration')}\n",
    )
    for command in ((), ("status",)):
        short, long = world.run_cold(*command, "-h"), world.run_cold(*command, "--help")
        assert short.returncode == 0
        assert short.stdout == long.stdout
        assert "Usage: returns-orchestration" in short.stdout


def test_backfill_keeps_good_hours_names_failed_ones_and_resumes(
    new_world: Callable[..., World],
) -> None:
    world = new_world({"CLICKPOST_MAX_REQUESTS_PER_SECOND": "500"}, returns_per_hour=4)
    dead = ("2026-11-07T03:00", "2026-11-07T11:00", "2026-11-07T20:00")
    # A permanent refusal keeps the test short; another test checks its text.
    world.simulator.faults = [f"meta-400-repr:*:{hour}" for hour in dead]
    done = world.run("backfill", FROM, TO)
    assert done.returncode == 1
    assert "24 hours, 24 calls" in done.stdout
    assert "21 of 24 hours are complete, 3 are not." in done.stdout
    found = {str(s["hour"]): s for s in states(world)}
    for hour in dead:
        assert hour.replace("T", "-") in done.stdout
        assert found[hour]["state"] == "missing"
        assert "refuses" in str(found[hour]["error"])
    assert sum(s["state"] in ("complete", "empty") for s in found.values()) == 21
    assert world.run("status", FROM, TO).returncode == 1

    world.simulator.faults = []
    world.simulator.forget()
    again = world.run("backfill", FROM, TO)
    assert again.returncode == 0, again.stdout + again.stderr
    assert sorted(world.asked()) == [f"{hour}:00" for hour in sorted(dead)]
    assert world.run("status", FROM, TO).returncode == 0

    world.simulator.forget()
    third = world.run("backfill", FROM, TO)
    assert third.returncode == 0
    assert "none missing" in third.stdout
    assert not world.asked()


def test_status_distinguishes_empty_from_missing_and_counts_polls_and_late_returns(
    new_world: Callable[..., World],
) -> None:
    world = new_world(returns_per_hour=6, progress=False)
    night = ("2026-11-06T20:00", "2026-11-06T23:00")
    assert world.run("backfill", *night).returncode == 0
    assert world.run("backfill", *night, "--repoll").returncode == 0
    (first, *_) = states(world, *night)
    assert list(first) == [
        "hour", "state", "returns", "items", "rejected", "polls", "first_polled_at",
        "last_polled_at", "late", "error", "provisional",
    ]  # fmt: skip
    for state in states(world, *night):
        assert state["state"] == ("complete" if state["returns"] else "empty")
        assert state["polls"] == 2
        assert str(state["first_polled_at"]) < str(state["last_polled_at"])
        assert state["late"] == 0
        assert state["error"] is None
        assert state["provisional"] == 0
    beyond = states(world, "2026-11-06T22:00", "2026-11-07T00:00")
    assert [s["state"] for s in beyond][1] == "missing"
    lines = world.run("status", *night).stdout.splitlines()
    assert sum(line.startswith("2026-11-06T2") for line in lines) == 3


@pytest.mark.parametrize(
    ("variables", "code", "said"),
    [
        ({"CLICKPOST_KEY": "wrong"}, 1, "CLICKPOST_KEY"),
        ({"CLICKPOST_KEY": ""}, 2, "CLICKPOST_KEY not set"),
        ({"CLICKPOST_BASE_URL": "http://127.0.0.1:9/api"}, 1, "connection refused"),
        ({"CLICKPOST_BASE_URL": "nonsense"}, 2, "CLICKPOST_BASE_URL must be"),
        ({"CLICKPOST_MAX_CONCURRENCY": "many"}, 2, "CLICKPOST_MAX_CONCURRENCY"),
        ({"RETURNS_LAKE": "/dev/null/lake"}, 1, "RETURNS_LAKE"),
    ],
)
def test_an_impossible_command_is_one_message_and_writes_nothing(
    new_world: Callable[..., World], variables: dict[str, str], code: int, said: str
) -> None:
    world = new_world(variables)
    done = world.run("backfill", FROM, "2026-11-07T03:00")
    output = done.stdout + done.stderr
    assert done.returncode == code, output
    assert output.count(said) == 1, output
    assert "Traceback" not in output
    assert not list(world.lake.rglob("*.parquet"))


@pytest.mark.parametrize(
    ("span", "said"),
    [
        (("2026-11-07T00:30", TO), "is not an hour"),
        ((TO, FROM), "is not before"),
        (("2025-01-01", TO), "RETURNS_START"),
        (("2099-01-01", "2099-01-02"), "not over yet"),
    ],
)
def test_an_invalid_span_is_refused(
    new_world: Callable[..., World], span: tuple[str, str], said: str
) -> None:
    done = new_world().run("backfill", *span)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_doctor_shows_what_works_and_what_fails(new_world: Callable[..., World]) -> None:
    well = new_world().run("doctor")
    assert well.returncode == 0, well.stdout + well.stderr
    shown = [line[:5] for line in well.stdout.splitlines()]
    assert shown == ["ok   ", *["warn "] * 2, *["ok   "] * 5]
    assert "is this machine and not ClickPost" in well.stdout
    assert "no channel (RETURNS_ALERT_URLS) and no heartbeat" in well.stdout
    for name, url in (
        ("RETURNS_ALERT_URLS", "json://localhost"),
        ("RETURNS_HEARTBEAT_URL", "http://x"),
    ):
        assert "warn  alerts" not in new_world({name: url}).run("doctor").stdout
    assert "warn  webhooks" not in well.stdout
    short = new_world({"RETURNS_WEBHOOK_KEYS": f"{'k' * 16},secret"}).run("doctor").stdout
    assert "warn  webhooks: a key of RETURNS_WEBHOOK_KEYS has less than 16 characters" in short
    assert "secret" not in short
    ill = new_world({"CLICKPOST_KEY": "wrong"}).run("doctor")
    assert ill.returncode == 1
    assert "FAIL  API" in ill.stdout
    none = new_world({"CLICKPOST_KEY": ""}).run("doctor")
    assert none.returncode == 1
    assert "CLICKPOST_KEY not set" in none.stdout


ON_S3 = {"RETURNS_LAKE": f"s3://{BUCKET}/lake"}
"""The fixture `s3` sets the environment for it."""


def test_a_lake_in_an_object_store_is_filled_and_verified(
    new_world: Callable[..., World], s3: S3Server
) -> None:
    world = new_world(ON_S3, returns_per_hour=4)
    well = world.run("doctor")
    assert well.returncode == 0, well.stdout + well.stderr
    assert f"ok    lake: s3://{BUCKET}/lake can be written" in well.stdout
    assert not s3.objects
    done = world.run("backfill", FROM, "2026-11-07T03:00")
    assert done.returncode == 0, done.stdout + done.stderr
    assert sum(key.startswith("lake/raw_returns/") for key in s3.objects) == 3
    found = world.run("verify")
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize(
    ("variables", "switches", "said"),
    [
        ({}, {"if_none_match": "ignored"}, "Use a store that honours If-None-Match"),
        ({"RETURNS_LAKE": "s3://other/lake"}, {}, "the store answers NoSuchBucket (HTTP 404)"),
        ({"AWS_ALLOW_HTTP": ""}, {}, "Set AWS_ALLOW_HTTP=true"),
        ({"AWS_SECRET_ACCESS_KEY": f" {SECRET}"}, {}, "AWS_SECRET_ACCESS_KEY has white space"),
    ],
)
def test_a_refusing_object_store_is_named_before_any_api_request(
    new_world: Callable[..., World],
    s3: S3Server,
    variables: dict[str, str],
    switches: dict[str, object],
    said: str,
) -> None:
    for name, value in switches.items():
        setattr(s3, name, value)
    world = new_world(ON_S3 | variables)
    doctor = world.run("doctor")
    assert doctor.returncode == 1
    (line,) = [line for line in doctor.stdout.splitlines() if line.startswith("FAIL")]
    assert line.startswith("FAIL  lake: ")
    world.simulator.forget()
    backfill = world.run("backfill", FROM, "2026-11-07T03:00")
    assert backfill.returncode in (1, 2)
    assert not world.asked()
    for output in (line, backfill.stderr):
        assert output.count(said) == 1
        assert "free space" not in output
        assert SECRET not in output
        assert "Traceback" not in output
    assert not s3.objects


def test_an_address_with_a_secret_is_refused_by_every_command(
    new_world: Callable[..., World],
) -> None:
    world = new_world({"RETURNS_LAKE": f"s3://{BUCKET}/lake?X-Amz-Signature={SECRET}"})
    for command in (["doctor"], ["backfill", FROM, TO], ["status"], ["verify"]):
        done = world.run(*command)
        assert done.returncode == 2
        assert "RETURNS_LAKE must be s3://BUCKET/PATH" in done.stderr
        assert SECRET not in done.stdout + done.stderr


def test_every_command_has_help(new_world: Callable[..., World]) -> None:
    world = new_world()
    for command in COMMANDS:
        done = world.run(command, "--help")
        assert done.returncode == 0
        assert "Usage: returns-orchestration " + command in done.stdout


def test_simulate_refuses_an_invalid_option(new_world: Callable[..., World]) -> None:
    done = new_world().run("simulate", "--edge-rule", "both", "--port", "0")
    assert done.returncode == 2
    assert "edge_rule must be one of" in done.stderr


def test_a_waived_hour_is_shown_as_waived_and_not_missing(new_world: Callable[..., World]) -> None:
    world = new_world(returns_per_hour=2)
    hour = "2026-11-07T01:00"
    assert world.run("backfill", FROM, hour).returncode == 0
    assert world.run("waive", hour, "--why", "the API was\n never asked").returncode == 0
    (_, waived) = states(world, FROM, "2026-11-07T02:00")
    assert (waived["state"], waived["error"]) == ("waived", "waived: the API was never asked")
    assert world.run("status", FROM, "2026-11-07T02:00").returncode == 0
    world.simulator.forget()
    done = world.run("backfill", FROM, "2026-11-07T02:00")
    assert "none missing" in done.stdout
    assert not world.asked()
    for odd in (hour, "2026-11-07", "2030-01-01T00:00", "1999-01-01T00:00"):
        again = world.run("waive", odd, "--why", "once more")
        assert again.returncode == 2, odd
    refused = world.run("waive", FROM, "--why", "too late")
    assert refused.returncode == 2
    assert "was polled" in refused.stderr


def test_two_backfills_at_once_succeed_and_leave_one_consistent_lake(
    new_world: Callable[..., World],
) -> None:
    world = new_world({"CLICKPOST_MAX_REQUESTS_PER_SECOND": "20"}, returns_per_hour=4)
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(world.run, "backfill", FROM, "2026-11-07T12:00") for _ in range(2)]
    for done in both:
        assert done.result().returncode == 0, done.result().stdout + done.result().stderr
    references = world.scan("returns").get_column("return_reference_number").to_list()
    assert len(references) == len(set(references))
    sent = [request.time for request in world.simulator.requests]
    within = [sum(0 <= (t - s).total_seconds() < 1 for t in sent) for s in sent]
    # 20 by the setting, a few more by network delays; without one rate limit it would be 40.
    assert max(within) <= 26


def test_status_is_one_line_an_hour_however_narrow_the_terminal(
    new_world: Callable[..., World],
) -> None:
    world = new_world(returns_per_hour=2)
    world.simulator.faults = ["meta-400-repr:*:2026-11-07T01:00"]
    world.run("backfill", FROM, "2026-11-07T03:00")
    lines = world.run("status", FROM, "2026-11-07T03:00", COLUMNS="40").stdout.splitlines()
    assert lines[0].endswith("2 complete, 0 empty, 1 missing")
    command = "returns-orchestration backfill 2026-11-07T01:00 2026-11-07T02:00"
    assert lines[2].startswith(f"Next: `{command}`")
    assert [line[:16] for line in lines[5:]] == [f"2026-11-07T0{h}:00" for h in range(3)]
    assert "ClickPost refuses the request" in lines[6]

    end = "2026-11-07T08:00"
    missing = world.run("status", FROM, end, "--missing").stdout.splitlines()[5:]
    assert [line.split()[:4] for line in missing] == [
        ["2026-11-07T01:00", "2026-11-07T02:00", "1", "missing"],
        ["2026-11-07T03:00", end, "5", "missing"],
    ]
    as_json = json.loads(world.run("status", FROM, end, "--missing", "--json").stdout)
    assert len(as_json) == 6


def test_commands_report_under_the_prefix_of_the_settings(
    new_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = new_world({"RETURNS_KEY_PREFIX": "brand/clickpost"}, returns_per_hour=2)
    assert world.run("backfill", FROM, "2026-11-07T02:00").returncode == 0
    again = world.run("backfill", FROM, "2026-11-07T02:00")
    assert "none missing; no call needed" in again.stdout
    monkeypatch.setenv("DAGSTER_HOME", str(world.folder / "dagster_home"))
    with dg.DagsterInstance.get() as instance:
        keys = instance.all_asset_keys()
    assert dg.AssetKey(["brand", "clickpost", "returns"]) in keys
    assert {tuple(key.path[:2]) for key in keys} == {("brand", "clickpost")}


def test_doctor_warns_of_runs_that_do_not_take_turns(new_world: Callable[..., World]) -> None:
    world = new_world(returns_per_hour=2)
    assert "clickpost_api" not in world.run("doctor").stdout
    configuration = world.folder / "dagster_home" / "dagster.yaml"
    configuration.write_text(configuration.read_text().partition("concurrency:")[0])
    done = world.run("doctor")
    assert done.returncode == 0
    assert "warn  Dagster: the pool clickpost_api has no limit" in done.stdout


def test_a_dagster_yaml_of_an_earlier_release_is_replaced_unless_it_was_changed(
    tmp_path: Path, new_world: Callable[..., World]
) -> None:
    settings = new_world().settings
    configuration = tmp_path / "dagster.yaml"
    earlier = (Path(__file__).parents[1] / "data/earlier-dagster.yaml").read_text()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(tmp_path))
        for text in (f"# mine\n{earlier}", earlier):
            configuration.write_text(text)
            with open_instance(settings) as instance:
                assert instance.run_monitoring_enabled == (text == earlier)
    assert configuration.read_text() == shipped_configuration()


def test_the_digest_of_each_dagster_yaml_that_was_ever_shipped_is_kept() -> None:
    """After a change of the file, add the digest of the one before to SHIPPED_BEFORE."""
    now = hashlib.sha256(shipped_configuration().encode()).hexdigest()[:16]
    assert now == "508e5756b48b0c1f"
    assert now not in SHIPPED_BEFORE


def test_a_long_retry_after_silences_the_whole_deployment(
    new_world: Callable[..., World],
) -> None:
    world = new_world({"CLICKPOST_MAX_CONCURRENCY": "1"}, returns_per_hour=4)
    world.simulator.faults = ["429-hour:*"]
    done = world.run("backfill", FROM, TO)
    assert done.returncode == 1
    assert "stopped: " in done.stdout
    assert "ClickPost asks to wait 3,600 s: nothing is sent until " in done.stdout
    assert len(world.asked()) == 1

    world.simulator.faults = []
    world.simulator.forget()
    for command in (("backfill", FROM, TO), ("doctor",)):
        again = world.run(*command)
        assert again.returncode == 1
        assert "ClickPost has asked to wait: nothing is sent until " in again.stdout
    assert not world.asked()


def test_a_backfill_says_that_another_process_changed_its_hours_meanwhile() -> None:
    said = StringIO()
    windows = hours("2026-11-07T00:00", "2026-11-07T03:00")
    is_well = Watch(windows, Console(file=said, width=200)).report(windows, {windows[1]})
    assert not is_well
    assert "2 of 3 hours are complete, 1 is not." in said.getvalue()
    assert "Another process has changed 1 hour of these meanwhile" in said.getvalue()
