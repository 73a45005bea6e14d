"""Planted faults are found; all of them by `python -m chronik.sim.hunt`, some here."""

from random import Random

import pytest

from chronik.sim.client import ClientNetwork
from chronik.sim.cluster import SimCluster
from chronik.sim.faults.schedule import Faults
from chronik.sim.hunt import hunt
from chronik.sim.mutants import MUTANTS
from chronik.sim.process import on_processes
from chronik.sim.simulation import simulate
from chronik.sim.trace import Trace

pytestmark = pytest.mark.long


@pytest.mark.parametrize(
    "mutant",
    [
        "vote-not-persisted",
        "commit-old-term",
        "always-clean",
        "offsets-outlive-topics",
        "late-commits-taken",
        "epochs-restart",
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


@on_processes
async def test_what_mutants_lean_on_are_kinds_of_faults() -> None:
    cluster = SimCluster(1)
    named = {name for mutant in MUTANTS.values() for name in mutant.lean_on}
    faults = Faults(cluster, ClientNetwork(cluster, Random(1)), Trace(lambda: 0.0), Random(1), sorted(named))
    heaviest = max(faults._weights)
    assert faults._weights.count(heaviest) == len(named)
