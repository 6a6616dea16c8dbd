"""Naive times mean the zone under which their poll was sent, whatever is set later."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from support.lakes import OF_ALL_TIME, bytes_of, references
from support.records import Record, at, returned

from returns_orchestration import tables
from returns_orchestration.flow.outcomes import Failed, Stopped
from returns_orchestration.flow.rebuild import Rebuilder
from returns_orchestration.state.places import find_misplaced
from returns_orchestration.state.verify import Verifier
from returns_orchestration.window import Window, windows_between

if TYPE_CHECKING:
    from collections.abc import Callable

    from returns_orchestration.lake import Lake

UTC_KEY, INDIA = "UTC", "Asia/Kolkata"
DAY = list(windows_between(at(0), at(24)))
NAIVE = [datetime(2026, 11, 9) + timedelta(minutes=20 * n) for n in range(3 * 32)]  # noqa: DTZ001
"""Request times as the API writes them, without their zone, over 32 hours."""

ALL = sorted(f"R-{moment:%d-%H%M}" for moment in NAIVE)


def serving(zone: str) -> Callable[[Window], list[Record]]:
    """The records that the API serves to windows written in ``zone``."""

    def reply(window: Window) -> list[Record]:
        start, end = map(datetime.fromisoformat, window.on_the_wire(ZoneInfo(zone)))
        return [
            returned(f"R-{moment:%d-%H%M}", at(0))
            | {"Return Request Timestamp": moment.isoformat(sep=" ")}
            for moment in NAIVE
            if start <= moment < end
        ]

    return reply


def api_under(zone: str, api_of: Any, always_at: datetime) -> Any:
    return api_of(serving(zone), sent_under=zone, always_at=always_at)


def in_place(lake: Lake, api: Any) -> list[str]:
    """The references of the lake, after a comparison with raw_returns and with its journal."""
    places = find_misplaced(lake, api.pipeline(lake).reader)
    assert (places.nowhere, places.repeated, places.unmade) == (0, 0, 0)
    found = references(lake)
    assert places.served == len(found) == len(set(found))
    assert list(Verifier(lake, ZoneInfo(api.zone)).everything()) == []
    return found


def times(lake: Lake) -> dict[str, datetime]:
    """The request time of each return in `returns`; each inside its own hour."""
    names, found = lake.names(), {}
    for path in lake.store.list("returns"):
        window = Window.from_path(path)
        assert window is not None
        frame = lake.read(tables.RETURNS, window, names)
        assert frame is not None
        rows = frame.select("return_reference_number", "requested_at").rows()
        assert all(window.holds(moment) for _, moment in rows)
        found |= dict(rows)
    return found


@pytest.mark.parametrize("again", [[], DAY[9:10], DAY[9:15], DAY[::5], DAY], ids=len)
@pytest.mark.parametrize(("before", "after"), [(UTC_KEY, INDIA), (INDIA, UTC_KEY)])
def test_every_record_is_in_one_hour_after_the_zone_was_changed(
    before: str, after: str, again: list[Window], memory_lake: Lake, api_of: Any
) -> None:
    lake = memory_lake
    earlier = api_under(before, api_of, at(50))
    earlier.run(lake, DAY)
    known = in_place(lake, earlier)
    assert known

    later = api_under(after, api_of, at(60))
    # No hour is due because of the change, and no request is sent.
    assert later.run(lake, DAY, missing_only=True) == []
    assert later.asked == []
    assert in_place(lake, later) == known
    outcomes = later.run(lake, again)
    assert not [o for o in outcomes if isinstance(o, Failed | Stopped)]
    served = {r["return_reference_number"] for w in again for r in serving(after)(w)}
    found = in_place(lake, later)
    assert found == sorted({*known, *served})
    assert set(later.states(lake, DAY)) <= {"complete", "empty"}

    made = {p: c for p, c in bytes_of(lake.store).items() if not p.startswith(("_", *OF_ALL_TIME))}
    assert Rebuilder(later.pipeline(lake)).rebuild(at(0), at(24)).is_whole
    assert made.items() <= bytes_of(lake.store).items()
    assert in_place(lake, later) == found
    # The poll that served a return last decides the zone of its time.
    offset = ZoneInfo(INDIA).utcoffset(at(0).replace(tzinfo=None)) or timedelta()
    requested = times(lake)
    for moment in NAIVE:
        name = f"R-{moment:%d-%H%M}"
        zone = after if name in served else before
        shift = offset if zone == INDIA else timedelta()
        if name in requested:
            assert requested[name].replace(tzinfo=None) == moment - shift


def test_an_hour_polled_again_under_another_zone_keeps_the_same_text(
    memory_lake: Lake, api_of: Any
) -> None:
    """The same text is another time: the poll is kept, although it brings no new text."""
    record = returned("R-1", at(0)) | {"Return Request Timestamp": "2026-11-09 10:15:00"}
    nine = Window(at(9))
    for number, zone in enumerate((UTC_KEY, INDIA, INDIA), start=1):
        api = api_of(lambda _: [record], sent_under=zone, always_at=at(40 + number))
        api.run(memory_lake, [nine])
        assert len(memory_lake.names().hour(nine).polls) == min(number, 2)
        assert in_place(memory_lake, api) == ["R-1"]
    frame = memory_lake.read(tables.RETURNS, nine, memory_lake.names())
    assert frame is not None
    assert frame.get_column("requested_at").to_list() == [at(4, 45)]


def test_rezoned_polls_are_read_again_without_a_call(memory_lake: Lake, api_of: Any) -> None:
    """They were sent under the wrong zone: a person names the zone of their times."""
    lake = memory_lake
    wrong = api_under(UTC_KEY, api_of, at(50))
    wrong.run(lake, DAY)
    known, before = in_place(lake, wrong), times(lake)
    names = lake.names()
    assert [lake.polls.rezone(names, window, INDIA) for window in DAY] == [1] * len(DAY)
    assert [lake.polls.rezone(names, window, INDIA) for window in DAY] == [0] * len(DAY)
    assert set(wrong.states(lake, DAY)) == {"unfinished"}
    wrong.asked.clear()
    outcomes = wrong.run(lake, DAY, missing_only=True)
    assert not [o for o in outcomes if isinstance(o, Failed | Stopped)]
    assert wrong.asked == []
    assert in_place(lake, wrong) == known
    assert set(wrong.states(lake, DAY)) <= {"complete", "empty"}
    names, shift = lake.names(), timedelta(hours=5, minutes=30)
    found: dict[str, datetime] = {}
    for window in DAY:
        frame = lake.read(tables.RETURNS, window, names)
        assert frame is not None
        found |= dict(frame.select("return_reference_number", "requested_at").rows())
    assert found == {name: moment - shift for name, moment in before.items()}
