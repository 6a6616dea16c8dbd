"""Planted in a real lake: a silent night, a surge, a wrong size chart; and normal days."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest
from alerts.conftest import START, Desk, evaluated

from returns_orchestration import tables
from returns_orchestration.simulator.moments import to_micros
from returns_orchestration.simulator.rhythm import lively_count
from returns_orchestration.state import mix, rhythm
from returns_orchestration.state.failing_claims import Evaluation
from returns_orchestration.state.mix import DayMix
from returns_orchestration.window import Day, Window, windows_between

INDIA = ZoneInfo("Asia/Kolkata")
WEEKS = timedelta(weeks=5)
NIGHT_BEGINS = START + WEEKS + timedelta(hours=14)  # half past seven in the evening in India


def usual(window: Window, mean: float) -> int:
    return lively_count(to_micros(window.start), mean, Random(window.key))


def fill(desk: Desk, mean: float, until: Window) -> None:
    """The hours of a merchant with that many returns an hour."""
    desk.publish({w: usual(w, mean) for w in windows_between(START, until.start)})


def lived(desk: Desk, mean: float, silent: range) -> list[str]:
    """The titles sent in a night whose ``silent`` hours, counted from its start, have no return."""
    first = Window.of(NIGHT_BEGINS)
    fill(desk, mean, first)
    desk.now = NIGHT_BEGINS
    desk.tick()
    for number, window in enumerate(
        windows_between(NIGHT_BEGINS, NIGHT_BEGINS + timedelta(hours=16))
    ):
        desk.now = window.end + timedelta(minutes=15)
        desk.publish({window: 0 if number in silent else usual(window, mean)})
        desk.tick(evaluated(window, desk.now))
    return desk.titles


def test_a_silent_night_at_a_busy_merchant_is_notified_once_and_so_is_its_end(desk: Desk) -> None:
    titles = lived(desk, 137, range(9))
    assert [title.split(",")[0] for title in titles] == [
        "[problem] No returns at all in 1 hour",
        "[resolved] Returns arrive as usual",
    ]
    assert {incident.kind for incident in desk.state.incidents} == {"silence"}


def test_a_quiet_night_at_a_small_merchant_is_not_notified(desk: Desk) -> None:
    assert lived(desk, 2, range(4, 11)) == []


def test_ordinary_nights_are_not_notified(desk: Desk) -> None:
    assert lived(desk, 16, range(0)) == []


def test_a_surge_is_notified(desk: Desk) -> None:
    window = Window.of(NIGHT_BEGINS)
    fill(desk, 16, window)
    desk.publish({window: 6 * usual(window, 16)})
    desk.now = window.end + timedelta(minutes=15)
    desk.tick(evaluated(window, desk.now))
    assert desk.kinds == ["surge"]


def level(count: int, weeks: int = 9) -> dict[int, int]:
    return dict.fromkeys(range(weeks * 168), count)


@pytest.mark.parametrize(
    ("before", "now", "found"),
    [(1, 3, False), (0, 19, False), (0, 25, True), (40, 120, False), (40, 160, True)],
)
def test_a_surge_must_be_large_in_numbers_and_in_proportion(
    before: int, now: int, found: bool
) -> None:
    counts = level(before)
    last = max(counts)
    assert bool(rhythm.surge({**counts, last: now}, last)) is found


@pytest.mark.parametrize(("factor", "found"), [(3.0, False), (6.0, True)])
def test_a_sale_that_raises_all_hours_is_not_a_surge(factor: float, found: bool) -> None:
    counts = level(30)
    last = max(counts)
    for hour in range(last - 6, last):
        counts[hour] = 90
    counts[last] = round(90 * factor)
    assert bool(rhythm.surge(counts, last)) is found


def test_one_odd_week_does_not_change_the_usual_counts() -> None:
    counts = level(40)
    last = max(counts)
    counts[last - 168] = 4_000
    known = rhythm.usual(counts, last)
    assert known is not None
    assert known.count == 40


def test_hours_are_not_judged_before_enough_history_exists() -> None:
    few = dict.fromkeys(range(4 * 24), 50)
    assert rhythm.usual(few, max(few)) is None
    assert rhythm.silence({**few, max(few): 0}, max(few)) is None
    enough = dict.fromkeys(range(6 * 24), 50)
    assert rhythm.silence({**enough, max(enough): 0}, max(enough)) is not None


def test_missing_hours_are_not_silence() -> None:
    counts = level(50)
    last = max(counts)
    for hour in range(last - 3, last):
        del counts[hour]
    assert rhythm.silence(counts, last) is None
    assert not rhythm.can_be_judged(counts, last - 1)


def test_silence_spans_the_hours_needed_for_certainty() -> None:
    counts = level(6)
    last = max(counts)
    for hour in range(last - 5, last + 1):
        counts[hour] = 0
    found = rhythm.silence(counts, last)
    assert found is not None
    assert (found.hours, found.count, found.usual) == (6, 0, 36.0)
    assert rhythm.silence(counts, last - 4) is None


# ---- the mix of a day

USUAL = {"Size Issue": 48, "Too late": 200, "Other": 152}
WRONG_SIZES = {"Size Issue": 124, "Too late": 158, "Other": 118}


def days(*today: dict[str, int], before: int = 14) -> dict[str, DayMix]:
    mixes = [*([USUAL] * before), *today]
    return {
        (START.date() + timedelta(days=n)).isoformat(): DayMix(
            returns=sum(mix.values()), reasons=mix, modes={"UPI": sum(mix.values())}
        )
        for n, mix in enumerate(mixes)
    }


def judged(
    found: dict[str, DayMix], dimension: mix.Dimension = "return reasons"
) -> list[str] | None:
    shifts = mix.shifts(found, max(found), dimension)
    return None if shifts is None else [shift.name for shift in shifts]


def test_a_shift_names_the_values_that_changed() -> None:
    assert judged(days(WRONG_SIZES)) == ["Size Issue"]
    assert judged(days(WRONG_SIZES), "refund modes") == []
    assert judged(days(USUAL)) == []


@pytest.mark.parametrize(
    ("today", "expected"),
    [
        ({"Size Issue": 3, "Other": 4}, None),  # too few to judge
        ({"Size Issue": 14, "Too late": 50, "Other": 38}, []),  # 14 % against 12 %
        ({"New": 90, **USUAL}, ["New"]),
        ({"Size Issue": 48, "Other": 352}, ["Too late", "Other"]),
    ],
)
def test_a_shift_must_be_large_in_points_proportion_and_numbers(
    today: dict[str, int], expected: list[str] | None
) -> None:
    found = judged(days(today))
    assert found == expected or (found and expected and set(found) == set(expected))


def test_a_mix_needs_a_week_of_days_and_becomes_usual_after_a_week() -> None:
    assert judged(days(WRONG_SIZES, before=6)) is None
    assert judged(days(*[WRONG_SIZES] * 7)) == ["Size Issue"]
    assert judged(days(*[WRONG_SIZES] * 9)) == []


def test_a_wrong_size_chart_is_one_incident_and_resolved_the_day_after(desk: Desk) -> None:
    first = Day.of(START, INDIA)
    for number in range(18):
        day = Day(first.date + timedelta(days=number), INDIA)
        reasons = WRONG_SIZES if number == 16 else USUAL
        frames = {
            tables.RETURN_REASONS.daily.name: tables.RETURN_REASONS.daily.frame(
                {
                    "day": [day.date] * len(reasons),
                    "return_reason": list(reasons),
                    **{name: list(reasons.values()) for name in ("returns", "items", "quantity")},
                }
            ),
            tables.REFUND_MODES.daily.name: tables.REFUND_MODES.daily.empty(),
        }
        desk.publish_day(day, frames, sum(reasons.values()))
        desk.now = day.end - timedelta(hours=1)
        desk.tick(Evaluation("return_reasons_daily", day.key, desk.now))
    assert desk.titles == [
        "[notice] 'Size Issue' 31% against 12% usually",
        "[resolved] The shares of return reasons are as usual",
    ]


def test_counts_are_remembered_for_ten_weeks(desk: Desk) -> None:
    desk.now = START + timedelta(weeks=20)
    desk.publish(dict.fromkeys(windows_between(START, START + timedelta(hours=3)), 5))
    recent = Window.of(desk.now - timedelta(weeks=9))
    desk.publish({recent: 7})
    desk.tick(evaluated(Window(START), desk.now), evaluated(recent, desk.now))
    content = desk.lake.store.get("_alerts/seen.json")
    assert content is not None
    assert f'"{recent.number}":7'.encode() in content
    assert f'"{Window(START).number}"'.encode() not in content
