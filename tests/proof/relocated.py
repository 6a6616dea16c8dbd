"""A return whose request time differs in another window's poll."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime

from returns_orchestration.clickpost import Poll
from returns_orchestration.flow.hours import HourPipeline
from returns_orchestration.stages.typing import Refused
from returns_orchestration.window import Window


def land_moved(pipeline: HourPipeline, home: Window, other: Window, polled_at: datetime) -> None:
    """Land a poll of ``other`` that serves a return of ``home`` as if requested in ``other``."""
    ((_, poll),) = pipeline.poll_all([home])
    assert isinstance(poll, Poll), poll
    served: dict[str, list[dict[str, object]]] = {}
    for record in map(json.loads, poll.records):
        head = pipeline.reader.head(record)
        if not isinstance(head, Refused) and home.start < head[1] < home.end:
            served.setdefault(head[0], []).append(record)
    half_past = {"Return Request Timestamp": f"{other.start:%Y-%m-%dT%H}:30:00Z"}
    moved = tuple(json.dumps(record | half_past) for record in served[min(served)])
    names = pipeline.lake.names()
    pipeline.land(
        names, dataclasses.replace(poll, window=other, polled_at=polled_at, records=moved)
    )
