"""One rate limit in PostgreSQL for machines that share nothing else, against the real simulator."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from support.postgres import Database, PostgresServer
from support.world import World

from returns_orchestration.clickpost import RateLimit, State
from returns_orchestration.defs.instance import open_instance
from returns_orchestration.defs.keys import Keys
from returns_orchestration.defs.rate_limits import InPostgres, shared_rate_limit
from returns_orchestration.errors import LakeUnwritable

CEILING = 2
SPANS = [(f"2026-11-0{day}T00:00", f"2026-11-0{day}T13:00") for day in (1, 2, 3, 4)]
"""For each machine 13 hours; one machine is killed after a third of its own."""


@contextmanager
def kept(world: World, database: Database, *prefix: str) -> Iterator[InPostgres]:
    """The state of a deployment, as a run gets it."""
    home = database.configure(world.folder / "dagster_home")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**database.variables, "DAGSTER_HOME": str(home)}.items():
            patch.setenv(name, value)
        with (
            open_instance(world.settings) as instance,
            shared_rate_limit(instance, world.settings, Keys(prefix)) as found,
        ):
            assert isinstance(found, InPostgres)
            yield found


def most_in(seconds: float, moments: list[Any]) -> int:
    """The largest number of ``moments`` in any time of that length."""
    within = timedelta(seconds=seconds)
    return max(sum(first <= m < first + within for m in moments) for first in moments)


@pytest.mark.long
def test_machines_with_homes_of_their_own_keep_one_ceiling_though_one_is_killed(
    new_world: Callable[..., World], database: Database, request: pytest.FixtureRequest
) -> None:
    world = new_world({"CLICKPOST_MAX_REQUESTS_PER_SECOND": str(CEILING)}, returns_per_hour=1)
    script = Path(sys.executable).with_name("returns-orchestration")
    machines = []
    begun = world.when_asked(8)
    for number, span in enumerate(SPANS):
        home = database.configure(world.folder / f"machine-{number}")
        machines.append(
            subprocess.Popen(  # noqa: S603 - our own command
                [str(script), "backfill", *span],
                cwd=home,
                env=world.environment_of_processes | {"DAGSTER_HOME": str(home)},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        request.addfinalizer(machines[-1].wait)
        request.addfinalizer(machines[-1].kill)  # comes before
    assert begun.wait(timeout=120)
    machines[0].send_signal(signal.SIGKILL)
    codes = [machine.wait(timeout=240) for machine in machines]
    assert codes == [-signal.SIGKILL, 0, 0, 0]
    asked = sorted(request.time for request in world.simulator.requests)
    assert len(asked) >= 3 * 13
    assert most_in(10, asked) <= 10 * CEILING + 1
    # Neither did it stand still: the ceiling is nearly used, though machines have much else to do.
    assert most_in(10, asked) >= 5 * CEILING
    assert database.rows("SELECT name FROM clickpost_rate_limits") == [("",)]
    assert not list(world.folder.glob("machine-*/clickpost-rate-limit.json"))


def test_a_holder_that_is_killed_holds_up_no_other_one(
    new_world: Callable[..., World], database: Database
) -> None:
    with kept(new_world(), database) as state:
        state.change(lambda *_: None)
        holder = os.fork()
        if holder == 0:  # a process that dies with the row locked
            state._engine.dispose(close=False)
            state.change(lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        assert os.waitpid(holder, 0)[1] == signal.SIGKILL
        began = time.monotonic()
        state.change(lambda *_: None)
        assert time.monotonic() - began < 5


def test_a_holder_that_stands_still_is_ended(
    new_world: Callable[..., World], database: Database
) -> None:
    """A machine that has lost its network, or is asleep, in the middle of a change."""
    world = new_world()
    with kept(world, database) as still, kept(world, database) as other:
        holds, ends = threading.Event(), threading.Event()
        calls = []

        def rule(state: State, _now: float) -> float:
            calls.append(state.gap)
            holds.set()
            assert ends.wait(timeout=60)
            return state.gap

        def widen(state: State, _now: float) -> None:
            state.gap = 7.0

        with ThreadPoolExecutor() as pool:
            held = pool.submit(still.change, rule)
            assert holds.wait(timeout=60)
            other.change(widen)  # as soon as the server has ended the other one
            ends.set()
            assert held.result() == 7.0, "it is done again, on the newest state"
        assert calls == [0.0, 7.0]


def test_the_table_and_the_row_are_made_once_by_many(
    new_world: Callable[..., World], database: Database
) -> None:
    with kept(new_world(), database) as first:

        def one(_: int) -> None:
            engine = sa.create_engine(database.url)
            try:
                InPostgres(engine, "").change(count)
            finally:
                engine.dispose()

        def count(state: State, _now: float) -> None:
            state.good += 1

        with ThreadPoolExecutor(12) as pool:
            list(pool.map(one, range(36)))
        assert first.change(lambda state, _: state.good) == 36


def test_deployments_with_another_prefix_have_another_limit(
    new_world: Callable[..., World], database: Database
) -> None:
    world = new_world()
    with kept(world, database) as plain, kept(world, database, "brand", "india") as other:
        naps: list[float] = []
        for state in (plain, other, plain):
            RateLimit(1, sleep=naps.append, kept=state).wait_turn()
        assert len(naps) == 1
    names = database.rows("SELECT name FROM clickpost_rate_limits ORDER BY name")
    assert names == [("",), ("brand/india",)]


def test_nothing_is_sent_while_the_database_is_away(
    new_world: Callable[..., World], own_server: PostgresServer
) -> None:
    database = own_server.new_database()
    with kept(new_world(), database) as state:
        naps: list[float] = []

        def sleep(seconds: float) -> None:
            naps.append(seconds)
            if len(naps) == 3:
                own_server.start()

        rate_limit = RateLimit(100, sleep=sleep, kept=state)
        before = rate_limit.wait_turn().at
        own_server.stop()
        after = rate_limit.wait_turn().at
        assert naps[:3] == [2.0, 2.0, 2.0]
        assert after > before

        own_server.stop()
        naps[:] = [0.0] * 3
        with pytest.raises(LakeUnwritable) as caught:
            rate_limit.wait_turn()
        assert sum(naps) == 60
    assert "PostgreSQL, which holds Dagster's runs and events, could not be reached" in str(
        caught.value
    )
    assert "canary" not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__
