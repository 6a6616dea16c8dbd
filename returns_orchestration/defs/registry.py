"""Every asset, declared once: its table, its inputs, its check, its group, its picture.

``tables/counts.py`` defines each aggregate, by hour and by day at once; its two assets follow from
that. The definitions in ``assets`` and all code that iterates over assets use this module.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from returns_orchestration import tables
from returns_orchestration.state import news

if TYPE_CHECKING:
    from returns_orchestration.tables import Aggregate, Table


CLICKPOST: Final = "clickpost"
"""The external asset above all others: what ClickPost knows."""

# Dagster lists groups by their names; the numbers put them in the order of the data.
SOURCE, ROWS, COUNTS, DAYS, WEBHOOKS, REPORT, OPERATIONS = (
    "1_clickpost",
    "2_returns",
    "3_counts",
    "4_days",
    "5_webhooks",
    "6_report",
    "7_operations",
)


@dataclass(frozen=True, slots=True)
class Check:
    """An asset check: ``name`` states what is true when it passes, ``meaning`` explains it."""

    name: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Asset:
    """One asset; ``inputs`` names the assets it is made of, ``chart_by`` the column it is drawn by.

    ``check`` guards that its numbers are right and complete; ``news`` warns of unusual facts,
    where no number is wrong.
    """

    table: Table
    group: str
    check: Check
    news: Check | None = None
    inputs: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ("polars", "parquet")
    chart_by: str = ""

    @property
    def name(self) -> str:
        """Its table's name, the last part of its key."""
        return self.table.name


def _hourly(aggregate: Aggregate) -> Asset:
    return Asset(
        aggregate.hourly,
        group=COUNTS,
        inputs=aggregate.inputs,
        check=Check(
            f"{aggregate.name}_add_up",
            f"The sums of {_listed(aggregate.conserved)} are those of {_listed(aggregate.inputs)}.",
        ),
    )


def _daily(aggregate: Aggregate) -> Asset:
    return Asset(
        aggregate.daily,
        group=COUNTS,
        inputs=("returns", "return_items"),
        check=Check(
            f"{aggregate.name}_of_the_day_are_whole",
            f"No hour of the day is missing; {_listed(aggregate.conserved)} add up.",
        ),
        news=Check(
            f"{aggregate.name}_are_spelled_in_one_way",
            "No two groups of the day are one but for capital letters.",
        ),
        chart_by=aggregate.by.name,
    )


def _of_day(table: Table, inputs: tuple[str, ...], name: str, meaning: str) -> Asset:
    check = Check(name, f"No hour of the day is missing; {meaning}.")
    return Asset(table, group=DAYS, inputs=inputs, check=check)


def _listed(names: tuple[str, ...]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


HOURLY: Final = {
    asset.name: asset
    for asset in (
        Asset(
            tables.RAW_RETURNS,
            group=SOURCE,
            inputs=(CLICKPOST,),
            kinds=("python", "rest", "parquet"),
            check=Check(
                "every_record_served_is_accounted_for",
                "The window was read, and served = kept + duplicate + rejected.",
            ),
            news=Check(
                "the_poll_was_as_usual",
                "Every return that an earlier poll served is still served, the text is UTF-8, and "
                "this machine's clock agrees with ClickPost's.",
            ),
        ),
        Asset(
            tables.RETURNS,
            group=ROWS,
            inputs=("raw_returns",),
            check=Check(
                "every_return_is_there_once_and_in_its_hour",
                "References are unique, and request times are in UTC and near the hour.",
            ),
        ),
        Asset(
            tables.REJECTED_RETURNS,
            group=ROWS,
            inputs=("raw_returns",),
            check=Check(
                "nothing_is_rejected",
                "No record was without a reference number or a readable request time.",
            ),
        ),
        Asset(
            tables.RETURN_ITEMS,
            group=ROWS,
            inputs=("returns",),
            check=Check(
                "every_item_has_its_return",
                "Every item belongs to a return of its hour; items are numbered without gaps.",
            ),
        ),
        Asset(
            tables.RETURN_STATES,
            group=ROWS,
            inputs=("raw_returns",),
            check=Check(
                "every_state_has_its_return_and_is_there_once",
                "Every state belongs to a return of its hour, and none is there twice at one time.",
            ),
        ),
        *map(_hourly, tables.AGGREGATES),
    )
}
"""The hourly assets by name, in flow order."""

DAILY: Final = {
    asset.name: asset
    for asset in (
        *map(_daily, tables.AGGREGATES),
        _of_day(
            tables.RETURNS_DAILY,
            ("returns", "return_states"),
            "returns_of_the_day_are_those_of_its_hours",
            "each row of `returns` is there once",
        ),
        _of_day(
            tables.RETURN_ITEMS_DAILY,
            ("return_items",),
            "items_of_the_day_are_those_of_its_hours",
            "each row of `return_items` is there once",
        ),
        _of_day(
            tables.SKUS_DAILY,
            ("return_items",),
            "skus_of_the_day_add_up",
            "the sums of items and quantity are those of `return_items`",
        ),
        _of_day(
            tables.COURIERS_DAILY,
            ("returns",),
            "couriers_of_the_day_add_up",
            "the sum of returns is that of `returns`",
        ),
        _of_day(
            tables.FUNNEL_DAILY,
            ("returns", "return_states"),
            "the_funnel_of_the_day_narrows",
            "no step was reached by more returns than the one before",
        ),
    )
}
"""The daily assets by name, made of the rows of `returns`, `return_items`, `return_states`."""

ALL_TIME: Final = {
    asset.name: asset
    for asset in (
        Asset(
            tables.LATENESS,
            group=OPERATIONS,
            inputs=("returns",),
            check=Check(
                "hours_are_polled_again_late_enough",
                "The last age of RETURNS_REPOLL_AFTER_HOURS brings hardly anything new.",
            ),
        ),
        Asset(
            tables.OPEN_RETURNS,
            group=DAYS,
            inputs=(tables.RETURNS_DAILY.name,),
            check=Check(
                "open_returns_were_looked_at_when_due",
                "The hours of all open returns were polled again at their ages, and no day is left "
                "out.",
            ),
        ),
    )
}
"""The assets of all time by name, one file each."""


@dataclass(frozen=True, slots=True)
class Signal:
    """An asset without a table: ``meaning`` gives when it is materialized, ``inputs`` from what."""

    name: str
    group: str
    meaning: str
    inputs: tuple[str, ...]


RAW_WEBHOOKS: Final = tables.RAW_WEBHOOKS.name
"""The external asset: the receiver writes it, and the run of webhooks reports its hours."""

WEBHOOKS_HOURLY: Final = {
    asset.name: asset
    for asset in (
        Asset(
            tables.WEBHOOK_EVENTS,
            group=WEBHOOKS,
            inputs=(RAW_WEBHOOKS,),
            check=Check(
                "every_delivery_is_accounted_for",
                "Deliveries of the hour = events + doubled + others + rejected.",
            ),
        ),
        Asset(
            tables.REJECTED_WEBHOOKS,
            group=WEBHOOKS,
            inputs=(RAW_WEBHOOKS,),
            check=Check(
                "every_webhook_can_be_used",
                "No webhook was without JSON, a reference number or a readable time.",
            ),
        ),
        Asset(
            tables.WEBHOOK_MATCHES,
            group=WEBHOOKS,
            inputs=(tables.WEBHOOK_EVENTS.name, tables.RETURNS.name),
            check=Check(
                "every_return_of_both_sources_has_one_verdict",
                "Each return that polls or webhooks brought is there once, and polls lack none.",
            ),
        ),
        Asset(
            tables.WEBHOOK_DELIVERY_HOURLY,
            group=WEBHOOKS,
            inputs=(tables.WEBHOOK_MATCHES.name,),
            check=Check(
                "webhook_delivery_adds_up",
                "Returns = both + poll only + webhook only + undecided.",
            ),
        ),
    )
}
"""The hourly assets of webhooks by name, in flow order."""

WEBHOOKS_DAILY: Final = {
    tables.WEBHOOK_DELIVERY_DAILY.name: Asset(
        tables.WEBHOOK_DELIVERY_DAILY,
        group=WEBHOOKS,
        inputs=(tables.WEBHOOK_MATCHES.name,),
        check=Check(
            "webhook_delivery_of_the_day_adds_up",
            "Returns = both + poll only + webhook only + undecided.",
        ),
    )
}

WEBHOOKS_ARRIVED: Final = Signal(
    "webhooks_arrived",
    group=WEBHOOKS,
    meaning="Materialized when webhooks came, or verdicts became final: it makes all tables of "
    "webhooks, and shows counts and the hours concerned.",
    inputs=(RAW_WEBHOOKS,),
)

RETURNS_REPORT: Final = Signal(
    "returns_report",
    group=REPORT,
    meaning="One HTML page for people, made each day: whether the returns are all there, how "
    "webhooks were delivered, what came back and why, and what stands out.",
    inputs=(*DAILY, *WEBHOOKS_DAILY, tables.OPEN_RETURNS.name),
)

CHANGED_HOURS: Final = Signal(
    "changed_hours",
    group=OPERATIONS,
    meaning="Materialized when hours or days of any table were written. `changes` lists them for a "
    "cursor; one whose text begins with `1.` and the `cursor` shown here has all of it.",
    inputs=(
        *HOURLY,
        *DAILY,
        *ALL_TIME,
        RAW_WEBHOOKS,
        *WEBHOOKS_HOURLY,
        *WEBHOOKS_DAILY,
        tables.ALERTS.name,
    ),
)
"""The asset that loaders depend on; see ``changes``."""

NEW_NAMES: Final = Check(
    news.CHECK,
    "Every key, status code and refund mode that ClickPost sends is known to this release or was "
    "acknowledged.",
)
"""The check of `returns` as a whole, without a partition: judged at the end of each run."""

ASSETS: Final = {
    **HOURLY,
    **DAILY,
    **ALL_TIME,
    **WEBHOOKS_HOURLY,
    **WEBHOOKS_DAILY,
}
"""Every asset that has a check, by name."""
