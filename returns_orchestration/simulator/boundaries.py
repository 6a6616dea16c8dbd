"""Which pieces a window gets, and in what order: the questions the vendor leaves open.

Which of the record's two times is compared, which ends of the window count, and how a reply is
sorted are options. Whatever they are, a piece is judged by one time only.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, NamedTuple

from returns_orchestration.simulator.moments import (
    HOUR,
    MINUTE,
    SECOND,
    Micros,
    hour_of,
    whole_second,
)
from returns_orchestration.simulator.planning import PIECE_GAP, PlannedReturn
from returns_orchestration.simulator.records import piece_count

if TYPE_CHECKING:
    from collections.abc import Iterable

    from returns_orchestration.simulator.options import EdgeRule, SimulatorOptions

_UNREADABLE_TIMESTAMP = "unreadable-timestamp"


class Piece(NamedTuple):
    """One piece of a return with the time that the filter compares."""

    compared: Micros
    planned: PlannedReturn
    piece: int


def inside(rule: EdgeRule, moment: Micros, start: Micros, end: Micros) -> bool:
    """Whether a window counts a moment, by the rule for its ends."""
    if rule == "second":
        return whole_second(start) <= whole_second(moment) <= whole_second(end)
    after = start <= moment if rule[0] == "[" else start < moment
    before = moment <= end if rule[1] == "]" else moment < end
    return after and before


def compared_time(
    options: SimulatorOptions, planned: PlannedReturn, piece: int, at: Micros
) -> Micros:
    """The time by which a piece is found: a record without a readable timestamp has but one."""
    if (
        options.filter_on == "requested"
        or planned.awb is None
        or planned.oddity == _UNREADABLE_TIMESTAMP
        or not planned.assigned(at)
    ):
        return planned.requested
    return planned.awb + piece * PIECE_GAP


def hours_needed(options: SimulatorOptions, start: Micros, end: Micros) -> range:
    """The starts of the hours whose returns the window can hold."""
    first = start
    if options.filter_on == "timestamp":
        reach = options.awb_slow_by[1].total_seconds() if options.awb_slow_share else 0
        first -= int(reach * SECOND) + MINUTE  # a minute: quick AWBs, gaps between pieces
    return range(hour_of(first), hour_of(end) + HOUR, HOUR)


def pieces_served(
    options: SimulatorOptions,
    planned_returns: Iterable[PlannedReturn],
    start: Micros,
    end: Micros,
    at: Micros,
) -> list[Piece]:
    """The pieces that the window counts at a moment, by the compared time."""
    rule = options.edge_rule
    found = []
    for planned in planned_returns:
        if planned.visible > at:
            continue
        for piece in range(piece_count(planned, at)):
            compared = compared_time(options, planned, piece, at)
            if inside(rule, compared, start, end):
                found.append(Piece(compared, planned, piece))
    found.sort(key=lambda one: (one.compared, one.planned.reference, one.piece))
    return found


def in_order(
    options: SimulatorOptions, pieces: list[Piece], start: Micros, call: int
) -> list[Piece]:
    """The pieces as the `call`-th reply to the window has them; the argument does not change."""
    if options.order == "desc":
        return pieces[::-1]
    if options.order == "shuffled":
        shuffled = pieces[:]
        Random(f"{options.seed}:{start}:{call}").shuffle(shuffled)
        return shuffled
    return pieces
