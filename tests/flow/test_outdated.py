"""An upgrade that changes columns, tables or rules: existing tables are made again."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from support.lakes import bytes_of, rows
from support.records import Record, at, returned

from returns_orchestration import tables
from returns_orchestration.flow import build
from returns_orchestration.flow.outcomes import Failed, Stopped
from returns_orchestration.flow.rebuild import Rebuilder
from returns_orchestration.lake import Lake
from returns_orchestration.stages import aggregates, ownership, rules, typing
from returns_orchestration.state import verify
from returns_orchestration.state.status import states
from returns_orchestration.state.verify import Verifier
from returns_orchestration.window import Window, windows_between

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Upgrade = Callable[[pytest.MonkeyPatch], None]

INDIA = ZoneInfo("Asia/Kolkata")
HOURS = list(windows_between(at(16), at(21)))
"""The ninth of November in India ends in the middle of the third."""

NOTE = tables.Column("note", tables.TEXT, "a note", place=tables.RECORD, key="note")
SOURCES = tables.Table(
    "sources_hourly",
    "source",
    (
        tables.Column("source", tables.TEXT, "where it was requested"),
        tables.Column("returns", tables.NUMBER, "returns", nullable=False),
    ),
)


def reply(window: Window) -> list[Record]:
    moments = [window.start.replace(minute=minute) for minute in (10, 40)]
    return [returned(f"R-{m:%H%M}", m, note=f"at {m:%H:%M}") for m in moments]


def more(window: Window) -> list[Record]:
    late = window.start.replace(minute=50)
    return [*reply(window), returned(f"L-{late:%H%M}", late, note="late")]


def declare(patch: pytest.MonkeyPatch, hourly: tuple[tables.Table, ...]) -> None:
    """Make these the tables of an hour from now on."""
    for table in hourly:
        patch.setitem(tables.BY_NAME, table.name, table)
    others = tuple(t for t in tables.TABLES if t.name not in {table.name for table in hourly})
    patch.setattr(tables, "MADE_HOURLY", hourly)
    patch.setattr(tables, "TABLES", (*hourly, *others))
    patch.setattr(verify, "HOURLY", (tables.RAW_RETURNS, *hourly))


def a_column(patch: pytest.MonkeyPatch) -> None:
    """Read from the record, which is in raw_returns all the time."""
    grown = tables.Table(tables.RETURNS.name, tables.RETURNS.grain, (*tables.RETURNS.columns, NOTE))
    fields = (*typing.RETURN_FIELDS, NOTE)
    for module in (typing, ownership):
        patch.setattr(module, "RETURN_FIELDS", fields)
    patch.setattr(tables, "RETURNS", grown)
    declare(patch, (grown, *tables.MADE_HOURLY[1:]))


def a_table(patch: pytest.MonkeyPatch) -> None:
    made = build.frames_of_hour

    def with_sources(*given: Any) -> dict[str, pl.DataFrame]:
        frames = made(*given)
        counted = frames["returns"].group_by("source").len("returns").sort("source")
        return frames | {SOURCES.name: SOURCES.conform(counted)}

    patch.setattr(build, "frames_of_hour", with_sources)
    declare(patch, (*tables.MADE_HOURLY, SOURCES))


def a_rule(patch: pytest.MonkeyPatch) -> None:
    """Reasons are written in capitals from now on."""
    made = ownership.items_frame

    def in_capitals(*given: Any) -> pl.DataFrame:
        return made(*given).with_columns(pl.col("return_reason").str.to_uppercase())

    patch.setattr(ownership, "items_frame", in_capitals)
    patch.setattr(rules, "VERSION", rules.VERSION + 1)


def a_rule_of_days(patch: pytest.MonkeyPatch) -> None:
    """A daily table has one column more."""
    modes = tables.REFUND_MODES
    share = tables.Column("share", tables.NUMBER, "of all returns, in per cent")
    grown = dataclasses.replace(modes.daily, columns=(*modes.daily.columns, share))
    made = aggregates.count

    def with_share(aggregate: tables.Aggregate, period: Any, *given: Any) -> pl.DataFrame:
        if aggregate.name == modes.name and not isinstance(period, datetime):
            return grown.conform(made(modes, period, *given))
        return made(aggregate, period, *given)

    patch.setattr(aggregates, "count", with_share)
    others = [aggregate for aggregate in tables.AGGREGATES if aggregate is not modes]
    patch.setattr(tables, "AGGREGATES", (dataclasses.replace(modes, daily=grown), *others))
    patch.setattr(
        tables, "MADE_DAILY", (grown, *(other.daily for other in others), *tables.OF_DAYS)
    )
    patch.setitem(tables.BY_NAME, grown.name, grown)


UPGRADES = pytest.mark.parametrize("upgrade", [a_column, a_table, a_rule, a_rule_of_days])


def schemas(lake: Lake) -> set[tuple[str, pl.Schema]]:
    """The table and the schema of every file of every made table."""
    found = set()
    for table in (*tables.MADE_HOURLY, *tables.MADE_DAILY):
        for path in lake.store.list(table.name):
            content = lake.store.get(path)
            assert content is not None
            schema = pl.read_parquet_schema(content)
            found.add((table.name, tuple(schema.items())))
    return found  # type: ignore[return-value]


def of_today() -> set[tuple[str, Any]]:
    made = (*tables.MADE_HOURLY, *tables.MADE_DAILY)
    return {(table.name, tuple(table.schema.items())) for table in made}


def counted(folder: Path) -> dict[Any, int]:
    """Returns by day, as the daily table has them and as the rows of `returns` do."""
    day = pl.col("requested_at").dt.convert_time_zone(INDIA.key).dt.date().alias("day")
    frames = [pl.read_parquet(path) for path in (folder / "returns").rglob("*.parquet")]
    by_rows = pl.concat([f.select(day) for f in frames]).group_by("day").len().rows()
    frames = [pl.read_parquet(p) for p in (folder / "refund_modes_daily").rglob("*.parquet")]
    daily = pl.concat([f.select("day", "returns") for f in frames])
    by_days = daily.group_by("day").agg(pl.col("returns").sum()).rows()
    assert dict(by_rows) == dict(by_days)
    return dict(by_days)


def fail(outcomes: list[Any]) -> list[Any]:
    return [o for o in outcomes if isinstance(o, Failed | Stopped)]


@UPGRADES
@pytest.mark.parametrize("remade_by", ["a run", "rebuild"])
def test_hours_outdated_by_an_upgrade_are_reported_and_made_again_without_a_call(  # noqa: PLR0917 - what varies
    upgrade: Upgrade,
    remade_by: str,
    lake: Lake,
    folder: Path,
    api_of: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    api_of(reply, always_at=at(30)).run(lake, HOURS)
    raw, before = bytes_of(lake.store, "raw_returns"), bytes_of(lake.store)
    upgrade(monkeypatch)
    api = api_of(more, always_at=at(40))
    assert api.states(lake, HOURS) == ["outdated"] * 5
    assert [line.returns for line in states(lake, HOURS, INDIA)] == [2] * 5
    # The existing tables are whole and do not count as altered.
    assert list(Verifier(lake, INDIA).everything()) == []
    assert bytes_of(lake.store) == before
    # Meanwhile it is read with the current columns.
    frame = lake.read(tables.RETURNS, HOURS[0], lake.names())
    assert frame is not None
    assert frame.schema == tables.RETURNS.schema

    if remade_by == "a run":
        assert fail(api.run(lake, HOURS, missing_only=True)) == []
    else:
        rebuilt = Rebuilder(api.pipeline(lake)).rebuild(HOURS[0].start, HOURS[-1].end)
        assert rebuilt.is_whole
        assert [path for path in rebuilt.quarantined if "raw_returns" in path] == []
    assert api.asked == []
    assert api.states(lake, HOURS) == ["complete"] * 5
    assert schemas(lake) == of_today()
    assert sum(counted(folder).values()) == 10
    assert list(Verifier(lake, INDIA).everything()) == []
    assert bytes_of(lake.store, "raw_returns") == raw
    # And only once.
    assert api.run(lake, HOURS, missing_only=True) == []


@UPGRADES
def test_days_count_hours_from_before_and_after_an_upgrade(
    upgrade: Upgrade, lake: Lake, folder: Path, api_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour is polled again in the first minutes of a new release."""
    api_of(reply, always_at=at(30)).run(lake, HOURS)
    before = counted(folder)
    upgrade(monkeypatch)
    api = api_of(more, always_at=at(40))
    assert fail(api.run(lake, HOURS[2:3])) == []
    assert api.states(lake, HOURS)[2] == "complete"
    # The day of its late return is made of hours of both releases; the other was not touched, or
    # also follows.
    after = counted(folder)
    assert sum(after.values()) == sum(before.values()) + 1
    if upgrade is not a_rule_of_days:
        assert api.states(lake, HOURS) == [
            "outdated", "outdated", "complete", "outdated", "outdated",
        ]  # fmt: skip
    assert fail(api.run(lake, HOURS, missing_only=True)) == []
    assert api.asked == HOURS[2:3]
    assert counted(folder) == after
    assert schemas(lake) == of_today()
    assert api.states(lake, HOURS) == ["complete"] * 5


def test_a_new_column_is_filled_from_raw(
    lake: Lake, folder: Path, api_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    api_of(reply).run(lake, HOURS)
    a_column(monkeypatch)
    api_of(reply).run(lake, HOURS, missing_only=True)
    found = rows(folder, "returns")
    assert found.get_column("note").null_count() == 0
    assert found.get_column("note").min() == "at 16:10"


def test_a_new_table_is_made_for_every_hour(
    lake: Lake, folder: Path, api_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    api_of(reply).run(lake, HOURS)
    a_table(monkeypatch)
    api_of(reply).run(lake, HOURS, missing_only=True)
    assert len(list((folder / SOURCES.name).rglob("*.parquet"))) == len(HOURS)
    assert rows(folder, SOURCES.name).get_column("returns").sum() == 2 * len(HOURS)


def test_a_new_rule_applies_to_every_hour_and_day(
    lake: Lake, folder: Path, api_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    api_of(reply).run(lake, HOURS)
    assert "Other Reason" in rows(folder, "return_reasons_daily")["return_reason"].to_list()
    a_rule(monkeypatch)
    api_of(reply).run(lake, HOURS, missing_only=True)
    for table in ("return_items", "return_reasons_hourly", "return_reasons_daily"):
        assert set(rows(folder, table)["return_reason"]) == {"OTHER REASON"}


def test_an_earlier_release_makes_its_own_tables_again_after_a_downgrade(
    lake: Lake, api_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown table stays where it is, and `verify` names it."""
    api = api_of(reply, always_at=at(30))
    api.run(lake, HOURS)
    before = bytes_of(lake.store)
    with monkeypatch.context() as newer:
        a_table(newer)
        a_rule(newer)
        api.run(lake, HOURS, missing_only=True)
    assert api.states(lake, HOURS) == ["outdated"] * 5
    assert fail(api.run(lake, HOURS, missing_only=True)) == []
    now = bytes_of(lake.store)
    assert before.items() <= now.items()
    left = now.keys() - before.keys()
    assert {path.partition("/")[0] for path in left} == {SOURCES.name}
    assert {f.path for f in Verifier(lake, INDIA).everything()} == left
