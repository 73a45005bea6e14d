"""Whole runs: fixed seeds keep every promise, repeat exactly, and find planted faults."""

import json
import os
import subprocess
import sys

import pytest

from chronik.log.damage import Damage, DamageKind
from chronik.log.reading import CorruptBatch
from chronik.sim import simulation
from chronik.sim.simulation import Outcome, Simulation, simulate

pytestmark = pytest.mark.long

SEEDS = range(1, 21)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_promise_is_kept(seed: int) -> None:
    outcome = simulate(seed)
    assert outcome.problems == []
    assert outcome.acknowledged == outcome.sent > 0
    assert outcome.consumed >= outcome.acknowledged
    assert outcome.faults.total() > 0


@pytest.mark.parametrize("seed", [3, 7, 14])
def test_a_seed_repeats_itself_in_another_process(seed: int) -> None:
    here = simulate(seed, 3)
    command = [sys.executable, "-m", "chronik.sim", "--seed", str(seed), "--nodes", "3", "--json"]
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    there = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    (outcome,) = json.loads(there.stdout)
    assert outcome["digest"] == here.digest
    assert simulate(seed, 3).digest == here.digest
    assert simulate(seed + 1, 3).digest != here.digest


def test_a_run_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when what it is in the middle of makes another error of it."""

    async def spin(run: Simulation) -> Outcome:
        try:
            while True:
                pass
        except BaseException:
            raise ValueError("torn down in the middle") from None

    monkeypatch.setattr(simulation, "PROCESSOR_SECONDS_MAX", 0.05)
    monkeypatch.setattr(Simulation, "run", spin)
    (problem,) = simulate(1).problems
    assert problem.startswith("no end after 0.05 s of processor time, in ")


def test_what_a_run_fails_with_is_its_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    async def find(run: Simulation) -> Outcome:
        raise CorruptBatch(Damage(DamageKind.CORRUPT_BATCH, "events-0/0.log", 3, 7, 8), 7)

    monkeypatch.setattr(Simulation, "run", find)
    (problem,) = simulate(1).problems
    assert problem.startswith("CorruptBatch: ")
    assert problem.endswith(", in find")
