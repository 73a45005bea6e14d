"""The choice of the node to take away."""

from tests.proofs.cluster.failover import next_leader


def test_leaders_take_turns() -> None:
    led_by = {0: 1, 1: 2, 2: 3}
    assert [next_leader(led_by, number) for number in range(4)] == [1, 2, 3, 1]


def test_whoever_leads_nothing_is_left_out() -> None:
    assert next_leader({0: 2, 1: 3}, 0) == 2
    assert next_leader({0: 1, 1: 3}, 1) == 3
