"""One limit for all requests: evenly spaced, slower together after a 429, then faster by steps."""

from __future__ import annotations

import multiprocessing
import threading
import time as clock
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from returns_orchestration.clickpost.rate_limit import (
    FASTER_AFTER,
    PATIENCE,
    PAUSE,
    SLOWEST,
    InFile,
    InMemory,
    RateLimit,
)
from returns_orchestration.errors import LakeUnwritable


class Ticking:
    """Monotonic time that advances by sleeping, and by ``lag`` more at each sleep."""

    def __init__(self, lag: float = 0) -> None:
        self.now = 50.0
        self.lag = lag

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds + self.lag


@pytest.mark.parametrize("lag", [0, 0.03])
def test_turns_are_evenly_spaced_also_when_a_sleep_lasts_too_long(lag: float) -> None:
    time = Ticking(lag)
    rate_limit = RateLimit(10, sleep=time.sleep, kept=InMemory(time.monotonic))
    turns = []
    for _ in range(30):
        rate_limit.wait_turn()
        turns.append(time.now)
    gaps = [after - before for before, after in pairwise(turns)]
    assert turns[0] == 50
    assert min(gaps) >= 0.1 - 1e-9
    assert max(gaps) <= 0.1 + lag + 1e-9


@pytest.mark.parametrize("rate", [0.1, 0.01, 0.001])
def test_turns_may_be_minutes_apart(rate: float) -> None:
    time = Ticking()
    rate_limit = RateLimit(rate, sleep=time.sleep, kept=InMemory(time.monotonic))
    turns = [rate_limit.wait_turn().at for _ in range(4)]
    assert turns == pytest.approx([50 + n / rate for n in range(4)])


def test_idle_time_allows_no_burst() -> None:
    time = Ticking()
    rate_limit = RateLimit(10, sleep=time.sleep, kept=InMemory(time.monotonic))
    rate_limit.wait_turn()
    time.now += timedelta(minutes=5).total_seconds()
    resumed = time.now
    turns = []
    for _ in range(3):
        rate_limit.wait_turn()
        turns.append(round(time.now - resumed, 6))
    assert turns == [0, 0.1, 0.2]


def test_threads_share_one_rate() -> None:
    time = Ticking()
    rate_limit = RateLimit(4, sleep=time.sleep, kept=InMemory(time.monotonic))
    threads = [threading.Thread(target=rate_limit.wait_turn) for _ in range(21)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.now - 50 == pytest.approx(20 / 4)


def test_turns_are_given_one_after_another() -> None:
    """A thread that comes while another one sleeps for its turn waits behind it."""
    second: list[threading.Thread] = []
    stood_behind: list[bool] = []

    def sleep(_seconds: float) -> None:
        if not second:
            second.append(threading.Thread(target=rate_limit.wait_turn))
            second[0].start()
            second[0].join(timeout=0.05)
            stood_behind.append(second[0].is_alive())

    rate_limit = RateLimit(1, sleep=sleep, kept=InMemory(lambda: 0.0))
    rate_limit.wait_turn()
    rate_limit.wait_turn()
    second[0].join(timeout=10)
    assert stood_behind == [True]
    assert not second[0].is_alive()


@pytest.mark.parametrize("rate", [0, -1, float("inf"), float("nan")])
def test_an_invalid_rate_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        RateLimit(rate, sleep=lambda _: None, kept=InMemory(lambda: 0.0))


def gap_of(rate_limit: RateLimit, time: Ticking) -> float:
    """Seconds between two turns at the present limit."""
    rate_limit.wait_turn()
    before = time.now
    rate_limit.wait_turn()
    return time.now - before


def test_a_429_widens_the_interval_once_for_all_requests_in_flight() -> None:
    time = Ticking()
    rate_limit = RateLimit(10, sleep=time.sleep, kept=InMemory(time.monotonic))
    sent_at = time.now
    for _ in range(8):
        time.now += 0.001
        rate_limit.slow_down(sent_at, None)
    assert gap_of(rate_limit, time) == pytest.approx(0.15)
    rate_limit.slow_down(time.now, None)
    assert gap_of(rate_limit, time) == pytest.approx(0.225)


def test_all_wait_as_long_as_the_api_asks() -> None:
    time = Ticking()
    rate_limit = RateLimit(10, sleep=time.sleep, kept=InMemory(time.monotonic))
    rate_limit.slow_down(time.now, 7.0)
    rate_limit.wait_turn()
    assert time.now == pytest.approx(57)


def test_the_rate_recovers_by_steps_up_to_the_ceiling() -> None:
    time = Ticking()
    rate_limit = RateLimit(10, sleep=time.sleep, kept=InMemory(time.monotonic))
    rate_limit.slow_down(time.now, None)
    for expected in (0.12, 0.1, 0.1):
        for _ in range(FASTER_AFTER):
            rate_limit.went_well()
        assert gap_of(rate_limit, time) == pytest.approx(expected)


def test_the_rate_never_becomes_slower_than_its_bound() -> None:
    time = Ticking()
    rate_limit = RateLimit(10, sleep=time.sleep, kept=InMemory(time.monotonic))
    for _ in range(20):
        time.now += 1
        rate_limit.slow_down(time.now, None)
    rate_limit.wait_turn()
    assert gap_of(rate_limit, time) == pytest.approx(SLOWEST)


def test_processes_share_one_rate(tmp_path: Path) -> None:
    file = tmp_path / "home" / "rate-limit.json"
    context = multiprocessing.get_context("spawn")
    began = clock.monotonic()
    processes = [context.Process(target=take_turns, args=(file,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    turns = sorted(float(turn) for p in tmp_path.glob("turns-*") for turn in p.read_text().split())
    assert len(turns) == 30
    assert turns[0] >= began
    # A turn is noted a moment after it was taken, so only the sum of the gaps is meaningful.
    assert turns[-1] - turns[0] >= 28 * 0.02


def take_turns(file: Path) -> None:
    rate_limit = RateLimit(50, sleep=clock.sleep, kept=InFile(file))
    turns = []
    for _ in range(10):
        rate_limit.wait_turn()
        turns.append(clock.monotonic())
    name = f"turns-{multiprocessing.current_process().pid}"
    (file.parent.parent / name).write_text(" ".join(map(str, turns)))


@pytest.mark.parametrize("content", [b"", b"{", b"nonsense", b'{"due": 1e12, "gap": 0.2}'])
def test_a_torn_file_or_one_from_before_a_restart_delays_no_request(
    tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "rate-limit.json"
    file.write_bytes(content)
    time = Ticking()
    RateLimit(10, sleep=time.sleep, kept=InFile(file, time.monotonic)).wait_turn()
    assert time.now == 50


def test_a_reply_is_noted_while_another_thread_waits_for_its_turn() -> None:
    asleep, wake = threading.Event(), threading.Event()

    def sleep(_seconds: float) -> None:
        asleep.set()
        assert wake.wait(timeout=10)

    rate_limit = RateLimit(0.1, sleep=sleep, kept=InMemory(lambda: 100.0))
    rate_limit.wait_turn()
    waiting = threading.Thread(target=rate_limit.wait_turn)
    waiting.start()
    assert asleep.wait(timeout=10)
    noted = threading.Thread(target=rate_limit.went_well)
    noted.start()
    noted.join(timeout=10)
    assert not noted.is_alive()
    wake.set()
    waiting.join(timeout=10)


@pytest.mark.parametrize("step", [-1000.0, -60.0, 60.0, 1000.0])
def test_a_clock_that_jumps_while_a_turn_is_awaited_delays_none_and_hastens_one(
    step: float,
) -> None:
    """The clock of a database server can be set; ``true`` time goes on evenly."""
    time, true = Ticking(), [0.0]
    jumps = [0.0, step, 0.0, 0.0, 0.0]

    def sleep(seconds: float) -> None:
        true[0] += seconds
        time.now += seconds + jumps.pop(0)

    rate_limit = RateLimit(2, sleep=sleep, kept=InMemory(time.monotonic))
    turns = []
    for _ in range(5):
        rate_limit.wait_turn()
        turns.append(true[0])
    assert turns == pytest.approx([0, 0.5, 1, 1.5, 2])


@pytest.mark.parametrize("step", [-1000.0, 1000.0])
def test_a_clock_that_jumps_between_turns_hastens_one(step: float) -> None:
    time = Ticking()
    rate_limit = RateLimit(2, sleep=time.sleep, kept=InMemory(time.monotonic))
    rate_limit.wait_turn()
    time.now += step
    jumped = time.now
    turns = []
    for _ in range(4):
        rate_limit.wait_turn()
        turns.append(time.now - jumped)
    assert turns == pytest.approx([0, 0.5, 1, 1.5])


def test_one_that_was_overtaken_waits_for_the_next_turn() -> None:
    """Two processes share a state, and both wait for the same turn: only one gets it."""
    time = Ticking()
    kept = InMemory(time.monotonic)
    other = RateLimit(2, sleep=time.sleep, kept=kept)
    overtaken = []

    def sleep(seconds: float) -> None:
        if not overtaken:
            overtaken.append(other.wait_turn().at)
        else:
            time.sleep(seconds)

    rate_limit = RateLimit(2, sleep=sleep, kept=kept)
    first = rate_limit.wait_turn().at
    second = rate_limit.wait_turn().at
    assert (overtaken[0] - first, second - first) == pytest.approx((0.5, 1.0))


class Away:
    """A state that cannot be reached for some ``times``."""

    def __init__(self, kept: InMemory, times: int) -> None:
        self.kept = kept
        self.times = times

    def change(self, rule: Any) -> Any:
        self.times -= 1
        if self.times >= 0:
            raise LakeUnwritable("It is away.")
        return self.kept.change(rule)


def test_without_the_state_a_request_waits_and_then_fails() -> None:
    time = Ticking()
    away = Away(InMemory(time.monotonic), 3)
    rate_limit = RateLimit(2, sleep=time.sleep, kept=away)
    assert rate_limit.wait_turn().at == 50 + 3 * PAUSE
    away.times = 1000
    began = time.now
    with pytest.raises(LakeUnwritable, match="It is away"):
        rate_limit.wait_turn()
    assert time.now - began == PATIENCE


def test_a_good_answer_stays_good_without_the_state() -> None:
    time = Ticking()
    away = Away(InMemory(time.monotonic), 0)
    rate_limit = RateLimit(2, sleep=time.sleep, kept=away)
    rate_limit.slow_down(rate_limit.wait_turn().at, None)
    away.times = 1000
    rate_limit.went_well()
    assert away.times < 1000


def test_a_good_answer_at_full_speed_costs_no_look_at_the_state() -> None:
    away = Away(InMemory(), 0)
    rate_limit = RateLimit(2, sleep=clock.sleep, kept=away)
    rate_limit.wait_turn()
    looks = away.times
    rate_limit.went_well()
    assert away.times == looks
