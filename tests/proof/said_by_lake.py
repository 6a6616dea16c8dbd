"""The lake's own reports: `verify`, the hour of each return, and the state of each hour."""

from __future__ import annotations

from collections.abc import Iterator

from proof.corruption import findings
from support.world import World

from returns_orchestration.flow.from_settings import build_pipeline
from returns_orchestration.state.places import find_misplaced
from returns_orchestration.state.status import states
from returns_orchestration.window import Window

WELL = frozenset({"complete", "empty"})


def wrong_by_the_lake(world: World, windows: list[Window]) -> Iterator[str]:
    """All faults that the lake itself finds when all ``windows`` were polled and made."""
    yield from (finding.text for finding in findings(world))
    pipeline = build_pipeline(world.settings)
    zone = world.settings.report_time_zone
    places = find_misplaced(pipeline.lake, pipeline.reader)
    if places.unmade or not places.is_right:
        yield places.text
    for line in states(pipeline.lake, windows, zone):
        if line.state not in WELL:
            yield f"{line.hour} is {line.state}: {line.error}"
