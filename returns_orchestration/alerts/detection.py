"""What is wrong now: the findings of every detector, and what could not be judged.

A detector looks at the situation and adds its findings. Missing and damaged hours have their own
file, ``gaps``; here are claims that fail, unusual hours and mixes, outdated hours, new names,
disks, the daily report, webhooks and channels.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, get_args

from msgspec.structs import replace

from returns_orchestration.alerts.gaps import gaps
from returns_orchestration.alerts.kinds import (
    KINDS,
    ChannelDown,
    CheckFailed,
    DiskNearlyFull,
    HomeTooLarge,
    HoursOutdated,
    Key,
    MixShifted,
    NewNames,
    NoWebhooks,
    OfClaims,
    ReceiverSilent,
    ReportNotMade,
    Silence,
    SpoolSetAside,
    Surge,
    WebhooksLate,
    WebhooksLost,
    WebhooksRefused,
    of_claim,
)
from returns_orchestration.alerts.life_cycle import Detected
from returns_orchestration.state import delivery, mix, rhythm
from returns_orchestration.state.failing_claims import NEWS
from returns_orchestration.state.health import FULL, home_limit
from returns_orchestration.window import Day, Window, last_settled

if TYPE_CHECKING:
    from datetime import datetime

    from returns_orchestration.alerts.watch import Situation
    from returns_orchestration.lake.news import NewName
    from returns_orchestration.settings import Settings

REPORT_AFTER: Final = timedelta(hours=8)
"""How long after a day its report is missed. It is made two hours after the day."""

LATE_SILENCE: Final = timedelta(minutes=90)
"""How long after its end an hour may first be judged silent: its first late returns are in then."""


def detect(at: Situation) -> Detected:
    """Everything that is wrong now."""
    detected = Detected()
    for detector in DETECTORS:
        detector(at, detected)
    return detected


def failed_claims(at: Situation, detected: Detected) -> None:
    """One finding for each kind, and one for each claim that has no kind."""
    grouped: dict[Key, OfClaims] = {}
    # The digits of the references show by how much times are off, so that claim comes first.
    failing = at.watch.failing.values()
    for entry in sorted(failing, key=lambda entry: entry.claim != "request_times_are_in_utc"):
        kind, news = of_claim(entry.claim), entry.news(at.now)
        if not news:
            continue
        found = kind(
            since=min(news.values()),
            subject=f"{entry.asset}: {entry.claim}" if kind is CheckFailed else "",
            size=len(news),
            asset=entry.asset,
            claim=entry.claim,
            weight=entry.weight,
            figures=entry.figures,
            periods=sorted(news),
        )
        first = grouped.setdefault(found.key, found)
        periods, since = sorted({*first.periods, *news}), min(first.since, found.since)
        grouped[found.key] = replace(first, since=since, periods=periods, size=len(periods))
    detected.findings += grouped.values()
    if at.now - at.watch.began_at < NEWS:
        # The memory was lost, and with it the earlier failures. For a day, after which every
        # incident of a claim is over, a forgotten failure does not resolve its incident.
        detected.unjudged |= {
            key
            for key, incident in at.opened.items()
            if issubclass(KINDS[key.kind], OfClaims) and incident.opened_at < at.watch.began_at
        }


def unusual_hours(at: Situation, detected: Detected) -> None:
    """Silence and a surge, in the newest hour that can be judged."""
    counts, settled = at.watch.counts, last_settled(at.now, LATE_SILENCE).number
    newest = max(counts, default=0)
    for kind, number, judge in (
        (Silence, min(newest, settled), rhythm.silence),
        (Surge, newest, rhythm.surge),
    ):
        found = judge(counts, number)
        if not rhythm.can_be_judged(counts, number):
            detected.unjudged.add(Key(kind.name, ""))
        elif found is not None:
            size, hour = found.hours, Window.from_number(number).key
            since = Window.from_number(number - size + 1).start
            count, usual = found.count, found.usual
            detected.add(kind(since=since, size=size, count=count, usual=usual, hour=hour))


def shifted_mixes(at: Situation, detected: Detected) -> None:
    """The shifts of today, or of yesterday while today has too few returns to judge."""
    today = Day.of(at.now, at.settings.report_time_zone)
    for dimension in get_args(mix.Dimension):
        detected.unjudged.add(Key(MixShifted.name, dimension))
        for day in (today, Day(today.date - timedelta(days=1), at.settings.report_time_zone)):
            shifts = mix.shifts(at.watch.mixes, day.key, dimension)
            if shifts is None:
                continue
            detected.unjudged.discard(Key(MixShifted.name, dimension))
            if shifts:
                detected.add(
                    MixShifted(
                        since=day.start,
                        subject=dimension,
                        day=day.key,
                        returns=at.watch.mixes[day.key].returns,
                        unfinished=day == today,
                        shifts=shifts,
                    )
                )
            break


def outdated_hours(at: Situation, detected: Detected) -> None:
    """Hours that the sensor `missing_hours` found and has yet to rebuild."""
    if at.found is None:
        detected.unjudged.add(Key(HoursOutdated.name, ""))
    elif at.found.outdated:
        detected.add(HoursOutdated(since=at.now, size=at.found.outdated))


def new_names(at: Situation, detected: Detected) -> None:
    """Names not acknowledged, by their hour's UTC date; those from before the watch together."""
    by_date: dict[str, list[NewName]] = {}
    for name in at.watch.new_names:
        date = max(name.hour[: len("2026-11-09")], f"{at.watch.began_at:%Y-%m-%d}")
        by_date.setdefault(date, []).append(name)
    for date, names in by_date.items():
        since = min((Window.from_key(n.hour).start for n in names if n.hour), default=at.now)
        detected.add(NewNames(since=since, subject=date, size=len(names), names=names))


def storage(at: Situation, detected: Detected) -> None:
    """Disks that are nearly full, and a DAGSTER_HOME that grows beyond its bounds."""
    if at.storage is None:
        detected.unjudged |= {Key(DiskNearlyFull.name, name) for name in ("space", "inodes")}
        detected.unjudged.add(Key(HomeTooLarge.name, ""))
        return
    for counted in ("space", "inodes"):
        full = [disk for disk in at.storage.disks if disk.used.get(counted, 0) > FULL]
        if full:
            fullest = max(full, key=lambda disk: disk.used[counted])
            detected.add(
                DiskNearlyFull(
                    since=at.now,
                    subject=counted,
                    share=fullest.used[counted],
                    free=fullest.free if counted == "space" else fullest.free_inodes,
                    places=[disk.what for disk in full],
                )
            )
    starts = at.settings.starts
    hours = sum(max(0, Window(start).hours_to(at.newest.end)) for start in starts)
    kept = at.settings.keep_runs * len(starts)
    limit, size = home_limit(hours, kept), at.storage.home_bytes
    if size > limit:
        detected.add(HomeTooLarge(since=at.now, bytes=size, limit=limit))


def reports(at: Situation, detected: Detected) -> None:
    """The report that is not made although its day is long over."""
    over, reported = due_report(at.settings, at.now), at.watch.reported
    if at.storage is None or at.watch.resumed_at > at.now - REPORT_AFTER:
        detected.unjudged.add(Key(ReportNotMade.name, ""))  # not looked for, or Dagster was off
    elif at.settings.start <= over.start and (reported is None or reported < over.date):
        detected.add(ReportNotMade(since=over.end, day=over.key))


def due_report(settings: Settings, now: datetime) -> Day:
    """The last day of the report that is to be there ``now``."""
    zone = settings.report_time_zone
    return Day(Day.of(now - REPORT_AFTER, zone).date - timedelta(days=1), zone)


def webhooks(at: Situation, detected: Detected) -> None:
    """Receivers that are silent or refuse, and webhooks that do not come."""
    kinds = (
        ReceiverSilent,
        SpoolSetAside,
        NoWebhooks,
        WebhooksRefused,
        WebhooksLost,
        WebhooksLate,
    )
    if at.delivery is None:
        detected.unjudged |= {key for key in at.opened if KINDS[key.kind] in kinds}
        return
    notes, hours = at.delivery.notes, at.delivery.judged
    since = delivery.silent_since(notes, at.now)
    if since is not None:
        detected.add(ReceiverSilent(since=since))
    full = delivery.cannot_store(notes, at.now)
    if full is not None:
        since, why = full.last_not_stored or full.at, full.problem or "its spool is full"
        detected.add(ReceiverSilent(since=since, subject="storing", problem=why))
    aside = at.delivery.set_aside
    if aside is not None:
        detected.add(SpoolSetAside(since=aside.since, file=aside.set_aside))
    refusing = delivery.refuses(notes, at.now)
    if refusing is not None:
        detected.add(
            WebhooksRefused(
                since=refusing.last_refused or at.now,
                refused=refusing.refused,
                without_key=refusing.without_key,
            )
        )
    without = delivery.none_came(hours)
    if without:
        lost = sum(hour.lost for hour in without)
        detected.add(NoWebhooks(since=without[0].window.start, size=len(without), lost=lost))
    both, lost = sum(hour.both for hour in hours), sum(hour.lost for hour in hours)
    if delivery.rate_is_too_low(both, lost, at.settings.webhook_expected):
        first = next(hour for hour in hours if hour.lost)
        detected.add(WebhooksLost(since=first.window.start, size=len(hours), both=both, lost=lost))
    if at.delivery.are_late:
        first = next(hour for hour in hours if hour.slow)
        share = at.delivery.slow_share
        detected.add(WebhooksLate(since=first.window.start, size=len(hours), share=share))


def channels(at: Situation, detected: Detected) -> None:
    """Channels that accept no message."""
    for name, box in at.outboxes.items():
        if box.is_down(at.now):
            since, waiting = box.failing_since or at.now, len(box.waiting)
            fault = box.fault
            detected.add(ChannelDown(since=since, subject=name, fault=fault, waiting=waiting))


DETECTORS: Final = (
    gaps,
    failed_claims,
    unusual_hours,
    shifted_mixes,
    outdated_hours,
    new_names,
    storage,
    reports,
    webhooks,
    channels,
)
"""Every detector, in the order in which incidents that open together are numbered."""
