"""Lost webhooks reach a second receiver, whenever the command that sends them was killed.

Three of a hundred webhooks were lost. The command is killed again and again, before, during and
after an attempt. At the end the second receiver has each lost return, but for those that are
reported as uncertain: at most one for each kill.
"""

from __future__ import annotations

import random
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from flow.conftest import FakeApi
from proof.result import Result
from support import forked
from support.receive_process import ended, free_port, started
from support.receivers import KEY, bodies
from support.webhooks import pipeline, received

from returns_orchestration.flow.redeliver import UNCERTAIN, Redeliverer, Target
from returns_orchestration.lake import Lake, open_store
from returns_orchestration.simulator import Dataset, SimulatorOptions, WebhookOptions, Webhooks
from returns_orchestration.stages.typing import RecordReader
from returns_orchestration.stages.webhooks import Event, read_body
from returns_orchestration.state.verify import Verifier
from returns_orchestration.window import Window, windows_between

START = datetime(2026, 11, 9, tzinfo=UTC)
LOSS = 0.03
A_RUN = 3
"""Deliveries that a run makes before it is killed, on average."""

AN_HOUR = 400
SECONDS = 0.01


def redelivered_under_kills(kills: int, seed: int) -> Result:
    """SIGKILLs of the command; see above."""
    result, dice = Result(seed), random.Random(seed)
    hours = -(-kills * A_RUN // round(AN_HOUR * LOSS))
    end = START + timedelta(hours=hours)
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        lake = _lake(folder, seed, end)
        url = f"http://127.0.0.1:{port}/clickpost"
        wanted = {one.reference for one in _many(folder, url).lost(_windows(end))}
        second = folder / "second"
        second.mkdir()
        process = started(second, port, drain_seconds=0.2)
        try:
            for _ in range(kills):
                _killed(folder, url, end, dice.expovariate(1 / (A_RUN * SECONDS)))
                result.tried += 1
            outcome = _many(folder, url).send(_windows(end))
        finally:
            process.terminate()
        if code := ended(process):
            result.faults.append(f"The second receiver ended with {code}.")
        there = _references(bodies(second / "lake"))
        uncertain = {one.reference for one in outcome.uncertain}
        result.faults += [f"{r} did not arrive" for r in sorted(wanted - there - uncertain)[:5]]
        if there - wanted:
            result.faults.append(f"{len(there - wanted)} arrived that were not lost.")
        if len(uncertain) > kills or outcome.why or outcome.refused:
            result.faults.append(f"{len(uncertain)} uncertain, {len(outcome.refused)} refused")
        result.faults += [found.text for found in Verifier(lake, ZoneInfo("UTC")).everything()]
        again = _many(folder, url).lost(_windows(end))
        unsure = {one.reference for one in again if one.why_not == UNCERTAIN}
        if unsure != uncertain:
            result.faults.append("Another call reports others as uncertain.")
        result.notes = f"{len(wanted):,} lost webhooks, {len(uncertain)} uncertain"
    return result


def _windows(end: datetime) -> list[Window]:
    return list(windows_between(START, end))


def _lake(folder: Path, seed: int, end: datetime) -> Lake:
    """A lake of both sources, in which some webhooks were lost and all verdicts are final."""
    lake = Lake(open_store(str(folder / "lake")), lambda: end + timedelta(days=1))
    options = SimulatorOptions(
        seed=seed, returns_per_hour=AN_HOUR, rhythm=False, oddities=0.0, late_share=0.0
    )
    dataset = Dataset(options)
    events = Webhooks(dataset, WebhookOptions(loss=LOSS, states=False)).of_returns(START, end)
    came = sorted((at, event.body) for event in events for at in event.sent_at)
    received(lake, *came)
    for window in _windows(end):
        at = window.end + timedelta(minutes=10)
        texts = [record.json.decode() for record in dataset.served(window.start, window.end, at)]
        FakeApi(lambda _, texts=texts: texts, always_at=at).run(lake, [window])
    dates = {window.start.date() for window in _windows(end)}
    pipeline(lake, end + timedelta(days=1)).run(dates)
    return lake


def _many(folder: Path, url: str) -> Redeliverer:
    lake = Lake(open_store(str(folder / "lake")))
    return Redeliverer(lake, RecordReader(ZoneInfo("UTC")), Target(url, KEY), lambda _: None)


def _send(folder: str, url: str, end: datetime) -> None:
    many = _many(Path(folder), url)
    many.send(_windows(end))


def _killed(folder: Path, url: str, end: datetime, seconds: float) -> None:
    """A call that is killed so long after its first attempt."""
    notes = folder / "lake" / "_redelivered"
    before = _count(notes)
    process = forked.context().Process(target=_send, args=(str(folder), url, end))
    process.start()
    while process.is_alive() and _count(notes) == before:
        process.join(0.001)
    process.join(seconds)
    process.kill()
    process.join()


def _count(notes: Path) -> int:
    return sum(1 for _ in notes.rglob("*.*"))


def _references(found: list[bytes]) -> set[str]:
    reader, now = RecordReader(ZoneInfo("UTC")), datetime.now(UTC)
    events = (read_body(reader, body, now) for body in found)
    return {event.reference for event in events if isinstance(event, Event)}
