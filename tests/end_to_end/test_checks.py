"""Checks in Dagster: a healthy shop is green from end to end, and a defect turns its check red."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
import polars as pl
import pytest
from support.world import HASTY, World, hours

from returns_orchestration import tables
from returns_orchestration.defs.code_location import build_defs
from returns_orchestration.defs.instance import open_instance, run_range
from returns_orchestration.defs.registry import DAILY
from returns_orchestration.flow import build
from returns_orchestration.stages import aggregates

WINDOWS = hours("2026-11-07T00:00", "2026-11-09T00:00")

NEW_NAMES = ("returns", "new_names_are_acknowledged")
Check = tuple[str, str]


@pytest.fixture
def world(new_world: Callable[..., World]) -> World:
    return new_world(
        {
            "CLICKPOST_MAX_REQUESTS_PER_SECOND": "500",
            "RETURNS_REPORT_TIME_ZONE": "UTC",
        },
        returns_per_hour=3,
    )


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch, world: World) -> Iterator[dg.DagsterInstance]:
    """The instance beside the lake, which the commands use."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with open_instance(world.settings) as opened:
        yield opened


def run(world: World, instance: dg.DagsterInstance) -> bool:
    definitions = build_defs(world.settings, retry=HASTY)
    return run_range(definitions, instance, WINDOWS, missing_only=True).success


def newest(instance: dg.DagsterInstance) -> dict[Check, dict[str | None, tuple[bool, str]]]:
    """By check and partition: whether its newest evaluation passed, and its text."""
    found: dict[Check, dict[str | None, tuple[bool, str]]] = {}
    records = instance.event_log_storage.get_event_records(
        dg.EventRecordsFilter(dg.DagsterEventType.ASSET_CHECK_EVALUATION), ascending=True
    )
    for record in records:
        event: Any = record.event_log_entry.dagster_event
        said = event.event_specific_data
        check = (said.asset_key.path[-1], said.check_name)
        found.setdefault(check, {})[said.partition] = (said.passed, said.description or "")
    return found


def red(instance: dg.DagsterInstance) -> dict[Check, set[str | None]]:
    """The checks that do not pass, and for which hours or days."""
    by_check = {
        check: {period for period, (passed, _) in periods.items() if not passed}
        for check, periods in newest(instance).items()
    }
    return {check: periods for check, periods in by_check.items() if periods}


def test_a_healthy_shop_is_green_from_end_to_end(
    world: World, instance: dg.DagsterInstance
) -> None:
    assert run(world, instance)
    found = newest(instance)
    assert red(instance) == {}
    assert {asset for asset, _ in found} == {
        *("raw_returns", "returns", "rejected_returns", "return_items"),
        *(table.name for table in (*tables.MADE_HOURLY, *tables.MADE_DAILY)),
    }
    assert len(found["raw_returns", "every_record_served_is_accounted_for"]) == len(WINDOWS)
    assert len(found["raw_returns", "the_poll_was_as_usual"]) == len(WINDOWS)
    assert found[NEW_NAMES] == {None: (True, "")}


def lose(window: Any, found: list[Any], rejected: Any) -> dict[str, pl.DataFrame]:
    """A served return is in no table, and no other sign shows it."""
    return MADE(window, found[1:], rejected)


WHOLE_DAYS = {(name, asset.check.name) for name, asset in DAILY.items()}
"""The checks that no hour of a day is missing."""


def double(window: Any, found: list[Any], rejected: Any) -> dict[str, pl.DataFrame]:
    """A return is in the tables twice, and is counted twice."""
    frames = MADE(window, found, rejected)
    twice = pl.concat([frames["returns"], frames["returns"].head(1)])
    first = (pl.int_range(pl.len()) == 0).cast(pl.Int64)
    counted = {
        aggregate.hourly.name: frames[aggregate.hourly.name].with_columns(pl.col("returns") + first)
        for aggregate in tables.AGGREGATES
        if "returns" in aggregate.conserved
    }
    return frames | {"returns": twice} | counted


def miscount(window: Any, found: list[Any], rejected: Any) -> dict[str, pl.DataFrame]:
    """A sum of `return_reasons_hourly` is too high by one."""
    frames = MADE(window, found, rejected)
    items = pl.col("items") + (pl.int_range(pl.len()) == 0).cast(pl.Int64)
    reasons = frames["return_reasons_hourly"].with_columns(items)
    return frames | {"return_reasons_hourly": reasons}


MADE = build.frames_of_hour
BAD = WINDOWS[9]


@pytest.mark.parametrize(
    ("defect", "check", "said"),
    [
        (lose, ("raw_returns", "every_record_served_is_accounted_for"), "1 lost"),
        (
            double,
            ("returns", "every_return_is_there_once_and_in_its_hour"),
            "references absent or repeated",
        ),
        (miscount, ("return_reasons_hourly", "return_reasons_add_up"), "the items add up to"),
    ],
)
def test_a_planted_defect_turns_its_check_red_and_no_other(  # noqa: PLR0917 - what varies
    defect: Callable[..., dict[str, pl.DataFrame]],
    check: Check,
    said: str,
    world: World,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def planted(window: Any, found: list[Any], rejected: Any = ()) -> dict[str, pl.DataFrame]:
        return (defect if window == BAD else MADE)(window, found, rejected)

    monkeypatch.setattr(build, "frames_of_hour", planted)
    assert not run(world, instance)
    found = red(instance)
    assert found.keys() - WHOLE_DAYS == {check}  # and the day reports the missing hour correctly
    assert found[check] == {BAD.key}
    assert said in newest(instance)[check][BAD.key][1]
    monkeypatch.setattr(build, "frames_of_hour", MADE)
    assert run(world, instance)
    assert red(instance) == {}


def test_a_wrong_sum_of_a_day_turns_its_check_red_and_no_other(
    world: World, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = aggregates.count

    def miscounted(aggregate: tables.Aggregate, period: Any, *given: Any) -> pl.DataFrame:
        made = count(aggregate, period, *given)
        wrong = aggregate is tables.REFUND_MODES and str(period) == "2026-11-08"
        return made.with_columns(pl.col("returns") + 1) if wrong else made

    monkeypatch.setattr(aggregates, "count", miscounted)
    assert not run(world, instance)
    check = ("refund_modes_daily", "refund_modes_of_the_day_are_whole")
    assert red(instance) == {check: {"2026-11-08"}}
    assert "the returns add up to" in newest(instance)[check]["2026-11-08"][1]


def test_a_missing_hour_turns_its_own_check_and_that_of_its_day_red(
    world: World, instance: dg.DagsterInstance
) -> None:
    world.simulator.faults = [f"503:*:{BAD.text}"]
    assert not run(world, instance)
    assert red(instance) == {
        ("raw_returns", "every_record_served_is_accounted_for"): {BAD.key},
    } | {check: {"2026-11-07"} for check in WHOLE_DAYS}
    world.simulator.faults = []
    assert run(world, instance)
    assert red(instance) == {}


def test_a_new_name_warns_until_it_is_acknowledged(
    world: World, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_news(window: Any, found: list[Any], rejected: Any = ()) -> dict[str, pl.DataFrame]:
        frames = MADE(window, found, rejected)
        if window != BAD:
            return frames
        mode = pl.lit("Barter").alias("refund_mode")
        returns = frames["returns"].with_columns(mode)
        modes = aggregates.count(tables.REFUND_MODES, window.start, returns, frames["return_items"])
        return frames | {"returns": returns, "refund_modes_hourly": modes}

    monkeypatch.setattr(build, "frames_of_hour", with_news)
    assert run(world, instance)
    assert red(instance) == {NEW_NAMES: {None}}
    assert newest(instance)[NEW_NAMES][None][1] == ("ClickPost sends 1 unknown refund mode: Barter")
    listed = world.run("acknowledge")
    assert (listed.returncode, listed.stdout.splitlines()) == (
        0,
        [f"mode  Barter  since {BAD.text}", "1 new name to acknowledge."],
    )
    wrong = world.run("acknowledge", "Barter", "Bartr")
    assert wrong.returncode == 2
    assert "Not among the new names: Bartr." in wrong.stderr
    assert red(instance) == {NEW_NAMES: {None}}
    done = world.run("acknowledge", "Barter")
    assert (done.returncode, done.stdout) == (0, "1 acknowledged, 0 left.\n")
    assert red(instance) == {}
    assert world.run("acknowledge").stdout == "0 new names to acknowledge.\n"


def test_a_name_in_the_settings_does_not_warn(
    world: World, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.variables["RETURNS_ACKNOWLEDGED"] = "Barter, 1005"
    made = MADE

    def with_news(window: Any, found: list[Any], rejected: Any = ()) -> dict[str, pl.DataFrame]:
        frames = made(window, found, rejected)
        code = pl.lit(1005, pl.Int64).alias("latest_clickpost_status_code")
        return frames | {"returns": frames["returns"].with_columns(code)}

    monkeypatch.setattr(build, "frames_of_hour", with_news)
    assert run(world, instance)
    assert list((world.lake / "_news").glob("code-*.json")), "it is noted all the same"
    assert red(instance) == {}
    assert "0 new names" in world.run("acknowledge").stdout
