"""Verdicts about webhooks equal the truth once they are final, in whatever order things happen.

So do the returns that polls and webhooks brought together: each is there once, of the sources that
brought it, and a rebuild gives the same bytes.

A life: returns of some hours, of which the API shows some late; webhooks that are lost, doubled,
late and shuffled; times in which the receiver is down; polls and re-polls; runs of the tables of
webhooks at any time; some polls and runs are killed. The simulator knows each event's fate.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from flow.conftest import FakeApi
from obstore.store import MemoryStore
from proof.result import Result
from support.lakes import OF_ALL_TIME, outside_quarantine
from support.mortal_store import Killed, MortalStore
from support.webhooks import pipeline, received, receiver_note, rows

from returns_orchestration import tables
from returns_orchestration.flow.rebuild import Rebuilder
from returns_orchestration.lake import Lake
from returns_orchestration.lake.store import ObjectStore
from returns_orchestration.simulator import (
    Dataset,
    SentWebhook,
    SimulatorOptions,
    WebhookOptions,
    Webhooks,
)
from returns_orchestration.state.verify import Verifier
from returns_orchestration.window import Window, windows_between

START = datetime(2026, 11, 9, 6, tzinfo=UTC)
HOURS = 2
END = START + timedelta(hours=HOURS)
AGES = (timedelta(minutes=10), *(timedelta(hours=age) for age in (1, 6, 24, 72)))
FINAL = END + timedelta(hours=80)
FAR = 0.4
"""The share of lives in which webhooks come a day or two later, without the request's time."""


class Life:
    """One life, all of which follows from its seed."""

    def __init__(self, seed: int) -> None:
        self._dice = dice = random.Random(seed)
        self._objects = MemoryStore()
        self._ages = AGES[: dice.choice([4, 5])]
        self._dataset = Dataset(
            SimulatorOptions(
                seed=seed,
                returns_per_hour=3,
                rhythm=False,
                oddities=0.0,
                late_share=dice.choice([0.0, 0.3, 0.8]),
                late_by=(timedelta(minutes=15), timedelta(hours=dice.choice([2, 30, 71]))),
            )
        )
        options = WebhookOptions(
            loss=dice.choice([0.0, 0.1, 0.5]),
            twice=dice.choice([0.0, 0.3]),
            delay=(timedelta(seconds=1), timedelta(minutes=dice.choice([1, 90, 600]))),
            shuffle=dice.random() < 0.5,
        )
        events = Webhooks(self._dataset, options).of_returns(START, END)
        is_far = dice.random() < FAR
        self._events = [self._later(event) for event in events] if is_far else list(events)
        down = START + timedelta(hours=dice.uniform(0, HOURS))
        self._down = down, down + timedelta(hours=dice.choice([0, 1, 3]))
        self.kills = 0

    def run(self) -> list[str]:
        """Live it; gives what is wrong at the end."""
        listened_before = START - timedelta(hours=1)
        received(self._lake(), (listened_before, b"{}"), instance="00000000")
        self._lake().webhooks.note(receiver_note(began=listened_before, at=listened_before))
        steps: list[tuple[datetime, Any]] = []
        for number, (at, event) in enumerate(self._delivered(), 1):
            steps.append((at, ("deliver", number, event.body)))
        for window in windows_between(START, END):
            steps += [(window.end + age, ("poll", window)) for age in self._ages]
        for _ in range(self._dice.randrange(1, 7)):
            at = START + (FINAL - START) * self._dice.random() ** 3
            steps.append((at, ("make",)))
        for at, step in sorted(steps, key=lambda one: one[0]):
            self._take(at, step)
        pipeline(self._lake(), FINAL).run({START.date() + timedelta(days=n) for n in range(4)})
        # As the sensor `missing_hours` does where a run was killed between an hour and its day.
        many = FakeApi(lambda _: []).pipeline(self._lake())
        list(many.run(list(windows_between(START, END)), poll=False, missing_only=True))
        return self._wrong()

    def _later(self, event: SentWebhook) -> SentWebhook:
        """A webhook that a return was placed, a day or two later and without its request's time.

        Only of a return that polls serve, as without them nobody knows its hour.
        """
        if not event.is_placed or event.reference not in self._served():
            return event
        later = timedelta(hours=self._dice.uniform(15, 48))
        content = json.loads(event.body)
        payload = content.get("payload", content)
        payload["timestamp"] = (event.event_at + later).isoformat()
        for place in (content, payload, payload["additional"]):
            place.pop("request_placed_time", None)
        sent_at = tuple(at + later for at in event.sent_at)
        return replace(event, body=json.dumps(content).encode(), sent_at=sent_at)

    def _lake(self, left: int | None = None) -> Lake:
        """The lake as it is; with ``left`` the process dies after so many changes."""
        store = (
            ObjectStore(self._objects, "memory://lake")
            if left is None
            else MortalStore(self._objects, left)
        )
        return Lake(store, lambda: FINAL)

    def _delivered(self) -> list[tuple[datetime, SentWebhook]]:
        """What reached the receiver, in order; what came while it was down is lost."""
        begin, end = self._down
        found = [
            (at, event)
            for event in self._events
            for at in event.sent_at
            if not begin <= at < end and at < FINAL - timedelta(hours=1)
        ]
        return sorted(found, key=lambda one: one[0])

    def _take(self, at: datetime, step: Any) -> None:
        if step[0] == "deliver":
            received(self._lake(), (at, step[2]), first=step[1])
        elif step[0] == "poll":
            window: Window = step[1]
            served = self._dataset.served(window.start, window.end, at)
            texts = [record.json.decode() for record in served]
            if self._dice.random() < 0.3:
                with suppress(Killed):
                    self._poll(window, at, texts, self._dice.randrange(30))
                    self.kills -= 1
                self.kills += 1
            self._poll(window, at, texts)
        else:
            left = self._dice.randrange(40) if self._dice.random() < 0.5 else None
            try:
                pipeline(self._lake(left), at).run()
            except Killed:
                self.kills += 1

    def _poll(
        self, window: Window, at: datetime, texts: list[str], left: int | None = None
    ) -> None:
        many = FakeApi(lambda _: texts, always_at=at).pipeline(self._lake(left))
        many.clock = lambda: at
        list(many.run([window]))

    def _wrong(self) -> list[str]:
        lake = self._lake()
        matched = rows(lake, tables.WEBHOOK_MATCHES, self._all_windows())
        found = {row["return_reference_number"]: row["verdict"] for row in matched}
        truth = self.truth()
        faults = [
            f"{reference}: {found.get(reference)} and not {truth.get(reference)}"
            for reference in sorted(truth.keys() | found.keys())
            if found.get(reference) != truth.get(reference)
        ]
        if len(matched) != len(found):
            faults.append(f"{len(matched)} verdicts about {len(found)} returns")
        zone = pipeline(lake, FINAL).zone
        faults += [finding.text for finding in Verifier(lake, zone).everything()]
        events = rows(lake, tables.WEBHOOK_EVENTS, self._all_windows())
        came = sum(row["deliveries"] for row in events)
        if came != len(self._delivered()):
            faults.append(f"{came} deliveries are in events, {len(self._delivered())} came")
        return faults + self._wrong_returns(lake)

    def _wrong_returns(self, lake: Lake) -> list[str]:
        """What is wrong in the tables of returns."""
        windows = self._all_windows()
        found = rows(lake, tables.RETURNS, windows)
        sources = {row["return_reference_number"]: row["sources"] for row in found}
        expected = self._sources()
        faults = [
            f"{reference}: of {sources.get(reference)} and not {expected.get(reference)}"
            for reference in sorted(expected.keys() | sources.keys())
            if sources.get(reference) != expected.get(reference)
        ]
        if len(found) != len(sources):
            faults.append(f"{len(found)} rows of {len(sources)} returns")
        counted = sum(
            row["returns"] for row in rows(lake, tables.BY_NAME["refund_modes_hourly"], windows)
        )
        if counted != len(expected):
            faults.append(f"{counted} returns are counted, {len(expected)} were brought")
        before = self._tables(lake)
        many = FakeApi(lambda _: []).pipeline(lake)
        many.webhooks = pipeline(lake, FINAL)
        Rebuilder(many).rebuild(START - timedelta(days=1), FINAL)
        after = self._tables(lake)
        changed = sorted(p for p in before.keys() | after.keys() if before.get(p) != after.get(p))
        return faults + [f"a rebuild changed {path}" for path in changed]

    @staticmethod
    def _tables(lake: Lake) -> dict[str, bytes | None]:
        files = outside_quarantine(lake.store)
        return {p: files[p] for p in files if not p.startswith(("_", *OF_ALL_TIME))}

    def _sources(self) -> dict[str, list[str]]:
        """Which sources brought each return."""
        placed = {event.reference for _, event in self._delivered() if event.is_placed}
        found: dict[str, list[str]] = {}
        for reference, verdict in self.truth().items():
            polled = ["poll"] if verdict in {"both", "poll_only"} else []
            told = ["webhook"] if reference in placed else []
            if polled or told:
                found[reference] = polled + told
        return found

    def _all_windows(self) -> list[Window]:
        return list(windows_between(START - timedelta(hours=1), FINAL))

    def truth(self) -> dict[str, str]:
        """The verdict of each return that either source brought."""
        placed = {event.reference for _, event in self._delivered() if event.is_placed}
        any_event = {event.reference for _, event in self._delivered()}
        served, found = self._served(), dict[str, str]()
        for one in self._dataset.returns_between(START, END, FINAL + timedelta(days=30)):
            if one.reference in served:
                found[one.reference] = "both" if one.reference in placed else "poll_only"
            elif one.reference in any_event:
                found[one.reference] = "webhook_only"
        return found

    def _served(self) -> set[str]:
        """The returns that a poll serves sooner or later."""
        return {
            one.reference
            for window in windows_between(START, END)
            for one in self._dataset.returns_between(
                window.start, window.end, window.end + self._ages[-1]
            )
        }


def verdicts_are_true(lives: int, seed: int) -> Result:
    """So many lives; every verdict at the end is the truth."""
    result = Result(seed)
    kills, counts = 0, Counter[str]()
    for number in range(lives):
        life = Life(seed * 10_000 + number)
        wrong = life.run()
        result.faults += [f"life {number}: {fault}" for fault in wrong[:5]]
        kills += life.kills
        counts.update(life.truth().values())
        result.tried += 1
    shown = ", ".join(f"{count:,} {verdict}" for verdict, count in sorted(counts.items()))
    result.notes = f"{shown}; {kills} kills"
    return result
