"""One of three nodes crashes at a change of its disk, drawn from a seed, in a busy life.

`python -m tests.proofs.crash_matrix` crashes at all kinds of changes by name, and repeats a seed.
"""

import pytest

from chronik.sim.process import on_processes
from tests.proofs.crash_matrix import NO_CRASH, random_plan, run_life
from tests.support.cluster_life import ClusterLife
from tests.support.durability_points import Point

pytestmark = pytest.mark.long

# A life takes a second of a processor.
SEEDS = range(24)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_node_that_crashed_comes_back_and_the_cluster_agrees(seed: int) -> None:
    assert run_life(seed, random_plan(seed)).problems == []


def test_a_life_comes_by_every_point_at_which_a_disk_changes() -> None:
    lives = [run_life(seed, NO_CRASH) for seed in (2, 3)]
    assert [life.problems for life in lives] == [[], []]
    passed = {point for life in lives for point, _ in life.seen}
    assert set(Point) - passed <= {Point.OTHER, Point.RECOVERY_STATE, Point.CLEAN_MARK}
    assert Point.OTHER not in passed


@on_processes
async def transcript(seed: int) -> list[str]:
    life = ClusterLife(seed, random_plan(seed))
    life.watch.transcript = []
    await life.run()
    return life.watch.transcript


def test_a_seed_repeats_a_life() -> None:
    assert transcript(5) == transcript(5)
