"""A fault in one call of an hour is repaired by the next call; a lasting fault is named."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

import pytest
from support.world import BRIEF, SHORT, World, hours

from returns_orchestration.clickpost import RetryPolicy
from returns_orchestration.errors import (
    CredentialsRefused,
    LakeError,
    NoConnection,
    SettingsError,
)
from returns_orchestration.flow.ahead import one_ahead
from returns_orchestration.flow.from_settings import build_pipeline
from returns_orchestration.flow.outcomes import Failed, Made, Polled, Stopped

DAY = hours("2026-11-07T00:00", "2026-11-08T00:00")

PASSING = (
    "429-seconds",
    "429-date",
    "429-bare",
    "503",
    "500",
    "html",
    "cut-json",
    "short-body",
    "reset",
    "empty-body",
    "hang",
    "slow-hang",
    "meta-500",
    "meta-429",
    "no-result",
    "echo",
)
"""Faults that a repeated request resolves."""

SILENT = ("hang", "slow-hang")
"""Those of them that end with a time-out."""


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_in_the_first_call_of_every_window_costs_one_repeat(
    new_world: Callable[..., World], fault: str
) -> None:
    world = new_world()
    world.simulator.faults = [f"{fault}:1"]
    pipeline = world.pipeline(SHORT if fault in SILENT else BRIEF)
    outcomes = list(pipeline.run(DAY))
    assert sum(isinstance(outcome, Made) for outcome in outcomes) == len(DAY)
    assert not [outcome for outcome in outcomes if isinstance(outcome, Failed | Stopped)]
    assert len(world.asked()) == 2 * len(DAY)


@pytest.mark.parametrize("form", ["bom", "gzip", "not-json-utf8", "bad-record", "null-result"])
def test_an_odd_form_of_a_good_reply_is_read_at_once(
    new_world: Callable[..., World], form: str
) -> None:
    world = new_world(returns_per_hour=5, rhythm=False)
    world.simulator.faults = [f"{form}:*"]
    windows = DAY[:3]
    outcomes = list(world.pipeline().run(windows))
    assert not [outcome for outcome in outcomes if isinstance(outcome, Failed | Stopped)]
    assert len(world.asked()) == len(windows)
    assert world.scan("returns").height == (0 if form == "null-result" else 15)
    assert world.scan("rejected_returns").height == (3 if form == "bad-record" else 0)


@pytest.mark.parametrize("fault", ["redirect", "next-elsewhere", "next-loop", "meta-400-repr"])
def test_an_untrustworthy_reply_is_not_a_short_window(
    new_world: Callable[..., World], fault: str
) -> None:
    world = new_world()
    world.simulator.faults = [f"{fault}:*"]
    outcomes = list(world.pipeline().run(DAY[:2]))
    assert [type(outcome) for outcome in outcomes] == [Failed, Failed]
    assert not world.files()


def test_all_pages_are_read(new_world: Callable[..., World]) -> None:
    world = new_world(returns_per_hour=25, rhythm=False, page_size=4, mps_share=0.0)
    outcomes = [type(o).__name__ for o in world.pipeline().run(DAY[:1])]
    assert outcomes == ["Polled", "Made", "MadeDay"]
    assert world.scan("returns").height == 25
    assert len(world.asked()) == 7


def test_hours_that_stay_dead_are_named_and_the_others_kept(
    new_world: Callable[..., World],
) -> None:
    world = new_world(returns_per_hour=2)
    dead = [DAY[3], DAY[4], DAY[20]]
    world.simulator.faults = [
        f"503:*:{dead[0].text}",
        f"reset:*:{dead[1].text}",
        f"html:*:{dead[2].text}",
    ]
    outcomes = list(world.pipeline().run(DAY))
    failed = {o.window: str(o.error) for o in outcomes if isinstance(o, Failed)}
    assert sorted(failed) == dead
    for window, words in failed.items():
        assert window.key in words
    assert sum(isinstance(outcome, Made) for outcome in outcomes) == 21
    world.simulator.faults = []
    world.simulator.forget()
    again = list(world.pipeline().run(DAY, missing_only=True))
    assert sorted(world.asked()) == [w.start.strftime("%Y-%m-%dT%H:%M:%S") for w in dead]
    assert sorted(o.window for o in again if isinstance(o, Made)) == dead


def test_refused_credentials_stop_the_run_after_those_in_flight(
    new_world: Callable[..., World],
) -> None:
    world = new_world({"CLICKPOST_KEY": "wrong"})
    outcomes = list(world.pipeline().run(DAY))
    assert isinstance(outcomes[-1], Stopped)
    assert isinstance(outcomes[-1].error, CredentialsRefused)
    assert len(world.simulator.requests) <= world.settings.max_concurrency
    assert not world.files()


def test_absent_credentials_stop_the_run_before_anything_is_sent(
    new_world: Callable[..., World],
) -> None:
    world = new_world({"CLICKPOST_USER_NAME": ""})
    (only,) = world.pipeline().run(DAY)
    assert isinstance(only, Stopped)
    assert isinstance(only.error, SettingsError)
    assert "CLICKPOST_USER_NAME" in str(only.error)
    assert not world.simulator.requests


def test_a_silent_host_is_not_called_for_every_hour(
    new_world: Callable[..., World],
) -> None:
    world = new_world({"CLICKPOST_BASE_URL": "http://127.0.0.1:9/api"})
    outcomes = list(world.pipeline().run(DAY))
    assert len(outcomes) == 1
    assert isinstance(outcomes[0], Stopped)
    assert isinstance(outcomes[0].error, NoConnection)


def test_a_lake_that_is_no_folder_stops_the_run(new_world: Callable[..., World]) -> None:
    world = new_world()
    world.folder.joinpath("lake").write_text("a file where the folder should be")
    outcomes = list(world.pipeline().run(DAY))
    assert isinstance(outcomes[-1], Stopped)
    assert isinstance(outcomes[-1].error, LakeError)
    assert not world.simulator.requests
    assert world.lake.read_text() == "a file where the folder should be"


def test_hours_that_landed_before_a_stop_are_made(new_world: Callable[..., World]) -> None:
    world = new_world({"CLICKPOST_MAX_CONCURRENCY": "1"}, returns_per_hour=2)
    world.simulator.faults = [f"auth:*:{DAY[4].text}"]
    outcomes = list(world.pipeline().run(DAY))
    assert isinstance(outcomes[-1], Stopped)
    assert sorted(o.window for o in outcomes if isinstance(o, Made)) == DAY[:4]


def test_a_run_that_is_given_up_waits_for_no_further_attempt(
    new_world: Callable[..., World],
) -> None:
    world = new_world({"CLICKPOST_MAX_CONCURRENCY": "2"}, returns_per_hour=2)
    world.simulator.faults = [f"503:*:{DAY[1].text}"]
    patient = RetryPolicy(attempts=10_000, base_seconds=0.01, cap_seconds=0.01)
    pipeline = build_pipeline(world.settings, retry=patient, timeouts=BRIEF)
    interruption = Event()
    outcomes = one_ahead(pipeline.run(DAY[:2], interruption=interruption), stop=interruption.set)
    assert isinstance(next(outcomes), Polled)
    outcomes.close()
    assert len(world.simulator.requests) < 1_000
