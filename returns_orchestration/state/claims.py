"""Claims about one hour's tables, as pure functions over frames and counts.

A claim holds, fails, or cannot tell (a column or a table is absent), and the last counts as a
failure. Its weight gives the meaning of a failure: ``blocks`` would publish wrong data, so the hour
is not published; ``error`` needs a person, as a number is wrong or missing; ``warning`` is news
about the data, and no number is wrong. The figures of a claim hold no value from a record, only
names, codes and counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

import polars as pl

from returns_orchestration import tables
from returns_orchestration.stages.days import STEPS
from returns_orchestration.stages.matches import VERDICTS
from returns_orchestration.stages.webhooks import FATES
from returns_orchestration.state import looks
from returns_orchestration.words import count

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta

    from returns_orchestration.stages.days import Rows
    from returns_orchestration.tables import Aggregate, Table
    from returns_orchestration.window import Window

    Frames = Mapping[str, pl.DataFrame]

CONSERVED: Final = {
    "returns": "returns_are_conserved",
    "items": "items_are_conserved",
    "quantity": "quantity_is_conserved",
}
"""Column of an aggregate to the claim that it adds up."""

WAS_READ: Final = "the_hour_was_read"
WAS_PUBLISHED: Final = "the_hour_was_published"
ACCOUNTED_FOR: Final = "every_served_record_is_accounted_for"
WHOLE_DAY: Final = "every_hour_of_the_day_is_there"

Verdict = Literal["holds", "fails", "cannot tell"]
Weight = Literal["blocks", "error", "warning"]


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim and its verdict.

    ``figures`` are the numbers it was judged by; where it fails they show what happened, as in
    ``2 of 40 references are absent or repeated``. ``cause`` is the type of the error that kept it
    from being judged.
    """

    name: str
    weight: Weight
    verdict: Verdict
    figures: str
    cause: str = ""

    @property
    def holds(self) -> bool:
        """Whether it was checked and is true."""
        return self.verdict == "holds"

    @property
    def blocks(self) -> bool:
        """Whether publishing the hour would publish wrong data."""
        return self.weight == "blocks" and not self.holds


def judge(name: str, weight: Weight, look: Callable[[], tuple[bool, str]]) -> Claim:
    """The claim ``name`` by the result of ``look``; where that cannot run, it cannot tell."""
    try:
        true, figures = look()
    except (pl.exceptions.PolarsError, KeyError, AttributeError, TypeError) as error:
        why = f"{name.replace('_', ' ')}: the check could not run ({type(error).__name__})"
        return Claim(name, weight, "cannot tell", why)
    return Claim(name, weight, "holds" if true else "fails", figures)


def accounted_for(served: int, kept: int, duplicate: int, rejected: int, lost: int) -> Claim:
    """Every record served is in `returns`, a duplicate, or in `rejected_returns`."""
    figures = f"{served} served = {kept} kept + {duplicate} duplicate + {rejected} rejected"
    true = lost == 0 and min(kept, duplicate, rejected) >= 0
    true = true and served == kept + duplicate + rejected
    if not true:
        figures = (
            f"{served} records were served, and {kept} kept + {duplicate} duplicate + "
            f"{rejected} rejected do not account for them: {lost} lost"
        )
    verdict: Verdict = "holds" if true else "fails"
    return Claim(ACCOUNTED_FOR, "blocks", verdict, figures)


def of_poll(*, damaged_text: int, vanished: int, far: int, clock_ahead: timedelta) -> list[Claim]:
    """Claims about one poll: its text, what vanished, and whether its records belong there.

    ``far`` counts the records requested neither in the window nor in one of its neighbours;
    ``clock_ahead`` is how far this machine's clock was ahead of ClickPost's, 0 where both agreed.
    """
    return [
        judge("the_clock_is_right", "warning", lambda: looks.clock(clock_ahead)),
        judge(
            "every_record_is_requested_in_its_window_or_next_to_it",
            "error",
            lambda: (
                far == 0,
                (
                    f"{count(far, 'record')} requested more than an hour away; check "
                    "CLICKPOST_TIME_ZONE"
                ),
            ),
        ),
        judge(
            "no_return_vanished",
            "warning",
            lambda: (
                vanished == 0,
                (f"{count(vanished, 'return')} of an earlier poll no longer served; all are kept"),
            ),
        ),
        judge(
            "the_text_is_utf_8",
            "warning",
            lambda: (
                damaged_text == 0,
                f"{count(damaged_text, 'record')} with bytes that are not UTF-8",
            ),
        ),
    ]


def unread(error: Exception) -> Claim:
    """The claim about an hour whose window could not be read: it cannot tell."""
    cause = type(error).__name__
    return Claim(WAS_READ, "error", "cannot tell", str(error), cause)


PUBLISHED: Final = Claim(WAS_PUBLISHED, "error", "holds", "made of all kept polls")
"""The claim about an hour that was made without a poll: the cause that prevented this is over."""

OF_PUBLISHING: Final = frozenset({WAS_PUBLISHED, ACCOUNTED_FOR})
"""The claims that PUBLISHED replaces."""


def unpublished(error: Exception) -> Claim:
    """The claim about an hour whose tables could not be made or must not be shown."""
    cause = type(error).__name__
    return Claim(WAS_PUBLISHED, "error", "fails", str(error), cause)


def of_hour(window: Window, frames: Frames) -> dict[str, list[Claim]]:
    """Every claim about the tables made of ``window``, by table."""
    returns, items = tables.RETURNS.name, tables.RETURN_ITEMS.name
    states, rejected = tables.RETURN_STATES.name, tables.REJECTED_RETURNS.name
    return {
        returns: [
            schema_is_as_declared(tables.RETURNS, frames),
            judge(
                "references_are_unique_and_present", "blocks", lambda: looks.unique(frames[returns])
            ),
            judge(
                "every_return_is_inside_its_hour_or_next_to_it",
                "error",
                lambda: looks.near(window, frames[returns]),
            ),
            judge("request_times_are_in_utc", "error", lambda: looks.zone(frames[returns])),
        ],
        items: [
            schema_is_as_declared(tables.RETURN_ITEMS, frames),
            judge(
                "every_item_has_its_return",
                "blocks",
                lambda: looks.have_returns(frames, tables.RETURN_ITEMS, "item"),
            ),
            judge("items_are_numbered_from_0", "blocks", lambda: looks.numbered(frames[items])),
        ],
        states: [
            schema_is_as_declared(tables.RETURN_STATES, frames),
            judge(
                "every_state_has_its_return",
                "blocks",
                lambda: looks.have_returns(frames, tables.RETURN_STATES, "state"),
            ),
            judge("no_state_is_repeated", "blocks", lambda: looks.distinct(frames[states])),
        ],
        **{
            aggregate.hourly.name: _of_aggregate(aggregate, aggregate.hourly, frames)
            for aggregate in tables.AGGREGATES
        },
        rejected: [
            schema_is_as_declared(tables.REJECTED_RETURNS, frames),
            judge(
                "nothing_is_rejected",
                "error",
                lambda: (
                    frames[rejected].height == 0,
                    f"{count(frames[rejected].height, 'record')} cannot be used",
                ),
            ),
        ],
    }


def schema_is_as_declared(table: Table, frames: Frames) -> Claim:
    """Names and types of the frame are those of ``table``, in order."""
    return judge("schema_is_as_declared", "blocks", lambda: looks.schema(table, frames[table.name]))


def of_day(frames: Frames, of: Rows, absent: list[str], part: str = "") -> dict[str, list[Claim]]:
    """Every claim about the tables made of one day, by table.

    ``of`` are the day's rows; ``absent`` names its hours that are over and missing, and ``part``
    says why it has fewer hours than other days, if so.
    """
    rows = {**frames, tables.RETURNS.name: of.returns, tables.RETURN_ITEMS.name: of.items}
    whole = judge(WHOLE_DAY, "error", lambda: looks.whole(absent, part))
    found = {
        aggregate.daily.name: [whole, *_of_aggregate(aggregate, aggregate.daily, rows)]
        for aggregate in tables.AGGREGATES
    }
    for aggregate in tables.AGGREGATES:
        found[aggregate.daily.name].append(
            judge(
                "groups_differ_in_more_than_case",
                "warning",
                partial(_spellings, aggregate, frames),
            )
        )
    for table, (hourly, columns) in ADD_UP.items():
        found[table.name] = [
            whole,
            schema_is_as_declared(table, frames),
            *(
                judge(
                    CONSERVED[column],
                    "blocks",
                    partial(_conserved, column, frames, table, rows[hourly.name]),
                )
                for column in columns
            ),
        ]
    for table, hourly in ROWS.items():
        same = partial(looks.same_rows, frames, table, rows[hourly.name], hourly.schema.names())
        found[table.name] = [
            whole,
            schema_is_as_declared(table, frames),
            judge("rows_are_those_of_the_hours", "blocks", same),
        ]
    steps = tables.FUNNEL_DAILY
    found[steps.name] = [
        whole,
        schema_is_as_declared(steps, frames),
        judge("no_step_exceeds_the_one_before", "blocks", lambda: looks.narrows(frames, STEPS)),
    ]
    return found


ADD_UP: Final = {
    tables.SKUS_DAILY: (tables.RETURN_ITEMS, ("items", "quantity")),
    tables.COURIERS_DAILY: (tables.RETURNS, ("returns",)),
}
"""Tables of counts of a day to the rows that they count, and the counts that add up to these."""

ROWS: Final = {
    tables.RETURNS_DAILY: tables.RETURNS,
    tables.RETURN_ITEMS_DAILY: tables.RETURN_ITEMS,
}
"""Tables of a day to the hourly ones whose rows they have."""


def _conserved(column: str, frames: Frames, table: Table, rows: pl.DataFrame) -> tuple[bool, str]:
    expected = looks.total(rows, column) if column == "quantity" else rows.height
    return looks.equal(looks.total(frames[table.name], column), expected, column)


def _spellings(aggregate: Aggregate, frames: Frames) -> tuple[bool, str]:
    groups = frames[aggregate.daily.name].get_column(aggregate.by.name)
    return looks.spellings(groups, aggregate.name.replace("_", " "))


def _of_aggregate(aggregate: Aggregate, table: Table, frames: Frames) -> list[Claim]:
    """The schema is as declared, and the counts add up to the returns and items in ``frames``."""
    returns, items = tables.RETURNS.name, tables.RETURN_ITEMS.name
    expected: dict[str, Callable[[], int]] = {
        "returns": lambda: frames[returns].height,
        "items": lambda: frames[items].height,
        "quantity": lambda: looks.total(frames[items], "quantity"),
    }

    def conserved(column: str) -> tuple[bool, str]:
        return looks.equal(looks.total(frames[table.name], column), expected[column](), column)

    return [
        schema_is_as_declared(table, frames),
        *(
            judge(CONSERVED[column], "blocks", partial(conserved, column))
            for column in aggregate.conserved
        ),
    ]


def of_received(facts: Mapping[str, int]) -> list[Claim]:
    """Claims about the webhooks that came in one hour, by the facts of its entry."""
    rejected = facts.get("rejected", 0)
    return [
        judge(
            "every_delivery_is_accounted_for", "error", lambda: _add_up(facts, "deliveries", FATES)
        ),
        judge(
            "every_webhook_can_be_used",
            "error",
            lambda: (rejected == 0, f"{count(rejected, 'webhook')} cannot be used"),
        ),
    ]


def of_matched(facts: Mapping[str, int]) -> list[Claim]:
    """Claims about the comparison of webhooks and polls of one hour or day, by its facts."""
    lacking = facts.get("webhook_only", 0)
    found = [
        judge("every_return_has_one_verdict", "error", lambda: _add_up(facts, "returns", VERDICTS)),
        judge(
            "polls_have_every_return_of_a_webhook",
            "error",
            lambda: (lacking == 0, f"polls lack {count(lacking, 'return')} that webhooks brought"),
        ),
    ]
    if "references" in facts:
        references, returns = facts["references"], facts["returns"]
        found.append(
            judge(
                "every_return_of_both_sources_is_there",
                "error",
                lambda: (references == returns, f"{references} references, {returns} rows"),
            )
        )
    return found


def _add_up(facts: Mapping[str, int], whole: str, parts: Sequence[str]) -> tuple[bool, str]:
    figures = " + ".join(f"{facts[part]} {part.replace('_', ' ')}" for part in parts)
    is_right = facts[whole] == sum(facts[part] for part in parts)
    return is_right, f"{facts[whole]} {whole} = {figures}"
