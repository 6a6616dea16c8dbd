"""Ticks of sensors as Dagster's daemon stores them."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorTick,
    InstigatorType,
    TickData,
    TickStatus,
)


def origin(sensor: str) -> RemoteInstigatorOrigin:
    """How Dagster names a sensor of the project."""
    return RemoteInstigatorOrigin(
        RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "__repository__"), sensor
    )


def add_tick(
    instance: dg.DagsterInstance,
    sensor: str,
    at: datetime,
    status: TickStatus = TickStatus.SUCCESS,
    cursor: str | None = None,
) -> InstigatorTick:
    """Store a tick of ``sensor``, which is known to Dagster from then on."""
    of = origin(sensor)
    if instance.get_instigator_state(of.get_id(), of.get_selector().get_id()) is None:
        kind, running = InstigatorType.SENSOR, InstigatorStatus.DECLARED_IN_CODE
        instance.add_instigator_state(InstigatorState(of, kind, running))
    return instance.create_tick(
        TickData(
            instigator_origin_id=of.get_id(),
            instigator_name=sensor,
            instigator_type=InstigatorType.SENSOR,
            status=status,
            timestamp=at.timestamp(),
            selector_id=of.get_selector().get_id(),
            run_ids=[],
            cursor=cursor,
            skip_reason="Nothing is due." if status is TickStatus.SKIPPED else None,
        )
    )


def ticks(instance: dg.DagsterInstance, sensor: str) -> list[datetime]:
    """The times of the stored ticks of ``sensor``, the newest first."""
    of = origin(sensor)
    found = instance.get_ticks(of.get_id(), of.get_selector().get_id())
    return [datetime.fromtimestamp(tick.timestamp, UTC) for tick in found]
