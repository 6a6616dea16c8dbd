"""What Dagster's pages show of five years of hours, without waiting a minute for it.

Dagster adds the states of an asset's partitions up one by one, and reads the time in each key with
strptime: for 43,800 hours that took 12 seconds an asset on the graph, at the first look, and 67
seconds on the page of its checks, at each look (Dagster 1.13, two cores). Here the keys of whole
UTC hours are read as numbers, and hours without a gap become one stretch. Other partitions, and
what changes later, are left to Dagster. ``index_queries`` reads what is added up.

The classes and functions below `dagster._core` are not public; tests name them.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from dagster import TimeWindow, TimeWindowPartitionsDefinition
from dagster._core.asset_graph_view.serializable_entity_subset import SerializableEntitySubset
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster._core.definitions.partitions.subset.time_window import TimeWindowPartitionsSubset
from dagster._core.definitions.partitions.utils.time_window import PersistedTimeWindow
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecordStatus,
    AssetCheckExecutionResolvedStatus,
)
from dagster._core.storage.asset_check_state import AssetCheckState
from dagster._core.storage.event_log.base import AssetRecord
from dagster._core.storage.partition_status_cache import (
    AssetStatusCacheValue,
    build_failed_and_in_progress_partition_subset,
    get_last_planned_storage_id,
)

from returns_orchestration.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dagster import AssetCheckKey, AssetKey, PartitionsDefinition
    from dagster._core.loader import LoadingContext

HOURLY: Final = "0 * * * *"
HOURS: Final = {f"{hour:02d}:00": hour for hour in range(24)}
SUCCEEDED: Final = AssetCheckExecutionResolvedStatus.SUCCEEDED
FAILED: Final = AssetCheckExecutionResolvedStatus.FAILED
VERDICTS: Final = {
    AssetCheckExecutionRecordStatus.SUCCEEDED: SUCCEEDED,
    AssetCheckExecutionRecordStatus.FAILED: FAILED,
}


def is_of_hours(partitions: PartitionsDefinition | None) -> bool:
    """Whether the partitions are whole UTC hours, as those of this project."""
    return (
        isinstance(partitions, TimeWindowPartitionsDefinition)
        and partitions.cron_schedule == HOURLY
        and partitions.timezone == "UTC"
        and partitions.end is None
        and not partitions.end_offset
        and not partitions.exclusions
    )


def subset_of(
    partitions: TimeWindowPartitionsDefinition, keys: Iterable[str | None]
) -> TimeWindowPartitionsSubset:
    """The hours among ``keys`` that ``partitions`` has, which are of hours; others are left out."""
    last = partitions.get_last_partition_window()
    first = Window.of(partitions.start)
    begin = first.number if first.start == partitions.start else first.number + 1
    end = Window(last.end).number if last else None
    found = {_number(key) for key in keys if key}
    numbers = sorted(n for n in found if n is not None and end is not None and begin <= n < end)
    stretches = []
    for _, members in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        its = [number for _, number in members]
        stretch = TimeWindow(Window.from_number(its[0]).start, Window.from_number(its[-1]).end)
        stretches.append(PersistedTimeWindow.from_public_time_window(stretch, partitions.timezone))
    return TimeWindowPartitionsSubset(partitions, len(numbers), stretches)


def _number(key: str) -> int | None:
    """The number of the hour of a partition key; None where it is none."""
    # The day is read once for its 24 hours of each asset: Window.from_key took a third of a look.
    midnight, hour = _midnight(key[:11]), HOURS.get(key[11:])
    return None if midnight is None or hour is None else midnight + hour


@lru_cache(maxsize=4_096)
def _midnight(text: str) -> int | None:
    """The number of the first hour of the day of ``2026-11-09-``; None where it is no day."""
    try:
        first = Window.from_key(f"{text}00:00")
    except ValueError:
        return None
    return first.number


class StatesOfYears:
    """Mixed into a storage of events: the states of many hours at once."""

    _instance: Any

    def get_asset_check_state(
        self, keys: Sequence[tuple[AssetCheckKey, PartitionsDefinition | None]]
    ) -> Mapping[AssetCheckKey, AssetCheckState]:
        """See Dagster's."""
        of_hours = {key: partitions for key, partitions in keys if is_of_hours(partitions)}
        others = [(key, partitions) for key, partitions in keys if key not in of_hours]
        found = dict(super().get_asset_check_state(others)) if others else {}  # type: ignore[misc]
        for key, partitions in of_hours.items():
            found[key] = self._state_of_check(key, partitions)
        return found

    def _state_of_check(self, key: AssetCheckKey, partitions: Any) -> AssetCheckState:  # noqa: ANN401 - see is_of_hours
        storage: Any = self
        infos = storage.get_asset_check_partition_info([key])
        judged = [info for info in infos if info.latest_execution_status in VERDICTS]
        subsets = {
            verdict: SerializableEntitySubset(
                key,
                subset_of(
                    partitions,
                    (
                        info.partition_key
                        for info in judged
                        if info.is_current and VERDICTS[info.latest_execution_status] is verdict
                    ),
                ),
            )
            for verdict in VERDICTS.values()
        }
        state = AssetCheckState(latest_storage_id=0, subsets=subsets, in_progress_runs={})
        # Checks that are planned wait for their runs, which Dagster looks up: they are few.
        planned = [info for info in infos if info.latest_execution_status not in VERDICTS]
        runs = {info.latest_planned_run_id for info in planned}
        statuses = {
            run_id: run.status for run_id in runs if (run := self._instance.get_run_by_id(run_id))
        }
        updated = state.with_updates(key, partitions, planned, statuses)
        newest = max(
            (
                max(info.latest_check_event_storage_id, info.latest_materialization_storage_id or 0)
                for info in infos
            ),
            default=0,
        )
        return AssetCheckState(
            latest_storage_id=newest,
            subsets=updated.subsets,
            in_progress_runs=updated.in_progress_runs,
        )

    def get_asset_status_cache_values(
        self,
        partitions_defs_by_key: Iterable[tuple[AssetKey, PartitionsDefinition | None]],
        context: LoadingContext,
    ) -> Sequence[AssetStatusCacheValue | None]:
        """See Dagster's, which reads what was found before and adds what is new."""
        values: list[AssetStatusCacheValue | None] = []
        for key, partitions in partitions_defs_by_key:
            first = self._first_look(key, partitions, context) if is_of_hours(partitions) else None
            if first is None:
                pair = [(key, partitions)]
                values += super().get_asset_status_cache_values(pair, context)  # type: ignore[misc]
            else:
                values.append(first)
        return values

    def _first_look(
        self,
        key: AssetKey,
        partitions: Any,  # noqa: ANN401 - see is_of_hours
        context: LoadingContext,
    ) -> AssetStatusCacheValue | None:
        """The states of all hours, kept for later looks; None where some were kept before."""
        instance = self._instance
        record = AssetRecord.blocking_get(context, key)
        identifier = partitions.get_serializable_unique_identifier()
        kept = record and record.asset_entry.cached_status
        if record is None or (kept and kept.partitions_def_id == identifier):
            return None
        planned = get_last_planned_storage_id(instance, key, record)
        newest = max(record.asset_entry.last_materialization_storage_id or 0, planned)
        if not newest:
            return None
        with partition_loading_context(None, instance):
            made = subset_of(partitions, instance.get_materialized_partitions(key))
            failed, under_way, earliest = build_failed_and_in_progress_partition_subset(
                instance, key, partitions, last_planned_materialization_storage_id=planned
            )
            value = AssetStatusCacheValue(
                latest_storage_id=newest,
                partitions_def_id=identifier,
                serialized_materialized_partition_subset=made.serialize(),
                serialized_failed_partition_subset=failed.serialize(),
                serialized_in_progress_partition_subset=under_way.serialize(),
                earliest_in_progress_materialization_event_id=earliest,
            )
        instance.update_asset_cached_status_data(key, value)
        return value
