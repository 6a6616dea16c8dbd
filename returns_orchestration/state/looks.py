"""What each claim looks at: functions from frames to whether it is so, and by which figures.

None of them decides what a failure means; that is said in ``claims``. An error of theirs is a look
that was not possible, and no pass.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from returns_orchestration import tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from returns_orchestration.window import Window

    Frames = Mapping[str, pl.DataFrame]

_REFERENCE = "return_reference_number"


def total(frame: pl.DataFrame, column: str) -> int:
    """The sum of a column of counts, in a type that cannot wrap."""
    return int(frame.get_column(column).cast(pl.Int128).sum())


def equal(counted: int, expected: int, what: str) -> tuple[bool, str]:
    """Whether two counts of ``what`` are the same."""
    if counted == expected:
        return True, f"{counted} {what}"
    return False, f"the {what} add up to {counted} and not to {expected}"


def unique(returns: pl.DataFrame) -> tuple[bool, str]:
    """Every row has a reference of its own."""
    references = returns.get_column(_REFERENCE)
    wrong = references.null_count() + references.len() - references.n_unique()
    return wrong == 0, f"{wrong} of {references.len()} references are absent or repeated"


def near(window: Window, returns: pl.DataFrame) -> tuple[bool, str]:
    """Requested in the hour or in one of its neighbours."""
    hour = timedelta(hours=1)
    inside = returns.get_column("requested_at").is_between(
        window.start - hour, window.end + hour, closed="left"
    )
    off = returns.height - int(inside.sum())
    return off == 0, (
        f"{off} of {returns.height} returns were requested more than an hour off; "
        "check CLICKPOST_TIME_ZONE"
    )


def clock(ahead: timedelta) -> tuple[bool, str]:
    """Whether this machine's clock agrees with ClickPost's; times of polls are theirs if not."""
    minutes = abs(ahead) // timedelta(minutes=1)
    side = "ahead of" if ahead > timedelta(0) else "behind"
    if not ahead:
        return True, "agrees with ClickPost's"
    return False, f"this machine's clock is {minutes} minutes {side} ClickPost's; set it right"


def zone(returns: pl.DataFrame) -> tuple[bool, str]:
    """In samples a reference's last ten digits are the Unix second of the request (inferred).

    A shared difference of a quarter of an hour or more is a zone that is not the configured one.
    """
    seconds = returns.select(
        told=pl.col(_REFERENCE).str.extract(r"([0-9]{10})$").cast(pl.Int64),
        read=pl.col("requested_at").dt.epoch("s"),
    ).drop_nulls()
    # Digits that are no time within two days of the request are simply not a time.
    off = seconds.select(pl.col("read") - pl.col("told")).to_series()
    off = off.filter(off.abs() <= timedelta(days=2).total_seconds())
    quarters = off.filter(off.abs() >= timedelta(minutes=14).total_seconds())
    if quarters.len() * 2 <= off.len():
        return True, f"{off.len() - quarters.len()} of {off.len()} confirmed by their references"
    shift = timedelta(seconds=float(quarters.median() or 0))  # type: ignore[arg-type]
    hours = shift.total_seconds() / 3600
    text = f"{quarters.len()} of {off.len()} request times are {hours:+.2f} hours off"
    return False, f"{text}; check CLICKPOST_TIME_ZONE"


def spellings(names: pl.Series, what: str) -> tuple[bool, str]:
    """Groups that are one but for case; counted and not quoted, as they are a merchant's text."""
    spelled = Counter(name.casefold() for name in names.unique())
    twice = sum(count > 1 for count in spelled.values())
    return twice == 0, f"{twice} of {len(spelled)} {what} are spelled in several ways"


def whole(absent: list[str]) -> tuple[bool, str]:
    """No hour of the day is missing; ``absent`` names those that are."""
    if not absent:
        return True, "no hour is missing"
    some = "1 hour of the day is" if len(absent) == 1 else f"{len(absent)} hours of the day are"
    return False, f"{some} missing: {listed(absent)}"


def listed(names: Iterable[str]) -> str:
    """The first ten names, and how many more there are."""
    found = list(names)
    return ", ".join(found[:10]) + (f" and {len(found) - 10} more" if len(found) > 10 else "")


def have_returns(frames: Frames) -> tuple[bool, str]:
    """Every item's reference is one of `returns`."""
    items = frames[tables.RETURN_ITEMS.name].select(_REFERENCE)
    orphans = items.join(frames[tables.RETURNS.name], on=_REFERENCE, how="anti").height
    return orphans == 0, f"{orphans} of {items.height} items have no return in their hour"


def numbered(items: pl.DataFrame) -> tuple[bool, str]:
    """Within a return items are numbered 0, 1, 2, ... in order."""
    expected = items.select(pl.int_range(pl.len()).over(_REFERENCE)).to_series()
    wrong = int(items.get_column("item_index").ne_missing(expected).sum())
    return wrong == 0, f"{wrong} of {items.height} items are numbered out of order"
