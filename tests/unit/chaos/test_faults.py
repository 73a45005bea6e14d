"""What is drawn from a seed."""

from itertools import pairwise

import pytest

from tests.chaos.faults import NODES, WEIGHTS, Fault, Kind, draw

HALF_AN_HOUR = 1800.0


def test_a_seed_means_a_plan() -> None:
    assert draw(7, 600.0) == draw(7, 600.0)
    assert draw(7, 600.0) != draw(8, 600.0)


def test_a_longer_run_begins_as_a_shorter_one() -> None:
    shorter = draw(7, 300.0)
    assert draw(7, 600.0)[: len(shorter) - 3] == shorter[:-3]


@pytest.mark.parametrize("seed", range(20))
def test_half_an_hour_has_faults_of_every_kind_that_fit_into_it(seed: int) -> None:
    faults = draw(seed, HALF_AN_HOUR)
    assert {fault.kind for fault in faults} == set(Kind)
    assert len(faults) > 150
    assert all(0.0 < fault.start < fault.end <= HALF_AN_HOUR for fault in faults)
    assert all(before.start <= after.start for before, after in pairwise(faults))


def test_some_overlap() -> None:
    faults = draw(1, HALF_AN_HOUR)
    overlaps = sum(after.start < before.end for before, after in pairwise(faults))
    assert 0.1 < overlaps / len(faults) < 0.4


def test_every_kind_concerns_its_number_of_nodes() -> None:
    expected = {Kind.KILL_ALL: 3, Kind.KILL_TWO: 2, Kind.CUT_PAIR: 2, Kind.CUT_ONE_WAY: 2}
    for fault in draw(1, HALF_AN_HOUR):
        assert len(set(fault.nodes)) == len(fault.nodes) == expected.get(fault.kind, 1)
        assert set(fault.nodes) <= set(NODES)


def test_amounts_go_from_unnoticed_to_far_too_much() -> None:
    faults = [fault for seed in range(10) for fault in draw(seed, HALF_AN_HOUR)]
    assert all(bool(fault.amount) == (fault.kind in (Kind.DELAY, Kind.CLOCK)) for fault in faults)
    delays = [fault.amount for fault in faults if fault.kind is Kind.DELAY]
    assert min(delays) < 0.01 < 1.0 < max(delays)
    jumps = [fault.amount for fault in faults if fault.kind is Kind.CLOCK]
    assert min(jumps) < -3600.0 < 3600.0 < max(jumps)
    # What is kept for a day by the clock must not go because the clock jumped.
    assert max(map(abs, jumps)) < 24 * 3600.0


def test_each_kind_has_a_weight() -> None:
    assert set(WEIGHTS) == set(Kind)


def test_the_end_of_a_fault() -> None:
    fault = Fault(number=0, start=1.5, seconds=2.0, kind=Kind.PAUSE, nodes=(1,))
    assert fault.end == 3.5
