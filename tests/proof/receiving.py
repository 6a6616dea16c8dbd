"""Webhooks that were answered with 200 are in the lake, whenever their receiver was killed."""

from __future__ import annotations

import random
import tempfile
import threading
from collections import Counter
from pathlib import Path
from zoneinfo import ZoneInfo

from proof.result import Result
from support.receive_process import Senders, ended, free_port, started
from support.receivers import bodies, deliveries

from returns_orchestration.lake import Lake, open_store
from returns_orchestration.state.verify import Verifier

SENDERS = 8
DRAIN_SECONDS = 0.1
"""So that kills fall into drains, too."""

LONGEST_SECONDS = 0.6


def killed_under_load(kills: int, seed: int) -> Result:
    """SIGKILLs of a receiver under load: each acknowledged delivery is there, byte for byte."""
    result, dice = Result(seed), random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        senders = Senders(port, seed, SENDERS)
        try:
            for _ in range(kills):
                process = started(folder, port, DRAIN_SECONDS)
                threading.Event().wait(dice.random() * LONGEST_SECONDS)
                process.kill()
                process.join()
                result.tried += 1
        finally:
            senders.stop()
        code = ended(started(folder, port, DRAIN_SECONDS))
        if code:
            result.faults.append(f"The last receiver ended with {code}.")
        result.faults += _wrong(folder, senders)
        result.notes = (
            f"{len(senders.acknowledged):,} deliveries acknowledged of "
            f"{sum(senders.sent.values()):,} sent"
        )
    return result


def _wrong(folder: Path, senders: Senders) -> list[str]:
    lake = folder / "lake"
    there = Counter(bodies(lake))
    lost = senders.acknowledged - there.keys()
    often = sum(there[body] > senders.sent[body] for body in there)
    rows = deliveries(lake)
    numbers = rows.select("instance", "position")
    faults = []
    if lost:
        faults.append(f"{len(lost)} acknowledged deliveries are not in the lake.")
    if often:
        faults.append(f"{often} bodies are there more often than they were sent.")
    if numbers.height != numbers.unique().height:
        faults.append("A number was given twice, or a delivery drained twice.")
    found = list(Verifier(Lake(open_store(str(lake))), ZoneInfo("UTC")).everything())
    faults += [finding.text for finding in found]
    if not senders.acknowledged:
        faults.append("Nothing was acknowledged.")
    return faults
