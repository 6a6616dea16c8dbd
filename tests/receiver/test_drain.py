from __future__ import annotations

import asyncio
import logging
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from support.receivers import bodies, deliveries

from returns_orchestration.errors import LakeUnwritable, SpoolUnwritable
from returns_orchestration.lake import Lake, open_store
from returns_orchestration.lake.store import FolderStore
from returns_orchestration.receiver import drain as module
from returns_orchestration.receiver.app import Counts
from returns_orchestration.receiver.drain import Drain
from returns_orchestration.receiver.spool import Spool
from returns_orchestration.receiver.spool_tables import Batch, Delivery
from returns_orchestration.window import Window

HOUR = Window(datetime(2026, 11, 9, 11, tzinfo=UTC))


class Clock:
    """Nanoseconds since 1970, set by hand."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> int:
        return round(self.now.timestamp() * 1e9)

    def pass_by(self, monkeypatch: pytest.MonkeyPatch, seconds: float, *, jump: float = 0) -> None:
        """Let time pass on both clocks, and set this one ``jump`` seconds ahead."""
        passed = module.time.monotonic() + seconds
        monkeypatch.setattr(module.time, "monotonic", lambda: passed)
        self.now += timedelta(seconds=seconds + jump)


class Dies(BaseException):
    """The process is killed here."""


class MortalStore(FolderStore):
    """A folder whose process dies after so many more changes; None: never."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.changes_left: int | None = None

    def create(self, path: str, content: bytes) -> bool:
        self._live()
        return super().create(path, content)

    def put(self, path: str, content: bytes) -> None:
        self._live()
        super().put(path, content)

    def _live(self) -> None:
        if self.changes_left is not None:
            self.changes_left -= 1
            if self.changes_left < 0:
                raise Dies


class MortalSpool(Spool):
    """A spool whose process dies after so many more transactions of the drain; None: never."""

    calls_left: int | None = None

    def call(self, change: Callable[[sqlite3.Connection], object]) -> Any:
        if self.calls_left is not None:
            self.calls_left -= 1
            if self.calls_left < 0:
                raise Dies
        return super().call(change)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "spool.db", 100_000_000) as found:
        yield found


@pytest.fixture
def clock() -> Clock:
    return Clock(HOUR.end + timedelta(minutes=5))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(open_store(str(tmp_path / "lake")))


def fill(spool: Spool, *times: datetime, size: int = 10) -> None:
    async def all_of_them() -> None:
        loop = asyncio.get_running_loop()
        at = [round(time.timestamp() * 1e6) for time in times]
        put = [spool.put(Delivery(t, "", redelivered=False, body=b"x" * size), loop) for t in at]
        assert all(await asyncio.gather(*put))

    asyncio.run(all_of_them())


def paths(tmp_path: Path) -> list[str]:
    folder = tmp_path / "lake/raw_webhooks"
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.parquet"))


def listened(lake: Lake, window: Window) -> list[tuple[int, int]]:
    names = lake.names()
    return sorted((entry.begin, entry.until) for entry in names.hour(window).listened)


def test_deliveries_go_into_files_by_the_hour_of_their_receipt(
    tmp_path: Path, spool: Spool, lake: Lake
) -> None:
    times = [HOUR.end - timedelta(microseconds=1), HOUR.end, HOUR.start]  # a clock was set back
    fill(spool, *times)
    Drain(spool, lake, Counts()).drain()
    assert paths(tmp_path) == [
        f"date=2026-11-09/hour=11/{spool.instance}-0000000001.parquet",
        f"date=2026-11-09/hour=11/{spool.instance}-0000000003.parquet",
        f"date=2026-11-09/hour=12/{spool.instance}-0000000002.parquet",
    ]
    rows = deliveries(lake.store.uri(""))
    assert rows.get_column("received_at").to_list() == times
    assert rows.get_column("position").to_list() == [1, 2, 3]
    assert spool.waiting() == 0


def test_a_file_holds_some_megabytes(
    tmp_path: Path, spool: Spool, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DRAIN_BYTES", 10_000)
    fill(spool, *[HOUR.start] * 25, size=1_000)
    Drain(spool, lake, Counts()).drain()
    assert len(paths(tmp_path)) == 3
    assert deliveries(lake.store.uri("")).height == 25


@pytest.mark.parametrize("place", ["change of the lake", "transaction of the spool"])
def test_every_delivery_is_drained_once_wherever_the_receiver_is_killed(
    tmp_path: Path, place: str
) -> None:
    for point in range(100):
        folder = tmp_path / f"{point}"
        store = MortalStore(folder / "lake")
        has_died = False
        with MortalSpool(folder / "spool.db", 100_000_000) as spool:
            fill(spool, HOUR.start, HOUR.start, HOUR.end)
            if place == "change of the lake":
                store.changes_left = point
            else:
                spool.calls_left = point
            try:
                Drain(spool, Lake(store), Counts()).drain()
            except Dies:
                has_died = True
        lake = Lake(open_store(str(folder / "lake")))
        with Spool(folder / "spool.db", 100_000_000) as again:
            Drain(again, lake, Counts()).drain()
            assert again.waiting() == 0
            assert again.batches() == []
        assert deliveries(folder / "lake").get_column("position").to_list() == [1, 2, 3], point
        names = lake.names()
        assert [entry.rows for entry in names.hour(HOUR).received] == [2]
        assert [entry.rows for entry in names.hour(HOUR.next).received] == [1]
        if not has_died:
            break
    assert point > 5


def test_numbers_that_another_spool_has_used_are_given_to_another_instance(
    tmp_path: Path, lake: Lake
) -> None:
    """A spool that was restored from a copy gives its numbers once more."""
    with Spool(tmp_path / "spool.db", 100_000_000):
        pass
    copy = (tmp_path / "spool.db").read_bytes()
    with Spool(tmp_path / "spool.db", 100_000_000) as spool:
        fill(spool, HOUR.start)
        Drain(spool, lake, Counts()).drain()
        before = spool.instance
    (tmp_path / "spool.db").write_bytes(copy)
    with Spool(tmp_path / "spool.db", 100_000_000) as spool:
        assert spool.instance == before
        fill(spool, HOUR.start + timedelta(minutes=1))
        Drain(spool, lake, Counts()).drain()
        assert spool.instance != before
    rows = deliveries(lake.store.uri(""))
    assert rows.height == 2
    assert rows.get_column("instance").n_unique() == 2


def test_a_damaged_file_in_its_place_is_quarantined(
    tmp_path: Path, spool: Spool, lake: Lake
) -> None:
    place = tmp_path / f"lake/raw_webhooks/{HOUR.path}/{spool.instance}-0000000001.parquet"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"torn")
    fill(spool, HOUR.start)
    Drain(spool, lake, Counts()).drain()
    assert bodies(tmp_path / "lake") == [b"x" * 10]
    assert [file.read_bytes() for file in (tmp_path / "lake/_quarantine").rglob("*.????????")] == [
        b"torn"
    ]


def test_what_another_release_of_polars_wrote_is_recorded_as_it_stands(
    tmp_path: Path, spool: Spool, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between file and entry, then upgraded: other bytes, the same deliveries."""
    from returns_orchestration.lake import parquet, webhooks  # noqa: PLC0415

    fill(spool, HOUR.start)
    store = MortalStore(tmp_path / "lake")
    Lake(store).format.ensure(begin=True)
    store.changes_left = 1
    with pytest.raises(Dies):
        Drain(spool, Lake(store), Counts()).drain()
    (path,) = (tmp_path / "lake/raw_webhooks").rglob("*.parquet")
    before = path.read_bytes()

    def other(frame: pl.DataFrame, name: str) -> bytes:
        return parquet._sealed(parquet.to_parquet(frame, {"release": "another"}), name)

    monkeypatch.setattr(webhooks, "webhooks_to_parquet", other)
    Drain(spool, lake, Counts()).drain()
    assert path.read_bytes() == before
    (entry,) = lake.names().hour(HOUR).received
    assert entry.size == len(before)
    assert lake.webhooks.is_sound(entry)


def test_a_lake_that_cannot_be_written_keeps_deliveries_in_the_spool(
    spool: Spool, lake: Lake, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise LakeUnwritable("The lake", "no space")

    caplog.set_level(logging.WARNING, logger="returns_orchestration")
    drain = Drain(spool, lake, Counts())
    fill(spool, HOUR.start)
    with monkeypatch.context() as patch:
        patch.setattr(lake.webhooks, "put", full)
        for _ in range(3):
            drain.drain()
        assert spool.waiting() == 1
        assert drain.problem
    drain.drain()
    assert (spool.waiting(), drain.problem) == (0, "")
    assert len(caplog.messages) == 2, "one line when it begins, and one when it is over"


def test_what_nobody_expects_keeps_deliveries_and_shows_no_body(
    spool: Spool, lake: Lake, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        message = "body of somebody"
        raise ValueError(message)

    drain = Drain(spool, lake, Counts())
    fill(spool, HOUR.start)
    monkeypatch.setattr(lake.webhooks, "put", fail)
    drain.drain()
    assert spool.waiting() == 1
    assert "ValueError" in drain.problem
    assert "somebody" not in drain.problem + caplog.text


def test_the_time_of_listening_is_recorded_by_the_hour(
    spool: Spool, lake: Lake, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.now = HOUR.start + timedelta(minutes=30)
    drain = Drain(spool, lake, Counts(), clock=clock)
    drain.listen()
    for _ in range(40 * 4):
        clock.pass_by(monkeypatch, 15)
        drain.listen()
    drain.drain()
    assert listened(lake, HOUR) == [(1800, 3600)]
    assert listened(lake, HOUR.next) == [], "it still grows"
    clock.pass_by(monkeypatch, 10)
    drain.listen()
    drain.drain(is_last=True)
    assert listened(lake, HOUR.next) == [(0, 610)]


def test_a_killed_receiver_has_listened_until_its_last_note(
    tmp_path: Path, lake: Lake, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Spool(tmp_path / "spool.db", 100_000_000) as spool:
        drain = Drain(spool, lake, Counts(), clock=clock)
        drain.listen()
        clock.pass_by(monkeypatch, 15)
        drain.listen()
    clock.pass_by(monkeypatch, 7200)
    with Spool(tmp_path / "spool.db", 100_000_000) as spool:
        drain = Drain(spool, lake, Counts(), clock=clock)
        drain.listen()
        drain.drain()
    assert listened(lake, HOUR.next) == [(300, 315)]


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_a_clock_that_is_set_ends_a_time_of_listening(
    spool: Spool, lake: Lake, clock: Clock, jump: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    drain = Drain(spool, lake, Counts(), clock=clock)
    drain.listen()
    clock.pass_by(monkeypatch, 15)
    drain.listen()
    clock.pass_by(monkeypatch, 15, jump=jump)
    drain.listen()
    clock.pass_by(monkeypatch, 10)
    drain.listen()
    drain.drain(is_last=True)
    assert listened(lake, HOUR.next) == [(300, 315)]
    there = Window.of(clock.now)
    assert listened(lake, there) == [(330, 340)]


def test_a_spool_that_cannot_store_does_not_listen(
    spool: Spool, lake: Lake, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    drain = Drain(spool, lake, Counts(), clock=clock)
    drain.listen()

    def full() -> None:
        raise SpoolUnwritable(spool.path, "no space")

    with monkeypatch.context() as patch:
        patch.setattr(spool, "try_again", full)
        spool._writer.problem = "no space"
        clock.pass_by(patch, 15)
        drain.listen()
    clock.pass_by(monkeypatch, 30)
    drain.listen()
    clock.pass_by(monkeypatch, 15)
    drain.listen()
    drain.drain(is_last=True)
    assert listened(lake, HOUR.next) == [(345, 360)]
    assert spool.problem == "", "nobody has delivered anything meanwhile"


def test_the_note_comes_whatever_fails(
    spool: Spool, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a receiver that cannot store would seem not to listen."""

    def fail(*_: object) -> None:
        raise SpoolUnwritable(spool.path, "no space")

    drain = Drain(spool, lake, Counts())
    fill(spool, HOUR.start)
    monkeypatch.setattr(spool, "note", fail)
    spool._writer.problem = "no space"
    drain.drain()
    assert drain.problem
    (note,) = lake.webhooks.notes()
    assert note.problem == "no space"


def test_a_drain_that_takes_long_is_listened_to(
    tmp_path: Path, lake: Lake, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that answers after minutes is no time in which webhooks could not be stored."""
    monkeypatch.setattr(module, "SPAN_SECONDS", 0.05)
    put, may_end, waits = lake.webhooks.put, threading.Event(), threading.Event()

    def slow(*arguments: Any) -> Any:
        waits.set()
        may_end.wait(30)
        return put(*arguments)

    monkeypatch.setattr(lake.webhooks, "put", slow)
    with Spool(tmp_path / "other.db", 100_000_000) as spool:
        fill(spool, HOUR.start)
        drain = Drain(spool, lake, Counts(), clock=clock, seconds=0.01)
        drain.listen()
        drain.start()
        waits.wait(30)
        began = clock() // 1_000
        for _ in range(10):
            clock.now += timedelta(seconds=0.08)
            wait_until(lambda: spool.spans() == [(began, clock() // 1_000)])
        may_end.set()
        assert drain.stop(30)


def wait_until(is_so: Callable[[], bool]) -> None:
    for _ in range(3_000):
        if is_so():
            return
        threading.Event().wait(0.01)
    raise AssertionError


def test_a_failure_between_two_notes_is_not_listened_to(
    spool: Spool, lake: Lake, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    drain = Drain(spool, lake, Counts(), clock=clock)
    for fails in (False, False, True, False):
        spool._writer.failures += fails
        drain.listen()
        clock.pass_by(monkeypatch, 15)
    drain.drain(is_last=True)
    assert listened(lake, HOUR.next) == [(300, 315), (330, 345)]


def test_a_drain_ends_while_deliveries_come(
    tmp_path: Path, spool: Spool, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = lake.webhooks.put

    def meanwhile(*arguments: Any) -> Any:
        fill(spool, HOUR.start)
        return put(*arguments)

    fill(spool, HOUR.start)
    monkeypatch.setattr(lake.webhooks, "put", meanwhile)
    Drain(spool, lake, Counts()).drain()
    assert len(paths(tmp_path)) == 1
    assert spool.waiting() == 1


def test_a_file_that_was_blanked_before_it_was_noted_counts_once(
    tmp_path: Path, spool: Spool, lake: Lake
) -> None:
    """Killed after the entry; then `forget` replaces the file; then the receiver starts again."""
    fill(spool, HOUR.start)
    store = MortalStore(tmp_path / "lake")
    drain = Drain(spool, Lake(store), Counts())
    monkey = spool.remove
    spool.remove = lambda _: (_ for _ in ()).throw(Dies())  # type: ignore[method-assign]
    with pytest.raises(Dies):
        drain.drain()
    spool.remove = monkey  # type: ignore[method-assign]
    (entry,) = lake.names().hour(HOUR).received
    raw = lake.webhooks.read(entry)
    lake.webhooks.replace(entry, raw.with_columns(pl.lit("").alias("body")))
    Drain(spool, lake, Counts()).drain()
    assert len(lake.names().hour(HOUR).received) == 1
    assert deliveries(lake.store.uri("")).height == 1


def test_the_note_of_a_receiver_holds_its_counts(spool: Spool, lake: Lake, clock: Clock) -> None:
    counts = Counts(stored=3, refused=2, without_key=1, last_stored=clock.now.timestamp())
    drain = Drain(spool, lake, counts, clock=clock)
    drain.drain()
    (note,) = lake.webhooks.notes()
    assert (note.stored, note.refused, note.without_key) == (3, 2, 1)
    assert (note.at, note.last_stored, note.last_refused) == (clock.now, clock.now, None)
    assert not note.ended
    drain.drain(is_last=True)
    assert lake.webhooks.notes()[0].ended


def test_a_drained_spool_is_small(tmp_path: Path, spool: Spool, lake: Lake) -> None:
    fill(spool, *[HOUR.start] * 500, size=2_000)
    Drain(spool, lake, Counts()).drain()
    files = [file for file in tmp_path.iterdir() if re.match(r"spool\.db", file.name)]
    assert sum(file.stat().st_size for file in files) < 100_000
    assert spool.of(Batch(0, 2**60)) == []
