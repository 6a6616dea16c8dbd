"""All tables made again of the polls, where the seeded proofs do not vary."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from proof.corruption import findings, lived_lake, sort_of
from proof.mending import ONLY_SAID_THERE, rebuild, tables_of
from support.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with lived_lake(tmp_path) as lived:
        yield lived


@pytest.mark.parametrize("journal_too", [False, True], ids=["tables", "tables and journal"])
def test_all_tables_are_made_again_byte_for_byte(world: World, journal_too: bool) -> None:
    """The journal without the facts that only it holds: repeated replies and corrected zones."""
    before = world.files()
    for path in before:
        is_journal = path.startswith("_") and not sort_of(path).endswith(ONLY_SAID_THERE)
        if not path.startswith("raw_returns/") and (
            (journal_too and is_journal) or not path.startswith("_")
        ):
            (world.lake / path).unlink()
    world.simulator.forget()
    rebuilt = rebuild(world)
    assert rebuilt.is_whole, rebuilt
    assert not rebuilt.quarantined
    assert tables_of(world.files()) == tables_of(before)
    assert not world.asked()
    assert not findings(world)


def test_a_rebuild_of_a_sound_lake_writes_nothing(world: World) -> None:
    before = world.files()
    rebuilt = rebuild(world)
    assert (rebuilt.files, rebuilt.quarantined) == (0, [])
    assert world.files() == before
