"""One hour that always fails, under the real dagster-daemon in both of its forms, for 20 minutes.

The pauses must survive every code server that the daemon replaces: the hour is polled at once,
after 5 and after 15 minutes, and at no other time.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

from proof.result import Result
from support.daemons import FORMS, Daemon, daemon, one_hour_due
from support.world import KEY, USER_NAME, World

from returns_orchestration.simulator import Simulator, SimulatorOptions

MINUTE = timedelta(minutes=1)
EXPECTED = (0, 5, 15, 35)
"""Minutes after the first attempt at which the hour is polled; each pause is twice the last."""

EARLIEST, LATEST = -MINUTE / 4, 2 * MINUTE
"""The sensor looks once a minute, and each run, also the first, takes some seconds to start."""


def pauses_last(cases: int, seed: int) -> Result:
    """``cases`` minutes under each form, side by side."""
    result, servers = Result(seed, tried=cases), []
    _, variables = one_hour_due()
    with ExitStack() as stack:
        running: list[tuple[str, Daemon]] = []
        for form in FORMS:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            options = SimulatorOptions(key=KEY, user_name=USER_NAME, seed=seed, returns_per_hour=1)
            simulator = Simulator(options)
            simulator.faults = ["503:*"]
            base_url = stack.enter_context(simulator.running())
            world = World(folder, simulator, base_url, variables)
            running.append((form, stack.enter_context(daemon(world, form))))
        for form, one in running:
            one.wait(lambda of: bool(of.attempts()), 3 * MINUTE)
            end = one.attempts()[0] + cases * MINUTE
            one.wait(lambda _, end=end: datetime.now(UTC) >= end, (cases + 1) * MINUTE)
            result.faults += [f"{form}: {fault}" for fault in _wrong(one.attempts(), cases)]
            servers.append(f"{len(one.code_servers)} code servers under form `{form}`")
    result.notes = ", ".join(servers)
    return result


def _wrong(attempts: list[datetime], minutes: int) -> Iterator[str]:
    """The faults of attempts that were observed for that many minutes after the first one."""
    after = [at - attempts[0] for at in attempts]
    due = [minute * MINUTE for minute in EXPECTED if (minute * MINUTE + LATEST) <= minutes * MINUTE]
    in_time = [a - d for a, d in zip(after, due, strict=False)]
    if len(after) != len(due) or not all(EARLIEST <= late <= LATEST for late in in_time):
        told, wanted = ([str(moment) for moment in moments] for moments in (after, due))
        yield f"asked {told} after the first attempt, and not {wanted}"
