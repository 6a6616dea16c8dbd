"""Every promise in the short profile of its proof; `make prove` runs the long one."""

from __future__ import annotations

import pytest
from proof.promises import PROOFS, SEED, Proof


@pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: proof.name)
def test_a_promise_holds(proof: Proof) -> None:
    result = proof.driver(proof.short, SEED)
    assert result.tried >= proof.short
    assert not result.faults, result.words
