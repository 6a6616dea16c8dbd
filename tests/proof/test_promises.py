"""Every promise in the short profile of its proof; `make prove` runs the long one."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from proof.promises import PROOFS, SEED, Proof

PAGE = (Path(__file__).parents[2] / "docs/explanation/guarantees.md").read_text()


@pytest.fixture(autouse=True)
def _usual_log() -> Iterator[None]:
    """Proofs silence our log; tests in the same process read it."""
    logger = logging.getLogger("returns_orchestration")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: proof.name)
def test_a_promise_holds(proof: Proof) -> None:
    if lacks := proof.lacks():
        pytest.skip(lacks)
    result = proof.driver(proof.short, SEED)
    assert result.tried >= proof.short
    assert not result.faults, result.words


@pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: proof.name)
def test_a_promise_is_documented_with_its_number(proof: Proof) -> None:
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| {proof.promise} |")]
    how, number, result, seed = (cell.strip() for cell in row.split("|")[2:-1])
    count, unit = number.split(" ", 1)
    assert (how, unit) == (proof.how, proof.unit)
    assert int(count.replace(",", "")) > proof.short
    assert result.startswith("all held")
    assert seed.isdigit()
