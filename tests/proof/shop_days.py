"""Weeks of a shop, polled at all ages: every table is the simulator's truth, and DuckDB's from raw.

The truth of an hour is that of its last poll: what happened later cannot be known. Each table is
compared in its main columns over all rows, so a row too many is a fault as well as one too few.
"""

from __future__ import annotations

import logging
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
from proof.result import Result
from support.shop import AGES, FIRST, INDIA, Shop

from returns_orchestration.lake.store import FolderStore
from returns_orchestration.simulator import SimulatorOptions, TrueReturn
from returns_orchestration.simulator.contents import contents_of
from returns_orchestration.simulator.lifecycle import CANCELLED, DELIVERED, PICKED_UP, step_at
from returns_orchestration.simulator.moments import from_micros, to_micros
from returns_orchestration.simulator.planning import PlannedReturn
from returns_orchestration.stages.aggregates import NOT_GIVEN
from returns_orchestration.stages.vocabulary import state_of
from returns_orchestration.window import Window

BEGIN = datetime(2026, 8, 1, 18, tzinfo=UTC)
LAST_AGE = timedelta(hours=max(AGES))
ENDED = {DELIVERED.code, CANCELLED.code}

_NEWEST = """
    SELECT arg_max(record::JSON, (polled_at, position)) AS j
    FROM read_parquet('{lake}/raw_returns/**/*.parquet', hive_partitioning = false)
    GROUP BY record::JSON ->> 'return_reference_number'
"""
_DAY = "(CAST(j ->> 'Return Request Timestamp' AS TIMESTAMPTZ) AT TIME ZONE 'Asia/Kolkata')::DATE"
MODES = f"""
    SELECT {_DAY} AS day, j ->> 'refund_mode' AS mode, count(*) FROM ({_NEWEST})
    WHERE j ->> 'refund_mode' IS NOT NULL GROUP BY ALL
"""  # noqa: S608 - texts of this file
REASONS = f"""
    SELECT day, coalesce(nullif(trim(item ->> 'return_reason'), ''), '{NOT_GIVEN}'), count(*)
    FROM (SELECT {_DAY} AS day,
                 unnest(json_extract(j, '$.webhook_payload.additional.item_info[*]')) AS item
          FROM ({_NEWEST}))
    GROUP BY ALL
"""  # noqa: S608


class Days:
    """A lake of ``days`` days of a shop, and what is true of it."""

    def __init__(self, folder: Path, days: int, seed: int) -> None:
        self.folder = folder
        options = SimulatorOptions(
            seed=seed,
            returns_per_hour=4,
            oddities=0.0,
            mps_share=0.0,
            shop=True,
            troubles_from=BEGIN + timedelta(days=days / 2),
            late_share=0.1,
            late_by=(timedelta(minutes=15), timedelta(hours=60)),
        )
        self.now = BEGIN + timedelta(days=days, hours=3)
        self.shop = Shop(options, BEGIN, self.now)
        self.shop.fill(FolderStore(folder)).all_time.build()
        self.seen = [one for window in self.shop.windows for one in self._of(window)]

    def _of(self, window: Window) -> Iterator[tuple[PlannedReturn, TrueReturn, datetime]]:
        """The returns of an hour as its last poll showed them."""
        ages = (FIRST, *(timedelta(hours=age) for age in AGES))
        at = max(window.end + age for age in ages if window.end + age <= self.now)
        true = self.shop.dataset.returns_between(window.start, window.end, at)
        planned = {one.reference: one for one in self.shop.dataset.planned(to_micros(window.start))}
        yield from ((planned[one.reference], one, at) for one in true)

    def wrong(self) -> Iterator[str]:
        """What differs from the truth."""
        for name, found, expected in (
            *self._rows(), *self._counts(), *self._steps(), *self._states(), *self._of_duckdb(),
        ):  # fmt: skip
            if found != expected:
                more = list((Counter(found) - Counter(expected)).items())[:2]
                less = list((Counter(expected) - Counter(found)).items())[:2]
                yield f"{name}: {more} too many, {less} too few"

    def _rows(self) -> Iterator[tuple[str, Any, Any]]:
        returns = Counter(
            (t.reference, t.requested_at, t.status, t.refund_mode, t.awb_at)
            for _, t, _ in self.seen
        )
        columns = ("return_reference_number", "requested_at", "status", "refund_mode", "awb_at")
        items = Counter(
            (t.reference, at, item.sku, item.quantity, item.return_reason, item.refund_mode)
            for _, t, _ in self.seen
            for at, item in enumerate(t.items)
        )
        of_items = (
            "return_reference_number", "item_index", "sku", "quantity", "return_reason",
            "refund_mode",
        )  # fmt: skip
        for name in ("returns", "returns_daily"):
            yield name, Counter(self._scan(name).select(columns).iter_rows()), returns
        for name in ("return_items", "return_items_daily"):
            yield name, Counter(self._scan(name).select(of_items).iter_rows()), items
        days = Counter(self._scan("returns_daily").select("day").to_series())
        yield "days", days, Counter(_day(t.requested_at) for _, t, _ in self.seen)

    def _counts(self) -> Iterator[tuple[str, Any, Any]]:
        skus: Counter[Any] = Counter()
        of_sku: Counter[Any] = Counter()
        for _, true, _ in self.seen:
            day = _day(true.requested_at)
            kinds = [(day, item.sku, item.return_reason or NOT_GIVEN) for item in true.items]
            skus.update(kinds)
            of_sku.update(set(kinds))
        frame = self._scan("skus_daily")
        by = ("day", "sku", "return_reason")
        for column, expected in (("items", skus), ("returns", of_sku)):
            rows = frame.select(*by, column).iter_rows()
            yield f"skus_daily.{column}", Counter({row[:3]: row[3] for row in rows}), expected
        couriers = Counter(
            (_day(t.requested_at), contents_of(p).courier.cp_id if t.awbs else None)
            for p, t, _ in self.seen
        )
        rows = self._scan("couriers_daily").select("day", "cp_id", "returns").iter_rows()
        found: Counter[Any] = Counter()
        for day, cp_id, number in rows:
            found[day, cp_id] += number
        yield "couriers_daily", found, couriers

    def _steps(self) -> Iterator[tuple[str, Any, Any]]:
        picked_up = {PICKED_UP.code, DELIVERED.code}
        for step, codes in (("picked up", picked_up), ("received", {DELIVERED.code})):
            expected = Counter(
                _day(t.requested_at) for p, t, at in self.seen if _step(p, at)[0] in codes
            )
            frame = self._scan("funnel_daily").filter(pl.col("step") == step)
            rows = frame.select("day", "reached").iter_rows()
            yield f"funnel_daily.{step}", Counter(dict(rows)), expected
        taken = Counter(
            (_day(t.requested_at), "picked up") for p, t, at in self.seen
            if _step(p, at)[0] in picked_up
        )  # fmt: skip
        known = self._scan("returns_daily").filter(
            pl.col("picked_up_at").is_not_null() | (pl.col("state") == "received")
        )
        yield "picked_up_at", Counter((day, "picked up") for day in known["day"]), taken

    def _states(self) -> Iterator[tuple[str, Any, Any]]:
        """The newest state of each return and its time, and which of them are open."""
        expected = Counter((t.reference, *_step(p, at)[1:]) for p, t, at in self.seen)
        columns = ("return_reference_number", "state", "state_since")
        yield "states", Counter(self._scan("returns_daily").select(columns).iter_rows()), expected
        opened = Counter(
            (t.reference, t.requested_at, *_step(p, at)[1:], at)
            for p, t, at in self.seen
            if _step(p, at)[0] not in ENDED
        )
        of_open = (
            "return_reference_number", "requested_at", "state", "since", "last_looked_at",
        )  # fmt: skip
        yield (
            "open_returns",
            Counter(self._scan("open_returns").select(of_open).iter_rows()),
            opened,
        )

    def _of_duckdb(self) -> Iterator[tuple[str, Any, Any]]:
        by_day = {
            name: Counter({
                (day, group): number
                for day, group, number in self._scan(name).select(*columns).iter_rows()
                if number
            })
            for name, columns in (
                ("refund_modes_daily", ("day", "refund_mode", "returns")),
                ("return_reasons_daily", ("day", "return_reason", "items")),
            )
        }  # fmt: skip
        of_raw = {
            name: Counter({(day, group): n for day, group, n in self._ask(query)})
            for name, query in (("refund_modes_daily", MODES), ("return_reasons_daily", REASONS))
        }
        # A return without a mode of its own counts by its items' one, which the query leaves out.
        own = Counter(
            (_day(t.requested_at), t.refund_mode) for _, t, _ in self.seen if t.refund_mode
        )
        yield "modes of DuckDB", of_raw["refund_modes_daily"], own
        modes = Counter((_day(t.requested_at), _mode(t)) for _, t, _ in self.seen)
        yield "refund_modes_daily", by_day["refund_modes_daily"], modes
        yield "reasons of DuckDB", of_raw["return_reasons_daily"], by_day["return_reasons_daily"]

    def later_ends(self) -> tuple[int, int]:
        """Returns older than the last age that had ended by it, and those that ended later."""
        old = [
            (planned, at)
            for planned, true, at in self.seen
            if Window.of(true.requested_at).end + LAST_AGE <= self.now
        ]
        ended = sum(_step(planned, at)[0] in ENDED for planned, at in old)
        final = sum(
            _step(planned, self.now + timedelta(days=365))[0] in ENDED for planned, _ in old
        )
        return ended, final - ended

    def _scan(self, name: str) -> pl.DataFrame:
        files = f"{self.folder}/{name}/**/*.parquet"
        return pl.scan_parquet(files, hive_partitioning=False).collect()

    def _ask(self, query: str) -> list[tuple[Any, ...]]:
        return duckdb.sql(query.format(lake=self.folder)).fetchall()


def _step(planned: PlannedReturn, at: datetime) -> tuple[int, str | None, datetime]:
    """Code and state of a return at a moment, and since when."""
    step, begun = step_at(planned, to_micros(at), progress=True)
    return step.code, state_of(step.code, step.event), from_micros(begun)


def _mode(true: TrueReturn) -> str:
    """The mode of a return: its own; else that of its items where they agree."""
    modes = {item.refund_mode for item in true.items if item.refund_mode}
    if true.refund_mode or len(modes) == 1:
        return true.refund_mode or modes.pop()
    return "Mixed" if modes else NOT_GIVEN


def _day(moment: datetime) -> date:
    return moment.astimezone(INDIA).date()


def tables_are_true(days: int, seed: int) -> Result:
    """``days`` days; every table at their end is the truth."""
    result = Result(seed)
    logging.getLogger("returns_orchestration").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as name:
        made = Days(Path(name), days, seed)
        result.faults += made.wrong()
        ended, later = made.later_ends()
        if len(made.seen) < days * 24:
            result.faults.append(f"only {len(made.seen)} returns were looked at")
        result.tried = days
    result.notes = (
        f"{len(made.seen):,} returns; of those older than 720 hours {ended:,} had ended by then "
        f"and {later:,} ended later"
    )
    return result
