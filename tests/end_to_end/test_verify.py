"""`verify` and `rebuild` as a user runs them, and real disks that are full or read-only."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from world import World

FROM, TO = "2026-11-07T00:00", "2026-11-07T06:00"
HOUR = "date=2026-11-07/hour=03"


@contextmanager
def disk(folder: Path, size: str) -> Iterator[Callable[[str], None]]:
    """A file system of ``size`` in the place of ``folder``; gives what changes its options."""
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
    """All that was printed; it holds no traceback."""
    said = done.stdout + done.stderr
    assert "Traceback" not in said, said
    return said


def test_verify_names_what_is_damaged_rebuild_mends_it_and_backfill_what_it_cannot(
    new_world: Callable[..., World],
) -> None:
    world = new_world(returns_per_hour=6)
    assert world.run("backfill", FROM, TO).returncode == 0
    assert world.run("rebuild", FROM, TO).returncode == 0  # makes `lateness`, too
    whole = world.run("verify")
    assert whole.returncode == 0, whole.stdout
    assert "files are what was recorded" in whole.stdout
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
    assert "_aside/returns" in mended.stdout
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
    assert world.run("status", FROM, TO).returncode == 0


def test_verify_and_rebuild_refuse_what_makes_no_sense(new_world: Callable[..., World]) -> None:
    world = new_world()
    for arguments in (("verify", FROM), ("verify", TO, FROM), ("rebuild", TO, FROM)):
        done = world.run(*arguments)
        assert done.returncode == 2, done.stdout
        assert "returns-orchestration: FROM" in said_well(done)
    assert world.run("verify").returncode == 0  # a lake that is not there yet holds nothing wrong
    assert not world.lake.exists()


def test_a_full_and_a_read_only_disk_are_named_and_healed_by_the_same_again(
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


@pytest.mark.parametrize("size", ["16k", "900k"], ids=["at its start", "in a run"])
def test_a_full_disk_of_dagster_is_named_and_healed_by_the_same_again(
    size: str, new_world: Callable[..., World]
) -> None:
    world = new_world(returns_per_hour=6)
    with disk(world.folder / "dagster_home", size) as remount:
        full = world.run("backfill", FROM, TO)
        assert full.returncode == 1
        assert "DAGSTER_HOME" in said_well(full)
        assert "free space" in full.stderr
        assert "disk is full" in full.stderr
        remount("size=50m")
        assert world.run("backfill", FROM, TO).returncode == 0
        assert world.run("verify").returncode == 0
