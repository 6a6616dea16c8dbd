"""The dataset: every return, at any moment, for any window. The truth for tests, too.

A pure function of options and time: two datasets of the same options agree on every machine, and
no hour depends on an earlier request for another. Plans of the latest hours are kept, a fixed
number of them; records are made again for each reply.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

import msgspec

from returns_orchestration.simulator.boundaries import (
    hours_needed,
    in_order,
    pieces_served,
)
from returns_orchestration.simulator.contents import contents_of
from returns_orchestration.simulator.moments import (
    HOUR,
    Micros,
    from_micros,
    hour_of,
    to_micros,
    zone_named,
)
from returns_orchestration.simulator.planning import PlannedReturn, plan_hour
from returns_orchestration.simulator.records import records_of
from returns_orchestration.simulator.truth import TrueReturn, true_return

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from returns_orchestration.simulator.options import SimulatorOptions

_HOURS_KEPT = 12


@dataclass(frozen=True, slots=True)
class ServedRecord:
    """One record of a reply: its return and piece, and its exact JSON.

    `compared_at` is the time that the filter judged it by; `piece` counts from 0.
    """

    reference: str
    piece: int
    requested_at: datetime
    compared_at: datetime
    usable: bool
    json: bytes


class Dataset:
    """All returns of one set of options. Safe to use from several threads."""

    def __init__(self, options: SimulatorOptions) -> None:
        """Remember the options; nothing is made before it is asked for."""
        self.options = options
        self._zone = zone_named(options.zone)
        self._encoder = msgspec.json.Encoder()
        self._hours: OrderedDict[Micros, tuple[PlannedReturn, ...]] = OrderedDict()
        self._lock = Lock()

    def returns_between(self, start: datetime, end: datetime, at: datetime) -> list[TrueReturn]:
        """The returns requested in [start, end) and visible at `at`, by request time.

        Independent of edge rule, filter and order. All three times are aware.
        """
        first, last, moment = to_micros(start), to_micros(end), to_micros(at)
        return [
            true_return(planned, contents_of(planned), moment)
            for hour in range(hour_of(first), last, HOUR)
            for planned in self.planned(hour)
            if first <= planned.requested < last and planned.visible <= moment
        ]

    def served(
        self, start: datetime, end: datetime, at: datetime, call: int = 1
    ) -> list[ServedRecord]:
        """Exactly the records, in order, that the window gets at `at` in its `call`-th poll."""
        return list(self._served(to_micros(start), to_micros(end), to_micros(at), call))

    def replies(self, start: Micros, end: Micros, at: Micros, call: int) -> list[bytes]:
        """The JSON of those records: what the server sends."""
        return [record.json for record in self._served(start, end, at, call)]

    def _served(self, start: Micros, end: Micros, at: Micros, call: int) -> Iterator[ServedRecord]:
        options = self.options
        planned_returns = (
            planned
            for hour in hours_needed(options, start, end)
            if hour <= at
            for planned in self.planned(hour)
        )
        pieces = pieces_served(options, planned_returns, start, end, at)
        for piece in in_order(options, pieces, start, call):
            planned = piece.planned
            contents = contents_of(planned)
            for record in records_of(
                planned, contents, piece.piece, at, self._zone, progress=options.progress
            ):
                yield ServedRecord(
                    reference=planned.reference,
                    piece=piece.piece,
                    requested_at=from_micros(planned.requested),
                    compared_at=from_micros(piece.compared),
                    usable=not planned.unusable,
                    json=self._encoder.encode(record),
                )

    def planned(self, hour: Micros) -> tuple[PlannedReturn, ...]:
        """The returns requested in the hour that begins then."""
        with self._lock:
            known = self._hours.get(hour)
            if known is not None:
                self._hours.move_to_end(hour)
                return known
            planned = plan_hour(self.options, hour)
            self._hours[hour] = planned
            if len(self._hours) > _HOURS_KEPT:
                self._hours.popitem(last=False)
            return planned
