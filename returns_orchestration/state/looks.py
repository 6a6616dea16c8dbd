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
from returns_orchestration.stages import vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from returns_orchestration.window import Window

    Frames = Mapping[str, pl.DataFrame]

NO_CODE = 100_000
"""Status codes have up to four digits, as far as is known; from here on a number is none."""

_REFERENCE = "return_reference_number"


def total(frame: pl.DataFrame, column: str) -> int:
    """The sum of a column of counts, in a type that cannot wrap."""
    return int(frame.get_column(column).cast(pl.Int128).sum())


def equal(counted: int, expected: int) -> tuple[bool, str]:
    """Whether two counts are the same."""
    return counted == expected, f"{counted} of {expected}"


def unique(returns: pl.DataFrame) -> tuple[bool, str]:
    """Every row has a reference of its own."""
    references = returns.get_column(_REFERENCE)
    wrong = references.null_count() + references.len() - references.n_unique()
    return wrong == 0, f"{wrong} of {references.len()} absent or repeated"


def near(window: Window, returns: pl.DataFrame) -> tuple[bool, str]:
    """Requested in the hour or in one of its neighbours."""
    hour = timedelta(hours=1)
    inside = returns.get_column("requested_at").is_between(
        window.start - hour, window.end + hour, closed="left"
    )
    off = returns.height - int(inside.sum())
    return off == 0, f"{off} of {returns.height} further off; check CLICKPOST_TIME_ZONE"


def clock(ahead: timedelta) -> tuple[bool, str]:
    """Whether this machine's clock agrees with ClickPost's; times of polls are theirs if not."""
    minutes = abs(ahead) // timedelta(minutes=1)
    side = "ahead of" if ahead > timedelta(0) else "behind"
    return not ahead, f"{minutes} minutes {side} ClickPost's; set it right" if ahead else "agrees"


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
    return (
        False,
        f"{quarters.len()} of {off.len()} are {hours:+.2f} hours off; check CLICKPOST_TIME_ZONE",
    )


def codes(returns: pl.DataFrame) -> tuple[bool, str]:
    """Status codes whose meaning is known; others are named.

    What is too long for a code is counted and not quoted: it may be a telephone number.
    """
    codes = pl.concat(
        [
            returns.get_column("webhook_clickpost_status_code"),
            returns.get_column("latest_clickpost_status_code"),
        ]
    ).drop_nulls()
    unknown = sorted(set(codes.unique()) - vocabulary.STATUS_CODES)
    told = [str(code) for code in unknown if abs(code) < NO_CODE]
    too_long = len(unknown) - len(told)
    told += [f"{too_long} too long for a code"] if too_long else []
    return not unknown, "unknown: " + listed(told) if unknown else "all known"


def modes(frames: Frames) -> tuple[bool, str]:
    """Unknown modes are counted and not quoted: a merchant's free text may hold anything."""
    modes = pl.concat(
        [
            frames[tables.RETURNS.name].get_column("refund_mode"),
            frames[tables.RETURN_ITEMS.name].get_column("refund_mode"),
        ]
    ).drop_nulls()
    unknown = modes.filter(~modes.is_in(vocabulary.REFUND_MODES))
    return unknown.is_empty(), f"{unknown.n_unique()} unknown in {unknown.len()} rows"


def spellings(names: pl.Series) -> tuple[bool, str]:
    """Groups that are one but for case; counted and not quoted, as they are a merchant's text."""
    spelled = Counter(name.casefold() for name in names.unique())
    twice = sum(count > 1 for count in spelled.values())
    return twice == 0, f"{twice} of {len(spelled)} in several spellings"


def keys(new_keys: Mapping[str, int] | None) -> tuple[bool, str]:
    """No key that is neither documented nor seen; None: nobody looked."""
    if new_keys is None:
        raise KeyError
    return not new_keys, "new: " + listed(sorted(new_keys)) if new_keys else "all known"


def listed(names: Iterable[str]) -> str:
    """The first ten names, and how many more there are."""
    found = list(names)
    return ", ".join(found[:10]) + (f" and {len(found) - 10} more" if len(found) > 10 else "")


def have_returns(frames: Frames) -> tuple[bool, str]:
    """Every item's reference is one of `returns`."""
    items = frames[tables.RETURN_ITEMS.name].select(_REFERENCE)
    orphans = items.join(frames[tables.RETURNS.name], on=_REFERENCE, how="anti").height
    return orphans == 0, f"{orphans} of {items.height} without"


def numbered(items: pl.DataFrame) -> tuple[bool, str]:
    """Within a return items are numbered 0, 1, 2, ... in order."""
    expected = items.select(pl.int_range(pl.len()).over(_REFERENCE)).to_series()
    wrong = int(items.get_column("item_index").ne_missing(expected).sum())
    return wrong == 0, f"{wrong} of {items.height} out of order"
