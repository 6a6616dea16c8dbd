"""How late returns appear: by the age of a poll, what it cost and what it brought.

An age is the whole hours from a window's end to the poll. An hour that was first polled at a great
age, as by a backfill, tells nothing about lateness: its returns count as first served at that age
and not as late.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from returns_orchestration import tables
from returns_orchestration.trust.claims import judge
from returns_orchestration.window import Ever, Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    import polars as pl

    from returns_orchestration.lake import Lake
    from returns_orchestration.trust.claims import Claim

TOLERATED: Final = 1 / 1_000
"""Of all returns, the share that the last poll of an hour may bring: what came after is unseen."""


def measure(lake: Lake) -> pl.DataFrame:
    """The table `lateness` of the whole lake. Raises LakeDamaged."""
    polls: Counter[int] = Counter()
    returns: Counter[int] = Counter()
    late: Counter[int] = Counter()
    for window, entry in lake.entries().items():
        made = lake.made(window) if entry.made else None
        polls.update(_ages(window, made.polled_at if made else ()))
        for age, (seen, of_them_late) in made.first_seen.items() if made else ():
            returns[age] += seen
            late[age] += of_them_late
    for day in lake.poll_log.dates():
        for hour, answers in lake.poll_log.of(day).items():
            polls.update(_ages(Window.from_key(hour), (a.at for a in answers if not a.error)))
    ages = sorted(polls.keys() | returns.keys())
    return tables.LATENESS.frame(
        {
            "poll_age_hours": list(ages),
            "polls": [polls[age] for age in ages],
            "returns": [returns[age] for age in ages],
            "late": [late[age] for age in ages],
        }
    )


def publish(lake: Lake, frame: pl.DataFrame) -> None:
    """Put the table into the lake, in the place of the one before. Raises LakeError."""
    facts = {name: int(frame.get_column(name).sum()) for name in ("polls", "returns", "late")}
    lake.publish(Ever(), {tables.LATENESS.name: frame}, [], facts)


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
        words = f"{late} of {returns} returns came at the last age, {max(ages, default=0)} hours"
        enough = late <= returns * TOLERATED
        return (
            enough,
            words if enough else f"{words}; add a later one to RETURNS_REPOLL_AFTER_HOURS",
        )

    return judge("hardly_any_return_comes_at_the_last_age", "warning", look)


def _ages(window: Window, times: Iterable[datetime]) -> list[int]:
    return [max(0, window.next.hours_to(at)) for at in times]
