"""A quarter of alerts: false ones in a normal quarter, and how many of 20 planted are found.

2,160 hours after eight weeks of history, by the simulator's rhythm of days, nights and weekends,
with days that differ (a fifth up or down) and a sale week at three times the usual. Then the same
quarter with 20 anomalies planted. Each hour goes through the product's own detectors and incidents,
as in a tick of the sensor. A false incident is one that no planted anomaly explains.
"""

# ruff: noqa: S311 - seeded randomness, not cryptography
from __future__ import annotations

import os
import random
import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from benchmarks.figures import Figure, table
from returns_orchestration.alerts.detection import detect
from returns_orchestration.alerts.life_cycle import Incident, step
from returns_orchestration.alerts.watch import Situation, Watch
from returns_orchestration.settings import load_settings
from returns_orchestration.simulator.catalogue import REASONS, REFUND_MODES
from returns_orchestration.simulator.moments import to_micros
from returns_orchestration.simulator.rhythm import lively_count
from returns_orchestration.state.failing_claims import Evaluation, FailedClaim, remember
from returns_orchestration.state.hour_index import Cause, Found
from returns_orchestration.state.mix import DayMix, most_frequent
from returns_orchestration.window import Day, Window, windows_between

if TYPE_CHECKING:
    from collections.abc import Callable

INDIA = ZoneInfo("Asia/Kolkata")
START = datetime(2026, 7, 6, tzinfo=UTC)
QUARTER = 2_160
HISTORY = 8 * 168
SALE = range(1_000, 1_000 + 168)
SETTINGS = load_settings(Path(os.devnull))
"""The usual shares."""


@dataclass(frozen=True, slots=True)
class Planted:
    """One anomaly: the hours of the quarter it lasts, and the kind of incident it must give."""

    kind: str
    hours: range

    def explains(self, incident: Incident) -> bool:
        """Whether the incident is this one: of its kind, while it lasts or soon after."""
        begin = START + timedelta(hours=self.hours.start)
        end = START + timedelta(hours=self.hours.stop + (30 if "mix" in self.kind else 8))
        return incident.kind == self.kind and begin <= incident.opened_at <= end


def _at(day: int, clock: int, hours: int = 1) -> range:
    """Hours of the quarter from ``clock`` o'clock in India (on the UTC hour before it)."""
    first = day * 24 + clock - 6
    return range(first, first + hours)


PLANTED = (
    *(Planted("surge", _at(day, clock)) for day, clock in ((6, 11), (19, 15), (33, 20), (61, 10))),
    *(Planted("silence", _at(day, 18, 3)) for day in (9, 22, 58, 70)),
    *(Planted("silence", _at(day, 10, 7)) for day in (13, 65)),
    *(Planted("mix shifted", _at(day, 6, 24)) for day in (16, 28, 37, 74, 80, 85)),
    Planted("hours missing", _at(25, 12, 6)),
    Planted("credentials refused", _at(54, 9, 4)),
    Planted("returns rejected", _at(68, 13)),
    Planted("times not as configured", _at(77, 12, 3)),
)
"""Surges of six times the usual, evenings without a return, days at a tenth, a size chart gone
wrong (thrice), a refund mode that is lost or takes over (thrice), an outage, a wrong key, unusable
records, an API that changed its zone."""


@dataclass(slots=True)
class Merchant:
    """The counts and the mix of every hour, drawn with a seed."""

    mean: float
    planted: tuple[Planted, ...]
    seed: int = 1
    _levels: dict[object, float] = field(default_factory=dict)

    def count(self, hour: int, window: Window) -> int:
        """The returns of one hour."""
        day = Day.of(window.start, INDIA).date
        rng = random.Random(f"{self.seed}:{day}")
        level = self._levels.setdefault(day, rng.uniform(0.8, 1.2))
        level *= 3.0 if hour in SALE else 1.0
        drawn = random.Random(f"{self.seed}:{hour}:{self.mean}")
        count = lively_count(to_micros(window.start), self.mean * level, drawn)
        for planted in self.planted:
            if hour in planted.hours and planted.kind == "surge":
                count *= 6
            if hour in planted.hours and planted.kind == "silence":
                count = count // 10 if len(planted.hours) > 3 else 0
        return count

    def mix(self, hour: int, count: int) -> tuple[Counter[str], Counter[str]]:
        """The reasons and refund modes of the returns of one hour."""
        rng = random.Random(f"{self.seed}:{hour}:mix")
        reasons = Counter(rng.choices(REASONS, k=count))
        modes = Counter(str(mode) for mode in rng.choices(REFUND_MODES, k=count))
        shifts = [p for p in self.planted if p.kind == "mix shifted"]
        for number, planted in enumerate(shifts):
            if hour not in planted.hours:
                continue
            if number < 3:  # a third of all others have the wrong size now
                reasons = Counter(
                    "Size Issue" if rng.random() < 0.33 else r for r in reasons.elements()
                )
            elif number == 3:  # paid out to a wallet instead
                modes = Counter("Wallet" if rng.random() < 0.2 else m for m in modes.elements())
            else:
                lost = {"Credits": "Back to source"}
                modes = Counter(lost.get(m, m) for m in modes.elements())
        return reasons, modes


def live(merchant: Merchant) -> list[Incident]:
    """The incidents of the quarter, hour by hour."""
    first = START - timedelta(hours=HISTORY)
    watch = Watch.first(first)
    watch.asked_at = first
    reasons: dict[str, Counter[str]] = {}
    modes: dict[str, Counter[str]] = {}
    incidents: list[Incident] = []
    out = {
        h
        for p in merchant.planted
        if p.kind in {"hours missing", "credentials refused"}
        for h in p.hours
    }
    windows = windows_between(first, START + timedelta(hours=QUARTER))
    for hour, window in enumerate(windows, start=-HISTORY):
        now = window.end + timedelta(minutes=15)
        evaluations = _verdicts(merchant, hour, window, now)
        remember(watch.failing, evaluations)
        if hour in out:
            watch.missing.add([window])
            wrong_key = any(
                p.kind == "credentials refused" and hour in p.hours for p in merchant.planted
            )
            cause = Cause(error="CredentialsRefused" if wrong_key else "ServerFault", at=now)
            watch.causes[window.key] = cause
            watch.refused = cause if wrong_key else None
        else:
            watch.refused = None
            for back in (*(Window.from_key(k) for k in list(watch.causes)), window):
                number = (back.start - START) // timedelta(hours=1)
                _arrive(merchant, number, back, watch, reasons, modes)
                watch.missing.discard([back])
                watch.complete.add([back])
            watch.causes.clear()
        watch.asked_at = now
        if hour < 0:
            continue
        situation = Situation(
            watch=watch,
            opened={i.key: i for i in incidents if i.is_open},
            outboxes={},
            found=Found(),
            newest=window,
            absent="",
            settings=SETTINGS,
            now=now,
        )
        done = step(incidents, detect(situation), now, SETTINGS.alert_policy)
        incidents = _all(incidents, done.incidents)
    return incidents


def _all(before: list[Incident], after: list[Incident]) -> list[Incident]:
    """The state forgets after 30 days; the benchmark does not."""
    known = {incident.number: incident for incident in (*before, *after)}
    return list(known.values())


def _arrive(  # noqa: PLR0913, PLR0917 - what an hour brings, and where it is remembered
    merchant: Merchant,
    hour: int,
    window: Window,
    watch: Watch,
    reasons: dict[str, Counter[str]],
    modes: dict[str, Counter[str]],
) -> None:
    count = merchant.count(hour, window)
    watch.counts[window.number] = count
    watch.counts.pop(window.number - 10 * 168, None)
    day = Day.of(window.start, INDIA).key
    new_reasons, new_modes = merchant.mix(hour, count)
    reasons.setdefault(day, Counter()).update(new_reasons)
    modes.setdefault(day, Counter()).update(new_modes)
    watch.mixes[day] = DayMix(
        returns=reasons[day].total(),
        reasons=most_frequent(reasons[day]),
        modes=most_frequent(modes[day]),
    )


def _verdicts(merchant: Merchant, hour: int, window: Window, now: datetime) -> list[Evaluation]:
    claims = {
        "returns rejected": "nothing_is_rejected",
        "times not as configured": "request_times_are_in_utc",
    }
    failed = [claims[p.kind] for p in merchant.planted if p.kind in claims and hour in p.hours]
    return [
        Evaluation(
            "returns",
            window.key,
            now,
            (FailedClaim(name=name, weight="error", verdict="fails", figures="7 of 9"),),
        )
        for name in failed
    ]


def measure(say: Callable[[str], object] = lambda _: None) -> list[Figure]:
    """False incidents of a normal quarter by the size of the merchant, and planted ones found."""
    figures: list[Figure] = []
    months = QUARTER / 24 / 30
    for mean in (2.0, 16.0, 137.0):
        false = live(Merchant(mean, ()))
        for incident in false:
            say(f"false at {mean:.0f} returns an hour: {incident}")
        figures.append(
            Figure(
                f"alerts: false incidents a month, {mean:.0f} returns an hour, with a sale week",
                f"{len(false) / months:.2g}",
                asked="< 1",
                met=len(false) < months,
            )
        )
    incidents = live(Merchant(16.0, PLANTED))
    missed = [p for p in PLANTED if not any(p.explains(incident) for incident in incidents)]
    beside = [i for i in incidents if not any(p.explains(i) for p in PLANTED)]
    for what in (*missed, *beside):
        say(f"missed, or explained by nothing: {what}")
    found = len(PLANTED) - len(missed)
    figures.append(
        Figure(
            "alerts: planted anomalies found",
            f"{found} of {len(PLANTED)}",
            f"{len(beside)} others",
            asked="all 20",
            met=not missed and len(beside) < months,
        )
    )
    return figures


if __name__ == "__main__":
    sys.stdout.write(table(measure(lambda text: sys.stderr.write(text + "\n"))))
