"""Requests to the store: the cost of a backfill and of idle sensors where each takes 30 ms.

Counted at the store's interface, as an object store would count them; their time is added up and
not waited for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from support.counting_store import CountingStore, Kind
from support.unattended import START, Unattended
from support.world import World, hours

from returns_orchestration import definitions
from returns_orchestration.lake import Lake, Made, Names, Poll
from returns_orchestration.lake.entry_kinds import Entry, encode
from returns_orchestration.lake.names import inputs_of
from returns_orchestration.lake.store import FolderStore, Store
from returns_orchestration.report.files import path_of
from returns_orchestration.stages.rules import Rules
from returns_orchestration.state.days import inputs_of_day, made_of_day
from returns_orchestration.window import Day, Window

REQUEST_SECONDS = 0.03
UNKNOWN = 2_000
OLDER = 240


class Counted:
    """All stores that were opened, and the requests to them."""

    def __init__(self) -> None:
        self.stores: list[CountingStore] = []
        self.seconds = 0.0

    def open(self, store: Store) -> CountingStore:
        self.stores.append(CountingStore(store, REQUEST_SECONDS, self._add))
        return self.stores[-1]

    def _add(self, seconds: float) -> None:
        self.seconds += seconds

    def clear(self) -> None:
        self.seconds = 0.0
        for store in self.stores:
            store.requests.clear()

    @property
    def requests(self) -> Counter[Kind]:
        found: Counter[Kind] = Counter()
        for store in self.stores:
            found.update(store.requests)
        return found


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    found, open_store = Counted(), definitions.open_store
    monkeypatch.setattr(definitions, "open_store", lambda lake: found.open(open_store(lake)))
    return found


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    home = tmp_path / "dagster_home"
    home.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with dg.instance_for_test(temp_dir=str(home)) as found:
        yield found


@pytest.mark.long
def test_backfill_of_a_week_takes_under_20_requests_an_hour(
    new_world: Callable[..., World], counted: Counted
) -> None:
    world = new_world()
    week = hours("2026-11-02", "2026-11-09")

    made = list(world.pipeline().run(week, missing_only=True))

    assert len(made) >= 2 * len(week)
    assert sum(counted.requests.values()) < 20 * len(week), counted.requests


@pytest.mark.long
def test_idle_sensors_take_under_10_requests_a_minute(
    new_world: Callable[..., World], counted: Counted, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    world = new_world({"RETURNS_START": START.isoformat()})
    older = _complete_hours(FolderStore(world.lake), START - timedelta(hours=OLDER), OLDER)
    for window in older:
        event = dg.AssetMaterialization("raw_returns", partition=window.key)
        instance.report_runless_asset_event(event)
    FolderStore(world.lake).create(path_of(START.date()), b"made by the job `report`")
    world.variables["RETURNS_START"] = older[0].start.isoformat()
    life = Unattended(world, instance, str(tmp_path / "dagster_home"))
    life.live_to(START + timedelta(hours=12), step=timedelta(minutes=30))
    for _ in range(20):  # so that every sensor has read all unknown hours
        life.look("missing_hours")
    counted.clear()

    minutes = 10
    for minute in range(minutes):
        for name in (
            "missing_hours",
            "incidents",
            "incidents",
            *["late_returns", "webhooks_arrived"] * (minute % 5 == 0),
        ):
            life.now += timedelta(seconds=30) * (name == "incidents")
            life.load()
            life.look(name)

    assert 0 < sum(counted.requests.values()) < 10 * minutes, counted.requests


@pytest.mark.parametrize("complete", [True, False])
def test_2000_unknown_hours_are_looked_at_in_ticks_under_20_seconds(
    new_world: Callable[..., World],
    counted: Counted,
    instance: dg.DagsterInstance,
    tmp_path: Path,
    complete: bool,
) -> None:
    world = new_world()
    first = START - timedelta(hours=UNKNOWN)
    if complete:
        _complete_hours(FolderStore(world.lake), first, UNKNOWN - 80)
    world.variables["RETURNS_START"] = first.isoformat()
    life = Unattended(world, instance, str(tmp_path / "dagster_home"))
    life.launch = lambda *_: None  # type: ignore[method-assign]

    for name in ("missing_hours", "incidents", "late_returns"):
        counted.clear()
        life.look(name)
        assert 0 < counted.seconds < 20, (name, counted.requests)


def _complete_hours(store: FolderStore, first: object, count: int) -> list[Window]:
    """Entries of complete hours without a return, and of their days, as a year would leave them."""
    windows = [Window(first + n * timedelta(hours=1)) for n in range(count)]  # type: ignore[operator]
    lake, rules = Lake(store), Rules.of_today()
    lake.format.ensure(begin=True)
    names = Names(store)
    names.load_hours(windows)

    def put(entries: list[Entry]) -> None:
        store.put_many({entry.path: encode(entry) for entry in entries})
        for entry in entries:
            names.add(entry.path)

    put([_poll(window) for window in windows])
    store.put_many({lake.polls.path(window, 1): b"?" for window in windows})
    put([_made(window.key, inputs_of(window, names), rules.hours, []) for window in windows])
    days = sorted({Day.of(window.start, ZoneInfo("Asia/Kolkata")) for window in windows})
    put(
        [
            _made(day.key, inputs_of_day(day, names), rules.days, made_of_day(day, names))
            for day in days
        ]
    )
    return windows


def _poll(window: Window) -> Poll:
    return Poll(
        period=window.key,
        number=1,
        polled_at=window.end + timedelta(hours=800),
        noted_at=window.end + timedelta(hours=800),
        rows=0,
        size=1,
        sha256="0" * 16,
        zone="UTC",
    )


def _made(period: str, inputs: str, rules: str, made_of: list[str]) -> Made:
    return Made(
        period=period,
        inputs=inputs,
        rules=rules,
        written_at=START,
        made_of=made_of,
        files={},
        facts={},
    )
