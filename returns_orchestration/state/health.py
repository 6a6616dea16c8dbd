"""Whether a deployment is well: facts that can be gathered in seconds, and one judgement of them.

`health` prints the judgement for a probe, `metrics` the facts for Prometheus. A fact that could not
be gathered is a finding of its own: what was not looked at is never counted as well.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal

from returns_orchestration.words import be, count, duration, utc

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from returns_orchestration.state.delivery import Delivery
    from returns_orchestration.window import Window

Level = Literal["ok", "warning", "critical", "unknown"]
LEVELS: Final[tuple[Level, ...]] = ("ok", "warning", "critical", "unknown")
"""In the order of the exit codes of `health`, which are those of Nagios's plugins."""

NEWEST: Final = timedelta(hours=3)
"""How old the end of the newest complete hour may be."""

MISSING: Final = timedelta(hours=24)
"""How long after its end an hour may be missing before that is critical."""

HEARTBEAT: Final = timedelta(minutes=10)
"""How old the sign of life of a part of the daemon may be; each gives one every 30 seconds."""

HOME_BASE: Final = 400_000_000
HOME_OF_HOUR: Final = 89_000
HOME_OF_DAY: Final = 5_000_000
"""The bounds of DAGSTER_HOME in bytes: in all, for each hour, for each day of kept runs.

An hour leaves about 47 kB for ever, with webhooks 77 kB. The newest week of unattended runs takes
about 200 MB, ticks and two days of the runs of webhooks as much, any other day that is kept 4 MB.
`tests/proof/growth.py` and `benchmarks/home.py` measure it."""

FULL: Final = 0.85
"""The share of bytes or inodes in use from which a disk is nearly full."""


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system under ``what``: sizes in bytes; 0 inodes where it does not count them."""

    what: str
    size: int
    free: int
    inodes: int
    free_inodes: int

    @classmethod
    def under(cls, what: str, folder: Path) -> Disk:
        """That of ``folder``, or of the nearest folder above it that exists. Raises OSError."""
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        usage = shutil.disk_usage(folder)
        inodes = free_inodes = 0
        if hasattr(os, "statvfs"):  # Windows has no inodes
            found = os.statvfs(folder)
            inodes, free_inodes = found.f_files, found.f_favail
        # Of what root alone may use, nothing is free for a service.
        return cls(what, usage.used + usage.free, usage.free, inodes, free_inodes)

    @property
    def used(self) -> dict[str, float]:
        """The share in use, by what is counted."""
        shares = {"space": (self.size, self.free), "inodes": (self.inodes, self.free_inodes)}
        return {name: 1 - free / all_ for name, (all_, free) in shares.items() if all_}


@dataclass(frozen=True, slots=True)
class Storage:
    """The disks under lake and home, and the bytes of DAGSTER_HOME."""

    disks: tuple[Disk, ...]
    home_bytes: int


def home_limit(hours: int, kept: timedelta) -> int:
    """The bytes that DAGSTER_HOME may take with that many ``hours``, and runs ``kept`` so long."""
    return round(HOME_BASE + HOME_OF_HOUR * hours + HOME_OF_DAY * (kept / timedelta(days=1)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known ``now``.

    ``states`` counts the hours since RETURNS_START by state. ``incidents`` counts the open ones by
    severity. ``heartbeat`` is the oldest of the last signs of life of the daemon's
    parts, None where a part gave none. ``delivery`` is what is known of webhooks, None where they
    never came. ``unread`` holds what could not be gathered, in words.
    """

    now: datetime
    newest_complete: Window | None = None
    oldest_missing: Window | None = None
    states: Mapping[str, int] = field(default_factory=dict)
    incidents: Mapping[str, int] = field(default_factory=dict)
    heartbeat: datetime | None = None
    disks: tuple[Disk, ...] = ()
    home_bytes: int = 0
    delivery: Delivery | None = None
    unread: tuple[str, ...] = ()


def judge(facts: Facts) -> list[tuple[Level, str]]:
    """Each finding with its level; empty where all is well."""
    return [*(("unknown", text) for text in facts.unread), *_hours(facts), *_rest(facts)]


def level_of(findings: list[tuple[Level, str]]) -> Level:
    """The worst: critical before unknown, as somebody must act on it."""
    found = {level for level, _ in findings}
    order: tuple[Level, ...] = ("critical", "unknown", "warning")
    return next((level for level in order if level in found), "ok")


def _hours(facts: Facts) -> Iterator[tuple[Level, str]]:
    newest, oldest = facts.newest_complete, facts.oldest_missing
    if facts.states and newest is None:
        yield "critical", "no hour is complete"
    elif newest is not None and facts.now - newest.end > NEWEST:
        old = duration(facts.now - newest.end)
        yield "critical", f"the newest complete hour, {newest.text}, ended {old} ago"
    missing, damaged = (facts.states.get(name, 0) for name in ("missing", "damaged"))
    if oldest is not None and missing:
        level: Level = "critical" if facts.now - oldest.end > MISSING else "warning"
        hours = f"{count(missing, 'hour')} {be(missing)} missing"
        yield level, f"{hours}, the oldest is {oldest.text}"
    if damaged:
        yield "warning", f"{count(damaged, 'hour')} {be(damaged)} damaged"


def _rest(facts: Facts) -> Iterator[tuple[Level, str]]:
    if facts.heartbeat is None:
        yield "critical", "Dagster's daemon has not run: start it, as `dev` and `serve` do"
    elif facts.now - facts.heartbeat > HEARTBEAT:
        yield "critical", f"Dagster's daemon gave no sign of life since {utc(facts.heartbeat)} UTC"
    elif facts.heartbeat - facts.now > HEARTBEAT:
        at = utc(facts.heartbeat)
        yield "critical", f"Dagster's daemon noted its last sign of life by a clock ahead: {at} UTC"
    for severity, number in facts.incidents.items():
        if number:
            yield (
                "warning",
                f"{count(number, 'open incident')} of severity {severity}: see `incidents`",
            )
    for disk in facts.disks:
        for name, share in disk.used.items():
            if share > FULL:
                yield "warning", f"{share:.0%} of the {name} under {disk.what} is in use"
