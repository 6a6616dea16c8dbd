"""Plain Dagster: the five assets of the API's page in some lines each, with its stock storage.

The fifth argument is ``range``, for one run over all hours, or ``hourly``, for a run an hour in the
same process; a process for each run would come on top.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import httpx
import polars as pl

from benchmarks.peers.script import Asked, run

KEY = "%Y-%m-%d-%H:%M"


def assets_of(asked: Asked) -> list[dg.AssetsDefinition]:
    """The assets, whose files are below the folder asked for."""
    hours = dg.HourlyPartitionsDefinition(asked.starts[0].strftime(KEY), timezone="UTC")
    starts = {start.strftime(KEY): start for start in asked.starts}

    def file(name: str, key: str) -> Path:
        path = asked.folder / name / f"{key.replace(':', '')}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def asset(
        name: str, source: str, make: Callable[[pl.DataFrame], pl.DataFrame]
    ) -> dg.AssetsDefinition:
        """An asset whose hours are each made of the file of ``source``."""

        @dg.asset(
            name=name,
            partitions_def=hours,
            backfill_policy=dg.BackfillPolicy.single_run(),
            deps=[source],
        )
        def made(context: dg.AssetExecutionContext) -> None:
            for key in context.partition_keys:
                make(pl.read_parquet(file(source, key))).write_parquet(file(name, key))

        return made

    @dg.asset(partitions_def=hours, backfill_policy=dg.BackfillPolicy.single_run())
    def raw_returns(context: dg.AssetExecutionContext) -> None:
        with httpx.Client(timeout=60) as client:
            for key in context.partition_keys:
                reply = client.get(asked.url, params=asked.parameters(starts[key]))
                records = reply.raise_for_status().json()["result"]
                frame = pl.DataFrame(records, infer_schema_length=None, strict=False)
                frame.write_parquet(file("raw_returns", key))

    return [
        raw_returns,
        asset("returns", "raw_returns", lambda raw: raw.unnest("webhook_payload", separator="_")),
        asset("return_items", "returns", _items),
        asset("refund_modes_hourly", "return_items", lambda rows: _counted(rows, "refund_mode")),
        asset(
            "return_reasons_hourly", "return_items", lambda rows: _counted(rows, "return_reason")
        ),
    ]


def _items(returns: pl.DataFrame) -> pl.DataFrame:
    items = pl.col("webhook_payload_additional").struct.field("item_info")
    rows = returns.select("return_reference_number", items).explode("item_info")
    return rows.unnest("item_info")


def _counted(items: pl.DataFrame, by: str) -> pl.DataFrame:
    sums = pl.col("return_reference_number").n_unique(), pl.len().alias("items")
    return items.group_by(by).agg(*sums)


def prepared(asked: Asked) -> Callable[[], object]:
    """What materializes all hours, in one run or in a run for each; it has a new DAGSTER_HOME."""
    assets = assets_of(asked)
    keys = [start.strftime(KEY) for start in asked.starts]
    home = asked.folder.with_name(f"{asked.folder.name}-home")
    home.mkdir()
    instance = dg.DagsterInstance.local_temp(str(home))
    if sys.argv[5] == "hourly":
        return lambda: [dg.materialize(assets, instance=instance, partition_key=k) for k in keys]
    ends = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
    tags = dict(zip(ends, (keys[0], keys[-1]), strict=True))
    return lambda: dg.materialize(assets, instance=instance, tags=tags)


if __name__ == "__main__":
    run(prepared)
