"""Object stores that keep no promise: refused in words by every writer, or survived."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support.s3_server import BUCKET, S3Server
from support.webhooks import received
from support.world import World, hours

from returns_orchestration.errors import LakeUnwritable
from returns_orchestration.flow.outcomes import Failed, Stopped
from returns_orchestration.lake import Lake, open_store

ROOT = Path(__file__).parents[2]
ADDRESS = f"s3://{BUCKET}/lake"
WINDOWS = hours("2026-11-09T06:00", "2026-11-09T10:00")
REFUSALS = {
    "ignores If-None-Match": "must take the first and refuse the second",
    "ignores If-Match": "two daemons could lose alerts",
    "lists late": "does not list what was put",
}


def spoil(s3: S3Server, how: str) -> None:
    if how == "ignores If-None-Match":
        s3.if_none_match = "ignored"
    elif how == "ignores If-Match":
        s3.if_match = "ignored"
    else:
        s3.lists_late = 2


@pytest.fixture
def world(new_world: Callable[..., World], s3: S3Server) -> World:
    return new_world({"RETURNS_LAKE": ADDRESS, **s3.variables})


@pytest.mark.parametrize("how", REFUSALS)
def test_doctor_and_backfill_refuse_it(how: str, world: World, s3: S3Server) -> None:
    spoil(s3, how)
    for command in (["doctor"], ["backfill", "2026-11-09T06:00", "2026-11-09T07:00"]):
        done = world.run(*command)
        assert done.returncode == 1
        assert REFUSALS[how] in " ".join((done.stdout + done.stderr).split())
    assert not [key for key in s3.objects if "raw_returns" in key]


@pytest.mark.parametrize("how", REFUSALS)
def test_a_run_and_a_receiver_begin_no_lake_there(how: str, world: World, s3: S3Server) -> None:
    """Also where nobody has called `doctor`."""
    spoil(s3, how)
    (stopped,) = world.pipeline().run(WINDOWS[:1])
    assert isinstance(stopped, Stopped)
    assert REFUSALS[how] in str(stopped.error)
    with pytest.raises(LakeUnwritable, match=REFUSALS[how]):
        received(Lake(open_store(ADDRESS)), (WINDOWS[0].start, b"{}"))
    assert not s3.objects


def test_the_shipped_policy_allows_the_calls_that_are_made_and_no_others(
    world: World, s3: S3Server
) -> None:
    """By the log of the server; an object of a bulk delete needs the right of a single delete."""
    for command in (
        ["doctor"],
        ["backfill", "2026-11-09T06:00", "2026-11-09T08:00"],
        ["rebuild", "2026-11-09T06:00", "2026-11-09T08:00"],
        ["verify"],
    ):
        done = world.run(*command)
        assert done.returncode == 0, done.stdout + done.stderr
    actions, prefixes = set(), set()
    for request in s3.requests:
        method, _, what = request.partition(" ")
        of_key = {"GET": "s3:GetObject", "HEAD": "s3:GetObject", "PUT": "s3:PutObject"}
        if what.startswith("?"):
            actions.add("s3:DeleteObject" if method == "POST" else "s3:ListBucket")
        else:
            actions.add(of_key[method])
            prefixes.add(what.partition("/")[0])
    policy = json.loads((ROOT / "deploy/iam-policy.json").read_text())
    files, names = policy["Statement"]
    assert {*files["Action"], names["Action"]} == actions
    assert prefixes == {"lake"}
    assert all(prefix.startswith("lake/") for prefix in s3.prefixes), s3.prefixes


def test_one_that_answers_503_to_every_tenth_request_is_survived(
    new_world: Callable[..., World], s3: S3Server
) -> None:
    """The tables are those of a folder, and the store was refused tens of times."""
    s3.busy_every = 10
    remote = new_world({"RETURNS_LAKE": ADDRESS, **s3.variables})
    local = new_world()
    for world in (remote, local):
        outcomes = list(world.pipeline().run(WINDOWS, missing_only=True))
        assert not [outcome for outcome in outcomes if isinstance(outcome, Failed)]
    assert len(s3.requests) > 100
    for table in ("return_items", "refund_modes_hourly", "return_reasons_hourly"):
        for window in WINDOWS:
            path = f"{table}/{window.path}/part-0.parquet"
            assert s3.objects[f"lake/{path}"] == (local.lake / path).read_bytes(), path
