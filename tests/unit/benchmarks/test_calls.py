"""The calls of one produce, which are the same on every machine."""

from benchmarks.calls import measure


def test_a_lone_replicated_produce_takes_one_round_on_each_node() -> None:
    cost = measure(3, 1)
    assert (cost.leader_rounds, cost.follower_rounds) == (1.0, 1.0)
    # 718 when an own append counted twice. What is above has to be worth it.
    assert cost.leader_calls < 560


def test_produces_at_once_share_rounds_and_turns() -> None:
    cost = measure(2, 20)
    assert (cost.leader_rounds, cost.follower_rounds) == (1.0, 1.0)
    assert cost.leader_calls < 140


def test_a_produce_to_the_only_replica_goes_past_the_core() -> None:
    cost = measure(10, 1, replicas=1)
    assert (cost.leader_rounds, cost.follower_rounds) == (1.0, 0.0)
    # 135 when it was a group of another class, without state.
    assert cost.leader_calls < 125
