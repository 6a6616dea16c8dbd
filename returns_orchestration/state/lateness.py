"""How late returns appear: by the age of a poll, its cost and its returns.

An age is the whole hours from a window's end to the poll. An hour that was first polled at a great
age, as by a backfill, shows nothing about lateness: its returns count as first served at that age
and not as late.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from returns_orchestration import tables
from returns_orchestration.lake.journal import JOURNAL
from returns_orchestration.lake.names import DAYS_AT_ONCE, dates_in
from returns_orchestration.state.claims import judge
from returns_orchestration.window import Window
from returns_orchestration.words import count

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    import polars as pl

    from returns_orchestration.lake import Lake
    from returns_orchestration.state.claims import Claim

TOLERATED: Final = 1 / 1_000
"""Of all returns, the share that the last poll of an hour may bring: later ones are not seen."""


def measure(lake: Lake) -> pl.DataFrame:
    """The table `lateness` of the whole lake. Raises LakeDamaged."""
    polls: Counter[int] = Counter()
    returns: Counter[int] = Counter()
    late: Counter[int] = Counter()
    lake.format.ensure()
    days = dates_in(lake.store, JOURNAL)
    for at in range(0, len(days), DAYS_AT_ONCE):
        names = lake.names()
        names.load(days[at], days[at : at + DAYS_AT_ONCE][-1])
        hours = {window: names.hour(window) for window in names.hours()}
        for window, hour in hours.items():
            polls.update(_ages(window, (poll.polled_at for poll in hour.polls)))
        made = {window: hour.made[0] for window, hour in hours.items() if len(hour.made) == 1}
        for of_one in lake.read_all_made(made).values():
            for age, (seen, of_them_late) in of_one.first_seen.items():
                returns[age] += seen
                late[age] += of_them_late
    for day in lake.poll_log.dates():
        for hour_key, answers in lake.poll_log.of(day).items():
            polls.update(_ages(Window.from_key(hour_key), (a.at for a in answers if not a.error)))
    ages = sorted(polls.keys() | returns.keys())
    return tables.LATENESS.frame(
        {
            "poll_age_hours": list(ages),
            "polls": [polls[age] for age in ages],
            "returns": [returns[age] for age in ages],
            "late": [late[age] for age in ages],
        }
    )


def by_configured_age(frame: pl.DataFrame, ages: Iterable[int]) -> dict[int, tuple[int, int]]:
    """Polls and late returns by the largest of ``ages`` that a poll had reached; 0 before any."""
    steps = sorted({0, *ages})
    found = dict.fromkeys(steps, (0, 0))
    for age, polls, late in frame.select("poll_age_hours", "polls", "late").iter_rows():
        step = max(step for step in steps if step <= age)
        found[step] = (found[step][0] + polls, found[step][1] + late)
    return found


def seen_by_the_last_age(frame: pl.DataFrame, ages: Sequence[int]) -> Claim:
    """The claim that the ages at which hours are polled again reach far enough."""

    def look() -> tuple[bool, str]:
        late = by_configured_age(frame, ages)[max(ages, default=0)][1]
        returns = int(frame.get_column("returns").sum())
        last = count(max(ages, default=0), "hour")
        words = f"{late} of {count(returns, 'return')} came at the last age, {last}"
        enough = late <= returns * TOLERATED
        return (
            enough,
            words if enough else f"{words}; add a later one to RETURNS_REPOLL_AFTER_HOURS",
        )

    return judge("hardly_any_return_comes_at_the_last_age", "warning", look)


def _ages(window: Window, times: Iterable[datetime]) -> list[int]:
    return [max(0, window.next.hours_to(at)) for at in times]
