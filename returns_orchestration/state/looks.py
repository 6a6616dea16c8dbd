"""The look of each claim: functions from frames to whether it is true, and by which figures.

``claims`` decides what a failure means. An exception here means that the check could not run; it
does not count as passed.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Final

from returns_orchestration import tables
from returns_orchestration.words import be, count, duration, listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from returns_orchestration.tables import Table
    from returns_orchestration.window import Window

    Frames = Mapping[str, pl.DataFrame]

_REFERENCE: Final = "return_reference_number"
_LAST_DIGITS: Final = re.compile("[0-9]{10}$")
_NO_TIME: Final = timedelta(days=2).total_seconds()
_QUARTER: Final = timedelta(minutes=14).total_seconds()


def total(frame: pl.DataFrame, column: str) -> int:
    """The sum of a column of counts, in a type that cannot wrap."""
    return sum(number for number in frame.get_column(column).to_list() if number is not None)


def equal(counted: int, expected: int, what: str) -> tuple[bool, str]:
    """Whether two counts of ``what`` are the same."""
    if counted == expected:
        return True, f"{counted} {what}"
    return False, f"the {what} add up to {counted} and not to {expected}"


def schema(table: Table, frame: pl.DataFrame) -> tuple[bool, str]:
    """Whether columns and types are those of ``table``, in order."""
    if frame.schema == table.schema:
        return True, f"{len(table.columns)} columns"
    return False, f"the columns or their types are not those of {table.name}"


def unique(returns: pl.DataFrame) -> tuple[bool, str]:
    """Every row has a reference of its own."""
    references = returns.get_column(_REFERENCE).to_list()
    wrong = len(references) - len(set(references) - {None})
    return wrong == 0, f"{wrong} of {count(len(references), 'reference')} absent or repeated"


def near(window: Window, returns: pl.DataFrame) -> tuple[bool, str]:
    """Requested in the hour or in one of its neighbours."""
    hour = timedelta(hours=1)
    first, end = window.start - hour, window.end + hour
    off = sum(
        at is None or not first <= at < end for at in returns.get_column("requested_at").to_list()
    )
    return off == 0, (
        f"{off} of {count(returns.height, 'return')} requested more than an hour off; "
        "check CLICKPOST_TIME_ZONE"
    )


def clock(ahead: timedelta) -> tuple[bool, str]:
    """Whether this machine's clock agrees with ClickPost's; if not, ClickPost's dates the polls."""
    side = "ahead of" if ahead > timedelta(0) else "behind"
    if not ahead:
        return True, "agrees with ClickPost's"
    return False, f"this machine's clock is {duration(abs(ahead))} {side} ClickPost's; set it right"


def zone(returns: pl.DataFrame) -> tuple[bool, str]:
    """In samples a reference's last ten digits are the Unix second of the request (inferred).

    A shared difference of a quarter of an hour or more shows a zone other than the configured one.
    """
    references = returns.get_column(_REFERENCE).to_list()
    times = returns.get_column("requested_at").to_list()
    off = [
        at.timestamp() // 1 - int(digits[0])
        for reference, at in zip(references, times, strict=True)
        if (digits := _LAST_DIGITS.search(reference or ""))
    ]
    # Digits that are no time within two days of the request are simply not a time.
    off = [seconds for seconds in off if abs(seconds) <= _NO_TIME]
    quarters = [seconds for seconds in off if abs(seconds) >= _QUARTER]
    if len(quarters) * 2 <= len(off):
        return True, f"{len(off) - len(quarters)} of {len(off)} confirmed by their references"
    hours = median(quarters) / 3600
    text = f"{len(quarters)} of {count(len(off), 'request time')} {hours:+.2f} hours off"
    return False, f"{text}; check CLICKPOST_TIME_ZONE"


def spellings(names: pl.Series, what: str) -> tuple[bool, str]:
    """Groups that differ only in case; counted and not quoted, as they are a merchant's text."""
    spelled = Counter(name.casefold() for name in names.unique())
    twice = sum(count > 1 for count in spelled.values())
    return twice == 0, f"{twice} of {len(spelled)} {what} are spelled in several ways"


def whole(absent: list[str], part: str) -> tuple[bool, str]:
    """No hour of the day is missing; ``absent`` names those that are.

    ``part`` says why the day has fewer hours than others; "" where it has all.
    """
    if not absent:
        return True, "no hour is missing" + (f"; {part}" if part else "")
    some = f"{count(len(absent), 'hour')} of the day {be(len(absent))}"
    return False, f"{some} missing: {listed(absent)}"


def have_returns(frames: Frames, table: Table, what: str) -> tuple[bool, str]:
    """Every reference in ``table``, whose rows are called ``what``, is one of `returns`."""
    known = set(frames[tables.RETURNS.name].get_column(_REFERENCE).to_list())
    references = frames[table.name].get_column(_REFERENCE).to_list()
    orphans = sum(reference not in known for reference in references)
    return (
        orphans == 0,
        f"{orphans} of {count(len(references), what)} without a return in the hour",
    )


def same_rows(
    frames: Frames, table: Table, rows: pl.DataFrame, columns: Sequence[str]
) -> tuple[bool, str]:
    """``table`` has the same rows as ``rows``, in whatever order, by their ``columns``."""
    found, expected = (frame.select(columns) for frame in (frames[table.name], rows))
    order = ["requested_at", _REFERENCE, *({"item_index"} & set(columns))]
    same = found.sort(order, maintain_order=True).equals(expected.sort(order, maintain_order=True))
    return same, f"{count(found.height, 'row')}, the hours have {expected.height}"


def narrows(frames: Frames, steps: Sequence[str]) -> tuple[bool, str]:
    """Each of ``steps`` was reached by no more returns than the one before, the first by all."""
    funnel = frames[tables.FUNNEL_DAILY.name]
    reached = dict(funnel.select("step", "reached").iter_rows())
    of_steps = [reached[step] for step in steps if step in reached]
    counts = [*funnel.get_column("of").head(1), *of_steps]
    wider = sum(after > before for before, after in pairwise(counts))
    return wider == 0, f"{wider} of {count(len(reached), 'step')} wider than the one before"


def distinct(states: pl.DataFrame) -> tuple[bool, str]:
    """No return has a state twice at one time."""
    columns = (_REFERENCE, "clickpost_status_code", "at")
    rows = list(zip(*(states.get_column(name).to_list() for name in columns), strict=True))
    repeated = len(rows) - len(set(rows))
    return repeated == 0, f"{repeated} of {count(len(rows), 'state')} repeated"


def numbered(items: pl.DataFrame) -> tuple[bool, str]:
    """Within a return items are numbered 0, 1, 2, ... in order."""
    seen: Counter[str] = Counter()
    wrong = 0
    references, indexes = items.get_column(_REFERENCE), items.get_column("item_index")
    for reference, index in zip(references.to_list(), indexes.to_list(), strict=True):
        wrong += index != seen[reference]
        seen[reference] += 1
    return wrong == 0, f"{wrong} of {count(items.height, 'item')} numbered out of order"
