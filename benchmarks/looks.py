"""Code that looks at every hour: `status`, `lateness`, the ticks of sensors and schedules.

Measured over a history of ``hours`` (a year) and of five times as many, each hour complete with one
poll and one event, and once more over five years as in unattended operation, with five polls and
events an hour. Three ticks are distinguished: the first, without a cursor; the next, with the
cursor of the one before, while older hours are still unread; and one when all hours have been read,
the usual tick of a sensor. One that keeps its state in the lake continues from there at each.

The comparisons are: for `status` a bare read of the same journal, for a tick the same tick over a
fifth of the hours, and over as many with one poll; a sensor that does nothing shows what any tick
costs. Medians of five, with the files in the system's cache.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from benchmarks.figures import YEAR_HOURS, Figure, in_words, timed
from benchmarks.history import make_history
from benchmarks.site import Site
from returns_orchestration.cli.status import read_states
from returns_orchestration.defs.code_location import build_defs
from returns_orchestration.defs.instance import open_instance
from returns_orchestration.defs.reports import SENSOR as REPORT
from returns_orchestration.lake import Lake, open_store
from returns_orchestration.lake.journal import JOURNAL
from returns_orchestration.state.lateness import measure as measure_lateness

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from returns_orchestration.window import Window

START = "2021-01-01T00:00:00Z"
YEARS = 5
LOOKED_AT_LEAST = 500
"""Every sensor reads more hours than that in a tick: so it is known when all have been read."""

POLLS_LIVED = 5
GOES = 5
FIRST, NEXT, ALL_READ = "first tick", "next tick", "all read"
IDLE = "a sensor that does nothing"

DERIVATION_ASKED = {YEAR_HOURS: 1.0, YEARS * YEAR_HOURS: 5.0}
"""From a number of hours to the seconds in which their states must be derived."""
TICK_ASKED = 2.0
FLAT_ASKED = 2.0
FLAT_AT_ONCE = 0.05
"""Seconds below which a tick counts as flat: there the noise of the machine is a factor of two."""


@dataclass
class Looked:
    """Seconds of each look over one history; ``ticks`` by the name of sensor and of tick."""

    hours: int
    polls: int
    floor: float = 0.0
    states: float = 0.0
    lateness: float = 0.0
    command: float = 0.0
    start_up: float = 0.0
    ticks: dict[str, float] = field(default_factory=dict)

    @property
    def size(self) -> str:
        """The history in words."""
        return f"{self.hours:,} hours" + (f" of {self.polls} polls" if self.polls > 1 else "")


def measure(folder: Path, hours: int, say: Callable[[str], None]) -> list[Figure]:
    """All looks over three histories, each made in ``folder`` and removed again."""
    sizes = [(hours, 1), (YEARS * hours, 1), (YEARS * hours, POLLS_LIVED)]
    found = [_looked(folder / f"history-{h}-{polls}", h, polls, say) for h, polls in sizes]
    year, years, lived = found
    return [
        *(figure for looked in found for figure in _of_status(looked)),
        *(_of_tick(name, years, year) for name in years.ticks),
        *(_of_tick(name, lived, years) for name in lived.ticks),
    ]


def _of_status(looked: Looked) -> Iterator[Figure]:
    limit = DERIVATION_ASKED.get(looked.hours, 0.0) if looked.polls == 1 else 0.0
    yield Figure(
        f"states of {looked.size}, as `status` knows them",
        in_words(looked.states),
        f"reading the bytes of the same journal: {in_words(looked.floor)}",
        looked.states / looked.floor,
        f"< {limit:g} s",
        looked.states < limit if limit else None,
    )
    yield Figure(
        f"`status --json` of {looked.size}, the whole command",
        in_words(looked.command),
        f"the same of one hour: {in_words(looked.start_up)}",
        looked.command / looked.start_up,
    )
    yield Figure(
        f"`lateness` of {looked.size}, once a day",
        in_words(looked.lateness),
        f"their states: {in_words(looked.states)}",
        looked.lateness / looked.states,
    )


def _of_tick(name: str, looked: Looked, beside: Looked) -> Figure:
    seconds, less = looked.ticks[name], beside.ticks[name]
    # The first tick of a process also opens files and databases for the later ones.
    flat = seconds < max(FLAT_ASKED * less, FLAT_AT_ONCE) or name.endswith(FIRST) or name == IDLE
    judged = looked.hours == YEARS * YEAR_HOURS and looked.polls == 1
    return Figure(
        f"{name}, {looked.size}",
        in_words(seconds),
        f"{beside.size}: {in_words(less)}",
        seconds / less,
        f"< {TICK_ASKED:g} s, < {FLAT_ASKED:g} times",
        seconds < TICK_ASKED and flat if judged else None,
    )


def _looked(folder: Path, hours: int, polls: int, say: Callable[[str], None]) -> Looked:
    looked = Looked(hours, polls)
    site = Site(folder, {"RETURNS_START": START, "CLICKPOST_KEY": "-", "CLICKPOST_USER_NAME": "-"})
    made_in, windows = timed(lambda: make_history(site, hours, polls))
    say(f"made {looked.size} of history in {in_words(made_in)}")
    with site.entered():
        looked.floor, _ = timed(lambda: _read_all(site.lake / JOURNAL), GOES)
        looked.states, states = timed(lambda: read_states(site.settings, windows), GOES)
        if {state.state for state in states} != {"complete"}:
            message = "the history made to be looked at is not complete"
            raise RuntimeError(message)
        _tick_all(site, windows[-1].end + timedelta(minutes=20), looked)
    looked.command = _status(site, windows)
    looked.start_up = _status(site, windows[-1:])
    shutil.rmtree(folder)
    return looked


def _read_all(folder: Path) -> int:
    """Read every file below ``folder`` and discard it; gives the bytes read."""
    read = 0
    for inside, _, names in os.walk(folder):
        for name in names:
            with open(f"{inside}/{name}", "rb") as file:  # noqa: PTH123 - the floor is bare
                read += len(file.read())
    return read


def _status(site: Site, windows: list[Window]) -> float:
    span = windows[0].text, windows[-1].next.text
    return site.product("status", *span, "--json").or_die().seconds


def _tick_all(site: Site, now: datetime, looked: Looked) -> None:
    with open_instance(site.settings) as instance:
        lake = Lake(open_store(str(site.lake)))
        looked.lateness, _ = timed(lambda: measure_lateness(lake))
        repository = build_defs(site.settings, clock=lambda: now).get_repository_def()

        def tick(sensor: dg.SensorDefinition, cursor: str | None) -> Any:  # noqa: ANN401 - Dagster's class is not public
            with dg.build_sensor_context(
                instance, cursor=cursor, repository_def=repository
            ) as context:
                ticked = sensor.evaluate_tick(context)
            if ticked.run_requests and sensor.name != REPORT:  # which is made once a day
                message = f"{sensor.name} asks for hours of a history that is complete"
                raise RuntimeError(message)
            return ticked

        looked.ticks[IDLE], _ = timed(lambda: tick(_idle, None), GOES)
        for sensor in repository.sensor_defs:
            _tick_one(sensor.name, lambda cursor, s=sensor: tick(s, cursor), looked)  # type: ignore[misc]
        for schedule in repository.schedule_defs:

            def evaluate(schedule: dg.ScheduleDefinition = schedule) -> Any:  # noqa: ANN401 - the same
                with dg.build_schedule_context(
                    instance, scheduled_execution_time=now, repository_def=repository
                ) as context:
                    return schedule.evaluate_tick(context)

            looked.ticks[f"schedule `{schedule.name}`"], _ = timed(evaluate, GOES)


def _tick_one(name: str, tick: Callable[[str | None], Any], looked: Looked) -> None:
    ticks = looked.hours // LOOKED_AT_LEAST + 1
    looked.ticks[f"`{name}`, {FIRST}"], first = timed(lambda: tick(None), GOES)
    cursor: str | None = first.cursor
    looked.ticks[f"`{name}`, {NEXT}"], _ = timed(lambda: tick(cursor), GOES)
    for _ in range(ticks):
        cursor = tick(cursor).cursor
    looked.ticks[f"`{name}`, {ALL_READ}"], _ = timed(lambda: tick(cursor), GOES)


@dg.sensor(name="idle", minimum_interval_seconds=3600)
def _idle() -> dg.SkipReason:
    return dg.SkipReason("This is what a tick costs at least.")
