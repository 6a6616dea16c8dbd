"""Eight processes that back-fill the same 24 hours at once: one truth, and nobody sees an error."""

from __future__ import annotations

from proof.writers import by_command, by_river

SEED = 20261123


def test_eight_rivers_leave_the_files_of_one() -> None:
    rounds = by_river(2, SEED)
    assert not rounds.faults, (rounds.words, rounds.faults)


def test_eight_commands_end_well_and_leave_one_truth() -> None:
    rounds = by_command(1, SEED)
    assert not rounds.faults, (rounds.words, rounds.faults)
