"""An asset's page in the UI: what it holds, from what, how fresh, with a query that can be copied.

Every asset of a table is declared here, so that all pages have the same parts.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from returns_orchestration import tables
from returns_orchestration.defs import metadata
from returns_orchestration.defs.registry import CLICKPOST, SOURCE
from returns_orchestration.flow.forget import HOLD_FIELDS
from returns_orchestration.report import views

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from returns_orchestration.defs.keys import Keys
    from returns_orchestration.defs.registry import Signal
    from returns_orchestration.tables import Table

EACH_HOUR: Final = "RETURNS_SETTLE_MINUTES after each hour, and after each poll that changes it"
FRESH: Final = {
    **dict.fromkeys((tables.RAW_RETURNS, *tables.MADE_HOURLY), EACH_HOUR),
    **dict.fromkeys(tables.MADE_DAILY, "as soon as an hour of the day changes"),
    **dict.fromkeys(tables.OF_ALL_TIME, "once a day, two hours after the day"),
    **dict.fromkeys(
        tables.OF_WEBHOOKS, "minutes after a webhook; shown here once the hour is over"
    ),
    tables.ALERTS: "with each alert; its newest materialization shows what is open",
}
"""When a table changes."""

QUERIES: Final = {
    tables.RAW_RETURNS: "SELECT polled_at, record FROM {files} ORDER BY polled_at DESC LIMIT 10",
    tables.RETURNS: "SELECT refund_mode, count(*) FROM {files} GROUP BY ALL ORDER BY 2 DESC",
    tables.RETURN_ITEMS: "SELECT sku, count(*) FROM {files} GROUP BY ALL ORDER BY 2 DESC LIMIT 9",
    tables.RETURN_STATES: "SELECT state, count(*) FROM {files} GROUP BY ALL ORDER BY 2 DESC",
    tables.REJECTED_RETURNS: "SELECT reason, count(*) FROM {files} GROUP BY ALL",
    tables.RETURNS_DAILY: "SELECT day, state, count(*) FROM {files} GROUP BY ALL ORDER BY ALL",
    tables.RETURN_ITEMS_DAILY: "SELECT day, return_reason, count(*) FROM {files} GROUP BY ALL",
    tables.SKUS_DAILY: "SELECT sku, sum(items) FROM {files} GROUP BY sku ORDER BY 2 DESC LIMIT 10",
    tables.COURIERS_DAILY: "SELECT cp_name, sum(returns) FROM {files} GROUP BY ALL ORDER BY 2 DESC",
    tables.FUNNEL_DAILY: 'SELECT step, sum(reached), sum("of") FROM {files} GROUP BY step',
    tables.LATENESS: "SELECT * FROM {files} WHERE late > 0 ORDER BY poll_age_hours",
    tables.OPEN_RETURNS: "SELECT state, stuck, count(*) FROM {files} GROUP BY ALL ORDER BY 3 DESC",
    tables.RAW_WEBHOOKS: "SELECT received_at, body FROM {files} ORDER BY received_at DESC LIMIT 10",
    tables.WEBHOOK_EVENTS: "SELECT state, count(*) FROM {files} GROUP BY ALL ORDER BY 2 DESC",
    tables.REJECTED_WEBHOOKS: "SELECT reason, count(*) FROM {files} GROUP BY ALL",
    tables.WEBHOOK_MATCHES: "SELECT verdict, count(*) FROM {files} GROUP BY ALL",
    tables.WEBHOOK_DELIVERY_DAILY: 'SELECT day, "both", poll_only, rate FROM {files} ORDER BY day',
    tables.ALERTS: "SELECT noted_at, kind, text FROM {files} ORDER BY noted_at DESC LIMIT 10",
}
"""A question that the table answers, in DuckDB's SQL; others are asked for their newest rows."""

PERSONAL: Final = {"pii": "yes"}
"""The tag of assets whose tables hold fields of a person; docs/privacy.md names the fields."""


class Pages:
    """The pages of the assets of one deployment; ``lake`` is its address."""

    def __init__(self, keys: Keys, lake: str, owners: Sequence[str]) -> None:
        self._keys = keys
        self._owners = list(owners)
        self._lake = lake

    def spec(
        self,
        table: Table,
        *,
        group: str,
        deps: Iterable[dg.AssetKey | dg.AssetDep] = (),
        kinds: Sequence[str] = ("polars", "parquet"),
        skippable: bool = False,
    ) -> dg.AssetSpec:
        """The asset of ``table``."""
        upstream = list(deps)
        return dg.AssetSpec(
            self._keys.of(table.name),
            deps=upstream,
            description=self._description(table, upstream),
            group_name=group,
            kinds=set(kinds),
            owners=self._owners,
            tags=PERSONAL if table.name in HOLD_FIELDS else {},
            metadata={**metadata.of_definition(table), "dagster/table_name": table.name},
            skippable=skippable,
        )

    def query(self, table: Table) -> str:
        """A query over all files of ``table``."""
        of_counts = any(table in (a.hourly, a.daily) for a in tables.AGGREGATES)
        by = table.columns[1].name if of_counts else ""
        usual = f"SELECT {by}, sum(items) FROM {{files}} GROUP BY ALL ORDER BY 2 DESC"  # noqa: S608
        text = QUERIES.get(table, usual if of_counts else "SELECT * FROM {files} LIMIT 10")
        return text.format(files=views.files_of(self._lake, table.name))

    def clickpost(self) -> dg.AssetSpec:
        """What all data come from; Dagster never makes it."""
        return dg.AssetSpec(
            self._keys.of(CLICKPOST),
            description="ClickPost: return requests, by its Returns Polling Delta API and by "
            "webhooks. Nothing here makes it; `doctor` says whether it answers.",
            group_name=SOURCE,
            kinds={"rest"},
            owners=self._owners,
        )

    def signal(self, signal: Signal, *, kinds: Sequence[str] = ()) -> dg.AssetSpec:
        """An asset without a table."""
        return dg.AssetSpec(
            self._keys.of(signal.name),
            deps=[self._keys.all_partitions_of(name) for name in signal.inputs],
            description=signal.meaning,
            group_name=signal.group,
            kinds=set(kinds),
            owners=self._owners,
        )

    def _description(self, table: Table, deps: Sequence[dg.AssetKey | dg.AssetDep]) -> str:
        keys = [one.asset_key if isinstance(one, dg.AssetDep) else one for one in deps]
        of = ", ".join(f"`{key.path[-1]}`" for key in keys)
        made = f"Made from {of}. " if of else ""
        fresh = f"Changes {FRESH[table]}." if table in FRESH else ""
        return f"One row per {table.grain}.\n\n{made}{fresh}\n\n```sql\n{self.query(table)}\n```"


def with_code(assets: Sequence[Any]) -> list[Any]:
    """The same assets with the places of their code, which their pages show."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        return list(dg.with_source_code_references(assets))
