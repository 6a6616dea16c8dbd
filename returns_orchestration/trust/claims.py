"""Claims about one hour's tables, as pure functions over frames and counts.

A claim holds, fails, or cannot be told (a column or a table is not there to look at), and the last
counts as a failure. Its weight says what a failure means: ``blocks`` would publish a falsehood, so
the hour is not published; ``error`` needs a person; ``warning`` is news about the data.
No sentence of a claim holds a value from a record, only names, codes and counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

import polars as pl

from returns_orchestration import tables
from returns_orchestration.stages import vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from returns_orchestration.tables import Table
    from returns_orchestration.window import Window

    Frames = Mapping[str, pl.DataFrame]

Verdict = Literal["holds", "fails", "cannot tell"]
Weight = Literal["blocks", "error", "warning"]

_REFERENCE = "return_reference_number"


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim and what became of it; ``figures`` are the numbers it was judged by."""

    name: str
    weight: Weight
    verdict: Verdict
    figures: str

    @property
    def holds(self) -> bool:
        """Whether it was looked at and found true."""
        return self.verdict == "holds"

    @property
    def blocks(self) -> bool:
        """Whether publishing the hour would publish a falsehood."""
        return self.weight == "blocks" and not self.holds

    @property
    def sentence(self) -> str:
        """The claim in words, ``references are unique: fails (2 of 40)``."""
        return f"{self.name.replace('_', ' ')}: {self.verdict} ({self.figures})"


def judge(name: str, weight: Weight, look: Callable[[], tuple[bool, str]]) -> Claim:
    """The claim ``name`` by what ``look`` finds; where it cannot look, it cannot tell."""
    try:
        true, figures = look()
    except (pl.exceptions.PolarsError, KeyError, AttributeError, TypeError) as error:
        return Claim(name, weight, "cannot tell", f"no look possible: {type(error).__name__}")
    return Claim(name, weight, "holds" if true else "fails", figures)


def accounted_for(served: int, kept: int, duplicate: int, rejected: int, lost: int) -> Claim:
    """Every record served is in `returns`, a duplicate, or in `rejected_returns`."""
    figures = f"{served} served = {kept} kept + {duplicate} duplicate + {rejected} rejected"
    figures += f" + {lost} lost" if lost else ""
    true = lost == 0 and min(kept, duplicate, rejected) >= 0
    true = true and served == kept + duplicate + rejected
    verdict: Verdict = "holds" if true else "fails"
    return Claim("every_served_record_is_accounted_for", "blocks", verdict, figures)


def of_poll(*, null_result: bool, damaged_text: int, vanished: int, far: int) -> list[Claim]:
    """Claims about one poll: its reply's form, what vanished, and whether its records belong there.

    ``far`` counts the records requested neither in the window nor in one of its neighbours.
    """
    return [
        judge(
            "every_record_is_requested_in_its_window_or_next_to_it",
            "error",
            lambda: (far == 0, f"{far} further off than an hour; check CLICKPOST_TIME_ZONE"),
        ),
        judge(
            "no_return_vanished",
            "warning",
            lambda: (vanished == 0, f"{vanished} served by an earlier poll only; they are kept"),
        ),
        judge(
            "an_empty_result_is_a_list",
            "warning",
            lambda: (not null_result, "result: null" if null_result else "a list"),
        ),
        judge(
            "the_text_is_utf_8",
            "warning",
            lambda: (damaged_text == 0, f"{damaged_text} records with other bytes"),
        ),
    ]


def unread(sentence: str) -> Claim:
    """The claim about an hour whose window could not be read: it cannot be told."""
    return Claim("the_window_was_read", "error", "cannot tell", sentence)


def of_hour(
    window: Window, frames: Frames, new_keys: Mapping[str, int] | None
) -> dict[str, list[Claim]]:
    """Every claim about the tables made of ``window``, by table.

    ``new_keys`` counts the keys that are not known; None says that nobody looked for them.
    """
    returns, items = tables.RETURNS.name, tables.RETURN_ITEMS.name
    modes, reasons = tables.REFUND_MODES_HOURLY.name, tables.RETURN_REASONS_HOURLY.name
    rejected = tables.REJECTED_RETURNS.name
    return {
        returns: [
            schema_is_as_declared(tables.RETURNS, frames),
            judge("references_are_unique_and_present", "blocks", lambda: _unique(frames[returns])),
            judge(
                "every_return_is_inside_its_hour_or_next_to_it",
                "error",
                lambda: _near(window, frames[returns]),
            ),
            judge("request_times_are_in_utc", "error", lambda: _zone(frames[returns])),
            judge("status_codes_are_known", "warning", lambda: _codes(frames[returns])),
            judge("refund_modes_are_known", "warning", lambda: _modes(frames)),
            judge("keys_are_known", "warning", lambda: _keys(new_keys)),
        ],
        items: [
            schema_is_as_declared(tables.RETURN_ITEMS, frames),
            judge("every_item_has_its_return", "blocks", lambda: _have_returns(frames)),
            judge("items_are_numbered_from_0", "blocks", lambda: _numbered(frames[items])),
        ],
        modes: [
            schema_is_as_declared(tables.REFUND_MODES_HOURLY, frames),
            judge(
                "returns_are_conserved",
                "blocks",
                lambda: _equal(_sum(frames[modes], "returns"), frames[returns].height),
            ),
            *_conserved(modes, frames),
        ],
        reasons: [
            schema_is_as_declared(tables.RETURN_REASONS_HOURLY, frames),
            *_conserved(reasons, frames),
        ],
        rejected: [
            schema_is_as_declared(tables.REJECTED_RETURNS, frames),
            judge(
                "nothing_is_rejected",
                "error",
                lambda: (frames[rejected].height == 0, f"{frames[rejected].height} rejected"),
            ),
        ],
    }


def schema_is_as_declared(table: Table, frames: Frames) -> Claim:
    """Names and types of the frame are those of ``table``, in order."""
    return judge(
        "schema_is_as_declared",
        "blocks",
        lambda: (frames[table.name].schema == table.schema, f"{len(table.columns)} columns"),
    )


def _sum(frame: pl.DataFrame, column: str) -> int:
    return int(frame.get_column(column).sum())


def _equal(counted: int, expected: int) -> tuple[bool, str]:
    return counted == expected, f"{counted} of {expected}"


def _conserved(aggregate: str, frames: Frames) -> list[Claim]:
    items = tables.RETURN_ITEMS.name
    return [
        judge(
            "items_are_conserved",
            "blocks",
            lambda: _equal(_sum(frames[aggregate], "items"), frames[items].height),
        ),
        judge(
            "quantity_is_conserved",
            "blocks",
            lambda: _equal(_sum(frames[aggregate], "quantity"), _sum(frames[items], "quantity")),
        ),
    ]


def _unique(returns: pl.DataFrame) -> tuple[bool, str]:
    references = returns.get_column(_REFERENCE)
    wrong = references.null_count() + references.len() - references.n_unique()
    return wrong == 0, f"{wrong} of {references.len()} absent or repeated"


def _near(window: Window, returns: pl.DataFrame) -> tuple[bool, str]:
    hour = timedelta(hours=1)
    inside = returns.get_column("requested_at").is_between(
        window.start - hour, window.end + hour, closed="left"
    )
    off = returns.height - int(inside.sum())
    return off == 0, f"{off} of {returns.height} further off; check CLICKPOST_TIME_ZONE"


def _zone(returns: pl.DataFrame) -> tuple[bool, str]:
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


def _codes(returns: pl.DataFrame) -> tuple[bool, str]:
    codes = pl.concat(
        [
            returns.get_column("webhook_clickpost_status_code"),
            returns.get_column("latest_clickpost_status_code"),
        ]
    ).drop_nulls()
    unknown = sorted(set(codes.unique()) - vocabulary.STATUS_CODES)
    return not unknown, "unknown: " + _listed(map(str, unknown)) if unknown else "all known"


def _modes(frames: Frames) -> tuple[bool, str]:
    """Unknown modes are counted and not quoted: a merchant's free text may hold anything."""
    modes = pl.concat(
        [
            frames[tables.RETURNS.name].get_column("refund_mode"),
            frames[tables.RETURN_ITEMS.name].get_column("refund_mode"),
        ]
    ).drop_nulls()
    unknown = modes.filter(~modes.str.to_lowercase().is_in(list(vocabulary.REFUND_MODES)))
    return unknown.is_empty(), f"{unknown.n_unique()} unknown in {unknown.len()} rows"


def _keys(new_keys: Mapping[str, int] | None) -> tuple[bool, str]:
    if new_keys is None:
        raise KeyError
    return not new_keys, "new: " + _listed(sorted(new_keys)) if new_keys else "all known"


def _listed(names: object) -> str:
    listed = list(names)  # type: ignore[call-overload]
    return ", ".join(listed[:10]) + (f" and {len(listed) - 10} more" if len(listed) > 10 else "")


def _have_returns(frames: Frames) -> tuple[bool, str]:
    items = frames[tables.RETURN_ITEMS.name].select(_REFERENCE)
    orphans = items.join(frames[tables.RETURNS.name], on=_REFERENCE, how="anti").height
    return orphans == 0, f"{orphans} of {items.height} without"


def _numbered(items: pl.DataFrame) -> tuple[bool, str]:
    expected = items.select(pl.int_range(pl.len()).over(_REFERENCE)).to_series()
    wrong = int(items.get_column("item_index").ne_missing(expected).sum())
    return wrong == 0, f"{wrong} of {items.height} out of order"
