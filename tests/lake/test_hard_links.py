"""A real file system without hard links: FAT or exFAT, mounted where the machine can."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from returns_orchestration.errors import LakeUnwritable
from returns_orchestration.lake import Lake
from returns_orchestration.lake.store import FolderStore

KINDS = (("mkfs.vfat", "vfat"), ("mkfs.exfat", "exfat"), ("mkfs.exfat", "exfat-fuse"))
"""The command that makes the file system, and its mount type: of the system itself or FUSE."""


def done(*command: str) -> bool:
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=60)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return False
    return True


@pytest.fixture
def without_links(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system without hard links."""
    image, folder = tmp_path / "image", tmp_path / "mounted"
    folder.mkdir()
    for make, kind in KINDS:
        with image.open("wb") as file:
            file.truncate(16 * 1024 * 1024)
        if done(make, str(image)) and done(
            "mount", "-t", kind, "-o", "loop", str(image), str(folder)
        ):
            break
    else:
        pytest.skip("no FAT or exFAT can be mounted: that needs root, loop devices and mkfs")
    try:
        yield folder
    finally:
        assert done("umount", str(folder))


def test_a_create_names_the_missing_links_and_other_calls_work(without_links: Path) -> None:
    store = FolderStore(without_links / "lake")
    store.put("t/f", b"put")
    store.put_many({"t/f": b"again", "t/h": b"put"})
    store.delete_many(["t/h"])
    with pytest.raises(LakeUnwritable, match="knows no hard links") as raised:
        store.create("t/g", b"created")
    assert "Move RETURNS_LAKE to a local file system" in str(raised.value)
    assert list(store.list("")) == ["t/f"]
    assert store.get("t/f") == b"again"
    assert not list((without_links / "lake" / "_tmp").iterdir())


def test_doctor_names_the_missing_links_and_leaves_no_file(without_links: Path) -> None:
    store = FolderStore(without_links / "lake")
    with pytest.raises(LakeUnwritable, match="knows no hard links"):
        Lake(store).check_writable()
    assert not list(store.list(""))
