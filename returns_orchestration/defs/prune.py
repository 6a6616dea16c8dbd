"""What removes the part of Dagster's memory that only grows: old runs, events, ticks and logs.

The newest materialization and the newest result of each check stay for every partition, so Dagster
shows every hour as before, and none is asked for again. Only runs and assets of this deployment are
touched, and ticks of sensors and schedules of its names. A call that was cut off has done whole
steps; the next one does the rest.
"""

from __future__ import annotations

import shutil
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import dagster as dg
import sqlalchemy as sa
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetEventTagsTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.event_log.sqlite.sqlite_event_log import (
    INDEX_SHARD_NAME,
    SqliteEventLogStorage,
)
from dagster._core.storage.runs.schema import RunsTable, RunTagsTable

from returns_orchestration import tables
from returns_orchestration.alerts.state import remove_unreadable
from returns_orchestration.defs.automation import REPOLL_JOB
from returns_orchestration.defs.event_log import PooledSqliteEventLogStorage
from returns_orchestration.defs.history import batches
from returns_orchestration.defs.keys import JOB_TAG
from returns_orchestration.defs.registry import (
    ASSETS,
    CHANGED_HOURS,
    DAILY,
    HOURLY,
    RAW_WEBHOOKS,
    RETURNS_REPORT,
    WEBHOOKS_ARRIVED,
    WEBHOOKS_DAILY,
    WEBHOOKS_HOURLY,
)
from returns_orchestration.defs.webhooks import JOB as WEBHOOKS_JOB
from returns_orchestration.flow.forget import Forgetter
from returns_orchestration.words import count

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from returns_orchestration.defs.keys import Keys
    from returns_orchestration.flow.hours import HourPipeline
    from returns_orchestration.lake import Lake
    from returns_orchestration.settings import Settings

PRUNE: Final = "prune"
SCHEDULE: Final = "prune_by_day"
EVENTS: Final = SqlEventLogStorageTable
CHECKS: Final = AssetCheckExecutionsTable

FINISHED: Final = [
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
]
FREQUENT: Final = WEBHOOKS_JOB, REPOLL_JOB
"""The jobs that run most often: what they made is shown by hour."""

FREQUENT_STAY: Final = timedelta(days=2)
"""How long successful runs of these jobs stay, and events that a newer one of the same partition
supersedes.

Without this, polls at seven ages would fill DAGSTER_HOME with 29 MB a day, for a month."""

NO_RUN: Final = ""
"""Dagster's id for events without a run."""

OF_EARLIER_RELEASES: Final = "__repository__@returns_orchestration.definitions"
"""Where Dagster found the jobs of earlier releases, whose runs have no ``JOB_TAG``."""

BY_PARTITION: Final = {
    asset.check.name
    for some in (HOURLY, DAILY, WEBHOOKS_HOURLY, WEBHOOKS_DAILY)
    for asset in some.values()
}
"""The checks that each hour or day has a result of."""

NEWEST_STAY: Final = [
    dg.DagsterEventType.ASSET_MATERIALIZATION.value,
    dg.DagsterEventType.ASSET_OBSERVATION.value,
]
PAGE: Final = 500
"""Runs that are read at once."""


@dataclass(slots=True)
class Pruned:
    """How much was removed."""

    runs: int = 0
    events: int = 0
    files: int = 0

    def __str__(self) -> str:
        """In words."""
        return (
            f"{count(self.runs, 'run')}, {count(self.events, 'event')} and "
            f"{count(self.files, 'file')}"
        )


def prune_job(
    settings: Settings,
    pipeline: HourPipeline,
    clock: Callable[[], datetime],
    keys: Keys,
    names: Collection[str],
) -> dg.JobDefinition:
    """Removes what is older than RETURNS_KEEP_RUNS_DAYS; ``names`` of sensors and schedules."""

    @dg.op(name=keys.named("remove_old_runs"))
    def remove_old_runs(context) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001 - Dagster reads it
        """Remove old runs, events, ticks and logs from DAGSTER_HOME."""
        before = clock() - settings.keep_runs
        names_of_ours = {*names, keys.named(SCHEDULE)}
        pruned = prune(context.instance, pipeline.lake, keys, names_of_ours, before, clock())
        context.log.info("Removed %s, older than %s UTC.", pruned, f"{before:%Y-%m-%d %H:%M}")
        forgot = Forgetter(pipeline).keep_up()
        context.log.info("Blanked %s.", count(forgot.records, "record"))
        for place in forgot.removed:
            context.log.info("Removed %s, which cannot be read and may hold personal data.", place)
        if forgot.errors:
            raise forgot.errors[0]

    @dg.job(
        name=keys.named(PRUNE),
        description="Removes runs, superseded events, ticks and logs that are older than "
        "RETURNS_KEEP_RUNS_DAYS, and personal data that is older than RETURNS_RAW_DAYS.",
        tags=keys.tags_of(PRUNE),
    )
    def prune_old() -> None:
        remove_old_runs()

    return prune_old


def prune_schedule(job: dg.JobDefinition, keys: Keys) -> dg.ScheduleDefinition:
    """Once a day."""
    return dg.ScheduleDefinition(
        name=keys.named(SCHEDULE),
        cron_schedule="20 2 * * *",
        execution_timezone="UTC",
        job=job,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Removes old runs, ticks and logs, once a day.",
    )


def prune(  # noqa: PLR0913, PLR0917 - what it removes, and since when
    instance: dg.DagsterInstance,
    lake: Lake,
    keys: Keys,
    names: Collection[str],
    before: datetime,
    now: datetime,
) -> Pruned:
    """Remove what is older than ``before`` and superseded. Raises LakeError.

    ``names`` are those of the deployment's sensors and schedules, whose ticks are removed. What
    comes most often goes earlier, see FREQUENT_STAY.
    """
    lake.format.ensure()  # an earlier release's lake gets facts from the log, once
    pruner = _Pruner(instance, keys, before, now)
    pruner.remove_events()
    pruner.remove_runs()
    pruner.remove_files_without_a_run()
    pruner.remove_ticks(names)
    pruner.pruned.files += remove_unreadable(lake, before)
    return pruner.pruned


class _Pruner:
    def __init__(
        self, instance: dg.DagsterInstance, keys: Keys, before: datetime, now: datetime
    ) -> None:
        self.pruned = Pruned()
        self._instance = instance
        self._events: Any = instance.event_log_storage
        self._keys = keys
        self._before = before
        self._naive = _naive(before)
        self._frequent_before = max(before, now - FREQUENT_STAY)
        self._superseded = _naive(self._frequent_before)
        signals = (CHANGED_HOURS.name, RETURNS_REPORT.name, WEBHOOKS_ARRIVED.name)
        others = (tables.ALERTS.name, RAW_WEBHOOKS, *signals)
        self._assets = keys.all_of([*ASSETS, *others])
        self._names = [asset.to_string() for asset in self._assets]
        self._held: set[str] = set()
        """Runs that planned something which no later run has made: they show it as failed."""

    def remove_events(self) -> None:
        """Old events of assets, but for the newest of each partition."""
        for asset in self._assets:
            key = asset.to_string()
            for kind in NEWEST_STAY:
                of_kind = (EVENTS.c.asset_key == key) & (EVENTS.c.dagster_event_type == kind)
                newest = sa.select(sa.func.max(EVENTS.c.id)).where(of_kind)
                newest = newest.group_by(EVENTS.c.partition)
                old = of_kind & (EVENTS.c.timestamp < self._superseded)
                old &= EVENTS.c.id.not_in(newest)
                self._remove_events(self._ids(EVENTS, old))
            self._remove_plans(asset)
            self._remove_checks(key)
        if is_in_files(self._instance):
            # Events without a run are stored twice there: the index holds those of assets, too.
            of_ours = EVENTS.c.asset_key.in_(self._names) & (EVENTS.c.timestamp < self._naive)
            with self._events.run_connection(NO_RUN) as connection:
                self.pruned.events += connection.execute(EVENTS.delete().where(of_ours)).rowcount

    def _remove_plans(self, asset: dg.AssetKey) -> None:
        """Old plans of materializations, but for those that show a partition as failed."""
        storage = self._events
        open_ones = (
            storage.get_latest_asset_partition_materialization_attempts_without_materializations(
                asset
            ).values()
        )
        self._held |= {run_id for run_id, _ in open_ones}
        kept = {event_id for _, event_id in open_ones}
        planned = dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED.value
        old = (
            (EVENTS.c.asset_key == asset.to_string())
            & (EVENTS.c.dagster_event_type == planned)
            & (EVENTS.c.timestamp < self._naive)
        )
        self._remove_events([found for found in self._ids(EVENTS, old) if found not in kept])

    def _remove_checks(self, key: str) -> None:
        """Old results of an asset's checks, but for the newest of each partition."""
        of_asset = CHECKS.c.asset_key == key
        with self._events.index_connection() as connection:
            query = sa.select(CHECKS.c.check_name).where(of_asset).distinct()
            checks = list(connection.execute(query).scalars())
        judged = CHECKS.c.execution_status.in_(["SUCCEEDED", "FAILED"])
        for check in checks:
            of_check = of_asset & (CHECKS.c.check_name == check)
            newest = sa.select(sa.func.max(CHECKS.c.id)).where(of_check)
            if check in BY_PARTITION:  # others are planned for each partition and judged once
                newest = newest.group_by(CHECKS.c.partition)
            old = (
                of_check
                & (CHECKS.c.evaluation_event_timestamp < self._superseded)
                & CHECKS.c.id.not_in(newest)
                & CHECKS.c.id.not_in(newest.where(judged))
            )
            ids = self._ids(CHECKS, old)
            for some in batches(ids):
                with self._events.index_connection() as connection:
                    connection.execute(CHECKS.delete().where(CHECKS.c.id.in_(some)))
            self.pruned.events += len(ids)
            open_ones = sa.select(CHECKS.c.run_id).where(CHECKS.c.id.in_(newest), ~judged)
            with self._events.index_connection() as connection:
                self._held |= set(connection.execute(open_ones).scalars())

    def _ids(self, table: sa.Table, where: sa.ColumnElement[bool]) -> list[int]:
        with self._events.index_connection() as connection:
            return list(connection.execute(sa.select(table.c.id).where(where)).scalars())

    def _remove_events(self, ids: Sequence[int]) -> None:
        for some in batches(ids):
            with self._events.index_connection() as connection:
                of_tags = AssetEventTagsTable.c.event_id.in_(some)
                connection.execute(AssetEventTagsTable.delete().where(of_tags))
                connection.execute(EVENTS.delete().where(EVENTS.c.id.in_(some)))
            self.pruned.events += len(some)

    def remove_runs(self) -> None:
        """Old finished runs, with their events, databases and logs."""
        storage: Any = self._instance.run_storage
        newest = EVENTS.c.asset_key.in_(self._names) & EVENTS.c.dagster_event_type.in_(NEWEST_STAY)
        for some in batches(self._old_runs()):
            with self._events.index_connection() as connection:
                of_runs = EVENTS.c.run_id.in_(some) & sa.func.coalesce(~newest, sa.true())
                self.pruned.events += connection.execute(EVENTS.delete().where(of_runs)).rowcount
            with storage.connect() as connection:
                connection.execute(RunTagsTable.delete().where(RunTagsTable.c.run_id.in_(some)))
                connection.execute(RunsTable.delete().where(RunsTable.c.run_id.in_(some)))
            self.pruned.runs += len(some)
            for run_id in some:
                self._remove_files_of(run_id)

    def _old_runs(self) -> list[str]:
        """The ids of runs that ended before, of this deployment."""
        found: list[str] = []
        of_many = (
            dg.RunsFilter(
                job_name=self._keys.named(job),
                statuses=[dg.DagsterRunStatus.SUCCESS],
                updated_before=self._frequent_before,
            )
            for job in FREQUENT
        )
        for old in (dg.RunsFilter(statuses=FINISHED, updated_before=self._before), *of_many):
            cursor = None
            while records := self._instance.get_run_records(old, limit=PAGE, cursor=cursor):
                cursor = records[-1].dagster_run.run_id
                runs = (record.dagster_run for record in records)
                found += [run.run_id for run in runs if self._is_ours(run)]
        return [run_id for run_id in dict.fromkeys(found) if run_id not in self._held]

    def _is_ours(self, run: dg.DagsterRun) -> bool:
        """Whether it is a run of this deployment's assets or jobs, and of nothing else."""
        if run.asset_selection:
            return run.asset_selection <= set(self._assets)
        if self._keys.is_tagged(run):
            return True
        earlier = run.tags.get(".dagster/repository") == OF_EARLIER_RELEASES
        return earlier and JOB_TAG not in run.tags and not self._keys.prefix

    def _remove_files_of(self, run_id: str) -> None:
        if isinstance(self._events, PooledSqliteEventLogStorage):
            self._events.close_run(run_id)
        for path in self._databases_of(run_id):
            self._unlink(path)
        folder = self._logs / run_id
        if folder.is_dir():
            self.pruned.files += sum(path.is_file() for path in folder.rglob("*"))
            shutil.rmtree(folder, ignore_errors=True)

    def remove_files_without_a_run(self) -> None:
        """Old databases and logs whose run is gone, and old logs of sensors."""
        folder = self._databases
        names = [path.stem for path in folder.glob("*.db")] if folder else []
        names += [path.name for path in self._logs.glob("*") if path.is_dir()]
        gone = [name for name in dict.fromkeys(names) if _is_uuid(name) and self._is_old(name)]
        for some in batches(gone):
            query = sa.select(RunsTable.c.run_id).where(RunsTable.c.run_id.in_(some))
            storage: Any = self._instance.run_storage
            with storage.connect() as connection:
                known = set(connection.execute(query).scalars())
            for run_id in set(some) - known:
                self._remove_files_of(run_id)
        for path in (self._logs / "__repository__").rglob("*"):
            if path.is_file() and self._is_before(path):
                self._unlink(path)

    def _is_old(self, run_id: str) -> bool:
        return all(map(self._is_before, [*self._databases_of(run_id), self._logs / run_id]))

    def _is_before(self, path: Path) -> bool:
        with suppress(OSError):
            return path.lstat().st_mtime < self._before.timestamp()
        return True

    @property
    def _logs(self) -> Path:
        return Path(self._instance.storage_directory())

    @property
    def _databases(self) -> Path | None:
        """The folder of the runs' databases, which Dagster's SQLite storage has."""
        if not is_in_files(self._instance):
            return None
        return Path(self._events.path_for_shard(INDEX_SHARD_NAME)).parent

    def _databases_of(self, run_id: str) -> Iterator[Path]:
        if self._databases:
            for end in ("", "-wal", "-shm"):
                yield self._databases / f"{run_id}.db{end}"

    def _unlink(self, path: Path) -> None:
        with suppress(OSError):
            path.unlink()
            self.pruned.files += 1

    def remove_ticks(self, names: Collection[str]) -> None:
        """Old ticks of sensors and schedules; the newest are in any case younger."""
        for state in self._instance.all_instigator_state():
            if state.instigator_name in names:
                self._instance.purge_ticks(
                    state.instigator_origin_id, state.selector_id, self._before.timestamp()
                )


def is_in_files(instance: dg.DagsterInstance) -> bool:
    """Whether Dagster's events are in files of SQLite, and not in a database server."""
    return isinstance(instance.event_log_storage, SqliteEventLogStorage)


def _is_uuid(name: str) -> bool:
    try:
        return str(uuid.UUID(name)) == name
    except ValueError:
        return False


def _naive(moment: datetime) -> datetime:
    """As Dagster's tables have it."""
    return moment.astimezone(UTC).replace(tzinfo=None)
