"""What is wrong now: the findings of every detector, and what could not be judged.

Hours that are not there (``gaps``), claims that fail (``failed_checks``), unusual hours and mixes
(``rhythm``, ``mix``), hours that the sensor `missing_hours` found outdated, and channels.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, get_args

from returns_orchestration.alerts import failed_checks, mix, rhythm
from returns_orchestration.alerts.gaps import gaps
from returns_orchestration.alerts.kinds import (
    KINDS,
    ChannelDown,
    HoursOutdated,
    Key,
    MixShifted,
    OfClaims,
    Silence,
    Surge,
)
from returns_orchestration.window import Day, Window, last_settled

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from returns_orchestration.alerts.life_cycle import Detected, Incident
    from returns_orchestration.alerts.outbox import Outbox
    from returns_orchestration.alerts.watch import Watch
    from returns_orchestration.settings import AlertPolicy
    from returns_orchestration.state.hour_index import Found

LATE_SILENCE: Final = timedelta(minutes=90)
"""After its end an hour is judged silent at the earliest: its first late returns are in then."""


def detect(  # noqa: PLR0913 - all that is looked at
    watch: Watch,
    *,
    opened: Mapping[Key, Incident],
    outboxes: Mapping[str, Outbox],
    found: Found | None,
    newest: Window,
    absent: str,
    zone: ZoneInfo,
    policy: AlertPolicy,
    now: datetime,
) -> Detected:
    """Everything that is wrong ``now``.

    ``opened`` are the open incidents; ``found`` is what `missing_hours` found, None where it cannot
    be read; ``newest`` and ``absent`` are for ``gaps``.
    """
    detected = gaps(watch, newest, absent, opened, now, policy)
    detected.findings.extend(failed_checks.findings(watch.failing, now))
    unusual(detected, watch, now, zone)
    if found is None:
        detected.unjudged.add(Key(HoursOutdated.name, ""))
    elif found.outdated:
        detected.findings.append(HoursOutdated(since=now, size=found.outdated))
    for name, box in outboxes.items():
        if box.is_down(now):
            since, waiting = box.failing_since or now, len(box.waiting)
            down = ChannelDown(since=since, subject=name, fault=box.fault, waiting=waiting)
            detected.findings.append(down)
    if now - watch.began_at < failed_checks.NEWS:
        # The memory was lost, and with it what failed before. For a day, after which each incident
        # of a claim is over, none of them is resolved because it is merely forgotten.
        detected.unjudged.update(
            key
            for key, incident in opened.items()
            if issubclass(KINDS[key.kind], OfClaims) and incident.opened_at < watch.began_at
        )
    return detected


def unusual(detected: Detected, watch: Watch, now: datetime, zone: ZoneInfo) -> None:
    """Add silence, a surge and shifted mixes, of the newest hour and day that can be judged."""
    newest = max(watch.counts, default=0)
    settled = last_settled(now, LATE_SILENCE).number
    for kind, number, judge in (
        (Silence, min(newest, settled), rhythm.silence),
        (Surge, newest, rhythm.surge),
    ):
        hour, found = Window.from_number(number), judge(watch.counts, number)
        if not rhythm.can_be_judged(watch.counts, number):
            detected.unjudged.add(Key(kind.name, ""))
        elif found is not None:
            since = Window.from_number(number - found.hours + 1).start
            detected.findings.append(
                kind(
                    since=since,
                    size=found.hours,
                    hours=found.hours,
                    count=found.count,
                    usual_count=found.usual,
                    hour=hour.key,
                )
            )
    for dimension in get_args(mix.Dimension):
        _of_mix(detected, watch, Day.of(now, zone), dimension)


def _of_mix(detected: Detected, watch: Watch, today: Day, dimension: mix.Dimension) -> None:
    """Add the shift of today, or of yesterday while today has too few returns to judge."""
    for day in (today, Day(today.date - timedelta(days=1), today.zone)):
        shifts = mix.shifts(watch.mixes, day.key, dimension)
        if shifts is None:
            continue
        if shifts:
            detected.findings.append(
                MixShifted(
                    since=day.start,
                    subject=dimension,
                    day=day.key,
                    of=dimension,
                    returns=watch.mixes[day.key].returns,
                    unfinished=day == today,
                    shifts=shifts,
                )
            )
        return
    detected.unjudged.add(Key(MixShifted.name, dimension))
