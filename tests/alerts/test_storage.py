"""Disks that fill up, and a DAGSTER_HOME that outgrows its bounds."""

from __future__ import annotations

from datetime import timedelta

from alerts.conftest import START, Desk, situation_of

from returns_orchestration.alerts.detection import detect
from returns_orchestration.alerts.kinds import DiskNearlyFull, HomeTooLarge, Kind
from returns_orchestration.alerts.watch import Watch
from returns_orchestration.state.health import Disk, Storage, home_limit

GB = 10**9
ROOM = Storage((Disk("DAGSTER_HOME", 100 * GB, 40 * GB, 1_000, 900),), 50_000_000)
YEAR = 8_760


def found(storage: Storage | None, hours: int = 24) -> list[Kind]:
    now = START + timedelta(hours=hours)
    situation = situation_of(Watch.first(now), now, storage=storage)
    kinds = (DiskNearlyFull, HomeTooLarge)
    return [finding for finding in detect(situation).findings if isinstance(finding, kinds)]


def test_a_disk_with_room_and_a_small_home_are_no_finding() -> None:
    assert found(ROOM) == []


def test_space_and_inodes_are_two_findings_and_the_fullest_disk_is_shown() -> None:
    lake = Disk("RETURNS_LAKE", 100 * GB, 10 * GB, 1_000, 900)
    home = Disk("DAGSTER_HOME", 100 * GB, 5 * GB, 1_000, 100)
    space, inodes = found(Storage((lake, home), 0))
    assert isinstance(space, DiskNearlyFull)
    assert isinstance(inodes, DiskNearlyFull)
    assert (space.subject, space.places) == ("space", ["RETURNS_LAKE", "DAGSTER_HOME"])
    assert space.words().title == ("95% of the space under RETURNS_LAKE and DAGSTER_HOME is in use")
    assert "Free: 5.0 GB" in space.words().means
    assert (inodes.subject, inodes.places) == ("inodes", ["DAGSTER_HOME"])
    assert "Free: 100 inodes" in inodes.words().means


def test_a_home_may_grow_with_its_hours_and_with_what_is_kept() -> None:
    kept = timedelta(days=30)
    assert home_limit(YEAR, kept) < 1.5 * GB  # it takes 0.9, see docs/operations.md
    assert home_limit(5 * YEAR, kept) < 4.7 * GB
    (large,) = found(Storage((), home_limit(24, kept) + 1))
    assert isinstance(large, HomeTooLarge)
    assert found(Storage((), home_limit(24, kept))) == []


def test_an_incident_stays_open_while_nothing_is_measured(desk: Desk) -> None:
    full = Storage((Disk("RETURNS_LAKE", 100 * GB, 10 * GB, 0, 0),), 0)
    desk.tick()
    desk.tick(storage=full)
    desk.live(1)  # not measured
    assert desk.titles == ["[problem] 90% of the space under RETURNS_LAKE is in use"]
    assert desk.kinds == ["disk nearly full"]
    desk.tick(storage=ROOM)
    assert desk.titles[1:] == ["[resolved] There is room again under RETURNS_LAKE"]
    assert desk.kinds == []
