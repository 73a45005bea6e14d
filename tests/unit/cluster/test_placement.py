"""Placement is balanced from any beginning, spreads over racks, and refuses what cannot be."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronik.cluster.metadata.placement import PlacementNode, place, resize
from chronik.cluster.metadata.topics import NodeLoad
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NodeId


def nodes_without_racks(count: int) -> list[PlacementNode]:
    return [PlacementNode(NodeId(n)) for n in range(1, count + 1)]


def spread(counts: "Counter[NodeId]", nodes: list[PlacementNode]) -> int:
    numbers = [counts[node.node] for node in nodes]
    return max(numbers) - min(numbers)


@given(count=st.integers(1, 9), partitions=st.integers(1, 40), seed=st.integers(0, 2**32), data=st.data())
def test_replicas_are_distinct_and_balanced(
    count: int, partitions: int, seed: int, data: st.DataObject
) -> None:
    nodes = nodes_without_racks(count)
    factor = data.draw(st.integers(1, count))
    placed = place(nodes, {}, partitions, factor, random.Random(seed))
    assert len(placed) == partitions
    assert all(len(set(replicas)) == factor for replicas in placed)
    assert spread(Counter(replicas[0] for replicas in placed), nodes) <= 1
    assert spread(Counter(node for replicas in placed for node in replicas), nodes) <= 2


@given(count=st.integers(2, 6), seed=st.integers(0, 2**32), topics=st.integers(1, 60))
def test_many_small_topics_are_as_balanced_as_one_large(count: int, seed: int, topics: int) -> None:
    nodes = nodes_without_racks(count)
    randomness = random.Random(seed)
    loads: dict[NodeId, NodeLoad] = {}
    for _ in range(topics):
        (replicas,) = place(nodes, loads, 1, 2, randomness)
        for node in replicas:
            load = loads.get(node, NodeLoad())
            loads[node] = NodeLoad(load.leaders + (node == replicas[0]), load.replicas + 1)
    assert spread(Counter({node: load.leaders for node, load in loads.items()}), nodes) <= 1
    assert spread(Counter({node: load.replicas for node, load in loads.items()}), nodes) <= 2


@given(
    racks=st.lists(st.sampled_from(["a", "b", "c", "d", None]), min_size=1, max_size=9),
    partitions=st.integers(1, 20),
    seed=st.integers(0, 2**32),
    data=st.data(),
)
def test_a_partition_is_in_as_many_racks_as_it_can(
    racks: list[str | None], partitions: int, seed: int, data: st.DataObject
) -> None:
    nodes = [PlacementNode(NodeId(n), rack) for n, rack in enumerate(racks)]
    rack_of = {node.node: node.rack for node in nodes}
    factor = data.draw(st.integers(1, len(nodes)))
    for replicas in place(nodes, {}, partitions, factor, random.Random(seed)):
        assert len({rack_of[node] for node in replicas}) == min(factor, len(set(racks)))


def test_an_empty_node_is_filled_first() -> None:
    loads = {NodeId(1): NodeLoad(5, 5), NodeId(2): NodeLoad(5, 5)}
    placed = place(nodes_without_racks(3), loads, 5, 1, random.Random(0))
    assert placed == [(NodeId(3),)] * 5


def test_equal_nodes_take_turns_by_chance() -> None:
    first = {place(nodes_without_racks(3), {}, 1, 1, random.Random(seed))[0] for seed in range(30)}
    assert first == {(NodeId(1),), (NodeId(2),), (NodeId(3),)}


def test_too_few_nodes_are_named() -> None:
    with pytest.raises(KafkaError, match=r"Replication factor 3 .* 2 broker") as caught:
        place(nodes_without_racks(2), {}, 1, 3, random.Random(0))
    assert caught.value.code is ErrorCode.INVALID_REPLICATION_FACTOR


@given(per_rack=st.integers(1, 4), partitions=st.integers(1, 40), seed=st.integers(0, 2**32))
def test_three_racks_hold_a_replica_each_and_share_the_load(
    per_rack: int, partitions: int, seed: int
) -> None:
    nodes = [
        PlacementNode(NodeId(3 * n + rack), f"rack-{rack}") for n in range(per_rack) for rack in range(3)
    ]
    racks = {node.node: node.rack for node in nodes}
    placed = place(nodes, {}, partitions, 3, random.Random(seed))
    assert all(len({racks[node] for node in replicas}) == 3 for replicas in placed)
    assert spread(Counter(node for replicas in placed for node in replicas), nodes) <= 2
    assert spread(Counter(replicas[0] for replicas in placed), nodes) <= 1


@given(
    racks=st.lists(st.sampled_from(["a", "b", "c", None]), min_size=3, max_size=7),
    partitions=st.integers(1, 20),
    seed=st.integers(0, 2**32),
    factors=st.tuples(st.integers(1, 3), st.integers(1, 3)),
)
def test_what_is_resized_stays_where_it_can(
    racks: list[str | None], partitions: int, seed: int, factors: tuple[int, int]
) -> None:
    before, after = factors
    nodes = [PlacementNode(NodeId(n), rack) for n, rack in enumerate(racks, 1)]
    randomness = random.Random(seed)
    placed = place(nodes, {}, partitions, before, randomness)
    loads = _loads(placed)
    resized = resize(nodes, loads, placed, after, randomness)
    assert [len(set(replicas)) for replicas in resized] == [after] * partitions
    for old, new in zip(placed, resized, strict=True):
        # The leader stays, and as many of the others as there are to be.
        assert new[0] == old[0]
        assert len(set(old) & set(new)) == min(before, after)
        assert new[: min(before, after)] == old if before < after else set(new) <= set(old)
    if after > before and len(set(racks)) == 1:
        assert spread(Counter(node for replicas in resized for node in replicas), nodes) <= 2


def _loads(placed: list[tuple[NodeId, ...]]) -> dict[NodeId, NodeLoad]:
    leaders = Counter(replicas[0] for replicas in placed)
    replicas = Counter(node for replicas in placed for node in replicas)
    return {node: NodeLoad(leaders[node], count) for node, count in replicas.items()}


def test_replicas_on_nodes_that_are_away_go_first() -> None:
    nodes = [PlacementNode(NodeId(n), None, n != 1) for n in (1, 2, 3)]
    assert resize(nodes, {}, [(NodeId(1), NodeId(2), NodeId(3))], 2, random.Random(0)) == [(2, 3)]
    # Then those of which there is most, and the leader last.
    loads = {NodeId(1): NodeLoad(1, 9), NodeId(2): NodeLoad(0, 5), NodeId(3): NodeLoad(0, 2)}
    everybody = [PlacementNode(NodeId(n)) for n in (1, 2, 3)]
    present = [(NodeId(1), NodeId(2), NodeId(3))]
    assert resize(everybody, loads, present, 2, random.Random(0)) == [(1, 3)]
    assert resize(everybody, loads, present, 1, random.Random(0)) == [(1,)]


@pytest.mark.parametrize("factor", [-1, 0, 4])
def test_a_factor_that_cannot_be_is_refused(factor: int) -> None:
    with pytest.raises(KafkaError) as caught:
        resize(nodes_without_racks(3), {}, [(NodeId(1),)], factor, random.Random(0))
    assert caught.value.code is ErrorCode.INVALID_REPLICATION_FACTOR
