"""An API whose ``Date`` is wrong, invalid, absent, old or stepping back; our clock is right.

Until it is right again, an accepted date moves the times of polls, and hours that are not over by
it are refused in words; no served return may be lost, doubled or out of order.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import parse_qs

from proof.corruption import findings
from proof.truth import wrong_with_tables
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from support.world import BRIEF, HASTY, World

from returns_orchestration.errors import ClockAhead
from returns_orchestration.flow.from_settings import build_pipeline
from returns_orchestration.flow.outcomes import Failed, Polled, Stopped
from returns_orchestration.simulator import Simulator, SimulatorOptions
from returns_orchestration.window import Window
from returns_orchestration.words import duration

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
OFF = [MINUTE * n for n in (4, 6, 50, 330)] + [DAY * n for n in (1, 20, 30, 32, 400)]
NO_DATES = None, "", "garbage", "Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 99 Foo 2026", "0", "\xff"
"""Dates that must be ignored; None: the header is absent."""


class Misdated:
    """An API's application that sends for each hour the ``Date`` set for it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.told: dict[str, str | None] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        (start,) = parse_qs(scope["query_string"].decode())["start_time"]

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start" and start in self.told:
                kept = [pair for pair in message["headers"] if pair[0] != b"date"]
                date = self.told[start]
                told = [] if date is None else [(b"date", date.encode("latin-1"))]
                message = message | {"headers": [*kept, *told]}
            await send(message)

        await self._app(scope, receive, sending)


class Moods:
    """The API's dates for a while: how far off the next one is, or which text."""

    def __init__(self, dice: random.Random, now: datetime) -> None:
        self._dice = dice
        self._kind = dice.choice(["off", "off", "no date", "frozen", "stepping back", "mixed"])
        self._off = dice.choice(OFF) * dice.choice([1, -1])
        self._no_date = dice.choice(NO_DATES)
        self._frozen = now - dice.choice([0, 3, 20, 90]) * MINUTE

    def next(self, now: datetime) -> timedelta | str | None:
        """How far the next date is off, or its text, or None for no header."""
        kind = self._kind
        if kind == "mixed":  # several servers, each with a clock of its own
            kind = self._dice.choice(["off", "no date", "right"])
            self._off = self._dice.choice(OFF) * self._dice.choice([1, -1])
            self._no_date = self._dice.choice(NO_DATES)
        if kind == "stepping back":
            self._off -= self._dice.choice([0, 7, 45]) * MINUTE
        if kind == "frozen":
            return self._frozen - now
        if kind == "right":
            return timedelta(0)
        return self._no_date if kind == "no date" else self._off


def api_date(folder: Path, dice: random.Random) -> Iterator[str]:
    """Polls while the API's dates are wrong, between polls with right ones, and after them."""
    noon = datetime.fromisoformat("2026-11-20T12:00+00:00")
    windows = [Window(noon + number * HOUR) for number in range(4)]
    options = SimulatorOptions(
        returns_per_hour=4,
        edges=True,
        oddities=0,
        rhythm=False,
        late_share=0.4,
        edge_rule=dice.choice(["[)", "[]"]),
        seed=dice.randrange(1_000_000),
    )
    simulator = Simulator(options)
    misdated = simulator.app = Misdated(simulator.app)  # type: ignore[assignment]
    with simulator.running() as base_url:
        world = World(folder, simulator, base_url)
        now = windows[1].end + dice.randrange(2, 50) * MINUTE
        for _ in range(dice.randrange(2, 5)):
            mood = Moods(dice, now)
            for _ in range(dice.randrange(1, 3)):
                over = [window for window in windows if window.end <= now]
                plan = {window: mood.next(now) for window in over}
                yield from _polled(world, misdated, plan, now)
                now += dice.choice([11 * MINUTE, 20 * MINUTE, HOUR, 5 * HOUR])
        now = max(now, windows[-1].end + 40 * HOUR)
        right: dict[Window, timedelta | str | None] = dict.fromkeys(windows, timedelta(0))
        yield from _polled(world, misdated, right, now)
        yield from wrong_with_tables(world, windows, now)
        before = world.files()
        # At the same moment, or a courier may have been assigned meanwhile.
        yield from _polled(world, misdated, right | {windows[0]: OFF[-2]}, now)
        if world.files() != before:
            yield "polled once more, the same again is something new"
        yield from (finding.text for finding in findings(world))


def _polled(
    world: World,
    misdated: Misdated,
    plan: dict[Window, timedelta | str | None],
    now: datetime,
) -> Iterator[str]:
    """Poll the hours of ``plan`` while the API sends its dates; check each outcome."""
    world.set_clock(lambda: now)
    misdated.told = {
        window.on_the_wire(world.settings.time_zone)[0]: (
            format_datetime(now + date, usegmt=True) if isinstance(date, timedelta) else date
        )
        for window, date in plan.items()
    }
    believed = {
        window: date if isinstance(date, timedelta) and abs(date) <= 31 * DAY else timedelta(0)
        for window, date in plan.items()
    }
    off = {w: date if abs(date) > 5 * MINUTE else timedelta(0) for w, date in believed.items()}
    refused = {window for window in plan if now + min(believed[window], timedelta(0)) < window.end}
    before, seen = world.files(), set[Window]()
    pipeline = build_pipeline(world.settings, clock=lambda: now, retry=HASTY, timeouts=BRIEF)
    for outcome in pipeline.run(list(plan)):
        if isinstance(outcome, Polled):
            window, poll = outcome.window, outcome.poll
            seen.add(window)
            if (poll.polled_at, poll.clock_ahead) != (now + off[window], -off[window]):
                yield f"at {now}, told {plan[window]}: {poll.polled_at}, {poll.clock_ahead} ahead"
        elif isinstance(outcome, Failed) and isinstance(outcome.error, ClockAhead):
            seen.add(outcome.window)
            words = f"{duration(-believed[outcome.window])} ahead"
            if outcome.window not in refused or words not in str(outcome.error):
                yield f"at {now}, told {plan[outcome.window]}: {outcome.error}"
            refused.discard(outcome.window)
        elif isinstance(outcome, Failed | Stopped):
            yield str(outcome.error)
    yield from (f"{w.text} was not refused at {now}, told {plan[w]}" for w in refused)
    yield from (f"nothing became of {w.text} at {now}" for w in plan.keys() - seen)
    after = world.files()
    yield from (
        f"{path} is no longer what it was"
        for path in _raw(before)
        if after.get(path) != before[path]
    )


def _raw(files: dict[str, bytes]) -> list[str]:
    return [path for path in files if path.startswith("raw_returns/")]
