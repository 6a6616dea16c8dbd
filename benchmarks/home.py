"""DAGSTER_HOME with years of hours before and after `prune`: `python -m benchmarks.home [HOURS]`.

One hour is polled by the simulator and stored by a real run of all assets and checks; webhooks of
its returns come, too, and a run makes their tables. Its rows in Dagster's tables are then copied to
every other hour, each in runs of its own, as they would be after years of unattended operation
without pruning. What Dagster shows of the hours is compared, after `dagster instance migrate`, too.
"""

from __future__ import annotations

import shutil
import sqlite3
import sys
import tempfile
import time
import uuid
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import typer
from dagster._core.loader import LoadingContextForTest
from dagster._core.storage.event_log.schema import AssetKeyTable

from benchmarks.figures import timed
from benchmarks.site import ROOT, Site
from returns_orchestration.defs.code_location import build_defs
from returns_orchestration.defs.health import bytes_in
from returns_orchestration.defs.instance import open_instance
from returns_orchestration.defs.registry import HOURLY, WEBHOOKS_HOURLY
from returns_orchestration.defs.webhooks import JOB
from returns_orchestration.lake import Lake, open_store
from returns_orchestration.lake.webhooks import Webhook
from returns_orchestration.simulator import Dataset, SimulatorOptions, WebhookOptions, Webhooks
from returns_orchestration.state.health import home_limit
from returns_orchestration.window import Window, windows_between

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

YEARS = 5
YEAR_HOURS = 8_760
RETURNS = 20
PART = 500
"""Hours that are copied in one transaction."""

DAGSTERS_OWN = "dagsters-own.yaml"
"""The configuration by which Dagster's storage opens the same home."""

TABLES = ("event_logs", "asset_check_executions", "asset_event_tags")
TIMES = {"timestamp", "evaluation_event_timestamp", "create_timestamp", "event_timestamp"}


def main(hours: int = YEARS * YEAR_HOURS) -> int:
    """Make the home, prune it, print the figures; 1 where what Dagster shows differs."""
    # An hour of yesterday's daytime in India: of one at night there may be no webhook.
    newest = Window.of(datetime.now(UTC).replace(hour=8) - timedelta(days=1))
    windows = list(windows_between(newest.start - (hours - 1) * timedelta(hours=1), newest.end))
    with tempfile.TemporaryDirectory(dir=ROOT / "data", prefix="bench-home-") as folder:
        site = Site(Path(folder) / "site", {"RETURNS_START": windows[0].start.isoformat()})
        with Site(Path(folder) / "simulator").simulator("--returns", str(RETURNS)) as base_url:
            site.variables.update(
                CLICKPOST_BASE_URL=base_url,
                CLICKPOST_KEY="simulator-key",
                CLICKPOST_USER_NAME="simulator-user",
            )
            site.product("backfill", windows[-1].text, windows[-1].next.text).or_die()
            _receive(site, windows[-1])
        _copy(site, windows)
        with site.entered(), open_instance(site.settings) as instance:
            before = _shown(instance)
        size = bytes_in(site.home)
        pruned = site.product("prune").or_die()
        migrated = site.run("dagster", "instance", "migrate").or_die()
        with site.entered(), open_instance(site.settings) as instance:
            same = _shown(instance) == before
        for line in _looks(site, windows[0]):
            typer.echo(line)
        after = bytes_in(site.home)
        files = sum(1 for path in site.home.rglob("*") if path.is_file())
    limit = home_limit(hours, timedelta(days=30))
    typer.echo(pruned.output.rstrip())
    typer.echo(
        f"{hours:,} hours, {files:,} files: {size / 1e6:,.0f} MB, then {after / 1e6:,.0f} MB"
    )
    typer.echo(f"`dagster instance migrate` afterwards: {migrated.seconds:.0f} s")
    typer.echo(f"{pruned.seconds:.0f} s; the alert begins at {limit / 1e6:,.0f} MB.")
    typer.echo(f"What Dagster shows is {'the same' if same else 'DIFFERENT'}.")
    return 0 if same and after < limit else 1


def _looks(site: Site, first: Window) -> Iterator[str]:
    """The first look at the graph and the look at a page of checks, beside Dagster's own storage.

    Dagster's own looks first, so that the files are in the system's cache for both.
    """
    hours = dg.HourlyPartitionsDefinition(start_date=first.start, timezone="UTC")
    assets = [(dg.AssetKey(name), hours) for name in HOURLY]
    check = dg.AssetCheckKey(dg.AssetKey("returns"), HOURLY["returns"].check.name)
    (site.home / DAGSTERS_OWN).write_text("telemetry: {enabled: false}\n")
    with (
        site.entered(),
        dg.DagsterInstance.from_config(str(site.home), DAGSTERS_OWN) as theirs,
        open_instance(site.settings) as ours,
    ):
        pages: dict[str, Callable[[dg.DagsterInstance], object]] = {
            f"graph, {len(assets)} assets, first look": partial(_graph, assets),
            "a check's page": partial(_page_of_check, (check, hours)),
        }
        for page, look in pages.items():
            (slow, its), (fast, own) = (timed(partial(look, by)) for by in (theirs, ours))
            same = "the same" if its == own else "DIFFERENT"
            yield f"{page}: {fast:.2f} s; Dagster's own {slow:.1f} s, 1/{slow / fast:.0f}, {same}"


def _graph(assets: list[tuple[dg.AssetKey, Any]], instance: dg.DagsterInstance) -> object:
    storage: Any = instance.event_log_storage
    with storage.index_connection() as connection:
        connection.execute(AssetKeyTable.update().values(cached_status_data=None))
    return storage.get_asset_status_cache_values(assets, LoadingContextForTest(instance))


def _page_of_check(
    check: tuple[dg.AssetCheckKey, Any], instance: dg.DagsterInstance
) -> dict[Any, Any]:
    storage: Any = instance.event_log_storage
    [state] = storage.get_asset_check_state([check]).values()
    return {status: len(subset.value) for status, subset in state.subsets.items() if subset.value}


def _receive(site: Site, window: Window) -> None:
    """Webhooks of the returns of ``window``, and a run of their tables, as the sensor starts it."""
    dataset = Dataset(SimulatorOptions(returns_per_hour=RETURNS))
    events = Webhooks(dataset, WebhookOptions(states=False)).of_returns(window.start, window.end)
    sent = sorted((at, event.body) for event in events for at in event.sent_at if at < window.end)
    deliveries = [
        Webhook(number, at, "application/json", redelivered=False, body=body)
        for number, (at, body) in enumerate(sent, 1)
    ]
    Lake(open_store(str(site.lake))).webhooks.put("00000001", deliveries)
    with site.entered(), open_instance(site.settings) as instance:
        job = build_defs(site.settings).resolve_job_def(JOB)
        job.execute_in_process(instance=instance)


def _copy(site: Site, windows: list[Window]) -> None:
    """Give every other hour the rows of the newest, in a run of its own."""
    last = windows[-1]
    index = site.home / "history" / "runs" / "index.db"
    with (
        closing(sqlite3.connect(index)) as events,
        closing(sqlite3.connect(site.home / "history" / "runs.db")) as runs,
    ):
        template = {table: _rows(events, table) for table in TABLES}
        ended, tags = _rows(runs, "runs"), _rows(runs, "run_tags")
        shift = max(row["id"] for row in template["event_logs"])
        for at in range(0, len(windows) - 1, PART):
            for number, window in enumerate(windows[at : min(at + PART, len(windows) - 1)], at + 1):
                back = last.start - window.start
                run_ids = {run["run_id"]: str(uuid.uuid4()) for run in ended}
                renamed = {last.key: window.key, **run_ids}
                for table, rows in template.items():
                    _insert(events, table, [_moved(r, renamed, back, number * shift) for r in rows])
                _insert(runs, "runs", [_moved(run, renamed, back, 0) for run in ended])
                _insert(runs, "run_tags", [_moved(tag, renamed, back, 0) for tag in tags])
                if window.start > last.start - timedelta(days=60):
                    for run_id, copied in run_ids.items():
                        source = index.with_name(f"{run_id}.db")
                        shutil.copyfile(source, index.with_name(f"{copied}.db"))
            events.commit()
            runs.commit()


def _rows(database: sqlite3.Connection, table: str) -> list[dict[str, Any]]:
    found = database.execute(f"select * from {table}")  # noqa: S608 - our own names
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found]


def _moved(
    row: dict[str, Any], renamed: dict[str, str], back: timedelta, shift: int
) -> dict[str, Any]:
    """A row as the run of another hour would have stored it."""
    new: dict[str, Any] = {}
    for name, value in row.items():
        if name == "id":
            new[name] = value + shift if shift else None
        elif name in {
            "event_id",
            "evaluation_event_storage_id",
            "materialization_event_storage_id",
        }:
            new[name] = value and value + shift
        elif name in TIMES or name == "update_timestamp":
            new[name] = value and str(datetime.fromisoformat(value) - back)
        elif name in {"start_time", "end_time"}:
            new[name] = value and value - back.total_seconds()
        elif isinstance(value, str):
            for old, other in renamed.items():
                value = value.replace(old, other)  # noqa: PLW2901
            new[name] = value
        else:
            new[name] = value
    return new


def _insert(database: sqlite3.Connection, table: str, rows: list[dict[str, Any]]) -> None:
    if rows:
        marks = ", ".join(f":{name}" for name in rows[0])
        database.executemany(f"insert into {table} values ({marks})", rows)  # noqa: S608


def _shown(instance: dg.DagsterInstance) -> dict[str, Any]:
    """By asset, its partitions and the state of its check for each."""
    storage: Any = instance.event_log_storage
    found: dict[str, Any] = {}
    for name, asset in {**HOURLY, **WEBHOOKS_HOURLY}.items():
        key = dg.AssetKey(name)
        check = dg.AssetCheckKey(key, asset.check.name)
        infos = storage.get_asset_check_partition_info([check])
        found[name] = (
            set(instance.get_materialized_partitions(key)),
            {
                info.partition_key: (
                    info.latest_execution_status,
                    info.latest_materialization_storage_id,
                )
                for info in infos
            },
        )
    return found


if __name__ == "__main__":
    began = time.perf_counter()
    code = main(*map(int, sys.argv[1:2]))
    typer.echo(f"In all {time.perf_counter() - began:.0f} s.")
    sys.exit(code)
