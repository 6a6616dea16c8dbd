"""Clocks and calendars: ends of years, leap days and seconds, zones, clocks set wrong.

Each case is a separate scene, in turn: of a calendar, a zone, a second, a clock, the API's date,
and sometimes a daemon whose machine has a wrong clock for some hours.
"""

from __future__ import annotations

import itertools
import json
import logging
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from proof import daemon_clock
from proof.api_date import api_date
from proof.corruption import findings
from proof.result import Result
from proof.serving import serving
from proof.truth import wrong_with_tables
from support.records import on_the_wire, returned
from support.world import BRIEF, HASTY, World

from returns_orchestration.errors import ClockAhead, NotOver
from returns_orchestration.flow.from_settings import build_pipeline
from returns_orchestration.flow.outcomes import Failed, Made, Polled, Stopped
from returns_orchestration.simulator import Simulator, SimulatorOptions
from returns_orchestration.window import Window
from returns_orchestration.words import duration

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
UTC = ZoneInfo("UTC")
EVENTS = (
    ("2026-12-31T18:30", "Asia/Kolkata"),  # a year ends in India, within an hour
    ("2027-01-01T00:00", "UTC"),
    ("2028-02-28T18:30", "Asia/Kolkata"),  # a leap day begins
    ("2028-03-01T00:00", "UTC"),
    ("2026-03-08T07:00", "America/New_York"),  # clocks go forward
    ("2026-11-01T06:00", "America/New_York"),  # and back
    ("2026-04-04T15:00", "Australia/Lord_Howe"),  # by half an hour
    ("2026-10-03T15:30", "Australia/Lord_Howe"),
    ("2026-12-31T18:15", "Asia/Kathmandu"),
    ("2026-12-31T10:00", "Pacific/Kiritimati"),
)
"""Moments at which a calendar changes, each with its zone."""

NAIVE_ZONES = ("UTC", "Asia/Kolkata", "Asia/Kathmandu")
"""Zones for an API that writes no zone: none of them changes its clocks."""


def whatever_the_clock(cases: int, seed: int) -> Result:
    """``cases`` scenes; every twelfth is of a daemon, the others alternate."""
    dice, result, seen = random.Random(seed), Result(seed), Counter[str]()
    logging.getLogger("returns_orchestration").setLevel(logging.CRITICAL)
    turns, steps = itertools.cycle(SCENES), itertools.cycle(daemon_clock.STEPS)
    for number in range(cases):
        is_daemon = number % 12 == 5
        name = "daemon" if is_daemon else next(turns)
        scene = partial(daemon_clock.lives, ahead=next(steps)) if is_daemon else SCENES[name]
        seen[name] += 1
        with tempfile.TemporaryDirectory() as folder:
            wrong = list(scene(Path(folder), random.Random(dice.randrange(2**32))))
        result.faults += [f"{number}, {name}: {fault}" for fault in wrong]
        result.tried += 1
    result.notes = ", ".join(f"{count} of a {name}" for name, count in sorted(seen.items()))
    return result


@contextmanager
def simulated(folder: Path, variables: dict[str, str], **options: object) -> Iterator[World]:
    """A simulator with returns at every edge, and the settings of the scene."""
    chosen = {"returns_per_hour": 4, "edges": True, "oddities": 0, "rhythm": False} | options
    simulator = Simulator(SimulatorOptions(**chosen))  # type: ignore[arg-type]
    with simulator.running() as base_url:
        yield World(folder, simulator, base_url, variables)


def around(moment: datetime) -> list[Window]:
    """The five hours around a moment."""
    return [Window.of(moment + number * HOUR) for number in range(-3, 2)]


def calendar(folder: Path, dice: random.Random) -> Iterator[str]:
    """Hours, days and naive times where years, months and days of other lengths meet."""
    text, report_zone = dice.choice(EVENTS)
    windows = around(datetime.fromisoformat(f"{text}+00:00"))
    api_zone, moment = dice.choice(NAIVE_ZONES), windows[-1].end + HOUR
    variables = {"CLICKPOST_TIME_ZONE": api_zone, "RETURNS_REPORT_TIME_ZONE": report_zone}
    options = {
        "zone": api_zone,
        "oddities": 1,
        "only_oddities": ("naive-times",),
        # Returns without an oddity write Z, which is right only in UTC.
        "edges": api_zone == "UTC",
        "mps_share": 0.03 * (api_zone == "UTC"),
        "edge_rule": dice.choice(["[)", "[]"]),
        "seed": dice.randrange(1_000_000),
    }
    with simulated(folder, variables, **options) as world:
        world.set_clock(lambda: moment)
        pipeline = build_pipeline(world.settings, clock=lambda: moment, retry=HASTY, timeouts=BRIEF)
        hours = dice.sample(windows, len(windows))
        outcomes = list(pipeline.run(hours))
        yield from (str(o.error) for o in outcomes if isinstance(o, Failed | Stopped))
        wrong = wrong_with_tables(world, windows, moment)
        yield from (f"{text}, {report_zone}: {fault}" for fault in wrong)
        yield from (finding.text for finding in findings(world))


def another_zone(folder: Path, dice: random.Random) -> Iterator[str]:
    """An API that reads and writes the time of another zone than the set one, and labels it UTC."""
    zone = dice.choice(["Asia/Kolkata", "Asia/Kathmandu", "America/New_York"])
    windows = around(datetime.fromisoformat("2026-11-20T12:00+00:00"))
    moment = windows[-1].end + HOUR
    off = ZoneInfo(zone).utcoffset(moment)
    assert off is not None
    with simulated(folder, {}, zone=zone, seed=dice.randrange(1_000_000)) as world:
        world.set_clock(lambda: moment + timedelta(days=1))
        pipeline = build_pipeline(world.settings, clock=lambda: moment, retry=HASTY, timeouts=BRIEF)
        outcomes = list(pipeline.run(windows))
        yield from (str(o.error) for o in outcomes if isinstance(o, Failed | Stopped))
        words = f"{off / HOUR:+.2f} hours off; check CLICKPOST_TIME_ZONE"
        for made in (o for o in outcomes if isinstance(o, Made)):
            (claim,) = [
                c for c in made.built.claims["returns"] if c.name == "request_times_are_in_utc"
            ]
            if claim.holds or words not in claim.figures:
                yield f"{zone}: {made.window.text} says {claim.figures!r}"
        truth = world.simulator.dataset.returns_between(
            windows[0].start - off, windows[-1].end - off, moment + timedelta(days=1)
        )
        kept = world.scan("returns").get_column("return_reference_number").to_list()
        if sorted(kept) != sorted(true.reference for true in truth):
            yield f"{zone}: {len(kept)} returns of {len(truth)}"
        yield from (finding.text for finding in findings(world))


def leap_second(folder: Path, dice: random.Random) -> Iterator[str]:
    """A return in second 60 belongs to the next hour, whichever windows serve it."""
    end = datetime.fromisoformat(dice.choice(["2016-12-31", "2026-06-30"]) + "T23:59:59+00:00")
    fraction = dice.choice(["", ".5", ".702402", ".999999999"])
    true = end + timedelta(seconds=1, microseconds=int((fraction[1:] or "0")[:6].ljust(6, "0")))
    india = f"{end + 330 * MINUTE:%Y-%m-%d%%s%H:%M:60}{fraction}"
    text, zone = dice.choice(
        [
            (f"{end:%Y-%m-%dT%H:%M:60}{fraction}Z", "UTC"),
            (f"{end:%Y-%m-%d %H:%M:60}{fraction}", "UTC"),
            (india % "T" + "+05:30", "UTC"),
            (india % " ", "Asia/Kolkata"),
        ]
    )
    body = {"meta": {"success": True, "status": 200, "message": "SUCCESS"}, "result": []}
    record = returned("R-60", end) | {"Return Request Timestamp": text}
    served = json.dumps(body).replace("[]", f"[{on_the_wire(record)}]").encode()
    before, after = Window.of(end), Window.of(true)
    serve = dice.choice([{before}, {after}, {before, after}])
    with serving() as server:
        world = World(folder, Simulator(), server.base_url, {"CLICKPOST_TIME_ZONE": zone})
        pipeline = build_pipeline(world.settings, clock=lambda: true + HOUR * 3, retry=HASTY)
        for window in dice.sample([before, after], 2):
            server.body = served if window in serve else json.dumps(body).encode()
            outcomes = list(pipeline.run([window]))
            yield from (str(o.error) for o in outcomes if isinstance(o, Failed | Stopped))
        rows = world.scan("returns").select("requested_at", "quality").rows()
        if [at for at, _ in rows] != [true] or "requested_at" in rows[0][1]:
            yield f"{text} was read as {rows}"
        counted = world.scan("refund_modes_hourly").rows()
        if [hour for hour, *_ in counted] != [after.start]:
            yield f"{text} was counted in {counted}"
        yield from (finding.text for finding in findings(world))


def stepping_clock(folder: Path, dice: random.Random) -> Iterator[str]:
    """Polls by a clock that jumps back and forth: the last served values count; it is reported."""
    windows = around(datetime.fromisoformat("2026-11-20T12:00+00:00"))
    rule, seed = dice.choice(["[)", "[]"]), dice.randrange(1_000_000)
    with simulated(folder, {}, late_share=0.4, edge_rule=rule, seed=seed) as world:
        now, ahead = windows[2].end + MINUTE, timedelta(0)
        world.set_clock(lambda: now)
        for _ in range(dice.randrange(2, 6)):
            ahead = dice.choice(STEPS) * dice.choice([1, 1, -1])
            yield from _polled(world, dice.sample(windows, len(windows)), now, ahead)
            now += dice.choice([20 * MINUTE, HOUR, 5 * HOUR])
        now = max(now, windows[-1].end + 40 * HOUR)
        yield from _polled(world, windows, now, _sees_all_over(ahead))
        yield from wrong_with_tables(world, windows, now)
        before = world.files()
        yield from _polled(world, windows, now + MINUTE, _sees_all_over(-ahead))
        if world.files() != before:
            yield "polled once more, the same again is something new"
        yield from (finding.text for finding in findings(world))


def _sees_all_over(ahead: timedelta) -> timedelta:
    """The same, or 0 where a clock is so far behind that every hour is in its future."""
    return ahead if ahead >= timedelta(days=-31) else timedelta(0)


STEPS = [n * MINUTE for n in (0, 4, 40, 330, 24 * 60, 1_000_000)]


def _polled(world: World, hours: list[Window], now: datetime, ahead: timedelta) -> Iterator[str]:
    """Poll by a clock that is ``ahead``; an hour that is not over is refused, in words."""
    pipeline = build_pipeline(
        world.settings, clock=lambda: now + ahead, retry=HASTY, timeouts=BRIEF
    )
    disagree = 5 * MINUTE < abs(ahead) <= timedelta(days=31)
    believed = {now} if disagree else {now + ahead}
    if abs(ahead) <= 5 * MINUTE:
        believed.add(now)
    refused = {w for w in hours if w.end > min(believed)}
    for outcome in pipeline.run(hours):
        if isinstance(outcome, Polled) and bool(outcome.poll.clock_ahead) != disagree:
            yield f"{ahead} ahead, and told {outcome.poll.clock_ahead}"
        if isinstance(outcome, Failed) and isinstance(outcome.error, ClockAhead | NotOver):
            seen_over = outcome.window.end <= now + ahead
            words = f"{duration(ahead)} ahead" if seen_over else "before its end"
            if outcome.window not in refused or words not in str(outcome.error):
                yield f"{ahead} ahead: {outcome.error}"
            refused.discard(outcome.window)
        elif isinstance(outcome, Failed | Stopped):
            yield str(outcome.error)
    yield from (f"{w.text} was not refused, {ahead} ahead" for w in refused)


Scene = Callable[[Path, random.Random], Iterator[str]]
SCENES: dict[str, Scene] = {
    "calendar": calendar,
    "zone": another_zone,
    "leap second": leap_second,
    "stepping clock": stepping_clock,
    "wrong date": api_date,
}
