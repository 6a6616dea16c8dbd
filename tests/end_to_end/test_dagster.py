"""Dagster's own command, real runs in a real instance: the view of a user, hour by hour."""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import duckdb
import polars as pl
import pytest
from dagster import AssetCheckKey
from support.world import HASTY, World, hours

from returns_orchestration import tables
from returns_orchestration.defs.code_location import build_defs
from returns_orchestration.defs.instance import RangeResult, open_instance, ranges, run_range
from returns_orchestration.defs.registry import (
    ASSETS,
    CHANGED_HOURS,
    CLICKPOST,
    DAILY,
    HOURLY,
    RETURNS_REPORT,
    WEBHOOKS_ARRIVED,
)

FIVE = "raw_returns,returns,return_items,refund_modes_hourly,return_reasons_hourly"
HOUR = hours("2026-11-07T08:00", "2026-11-07T09:00")[0]
WINDOWS = hours("2026-11-07T06:00", "2026-11-07T12:00")


def run(world: World, instance: dg.DagsterInstance, **more: bool) -> RangeResult:
    definitions = build_defs(world.settings, retry=HASTY)
    missing_only = more.get("missing_only", False)
    return run_range(definitions, instance, WINDOWS, missing_only=missing_only)


@pytest.fixture
def instance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_world: Callable[..., World]
) -> dg.DagsterInstance:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    with open_instance(new_world().settings) as opened:
        yield opened


def materialized(instance: dg.DagsterInstance, asset: str) -> set[str]:
    return set(instance.get_materialized_partitions(dg.AssetKey(asset)))


def checked(instance: dg.DagsterInstance, asset: str) -> dict[str, bool]:
    """By partition, whether the asset's check passed."""
    records = instance.event_log_storage.get_asset_check_execution_history(
        AssetCheckKey(dg.AssetKey(asset), ASSETS[asset].check.name), limit=1000
    )
    found = {}
    for record in reversed(records):
        if record.event is not None:
            evaluation = record.event.dagster_event.event_specific_data
            found[evaluation.partition] = evaluation.passed
    return found


def test_dagsters_own_command_makes_the_five_assets_of_one_hour(
    new_world: Callable[..., World],
) -> None:
    world = new_world(returns_per_hour=7, rhythm=False, mps_share=0.0)
    (world.folder / "dagster_home").mkdir()
    dagster = Path(sys.executable).with_name("dagster")
    done = world.process(
        str(dagster), "asset", "materialize", "--select", FIVE, "--partition", "2026-11-09-11:00",
        "-m", "returns_orchestration.definitions",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    hour = "date=2026-11-09/hour=11"
    for table in FIVE.split(","):
        assert list((world.lake / table / hour).glob("*.parquet"))
    assert world.scan("returns").height == 7
    assert world.asked() == ["2026-11-09T11:00:00"]
    for secret in (world.simulator.options.key, world.simulator.options.user_name):
        assert secret not in done.stdout + done.stderr


def test_a_range_reports_every_hour_of_every_asset_and_check(
    new_world: Callable[..., World], instance: dg.DagsterInstance
) -> None:
    world = new_world()
    assert run(world, instance).success
    keys = {window.key for window in WINDOWS}
    for asset in HOURLY:
        assert materialized(instance, asset) == keys
        assert checked(instance, asset) == dict.fromkeys(keys, True)


def test_the_ui_shows_a_check_for_every_hour(
    new_world: Callable[..., World], instance: dg.DagsterInstance
) -> None:
    """It shows only an evaluation that targets the newest materialization of its hour."""
    world = new_world()
    run(world, instance)
    run(world, instance)
    keys = [AssetCheckKey(dg.AssetKey(asset), ASSETS[asset].check.name) for asset in HOURLY]
    found = instance.event_log_storage.get_asset_check_partition_info(keys)
    shown = {
        (info.check_key.asset_key.path[0], info.partition_key) for info in found if info.is_current
    }
    assert shown == {(asset, window.key) for asset in HOURLY for window in WINDOWS}


def test_one_bad_hour_fails_alone(
    new_world: Callable[..., World], instance: dg.DagsterInstance
) -> None:
    world = new_world()
    bad = WINDOWS[2]
    world.simulator.faults = [f"503:*:{bad.text}"]
    result = run(world, instance)
    assert not result.success
    assert bad.key in result.failure
    good = {window.key for window in WINDOWS} - {bad.key}
    for asset in HOURLY:
        assert materialized(instance, asset) == good
    assert checked(instance, "raw_returns")[bad.key] is False
    world.simulator.faults = []
    world.simulator.forget()
    assert run(world, instance, missing_only=True).success
    assert len(world.asked()) == 1
    assert materialized(instance, "return_reasons_hourly") == good | {bad.key}


def test_one_bad_day_fails_alone(
    new_world: Callable[..., World], instance: dg.DagsterInstance
) -> None:
    definitions = build_defs(new_world().settings, retry=HASTY)
    for windows in (WINDOWS, hours("2026-11-09T06:00", "2026-11-09T08:00")):
        assert run_range(definitions, instance, windows, missing_only=False).success
    result = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance,
        raise_on_error=False,
        asset_selection=[dg.AssetKey(name) for name in DAILY],
        tags={
            "dagster/asset_partition_range_start": "2026-11-07",
            "dagster/asset_partition_range_end": "2026-11-09",
        },
    )
    (failure,) = result.filter_events(lambda event: event.is_step_failure)
    assert "2026-11-08 was never polled" in failure.step_failure_data.user_failure_data.description
    made = instance.all_logs(result.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    days = [entry.dagster_event.partition for entry in made]
    assert days == ["2026-11-07"] * len(DAILY) + ["2026-11-09"] * len(DAILY)


def test_metadata_accounts_for_the_records_of_the_window(
    new_world: Callable[..., World], instance: dg.DagsterInstance
) -> None:
    world = new_world(edge_rule="[]", edges=True, unusable=0.2, returns_per_hour=20)
    run(world, instance)
    for asset in ("raw_returns", "returns"):
        for window in WINDOWS:
            metadata = latest(instance, asset, window.key)
            served, kept, duplicate, rejected = (
                metadata[name].value for name in ("served", "kept", "duplicate", "rejected")
            )
            assert served == kept + duplicate + rejected
    total = sum(latest(instance, "returns", w.key)["kept"].value for w in WINDOWS)
    assert total == world.scan("returns").height
    assert world.scan("rejected_returns").height > 0
    assert set(checked(instance, "rejected_returns").values()) <= {True, False}
    assert False in checked(instance, "rejected_returns").values()


def latest(instance: dg.DagsterInstance, asset: str, key: str) -> dict[str, dg.MetadataValue]:
    found = instance.fetch_materializations(
        dg.AssetRecordsFilter(dg.AssetKey(asset), asset_partitions=[key]), limit=1
    )
    return dict(found.records[0].asset_materialization.metadata)


def test_a_day_of_an_aggregate_shows_a_small_picture_and_no_hour_does(
    new_world: Callable[..., World], instance: dg.DagsterInstance
) -> None:
    run(new_world(), instance)
    for asset in (*HOURLY, *DAILY):
        newest = instance.get_latest_materialization_event(dg.AssetKey(asset))
        shown = newest.asset_materialization.metadata
        is_drawn = asset in DAILY and bool(DAILY[asset].chart_by)
        assert ("chart of the day in Asia/Kolkata" in shown) == is_drawn
        if is_drawn:
            picture = shown["chart of the day in Asia/Kolkata"].value
            assert picture.startswith("![Returns by ")
            assert len(picture) < 10_000
            content = picture.partition("data:image/svg+xml;base64,")[2].rstrip(")")
            assert base64.b64decode(content).startswith(b"<svg")


def test_every_asset_is_described_by_its_grain_with_owner_kind_and_columns() -> None:
    from returns_orchestration.definitions import defs  # noqa: PLC0415 - as Dagster loads it

    graph = defs.resolve_asset_graph()
    keys = {key.to_user_string() for key in graph.get_all_asset_keys()}
    signals = {
        signal.name: signal.meaning for signal in (CHANGED_HOURS, RETURNS_REPORT, WEBHOOKS_ARRIVED)
    }
    assert keys == {table.name for table in tables.TABLES} | signals.keys() | {CLICKPOST}
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        if key.to_user_string() == CLICKPOST:
            assert not node.parent_keys
            continue
        if key.to_user_string() in signals:  # no table: it reports what was written
            assert node.description == signals[key.to_user_string()]
            continue
        assert (node.description or "").startswith("One row per ")
        assert node.owners
        assert node.kinds
        assert node.group_name != "default"
        assert node.metadata["dagster/table_name"] == key.to_user_string()
        columns = node.metadata["dagster/column_schema"].columns
        assert [c.name for c in columns] == tables.BY_NAME[key.to_user_string()].schema.names()


def test_all_data_come_from_clickpost() -> None:
    from returns_orchestration.definitions import defs  # noqa: PLC0415 - as Dagster loads it

    graph = defs.resolve_asset_graph()
    children = {key.to_user_string() for key in graph.get(dg.AssetKey(CLICKPOST)).child_keys}
    assert children == {"raw_returns", "raw_webhooks"}


def test_assets_with_fields_of_a_person_have_a_tag() -> None:
    from returns_orchestration.definitions import defs  # noqa: PLC0415 - as Dagster loads it

    graph = defs.resolve_asset_graph()
    keys = graph.get_all_asset_keys()
    tagged = {key.to_user_string() for key in keys if "pii" in graph.get(key).tags}
    assert tagged == {
        "raw_returns", "returns", "rejected_returns", "returns_daily", "raw_webhooks",
        "webhook_events", "rejected_webhooks",
    }  # fmt: skip


def test_each_asset_that_is_made_names_the_automation_that_makes_it() -> None:
    """Dagster shows on its page the sensors and schedules of jobs that hold it."""
    from returns_orchestration.definitions import defs  # noqa: PLC0415 - as Dagster loads it

    repository = defs.get_repository_def()
    graph = defs.resolve_asset_graph()
    found: set[dg.AssetKey] = set()
    for sensor in repository.sensor_defs:
        if sensor.asset_selection is not None:
            found |= sensor.asset_selection.resolve(graph)
        for target in sensor.targets:
            job = repository.get_job(target.job_name)
            found |= set(job.asset_layer.executable_asset_keys)
    others = {key.to_user_string() for key in graph.get_all_asset_keys() - found}
    assert others == {CLICKPOST, "raw_webhooks"}  # which are made elsewhere


def test_materializations_show_the_business(
    new_world: Callable[..., World], instance: dg.DagsterInstance
) -> None:
    """Dagster's plots draw these numbers."""
    world = new_world()
    run(world, instance)
    key = HOUR.key
    shown = {asset: latest(instance, asset, key) for asset in HOURLY}
    returns, items = world.scan("returns"), world.scan("return_items")
    of_hour = [HOUR.holds(at) for at in returns["requested_at"]]
    number = shown["returns"]["returns"].value
    assert number == sum(of_hour) > 0
    assert shown["refund_modes_hourly"]["returns"].value == number
    of_items = items.filter(pl.Series([HOUR.holds(at) for at in items["requested_at"]]))
    for asset in ("return_items", "refund_modes_hourly", "return_reasons_hourly"):
        assert shown[asset]["items"].value == of_items.height
        assert shown[asset]["quantity"].value == of_items["quantity"].sum()
    assert 0 < float(shown["return_reasons_hourly"]["share of the top reason"].value) <= 1


def test_the_query_on_each_page_runs(
    new_world: Callable[..., World], instance: dg.DagsterInstance
) -> None:
    world = new_world()
    run(world, instance)
    world.pipeline().all_time.build()
    graph = build_defs(world.settings).resolve_asset_graph()
    ran = []
    for table in tables.TABLES:
        description = graph.get(dg.AssetKey(table.name)).description or ""
        query = description.partition("```sql\n")[2].partition("\n```")[0]
        assert str(world.lake / table.name) in query
        if list(world.lake.glob(f"{table.name}/**/*.parquet")):
            duckdb.sql(query).fetchall()
            ran.append(table)
    assert set(tables.TABLES) - set(ran) == {*tables.OF_WEBHOOKS, tables.ALERTS}


def test_contiguous_hours_share_a_run_and_gaps_split_runs() -> None:
    windows = hours("2026-11-01", "2026-11-02")
    assert list(ranges(windows)) == [windows]
    holes = [w for w in windows if w.start.hour not in (3, 4, 9)]
    assert [len(part) for part in ranges(holes)] == [3, 4, 14]
    assert [len(part) for part in ranges(windows, chunk=10)] == [10, 10, 4]
