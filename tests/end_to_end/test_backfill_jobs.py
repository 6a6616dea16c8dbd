"""`backfill --jobs`: processes side by side make what one makes, and end together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from support.deployment import until
from support.world import World, hours

from returns_orchestration.cli import backfill
from returns_orchestration.cli.backfill_jobs import Order, Workers, shares
from returns_orchestration.cli.backfill_watch import Watch
from returns_orchestration.window import CHUNK_HOURS, Window

FROM, TO = "2026-11-07T06:00", "2026-11-08T06:00"
SPAN = hours(FROM, TO)
TIMES = ["first_polled_at", "last_polled_at", "first_seen_at", "as_of"]

linux = pytest.mark.skipif(sys.platform != "linux", reason="children are found in /proc")


def children(process: subprocess.Popen[str]) -> list[int]:
    """The processes that it has started."""
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(pid) for pid in listed.read_text().split()]


def is_running(pid: int) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    return False


def rows(world: World, table: str) -> list[str]:
    """The rows of a table but for the times at which they were polled, in an order of their own."""
    return sorted(map(repr, world.scan(table).drop(TIMES, strict=False).rows()))


@contextmanager
def hanging(world: World, *late: Window) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """A backfill in two jobs, and their ids, once all that they still ask for are ``late``."""
    world.simulator.faults = [f"hang:*:{','.join(window.text for window in late)}"]
    reached = world.when_asked(len(SPAN))
    with world.started("backfill", FROM, TO, "--jobs", "2") as process:
        assert reached.wait(120)
        yield process, children(process)


def test_two_jobs_make_what_one_makes(new_world: Callable[..., World]) -> None:
    one, two = (new_world(returns_per_hour=3, edges=True, seed=7) for _ in range(2))
    done = one.run("backfill", FROM, TO, "--jobs", "1")
    both = two.run("backfill", FROM, TO, "--jobs", "2")
    assert done.returncode == both.returncode == 0, both.stdout + both.stderr
    assert "24 of 24 hours are complete." in both.stdout
    assert both.stdout.count("hours tried") <= 10, "one progress"
    assert sorted(two.asked()) == sorted(one.asked()) == [f"{window.text}:00" for window in SPAN]
    for table in ("returns", "return_items", "return_states", "returns_daily", "funnel_daily"):
        assert rows(one, table) == rows(two, table), table
    assert two.run("verify", FROM, TO).returncode == 0
    again = two.run("backfill", FROM, TO, "--jobs", "2")
    assert "none missing; no call needed" in again.stdout


def test_jobs_keep_one_ceiling_and_one_number_of_requests_in_flight(
    new_world: Callable[..., World],
) -> None:
    limits = {"CLICKPOST_MAX_CONCURRENCY": "3", "CLICKPOST_MAX_REQUESTS_PER_SECOND": "15"}
    world = new_world(limits, returns_per_hour=1, latency=0.3)
    done = world.run("backfill", FROM, TO, "--jobs", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    sent = sorted(request.time for request in world.simulator.requests)
    # A request is in flight for as long as the simulator waits, and longer.
    assert max(sum(0 <= (t - s).total_seconds() < 0.29 for s in sent) for t in sent) <= 3
    assert max(sum(0 <= (s - t).total_seconds() < 1 for s in sent) for t in sent) <= 15 + 3


def test_hours_that_fail_in_any_job_are_named_and_all_others_are_kept(
    new_world: Callable[..., World],
) -> None:
    world = new_world(returns_per_hour=2)
    dead = (SPAN[3], SPAN[20])
    world.simulator.faults = [f"meta-400-repr:*:{','.join(window.text for window in dead)}"]
    done = world.run("backfill", FROM, TO, "--jobs", "2")
    assert done.returncode == 1
    assert "22 of 24 hours are complete, 2 are not." in done.stdout
    assert done.stdout.count("failed: ") == 2
    for window in dead:
        assert f"failed: Hour {window.key}: " in done.stdout


def test_a_refusal_of_the_credentials_stops_every_job(new_world: Callable[..., World]) -> None:
    world = new_world(returns_per_hour=2)
    done = world.run("backfill", FROM, TO, "--jobs", "2", CLICKPOST_KEY="wrong")
    assert done.returncode == 1
    assert done.stdout.count("stopped: ") == 1
    assert "Interrupted" not in done.stdout
    assert "0 of 24 hours are complete, 24 are not." in done.stdout
    assert len(world.asked()) < len(SPAN)


def test_ctrl_c_ends_every_job_once_its_open_requests_are_answered(
    new_world: Callable[..., World],
) -> None:
    world = new_world({"CLICKPOST_MAX_CONCURRENCY": "2"}, returns_per_hour=2, latency=0.2)
    asked = world.when_asked(4)
    with world.started("backfill", FROM, TO, "--jobs", "2") as process:
        assert asked.wait(120)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the jobs, too
        printed, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Traceback" not in printed
    assert printed.count("Stopping once open requests are answered") == 1
    assert printed.count("stopped: Interrupted. Run the same again") == 1
    answered = len(world.asked())
    assert 0 < answered < len(SPAN)
    assert f"{answered} of 24 hours are complete, {24 - answered} are not." in printed
    assert world.run("backfill", FROM, TO, "--jobs", "2").returncode == 0
    assert len(world.asked()) == len(SPAN)


@linux
def test_a_second_ctrl_c_ends_every_job_at_once(new_world: Callable[..., World]) -> None:
    world = new_world(returns_per_hour=2)
    with hanging(world, SPAN[5], SPAN[20]) as (process, jobs):
        os.killpg(process.pid, signal.SIGINT)
        assert process.stdout is not None
        for line in process.stdout:
            if "Ctrl-C again stops at once" in line:
                break
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) == 130
        assert len(jobs) == 2
        until(lambda: not any(map(is_running, jobs)))
    world.simulator.faults = []
    assert world.run("backfill", FROM, TO).returncode == 0
    assert world.run("verify", FROM, TO).returncode == 0


@linux
def test_a_killed_job_is_named_and_the_others_go_on(new_world: Callable[..., World]) -> None:
    world = new_world(returns_per_hour=2)
    with hanging(world, SPAN[5]) as (process, jobs):
        os.kill(jobs[0], signal.SIGKILL)
        printed, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert f"The process of the hours {FROM} to 2026-11-07T18:00 was ended by SIGKILL." in printed
    assert "Traceback" not in printed
    complete = int(printed.splitlines()[-1].split()[0])
    assert len(SPAN) / 2 <= complete < len(SPAN), printed
    assert "Another process has changed" not in printed
    landed = world.landed(SPAN)
    assert set(SPAN[12:]) <= set(landed)

    world.simulator.faults = []
    world.simulator.forget()
    again = world.run("backfill", FROM, TO)
    assert again.returncode == 0, again.stdout + again.stderr
    # A reply whose file was there without its entry is not asked for again either.
    assert f"{SPAN[5].text}:00" in world.asked()
    assert set(world.asked()) <= {f"{window.text}:00" for window in set(SPAN) - set(landed)}
    assert world.run("verify", FROM, TO).returncode == 0


@linux
def test_hours_are_not_polled_when_every_job_was_killed(new_world: Callable[..., World]) -> None:
    world = new_world(returns_per_hour=2)
    assert world.run("backfill", SPAN[4].text, SPAN[6].text).returncode == 0
    world.simulator.faults = ["hang"]
    reached = world.when_asked(2)
    with world.started("backfill", FROM, TO, "--jobs", "2") as process:  # in three ranges
        assert reached.wait(120)
        for job in children(process):
            os.kill(job, signal.SIGKILL)
        printed, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert printed.count(" was ended by SIGKILL.") == 2
    assert "stopped: Each process of this backfill has ended too early." in printed
    assert "Not polled: 22 hours; the tables of before stay." in printed
    assert "2 of 24 hours are complete, 22 are not." in printed


@linux
def test_jobs_end_with_a_command_that_is_killed(new_world: Callable[..., World]) -> None:
    world = new_world(returns_per_hour=2)
    with hanging(world, SPAN[5], SPAN[20]) as (process, jobs):
        process.kill()
        until(lambda: not any(map(is_running, jobs)))
    world.simulator.faults = []
    assert world.run("backfill", FROM, TO).returncode == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lake": "s3://"}, "RETURNS_LAKE"),
        ({"repoll_after_hours": None}, "An error of the program; it stands above."),
    ],
)
def test_an_error_of_a_job_stops_them_all(
    new_world: Callable[..., World],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    change: dict[str, object],
    words: str,
) -> None:
    world = new_world()
    for name, value in world.environment_of_processes.items():
        monkeypatch.setenv(name, value)
    watch = Watch(SPAN, Console(file=StringIO()))
    order = Order(world.settings.model_copy(update=change), missing_only=True)
    with Workers(2) as workers:
        workers.run(order, [SPAN[:12], SPAN[12:]], threading.Event(), watch)
    assert words in watch.stopped
    assert ("Traceback" in capfd.readouterr().err) == ("above" in words)
    assert not world.asked()


@linux
def test_processes_that_are_not_needed_end_at_once() -> None:
    with Workers(3) as workers:
        processes = [job.process for job in workers._jobs]
        workers.keep(2)
        assert [process.poll() is None for process in processes] == [True, True, False]
        workers.keep(1)
        assert not any(process.poll() is None for process in processes)
    with Workers(2) as workers:
        processes = [job.process for job in workers._jobs]
    assert not any(process.poll() is None for process in processes)
    with Workers(1) as workers:
        assert not workers._jobs, "the command does the only job itself"


def test_requests_in_flight_are_divided_among_the_jobs() -> None:
    assert shares(8, 3) == [3, 3, 2]
    assert shares(2, 2) == [1, 1]


def test_less_than_two_weeks_need_no_other_process(new_world: Callable[..., World]) -> None:
    settings = new_world({"CLICKPOST_MAX_CONCURRENCY": "3"}).settings
    cores = len(os.sched_getaffinity(0))
    assert backfill._jobs(None, 2 * CHUNK_HOURS - 1, settings) == 1
    assert backfill._jobs(None, 2 * CHUNK_HOURS, settings) == min(cores, 2)
    assert backfill._jobs(None, 8_760, settings) == min(cores, backfill.MOST_JOBS, 3)
    assert backfill._jobs(2, 5, settings) == 2
    assert backfill._jobs(8, 8_760, settings) == 3, "each sends requests"
    assert backfill._jobs(3, 2, settings) == 2
    assert backfill._jobs(None, 0, settings) == 1


def test_windows_has_one_job(
    new_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "HANDS_OVER", False)
    assert backfill._jobs(4, 8_760, new_world().settings) == 1


@pytest.mark.parametrize(
    ("due", "jobs", "chunk"), [(336, 2, 168), (200, 2, 100), (720, 2, 120), (8_760, 4, 157)]
)
def test_jobs_end_at_about_the_same_time(due: int, jobs: int, chunk: int) -> None:
    assert backfill._chunk(due, jobs) == chunk <= CHUNK_HOURS
    assert -(-due // backfill._chunk(due, jobs)) % jobs == 0


def test_a_backfill_says_when_the_ceiling_is_what_limits_it(
    new_world: Callable[..., World],
) -> None:
    settings = new_world({"CLICKPOST_MAX_REQUESTS_PER_SECOND": "2"}).settings
    month = hours("2026-10-01", "2026-11-01")
    plan, line = backfill._plan(settings, month, 744, 0, 1).splitlines()
    assert plan.endswith("744 hours, 744 calls, about 6 minutes.")
    assert line.startswith("CLICKPOST_MAX_REQUESTS_PER_SECOND=2 is what takes so long; without it")
    assert len(backfill._plan(settings, month, 20, 724, 1).splitlines()) == 1
    unlimited = settings.model_copy(update={"max_requests_per_second": 1_000.0})
    assert len(backfill._plan(unlimited, month, 744, 0, 1).splitlines()) == 1
