"""What happens to a return after it is requested: which step it is in at a moment.

The steps show in webhook_payload and latest_status. The record's own shape (with or without a
courier) follows from its AWB alone, see `planning.PlannedReturn.assigned`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from returns_orchestration.simulator.moments import HOUR, MINUTE, Micros

if TYPE_CHECKING:
    from returns_orchestration.simulator.planning import PlannedReturn


class Step(NamedTuple):
    """One status: ClickPost's code, its notification event, its text, its bucket."""

    code: int
    event: int
    text: str
    bucket: int


PLACED = Step(101, 11, "Return Order Placed", 8)
APPROVED = Step(102, 22, "Return Request Approved", 8)
REGISTERED = Step(28, 9, "AWB Registered", 8)
PICKED_UP = Step(4, 9, "Picked Up", 2)
DELIVERED = Step(8, 9, "Delivered", 6)
CANCELLED = Step(10, 10, "Return Request Cancelled", 7)

_PACES = 997  # how many different speeds there are; a prime, so that they mix with other draws


def step_at(planned: PlannedReturn, at: Micros, *, progress: bool) -> tuple[Step, Micros]:
    """The latest step begun by `at`, and when it began. Before the request: its first step."""
    current = PLACED, planned.requested
    for begun, step in _journey(planned, progress=progress):
        if begun > at:
            break
        current = step, begun
    return current


def journey(planned: PlannedReturn, *, progress: bool) -> list[tuple[Micros, Step]]:
    """All its steps with their moments, rising: placed, and those after it."""
    return [(planned.requested, PLACED), *_journey(planned, progress=progress)]


def _journey(planned: PlannedReturn, *, progress: bool) -> list[tuple[Micros, Step]]:
    """The steps after PLACED with their moments, rising."""
    pace = planned.salt % _PACES / _PACES
    steps: list[tuple[Micros, Step]] = []
    if planned.awb is None:
        if progress:
            steps.append((planned.requested + _within(10 * MINUTE, 6 * HOUR, pace), APPROVED))
            if planned.salt % 4 == 0:
                steps.append((planned.requested + _within(12 * HOUR, 60 * HOUR, pace), CANCELLED))
        return steps
    if planned.slow:
        wait = planned.awb - planned.requested
        if progress:
            steps.append((planned.requested + int(wait * (0.2 + 0.6 * pace)), APPROVED))
        steps.append((planned.awb, REGISTERED))
    if progress:
        picked_up = planned.awb + _within(8 * HOUR, 50 * HOUR, pace) + planned.waits
        steps.append((picked_up, PICKED_UP))
        steps.append((picked_up + _within(20 * HOUR, 120 * HOUR, 1 - pace), DELIVERED))
    return steps


def _within(low: Micros, high: Micros, place: float) -> Micros:
    return low + int(place * (high - low))
