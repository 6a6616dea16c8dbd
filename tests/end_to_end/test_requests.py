"""Requests to the store: the cost of a backfill and of idle sensors where each takes 30 ms.

Counted at the store's interface, as an object store would count them; their time is added up and
not waited for. By that time, too, a sensor sees when its tick has lasted long enough.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from support.counting_store import CountingStore, Kind
from support.records import returned
from support.unattended import START, Unattended
from support.webhooks import received, webhook
from support.world import World, hours

from returns_orchestration.defs import automation
from returns_orchestration.defs.webhooks import PATROLLED_AT_ONCE
from returns_orchestration.flow import from_settings
from returns_orchestration.lake import Lake, Made, Names, Poll, open_store
from returns_orchestration.lake.entry_kinds import Entry, encode
from returns_orchestration.lake.names import inputs_of
from returns_orchestration.lake.poll_log import Answer
from returns_orchestration.lake.store import FolderStore, Store
from returns_orchestration.report.files import path_of
from returns_orchestration.stages.rules import Rules
from returns_orchestration.state import budget
from returns_orchestration.state.days import inputs_of_day, made_of_day
from returns_orchestration.state.memory import Memory
from returns_orchestration.window import HOUR, Day, Window

REQUEST_SECONDS = 0.03
LIVE_SECONDS = 3
LAST = 24 + 17
"""The hour of START in which a day of Asia/Kolkata ends, but for half an hour."""
EVERY_5_MINUTES = ["late_returns", "webhooks_arrived", "changed_hours", "report_by_day"]
UNKNOWN = 2_000
OLDER = 240


class Counted:
    """All stores that were opened, and the requests to them; ``clock`` is the time of all."""

    def __init__(self) -> None:
        self.stores: list[CountingStore] = []
        self.request_seconds = REQUEST_SECONDS
        self.seconds = self.clock = 0.0

    def open(self, store: Store) -> CountingStore:
        self.stores.append(CountingStore(store, self.request_seconds, self._add))
        return self.stores[-1]

    def _add(self, seconds: float) -> None:
        self.seconds += seconds
        self.clock += seconds

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
    found, open_store = Counted(), from_settings.open_store
    monkeypatch.setattr(from_settings, "open_store", lambda lake: found.open(open_store(lake)))
    monkeypatch.setattr(budget, "monotonic", lambda: found.clock)
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
@pytest.mark.parametrize("webhooks", [False, True])
def test_a_live_hour_takes_under_3_seconds_of_store_time(
    new_world: Callable[..., World],
    counted: Counted,
    instance: dg.DagsterInstance,
    tmp_path: Path,
    webhooks: bool,
) -> None:
    """The last hour of a day of the report: its run reads all other hours of that day."""
    world = new_world({"RETURNS_START": START.isoformat()})
    live = Window(START + timedelta(hours=LAST))
    earlier = [Window(START + timedelta(hours=n)) for n in range(LAST)]
    list(world.pipeline().run(earlier, missing_only=True))
    life = Unattended(world, instance, str(tmp_path / "dagster_home"))
    if webhooks:
        life.now = live.start + timedelta(minutes=5)
        _deliver(world, earlier, tmp_path)
        life.load()
        life.look("webhooks_arrived")
        _deliver(world, [live], tmp_path)
    took: dict[str, float] = {}
    for minutes, tick in ((5, "webhooks_arrived"), (10, "live_hour"), (15, "webhooks_arrived")):
        life.now = live.end + timedelta(minutes=minutes)
        life.load()
        counted.clear()
        if tick == "live_hour":
            life.schedule(tick)
        else:
            life.look(tick)
        took[f"{minutes} {tick}"] = counted.seconds
    assert life.landed([live]) == [live]
    assert 0 < max(took.values()) < LIVE_SECONDS, took


def _deliver(world: World, windows: list[Window], folder: Path) -> None:
    """A webhook of each return of ``windows``, half an hour after the beginning of its hour."""
    twin = World(folder, world.simulator, world.base_url, {"RETURNS_LAKE": str(folder / "twin")})
    list(twin.pipeline().run(windows))
    kept, lake = Lake(open_store(str(folder / "twin"))), Lake(FolderStore(world.lake))
    names = kept.names()
    for window in windows:
        records = [
            json.loads(r) for poll in names.hour(window).polls for r in kept.polls.served(poll)
        ]
        at = window.start + timedelta(minutes=30)
        received(lake, *((at, webhook(record)) for record in records), first=window.number * 1000)


@pytest.mark.long
@pytest.mark.parametrize("webhooks", [False, True])
def test_idle_sensors_take_under_10_requests_a_minute(
    new_world: Callable[..., World],
    counted: Counted,
    instance: dg.DagsterInstance,
    tmp_path: Path,
    webhooks: bool,
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
    if webhooks:
        _deliver(world, hours("2026-11-01T00:00", "2026-11-01T11:00"), tmp_path)
        life.look("webhooks_arrived")
        life.look("webhooks_arrived")
    for _ in range(20):  # so that every sensor has read all unknown hours
        life.look("missing_hours")
    for name in EVERY_5_MINUTES:  # so that each has seen the last run
        life.look(name)
    counted.clear()
    spent: Counter[str] = Counter()

    sensors = {"missing_hours", "incidents", "lost_runs", *EVERY_5_MINUTES}
    assert sensors == {sensor.name for sensor in life.repository.sensor_defs}
    minutes = 10
    for minute in range(minutes):
        for name in (
            "missing_hours",
            "incidents",
            "incidents",
            "lost_runs",
            *EVERY_5_MINUTES * (minute % 5 == 0),
        ):
            life.now += timedelta(seconds=30) * (name == "incidents")
            life.load()
            before = counted.requests.total()
            life.look(name)
            spent[name] += counted.requests.total() - before

    assert 0 < counted.requests.total() < 10 * minutes, (spent, counted.requests)


@pytest.mark.parametrize(("of_one", "longest"), [(REQUEST_SECONDS, 20), (0.3, 45)])
@pytest.mark.parametrize("complete", [UNKNOWN, 0])
def test_2000_unknown_hours_are_looked_at_in_ticks_that_dagster_does_not_end(
    unknown: Callable[[int], Unattended],
    counted: Counted,
    complete: int,
    of_one: float,
    longest: float,
) -> None:
    counted.request_seconds = of_one
    life = unknown(complete)
    for name in ("missing_hours", "incidents", "late_returns"):
        for _ in range(3):
            counted.clear()
            life.look(name)
            assert counted.seconds < longest, (name, counted.requests)


@pytest.mark.parametrize("name", ["missing_hours", "late_returns"])
def test_a_tick_goes_on_where_the_one_before_ran_out_of_time(
    name: str,
    unknown: Callable[[int], Unattended],
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However slow the store is, each tick looks at some more hours, and none is left out."""
    monkeypatch.setattr(budget, "monotonic", count(step=budget.TICK_SECONDS).__next__)
    monkeypatch.setattr(automation, "AT_ONCE", 24)
    most = 24 + automation.RECENT // HOUR
    windows = [Window(START - n * HOUR) for n in range(1, most + 24)]
    life = unknown(len(windows))
    for window in windows:
        event = dg.AssetMaterialization("raw_returns", partition=window.key)
        instance.report_runless_asset_event(event)
    known = [0]
    while known[-1] < len(windows):
        life.look(name)
        complete = Memory.read(life.cursors[name]).hours.complete
        known.append(sum(window in complete for window in windows))
        assert 0 < known[-1] - known[-2] <= most, known
    assert len(known) > 2


def test_older_dates_of_webhooks_are_looked_at_by_as_many_ticks_as_it_takes(
    new_world: Callable[..., World],
    instance: dg.DagsterInstance,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In an old date, which comes in the third portion, webhooks wait that no run has taken."""
    monkeypatch.setattr(budget, "monotonic", count(step=budget.TICK_SECONDS).__next__)
    world, days = new_world({"RETURNS_START": START.isoformat()}), 3 * PATROLLED_AT_ONCE
    store = FolderStore(world.lake)
    _complete_hours(store, START, days * 24)
    arrived = START + timedelta(days=2 * PATROLLED_AT_ONCE + 1)
    received(Lake(store), (arrived, webhook(returned("R-1", arrived))))
    life = Unattended(world, instance, str(tmp_path / "dagster_home"))
    life.now = START + timedelta(days=days + 9)
    asked: list[dg.RunRequest] = []
    life.launch = lambda requests, _: asked.extend(requests)  # type: ignore[method-assign]
    life.look("webhooks_arrived")
    life.look("webhooks_arrived")
    assert not asked
    life.look("webhooks_arrived")
    (request,) = asked
    assert arrived.date().isoformat() in json.dumps(request.run_config)


@pytest.fixture
def unknown(
    new_world: Callable[..., World], instance: dg.DagsterInstance, tmp_path: Path
) -> Callable[[int], Unattended]:
    """A daemon of UNKNOWN hours without a cursor: the newest ones are complete; nothing is run."""

    def life(complete: int) -> Unattended:
        world = new_world({"RETURNS_START": (START - UNKNOWN * HOUR).isoformat()})
        windows = _complete_hours(FolderStore(world.lake), START - complete * HOUR, complete)
        log = Lake(FolderStore(world.lake)).poll_log
        for window in windows[::6]:  # polls that brought nothing new
            log.add([Answer(hour=window.key, at=window.end + timedelta(hours=800))])
        found = Unattended(world, instance, str(tmp_path / "dagster_home"))
        found.launch = lambda *_: None  # type: ignore[method-assign]
        found.now = START + timedelta(minutes=20)
        return found

    return life


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
