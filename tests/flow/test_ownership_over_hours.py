"""Every return that a polled window served is in `returns` exactly once, whatever the API does."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from support.lakes import placed, references, rows
from support.records import Record, assigned, at, returned, wire_time

from returns_orchestration.window import Window, windows_between

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from returns_orchestration.lake import Lake

REQUEST, OWN = "Return Request Timestamp", "timestamp"
HOURS = list(windows_between(at(9), at(14)))
MICROSECOND = timedelta(microseconds=1)
OFFSETS = [
    timedelta(),
    MICROSECOND,
    timedelta(seconds=0.5),
    timedelta(seconds=1) - MICROSECOND,
    timedelta(seconds=1),
    timedelta(minutes=30),
    timedelta(seconds=3598.56),
    timedelta(seconds=3599) - MICROSECOND,
    timedelta(seconds=3599),
    timedelta(seconds=3599.5),
    timedelta(hours=1) - MICROSECOND,
]
"""The request times within an hour: around its edges, and one in the middle."""


def whole(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


EDGES: dict[str, Any] = {
    "[)": lambda t, start, end: start <= t < end,
    "[]": lambda t, start, end: start <= t <= end,
    "(]": lambda t, start, end: start < t <= end,
    "second": lambda t, start, end: start <= whole(t) <= end,
    "()": lambda t, start, end: start < t < end,
}
ORDERS = {
    "ascending": HOURS,
    "descending": HOURS[::-1],
    "random": random.Random(7).sample(HOURS, len(HOURS)),
}


def around_edges() -> list[Record]:
    """Returns requested around the edges of all hours; every third has no AWB and no own time."""
    made = []
    for window in HOURS:
        for offset in OFFSETS:
            requested = window.start + offset
            number = len(made)
            own = None if number % 3 == 2 else wire_time(requested + timedelta(seconds=1.440688))
            made.append(returned(f"R-{number:03d}", requested, **{OWN: own}))
    return made


RECORDS = around_edges()


def served(rule: str, filtered: str) -> Callable[[Window], list[Record]]:
    def reply(window: Window) -> list[Record]:
        found = []
        for record in RECORDS:
            moment = datetime.fromisoformat(record[filtered] or record[REQUEST])
            if EDGES[rule](moment, window.start, window.end):
                found.append(record)
        return found

    return reply


@pytest.mark.parametrize("missing", [(), (1, 2)], ids=str)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("filtered", [REQUEST, OWN])
@pytest.mark.parametrize("rule", EDGES)
def test_every_served_return_is_there_once_before_and_after_missing_hours_come(  # noqa: PLR0917 - what varies
    rule: str,
    filtered: str,
    order: str,
    missing: tuple[int, ...],
    memory_lake: Lake,
    api_of: Any,
) -> None:
    api = api_of(served(rule, filtered))
    absent = {HOURS[index] for index in missing}
    for part in ([w for w in ORDERS[order] if w not in absent], sorted(absent)):
        api.run(memory_lake, part)
        expected = {r["return_reference_number"] for w in set(api.asked) for r in api.reply(w)}
        assert references(memory_lake) == sorted(expected)
    assert set(api.asked) == set(HOURS)


def test_every_edge_rule_serves_returns_on_which_windows_disagree() -> None:
    """Otherwise the test above would prove nothing: some are served twice, some never."""
    counts = {}
    for rule in EDGES:
        for filtered in (REQUEST, OWN):
            reply = served(rule, filtered)
            all_served = [r["return_reference_number"] for w in HOURS for r in reply(w)]
            doubled = len(all_served) - len(set(all_served))
            elsewhere = sum(
                not w.holds(datetime.fromisoformat(r[REQUEST])) for w in HOURS for r in reply(w)
            )
            counts[rule, filtered] = (doubled > 0, elsewhere > 0, len(set(all_served)))
    assert counts["[)", REQUEST] == (False, False, len(RECORDS))
    assert counts["[]", REQUEST][:2] == (True, True)
    assert counts["(]", REQUEST][1]
    assert counts["second", REQUEST][:2] == (True, True)
    assert counts["()", REQUEST] == (False, False, len(RECORDS) - len(HOURS))
    assert all(counts[rule, OWN][1] for rule in EDGES)


@pytest.mark.parametrize("seed", range(5))
def test_after_each_poll_every_served_return_is_there_once(
    seed: int, memory_lake: Lake, api_of: Any
) -> None:
    draw = random.Random(seed)
    api = api_of(served(draw.choice(["[]", "(]", "second"]), draw.choice([REQUEST, OWN])))
    expected: set[str] = set()
    for window in draw.choices(HOURS, k=10):
        api.run(memory_lake, [window])
        expected |= {r["return_reference_number"] for r in api.reply(window)}
        assert references(memory_lake) == sorted(expected)


def test_a_return_lives_in_the_hour_it_was_requested_in_if_that_was_polled(
    lake: Lake, folder: Path, api_of: Any
) -> None:
    api = api_of(served("second", OWN))
    api.run(lake, HOURS[1:])
    for window in HOURS[1:]:
        frame = rows(folder, f"returns/{window.path}")
        own = frame.filter(
            (frame["requested_at"] >= window.start) & (frame["requested_at"] < window.end)
        )
        others = frame.height - own.height
        assert own.height >= len(OFFSETS) - 1
        assert (others > 0) is (window == HOURS[1])
    api.run(lake, HOURS[:1])
    for window in HOURS:
        times = rows(folder, f"returns/{window.path}")["requested_at"]
        assert all(window.holds(moment) for moment in times)


def test_a_return_of_no_polled_hour_lives_in_the_earliest_window_that_served_it(
    memory_lake: Lake, api_of: Any
) -> None:
    stray = returned("R-STRAY", at(3))
    api = api_of(lambda _: [stray])
    for window in (HOURS[2], HOURS[1], HOURS[3]):
        api.run(memory_lake, [window])
    homes = [
        w for w in HOURS if f"returns/{w.path}/" in str(list(memory_lake.store.list("returns")))
    ]
    names = memory_lake.names()
    holding = [w for w in homes if memory_lake.made(w, names).facts["returns"]]  # type: ignore[union-attr]
    assert holding == [HOURS[1]]
    api.run(memory_lake, [Window(at(3))])
    assert references(memory_lake) == ["R-STRAY"]
    names = memory_lake.names()
    assert memory_lake.made(Window(at(3)), names).facts["returns"] == 1  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "moment", [datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 12, 31, 23, tzinfo=UTC)]
)
def test_a_request_time_at_the_limits_of_valid_times_is_kept(
    moment: datetime, memory_lake: Lake, api_of: Any
) -> None:
    text = f"{moment.year:04d}{moment:-%m-%dT%H:%M:%SZ}"
    odd = assigned({"return_reference_number": "R-ODD", REQUEST: text})
    api_of(lambda _: [odd, RECORDS[0]]).run(memory_lake, HOURS[:2])
    assert references(memory_lake) == ["R-000", "R-ODD"]


def test_two_copies_in_one_reply_with_requests_in_two_hours_are_one_return(
    memory_lake: Lake, api_of: Any
) -> None:
    before, after = (returned("R-1", at(10) + d) for d in (-MICROSECOND, timedelta()))
    api = api_of(lambda window: [before, after] if window == HOURS[0] else [])
    api.run(memory_lake, HOURS[:2])
    assert references(memory_lake) == ["R-1"]


def test_a_request_time_that_moves_to_another_hour_moves_the_return(
    memory_lake: Lake, api_of: Any
) -> None:
    api_of(lambda _: []).run(memory_lake, HOURS[:3])
    for number, moment in enumerate((at(10, 59), at(11, 1), at(9, 59), at(10, 30), at(3), at(11))):
        moved = returned("R-1", moment)
        api_of(lambda _, moved=moved: [moved], at(50 + number)).run(memory_lake, HOURS[1:2])
        assert references(memory_lake) == ["R-1"], moment


def test_the_hours_of_this_file_are_contiguous() -> None:
    assert all(one.next == other for one, other in pairwise(HOURS))


POORER = {"refund_mode": None, "awb": None, "webhook_payload": None}


@pytest.mark.parametrize("order", [[9, 10, 8], [9, 8, 10], [8, 9, 10], [10, 8, 9], [8, 10, 9]])
def test_a_null_never_erases_in_any_order_of_polls(
    order: list[int], memory_lake: Lake, api_of: Any
) -> None:
    """Another window served it in full, and those at its hour's edge serve it with nulls."""
    full = assigned({"return_reference_number": "R-1", REQUEST: "2026-11-09T10:30:00Z"})
    poor = full | {REQUEST: "2026-11-09T09:00:00Z"} | POORER
    for hour in order:
        api = api_of(lambda _, h=hour: [full if h == 10 else poor], at(50))
        api.run(memory_lake, [Window(at(hour))])
    frame = placed(memory_lake.store, "returns")
    items = placed(memory_lake.store, "return_items")
    assert frame is not None
    assert items is not None
    (row,) = frame.to_dicts()
    assert (row["refund_mode"], row["awb"]) == (full["refund_mode"], full["awb"])
    assert items.height == len(full["webhook_payload"]["additional"]["item_info"])
