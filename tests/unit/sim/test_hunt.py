"""Planted faults are found; all of them by `python -m chronik.sim.hunt`, some here."""

import pytest

from chronik.sim.hunt import hunt
from chronik.sim.mutants import MUTANTS
from chronik.sim.simulation import simulate

pytestmark = pytest.mark.long


@pytest.mark.parametrize(
    "mutant",
    [
        "vote-not-persisted",
        "commit-old-term",
        "always-clean",
        "offsets-outlive-topics",
        "late-commits-taken",
        "epochs-begin-anew",
    ],
)
def test_a_planted_fault_is_found(mutant: str) -> None:
    catch = hunt(mutant, range(1, 21))
    assert catch.seed is not None
    assert catch.problem
    assert catch.what == MUTANTS[mutant].what


def test_it_is_gone_afterwards() -> None:
    before = simulate(1)
    hunt("acknowledge-before-fsync", [1])
    assert simulate(1).digest == before.digest
    assert before.problems == []
