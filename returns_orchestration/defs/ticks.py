"""What would keep Dagster's daemon from evaluating sensors and schedules, put right at its start.

Ticks with a time in the future are brought back to the present: Dagster evaluates a sensor once its
interval has passed since its last tick, and a schedule for the times after its last one. After a
clock that was days ahead nothing would be evaluated for days. A state of which only one of its two
rows was written is completed: a daemon that was killed between the two, as PostgreSQL allows, would
evaluate no sensor ever again.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from dagster._core.scheduler.instigation import (
    InstigatorState,
    ScheduleInstigatorData,
    SensorInstigatorData,
)
from dagster._core.storage.schedules.schema import JobTable
from dagster._serdes import deserialize_value

if TYPE_CHECKING:
    from datetime import datetime

    import dagster as dg

AHEAD: Final = timedelta(minutes=2)
"""What is no further ahead passes by itself."""

_TIMES: Final[dict[type, tuple[str, ...]]] = {
    SensorInstigatorData: (
        "last_tick_timestamp",
        "last_tick_start_timestamp",
        "last_tick_success_timestamp",
        "last_sensor_start_timestamp",
    ),
    ScheduleInstigatorData: ("start_timestamp", "last_iteration_timestamp"),
}


def complete_states(instance: dg.DagsterInstance) -> list[str]:
    """Write each second row that is absent; gives the names of the sensors and schedules."""
    storage: Any = instance.schedule_storage
    known = {state.selector_id for state in instance.all_instigator_state()}
    found: list[str] = []
    with storage.connect() as connection:
        for body in connection.execute(sa.select(JobTable.c.job_body)).scalars().all():
            state = deserialize_value(body, InstigatorState)
            if state.selector_id not in known:
                storage._add_or_update_instigators_table(connection, state)  # noqa: SLF001 - Dagster's own way
                found.append(state.instigator_name)
    return found


def bring_back(instance: dg.DagsterInstance, now: datetime) -> list[str]:
    """Set each time after ``now`` to ``now``; gives the names of the sensors and schedules."""
    found: list[str] = []
    limit = (now + AHEAD).timestamp()
    for state in instance.all_instigator_state():
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, after=limit)
        for tick in ticks:
            seen: Any = tick.tick_data
            seen = seen._replace(timestamp=now.timestamp())
            instance.update_tick(tick._replace(tick_data=seen))
        data: Any = state.instigator_data
        wrong = {
            name: now.timestamp()
            for name in _TIMES.get(data.__class__, ())
            if (getattr(data, name) or 0) > limit
        }
        if wrong:
            instance.update_instigator_state(state.with_data(data._replace(**wrong)))
        if wrong or ticks:
            found.append(state.instigator_name)
    return found
