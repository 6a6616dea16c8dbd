"""The daily tables: in any zone, they count the rows that users see, day by day."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from support.lakes import bytes_of, rows
from support.records import Record, at, item, returned

from returns_orchestration import tables
from returns_orchestration.flow.days import DayBuilder
from returns_orchestration.flow.outcomes import Made, MadeDay
from returns_orchestration.lake import Lake
from returns_orchestration.state.hours import States
from returns_orchestration.window import Day, Window, windows_between

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from returns_orchestration.flow.outcomes import Outcome

INDIA = ZoneInfo("Asia/Kolkata")
NINTH, TENTH = (Day(date(2026, 11, day), INDIA) for day in (9, 10))
HOURS = list(windows_between(at(16), at(21)))
"""The ninth of November in India ends in the middle of the third."""

MODES = ("Back to source", "Credits", None)
REASONS = ("Size Issue", "Damaged", None)
OFFSETS = [0, 15, 30, 45]

Rows = set[tuple[Any, ...]]


def numbered(number: int, moment: datetime) -> Record:
    """A return whose mode, and the number, reasons, modes and quantities of its items, differ."""
    items = [
        item(
            f"S{index}",
            quantity=number % 5 or None,
            return_reason=REASONS[(number + index) % 3],
            refund_mode=MODES[(number // 3 + index) % 3],
        )
        for index in range(number % 4)
    ]
    return returned(
        f"R-{number:05d}",
        moment,
        refund_mode=MODES[number // 2 % 3],
        webhook_payload={"additional": {"item_info": items}},
    )


def reply(window: Window) -> list[Record]:
    """Four returns at the quarters of the hour, and one in its last microsecond."""
    offsets = [timedelta(minutes=minutes) for minutes in OFFSETS]
    hour = int(window.start.timestamp()) // 3600
    moments = [*offsets, timedelta(hours=1) - timedelta(microseconds=1)]
    return [numbered(hour * 10 + n, window.start + offset) for n, offset in enumerate(moments)]


def more(window: Window, moment: datetime) -> Callable[[Window], list[Record]]:
    """The same, and one return more in ``window``."""
    return lambda w: [*reply(w), *([numbered(7, moment)] if w == window else [])]


def recount(folder: Path, zone: str) -> tuple[Rows, Rows]:
    """Both daily tables, counted from the rows in the lake, row by row."""
    local = pl.col("requested_at").dt.convert_time_zone(zone).dt.date().alias("day")
    returns = rows(folder, "returns").with_columns(local).to_dicts()
    items = defaultdict(list)
    for row in rows(folder, "return_items").to_dicts():
        items[row["return_reference_number"]].append(row)
    modes: dict[Any, Counter[str]] = defaultdict(Counter)
    reasons: dict[Any, Counter[str]] = defaultdict(Counter)
    for found in returns:
        mine = items[found["return_reference_number"]]
        theirs = {one["refund_mode"] for one in mine} - {None}
        shared = "Not given" if not theirs else theirs.pop() if len(theirs) == 1 else "Mixed"
        modes[found["day"], found["refund_mode"] or shared]["returns"] += 1
        for one in mine:
            mode = one["refund_mode"] or found["refund_mode"] or "Not given"
            reason = found["day"], one["return_reason"] or "Not given"
            for group in (modes[found["day"], mode], reasons[reason]):
                group["items"] += 1
                group["quantity"] += one["quantity"] or 0
        for name in {one["return_reason"] or "Not given" for one in mine}:
            reasons[found["day"], name]["returns"] += 1
    return tuple(  # type: ignore[return-value]
        {(*key, n["returns"], n["items"], n["quantity"]) for key, n in counted.items()}
        for counted in (modes, reasons)
    )


def daily(folder: Path) -> tuple[Rows, Rows]:
    by_mode, by_reason = tables.REFUND_MODES.daily, tables.RETURN_REASONS.daily
    modes, reasons = (rows(folder, table.name).rows() for table in (by_mode, by_reason))
    assert len(set(modes)) == len(modes)
    assert len(set(reasons)) == len(reasons)
    return set(modes), set(reasons)


def days(outcomes: list[Outcome]) -> dict[date, set[str]]:
    """The days that were made, and which of their tables changed."""
    made = [outcome.built for outcome in outcomes if isinstance(outcome, MadeDay)]
    assert sorted(made, key=lambda built: built.day) == made
    return {built.day.date: built.changed for built in made}


def whole(lake: Lake, day: Day, now: datetime) -> tuple[str, str, str]:
    """The result of the claim about the hours of the day."""
    claims = DayBuilder(lake, day.zone).build(lake.names(), day, now).claims
    assert claims["refund_modes_daily"][0] == claims["return_reasons_daily"][0]
    found = claims["refund_modes_daily"][0]
    assert found.name == "every_hour_of_the_day_is_there"
    return found.verdict, found.weight, found.figures


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Asia/Kolkata", date(2026, 11, 9), 24),
        ("UTC", date(2026, 11, 9), 24),
        ("America/New_York", date(2026, 3, 8), 23),
        ("America/New_York", date(2026, 11, 1), 25),
    ],
)
def test_the_days_of_a_zone_count_the_rows_of_the_lake(  # noqa: PLR0917 - what varies
    zone: str, day: date, hours: int, lake: Lake, folder: Path, api_of: Any
) -> None:
    found = Day(day, ZoneInfo(zone))
    first, last = found.windows[0].previous, found.windows[-1].next
    outcomes = api_of(reply, zone=zone).run(lake, list(windows_between(first.start, last.end)))
    assert len(days(outcomes)) == 3
    assert daily(folder) == recount(folder, zone)
    modes, _ = daily(folder)
    assert sum(row[2] for row in modes if row[0] == day) == hours * 5
    assert {row[1] for row in modes} == {"Back to source", "Credits", "Mixed", "Not given"}


def test_a_late_return_reaches_its_day(lake: Lake, folder: Path, api_of: Any) -> None:
    api_of(reply).run(lake, HOURS)
    before = rows(folder, "refund_modes_daily")["returns"].sum()
    late = api_of(more(HOURS[2], at(18, 31)), at(200)).run(lake, HOURS[2:3])
    # Its hour lies in both days, its row in one of them.
    assert days(late) == {
        NINTH.date: {"returns_daily"},  # whose rows were seen once more
        TENTH.date: {table.name for table in tables.MADE_DAILY},
    }
    assert daily(folder) == recount(folder, INDIA.key)
    assert rows(folder, "refund_modes_daily")["returns"].sum() == before + 1


@pytest.mark.parametrize(("index", "day"), [(0, NINTH), (4, TENTH)])
def test_a_day_follows_a_change_of_any_of_its_hours(
    index: int, day: Day, lake: Lake, folder: Path, api_of: Any
) -> None:
    api_of(reply).run(lake, HOURS)
    changed = api_of(more(HOURS[index], HOURS[index].start), at(200)).run(lake, HOURS)
    assert days(changed).keys() == {day.date}
    assert daily(folder) == recount(folder, INDIA.key)
    made = lake.made(day, lake.names())
    assert made is not None
    assert made.facts["hours"] == 3
    assert made.facts["returns"] == rows(folder, f"refund_modes_daily/{day.path}")["returns"].sum()


def test_a_second_build_gives_the_same_bytes_and_no_new_file(lake: Lake, api_of: Any) -> None:
    api = api_of(reply)
    api.run(lake, HOURS)
    before = bytes_of(lake.store)
    assert any(path.startswith("refund_modes_daily/") for path in before)
    assert days(api.run(lake, HOURS)) == {}
    builder = DayBuilder(Lake(lake.store, lambda: at(21)), INDIA)
    built = [builder.build(lake.names(), day, at(20)) for day in (NINTH, TENTH)]
    assert [of_one.changed for of_one in built] == [set(), set()]
    assert bytes_of(lake.store) == before


def test_the_rows_of_an_hour_that_was_never_polled_are_counted_in_their_day(
    lake: Lake, folder: Path, api_of: Any
) -> None:
    strays = [numbered(1, at(18, 10)), numbered(2, at(18, 40))]
    api = api_of(lambda w: strays if w == HOURS[1] else reply(w))
    others = [window for window in HOURS if window != HOURS[2]]
    api.run(lake, others)
    assert lake.made(HOURS[1], lake.names()).facts["returns"] == 2  # type: ignore[union-attr]
    assert daily(folder) == recount(folder, INDIA.key)
    assert lake.made(NINTH, lake.names()).facts["returns"] == 5 + 1  # type: ignore[union-attr]
    assert lake.made(TENTH, lake.names()).facts["returns"] == 2 * 5 + 1  # type: ignore[union-attr]
    # Once polled, the hour takes them back, and both days follow.
    assert days(api.run(lake, [HOURS[2]])).keys() == {NINTH.date, TENTH.date}
    assert daily(folder) == recount(folder, INDIA.key)
    assert lake.made(TENTH, lake.names()).facts["returns"] == 3 + 2 * 5 + 1  # type: ignore[union-attr]


def test_a_row_in_an_hour_of_another_day_is_counted_in_its_own_day_once_made(
    lake: Lake, folder: Path, api_of: Any
) -> None:
    edge = returned("R-EDGE", at(24))
    api = api_of(lambda w: [edge] if w.start == at(23) else reply(w), zone="UTC")
    assert days(api.run(lake, [Window(at(23))])).keys() == {NINTH.date}
    assert daily(folder) == (set(), set())
    assert days(api.run(lake, [Window(at(25))])).keys() == {TENTH.date}
    assert daily(folder) == recount(folder, "UTC")
    assert sum(row[2] for row in daily(folder)[0]) == 5 + 1


def test_a_day_follows_an_hour_until_it_changes(lake: Lake, api_of: Any) -> None:
    hour, builder = HOURS[2], DayBuilder(lake, INDIA)

    def followed(zone: ZoneInfo = INDIA) -> list[bool]:
        judge = States(lake, lake.names(), zone)
        return [judge.is_followed(window) for window in HOURS]

    assert followed() == [False] * 5
    api_of(reply).run(lake, HOURS)
    assert followed() == [True] * 5
    assert followed(ZoneInfo("UTC")) == [False] * 5
    pipeline = api_of(more(hour, at(18, 31)), at(200)).pipeline(lake)
    for outcome in pipeline.run([hour]):
        if isinstance(outcome, Made):
            break  # killed before the days
    assert followed() == [True, True, False, True, True]
    builder.build(lake.names(), NINTH, at(21))
    assert followed() == [True, True, False, True, True]
    builder.build(lake.names(), TENTH, at(21))
    assert followed() == [True] * 5


def test_in_another_zone_all_days_are_due_and_made_without_a_poll(
    lake: Lake, folder: Path, api_of: Any
) -> None:
    hours = list(windows_between(at(-6), at(19)))  # one day of India, and all of the UTC day
    api_of(reply).run(lake, hours)
    utc = api_of(reply, zone="UTC")
    outcomes = utc.run(lake, hours, missing_only=True)
    assert utc.asked == []
    assert set(days(outcomes)) == {date(2026, 11, 8), NINTH.date}
    modes = {row for row in daily(folder)[0] if row[0] < TENTH.date}
    assert modes == recount(folder, "UTC")[0]


@pytest.mark.parametrize(
    ("polled", "now", "expected"),
    [
        (
            [0, 1, 2, 4, 5],
            at(6, 59),
            ("fails", "error", "1 hour of the day is missing: 2026-11-09T03:00"),
        ),
        (
            [0, 1, 2, 4, 5],
            at(7),
            (
                "fails",
                "error",
                "2 hours of the day are missing: 2026-11-09T03:00, 2026-11-09T06:00",
            ),
        ),
        (
            [0, 1, 2, 3, 4, 5],
            at(6, 59),
            (
                "holds",
                "error",
                "no hour is missing; the day is not over, 6 of 24 hours so far",
            ),
        ),
        (range(24), at(2000), ("holds", "error", "no hour is missing")),
        (range(23), at(2000), ("fails", "error", "1 hour of the day is missing: 2026-11-09T23:00")),
    ],
)
def test_missing_hours_of_a_day_are_named_and_future_hours_are_not(
    polled: list[int], now: datetime, expected: tuple[str, str, str], lake: Lake, api_of: Any
) -> None:
    api_of(lambda _: [], zone="UTC").run(lake, [Window(at(hour)) for hour in polled])
    assert whole(lake, Day(NINTH.date, ZoneInfo("UTC")), now) == expected


def test_a_waived_hour_is_not_missing_in_its_day(lake: Lake, api_of: Any) -> None:
    api_of(lambda _: [], zone="UTC").run(lake, [Window(at(hour)) for hour in range(23)])
    lake.waive(Window(at(23)), "ClickPost was down")
    found = whole(lake, Day(NINTH.date, ZoneInfo("UTC")), at(2000))
    assert found == ("holds", "error", "no hour is missing")


def test_an_hour_that_was_polled_and_not_made_is_missing_in_its_day(
    lake: Lake, api_of: Any
) -> None:
    api = api_of(reply)
    api.run(lake, list(windows_between(TENTH.start - timedelta(minutes=30), at(20))))
    api.run(lake, [Window(at(20))], make=False)
    assert whole(lake, TENTH, at(21)) == (
        "fails",
        "error",
        "1 hour of the day is missing: 2026-11-09T20:00",
    )
