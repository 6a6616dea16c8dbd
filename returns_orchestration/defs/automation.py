"""The automation: the live hour, the recovery of missing hours, the polls for late returns.

Each asks for hours by the pure decisions of ``state/due.py``; a sensor keeps its memory in its
cursor, which moves with the runs that it requests. All are on by default.
"""

from __future__ import annotations

import json
import math
from contextlib import suppress
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from returns_orchestration import tables
from returns_orchestration.alerts.kinds import HoursDamaged
from returns_orchestration.alerts.state import is_notified
from returns_orchestration.defs import history
from returns_orchestration.defs.assets import HOURLY_STEP, POOL
from returns_orchestration.defs.events import StepEvents
from returns_orchestration.defs.instance import IN_PROGRESS, range_tags, ranges
from returns_orchestration.defs.registry import DAILY, HOURLY
from returns_orchestration.defs.step import run_hours
from returns_orchestration.errors import LakeError
from returns_orchestration.stages.rules import Rules
from returns_orchestration.state import due
from returns_orchestration.state.budget import TICK_SECONDS, portions, within
from returns_orchestration.state.hour_index import Found, hand_over
from returns_orchestration.state.hours import States
from returns_orchestration.state.memory import Memory
from returns_orchestration.state.status import last_polled, list_files, looked_twice
from returns_orchestration.window import Window, last_settled, windows_between
from returns_orchestration.words import be, count

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from returns_orchestration.defs.keys import Keys
    from returns_orchestration.flow.hours import HourPipeline
    from returns_orchestration.lake import Lake, Names
    from returns_orchestration.settings import Settings
    from returns_orchestration.state.due import Choice
    from returns_orchestration.state.hours import Verdict

    Clock = Callable[[], datetime]

HEAL_LIMIT: Final = 336
"""Hours asked for by one tick: two chunks, under a minute of work between two looks."""

LOOK_LIMIT: Final = 2_000
"""Unknown hours that one tick looks at, so that it is as fast in the fifth year as in the first.

Complete hours are remembered as spans."""

AT_ONCE: Final = 336
"""Hours of one portion of a look: two or three requests to a store, and one for each odd day."""

RECENT: Final = timedelta(days=3)
"""The newest days are looked at by each tick, all others in turn within a week."""

GRACE: Final = timedelta(minutes=5)
"""How long the newest hour is left to its schedule before it counts as missing."""

HOURLY_JOB: Final = "hourly"
DAYS_JOB: Final = "days"
REPOLL_JOB: Final = "repoll"
REPOLL_STEP: Final = "poll_again"

HOURS_TAG: Final = "returns_orchestration/hours"
LOST: Final = {"returns_orchestration/lost": "true"}
LOST_AT_TAG: Final = "returns_orchestration/lost_at"
"""On a run that `lost_runs` has ended, and when: its end says nothing about its hours."""

LOST_RUNS: Final = 20
"""The newest lost runs that are looked at: a restart leaves one or two."""


def hourly_job(keys: Keys) -> Any:  # noqa: ANN401 - Dagster's class is not public
    """All hourly assets of one hour or of a range of hours."""
    return dg.define_asset_job(
        keys.named(HOURLY_JOB),
        selection=dg.AssetSelection.assets(*keys.all_of(HOURLY)),
        description="All hourly assets, of one hour or of a range.",
        tags=keys.tags_of(HOURLY_JOB),
    )


def days_job(keys: Keys) -> Any:  # noqa: ANN401 - Dagster's class is not public
    """All daily assets of one day or of a range of days.

    Runs of hours make the days that they touch. This job makes any day alone, and by it Dagster
    shows on the page of a daily asset which sensor it follows.
    """
    return dg.define_asset_job(
        keys.named(DAYS_JOB),
        selection=dg.AssetSelection.assets(*keys.all_of(DAILY)),
        description="All daily assets, of one day or of a range.",
        tags=keys.tags_of(DAYS_JOB),
    )


def repoll_job(settings: Settings, pipeline: HourPipeline, keys: Keys) -> dg.JobDefinition:
    """One run for all hours that are due again, however far apart they lie."""

    @dg.op(
        name=keys.named(REPOLL_STEP),
        pool=keys.named(POOL),
        config_schema={"hours": dg.Field([str], description="The hours, as partition keys.")},
    )
    def poll_again(context) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001 - Dagster reads it
        """Poll hours again for late and changed returns; make what they change."""
        events = StepEvents(context, pipeline, set(HOURLY), set(), keys)
        windows = [Window.from_key(key) for key in context.op_config["hours"]]
        with pipeline.in_its_words():
            run_hours(events, pipeline, settings, windows, missing_only=False)

    @dg.job(
        name=keys.named(REPOLL_JOB),
        description="Poll hours again for late and changed returns.",
        tags=keys.tags_of(REPOLL_JOB),
    )
    def repoll() -> None:
        poll_again()

    return repoll


def live_schedule(settings: Settings, keys: Keys) -> dg.ScheduleDefinition:
    """Each hour, RETURNS_SETTLE_MINUTES after its end."""
    minute = math.ceil(settings.settle.total_seconds() / 60) % 60

    @dg.schedule(
        name=keys.named("live_hour"),
        cron_schedule=f"{minute} * * * *",
        execution_timezone="UTC",
        job_name=keys.named(HOURLY_JOB),
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Polls each hour RETURNS_SETTLE_MINUTES after its end.",
    )
    def live_hour(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        window = last_settled(context.scheduled_execution_time.astimezone(UTC), settings.settle)
        if window.start < settings.start:
            return dg.SkipReason(settings.wording("RETURNS_START lies ahead."))
        return dg.RunRequest(
            run_key=window.key,
            partition_key=window.key,
            run_config=_only_missing(keys),
        )

    return live_hour


def healing_sensor(
    settings: Settings, pipeline: HourPipeline, clock: Clock, keys: Keys, jobs: Sequence[Any]
) -> dg.SensorDefinition:
    """Missing hours since RETURNS_START, newest first, with a growing pause for those that fail.

    ``jobs`` are those of hours and of days.
    """
    rules = settings.digest()

    @dg.sensor(
        name=keys.named("missing_hours"),
        jobs=jobs,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Recovers missing hours, newest first, and repairs damaged and outdated ones.",
    )
    def missing_hours(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        now, may_go_on = clock(), within(TICK_SECONDS)
        memory = Memory.read(context.cursor)
        if memory.is_of(rules):
            pipeline.lake.format.skip_check()
        memory.wake_on_change(rules, now)
        memory.wake_lost(_lost(context.instance, keys), now)
        memory.look_again_on_change(" ".join(Rules.of_today()))
        first, newest = Window(settings.start), last_settled(now - GRACE, settings.settle)
        hours = memory.hours
        hours.trim(first)
        unknown = memory.unknown(first, newest, now, LOOK_LIMIT)
        recent, patrol = _recent(first, newest), _patrol(memory, first, newest, now)
        always = {*recent, *patrol}
        in_time = [w for w in dict.fromkeys([*hours.damaged_hours, *unknown]) if w not in always]
        known = history.newest_polls(context.instance, [*always, *in_time], keys)
        names = pipeline.lake.names()
        names.load_hours(always)
        if memory.is_time_for_files(now):
            list_files(names, recent)
        list_files(names, patrol)
        states = States(pipeline.lake, names, settings.report_time_zone, known)
        verdicts = {window: states.of(window) for window in always}
        for some in portions(in_time, AT_ONCE, may_go_on):
            names.load_hours(some)
            verdicts |= {window: states.of(window) for window in some}
        looked_at = sorted(verdicts)
        unreported = set(history.unreported(context.instance, looked_at, keys))
        verdicts |= _confirmed(pipeline, names, verdicts, known)
        missing = [w for w in looked_at if _is_to_be_run(w, verdicts[w], unreported)]
        succeeded = set(looked_at) - set(missing)
        damaged = [w for w in missing if verdicts[w].state == "damaged"]
        newly = any(window not in hours.complete for window in succeeded)
        hours.note({window: verdict.state for window, verdict in verdicts.items()}, now)
        hours.complete.discard(missing)  # also those whose events Dagster's log lost
        _hand_over(pipeline.lake, memory, now)
        if damaged and not is_notified(pipeline.lake, HoursDamaged):
            # Repaired after the alert, so that the cause can be found, or after the grace period.
            early = {w for w in damaged if now - hours.damaged[w.key] < settings.alert_grace}
            missing = [window for window in missing if window not in early]
        busy = _busy(context.instance, keys)
        choice = due.choose(
            looked_at,
            missing,
            memory.attempts,
            busy,
            now,
            HEAL_LIMIT,
            succeeded=newly,
        )
        return dg.SensorResult(
            run_requests=[
                dg.RunRequest(
                    run_key=_run_key("missing", chunk, choice),
                    job_name=keys.named(HOURLY_JOB),
                    tags=range_tags(chunk),
                    run_config=_only_missing(keys),
                )
                for chunk in ranges(choice.hours)
            ],
            cursor=memory.after(choice).write(),
            skip_reason=None if choice.hours else _nothing_due(len(missing), choice),
        )

    return missing_hours


def repoll_sensor(
    settings: Settings, pipeline: HourPipeline, clock: Clock, keys: Keys
) -> dg.SensorDefinition:
    """Hours that have reached an age of RETURNS_REPOLL_AFTER_HOURS since they were last polled."""
    rules = settings.digest()
    longest = timedelta(hours=max(settings.repoll_after_hours, default=0))

    @dg.sensor(
        name=keys.named("late_returns"),
        job_name=keys.named(REPOLL_JOB),
        minimum_interval_seconds=300,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Polls hours again at the ages of RETURNS_REPOLL_AFTER_HOURS.",
    )
    def late_returns(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        now, may_go_on = clock(), within(TICK_SECONDS)
        memory = Memory.read(context.cursor)
        if memory.is_of(rules):
            pipeline.lake.format.skip_check()
        else:
            memory.look_again_since(Window.of(now - longest))
        memory.wake_on_change(rules, now)
        memory.wake_lost(_lost(context.instance, keys), now)
        if memory.ages is None:
            memory.ages = pipeline.lake.repolls.since(settings.repoll_after_hours, now)
        ages = memory.ages
        first, newest = Window(settings.start), last_settled(now, settings.settle)
        unknown = memory.unknown(first, newest, now, LOOK_LIMIT)
        # Of the hours in the cursor, only those that seem due are looked up in the lake.
        known = {w: at for w, at in memory.polled.items() if not due.is_due_again(w, at, ages, now)}
        to_look_up = [window for window in unknown if window not in known]
        looked_at, polled = set(unknown) - set(to_look_up), dict(known)
        names = pipeline.lake.names()
        for some in portions(to_look_up, AT_ONCE, may_go_on):
            names.load_hours(some)
            looked_at.update(some)
            polled |= last_polled(pipeline.lake, names, some)
        memory.hours.complete.add(w for w, at in polled.items() if due.is_done(w, at, ages))
        memory.polled = {w: at for w, at in polled.items() if not due.is_done(w, at, ages)}
        again = [w for w, at in polled.items() if due.is_due_again(w, at, ages, now)]
        busy = _busy(context.instance, keys)
        choice = due.choose(looked_at, again, memory.attempts, busy, now, HEAL_LIMIT)
        chosen = [window.key for window in choice.hours]
        return dg.SensorResult(
            run_requests=[
                dg.RunRequest(
                    run_key=_run_key("again", choice.hours, choice),
                    tags={HOURS_TAG: json.dumps(chosen)},
                    run_config=_only_step(keys.named(REPOLL_STEP), {"hours": chosen}),
                )
            ]
            if chosen
            else [],
            cursor=memory.after(choice).write(),
            skip_reason=None if chosen else _nothing_due(len(again), choice),
        )

    return late_returns


def _recent(first: Window, newest: Window) -> list[Window]:
    """The hours of the newest days."""
    begin = max(first.start, newest.end - RECENT)
    return list(windows_between(begin, newest.end)) if begin < newest.end else []


def _patrol(memory: Memory, first: Window, newest: Window, now: datetime) -> list[Window]:
    """The hours of the date whose turn it is, if one is due."""
    last = (newest.end - RECENT).date()
    day = memory.patrol(first.start.date(), last, now) if first.start.date() <= last else None
    if day is None:
        return []
    begin = datetime.combine(day, time(), UTC)
    hours = windows_between(begin, begin + timedelta(days=1))
    return [window for window in hours if first <= window <= newest]


def _confirmed(
    pipeline: HourPipeline,
    names: Names,
    verdicts: Mapping[Window, Verdict],
    known: Mapping[Window, str],
) -> dict[Window, Verdict]:
    """The states of hours that a listing shows damaged, by a second look.

    Hours found damaged are noted in the lake: then the next look and the alerts list no files.
    """
    again: dict[Window, Verdict] = {}
    lake = pipeline.lake
    for second in looked_twice(lake, names, verdicts, pipeline.days.zone, known):
        again[second.window] = second.verdict
        if second.verdict.state == "damaged":
            # Where its entry cannot be read either, the damaged file is not known.
            files = second.files or [lake.path(tables.RETURNS, second.window)]
            with suppress(LakeError):  # the alerts report a lake that cannot be written
                for path in files:
                    lake.entries.note_damaged(names, path)
    return again


def _hand_over(lake: Lake, memory: Memory, now: datetime) -> None:
    """Give the alerts the findings that they do not look for themselves, when these change.

    Unless there are none, also once an hour without a change: the file may have been damaged.
    """
    found = Found(damaged=sorted(memory.hours.damaged), outdated=len(memory.hours.outdated))
    text = "" if found == Found() else f"{found} {now:%Y-%m-%dT%H}"
    if text != memory.handed_over:
        with suppress(LakeError):  # the alerts report it, and the next tick tries again
            hand_over(lake, found)
            memory.handed_over = text


def _is_to_be_run(window: Window, verdict: Verdict, unreported: Collection[Window]) -> bool:
    """Whether to poll or make ``window``, or to report it again where Dagster lost it."""
    if verdict.state in {"complete", "empty"}:
        return window in unreported
    return verdict.state != "waived"


def _busy(instance: dg.DagsterInstance, keys: Keys) -> set[Window]:
    """The hours of all runs that are queued or under way, automatic or manual."""
    busy: set[Window] = set()
    for run in instance.get_runs(dg.RunsFilter(statuses=IN_PROGRESS)):
        if keys.is_run(run, (HOURLY_JOB, REPOLL_JOB), HOURLY):
            busy |= _hours_of(run, keys)
    return busy


def _lost(instance: dg.DagsterInstance, keys: Keys) -> dict[Window, datetime]:
    """The hours of runs that were lost lately, and when the last of these was ended."""
    lost: dict[Window, datetime] = {}
    for run in instance.get_runs(dg.RunsFilter(tags=LOST), limit=LOST_RUNS):
        if keys.is_run(run, (HOURLY_JOB, REPOLL_JOB), HOURLY):
            at = datetime.fromisoformat(run.tags[LOST_AT_TAG])
            lost |= {window: max(at, lost.get(window, at)) for window in _hours_of(run, keys)}
    return lost


def _hours_of(run: dg.DagsterRun, keys: Keys) -> set[Window]:
    """The hours that a run asks for, by its tags."""
    found = {Window.from_key(key) for key in json.loads(run.tags.get(HOURS_TAG, "[]"))}
    start = run.tags.get("dagster/asset_partition_range_start")
    end = run.tags.get("dagster/asset_partition_range_end")
    single = run.tags.get("dagster/partition")
    if start and end:
        found |= set(windows_between(Window.from_key(start).start, Window.from_key(end).end))
    elif single and run.job_name == keys.named(HOURLY_JOB):
        found.add(Window.from_key(single))
    return found


def _run_key(what: str, hours: Iterable[Window], choice: Choice) -> str:
    """The same if a tick is evaluated again after a crash, so that Dagster launches it once."""
    chosen = list(hours)
    tries = max(choice.attempts[window].tries for window in chosen)
    again_at = choice.attempts[chosen[0]].again_at
    return f"{what}:{chosen[0].key}:{chosen[-1].key}:{tries}:{again_at:%Y%m%dT%H%M}"


def _only_missing(keys: Keys) -> dict[str, Any]:
    return _only_step(keys.named(HOURLY_STEP), {"missing_only": True})


def _only_step(step: str, config: dict[str, Any]) -> dict[str, Any]:
    return {"ops": {step: {"config": config}}}


def _nothing_due(waiting: int, choice: Choice) -> str:
    if not waiting:
        return "Nothing is due."
    soonest = sorted(attempt.again_at for attempt in choice.attempts.values())
    when = f"; the next at {soonest[0]:%Y-%m-%d %H:%M} UTC" if soonest else ""
    return f"{count(waiting, 'hour')} {be(waiting, 'waits', 'wait')} for the next attempt{when}."
