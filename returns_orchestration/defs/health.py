"""The facts of `health` and `metrics`, gathered from the lake, Dagster's instance and the disks."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from returns_orchestration.alerts.kinds import SEVERITIES
from returns_orchestration.alerts.state import read_state
from returns_orchestration.defs.history import newest_polls
from returns_orchestration.defs.instance import CONFIGURATION, fault_of_instance, open_instance
from returns_orchestration.defs.keys import Keys
from returns_orchestration.errors import ReturnsError
from returns_orchestration.lake import Lake, open_store
from returns_orchestration.settings import dagster_home
from returns_orchestration.state.delivery import look_at_delivery
from returns_orchestration.state.health import Disk, Facts, Storage
from returns_orchestration.state.hours import READABLE, STATES
from returns_orchestration.state.status import states
from returns_orchestration.window import Window, last_settled, read_hour, windows_between

if TYPE_CHECKING:
    from collections.abc import Mapping

    import dagster as dg

    from returns_orchestration.settings import Settings

PARTS = frozenset({"SENSOR", "SCHEDULER", "QUEUED_RUN_COORDINATOR"})
"""The parts of Dagster's daemon without which no hour is polled."""


def gather(settings: Settings, now: datetime) -> Facts:
    """All facts as they are ``now``; what cannot be read is named in ``unread``.

    Of several accounts, the first alone has those of ``measure``.
    """
    found: dict[str, Any] = {}
    unread: list[str] = []
    windows = _hours(settings, now)
    known: Mapping[Window, str] = {}
    home = dagster_home(settings)
    if (home / CONFIGURATION).is_file():
        try:
            with open_instance(settings) as instance:
                known = newest_polls(instance, windows, Keys.of_settings(settings))
                found["heartbeat"] = _heartbeat(instance)
        except Exception as error:
            fault = error if isinstance(error, ReturnsError) else fault_of_instance(error)
            if fault is None:
                raise
            unread.append(fault.cause)
    try:
        lake = Lake(open_store(settings.lake, brief=True))
        found |= _of_hours(lake, windows, settings, known)
        state = read_state(lake)
        opened = Counter(i.severity for i in state.incidents if i.is_open) if state else {}
        found["incidents"] = {severity: opened.get(severity, 0) for severity in SEVERITIES}
        found["delivery"] = look_at_delivery(lake, lake.names(), now, settings)
    except ReturnsError as error:
        unread.append(error.cause)
    storage, faults = measure(settings)
    return Facts(
        now=now,
        disks=storage.disks,
        home_bytes=storage.home_bytes,
        unread=(*unread, *faults),
        **found,
    )


def measure(settings: Settings) -> tuple[Storage, list[str]]:
    """How full the disks are and how large DAGSTER_HOME is, and what could not be read.

    Nothing for an account that leaves them to the first one.
    """
    if not settings.is_first:
        return Storage((), 0), []
    disks, faults, home = [], [], dagster_home(settings)
    places = {"DAGSTER_HOME": home}
    if settings.lake_is_a_folder:
        places = {"RETURNS_LAKE": Path(settings.lake)} | places
    for what, folder in places.items():
        try:
            disks.append(Disk.under(what, folder))
        except OSError as error:
            faults.append(f"The disk of {what} could not be read: {error.strerror}.")
    return Storage(tuple(disks), bytes_in(home)), faults


def bytes_in(folder: Path) -> int:
    """The sizes of all files below ``folder``; one that goes away meanwhile counts as nothing."""
    total = 0
    for place, _, files in os.walk(folder):
        for name in files:
            with suppress(OSError):
                total += Path(place, name).lstat().st_size
    return total


def _hours(settings: Settings, now: datetime) -> list[Window]:
    newest = last_settled(now, settings.settle)
    if newest.start < settings.start:
        return []
    return list(windows_between(settings.start, newest.end))


def _of_hours(
    lake: Lake, windows: list[Window], settings: Settings, known: Mapping[Window, str]
) -> dict[str, Any]:
    lines = list(states(lake, windows, settings.report_time_zone, known))
    counts = Counter(line.state for line in lines)
    whole = [line.hour for line in lines if line.state in READABLE]
    missing = [line.hour for line in lines if line.state == "missing"]
    return {
        "states": {state: counts[state] for state in STATES} if lines else {},
        "newest_complete": Window(read_hour(whole[-1])) if whole else None,
        "oldest_missing": Window(read_hour(missing[0])) if missing else None,
    }


def _heartbeat(instance: dg.DagsterInstance) -> datetime | None:
    """The oldest of the newest signs of life of the daemon's parts; None where one gave none."""
    needed = PARTS & set(instance.get_required_daemon_types())
    beats = {kind: at.timestamp for kind, at in instance.get_daemon_heartbeats().items()}
    if not needed or not needed <= beats.keys():
        return None
    return datetime.fromtimestamp(min(beats[kind] for kind in needed), UTC)
