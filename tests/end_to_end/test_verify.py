"""`verify` and `rebuild` as a user runs them, and real disks that are full or read-only."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import polars as pl
import pytest
from support.world import World, hours

from returns_orchestration import tables
from returns_orchestration.flow.outcomes import Failed, Stopped
from returns_orchestration.lake.entry_kinds import FileRecord
from returns_orchestration.lake.parquet import to_parquet
from returns_orchestration.window import Window

FROM, TO = "2026-11-07T00:00", "2026-11-07T06:00"
HOUR = "date=2026-11-07/hour=03"


@contextmanager
def disk(folder: Path, size: str) -> Iterator[Callable[[str], None]]:
    """A file system of ``size`` in place of ``folder``; gives a function to change its options."""
    folder.mkdir()
    try:
        subprocess.run(  # noqa: S603 - our own folder
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],  # noqa: S607
            check=True,
            capture_output=True,
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a file system can be mounted by root only")

    def remount(options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)  # noqa: S603, S607

    try:
        yield remount
    finally:
        subprocess.run(["umount", str(folder)], check=True)  # noqa: S603, S607


def said_well(done: subprocess.CompletedProcess[str]) -> str:
    """The whole output; it holds no traceback."""
    said = done.stdout + done.stderr
    assert "Traceback" not in said, said
    return said


def test_verify_names_damage_and_rebuild_or_backfill_repairs_it(
    new_world: Callable[..., World],
) -> None:
    world = new_world(returns_per_hour=6)
    assert world.run("backfill", FROM, TO).returncode == 0
    assert world.run("rebuild", FROM, TO).returncode == 0  # makes `lateness`, too
    whole = world.run("verify")
    assert whole.returncode == 0, whole.stdout
    assert "compared with recorded checksums, no difference" in whole.stdout
    count = world.scan("returns").height
    assert f"OK: each of {count} served returns is in exactly one hour." in whole.stdout
    assert "exactly one hour" not in world.run("verify", FROM, TO).stdout
    before = {path: content for path, content in world.files().items() if path[0] != "_"}
    assert "lateness/part-0.parquet" in before

    table = world.lake / "returns" / HOUR / "part-0.parquet"
    table.write_bytes(table.read_bytes()[:-9])
    (world.lake / "return_items" / HOUR / "part-0.parquet").unlink()
    (world.lake / "returns" / HOUR / "copy of part-0.parquet").write_bytes(b"PAR1")
    found = world.run("verify", FROM, TO)
    assert found.returncode == 1
    assert f"torn        returns/{HOUR}/part-0.parquet" in found.stdout
    assert f"missing     return_items/{HOUR}/part-0.parquet" in found.stdout
    assert f"foreign     returns/{HOUR}/copy of part-0.parquet" in found.stdout
    assert "`returns-orchestration rebuild 2026-11-07T03:00 2026-11-07T04:00`" in found.stdout
    world.simulator.forget()
    mended = world.run("rebuild", "2026-11-07T03:00", "2026-11-07T04:00")
    assert mended.returncode == 0, mended.stdout
    assert "_quarantine/returns" in mended.stdout
    assert {p: c for p, c in world.files().items() if p[0] != "_"} == before
    assert world.run("verify").returncode == 0

    poll = world.lake / "raw_returns" / HOUR / "poll-0001.parquet"
    poll.write_bytes(poll.read_bytes()[:50] + b"?" + poll.read_bytes()[51:])
    assert world.run("verify").returncode == 1
    lost = world.run("rebuild", FROM, TO)
    assert lost.returncode == 1
    assert "backfill 2026-11-07T03:00 2026-11-07T04:00" in lost.stdout
    assert not world.asked()
    assert world.run("status", FROM, TO).returncode == 1
    assert world.run("backfill", FROM, TO).returncode == 0
    assert world.asked() == ["2026-11-07T03:00:00"]
    assert world.run("verify").returncode == 0
    status = world.run("status", FROM, TO, "--json")
    assert status.returncode == 0
    # The poll that replaces the lost one brought no late return.
    assert [hour["late"] for hour in json.loads(status.stdout)] == [0] * len(
        json.loads(status.stdout)
    )


def test_verify_and_rebuild_refuse_invalid_arguments(new_world: Callable[..., World]) -> None:
    world = new_world()
    for arguments in (("verify", FROM), ("verify", TO, FROM), ("rebuild", TO, FROM)):
        done = world.run(*arguments)
        assert done.returncode == 2, done.stdout
        assert "returns-orchestration: FROM" in said_well(done)
    assert world.run("verify").returncode == 0  # a lake that does not exist yet has no fault
    assert not world.lake.exists()


def test_a_full_or_read_only_disk_is_named_and_the_same_command_then_completes(
    new_world: Callable[..., World],
) -> None:
    world = new_world(returns_per_hour=6)
    with disk(world.lake, "120k") as remount:
        full = world.run("backfill", FROM, TO)
        assert full.returncode == 1
        assert "No space left on device" in said_well(full)
        assert "its free space, then run the same again" in full.stdout
        remount("ro")
        for command in ("backfill", "rebuild"):
            refused = world.run(command, FROM, TO)
            assert refused.returncode == 1
            assert "Read-only file system" in said_well(refused)
        remount("rw,size=20m")
        found = world.run("verify").stdout
        assert "torn" not in found
        assert "altered" not in found
        assert world.run("backfill", FROM, TO).returncode == 0
        assert world.run("verify").returncode == 0


@pytest.mark.parametrize(
    ("size", "said"),
    [("16k", "disk is full"), ("800k", "disk is full"), ("1100k", "disk ")],
    ids=["at its start", "in a run", "later, when SQLite may say: I/O error"],
)
def test_a_full_disk_of_dagster_is_named_and_the_same_command_then_completes(
    size: str, said: str, new_world: Callable[..., World]
) -> None:
    world = new_world(returns_per_hour=6)
    with disk(world.folder / "dagster_home", size) as remount:
        full = world.run("backfill", FROM, TO)
        assert full.returncode == 1
        assert "DAGSTER_HOME" in said_well(full)
        assert "free space" in full.stderr
        assert said in full.stderr
        remount("size=50m")
        assert world.run("backfill", FROM, TO).returncode == 0
        assert world.run("verify").returncode == 0


def forge(world: World, window: Window, rows: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    """Other rows in `returns`, with a matching entry, and days made of them."""
    pipeline = world.pipeline()
    lake, names = pipeline.lake, pipeline.lake.names()
    frame, made = lake.read(tables.RETURNS, window, names), lake.made(window, names)
    assert frame is not None
    assert made is not None
    forged = rows(frame)
    path = made.files[tables.RETURNS.name].path
    record = FileRecord.of(path, to_parquet(forged), forged.height)
    lake.invalidate(names, window)
    lake.store.put(path, to_parquet(forged))
    files, facts = made.files | {tables.RETURNS.name: record}, {"returns": forged.height}
    lake.entries.put(names, msgspec.structs.replace(made, files=files, facts=made.facts | facts))
    for day in pipeline.days.concerned_by(names, [window]):
        pipeline.days.build(names, day, datetime(2026, 11, 23, tzinfo=UTC))


def test_verify_checks_the_returns_of_an_hour_against_its_polls(
    new_world: Callable[..., World],
) -> None:
    """Every file matches its entry, and still a return is in no hour, or in two."""
    world = new_world(returns_per_hour=6, rhythm=False)
    windows = hours(FROM, TO)
    assert not [o for o in world.pipeline().run(windows) if isinstance(o, Failed | Stopped)]
    before = {path: content for path, content in world.files().items() if path[0] != "_"}
    served = world.scan("returns").height
    forge(world, windows[3], lambda frame: frame[1:])
    nowhere = world.run("verify")
    assert nowhere.returncode == 1
    assert "compared with recorded checksums, no difference" in nowhere.stdout
    assert f"Of {served} served returns 1 are in no hour and 0 in more" in nowhere.stdout
    (twice,) = world.scan(f"returns/{windows[0].path}").head(1).iter_slices(1)
    forge(world, windows[3], lambda frame: pl.concat([frame, twice]))
    both = world.run("verify")
    assert both.returncode == 1
    assert f"Of {served} served returns 1 are in no hour and 1 in more" in both.stdout
    assert "`returns-orchestration rebuild" in both.stdout
    mended = world.run("rebuild", FROM, TO)
    assert mended.returncode == 0, mended.stdout
    assert {p: c for p, c in world.files().items() if p in before} == before
    whole = world.run("verify")
    assert whole.returncode == 0, whole.stdout
    assert f"OK: each of {served} served returns is in exactly one hour." in whole.stdout


def test_hours_yet_to_be_made_are_counted_and_are_no_fault(
    new_world: Callable[..., World],
) -> None:
    world = new_world(returns_per_hour=6, rhythm=False)
    pipeline, windows = world.pipeline(), hours(FROM, TO)
    assert not [o for o in pipeline.run(windows[1:]) if isinstance(o, Failed | Stopped)]
    [(_, poll)] = pipeline.poll_all(windows[:1])
    assert pipeline.land(
        pipeline.lake.names(), poll
    ).kept  # and killed before anything is made of it
    done = world.run("verify")
    assert done.returncode == 0, done.stdout
    assert "1 hour not built yet" in done.stdout
    assert world.run("status", FROM, TO).returncode == 0
    assert "1 unfinished" in world.run("status", FROM, TO).stdout
    world.simulator.forget()
    assert world.run("backfill", FROM, TO).returncode == 0
    assert not world.asked()
    assert "exactly one hour" in world.run("verify").stdout


def test_a_lake_without_a_file_is_named(new_world: Callable[..., World]) -> None:
    """It is well as long as nothing was polled; it may also be the wrong place."""
    world = new_world()
    done = world.run("verify")
    assert done.returncode == 0
    assert done.stdout == f"{world.lake} holds no file yet; is RETURNS_LAKE right?\n"
    world.lake.write_text("a file in its place")
    assert world.run("verify").returncode == 1
