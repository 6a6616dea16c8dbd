"""Whatever happens to a file of the lake, `verify` names it and `rebuild` mends it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from proof.corruption import all_at_once, corruptions, findings, lived_lake, one_by_one
from proof.mending import damaged_and_mended, mendings, rebuild, tables_of
from world import World

SEED = 20261123


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with lived_lake(tmp_path) as lived:
        yield lived


def test_every_corruption_is_found_and_named(world: World) -> None:
    alone = one_by_one(world, 100, SEED)
    assert not alone.missed, alone.words
    together = all_at_once(world, SEED)
    assert not together.missed, together.words


def test_what_is_damaged_is_mended_or_its_hour_is_polled_again(world: World) -> None:
    mended = damaged_and_mended(world, 15, SEED)
    assert not mended.faults, (mended.words, mended.faults)


@pytest.mark.parametrize("records_too", [False, True], ids=["tables", "tables and records"])
def test_all_tables_are_made_again_byte_for_byte(world: World, records_too: bool) -> None:
    before = world.files()
    for path in before:
        if not path.startswith("raw_returns/") and (records_too or not path.startswith("_")):
            (world.lake / path).unlink()
    world.simulator.forget()
    rebuilt = rebuild(world)
    assert rebuilt.is_whole, rebuilt
    assert not rebuilt.aside
    assert tables_of(world.files()) == tables_of(before)
    assert not world.asked()
    assert not findings(world)


def test_a_rebuild_of_a_sound_lake_writes_nothing(world: World) -> None:
    before = world.files()
    rebuilt = rebuild(world)
    assert (rebuilt.files, rebuilt.aside) == (0, [])
    assert world.files() == before


def test_the_drivers_of_the_long_proof_run() -> None:
    assert not corruptions(5, SEED).missed
    assert not mendings(2, SEED).faults
